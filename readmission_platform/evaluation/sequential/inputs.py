"""Whether both arms see the same kind of requests, column by column.

What belongs here: evidence from counts of categories, or of bins that were fixed beforehand. What does not: making
them. Arms that see different requests cannot be compared, or one of them reads its inputs wrongly.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from readmission_platform.evaluation.sequential.bets import FloatArray, average
from readmission_platform.evaluation.sequential.shares import IntArray


@dataclass(frozen=True)
class InputEvidence:
    """The log evidence that some column differs, and the ``column`` that speaks most for it.

    ``distance`` is that column's total variation distance, the share of requests that would have to change, 0 to 1.
    """

    log: float
    column: str
    distance: float


def category_evidence(control: IntArray, candidate: IntArray) -> FloatArray:
    """Return the log evidence, shape (...), that two arms draw from different shares, from counts of shape (..., k).

    Each category against all others: a beta mixture for each arm over the *best* common share, which is at least the
    true one (Wasserman et al. 2020, doi 10.1073/pnas.1922664117). So it holds at any look, for any order of the
    requests and sizes of the arms. The average over the categories corrects for their number.
    """
    from scipy.special import betaln, xlogy

    arms = np.stack([control, candidate]).astype(float)
    sizes = arms.sum(axis=-1, keepdims=True)
    pooled, size = arms.sum(axis=0), np.maximum(sizes.sum(axis=0), 1)
    mixed = (betaln(arms + 0.5, sizes - arms + 0.5) - betaln(0.5, 0.5)).sum(axis=0)
    common = xlogy(pooled, pooled / size) + xlogy(sizes.sum(axis=0) - pooled, 1 - pooled / size)
    return average(list(np.moveaxis(mixed - common, -1, 0)))


def input_evidence(control: Mapping[str, IntArray], candidate: Mapping[str, IntArray]) -> InputEvidence:
    """Return the evidence of all columns together: its average corrects for how many are looked at.

    Both have the same columns, at least one, each with counts of the same categories.
    """
    logs = {name: float(category_evidence(control[name], candidate[name])) for name in control}
    column = max(logs, key=lambda name: logs[name])
    first, second = (counts / max(counts.sum(), 1) for counts in (control[column], candidate[column]))
    together = float(average([np.asarray(log) for log in logs.values()]))
    return InputEvidence(together, column, float(np.abs(first - second).sum() / 2))
