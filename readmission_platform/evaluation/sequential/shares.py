"""Shares of requests: one arm against the other, and one arm against a ceiling. Exact, also where counts are small.

What belongs here: beta-binomial evidence. What does not: what the flags stand for.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from readmission_platform.evaluation.sequential.bets import FloatArray, average, last_ruled_out

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

# What the candidate's part of the discordant pairs may be if it is worse: centred on 5 % against 1 % errors (.84).
_PART: Final = (5.0, 1.5)


def discordant(first: BoolArray, second: BoolArray) -> tuple[IntArray, IntArray]:
    """Return the running numbers of pairs with the flag in ``first`` only, and in ``second`` only."""
    return (
        np.cumsum(first & ~second, axis=-1, dtype=np.int64),
        np.cumsum(second & ~first, axis=-1, dtype=np.int64),
    )


def split_evidence(first_only: IntArray, second_only: IntArray) -> FloatArray:
    """Return the log evidence that more than half of the discordant pairs fall to the first arm.

    The i-th request of one arm is paired with the i-th of the other. If both have the flag equally often, a discordant
    pair falls to either with probability 1/2, whatever the common rate, and also if that rate changes with time: the
    number is binomial. The evidence is the likelihood of a beta mixture of larger parts over that of 1/2, exact at
    every count, and at most 1 on average if the first arm has the flag less often.

    Parameters
    ----------
    first_only, second_only : running counts of one shape, as :func:`discordant` returns them.
    """
    return _log_mixture(first_only, second_only, at=0.5, prior=_PART)


def one_sided(candidate: BoolArray, control: BoolArray) -> FloatArray:
    """Return the running log evidence, shape (..., n), that the candidate has the flag more often."""
    return split_evidence(*discordant(candidate, control))


def two_sided(candidate: BoolArray, control: BoolArray) -> FloatArray:
    """Return the running log evidence, shape (..., n), that one of the two has the flag more often."""
    more, less = discordant(candidate, control)
    return average([split_evidence(more, less), split_evidence(less, more)])


def above_evidence(having: IntArray, of: IntArray, allowed: float) -> FloatArray:
    """Return the log evidence that a share is above ``allowed``, from ``having`` of ``of`` requests so far.

    The likelihood of a beta mixture of larger shares over that of ``allowed`` itself; at most 1 on average where the
    share is smaller.
    """
    return _log_mixture(having, of - having, at=allowed, prior=(1.0, max(1.0, 0.25 / allowed)))


def share_interval(having: int, of: int, *, alpha: float) -> tuple[float, float]:
    """Return the shares that a beta-binomial mixture does not rule out at any look (Robbins 1970, Jeffreys' prior)."""
    from scipy.special import betaln, xlog1py, xlogy

    mixed = float(betaln(having + 0.5, of - having + 0.5) - betaln(0.5, 0.5))

    def ruled_out(share: float) -> bool:
        return bool(mixed - xlogy(having, share) - xlog1py(of - having, -share) >= math.log(1 / alpha))

    if of == 0:
        return 0.0, 1.0
    return (
        last_ruled_out(ruled_out, 0.0, having / of),
        1 - last_ruled_out(lambda rest: ruled_out(1 - rest), 0.0, 1 - having / of),
    )


def _log_mixture(having: IntArray, lacking: IntArray, *, at: float, prior: tuple[float, float]) -> FloatArray:
    """Return the log likelihood of a beta prior cut to the shares above ``at``, less that of ``at``."""
    from scipy.special import betaincc, betaln

    # A pair of counts comes up again and again, and the incomplete beta function is slow.
    width = int(lacking.max(initial=0)) + 1
    pairs, where = np.unique(having * width + lacking, return_inverse=True)
    yes, no = np.divmod(pairs, width)
    first, second = prior
    with np.errstate(divide="ignore"):  # the part above is 0 where the counts say the opposite
        part = np.log(betaincc(first + yes, second + no, at)) - np.log(betaincc(first, second, at))
    likelihood = betaln(first + yes, second + no) - betaln(first, second)
    logs = likelihood + part - yes * math.log(at) - no * math.log1p(-at)
    return np.asarray(logs[where].reshape(having.shape))
