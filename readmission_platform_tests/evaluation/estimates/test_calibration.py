"""Calibration against scikit-learn's unpenalised logistic regression and brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from readmission_platform.evaluation.estimates import calibration
from readmission_platform.evaluation.estimates.ranking import accumulate, grouped_by_place, rank_rows


def simulate(n, *, slope=1.0, shift=0.0, seed=0):
    generator = np.random.default_rng(seed)
    log_odds = generator.normal(-2, 0.7, size=n)
    labels = (generator.random(n) < 1 / (1 + np.exp(-(shift + slope * log_odds)))).astype(int)
    return labels, 1 / (1 + np.exp(-log_odds)), generator.integers(0, 4, size=n)


def oracle(labels, scores, weights=None):
    fit = LogisticRegression(C=1e12, tol=1e-12, max_iter=1000)
    fit.fit(calibration.logit(scores)[:, None], labels, sample_weight=weights)
    return fit.intercept_[0], fit.coef_[0, 0]


@pytest.mark.parametrize(("slope", "shift"), [(1.0, 0.0), (0.6, -0.4), (2.5, 1.0)])
def test_slope_and_intercept_agree_with_logistic_regression(slope, shift):
    labels, scores, weights = simulate(3000, slope=slope, shift=shift)
    found = calibration.recalibration(labels=labels, scores=scores)
    assert found == pytest.approx(oracle(labels, scores), abs=1e-4)
    weighted = calibration.recalibration(labels=labels, scores=scores, weights=weights)
    assert weighted == pytest.approx(oracle(labels, scores, weights), abs=1e-4)


@pytest.mark.parametrize(("n", "error"), [(1500, 1e-8), (20_000, 3e-4)])
def test_many_weightings_at_once_give_each_ones_own_fit(n, error):
    """Grouping many rows is allowed an error far below a replicate's standard error (.04 at 20,000 rows)."""
    labels, scores, _ = simulate(n)
    weights = np.random.default_rng(1).poisson(1.0, size=(5, n)).astype(np.int32)
    weights[0] = 1
    ranking = rank_rows(labels=labels, scores=scores)
    edges, logits = calibration.recalibration_groups(ranking)
    total, positive = grouped_by_place(accumulate(ranking=ranking, weights=weights), edges=edges)
    found = calibration.recalibrate(x=logits, total=total, positive=positive)
    for i, row in enumerate(weights):
        exact = calibration.recalibration(labels=labels, scores=scores, weights=row)
        assert (found.intercept[i], found.slope[i]) == pytest.approx(exact, abs=error)


def test_a_fit_that_does_not_exist_is_undefined():
    scores = np.linspace(0.1, 0.9, 20)
    one_class, separated = np.zeros(20, dtype=int), (scores > 0.5).astype(int)
    assert np.isnan(calibration.recalibration(labels=one_class, scores=scores)).all()
    assert np.isnan(calibration.recalibration(labels=separated, scores=scores)).all()
    assert np.isnan(calibration.recalibration(labels=separated, scores=np.full(20, 0.3))).all()
    assert np.isnan(calibration.recalibration(labels=one_class[:0], scores=scores[:0])).all()


def test_certain_scores_do_not_break_the_fit():
    labels, scores, _ = simulate(2000)
    scores[:2], labels[:2] = (0.0, 1.0), (0, 1)
    assert np.isfinite(calibration.recalibration(labels=labels, scores=scores)).all()


def test_equal_mass_bins_of_distinct_scores_are_exactly_equal():
    scores = np.random.default_rng(2).permutation(np.linspace(0, 1, 1000))
    assert np.bincount(calibration.equal_mass_bins(scores=scores)).tolist() == [100] * 10


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 30), st.integers(0, 3)), min_size=1, max_size=60))
def test_observed_over_expected_treats_a_weight_as_repetition(cases):
    labels, scores, weights = (np.array(column) for column in zip(*cases, strict=True))
    scores = scores / 30
    found = calibration.observed_expected(labels=labels, scores=scores, weights=weights)
    repeated = {"labels": np.repeat(labels, weights), "scores": np.repeat(scores, weights)}
    assert found == pytest.approx(calibration.observed_expected(**repeated), nan_ok=True)


def test_reliability_bins_add_up_to_all_rows():
    labels, scores, _ = simulate(1234)
    bins = calibration.reliability_bins(labels=labels, scores=scores)
    assert sum(b["n"] for b in bins) == 1234
    assert sum(b["positives"] for b in bins) == labels.sum()
    assert [b["mean_score"] for b in bins] == sorted(b["mean_score"] for b in bins)
