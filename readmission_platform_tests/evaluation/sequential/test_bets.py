"""Bets win nothing on average where nothing differs: shown by going through every course that things can take."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from readmission_platform.evaluation.sequential.bets import (
    MEAN_BETS,
    average,
    evidence_of,
    highest,
    last_ruled_out,
    mean_evidence,
    mean_interval,
    sign_evidence,
)

SIGNS = np.array(list(itertools.product((-1.0, 1.0), repeat=10)))
VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=40).map(np.array)


@given(st.lists(st.floats(0, 50), min_size=10, max_size=10))
def test_over_all_swaps_of_the_arms_the_evidence_averages_one_after_every_pair(sizes: list[float]):
    logs = sign_evidence(SIGNS * np.array(sizes))
    assert np.exp(logs).mean(axis=0) == pytest.approx(np.ones(10))


@given(st.lists(st.floats(0, 3), min_size=10, max_size=10), st.floats(0, 1))
def test_a_candidate_that_lies_lower_yields_less_evidence(sizes: list[float], lower: float):
    differences = SIGNS * np.array(sizes)
    assert (sign_evidence(differences - lower) <= sign_evidence(differences) + 1e-12).all()


def test_each_swap_is_reached_as_rarely_as_ville_promises():
    logs = sign_evidence(SIGNS * np.linspace(0.2, 3, 10))
    for alpha in (0.5, 0.2, 0.1, 0.05):
        assert (logs >= math.log(1 / alpha)).any(axis=1).mean() <= alpha
    assert (logs >= math.log(1 / 0.1)).any()


@pytest.mark.parametrize("mean", [0.1, 0.5, 0.9])
def test_over_all_courses_of_two_values_the_evidence_on_their_mean_averages_one(mean: float):
    courses = (SIGNS + 1) / 2
    chances = np.prod(np.where(courses == 1, mean, 1 - mean), axis=1)
    found = np.exp(mean_evidence(courses, least=0.0, mean=mean))
    assert chances @ found == pytest.approx(np.ones(10))


@given(VALUES, st.floats(0.001, 0.2))
def test_the_interval_holds_the_observed_mean_and_stays_where_the_values_can_be(values: np.ndarray, alpha: float):
    low, high = mean_interval(values, least=0.0, most=1.0, alpha=alpha)
    assert 0 <= low <= values.mean() + 1e-9
    assert values.mean() - 1e-9 <= high <= 1


@given(VALUES)
def test_the_interval_is_what_the_running_evidence_does_not_rule_out(values: np.ndarray):
    low, high = mean_interval(values, least=0.0, most=1.0, alpha=0.3)
    enough = math.log(2 / 0.3)
    for mean in np.linspace(0.01, 0.99, 23):
        above = mean_evidence(values, least=0.0, mean=mean)[-1] >= enough
        below = mean_evidence(-values, least=-1.0, mean=-mean)[-1] >= enough
        assert (above or below) == (not low < mean < high) or min(abs(mean - low), abs(mean - high)) < 1e-6


def test_mirrored_values_have_the_mirrored_interval():
    values = np.random.default_rng(3).beta(2, 9, 200)
    low, high = mean_interval(values, least=0.0, most=1.0, alpha=0.05)
    assert mean_interval(1 - values, least=0.0, most=1.0, alpha=0.05) == pytest.approx((1 - high, 1 - low))


def test_more_values_make_the_interval_narrower():
    values = np.random.default_rng(4).random(4000) - 0.5
    widths = [np.diff(mean_interval(values[:n], least=-0.5, most=0.5, alpha=0.05))[0] for n in (50, 500, 4000)]
    assert widths[0] > widths[1] > widths[2]
    assert widths[2] < 0.06


def test_the_interval_of_a_mean_holds_at_all_looks_together():
    draw = np.random.default_rng(5)
    differences = (draw.random((600, 1500)) < 0.1).astype(float) - (draw.random((600, 1500)) < 0.1)
    enough = math.log(2 / 0.1)
    missed = [(mean_evidence(sign * differences, least=-1.0, mean=0.0) >= enough).any(axis=1) for sign in (1, -1)]
    assert np.any(missed, axis=0).mean() <= 0.1
    # An interval for one look does not.
    z = np.cumsum(differences, axis=1)[:, 49:] / np.sqrt(np.cumsum(differences**2, axis=1)[:, 49:].clip(1))
    assert (np.abs(z) > 1.645).any(axis=1).mean() > 0.2


def test_no_bet_can_lose_everything():
    logs = mean_evidence(np.zeros(5), least=0.0, mean=0.5)
    assert logs[-1] == pytest.approx(math.log(np.mean([(1 - bet) ** 5 for bet in MEAN_BETS])))


def test_an_average_of_evidences_may_be_weighted():
    logs = [np.log([1.0, 2.0]), np.log([3.0, 8.0])]
    assert np.exp(average(logs)) == pytest.approx([2.0, 5.0])
    assert np.exp(average(logs, (0.75, 0.25))) == pytest.approx([1.5, 3.5])


def test_evidence_starts_at_one_and_stays_a_number():
    assert highest(np.empty(0)) == highest(np.array([-3.0, -1.0])) == 0.0
    assert highest(np.array([-3.0, 2.0, 1.0])) == 2.0
    assert math.isfinite(evidence_of(1e6))


def test_a_limit_is_found_between_what_is_ruled_out_and_what_is_not():
    assert last_ruled_out(lambda value: value < 0.3, 0.0, 1.0) == pytest.approx(0.3)
    assert last_ruled_out(lambda value: False, -2.0, 1.0) == -2.0
