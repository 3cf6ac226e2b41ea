"""What goes into a comparison of two arms, and what comes out of it.

What belongs here: shapes and their validation. What does not: tests.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

from readmission_platform.evaluation.sequential.bets import FloatArray
from readmission_platform.evaluation.sequential.shares import BoolArray, IntArray

Verdict = Literal["worse", "inconclusive", "fine"]
# Those whose evidence follows the requests in their order.
InOrder = Literal[
    "failed",
    "failed_ceiling",
    "withheld",
    "withheld_ceiling",
    "latency",
    "latency_tail",
    "latency_ceiling",
    "scores",
]
Test = Literal[InOrder, "inputs"]
# The part of alpha that each test may spend. Errors get most, because they have to be found soonest.
SPENT: Final[Mapping[Test, float]] = {
    "failed": 0.45,
    "failed_ceiling": 0.03,
    "withheld": 0.1,
    "withheld_ceiling": 0.02,
    "latency": 0.05,
    "latency_tail": 0.05,
    "latency_ceiling": 0.05,
    "scores": 0.2,
    "inputs": 0.05,
}


class UnusableSample(ValueError):
    """What was logged of an arm cannot be tested."""


@dataclass(frozen=True)
class ArmCounts:
    """What the prediction log says of one arm since the roll-out began, in the order of the requests.

    Parameters
    ----------
    failed, withheld : shape (requests,), one flag for each request. A request that failed is not withheld.
    latencies_ms : shape (any,), at least 0; of each request that was timed.
    risks : shape (any,), between 0 and 1; of each request that was scored.
    inputs : by column, the requests in each category or bin, shape (k,). The bins are fixed beforehand and the same in
        both arms.

    Raises
    ------
    UnusableSample
        Lengths differ, or a value is missing or impossible.
    """

    failed: BoolArray
    withheld: BoolArray
    latencies_ms: FloatArray = field(default_factory=lambda: np.empty(0))
    risks: FloatArray = field(default_factory=lambda: np.empty(0))
    inputs: Mapping[str, IntArray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("failed", "withheld"):
            flags = np.asarray(getattr(self, name))
            if flags.ndim != 1 or (flags.size and flags.dtype != np.bool_):
                raise UnusableSample(f"{name} has to hold one true or false for each request")
            object.__setattr__(self, name, flags.astype(bool))
        if len(self.failed) != len(self.withheld):
            raise UnusableSample(f"{len(self.failed)} requests failed or not, {len(self.withheld)} withheld or not")
        for name, most in (("latencies_ms", np.inf), ("risks", 1.0)):
            object.__setattr__(self, name, _numbers(name, getattr(self, name), most))
        counts = {column: _counts(column, each) for column, each in self.inputs.items()}
        object.__setattr__(self, "inputs", counts)

    @property
    def requests(self) -> int:
        """How many requests the arm has answered or failed to answer."""
        return len(self.failed)


def _numbers(name: str, values: FloatArray, most: float) -> FloatArray:
    numbers = np.asarray(values, dtype=float)
    if numbers.ndim != 1 or not np.isfinite(numbers).all() or (numbers < 0).any() or (numbers > most).any():
        raise UnusableSample(f"{name} has to hold finite numbers from 0{'' if np.isinf(most) else f' to {most:g}'}")
    return numbers


def _counts(column: str, values: IntArray) -> IntArray:
    counts = np.asarray(values)
    if counts.ndim != 1 or not np.issubdtype(counts.dtype, np.integer) or not counts.size or (counts < 0).any():
        raise UnusableSample(f"the inputs of {column} have to be counts by category")
    return counts.astype(np.int64)


@dataclass(frozen=True)
class SequentialLimits:
    """How much worse a candidate may be, and how much must have been seen.

    Parameters
    ----------
    alpha : largest probability that a candidate which is within all limits is found worse, over all tests and looks.
    min_samples : requests that each arm needs before anything is fine; half as many have to have a latency and a score.
    error_margin, withheld_margin : differences of shares that have to be ruled out under ``proof="margin"``.
    error_ceiling, withheld_ceiling : shares that the candidate may not exceed however the control arm does.
    latency_tolerance : the candidate may be slower by this share.
    latency_quantile, latency_margin_ms, latency_ceiling_ms : the quantile that may be higher by the margin, and not
        higher than the ceiling.
    score_tolerance : shift of the scores, in standard deviations, that two versions may differ by.
    score_shift : shift that has to be ruled out under ``proof="margin"``.
    proof : what makes a test *fine* once there are enough samples. ``samples``: that it did not find the candidate
        worse. ``margin``: also that its interval rules out more than the margin, or more than the ceiling, wherever it
        has one; that takes larger samples, and so protects against calling a test fine that could not have found much.
    """

    alpha: float
    min_samples: int
    error_margin: float
    error_ceiling: float
    withheld_margin: float
    withheld_ceiling: float
    latency_tolerance: float
    latency_quantile: float
    latency_margin_ms: float
    latency_ceiling_ms: float
    score_tolerance: float
    score_shift: float
    proof: Literal["margin", "samples"]

    def __post_init__(self) -> None:
        inside = (self.alpha, self.error_margin, self.error_ceiling, self.withheld_margin, self.withheld_ceiling,
                  self.latency_quantile)  # fmt: skip
        if not all(0 < value < 1 for value in inside):
            raise ValueError("alpha, margins and ceilings of shares, and the quantile, lie between 0 and 1")
        least = (self.latency_tolerance, self.latency_margin_ms, self.score_tolerance)
        if not (all(0 <= value < np.inf for value in least) and 0 < self.latency_ceiling_ms < np.inf):
            raise ValueError("tolerances and the margin of the latency are at least 0, and its ceiling is above 0")
        if not self.score_tolerance < self.score_shift < np.inf or self.min_samples < 1:
            raise ValueError(
                "the shift to rule out is larger than the one tolerated, and at least one sample is needed"
            )

    def alpha_of(self, test: Test) -> float:
        """Return the largest probability that this test finds a candidate worse that is within its limit."""
        return self.alpha * SPENT[test]


@dataclass(frozen=True)
class Finding:
    """What one test says.

    ``evidence`` is the most that the bet against "no worse" has been worth so far, from a start of 1; the candidate is
    found worse when it reaches ``1 / alpha``. ``estimate`` is the difference, or what has a ceiling: shares as parts of
    1; of ``latency`` the ratio of the medians, of the other latencies milliseconds; of ``scores`` standard deviations.
    ``low`` to ``high`` holds the true value at all looks together with probability ``1 - alpha``. None: not known yet.
    """

    name: Test
    evidence: float
    alpha: float
    estimate: float | None
    low: float | None
    high: float | None
    n_control: int
    n_candidate: int
    verdict: Verdict
    words: str

    @property
    def p_value(self) -> float:
        """The always-valid p value."""
        return min(1.0, 1 / self.evidence)


@dataclass(frozen=True)
class Comparison:
    """All tests of a candidate against its control arm.

    *worse* as soon as one test says so, however few samples there are. *fine* when each test is. Else *inconclusive*.
    """

    verdict: Verdict
    findings: tuple[Finding, ...]

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the verdict is not *fine*: the sentences of the tests that it rests on; empty otherwise."""
        return tuple(each.words for each in self.findings if each.verdict == self.verdict != "fine")
