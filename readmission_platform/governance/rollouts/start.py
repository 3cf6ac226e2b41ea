"""Starting a roll-out: as much as the promotion it leads to, and one at a time.

What belongs here: deciding, and recording it. What does not: gathering the facts, and what follows (``steps``).

Whoever exposes patients to a candidate's answers puts it into production for them. So a canary, a blue-green and an A/B
roll-out need every condition of a promotion to production, approvals included. A shadow needs what staging needs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from readmission_platform.foundation.errors import Refused
from readmission_platform.governance.ledger.chain import Event
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.versions import version_records
from readmission_platform.governance.policy.adoption import roles_in_force
from readmission_platform.governance.promotion.case import Condition, Judged, condition
from readmission_platform.governance.promotion.decision import DEPENDS_ON, Decision
from readmission_platform.governance.promotion.permission import asked_of, may_ask, recorded_request
from readmission_platform.governance.rollouts.permissions import TO_RUN
from readmission_platform.governance.rollouts.plan import EXPOSING, RolloutPlan
from readmission_platform.governance.rollouts.state import STARTED, rollout_of

REFUSED: Final = "rollout_refused"
# Of a promotion, what a roll-out decides in its own way: who asks, and what is open.
_OF_ITS_OWN = frozenset({"actor_permitted", "rollout_finished"})
_BEFORE_THE_SHADOW = frozenset({"candidate", "staging"})


@dataclass(frozen=True)
class StartRequest:
    """Roll out by this plan, asked for by whom and why; ``signed`` as for a promotion."""

    plan: RolloutPlan
    actor: str
    reason: str = ""
    signed: Mapping[str, Any] | None = None

    @property
    def what(self) -> dict[str, Any]:
        """What is signed: the whole plan."""
        return {"plan": self.plan.model_dump(mode="json")}


@dataclass(frozen=True)
class StartDecision(Judged):
    """What was decided on what grounds; ``promotion`` is the decision that it rests on."""

    request: StartRequest
    promotion: Decision


def stage_asked_for(plan: RolloutPlan) -> str:
    """Return the stage whose conditions a candidate has to meet before it is rolled out by this plan."""
    return "production" if plan.kind in EXPOSING else "staging"


def decide_start(
    request: StartRequest, promotion: Decision, *, events: Sequence[Event], environment_name: str, model: str,
    now: datetime,
) -> StartDecision:  # fmt: skip
    """Decide whether a roll-out may begin; pure, and changes nothing.

    Parameters
    ----------
    promotion
        The decision about promoting the candidate to ``stage_asked_for(plan)``, on the same events; the request it was
        for has to acknowledge a replacement, which the plan does.
    events
        All events of the model and its environment, in order.
    """
    plan = request.plan
    own = _OF_ITS_OWN if plan.kind in EXPOSING else _OF_ITS_OWN | {"step_allowed"}
    found = [each for each in promotion.conditions if each.name not in own]
    if plan.kind not in EXPOSING:
        found.append(_may_be_shadowed(plan, promotion, events))
    found += [
        _nothing_open(events),
        _control_live(plan, promotion),
        may_ask(
            asked_of(STARTED, model, request), TO_RUN, roles_in_force(events), events=events,
            environment_name=environment_name, now=now,
        ),
    ]  # fmt: skip
    return StartDecision(found, promotion.expected, promotion.seen, request=request, promotion=promotion)


def record_start(ledger: Ledger, decision: StartDecision) -> Event:
    """Start a roll-out.

    Raises
    ------
    Refused
        With every reason; the refusal is recorded.
    Conflict
        When what the decision rests on has changed; nothing is recorded.
    LedgerCorrupt, Unavailable
        When the ledger does not verify, or cannot be written.
    """
    request, promotion = decision.request, decision.promotion
    version = request.plan.candidate_version
    content = {
        **request.what,
        "rollout_plan_digest": request.plan.digest,
        "reason": request.reason,
        **recorded_request(decision.conditions, request.signed),
    }
    if not decision.allowed:
        ledger.append(REFUSED, {**content, "reasons": decision.reasons()}, actor=request.actor, version=version)
        raise Refused(decision.reasons())
    ledger.verify()
    return ledger.append(
        STARTED,
        {
            **content,
            "conditions": [each.to_json() for each in decision.conditions],
            "approvals": promotion.approvals,
            "approvals_required": promotion.approvals_required,
            "policy_digest": promotion.policy_digest,
            "plan_digest": promotion.plan_digest,
        },
        actor=request.actor,
        version=version,
        expected=decision.expected,
        since=decision.seen,
        binding_kinds=DEPENDS_ON,
    )


def _nothing_open(events: Sequence[Event]) -> Condition:
    state = rollout_of(events)
    detail = "no roll-out is open"
    if state is not None:
        detail = f"the roll-out of version {state.candidate_version} (event {state.plan_event}) is {state.status}"
    return condition(
        "no_other_rollout", state is None, detail, "Let it end, or take it back: readmission rollout abort."
    )


def _control_live(plan: RolloutPlan, promotion: Decision) -> Condition:
    live = promotion.expected["production"].version
    detail = f"beside version {plan.control_version}; production: {live or 'none'}"
    action = "Promote a first version; a roll-out compares with the one in production."
    return condition("control_in_production", live == plan.control_version, detail, action)


def _may_be_shadowed(plan: RolloutPlan, promotion: Decision, events: Sequence[Event]) -> Condition:
    record = version_records(events, promotion.expected).get(plan.candidate_version)
    state = record.state if record else "not known"
    detail = f"version {plan.candidate_version} is {state}"
    action = "Choose an accepted candidate, or the version in staging."
    return condition("step_allowed", state in _BEFORE_THE_SHADOW, detail, action)
