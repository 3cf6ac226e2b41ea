"""One estimate against its limits: holds, does not hold, or cannot be judged.

What belongs here: pure arithmetic on a value and its 95 % interval. What does not: which gates there are and
which must hold (``policy``).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from readmission_platform.config.governance import GateRule
from readmission_platform.foundation.values import Limits

Result = Literal["pass", "fail", "insufficient"]


@dataclass(frozen=True)
class Estimate:
    """A metric's value with its 95 % interval; None stands for missing, NaN and infinite alike."""

    value: float | None
    low: float | None
    high: float | None
    n: int | None
    positives: int | None


@dataclass(frozen=True)
class Judgement:
    """The result of one estimate against one set of limits."""

    result: Result
    estimate: Estimate
    detail: str


@dataclass(frozen=True)
class Bound:
    """A limit on one number of an estimate."""

    number: Literal["value", "low", "high"]
    sense: Literal[">=", ">", "<="]
    limit: float

    def margin(self, estimate: Estimate) -> float | None:
        """Return how far inside the limit the number lies; None when it is missing."""
        number: float | None = getattr(estimate, self.number)
        if number is None:
            return None
        return self.limit - number if self.sense == "<=" else number - self.limit

    def holds(self, estimate: Estimate) -> bool:
        """Tell whether the number is there and within the limit."""
        margin = self.margin(estimate)
        return margin is not None and (margin > 0 if self.sense == ">" else margin >= 0)

    def is_excluded(self, estimate: Estimate) -> bool:
        """Tell whether even the more favourable end of the interval violates the limit."""
        friendly = estimate.low if self.sense == "<=" else estimate.high
        return friendly is not None and (friendly > self.limit if self.sense == "<=" else friendly < self.limit)


def read_estimate(raw: object) -> Estimate:
    """Read an entry of ``estimates``; what is no finite number counts as missing."""
    content = raw if isinstance(raw, Mapping) else {}
    low, high = _finite(content.get("low")), _finite(content.get("high"))
    if low is not None and high is not None and low > high:
        low = high = None
    return Estimate(
        value=_finite(content.get("value")),
        low=low,
        high=high,
        n=_count(content.get("n")),
        positives=_count(content.get("positives")),
    )


def describe(limits: Limits) -> str:
    """Write limits as people read them, for example ``>= 0.655 and lower bound >= 0.64``."""
    words = {
        "at_least": ">= {:g}",
        "at_most": "<= {:g}",
        "lower_bound_at_least": "lower bound >= {:g}",
        "lower_bound_above": "lower bound > {:g}",
        "upper_bound_at_most": "upper bound <= {:g}",
    }
    parts = [text.format(getattr(limits, name)) for name, text in words.items() if getattr(limits, name) is not None]
    if limits.between is not None:
        parts.append("95 % interval meets {:g} to {:g}".format(*limits.between))
    return " and ".join(parts)


def judge(raw: object, rule: GateRule, limits: Limits) -> Judgement:
    """Judge one estimate.

    A missing number fails. Too few events make it insufficient. An interval too wide to mean anything does
    too, unless the whole of it lies on the wrong side of a limit.

    Parameters
    ----------
    raw
        ``{"value", "low", "high", "n", "positives"}``, or None when there is no such metric.
    rule, limits
        The gate, and the limits to apply (its own, or additional ones).
    """
    estimate = read_estimate(raw)
    bounds = bounds_of(limits)

    def judged(result: Result, detail: str) -> Judgement:
        return Judgement(result, estimate, detail)

    if raw is None:
        return judged("fail", "missing: there is no such estimate")
    if rule.min_positives and estimate.positives is None:
        return judged("fail", "missing: the number of events behind the estimate is not known")
    if rule.min_positives and (estimate.positives or 0) < rule.min_positives:
        return judged("insufficient", f"fewer than {rule.min_positives} events")
    if estimate.value is None or any(bound.margin(estimate) is None for bound in bounds):
        return judged("fail", "missing: the estimate or its 95 % interval is not a number")
    if rule.max_interval_width is not None:
        if estimate.low is None or estimate.high is None:
            return judged("fail", "missing: the 95 % interval is not a number")
        too_wide = estimate.high - estimate.low > rule.max_interval_width
        if too_wide and not any(bound.is_excluded(estimate) for bound in bounds):
            return judged("insufficient", f"95 % interval wider than {rule.max_interval_width:g}")
    if all(bound.holds(estimate) for bound in bounds):
        return judged("pass", "within the limit")
    return judged("fail", "outside the limit")


def unusable_limit(limits: Limits) -> str | None:
    """Say what makes limits meaningless (NaN, infinite, upside down), or return None."""
    numbers = [bound.limit for bound in bounds_of(limits)]
    if not numbers:
        return "there is no limit"
    if not all(math.isfinite(number) for number in numbers):
        return "a limit is not a finite number"
    if limits.between is not None and limits.between[0] > limits.between[1]:
        return "the lower limit is above the upper one"
    return None


def bounds_of(limits: Limits) -> list[Bound]:
    """Return every bound that limits put on an estimate; all must hold."""
    bounds: list[Bound] = []
    if limits.at_least is not None:
        bounds.append(Bound("value", ">=", limits.at_least))
    if limits.at_most is not None:
        bounds.append(Bound("value", "<=", limits.at_most))
    if limits.lower_bound_at_least is not None:
        bounds.append(Bound("low", ">=", limits.lower_bound_at_least))
    if limits.lower_bound_above is not None:
        bounds.append(Bound("low", ">", limits.lower_bound_above))
    if limits.upper_bound_at_most is not None:
        bounds.append(Bound("high", "<=", limits.upper_bound_at_most))
    if limits.between is not None:  # fails only when the whole interval lies outside
        bounds += [Bound("high", ">=", limits.between[0]), Bound("low", "<=", limits.between[1])]
    return bounds


def room(estimate: Estimate, limits: Limits) -> float:
    """Return how far an estimate is from its nearest limit, negative beyond it; minus infinity where it is missing.

    A range that the interval has to meet is taken as one for the value: this compares estimates, and judges none.
    """
    if estimate.value is None:
        return -math.inf
    bounds = bounds_of(limits.model_copy(update={"between": None}))
    if limits.between is not None:
        bounds += [Bound("value", ">=", limits.between[0]), Bound("value", "<=", limits.between[1])]
    return min((margin for bound in bounds if (margin := bound.margin(estimate)) is not None), default=-math.inf)


def _finite(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def _count(value: object) -> int | None:
    number = _finite(value)
    return int(number) if number is not None and number >= 0 else None
