"""Curves for the pictures: at most 200 points each, rounded, plain lists.

What belongs here: the points of ROC, precision-recall, reliability and decision curves. What does not:
drawing them (``plots``). Points of ROC and precision-recall curves are so far apart that neither one of them nor the
way from one to the next counts 1 to 10 people, so that a curve cannot be read as a list of people.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from readmission_platform.evaluation.disclosure import is_few
from readmission_platform.evaluation.estimates import decision_curves
from readmission_platform.evaluation.estimates.calibration import reliability_bins
from readmission_platform.evaluation.estimates.ranking import FloatArray, IntArray

MOST_POINTS = 200
DIGITS = 5
HISTOGRAM_BINS = 30
# Beyond 50 % nobody would wait for a model to follow a patient up.
DECISION_THRESHOLDS = np.round(np.arange(0.01, 0.505, 0.01), 2)


def _listed(values: FloatArray) -> list[float]:
    return [round(float(value), DIGITS) for value in values]


def _steps(labels: IntArray, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Cumulative (flagged, found) at each distinct score, from the highest; starts at (0, 0)."""
    order = np.argsort(-scores, kind="stable")
    in_order = scores[order]
    ends = np.flatnonzero(np.append(in_order[1:] != in_order[:-1], True)) if len(order) else np.zeros(0, dtype=int)
    found = np.cumsum(labels[order])[ends]
    return np.append(0.0, ends + 1.0), np.append(0.0, found.astype(np.float64))


def _thinned(position: FloatArray) -> IntArray:
    """Indices of at most 200 points, evenly spread along a rising position, always with both ends."""
    if len(position) <= MOST_POINTS:
        return np.arange(len(position))
    wanted = np.linspace(position[0], position[-1], MOST_POINTS)
    return np.unique(np.minimum(np.searchsorted(position, wanted), len(position) - 1))


def _far_apart(flagged: FloatArray, found: FloatArray, position: FloatArray) -> IntArray:
    """Indices of points along a curve from one end to the other, none of which tells few people from the others."""
    alarms = flagged - found
    last = len(flagged) - 1

    def tells(one: int, other: int) -> bool:
        steps = (found[other] - found[one], alarms[other] - alarms[one])
        return any(map(is_few, (*steps, sum(steps))))

    kept = [0]
    for place in _thinned(position)[1:-1]:
        if not tells(kept[-1], place) and not tells(place, last):
            kept.append(int(place))
    return np.array([*kept, last])


def roc(*, labels: IntArray, scores: FloatArray) -> dict[str, list[float]]:
    """Return ``fpr`` and ``tpr`` of the ROC curve; empty lists when only one class is present."""
    flagged, found = _steps(labels, scores)
    positives, n = found[-1], flagged[-1]
    if positives in (0, n):
        return {"fpr": [], "tpr": []}
    tpr, fpr = found / positives, (flagged - found) / (n - positives)
    kept = _far_apart(flagged, found, tpr + fpr)
    return {"fpr": _listed(fpr[kept]), "tpr": _listed(tpr[kept])}


def precision_recall(*, labels: IntArray, scores: FloatArray) -> dict[str, list[float]]:
    """Return ``recall`` and ``precision``; empty lists without positives."""
    flagged, found = _steps(labels, scores)
    if found[-1] == 0:
        return {"recall": [], "precision": []}
    kept = _far_apart(flagged, found, flagged)[1:]  # where nobody is flagged there is no precision
    return {"recall": _listed(found[kept] / found[-1]), "precision": _listed(found[kept] / flagged[kept])}


def calibration(*, labels: IntArray, scores: FloatArray) -> dict[str, Any]:
    """Return reliability ``bins`` and a ``histogram`` of the scores (``edges`` and ``counts``)."""
    top = float(scores.max()) if len(scores) else 1.0
    counts, edges = np.histogram(scores, bins=HISTOGRAM_BINS, range=(0.0, top or 1.0))
    return {
        "bins": reliability_bins(labels=labels, scores=scores),
        "histogram": {"edges": _listed(edges), "counts": [int(c) for c in counts]},
    }


def decision(
    *,
    labels: IntArray,
    scores: FloatArray,
    points: Mapping[str, FloatArray],
    risks: Mapping[str, FloatArray],
    thresholds: tuple[float, ...],
) -> dict[str, Any]:
    """Return net benefit of the model, of following up all or none, and of the baselines.

    Parameters
    ----------
    points : point scores (n,) of baselines by name, turned into probabilities first; one that cannot be fitted has no
        points.
    risks : probabilities (n,) of baselines by name, taken as they are.
    thresholds : the thresholds in use, kept beside the curves as ``thresholds_in_use``.
    """
    if len(labels) == 0:
        return {
            "thresholds": [],
            "thresholds_in_use": list(thresholds),
            "model": [],
            "treat_all": [],
            "treat_none": [],
            "baselines": {},
        }
    grid = DECISION_THRESHOLDS
    others: dict[str, FloatArray | None] = {
        **{name: decision_curves.probability_from_points(labels=labels, points=each) for name, each in points.items()},
        **risks,
    }

    def benefit(probabilities: FloatArray | None) -> list[float]:
        if probabilities is None:
            return []
        return _listed(decision_curves.curve(labels=labels, scores=probabilities, thresholds=grid))

    return {
        "thresholds": _listed(grid),
        "thresholds_in_use": list(thresholds),
        "model": benefit(scores),
        "treat_all": _listed(decision_curves.treat_all(prevalence=float(labels.mean()), thresholds=grid)),
        "treat_none": [0.0] * len(grid),
        "baselines": {name: benefit(probabilities) for name, probabilities in others.items()},
    }
