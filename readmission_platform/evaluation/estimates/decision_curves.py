"""Usefulness: net benefit and decision curves.

Source: Vickers and Elkin 2006, Medical Decision Making 26:565. Net benefit at threshold probability t is
``TP / n - FP / n * t / (1 - t)``: true positives gained, less false alarms at the exchange rate the threshold
implies.

What belongs here: net benefit of flagging at a probability, and the curves it makes. What does not: flagging
a fixed share of the rows (``metrics.capacity_at_share``).
"""

import numpy as np

from readmission_platform.evaluation.estimates.calibration import recalibrate
from readmission_platform.evaluation.estimates.metrics import running_weights
from readmission_platform.evaluation.estimates.ranking import (
    FloatArray,
    IntArray,
    Running,
    flag_at_threshold,
    flagged,
    ratio,
)


def net_benefit_of(running: Running, *, threshold: float) -> FloatArray:
    """Return the net benefit (r,) of flagging probabilities of at least ``threshold`` (between 0 and 1)."""
    chosen, found = flagged(running, flag=flag_at_threshold(running, threshold=threshold))
    return ratio(found - (chosen - found) * threshold / (1 - threshold), running.total)


def treat_all(*, prevalence: float, thresholds: FloatArray) -> FloatArray:
    """Return the net benefit of following up everybody at each threshold (t,)."""
    return np.asarray(prevalence - (1 - prevalence) * thresholds / (1 - thresholds), dtype=np.float64)


def curve(*, labels: IntArray, scores: FloatArray, thresholds: FloatArray) -> FloatArray:
    """Return the net benefit at each threshold (t,)."""
    running = running_weights(labels=labels, scores=scores, weights=None)
    return np.array([net_benefit_of(running, threshold=float(t))[0] for t in thresholds])


def probability_from_points(*, labels: IntArray, points: FloatArray) -> FloatArray | None:
    """Turn a point score into probabilities (n,) by logistic regression on the same rows; None without a fit.

    Scores that people compute by hand give points, and a decision curve needs probabilities. Fitting on the rows that
    are judged favours them, so what the model gains over them is not flattered.
    """
    everyone = np.ones((1, len(points)))
    fit = recalibrate(x=points, total=everyone, positive=everyone * labels)
    if not np.isfinite(fit.slope[0]):
        return None
    return np.asarray(1 / (1 + np.exp(-(fit.intercept[0] + fit.slope[0] * points))), dtype=np.float64)
