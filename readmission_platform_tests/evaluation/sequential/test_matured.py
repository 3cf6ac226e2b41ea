"""A/B roll-outs on matured outcomes: intervals that hold at all looks, and samples that are large enough."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from readmission_platform.evaluation.sequential.findings import UnusableSample
from readmission_platform.evaluation.sequential.matured import (
    METRICS,
    MaturedArm,
    Metric,
    bounds,
    compare_matured,
    row_values,
    sample_size,
)

ROWS = st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=60)
OUTCOMES = np.array([True, False, False, True])
RISKS = np.array([0.9, 0.2, 0.6, 0.1])


def arm(rows: int, *, seed: int, too_high: float = 0.0, rate: float = 1.0) -> MaturedArm:
    draw = np.random.default_rng(seed)
    risks = draw.beta(2, 14, rows)
    return MaturedArm(draw.random(rows) < risks * rate, np.clip(risks + too_high, 0, 1))


def compared(metric: Metric, control: MaturedArm, candidate: MaturedArm, **asked):
    threshold = 0.2 if metric == "net_benefit" else None
    return compare_matured(
        control, candidate, **{"metric": metric, "alpha": 0.05, "sample_size": 3000, "threshold": threshold} | asked
    )


@pytest.mark.parametrize(
    ("metric", "threshold", "expected"),
    [
        ("brier", None, (0.1**2 + 0.2**2 + 0.6**2 + 0.9**2) / 4),
        ("log_loss", None, -(np.log(0.9) + np.log(0.8) + np.log(0.4) + np.log(0.1)) / 4),
        ("event_rate", None, 0.5),
        ("event_rate", 0.5, 0.5),
        ("net_benefit", 0.5, 1 / 4 - 1 / 4 * 1),
        ("net_benefit", 0.2, 1 / 4 - 2 / 4 * 0.25),
        ("calibration", None, (0.9 + 0.2 + 0.6 + 0.1) / 4 - 0.5),
    ],
)
def test_the_mean_of_the_rows_is_the_metric(metric: Metric, threshold: float | None, expected: float):
    assert row_values(MaturedArm(OUTCOMES, RISKS), metric, threshold=threshold).mean() == pytest.approx(expected)


@given(ROWS, st.sampled_from(METRICS), st.floats(0.01, 0.99))
def test_no_row_lies_outside_the_bounds(rows: list[tuple[bool, float]], metric: Metric, threshold: float):
    values = row_values(MaturedArm(*map(np.array, zip(*rows, strict=True))), metric, threshold=threshold)
    least, most = bounds(metric, threshold=threshold)
    assert ((values >= least) & (values <= most)).all()


@pytest.mark.parametrize("metric", METRICS)
def test_a_better_candidate_wins_and_a_worse_one_loses(metric: Metric):
    good = arm(6000, seed=1, rate=0.5 if metric == "event_rate" else 1.0)
    bad = arm(6000, seed=2, too_high=0.25)
    assert compared(metric, bad, good).winner == "candidate"
    assert compared(metric, good, bad).winner == "control"


@pytest.mark.parametrize("metric", METRICS)
def test_two_versions_alike_stay_undecided(metric: Metric):
    result = compared(metric, arm(3000, seed=3), arm(3100, seed=4))
    assert result.winner == "undecided"
    assert result.low < 0 < result.high
    assert result.low <= result.estimate <= result.high
    assert (result.n_control, result.n_candidate, result.complete) == (3000, 3100, True)
    assert "undecided" in result.words


def test_too_high_and_too_low_risks_are_as_badly_calibrated():
    high, low = arm(6000, seed=5, too_high=0.1), arm(6000, seed=6, rate=1.8)
    assert compared("calibration", arm(6000, seed=7), high).winner == "control"
    assert compared("calibration", high, low).winner == "undecided"


def test_before_the_registered_size_the_comparison_is_not_complete():
    assert not compared("brier", arm(2999, seed=8), arm(5000, seed=9)).complete


def test_no_matured_outcome_is_undecided():
    nothing = MaturedArm(np.empty(0), np.empty(0))
    result = compared("brier", arm(10, seed=1), nothing)
    assert (result.winner, result.estimate, result.low, result.high) == ("undecided", None, None, None)


@pytest.mark.parametrize(
    ("outcomes", "risks"),
    [([0, 1], [0.5]), ([0, np.nan], [0.5, 0.5]), ([0, 2], [0.5, 0.5]), ([0, 1], [0.5, np.nan]), ([0, 1], [0.5, 1.1])],
)
def test_rows_without_a_usable_outcome_or_risk_are_refused(outcomes: list[float], risks: list[float]):
    with pytest.raises(UnusableSample):
        MaturedArm(np.array(outcomes), np.array(risks))


@pytest.mark.parametrize("threshold", [None, 0.0, 1.0])
def test_net_benefit_without_a_threshold_is_refused(threshold: float | None):
    with pytest.raises(ValueError, match="threshold"):
        compare_matured(arm(10, seed=1), arm(10, seed=2), metric="net_benefit", alpha=0.05, sample_size=100,
                        threshold=threshold)  # fmt: skip


def test_smaller_effects_and_more_certainty_take_more_rows():
    plain = sample_size(0.02, 0.3, alpha=0.05, power=0.8).per_arm
    assert sample_size(0.01, 0.3, alpha=0.05, power=0.8).per_arm == pytest.approx(4 * plain, rel=0.001)
    assert sample_size(0.02, 0.3, alpha=0.01, power=0.8).per_arm > plain
    assert sample_size(0.02, 0.3, alpha=0.05, power=0.9).per_arm > plain


def test_the_days_are_those_of_the_smaller_arm_and_of_its_outcomes():
    asked = {"alpha": 0.05, "power": 0.8}
    size = sample_size(0.02, 0.3, **asked, rows_per_day=100, share=0.25)
    assert size.days == pytest.approx(size.per_arm / 25 + 30)
    assert sample_size(0.02, 0.3, **asked).days is None


@pytest.mark.parametrize("wrong", [{"effect": 0}, {"deviation": -1}, {"alpha": 1}, {"power": float("nan")},
                                   {"share": 0.6}, {"rows_per_day": 0}])  # fmt: skip
def test_a_calculation_without_sense_is_refused(wrong: dict):
    with pytest.raises(ValueError, match=r"above 0|every day"):
        sample_size(**{"effect": 0.02, "deviation": 0.3, "alpha": 0.05, "power": 0.8} | wrong)
