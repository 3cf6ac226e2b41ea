"""Which gate a version passes with the least room.

What belongs here: comparing how far estimates of different kinds are from their limits. What does not: judging them
(``limits``, ``gates``).
"""

from collections.abc import Sequence

from readmission_platform.config.governance import GatePolicy, LimitSet
from readmission_platform.governance.policy.gates import GateResult
from readmission_platform.governance.policy.limits import Estimate, bounds_of


def closest_gate(results: Sequence[GateResult], policy: GatePolicy, limit_set: LimitSet) -> GateResult | None:
    """Return the gate of the policy that passed with the least room, counted in widths of its 95 % interval.

    Gates on counts and on what has no interval are left out; None when no other passed.
    """
    rooms = [(room, result) for result in results if (room := _room(result, policy, limit_set)) is not None]
    return min(rooms, key=lambda each: each[0])[1] if rooms else None


def _room(result: GateResult, policy: GatePolicy, limit_set: LimitSet) -> float | None:
    limits = policy.gates[result.gate].limits.get(limit_set) if result.gate in policy.gates else None
    if limits is None or result.additional or result.result != "pass":
        return None
    if result.low is None or result.high is None or result.high <= result.low:
        return None
    estimate = Estimate(result.observed, result.low, result.high, result.n, result.positives)
    margins = [margin for bound in bounds_of(limits) if (margin := bound.margin(estimate)) is not None]
    return min(margins) / (result.high - result.low) if margins else None
