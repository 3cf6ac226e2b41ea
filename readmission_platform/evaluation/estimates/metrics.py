"""Discrimination, overall accuracy and capacity metrics of one set of rows.

Every function takes ``labels`` (n,) of 0/1, ``scores`` (n,) where higher is riskier, and optional ``weights``
(n,): an integer weight means that the row occurs that often. An undefined metric is NaN, never a made-up
number.

What belongs here: metrics a person calls on one set of rows, and the formulas shared with the bootstrap. What
does not: calibration (``calibration``), usefulness (``decision_curves``), subgroups (``fairness``).
"""

from dataclasses import dataclass

import numpy as np

from readmission_platform.evaluation.estimates.ranking import (
    Flag,
    FloatArray,
    IntArray,
    Running,
    Weights,
    accumulate,
    auroc_of,
    average_precision_of,
    flag_at_share,
    flagged,
    rank_rows,
    ratio,
)


@dataclass(frozen=True)
class Capacity:
    """What flagging achieves, for ``r`` weightings, (r,) each."""

    recall: FloatArray
    ppv: FloatArray
    accuracy: FloatArray
    f1: FloatArray
    false_positive_rate: FloatArray


def running_weights(*, labels: IntArray, scores: FloatArray, weights: Weights | None) -> Running:
    """Sort one set of rows and sum its weights along the order (a single weighting, r = 1)."""
    row_weights = np.ones(len(labels), dtype=np.int64) if weights is None else weights
    return accumulate(ranking=rank_rows(labels=labels, scores=scores), weights=row_weights[np.newaxis, :])


def auroc(*, labels: IntArray, scores: FloatArray, weights: Weights | None = None) -> float:
    """Return the area under the ROC curve: the chance that a positive outranks a negative (ties one half).

    Source: Hanley and McNeil 1982, Radiology 143:29. NaN when only one class is present.
    """
    return float(auroc_of(running_weights(labels=labels, scores=scores, weights=weights))[0])


def average_precision(*, labels: IntArray, scores: FloatArray, weights: Weights | None = None) -> float:
    """Return the step-wise area under the precision-recall curve; NaN without positives."""
    return float(average_precision_of(running_weights(labels=labels, scores=scores, weights=weights))[0])


def brier(*, labels: IntArray, scores: FloatArray, weights: Weights | None = None) -> float:
    """Return the mean squared difference between probability and outcome (Brier 1950); NaN for no rows."""
    row_weights = np.ones(len(labels)) if weights is None else weights.astype(np.float64)
    squared = row_weights @ np.square(scores - labels)
    return float(ratio(np.asarray(squared), np.asarray(row_weights.sum())))


def skill(*, brier_score: FloatArray, prevalence: FloatArray) -> FloatArray:
    """Return the Brier skill against always saying the prevalence q, (r,): 1 - Brier / (q (1 - q))."""
    return 1 - ratio(brier_score, prevalence * (1 - prevalence))


def brier_skill(*, labels: IntArray, scores: FloatArray, weights: Weights | None = None) -> float:
    """Return the Brier skill score of one set of rows; NaN when only one class is present."""
    row_weights = np.ones(len(labels)) if weights is None else weights.astype(np.float64)
    prevalence = ratio(np.asarray(row_weights @ labels), np.asarray(row_weights.sum()))
    score = np.asarray(brier(labels=labels, scores=scores, weights=weights))
    return float(skill(brier_score=score, prevalence=prevalence))


def capacity_of(running: Running, *, flag: Flag) -> Capacity:
    """Return what a flag achieves; recall and F1 are NaN without positives."""
    chosen, found = flagged(running, flag=flag)
    total, positive = running.total, running.total_positive
    negative = total - positive
    wrong = (chosen - found) + (positive - found)
    return Capacity(
        recall=ratio(found, positive),
        ppv=ratio(found, chosen),
        accuracy=ratio(total - wrong, total),
        f1=np.where(positive > 0, ratio(2 * found, chosen + positive), np.nan),
        false_positive_rate=ratio(chosen - found, negative),
    )


def capacity_at_share(
    *, labels: IntArray, scores: FloatArray, share: float, weights: Weights | None = None
) -> dict[str, float]:
    """Return recall, ppv, accuracy, f1 and false_positive_rate when the top ``share`` (0 to 1) is flagged.

    ``ppv`` is also called precision. Ties at the boundary count in part (``flag_at_share``).
    """
    running = running_weights(labels=labels, scores=scores, weights=weights)
    capacity = capacity_of(running, flag=flag_at_share(running, share=share))
    return {
        "recall": float(capacity.recall[0]),
        "ppv": float(capacity.ppv[0]),
        "accuracy": float(capacity.accuracy[0]),
        "f1": float(capacity.f1[0]),
        "false_positive_rate": float(capacity.false_positive_rate[0]),
    }
