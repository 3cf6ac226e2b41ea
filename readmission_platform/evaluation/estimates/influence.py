"""AUROC lost between two scores of the same rows, with intervals over entities and without resampling.

What belongs here: the difference of two AUROC with its clustered standard error. What does not: figures of the
evidence, whose intervals come from the bootstrap (``bootstrap``), which would be too slow for dozens of scores.

Source: DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44:837, with entities as clusters as in Obuchowski 1997,
Biometrics 53:567: each row's influence on the AUROC is the share of the other class it is ranked right against,
and influences are added up within an entity before their variance is taken.
"""

from collections.abc import Mapping

import numpy as np

from readmission_platform.evaluation.estimates.ranking import FloatArray, IntArray

# 97.5 % point of the normal distribution: half the width of a 95 % interval, in standard errors.
HALF_WIDTH = 1.959964


def auroc_losses(
    *, labels: IntArray, reference: FloatArray, others: Mapping[str, FloatArray], entities: IntArray
) -> dict[str, dict[str, float | None]]:
    """Return how much AUROC each other score has less than the reference.

    Parameters
    ----------
    labels, reference : (n,) 0/1, and any numbers, higher = riskier.
    others : scores (n,) of the same rows, by name.
    entities : (n,) whole numbers from 0 that say whose row each is.

    Returns
    -------
    ``value``, ``low`` and ``high`` (95 % interval) by name; None where only one class or one entity is there.
    """
    ours = _influences(labels, reference)
    clusters = int(entities.max()) + 1 if len(entities) else 0
    losses: dict[str, dict[str, float | None]] = {}
    for name, scores in others.items():
        theirs = _influences(labels, scores)
        if ours is None or theirs is None or clusters < 2:
            losses[name] = {"value": None, "low": None, "high": None}
            continue
        value = ours[0] - theirs[0]
        sums = np.bincount(entities, weights=ours[1] - theirs[1], minlength=clusters)
        error = float(np.sqrt(clusters / (clusters - 1) * np.square(sums).sum()))
        losses[name] = {"value": value, "low": value - HALF_WIDTH * error, "high": value + HALF_WIDTH * error}
    return losses


def _influences(labels: IntArray, scores: FloatArray) -> tuple[float, FloatArray] | None:
    """Return the AUROC and what each row (n,) adds to its deviation; they sum to 0."""
    positive = labels == 1
    cases, others = np.sort(scores[positive]), np.sort(scores[~positive])
    if not len(cases) or not len(others):
        return None
    # The share of negatives that a positive outranks, ties one half; and the other way round.
    above = _share_below(others, scores[positive])
    below = 1 - _share_below(cases, scores[~positive])
    area = float(above.mean())
    influence = np.empty(len(scores))
    influence[positive] = (above - area) / len(cases)
    influence[~positive] = (below - area) / len(others)
    return area, influence


def _share_below(ordered: FloatArray, values: FloatArray) -> FloatArray:
    left, right = np.searchsorted(ordered, values, side="left"), np.searchsorted(ordered, values, side="right")
    return np.asarray((left + right) / (2 * len(ordered)), dtype=np.float64)


def mean_with_interval(values: FloatArray, *, entities: IntArray) -> dict[str, float | None]:
    """Return the mean of ``values`` (n,) with its 95 % interval over entities (n,); None where there is no spread."""
    if not len(values):
        return {"value": None, "low": None, "high": None}
    mean = float(values.mean())
    clusters = int(entities.max()) + 1
    if clusters < 2:
        return {"value": mean, "low": None, "high": None}
    sums = np.bincount(entities, weights=(values - mean) / len(values), minlength=clusters)
    error = float(np.sqrt(clusters / (clusters - 1) * np.square(sums).sum()))
    return {"value": mean, "low": mean - HALF_WIDTH * error, "high": mean + HALF_WIDTH * error}
