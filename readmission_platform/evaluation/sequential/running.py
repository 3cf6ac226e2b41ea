"""The evidence of each test of a roll-out after every request: what its limits mean in terms of bets.

What belongs here: which bet answers which question. What does not: verdicts (``comparison``) and the inputs, which come
as counts (``inputs``). Works on many roll-outs at once, so that simulations judge by the same lines.
"""

from typing import assert_never

import numpy as np

from readmission_platform.evaluation.sequential.bets import FloatArray
from readmission_platform.evaluation.sequential.findings import InOrder, SequentialLimits
from readmission_platform.evaluation.sequential.shares import BoolArray, above_evidence, one_sided, two_sided
from readmission_platform.evaluation.sequential.shifts import score_evidence, slower_evidence, tail_evidence


def running_evidence(
    test: InOrder, control: FloatArray | BoolArray, candidate: FloatArray | BoolArray, limits: SequentialLimits
) -> FloatArray:
    """Return the log evidence, shape (..., n), that the candidate is beyond its limit, after each request.

    Parameters
    ----------
    control, candidate : shape (..., n), what the test is about: flags, latencies above 0 in milliseconds, or risks.
    """
    flags = np.asarray(candidate, dtype=bool), np.asarray(control, dtype=bool)
    ours, theirs = np.asarray(candidate, dtype=float), np.asarray(control, dtype=float)
    match test:
        case "failed":
            return one_sided(*flags)
        case "withheld":
            return two_sided(*flags)
        case "failed_ceiling":
            return _above(flags[0], limits.error_ceiling)
        case "withheld_ceiling":
            return _above(flags[0], limits.withheld_ceiling)
        case "latency":
            return slower_evidence(np.asarray(theirs * (1 + limits.latency_tolerance)), ours)
        case "latency_tail":
            return tail_evidence(np.asarray(theirs + limits.latency_margin_ms), ours, limits.latency_quantile)
        case "latency_ceiling":
            return _above(ours > limits.latency_ceiling_ms, 1 - limits.latency_quantile)
        case "scores":
            return score_evidence(theirs, ours, tolerated=limits.score_tolerance)
        case _:
            assert_never(test)


def _above(flags: BoolArray, allowed: float) -> FloatArray:
    having = np.cumsum(flags, axis=-1, dtype=np.int64)
    return above_evidence(having, np.broadcast_to(np.arange(1, flags.shape[-1] + 1), having.shape), allowed)
