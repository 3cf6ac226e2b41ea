"""How one change plan differs from another: what it would let through, and what it would stop.

What belongs here: a pure function over two plans. What does not: comparing a version with a plan (``change_plan``).
"""

from collections.abc import Iterator
from typing import get_args

from readmission_platform.config.change_plan import ChangePlan, PlanLimit, Span, Unchanged
from readmission_platform.config.governance import LimitSet
from readmission_platform.governance.policy.gates_diff import Difference, Direction, direction_of
from readmission_platform.governance.policy.limits import describe


def diff_plans(before: ChangePlan, after: ChangePlan) -> list[Difference]:
    """Compare two plans part by part; parts that are alike are left out.

    A plan is *looser* when more versions stay inside it, *tighter* when fewer do, *not comparable* when it keeps
    something else unchanged. Words alone are *neutral*.
    """
    return [
        *_ranges(before, after),
        *_unchanged(before.unchanged, after.unchanged),
        *_limits(before, after),
        *_verification(before, after),
        *_words(before, after),
    ]


def _ranges(before: ChangePlan, after: ChangePlan) -> Iterator[Difference]:
    old, new = before.ranges, after.ranges
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            yield Difference(f"range of {name}", _span(old.get(name)), _span(new.get(name)),
                             _of_spans(old.get(name), new.get(name)))  # fmt: skip


def _unchanged(old: Unchanged, new: Unchanged) -> Iterator[Difference]:
    if set(old.sources) != set(new.sources):
        yield Difference("sources", ", ".join(old.sources), ", ".join(new.sources),
                         _of_sets(frozenset(old.sources), frozenset(new.sources)))  # fmt: skip
    if old.outcome_share != new.outcome_share:
        yield Difference("outcome share", _span(old.outcome_share), _span(new.outcome_share),
                         _of_spans(old.outcome_share, new.outcome_share))  # fmt: skip
    for source in sorted({*old.cohort_counts, *new.cohort_counts}):
        was, now = old.cohort_counts.get(source), new.cohort_counts.get(source)
        if was != now:
            direction: Direction = "tighter" if was is None else "looser" if now is None else "not comparable"
            yield Difference(f"cohort counts of {source}", f"{was or ''}", f"{now or ''}", direction)
    for part in ("inputs", "features", "cohort_rule"):
        one, other = getattr(old, part), getattr(new, part)
        if one != other:
            gone, added = (
                [name for name in ones if name not in others] for ones, others in ((one, other), (other, one))
            )
            yield Difference(part.replace("_", " "), f"{len(one)}, without: {', '.join(added) or 'none'}",
                             f"{len(other)}, without: {', '.join(gone) or 'none'}", "not comparable")  # fmt: skip
    for part in ("algorithm", "folds", "outcome"):
        if getattr(old, part) != getattr(new, part):
            yield Difference(part, f"{getattr(old, part)}", f"{getattr(new, part)}", "not comparable")


def _limits(before: ChangePlan, after: ChangePlan) -> Iterator[Difference]:
    for name in sorted({*before.limits, *after.limits}):
        old, new = before.limits.get(name), after.limits.get(name)
        if old is None or new is None:
            yield Difference(f"limit {name}", _all(old), _all(new), "tighter" if old is None else "looser")
            continue
        if old.metric != new.metric:
            yield Difference(f"limit {name}, metric", old.metric, new.metric, "not comparable")
        if old.min_positives != new.min_positives:
            fewer: Direction = "tighter" if new.min_positives < old.min_positives else "looser"
            yield Difference(f"limit {name}, min_positives", f"{old.min_positives}", f"{new.min_positives}", fewer)
        for kind in get_args(LimitSet):
            direction = direction_of(old.limits.get(kind), new.limits.get(kind))
            if direction is not None:
                yield Difference(f"limit {name}, {kind} data", _one(old, kind), _one(new, kind), direction)


def _verification(before: ChangePlan, after: ChangePlan) -> Iterator[Difference]:
    for name in sorted({*before.modifications} & {*after.modifications}):
        old, new = (frozenset(plan.modifications[name].verified_by) for plan in (before, after))
        if old != new:
            # More gates to pass leave fewer versions inside.
            yield Difference(f"{name}, verified by", ", ".join(sorted(old)), ", ".join(sorted(new)), _of_sets(new, old))


def _words(before: ChangePlan, after: ChangePlan) -> Iterator[Difference]:
    for part in ("purpose", "together"):
        if getattr(before, part) != getattr(after, part):
            yield Difference(part, getattr(before, part), getattr(after, part), "neutral")
    for part in ("guidance", "protocol", "modifications", "limits"):
        old, new = (_said(plan, part) for plan in (before, after))
        if old != new:
            yield Difference(f"words of {part}", "", "", "neutral")


def _said(plan: ChangePlan, part: str) -> object:
    """Return the words of a part, without what is compared elsewhere."""
    if part == "modifications":
        return {name: each.model_dump(exclude={"ranges", "verified_by"}) for name, each in plan.modifications.items()}
    if part == "limits":
        return {name: each.why for name, each in plan.limits.items()}
    return getattr(plan, part)


def _of_spans(old: Span | None, new: Span | None) -> Direction:
    if old is None or new is None:
        return "looser" if old is None else "tighter"
    wider = new.at_least < old.at_least or new.at_most > old.at_most
    narrower = new.at_least > old.at_least or new.at_most < old.at_most
    return "not comparable" if wider and narrower else "looser" if wider else "tighter"


def _of_sets(old: frozenset[str], new: frozenset[str]) -> Direction:
    return "looser" if new > old else "tighter" if new < old else "not comparable"


def _span(span: Span | None) -> str:
    return "" if span is None else f"{span.at_least:,.12g} to {span.at_most:,.12g}"


def _one(limit: PlanLimit, kind: LimitSet) -> str:
    return describe(limit.limits[kind]) if kind in limit.limits else ""


def _all(limit: PlanLimit | None) -> str:
    return "" if limit is None else "; ".join(f"{kind}: {_one(limit, kind)}" for kind in limit.limits)
