"""Promotion: one decision, bound to evidence, recorded in one transaction.

What belongs here: putting the conditions together, and recording the outcome. What does not: how each
condition is checked (``conditions``), and where the facts come from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from pydantic import ValidationError

from readmission_platform.config.governance import AdditionalGates, GateStage
from readmission_platform.foundation.errors import BadInput
from readmission_platform.governance.ledger.chain import STAGES, Event, Pointer
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.versions import VersionRecord, version_records
from readmission_platform.governance.policy.adoptable import ADOPTABLE
from readmission_platform.governance.policy.adoption import PolicyInForce, counting_demo_keys, everything_in_force
from readmission_platform.governance.policy.gates import OF_PROMOTION, GateResult, evaluate_gates
from readmission_platform.governance.policy.keys import KEY_CHANGES
from readmission_platform.governance.policy.required import RequiredGates
from readmission_platform.governance.promotion import conditions as check
from readmission_platform.governance.promotion.approved import PROMOTED
from readmission_platform.governance.promotion.case import (
    Case,
    Condition,
    Judged,
    PromotionRequest,
    VersionFacts,
    condition,
)
from readmission_platform.governance.promotion.drift_acceptances import Acceptance, recorded
from readmission_platform.governance.promotion.drift_statement import ACCEPTED
from readmission_platform.governance.promotion.drift_withdrawals import WITHDRAWN
from readmission_platform.governance.promotion.permission import asked_of, may_ask, recorded_request
from readmission_platform.governance.promotion.transition import Transition, carry_out
from readmission_platform.governance.roles import PERMISSION_TO_ENTER
from readmission_platform.governance.rollouts.state import ROLLOUT_KINDS

__all__ = ["Condition", "Decision", "PromotionRequest", "VersionFacts", "apply", "decide"]

_STAGES_JUDGED: dict[str, tuple[GateStage, ...]] = {
    "staging": ("candidate", "staging"),
    "production": ("candidate", "staging", "production"),
}
# An event of one of these kinds between decision and recording means that the decision must be taken anew.
DEPENDS_ON = (
    *ADOPTABLE,
    *KEY_CHANGES,
    "demo_approver_created",
    "version_trained",
    "version_validated",
    "version_promoted",
    "version_rolled_back",
    ACCEPTED,
    WITHDRAWN,
    *ROLLOUT_KINDS,
)
_PROMOTION = Transition(kind=PROMOTED, refusal="promotion_refused", binding_kinds=DEPENDS_ON)


@dataclass(frozen=True)
class Decision(Judged):
    """What was decided on what grounds; ``estimates`` are those of the promotion itself, exact and not to be shown.

    ``drift_accepted`` is what the drift condition counted out.
    """

    request: PromotionRequest
    gates: list[GateResult]
    estimates: dict[str, Any]
    approvals: list[int]
    approvals_required: int | None
    drift_accepted: list[Acceptance]
    policy_digest: str | None
    plan_digest: str | None


def decide(
    request: PromotionRequest,
    *,
    events: Sequence[Event],
    pointers: Mapping[str, Pointer],
    facts: VersionFacts,
    required: RequiredGates,
    environment_name: str,
    now: datetime,
) -> Decision:
    """Decide about one promotion; pure, and changes nothing.

    Policy, change plan, roles and promotion rules are those in force by the events. Every condition is checked, so that
    a refusal names all its reasons. Whatever is missing or not a number counts against the version. On the way to
    production the version must also have run in the shadow for long enough, which is at least a window of rows, without
    a drift alarm against its own training data (``no_drift_alarm``) but for drift that was accepted, be compared with
    the version it replaces, and be approved.

    Parameters
    ----------
    events, pointers
        One snapshot of the ledger.
    facts
        Recomputed just now from the artifact's bytes and the evidence rows.
    required
        The gates that the model requires of every policy.
    environment_name
        ``local``, ``staging`` or ``production``; demonstrations and missing roles count in ``local`` only.
    now
        The moment of the decision, with its time zone.

    Raises
    ------
    BadInput
        When the stage does not exist or the moment has no time zone.
    """
    if request.to_stage not in STAGES:
        raise BadInput(f"There is no stage {request.to_stage}; choose {' or '.join(STAGES)}.")
    if now.tzinfo is None:
        raise BadInput("The moment of a decision needs its time zone.")
    in_force = everything_in_force(events)
    record = version_records(events, pointers).get(request.version)
    found = [
        check.ledger_intact(events, pointers),
        condition("version_known", record is not None, f"version {request.version}", "Choose a known version."),
    ]
    gates: list[GateResult] = []
    counting: list[int] = []
    accepted: list[Acceptance] = []
    if record is not None:
        case = Case(
            request=request,
            record=record,
            events=events,
            pointers=pointers,
            facts=facts,
            environment_name=environment_name,
            in_force=in_force,
            demo_keys=counting_demo_keys(events),
            now=now,
        )
        gates, problem = _evaluated(case, required)
        found += _conditions(case, gates, problem)
        if request.to_stage == "production":
            enough, counting = check.approvals(case, gates)
            no_alarm, accepted = check.no_drift_alarm(case)
            found += [check.shadow_days(case), no_alarm, check.champion_compared(case), enough]
            found.append(check.replacement_acknowledged(case))
    return Decision(
        request=request,
        conditions=found,
        gates=gates,
        estimates={name: raw for name, raw in (facts.estimates or {}).items() if name.startswith(OF_PROMOTION)},
        approvals=counting,
        approvals_required=in_force.promotion_rules.content.approvals_required if in_force.promotion_rules else None,
        drift_accepted=accepted,
        expected=dict(pointers),
        policy_digest=in_force.policy.digest if in_force.policy else None,
        plan_digest=in_force.plan.digest if in_force.plan else None,
        seen=events[-1].seq if events else 0,
    )


def apply(ledger: Ledger, decision: Decision, *, dry_run: bool = False) -> Event | None:
    """Record a promotion, or its refusal; returns and raises what ``transition.carry_out`` does."""
    request = decision.request
    moves: dict[str, str | None] = {request.to_stage: request.version}
    if request.to_stage == "production":
        moves["staging"] = None
    return carry_out(
        _PROMOTION,
        ledger,
        decision,
        version=request.version,
        to_stage=request.to_stage,
        moves=moves,
        actor=request.actor,
        reason=request.reason,
        more={
            "replaced": decision.expected[request.to_stage].version is not None,
            "gates": [gate.to_json() for gate in decision.gates],
            "estimates": decision.estimates,
            "approvals": decision.approvals,
            "approvals_required": decision.approvals_required,
            "drift_accepted": recorded(decision.drift_accepted),
            "policy_digest": decision.policy_digest,
            "plan_digest": decision.plan_digest,
        },
        asked=recorded_request(decision.conditions, request.signed),
        dry_run=dry_run,
    )


def _conditions(case: Case, gates: Sequence[GateResult], problem: str | None) -> list[Condition]:
    gates_held = check.gates_hold(gates, problem)
    return [
        check.accepted(case),
        check.step_allowed(case),
        check.provenance_complete(case),
        check.artifact_unchanged(case),
        check.evidence_unchanged(case),
        check.source_allowed(case),
        _policy_applies(case.policy, case.record),
        gates_held,
        check.inside_change_plan(case, gates_held),
        check.rollout_finished(case),
        may_ask(
            asked_of(PROMOTED, case.record.model, case.request),
            PERMISSION_TO_ENTER[case.request.to_stage],
            case.roles,
            events=case.events,
            environment_name=case.environment_name,
            now=case.now,
        ),
    ]


def _policy_applies(policy: PolicyInForce | None, record: VersionRecord) -> Condition:
    if policy is None:
        action = "Adopt the roles, then the policy, with a signature."
        return condition("policy_in_force", False, "no policy is in force", action)
    same = record.policy_digest == policy.digest
    detail = "validated under it" if same else "validated under another one; judged again under the one in force"
    return condition("policy_in_force", True, detail, "")


def _evaluated(case: Case, required: RequiredGates) -> tuple[list[GateResult], str | None]:
    """Evaluate the policy in force, and every additional gate ever asked for, on the recomputed estimates."""
    limit_set = case.facts.limit_set
    if case.policy is None or limit_set is None:
        return [], "there is no policy in force, or no limits for this source of data"
    if case.record.limit_set not in (None, limit_set):
        return [], f"the version asks for {case.record.limit_set} limits, its data for {limit_set} ones"
    if case.facts.estimates is None:
        return [], "the estimates could not be recomputed from the evidence"
    judge = partial(
        evaluate_gates, case.facts.estimates, case.policy.content,
        required=required, limit_set=limit_set, stages=_STAGES_JUDGED[case.request.to_stage],
    )  # fmt: skip
    try:
        results = judge()
        for asked in case.record.additional_gates():
            extra = AdditionalGates.model_validate(asked)
            results += [result for result in judge(additional=extra) if result.additional]
    except BadInput as error:
        return [], str(error)
    except ValidationError:
        return [], "the additional gates recorded at validation cannot be read"
    # With no other version in production there is nothing to be inferior to; recorded as its own condition.
    if case.pointers["production"].version in (None, case.record.version):
        results = [result for result in results if not result.metric.startswith("champion_")]
    return results, None
