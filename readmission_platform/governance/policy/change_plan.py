"""The change plan: what must be in one, and where a version leaves it.

What belongs here: pure functions from a plan and what the ledger recorded of a training to what lies outside. What does
not: which plan is in force (``adoption``), what follows from being outside (``conditions``), and how one plan differs
from another (``plan_diff``).

Everything that training records of a recipe has to be named by the plan, with a range or as unchanged: what the plan
does not know is outside.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, get_args

from readmission_platform.config.change_plan import ChangePlan, PlanLimit, Span, Unchanged
from readmission_platform.config.governance import LimitSet
from readmission_platform.foundation.errors import BadInput
from readmission_platform.governance.ledger.versions import RECALIBRATED
from readmission_platform.governance.policy.limits import bounds_of, describe, read_estimate, unusable_limit
from readmission_platform.governance.policy.required import RequiredGates

# What the flow's other steps count follows from these.
_RULE_STEPS = ("excluded", "added")
_AGAINST_CHAMPION = "champion_"


def check_plan(plan: ChangePlan, required: RequiredGates) -> None:
    """Check what the shape of a plan cannot: that its gates exist and its limits can be applied.

    Raises
    ------
    BadInput
        Naming the modification or limit, and what is wrong with it.
    """
    gates = set(required.names())
    for name, modification in plan.modifications.items():
        unknown = sorted(set(modification.verified_by) - gates)
        if unknown:
            raise BadInput(f"The modification {name} is verified by {unknown[0]}, which is no required gate.")
    for name, limit in plan.limits.items():
        for kind in get_args(LimitSet):
            limits = limit.limits.get(kind)
            problem = "there is none" if limits is None else unusable_limit(limits)
            if problem:
                raise BadInput(f"The limit {name} of the change plan, {kind} data: {problem}.")


def outside_of(plan: ChangePlan, trained: Mapping[str, Any]) -> list[str]:
    """Say in which ways a version was made otherwise than the plan allows; nothing when it is inside.

    Parameters
    ----------
    trained
        Payload of the version's ``version_trained`` event, with ``recipe``, ``cohort``, ``source`` and ``seed``.
    """
    recipe, cohort = _mapping(trained.get("recipe")), _mapping(trained.get("cohort"))
    source = trained.get("source")
    recorded = {
        "seed": trained.get("seed"),
        f"rows.{source}": cohort.get("rows"),
        **_flat("settings", recipe.get("settings")),
        **_correction(trained.get(RECALIBRATED)),
    }
    return [
        *_unlike_before(plan.unchanged, recipe, source),
        *_another_cohort(plan.unchanged, cohort, source),
        *_out_of_range(plan.ranges, recorded),
    ]


def limits_missed(
    plan: ChangePlan, estimates: Mapping[str, Any] | None, *, limit_set: LimitSet | None, has_champion: bool
) -> list[str]:
    """Say which of the plan's own limits a version misses, and whether its outcome is the plan's.

    Parameters
    ----------
    estimates
        ``{metric: {"value", "low", "high", "n", "positives"}}`` as recomputed; what is missing or no number misses.
    has_champion
        Whether there is another version in production to be compared with.
    """
    if estimates is None or limit_set is None:
        return ["its figures could not be recomputed"]
    return [
        *_another_outcome(plan.unchanged.outcome_share, estimates.get("auroc")),
        *(
            missed
            for name, limit in plan.limits.items()
            if has_champion or not limit.metric.startswith(_AGAINST_CHAMPION)
            for missed in _missed(name, limit, estimates, limit_set)
        ),
    ]


def _unlike_before(unchanged: Unchanged, recipe: Mapping[str, Any], source: object) -> Iterator[str]:
    if source not in unchanged.sources:
        yield f"source {source}: the plan allows {', '.join(unchanged.sources)}"
    if recipe.get("algorithm") != unchanged.algorithm:
        yield f"algorithm: {_said(recipe.get('algorithm'))}, the plan requires “{unchanged.algorithm}”"
    if _number(recipe.get("folds")) != unchanged.folds:
        yield f"folds: {_said(recipe.get('folds'))}, the plan requires {unchanged.folds}"
    for name, planned in (("inputs", unchanged.inputs), ("features", unchanged.features)):
        yield from _another_list(name, recipe.get(name), planned)


def _another_list(name: str, recorded: object, planned: Sequence[str]) -> Iterator[str]:
    if not isinstance(recorded, Sequence) or isinstance(recorded, str):
        yield f"{name}: not recorded"
        return
    added = [str(each) for each in recorded if each not in planned]
    gone = [each for each in planned if each not in recorded]
    if added:
        yield f"{name} added: {', '.join(added)}"
    if gone:
        yield f"{name} left out: {', '.join(gone)}"
    if not (added or gone) and list(recorded) != list(planned):
        yield f"{name}: in a different order, or named twice"


def _another_cohort(unchanged: Unchanged, cohort: Mapping[str, Any], source: object) -> Iterator[str]:
    flow = _flow(cohort.get("flow"))
    if not flow:
        yield "cohort flow: not recorded"
        return
    rule = [step for step, _ in flow if step.startswith(_RULE_STEPS)]
    yield from _another_list("cohort rule", rule, unchanged.cohort_rule)
    counted = dict(flow)
    for step, planned in unchanged.cohort_counts.get(str(source), {}).items():
        if counted.get(step) != planned:
            yield f"cohort, {step}: {_said(counted.get(step))} rows, the plan knows {planned:,}"


def _flow(recorded: object) -> list[tuple[str, Any]]:
    if not isinstance(recorded, Sequence) or isinstance(recorded, str):
        return []
    return [(str(each.get("step")), each.get("rows")) for each in recorded if isinstance(each, Mapping)]


def _out_of_range(ranges: Mapping[str, Span], recorded: Mapping[str, Any]) -> Iterator[str]:
    # The sizes of the other sources say nothing about this one; its own is among what was recorded, and so is the
    # correction of a version that is recalibrated.
    wanted = [name for name in ranges if not name.startswith(("rows.", "recalibration."))]
    for name in dict.fromkeys([*recorded, *wanted]):
        span, value = ranges.get(name), _number(recorded.get(name))
        if span is None:
            yield f"{name}: {_said(recorded.get(name))}, which the plan does not mention"
        elif name not in recorded or recorded[name] is None:
            yield f"{name}: not recorded"
        elif value is None or not span.at_least <= value <= span.at_most:
            yield f"{name}: {_said(recorded[name])}, allowed {span.at_least:,.12g} to {span.at_most:,.12g}"


def _another_outcome(share: Span, raw: object) -> Iterator[str]:
    estimate = read_estimate(raw)
    if not estimate.n or estimate.positives is None:
        yield "outcome: its frequency is not known"
    elif not share.at_least <= estimate.positives / estimate.n <= share.at_most:
        found = f"{estimate.positives / estimate.n:.3f} of the rows have it"
        yield f"outcome: {found}, the plan's {share.at_least:g} to {share.at_most:g}"


def _missed(name: str, limit: PlanLimit, estimates: Mapping[str, Any], limit_set: LimitSet) -> Iterator[str]:
    bounds = bounds_of(limit.limits[limit_set])
    for metric in _metrics(limit.metric, estimates):
        estimate = read_estimate(estimates.get(metric))
        if limit.min_positives and estimate.positives is not None and estimate.positives < limit.min_positives:
            continue  # too few to tell; the gates say so, and the approval names it
        if not all(bound.holds(estimate) for bound in bounds):
            found = "missing" if estimate.value is None else f"{estimate.value:.4g}"
            yield f"limit {name}: {metric} {found}, must be {describe(limit.limits[limit_set])}"


def _metrics(metric: str, estimates: Iterable[str]) -> list[str]:
    """Return the metrics a limit speaks of; a pattern that matches none stands for itself, which is missing."""
    if not metric.endswith(".*"):
        return [metric]
    return sorted(name for name in estimates if name.startswith(metric[:-1])) or [metric]


def _flat(prefix: str, value: object) -> dict[str, Any]:
    """Return nested settings by their dotted names."""
    if not isinstance(value, Mapping):
        return {prefix: value}
    return {name: each for key, part in value.items() for name, each in _flat(f"{prefix}.{key}", part).items()}


def _correction(recalibrated: object) -> dict[str, Any]:
    """Return the correction of a version that keeps another one's model; nothing of a version that was fitted."""
    if recalibrated is None:
        return {}
    return {f"recalibration.{name}": _mapping(recalibrated).get(name) for name in ("slope", "intercept")}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return value


def _said(value: object) -> str:
    return "none" if value is None else f"{value:,}" if isinstance(value, int) else f"{value}"
