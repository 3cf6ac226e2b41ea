"""Shares are compared exactly: against integrals, and against every course of a few requests."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import beta

from readmission_platform.evaluation.sequential.shares import (
    above_evidence,
    one_sided,
    share_interval,
    split_evidence,
    two_sided,
)

COURSES = np.array(list(itertools.product((False, True), repeat=12)))
STEPS = np.broadcast_to(np.arange(1, 13), COURSES.shape)
FLAGS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60).map(np.array)


@pytest.mark.parametrize(("first", "second"), [(0, 0), (1, 0), (0, 3), (7, 2), (2, 7), (20, 4)])
def test_the_evidence_of_a_split_is_the_mixture_over_all_larger_parts(first: int, second: int):
    mixture, total = (
        quad(lambda part, n=n, m=m: part**n * (1 - part) ** m * beta(5, 1.5).pdf(part), 0.5, 1)[0]
        for n, m in ((first, second), (0, 0))
    )
    found = math.exp(split_evidence(np.array([first]), np.array([second]))[0])
    assert found == pytest.approx(mixture / total * 2.0 ** (first + second), rel=1e-6)


@pytest.mark.parametrize(("having", "of", "allowed"), [(0, 5, 0.01), (3, 40, 0.05), (9, 10, 0.5), (40, 40, 0.99)])
def test_the_evidence_against_a_ceiling_is_the_mixture_over_all_larger_shares(having: int, of: int, allowed: float):
    prior = beta(1, max(1, 0.25 / allowed))
    mixture = quad(lambda p: (p / allowed) ** having * ((1 - p) / (1 - allowed)) ** (of - having) * prior.pdf(p),
                   allowed, 1)[0]  # fmt: skip
    found = math.exp(above_evidence(np.array([having]), np.array([of]), allowed)[0])
    assert found == pytest.approx(mixture / prior.sf(allowed), rel=1e-6)


def test_over_all_courses_of_discordant_pairs_the_evidence_averages_one_and_is_rarely_high():
    logs = one_sided(COURSES, ~COURSES)
    assert np.exp(logs).mean(axis=0) == pytest.approx(np.ones(12))
    for alpha in (0.3, 0.1, 0.05, 0.01):
        reached = (logs >= math.log(1 / alpha)).any(axis=1).mean()
        assert 0 < reached <= alpha


@pytest.mark.parametrize("share", [0.05, 0.2, 0.3])
def test_a_share_up_to_the_ceiling_wins_nothing_on_average(share: float):
    chances = np.prod(np.where(COURSES, share, 1 - share), axis=1)
    found = chances @ np.exp(above_evidence(np.cumsum(COURSES, axis=1), STEPS, 0.3))
    if share == 0.3:
        assert found == pytest.approx(np.ones(12))
    else:
        assert (np.diff(found, prepend=1.0) < 0).all()


@pytest.mark.parametrize(("control", "candidate"), [(0.2, 0.2), (0.5, 0.5), (0.4, 0.1)])
def test_whatever_the_common_rate_a_candidate_that_is_no_worse_wins_nothing_on_average(control, candidate):
    courses = np.array(list(itertools.product((False, True), repeat=8)))
    ours, theirs = courses[:, :4], courses[:, 4:]
    chances = np.prod(np.where(ours, candidate, 1 - candidate) * np.where(theirs, control, 1 - control), axis=1)
    found = chances @ np.exp(one_sided(ours, theirs))
    assert (found <= 1 + 1e-12).all()
    assert chances.sum() == pytest.approx(1)


@given(FLAGS)
def test_two_sided_evidence_does_not_depend_on_which_arm_is_the_candidate(flags: np.ndarray):
    assert two_sided(flags[:, 0], flags[:, 1]) == pytest.approx(two_sided(flags[:, 1], flags[:, 0]))


@given(FLAGS)
def test_pairs_that_agree_say_nothing(flags: np.ndarray):
    found = one_sided(flags[:, 0], flags[:, 1])
    kept = flags[flags[:, 0] != flags[:, 1]]
    assert found[-1] == pytest.approx(one_sided(kept[:, 0], kept[:, 1])[-1] if len(kept) else 0.0)


def test_many_roll_outs_at_once_are_judged_as_each_alone():
    draw = np.random.default_rng(2)
    ours, theirs = draw.random((2, 5, 80)) < 0.3
    together = one_sided(ours, theirs)
    assert together == pytest.approx(np.stack([one_sided(*each) for each in zip(ours, theirs, strict=True)]))


def test_large_counts_neither_overflow_nor_lose_the_sign():
    high, low = split_evidence(np.array([60_000, 40_000]), np.array([40_000, 60_000]))
    assert high > 1000
    assert low < -5


@pytest.mark.parametrize(("having", "of"), [(0, 20), (20, 20), (3, 50), (200, 1000)])
def test_the_interval_of_a_share_holds_the_observed_one_and_widens_with_certainty(having: int, of: int):
    wide, narrow = share_interval(having, of, alpha=0.01), share_interval(having, of, alpha=0.1)
    assert 0 <= wide[0] <= narrow[0] <= having / of <= narrow[1] <= wide[1] <= 1
    assert share_interval(of - having, of, alpha=0.1) == pytest.approx((1 - narrow[1], 1 - narrow[0]), abs=1e-6)


def test_nothing_seen_leaves_every_share_possible():
    assert share_interval(0, 0, alpha=0.05) == (0.0, 1.0)


def test_the_interval_of_a_share_holds_at_all_looks_together():
    draw, missed = np.random.default_rng(8), 0
    bounds = {}
    for _ in range(300):
        having = np.cumsum(draw.random(400) < 0.05)[9::10]
        for of, count in zip(range(10, 401, 10), having, strict=True):
            if (count, of) not in bounds:
                bounds[count, of] = share_interval(int(count), of, alpha=0.1)
            low, high = bounds[count, of]
            if not low <= 0.05 <= high:
                missed += 1
                break
    assert missed / 300 <= 0.1
