"""Where the values of one arm lie beside those of the other: risks, latencies and their quantiles.

What belongs here: evidence of a shift beyond what is tolerated, and the interval of shifts. What does not: limits.

The i-th value of one arm is paired with the i-th of the other; the scale of a bet comes from the pairs before it.
"""

import math
from bisect import bisect_left
from typing import Final

import numpy as np

from readmission_platform.evaluation.sequential.bets import (
    FloatArray,
    average,
    last_ruled_out,
    sign_evidence,
)
from readmission_platform.evaluation.sequential.shares import above_evidence, one_sided

# Pairs after which there is a scale to bet by.
_FIRST: Final = 10
# The pooled quantile is taken anew whenever the pairs have doubled.
_FIRST_QUANTILE: Final = 64
# Shifts beyond so many standard deviations are reported as that.
_WIDEST: Final = 50.0
_EXACT: Final = 1e-3


def scale_before(control: FloatArray, candidate: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return, for each pair, mean and standard deviation of the values of both arms before it, shape (..., n).

    The standard deviation is the mean of the two arms' own, so that a shift does not widen it; infinite where too few
    pairs, or only equal ones, came before: that places no bet.
    """
    before = np.maximum(np.arange(control.shape[-1]), 1)
    means, variances = zip(*(_moments_before(values, before) for values in (control, candidate)), strict=True)
    deviation = np.sqrt((variances[0] + variances[1]) / 2)
    known = (np.arange(control.shape[-1]) >= _FIRST) & (deviation > 1e-12)
    return (means[0] + means[1]) / 2, np.where(known, deviation, np.inf)


def _moments_before(values: FloatArray, before: np.ndarray) -> tuple[FloatArray, FloatArray]:
    # Centred on the first value, lest the difference of two large sums be left.
    centre = values[..., :1]
    moved = values - centre
    shifted = np.zeros((2, *values.shape))
    shifted[0, ..., 1:] = np.cumsum(moved, axis=-1)[..., :-1]
    shifted[1, ..., 1:] = np.cumsum(moved**2, axis=-1)[..., :-1]
    mean = shifted[0] / before
    return mean + centre, np.maximum(shifted[1] / before - mean**2, 0.0)


def score_evidence(control: FloatArray, candidate: FloatArray, *, tolerated: float) -> FloatArray:
    """Return the running log evidence that scores lie elsewhere, or spread otherwise, by more than is tolerated.

    The average of four bets: the candidate's scores are higher, lower (weight .4 each), further from the middle, or
    closer to it.

    Parameters
    ----------
    control, candidate : shape (..., n), scores of both arms in order.
    tolerated : standard deviations by which the arms may differ; two versions never agree entirely.
    """
    middle, deviation = scale_before(control, candidate)
    moved = (candidate - control) / deviation
    spread = (np.abs(candidate - middle) - np.abs(control - middle)) / deviation
    allowed = np.where(np.isfinite(deviation), tolerated, 0.0)
    return average(
        [sign_evidence(sign * each - allowed) for each in (moved, spread) for sign in (1, -1)], (0.4, 0.4, 0.1, 0.1)
    )


def shift_interval(control: FloatArray, candidate: FloatArray, *, alpha: float) -> tuple[float, float]:
    """Return the shifts of the candidate, in standard deviations, that bets on either side do not rule out.

    For distributions that differ by a shift; shape (n,) each. From -50 to 50 as long as nothing is ruled out.
    """
    _, deviation = scale_before(control, candidate)
    placed = np.isfinite(deviation)
    moved = (candidate - control)[placed] / deviation[placed]

    def lower(differences: FloatArray) -> float:
        def ruled_out(shift: float) -> bool:
            logs = sign_evidence(differences - shift)
            return bool(logs.size and logs[-1] >= math.log(2 / alpha))

        return last_ruled_out(ruled_out, -_WIDEST, _WIDEST, within=_EXACT)

    return lower(moved), -lower(-moved)


def slower_evidence(control: FloatArray, candidate: FloatArray) -> FloatArray:
    """Return the running log evidence that the candidate's latencies are longer; on their logarithms.

    Parameters
    ----------
    control, candidate : shape (..., n), above 0, in order; what is tolerated is added to ``control`` beforehand.
    """
    logs = np.log(control), np.log(candidate)
    _, deviation = scale_before(*logs)
    return sign_evidence((logs[1] - logs[0]) / deviation)


def tail_evidence(control: FloatArray, candidate: FloatArray, quantile: float) -> FloatArray:
    """Return the running log evidence that more of the candidate's values lie above the pooled quantile so far.

    Parameters
    ----------
    control, candidate : shape (..., n), in order; what is tolerated is added to ``control`` beforehand.
    """
    high = _quantile_before(control, candidate, quantile)
    return one_sided(candidate > high, control > high)


def _quantile_before(first: FloatArray, second: FloatArray, quantile: float) -> FloatArray:
    """Return, for each pair, the quantile of values that came before it; infinite for the first ones."""
    found = np.full(first.shape, np.inf)
    start = _FIRST_QUANTILE
    while start < first.shape[-1]:
        pooled = np.concatenate([first[..., :start], second[..., :start]], axis=-1)
        found[..., start : 2 * start] = np.quantile(pooled, quantile, axis=-1)[..., None]
        start *= 2
    return found


def quantile_interval(values: FloatArray, quantile: float, *, alpha: float) -> tuple[float, float]:
    """Return the values that the true quantile may have, at all looks together.

    How many values lie below a fixed number is a count like any other (Howard and Ramdas 2022, doi 10.3150/21-BEJ1388);
    ties make the interval wider, not wrong. Shape (n,); from 0 to infinity as long as nothing is ruled out.
    """
    ordered, size, enough = np.sort(values), len(values), math.log(2 / alpha)

    def above(having: int, allowed: float) -> bool:
        return bool(above_evidence(np.array([having]), np.array([size]), allowed)[0] >= enough)

    # The more of the values lie below a number, the less is it too low for the quantile, and the more too high.
    first_possible = bisect_left(range(size + 1), True, key=lambda below: not above(size - below, 1 - quantile))
    first_too_many = bisect_left(range(size + 1), True, key=lambda below: above(below, quantile))
    low = float(ordered[first_possible - 1]) if first_possible else 0.0
    high = float(ordered[first_too_many - 1]) if first_too_many <= size else math.inf
    return low, high
