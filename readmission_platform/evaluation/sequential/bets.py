"""Bets on differences whose sign, or whose mean, is in question, and the intervals that follow from them.

What belongs here: evidence as a running logarithm along the last axis, and its inversion. What does not: what the
values mean. Each bet is placed at several sizes at once and the winnings are averaged, so that neither small nor large
differences have to be guessed beforehand; an average of e-processes is one.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

FloatArray = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

# Of differences in standard deviations: best for shifts of about .06 to 4 of them.
SIGN_BETS: Final = tuple(2.0 * 0.5**step for step in range(7))
# Shares of the capital; .9 leaves something to go on with after the worst value.
MEAN_BETS: Final = tuple(0.9 * 0.5 ** (step / 2) for step in range(12))
_LARGEST: Final = 700.0


def average(logs: Sequence[FloatArray], weights: Sequence[float] | None = None) -> FloatArray:
    """Return the logarithm of the average of several evidences, given as logarithms of one shape; weights sum to 1."""
    shares = np.log(weights if weights is not None else np.full(len(logs), 1 / len(logs)))
    return np.asarray(np.logaddexp.reduce([log + share for log, share in zip(logs, shares, strict=True)], axis=0))


def evidence_of(log: float) -> float:
    """Return e to the power of ``log``, at most 1e304: JSON knows no infinity."""
    return math.exp(min(log, _LARGEST))


def highest(logs: FloatArray) -> float:
    """Return the highest value that a running evidence, shape (n,), has had; 0 (evidence 1) at the start."""
    return max(0.0, float(np.max(logs))) if logs.size else 0.0


def sign_evidence(differences: FloatArray) -> FloatArray:
    """Return the running log evidence that differences tend to lie above 0.

    If each difference ``x - y``, given what came before, has ``x`` from a distribution that is stochastically no larger
    than that of an independent ``y``, this is a supermartingale that starts at 1: each factor ``2 / (1 + exp(-2 b (x -
    y)))`` grows with ``x``, and averages 1 over a swap of ``x`` and ``y`` where the distributions are the same (de la
    Peña 1999; Ramdas et al. 2022, doi 10.1016/j.ijar.2022.06.007, on tests of symmetry). No moment is needed.

    Parameters
    ----------
    differences : shape (..., n), in about standard deviations; 0 places no bet.
    """
    total = np.full(differences.shape, -np.inf)
    for bet in SIGN_BETS:
        total = np.logaddexp(total, np.cumsum(math.log(2) - np.logaddexp(0.0, -2 * bet * differences), axis=-1))
    return np.asarray(total - math.log(len(SIGN_BETS)))


def mean_evidence(values: FloatArray, *, least: float, mean: float) -> FloatArray:
    """Return the running log evidence that values of at least ``least`` have a mean above ``mean``.

    The factors ``1 + b ((x - least) / (mean - least) - 1)`` average at most 1 where the conditional means are no
    larger than ``mean`` (Waudby-Smith and Ramdas 2024, doi 10.1093/jrsssb/qkad009).

    Parameters
    ----------
    values : shape (..., n), none below ``least``.
    mean : above ``least``.
    """
    total = np.full(values.shape, -np.inf)
    relative = (values - least) / (mean - least) - 1
    for bet in MEAN_BETS:
        total = np.logaddexp(total, np.cumsum(np.log1p(bet * relative), axis=-1))
    return np.asarray(total - math.log(len(MEAN_BETS)))


def mean_interval(values: FloatArray, *, least: float, most: float, alpha: float) -> tuple[float, float]:
    """Return the means, between ``least`` and ``most``, that bets on either side do not rule out.

    Parameters
    ----------
    values : shape (n,), each between ``least`` and ``most``, in the order in which they came.
    alpha : the interval holds the mean at all looks together with probability ``1 - alpha`` at least.
    """
    return (
        _lower_limit(values, least=least, most=most, alpha=alpha),
        -_lower_limit(-values, least=-most, most=-least, alpha=alpha),
    )


def _lower_limit(values: FloatArray, *, least: float, most: float, alpha: float) -> float:
    # Flags take few values, and the order no longer matters for the evidence at the end.
    distinct, counts = np.unique(values, return_counts=True)

    def ruled_out(mean: float) -> bool:
        if mean <= least:
            return True
        relative = (distinct - least) / (mean - least) - 1
        logs = np.log1p(np.multiply.outer(MEAN_BETS, relative)) @ counts
        return bool(np.logaddexp.reduce(logs) - math.log(len(MEAN_BETS)) >= math.log(2 / alpha))

    return last_ruled_out(ruled_out, least, most)


def last_ruled_out(ruled_out: Callable[[float], bool], low: float, high: float, *, within: float = 1e-9) -> float:
    """Return the highest value between ``low`` and ``high`` that is ruled out, or one up to ``within`` below it.

    ``ruled_out`` holds up to some value and from there on not; ``low`` if it never does.
    """
    if not ruled_out(low):
        return low
    while high - low > within:
        middle = (low + high) / 2
        low, high = (middle, high) if ruled_out(middle) else (low, middle)
    return low
