"""Two gate policies beside each other: what a change tightens, and what it loosens.

What belongs here: pure functions on policies. What does not: what either says of past versions (``simulation``).

A difference is *tighter* when it can only block more, and *looser* when it can only let more through. Whatever could do
either is *not comparable* and makes the gate's change ``mixed``, so that no loosening hides in a tightening.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from readmission_platform.config.governance import GatePolicy, GateRule, GateStage, LimitSet
from readmission_platform.foundation.values import Limits
from readmission_platform.governance.policy.limits import Bound, bounds_of, describe

Direction = Literal["tighter", "looser", "neutral", "not comparable"]
Change = Literal["added", "removed", "tightened", "loosened", "mixed", "text only"]

_TEXTS = ("rule", "action", "why")
_OPPOSITE: dict[Direction, Direction] = {"tighter": "looser", "looser": "tighter"}


@dataclass(frozen=True)
class Difference:
    """One part of a gate that differs, as people read it."""

    part: str
    before: str
    after: str
    direction: Direction


@dataclass(frozen=True)
class GateChange:
    """What changes about one gate; ``direction`` says what an added or removed gate amounts to."""

    gate: str
    change: Change
    direction: Direction
    differences: tuple[Difference, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the change as plain JSON values."""
        return asdict(self)


def diff_policies(before: GatePolicy, after: GatePolicy) -> list[GateChange]:
    """Compare two policies gate by gate; gates that are alike are left out."""
    changes = []
    for gate in sorted({*before.gates, *after.gates}):
        old, new = before.gates.get(gate), after.gates.get(gate)
        if old is None and new is not None:
            changes.append(_came_or_went(gate, "added", new))
        elif new is None and old is not None:
            changes.append(_came_or_went(gate, "removed", old))
        elif old is not None and new is not None:
            differences = tuple(_differences(old, new))
            if differences:
                direction = _together(differences)
                changes.append(GateChange(gate, _NAMES[direction], direction, differences))
    return changes


_NAMES: dict[Direction, Change] = {
    "tighter": "tightened",
    "looser": "loosened",
    "neutral": "text only",
    "not comparable": "mixed",
}


def _came_or_went(gate: str, change: Literal["added", "removed"], rule: GateRule) -> GateChange:
    direction: Direction = "tighter" if change == "added" else "looser"
    limits = _all_limits(rule)
    parts = ("", limits) if change == "added" else (limits, "")
    if not rule.enabled:  # nothing is judged by it, before or after
        direction = "neutral"
    return GateChange(gate, change, direction, (Difference("limits", *parts, direction),))


def _together(differences: tuple[Difference, ...]) -> Direction:
    found = {difference.direction for difference in differences} - {"neutral"}
    if not found:
        return "neutral"
    return found.pop() if len(found) == 1 else "not comparable"


def _differences(old: GateRule, new: GateRule) -> Iterator[Difference]:
    if old.enabled != new.enabled:
        yield Difference("enabled", _yes(old.enabled), _yes(new.enabled), "tighter" if new.enabled else "looser")
    judged = old.enabled and new.enabled
    for part, before, after, direction in (
        ("stage", old.stage, new.stage, _of_stages(old.stage, new.stage)),
        ("metric", old.metric, new.metric, _unless_alike(old.metric, new.metric, "not comparable")),
        ("insufficient", old.insufficient, new.insufficient, _of_modes(old, new)),
        ("min_positives", str(old.min_positives), str(new.min_positives), _of_sizes(old, new)),
        ("max_interval_width", _width(old), _width(new), _of_widths(old, new)),
    ):
        if before != after:
            # A gate that is switched off judges nothing; when it is switched, that alone decides.
            yield Difference(part, before, after, direction if judged else "neutral")
    for kind in get_args(LimitSet):
        limits = direction_of(old.limits.get(kind), new.limits.get(kind))
        if limits is not None:
            before, after = (_described(rule.limits.get(kind)) for rule in (old, new))
            yield Difference(f"limits for {kind} data", before, after, limits if judged else "neutral")
    for part in _TEXTS:
        if getattr(old, part) != getattr(new, part):
            yield Difference(part, getattr(old, part), getattr(new, part), "neutral")


def _of_stages(old: GateStage, new: GateStage) -> Direction:
    """Judge a gate asked for at another step: an early gate is asked again at every later step."""
    order = get_args(GateStage)
    return "tighter" if order.index(new) < order.index(old) else "looser"


def _of_modes(old: GateRule, new: GateRule) -> Direction:
    return _unless_alike(old.insufficient, new.insufficient, "tighter" if new.insufficient == "blocks" else "looser")


def _of_sizes(old: GateRule, new: GateRule) -> Direction:
    """Judge another number of events below which a gate says *insufficient*.

    Where that blocks, a higher number is tighter; where it only warns, looser. From or to 0 a missing count starts or
    stops to matter as well, and a missing count always fails.
    """
    if old.insufficient != new.insufficient:  # whether too little data block at all outweighs where too little begins
        mode = _of_modes(old, new)
        counts = bool(new.min_positives) - bool(old.min_positives)
        against = (counts > 0 and mode == "looser") or (counts < 0 and mode == "tighter")
        return "not comparable" if against else "neutral"
    raised: Direction = "tighter" if new.min_positives > old.min_positives else "looser"
    if new.insufficient == "blocks":
        return raised
    return "not comparable" if 0 in (old.min_positives, new.min_positives) else _OPPOSITE[raised]


def _of_widths(old: GateRule, new: GateRule) -> Direction:
    """Judge another width beyond which an interval says nothing; as for sizes, and a missing interval always fails."""
    width, other = old.max_interval_width, new.max_interval_width
    asked = (other is not None) - (width is not None)
    if old.insufficient != new.insufficient:
        mode = _of_modes(old, new)
        against = (asked > 0 and mode == "looser") or (asked < 0 and mode == "tighter")
        return "not comparable" if against else "neutral"
    if width is None or other is None:
        narrowed: Direction = "tighter" if width is None else "looser"
        return narrowed if new.insufficient == "blocks" else "not comparable"
    narrowed = "tighter" if other < width else "looser"
    return narrowed if new.insufficient == "blocks" else _OPPOSITE[narrowed]


def direction_of(old: Limits | None, new: Limits | None) -> Direction | None:
    """Compare limits bound by bound: which way the second go; None when both say the same."""
    if old is None or new is None:
        return None if old is new else ("tighter" if old is None else "looser")
    strictest, others = _strictest(old), _strictest(new)
    found: set[Direction] = set()
    for side in {*strictest, *others}:
        ours, theirs = strictest.get(side), others.get(side)
        if ours != theirs:
            found.add("tighter" if ours is None or (theirs is not None and theirs > ours) else "looser")
    if not found:
        return None if describe(old) == describe(new) else "neutral"
    return found.pop() if len(found) == 1 else "not comparable"


def _strictest(limits: Limits) -> Mapping[tuple[str, bool], tuple[float, bool]]:
    """Return the strictest bound per number and side, in an order in which larger is stricter."""
    found: dict[tuple[str, bool], tuple[float, bool]] = {}
    for bound in bounds_of(limits):
        side, strictness = _ordered(bound)
        found[side] = max(strictness, found.get(side, strictness))
    return found


def _ordered(bound: Bound) -> tuple[tuple[str, bool], tuple[float, bool]]:
    upper = bound.sense == "<="
    return (bound.number, upper), (-bound.limit if upper else bound.limit, bound.sense == ">")


def _unless_alike(one: str, other: str, direction: Direction) -> Direction:
    return "neutral" if one == other else direction


def _yes(value: bool) -> str:
    return "on" if value else "off"


def _width(rule: GateRule) -> str:
    return "none" if rule.max_interval_width is None else f"{rule.max_interval_width:g}"


def _described(limits: Limits | None) -> str:
    return "none" if limits is None else describe(limits)


def _all_limits(rule: GateRule) -> str:
    return "; ".join(f"{kind}: {_described(limits)}" for kind, limits in rule.limits.items())
