"""Shifts of scores and latencies, and quantiles: found where they are, and not where they are tolerated."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from readmission_platform.evaluation.sequential.shifts import (
    quantile_interval,
    scale_before,
    score_evidence,
    shift_interval,
    slower_evidence,
    tail_evidence,
)

ARMS = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=60).map(np.array)


@given(ARMS)
def test_the_scale_of_a_bet_comes_from_the_pairs_before_it(arms: np.ndarray):
    means, deviations = scale_before(*arms.T)
    for pair in range(10, len(arms)):
        before = arms[:pair]
        assert means[pair] == pytest.approx(before.mean())
        deviation = math.sqrt(before.var(axis=0).mean())
        assert deviations[pair] == pytest.approx(deviation, abs=1e-6) or deviation < 1e-6
    assert np.isinf(deviations[:10]).all()


@given(ARMS)
def test_scores_are_judged_alike_whichever_arm_is_the_candidate(arms: np.ndarray):
    first, second = arms.T
    assert score_evidence(first, second, tolerated=0.05) == pytest.approx(score_evidence(second, first, tolerated=0.05))


def test_the_unit_of_scores_and_latencies_does_not_matter():
    first, second = np.random.default_rng(1).gamma(2, size=(2, 200))
    assert score_evidence(first, second, tolerated=0.1) == pytest.approx(
        score_evidence(3 + 1000 * first, 3 + 1000 * second, tolerated=0.1)
    )
    assert slower_evidence(first, second) == pytest.approx(slower_evidence(1000 * first, 1000 * second))
    assert tail_evidence(first, second, 0.9) == pytest.approx(tail_evidence(1000 * first, 1000 * second, 0.9))


def test_equal_scores_are_no_evidence():
    same = np.full(300, 0.2)
    assert score_evidence(same, same, tolerated=0.05) == pytest.approx(np.zeros(300))


def test_evidence_on_scores_averages_at_most_one_without_a_difference():
    draw = np.random.default_rng(11)
    first, second = draw.beta(2, 14, (2, 4000, 60))
    exact = np.exp(score_evidence(first, second, tolerated=0.0)[:, -1])
    assert exact.mean() == pytest.approx(1, abs=4 * exact.std() / math.sqrt(len(exact)))
    assert exact.std() > 0.1
    assert np.exp(score_evidence(first, second, tolerated=0.1)[:, -1]).mean() < 1


def test_a_tolerated_shift_is_rarely_found_and_a_larger_one_is():
    draw = np.random.default_rng(12)
    first, second = draw.normal(size=(2, 300, 800))
    enough = math.log(1 / 0.05)
    found = {
        shift: (score_evidence(first, second + shift, tolerated=0.1) >= enough).any(axis=1).mean()
        for shift in (0.0, 0.1, -0.1, 0.5, -0.5)
    }
    assert max(found[0.0], found[0.1], found[-0.1]) <= 0.05
    assert min(found[0.5], found[-0.5]) > 0.99


def test_scores_that_only_spread_more_or_less_are_found():
    draw = np.random.default_rng(13)
    first, second = draw.normal(size=(2, 40, 800))
    for wider in (0.6, 1.6):
        assert (score_evidence(first, wider * second, tolerated=0.05) >= math.log(100)).any(axis=1).mean() > 0.95


def test_the_interval_of_a_shift_holds_it_and_closes_in():
    draw = np.random.default_rng(14)
    first, second = draw.normal(5, 2, (2, 4000))
    short, long = (shift_interval(first[:n], second[:n] + 1, alpha=0.01) for n in (200, 4000))
    assert short[0] < long[0] < 0.5 < long[1] < short[1]
    assert shift_interval(second + 1, first, alpha=0.01) == pytest.approx((-long[1], -long[0]), abs=2e-3)


def test_nothing_is_ruled_out_before_there_is_a_scale():
    assert shift_interval(np.arange(5.0), np.arange(5.0), alpha=0.05) == (-50.0, 50.0)


def test_only_a_slower_candidate_is_evidence_on_latencies():
    draw = np.random.default_rng(15)
    first, second = np.exp(draw.normal(size=(2, 500)))
    assert slower_evidence(first, 2 * second).max() > math.log(1e6)
    assert slower_evidence(2 * first, second)[-1] < 0


def test_a_heavier_tail_is_found_though_the_typical_latency_is_the_same():
    draw = np.random.default_rng(16)
    first, second = np.exp(draw.normal(size=(2, 1000)))
    hanging = np.where(draw.random(1000) < 0.05, 100.0, 1.0)
    assert tail_evidence(first, second, 0.95).max() < math.log(20)
    assert tail_evidence(first, second * hanging, 0.95).max() > math.log(1000)
    assert (tail_evidence(first, second * hanging, 0.95)[:64] == 0).all()


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.99])
def test_the_interval_of_a_quantile_holds_it_and_is_made_of_observed_values(quantile: float):
    values = np.random.default_rng(17).exponential(size=3000)
    low, high = quantile_interval(values, quantile, alpha=0.01)
    assert low <= -math.log(1 - quantile) <= high
    assert {low, high} <= set(values)
    assert low <= np.quantile(values, quantile) <= high


def test_a_few_values_leave_a_high_quantile_open_above():
    assert quantile_interval(np.array([1.0, 2.0, 3.0]), 0.99, alpha=0.05) == (1.0, math.inf)
    assert quantile_interval(np.empty(0), 0.5, alpha=0.05) == (0.0, math.inf)


def test_the_interval_of_a_quantile_holds_at_all_looks_together_also_with_ties():
    draw, missed = np.random.default_rng(18), 0
    for _ in range(150):
        values = np.ceil(4 * draw.random(300))  # the true median lies anywhere from 2 to 3
        bounds = [quantile_interval(values[:n], 0.5, alpha=0.1) for n in range(20, 301, 20)]
        missed += any(low > 3 or high < 2 for low, high in bounds)
    assert missed / 150 <= 0.1
