"""The gate policy: whether it is complete, and what its gates say of a version's estimates.

What belongs here: pure functions from estimates and policy to results. What does not: which gates a policy must have
(``required``), where estimates come from, and what a result leads to (``promotion``). Limits live in
``gates.yaml`` of the model and nowhere else.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, get_args

from readmission_platform.config.governance import AdditionalGates, GatePolicy, GateRule, GateStage, LimitSet
from readmission_platform.evaluation.disclosure import shown_estimates
from readmission_platform.foundation.counting import counted
from readmission_platform.foundation.errors import BadInput, PolicyError
from readmission_platform.foundation.values import Limits
from readmission_platform.governance.policy.limits import (
    Estimate,
    Judgement,
    Result,
    describe,
    judge,
    read_estimate,
    room,
    unusable_limit,
)
from readmission_platform.governance.policy.required import RequiredGates

# Only a subgroup may be too small to judge and yet let a version through, named in the approval.
_MAY_WARN = "fairness_"
# Estimates that are known only when a version is about to enter production begin so.
OF_PROMOTION = ("champion_", "shadow_")


@dataclass(frozen=True)
class GateResult:
    """What one gate says of one version; ``metric`` is the estimate that decided.

    The gate was judged on the exact estimate. ``observed``, ``low``, ``high``, ``n`` and ``positives`` are what may be
    shown of it (``evaluation.disclosure``): None where they would give a group of 1 to 10 people away.
    """

    gate: str
    stage: GateStage
    metric: str
    result: Result
    observed: float | None
    low: float | None
    high: float | None
    limit: str
    n: int | None
    positives: int | None
    blocks: bool
    additional: bool
    rule: str
    action: str
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain JSON values."""
        return asdict(self)


def check_policy(policy: GatePolicy, limit_set: LimitSet, required: RequiredGates) -> None:
    """Check that a policy holds every gate that its model requires, unweakened.

    Raises
    ------
    PolicyError
        Naming the gate that is missing, switched off, weakened, or without usable limits.
    """
    for stage, name, metric in required:
        rule = policy.gates.get(name)
        if rule is None or not rule.enabled:
            state = "missing" if rule is None else "switched off"
            raise PolicyError(f"The required gate {name} is {state}: put it back.")
        if (rule.stage, rule.metric) != (stage, metric):
            raise PolicyError(f"The required gate {name} must look at {metric} at stage {stage}.")
        if rule.insufficient != "blocks" and not name.startswith(_MAY_WARN):
            raise PolicyError(f"The required gate {name} must block when there is too little data.")
    for name, rule in policy.gates.items():
        if rule.enabled:
            _limits(name, rule, limit_set)


def evaluate_gates(
    estimates: Mapping[str, Any],
    policy: GatePolicy,
    *,
    required: RequiredGates,
    limit_set: LimitSet,
    stages: Iterable[GateStage],
    additional: AdditionalGates | None = None,
) -> list[GateResult]:
    """Evaluate every enabled gate of the stages, then the additional ones.

    Parameters
    ----------
    estimates
        ``{metric: {"value", "low", "high", "n", "positives"}}``; NaN, None and missing fail.
    required
        The gates that the policy must have (``required.required_gates``).
    limit_set
        ``real`` or ``synthetic``, by the source of the data.
    stages
        Which steps are asked about; to enter production all three are.
    additional
        Further limits by gate name, also of gates that are switched off. They add results and change none.

    Raises
    ------
    PolicyError
        When the policy lacks something required.
    BadInput
        When an additional gate is unknown, its limit is no number, or no stage is given.
    """
    check_policy(policy, limit_set, required)
    wanted = set(stages)
    if not wanted or not wanted <= set(get_args(GateStage)):
        raise BadInput(f"Gates are evaluated for the stages {', '.join(get_args(GateStage))}.")
    judged = partial(_evaluate, estimates=estimates, shown=shown_estimates(estimates))
    results = [
        judged(name, rule, _limits(name, rule, limit_set), is_additional=False)
        for name, rule in policy.gates.items()
        if rule.enabled and rule.stage in wanted
    ]
    for name, limits in (additional.gates if additional else {}).items():
        known = policy.gates.get(name)
        if known is None:
            raise BadInput(f"There is no gate {name}; known are {', '.join(sorted(policy.gates))}.")
        problem = unusable_limit(limits)
        if problem:
            raise BadInput(f"Additional gate {name}: {problem}.")
        if known.stage in wanted:
            results.append(judged(name, known, limits, is_additional=True))
    return results


def verdict(results: Sequence[GateResult]) -> Result:
    """Return ``pass`` when there are results and none of them blocks, else ``fail``."""
    return "pass" if results and not any(result.blocks for result in results) else "fail"


def warnings_of(results: Iterable[GateResult]) -> list[str]:
    """Return the gates that could not be judged and do not block; an approval must name them."""
    return sorted({item.gate for item in results if item.result == "insufficient" and not item.blocks})


def _limits(name: str, rule: GateRule, limit_set: LimitSet) -> Limits:
    limits = rule.limits.get(limit_set)
    if limits is None:
        raise PolicyError(f"The gate {name} has no limits for {limit_set} data: add them.")
    problem = unusable_limit(limits)
    if problem:
        raise PolicyError(f"The gate {name}, {limit_set} data: {problem}.")
    return limits


def _evaluate(
    name: str,
    rule: GateRule,
    limits: Limits,
    *,
    estimates: Mapping[str, Any],
    shown: Mapping[str, Any],
    is_additional: bool,
) -> GateResult:
    """Judge the exact estimate; the result tells what of it may be shown."""
    if rule.metric.endswith(".*"):
        metric, judged = _worst_group(rule, limits, estimates)
    else:
        metric, judged = rule.metric, judge(estimates.get(rule.metric), rule, limits)
    too_little = judged.result == "insufficient" and rule.insufficient == "blocks"
    estimate = read_estimate(shown.get(metric))
    return GateResult(
        gate=name,
        stage=rule.stage,
        metric=metric,
        result=judged.result,
        observed=estimate.value,
        low=estimate.low,
        high=estimate.high,
        limit=describe(limits),
        n=estimate.n,
        positives=estimate.positives,
        blocks=judged.result == "fail" or too_little,
        additional=is_additional,
        rule=rule.rule,
        action=rule.action,
        detail=judged.detail,
    )


def _worst_group(rule: GateRule, limits: Limits, estimates: Mapping[str, Any]) -> tuple[str, Judgement]:
    """Return the group that decides, and the judgement on it, which says how many groups there are."""
    prefix = rule.metric[:-1]
    groups = {name: judge(estimates[name], rule, limits) for name in sorted(estimates) if name.startswith(prefix)}
    if not groups:
        nothing = Estimate(None, None, None, None, None)
        return rule.metric, Judgement("insufficient", nothing, "there is no group to judge")
    order = {"fail": 0, "insufficient": 1, "pass": 2}
    # Of those with the same result the one whose own figure is furthest off: a wide interval does not hide a group.
    metric = min(groups, key=lambda name: (order[groups[name].result], room(groups[name].estimate, limits)))
    worst = groups[metric]
    small = [name.removeprefix(prefix) for name, group in groups.items() if group.result == "insufficient"]
    judged = f"furthest off of {counted(len(groups), 'group')}, {len(groups) - len(small)} of them judged"
    detail = f"{metric.removeprefix(prefix)}: {worst.detail}; {judged}"
    if small:
        detail += f"; too small to judge: {', '.join(small)}"
    return metric, Judgement(worst.result, worst.estimate, detail)
