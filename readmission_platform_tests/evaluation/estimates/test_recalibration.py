"""A correction is the maximum of its likelihood, whatever solver one asks, and fitted where it has no part."""

import numpy as np
import pytest
from scipy.optimize import root

from readmission_platform.evaluation.estimates.calibration import logit
from readmission_platform.evaluation.estimates.recalibration import corrected, correction, cross_fitted


def solved(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return slope and intercept at which the score equations of logistic regression hold, by another solver."""
    x = logit(scores)

    def equations(parameters: np.ndarray) -> np.ndarray:
        residuals = labels - 1 / (1 + np.exp(-(parameters[0] * x + parameters[1])))
        return np.array([np.sum(residuals * x), np.sum(residuals)]) / len(x)

    found = root(equations, x0=np.array([1.0, 0.0]), tol=1e-14)
    assert np.abs(equations(found.x)).max() < 1e-13
    return np.asarray(found.x)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.7, -0.4), (1.3, 0.2)])
def test_slope_and_intercept_are_the_exact_fit(seed: int, slope: float, intercept: float):
    generator = np.random.default_rng(seed)
    scores = 1 / (1 + np.exp(-generator.normal(-2.2, 0.7, size=20_000)))
    labels = (generator.random(20_000) < corrected(scores, slope, intercept)).astype("int8")
    assert correction(scores, labels) == pytest.approx(tuple(solved(scores, labels)), abs=1e-9)


def test_scores_that_were_corrected_need_no_further_correction():
    generator = np.random.default_rng(11)
    scores = generator.beta(2, 14, size=8_000)
    labels = (generator.random(8_000) < corrected(scores, 0.8, 0.1)).astype("int8")
    once = corrected(scores, *correction(scores, labels))
    assert correction(once, labels) == pytest.approx((1, 0), abs=1e-9)
    assert once.sum() == pytest.approx(labels.sum(), rel=1e-10)


def test_scores_without_a_finite_correction_stay_as_they_are():
    scores, labels = np.array([0.1, 0.2, 0.8, 0.9]), np.array([0, 0, 1, 1])
    assert correction(scores, labels) == (1.0, 0.0)


def test_the_labels_of_a_fold_have_no_part_in_its_own_correction():
    generator = np.random.default_rng(3)
    scores, folds = generator.beta(2, 14, size=4_000), generator.integers(0, 5, size=4_000)
    labels = (generator.random(4_000) < corrected(scores, 0.8, 0.1)).astype("int64")
    found = cross_fitted(scores, labels, folds)
    flipped = cross_fitted(scores, np.where(folds == 2, 1 - labels, labels), folds)
    assert np.array_equal(found.scores[folds == 2], flipped.scores[folds == 2])
    assert (found.scores[folds != 2] != flipped.scores[folds != 2]).all()
    own = corrected(scores[folds == 0], found.slope, found.intercept)
    assert np.array_equal(found.scores[folds == 0], own)
