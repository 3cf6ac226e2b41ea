"""The verdict on a candidate: worse at once, fine only after enough, and never because somebody looked often."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readmission_platform.evaluation.sequential.comparison import compare
from readmission_platform.evaluation.sequential.findings import (
    SPENT,
    ArmCounts,
    Comparison,
    Finding,
    SequentialLimits,
    UnusableSample,
)

LIMITS = SequentialLimits(
    alpha=0.05,
    min_samples=400,
    error_margin=0.02,
    error_ceiling=0.05,
    withheld_margin=0.04,
    withheld_ceiling=0.2,
    latency_tolerance=0.1,
    latency_quantile=0.99,
    latency_margin_ms=5.0,
    latency_ceiling_ms=100.0,
    score_tolerance=0.05,
    score_shift=0.3,
    proof="samples",
)
CATEGORIES = (0.5, 0.3, 0.2)


def arm(
    requests: int, *, seed: int, failed=0.01, withheld=0.02, slower=1.0, shift=0.0, categories=CATEGORIES
) -> ArmCounts:
    draw = np.random.default_rng(seed)
    fails = draw.random(requests) < failed
    return ArmCounts(
        failed=fails,
        withheld=(draw.random(requests) < withheld) & ~fails,
        latencies_ms=np.exp(draw.normal(0.5, 0.5, requests)) * slower,
        risks=np.clip(draw.beta(2, 14, requests) + shift, 0, 1),
        inputs={"ward": draw.multinomial(requests, categories), "age": draw.multinomial(requests, CATEGORIES)},
    )


def first(of: ArmCounts, requests: int) -> ArmCounts:
    return ArmCounts(of.failed[:requests], of.withheld[:requests], of.latencies_ms[:requests], of.risks[:requests])


def found(comparison: Comparison, name: str) -> Finding:
    return next(each for each in comparison.findings if each.name == name)


def test_all_tests_together_spend_the_one_error_rate():
    assert sum(SPENT.values()) == pytest.approx(1)
    findings = compare(arm(10, seed=1), arm(10, seed=2), LIMITS).findings
    assert [each.name for each in findings] == list(SPENT)
    assert sum(each.alpha for each in findings) == pytest.approx(LIMITS.alpha)


def test_nothing_logged_is_inconclusive():
    nothing = ArmCounts(np.empty(0, dtype=bool), np.empty(0, dtype=bool))
    comparison = compare(nothing, nothing, LIMITS)
    assert comparison.verdict == "inconclusive"
    assert {each.evidence for each in comparison.findings} == {1.0}
    assert {each.estimate for each in comparison.findings} == {None}
    assert len(comparison.reasons) == len(comparison.findings)


def test_a_candidate_like_its_control_arm_is_fine_once_there_are_enough_samples_and_it_has_baked():
    control, candidate = arm(400, seed=3), arm(400, seed=4)
    assert compare(control, candidate, LIMITS).verdict == "fine"
    assert compare(control, candidate, LIMITS).reasons == ()
    assert compare(control, candidate, LIMITS, baked=False).verdict == "inconclusive"
    assert compare(control, candidate, replace(LIMITS, min_samples=401)).verdict == "inconclusive"


@pytest.mark.parametrize(
    ("name", "different"),
    [
        ("failed", {"failed": 0.08}),
        ("failed_ceiling", {"failed": 0.2}),
        ("withheld", {"withheld": 0.12}),
        ("withheld_ceiling", {"withheld": 0.5}),
        ("latency", {"slower": 1.6}),
        ("latency_tail", {"slower": 20.0}),
        ("latency_ceiling", {"slower": 60.0}),
        ("scores", {"shift": 0.05}),
        ("scores", {"shift": -0.05}),
        ("inputs", {"categories": (0.2, 0.3, 0.5)}),
    ],
)
def test_what_is_worse_is_found_by_its_test_and_taken_for_the_reason(name: str, different: dict):
    comparison = compare(arm(800, seed=5), arm(800, seed=6, **different), LIMITS)
    finding = found(comparison, name)
    assert comparison.verdict == finding.verdict == "worse"
    assert finding.evidence >= 1 / finding.alpha
    assert finding.p_value <= finding.alpha
    assert finding.words in comparison.reasons
    assert finding.words.endswith("worse.")


@pytest.mark.parametrize("better", [{"failed": 0.0}, {"slower": 0.3}])
def test_fewer_errors_and_shorter_latencies_are_fine(better: dict):
    control = arm(800, seed=7, failed=0.04)
    assert compare(control, arm(800, seed=8, **{"failed": 0.04} | better), LIMITS).verdict == "fine"


def test_fewer_withheld_are_another_behaviour_and_so_worse():
    comparison = compare(arm(800, seed=7, withheld=0.15), arm(800, seed=8, withheld=0.02), LIMITS)
    assert found(comparison, "withheld").verdict == "worse"


def test_a_ceiling_holds_also_where_the_control_arm_is_as_bad():
    comparison = compare(arm(800, seed=9, failed=0.12), arm(800, seed=10, failed=0.12), LIMITS)
    assert found(comparison, "failed").verdict == "fine"
    assert found(comparison, "failed_ceiling").verdict == comparison.verdict == "worse"


def test_worse_does_not_wait_for_the_samples_or_the_bake_time():
    comparison = compare(arm(60, seed=11), arm(60, seed=12, failed=0.9), LIMITS, baked=False)
    assert comparison.verdict == "worse"


def test_a_margin_has_to_be_ruled_out_where_the_plan_asks_for_that():
    control, candidate = arm(400, seed=3), arm(400, seed=4)
    strict = replace(LIMITS, proof="margin", error_margin=0.02)
    assert found(compare(control, candidate, strict), "failed").verdict == "inconclusive"
    assert compare(control, candidate, strict).verdict == "inconclusive"
    wide = replace(strict, error_margin=0.5, withheld_margin=0.5, withheld_ceiling=0.5, error_ceiling=0.5,
                   latency_quantile=0.5, latency_margin_ms=50, score_shift=1.0)  # fmt: skip
    assert compare(control, candidate, wide).verdict == "fine"


@pytest.mark.parametrize(("scored", "verdict"), [(0, "inconclusive"), (199, "inconclusive"), (200, "fine")])
def test_too_few_scores_leave_the_scores_open(scored: int, verdict: str):
    control, candidate = arm(500, seed=13), arm(500, seed=14)
    comparison = compare(control, replace(candidate, risks=candidate.risks[:scored]), LIMITS)
    assert found(comparison, "scores").verdict == comparison.verdict == verdict


@pytest.mark.parametrize(("timed", "verdict"), [(0, "inconclusive"), (199, "inconclusive"), (200, "fine")])
def test_too_few_latencies_leave_the_latency_open(timed: int, verdict: str):
    control, candidate = arm(500, seed=13), arm(500, seed=14)
    comparison = compare(replace(control, latencies_ms=control.latencies_ms[:timed]), candidate, LIMITS)
    assert found(comparison, "latency_tail").verdict == comparison.verdict == verdict


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), failed=st.floats(0, 0.3), shift=st.floats(-0.1, 0.1))
def test_worse_once_is_worse_for_good(seed: int, failed: float, shift: float):
    control, candidate = arm(300, seed=seed), arm(300, seed=seed + 1, failed=failed, shift=shift)
    verdicts = [
        compare(first(control, looked), first(candidate, looked), LIMITS).verdict for looked in range(50, 301, 50)
    ]
    assert verdicts == sorted(verdicts, key="inconclusive fine worse".split().index)


def test_arms_of_other_sizes_are_compared_as_far_as_both_go():
    control, candidate = arm(500, seed=18), first(arm(300, seed=19, failed=0.03), 300)
    whole, cut = (compare(first(control, requests), candidate, LIMITS) for requests in (500, 300))
    for name in ("failed", "withheld", "latency", "latency_tail", "scores"):
        assert found(whole, name).evidence == found(cut, name).evidence
        assert (found(whole, name).n_control, found(whole, name).n_candidate) == (500, 300)


def test_intervals_hold_the_estimate_and_the_words_name_figures_and_verdict():
    for finding in compare(arm(500, seed=15), arm(520, seed=16), LIMITS).findings:
        assert finding.estimate is not None
        if finding.low is not None and finding.high is not None:
            assert finding.low <= finding.estimate <= finding.high
        assert finding.words.endswith(f"{finding.verdict}.")
        assert (finding.n_control, finding.n_candidate) == (500, 520)


def test_looking_after_every_few_requests_does_not_take_back_what_is_no_worse():
    quick = replace(LIMITS, alpha=0.2)
    taken, by_z = 0, 0
    for seed in range(150):
        control, candidate = (arm(300, seed=2 * seed + each, failed=0.1) for each in (0, 1))
        lenient = replace(quick, error_ceiling=0.5)
        taken += compare(control, candidate, lenient).verdict == "worse"
        ours, theirs = (np.cumsum(each.failed)[24::25] for each in (candidate, control))
        requests = np.arange(25, 301, 25)
        pooled = (ours + theirs) / 2 / requests
        by_z += bool(
            ((ours - theirs) / requests / np.sqrt(2 * pooled * (1 - pooled) / requests + 1e-12) > 0.8416).any()
        )
    assert taken / 150 <= 0.2
    assert by_z / 150 > 0.2


NONE = np.zeros(3, dtype=bool)


@pytest.mark.parametrize(
    "unusable",
    [
        {"failed": np.array([0.0, np.nan, 1.0])},
        {"failed": np.array([0, 1, 2])},
        {"failed": NONE[:2]},
        {"withheld": NONE.reshape(1, 3)},
        {"latencies_ms": np.array([1.0, np.nan])},
        {"latencies_ms": np.array([1.0, np.inf])},
        {"latencies_ms": np.array([-0.1])},
        {"risks": np.array([0.5, np.nan])},
        {"risks": np.array([1.0001])},
        {"inputs": {"ward": np.array([1.0, np.nan])}},
        {"inputs": {"ward": np.array([3, -1])}},
        {"inputs": {"ward": np.empty(0, dtype=int)}},
    ],
)
def test_missing_and_impossible_values_are_refused(unusable: dict):
    with pytest.raises(UnusableSample):
        ArmCounts(**{"failed": NONE, "withheld": NONE} | unusable)


def test_arms_with_other_columns_or_categories_are_refused():
    control = ArmCounts(NONE, NONE, inputs={"ward": np.array([1, 2])})
    for other in ({}, {"age": np.array([1, 2])}, {"ward": np.array([1, 1, 1])}):
        with pytest.raises(UnusableSample, match="columns"):
            compare(control, ArmCounts(NONE, NONE, inputs=other), LIMITS)


@pytest.mark.parametrize(
    "limits",
    [{"alpha": 0.0}, {"alpha": 1.0}, {"alpha": float("nan")}, {"error_margin": 0}, {"latency_ceiling_ms": 0},
     {"latency_tolerance": -0.1}, {"score_tolerance": 0.3}, {"score_shift": float("inf")}, {"min_samples": 0}],
)  # fmt: skip
def test_limits_that_make_no_sense_are_refused(limits: dict):
    with pytest.raises(ValueError, match=r"between|least|above"):
        replace(LIMITS, **limits)


def test_a_latency_of_nothing_is_a_latency():
    still = replace(arm(500, seed=17), latencies_ms=np.zeros(500))
    assert found(compare(still, still, LIMITS), "latency").verdict == "fine"
