"""Correcting risks by a slope and an intercept of the log odds (Platt 1999; Cox 1958), fitted where they have no part.

What belongs here: pure functions on scores, labels and folds. What does not: models (``models.boosting``), and
measuring how well risks are calibrated (``calibration``).
"""

from dataclasses import dataclass

import numpy as np

from readmission_platform.evaluation.estimates.calibration import logit, recalibration


@dataclass(frozen=True)
class CrossFitted:
    """Corrected risks, shape (rows,), and the correction of fold 0, which goes with the model that is shipped."""

    scores: np.ndarray
    slope: float
    intercept: float


def corrected(scores: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """Return probabilities (rows,) whose log odds are those of the scores, corrected."""
    return np.asarray(1 / (1 + np.exp(-(slope * logit(scores) + intercept))))


def correction(scores: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Return slope and intercept of the log odds that make scores (rows,) most likely, to the last digits.

    Scores that separate the outcomes completely have no such correction, and keep their log odds: the leakage checks
    and gates see to such a model.
    """
    intercept, slope = recalibration(labels=labels, scores=scores)
    return (slope, intercept) if np.isfinite(slope) else (1.0, 0.0)


def cross_fitted(scores: np.ndarray, labels: np.ndarray, folds: np.ndarray) -> CrossFitted:
    """Correct the scores of each fold by what is fitted on all *other* folds, so that its own have no part in it.

    Parameters
    ----------
    scores, labels, folds
        Probabilities, 0 or 1, and 0 to k - 1, all present; shapes (rows,).
    """
    found = np.empty(len(scores))
    corrections = []
    for fold in range(int(folds.max()) + 1):
        held_out = folds == fold
        slope, intercept = correction(scores[~held_out], labels[~held_out])
        found[held_out] = corrected(scores[held_out], slope, intercept)
        corrections.append((slope, intercept))
    return CrossFitted(found, *corrections[0])
