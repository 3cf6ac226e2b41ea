"""The steps of a roll-out once it runs: on, held, paused, taken back; by a person, or by the plan itself.

What belongs here: whether a step may be recorded, and recording it in one transaction. What does not: judging the
figures (``lifecycle.rollouts``); a step holds those that it rests on.

What a plan allows happens by itself: whoever signed it has agreed to each step beforehand. A person may pause and take
back at any time with the permission ``rollback``: the way back stays open. To go on by hand takes ``run_rollout``, a
signature like that of a promotion and a verdict that is not *worse*; only the bake time can be cut short.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from readmission_platform.foundation.errors import Refused
from readmission_platform.governance.ledger.chain import Event, Pointer
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.policy.adoption import roles_in_force
from readmission_platform.governance.promotion.approved import PROMOTED, ROLLED_BACK
from readmission_platform.governance.promotion.case import Condition, Judged, condition
from readmission_platform.governance.promotion.permission import (
    CLAIMED,
    Asked,
    actor_permitted,
    asked_of,
    may_ask,
    recorded_request,
)
from readmission_platform.governance.rollouts.permissions import BY_HAND, BY_THE_PLAN, TO_DRIVE
from readmission_platform.governance.rollouts.start import REFUSED
from readmission_platform.governance.rollouts.state import (
    ABORTED,
    ADVANCED,
    COMPLETED,
    PAUSED,
    RESUMED,
    ROLLOUT_KINDS,
    ROLLOUT_ROLLED_BACK,
    RolloutState,
)

StepKind = Literal[
    "rollout_advanced",
    "rollout_paused",
    "rollout_resumed",
    "rollout_aborted",
    "rollout_rolled_back",
    "rollout_completed",
]
_POSSIBLE: Final[Mapping[str, frozenset[str]]] = {
    ADVANCED: frozenset({"running"}),
    PAUSED: frozenset({"running"}),
    RESUMED: frozenset({"paused"}),
    COMPLETED: frozenset({"running"}),
    ABORTED: frozenset({"running", "paused", "completed"}),
    ROLLOUT_ROLLED_BACK: frozenset({"running", "paused", "completed"}),
}
_BINDING = (*ROLLOUT_KINDS, PROMOTED, ROLLED_BACK)


@dataclass(frozen=True)
class StepRequest:
    """A step of a roll-out, by whom and why; ``signed`` as for a promotion, and None where the plan asks for it."""

    kind: StepKind
    plan_event: int
    step: int
    actor: str
    reason: str
    by_plan: bool = False
    signed: Mapping[str, Any] | None = None

    @property
    def what(self) -> dict[str, Any]:
        """What is signed; ``step`` is the one that the roll-out is at afterwards."""
        return {"plan_event": self.plan_event, "step": self.step}


@dataclass(frozen=True)
class StepDecision(Judged):
    """What was decided on what grounds, and the figures that it rests on; None where none were looked at."""

    request: StepRequest
    state: RolloutState | None
    figures: Mapping[str, Any] | None


def step_request(kind: StepKind, state: RolloutState, *, actor: str, reason: str, by_plan: bool = False) -> StepRequest:
    """Return the request for the next step of a roll-out."""
    step = state.step + (kind == ADVANCED)
    return StepRequest(kind, state.plan_event, step, actor, reason, by_plan)


def decide_step(
    request: StepRequest,
    state: RolloutState | None,
    *,
    may_go_on: Condition | None = None,
    figures: Mapping[str, Any] | None = None,
    events: Sequence[Event],
    pointers: Mapping[str, Pointer],
    environment_name: str,
    model: str,
    now: datetime,
) -> StepDecision:
    """Decide about a step; pure, and changes nothing.

    Parameters
    ----------
    state
        The roll-out that is open by ``events``, or None.
    may_go_on
        What the figures say; needed for whatever exposes more patients or ends with a result.
    figures
        What is recorded of them: plain JSON, nothing that tells of few people.
    """
    reason = request.reason.strip()
    found = [
        _is_open(request, state),
        condition("reason_given", bool(reason), reason or "no reason", "Give a reason."),
        _permitted(request, events, environment_name, model, now),
    ]
    if state is not None and not found[0].blocks:
        found.append(_possible(request, state))
    if request.kind in (ADVANCED, COMPLETED) and state is not None:
        unknown = condition("figures_fine", False, "the figures are not known", "Look at readmission rollout status.")
        found.append(may_go_on or unknown)
    seen = events[-1].seq if events else 0
    return StepDecision(found, dict(pointers), seen, request=request, state=state, figures=figures)


def record_step(ledger: Ledger, decision: StepDecision) -> Event:
    """Record a step.

    Raises
    ------
    Refused
        With every reason; a refusal of what a person asked for is recorded.
    Conflict
        When the roll-out or production changed since the decision; nothing is recorded.
    LedgerCorrupt, Unavailable
        When the ledger does not verify, or cannot be written.
    """
    request, state = decision.request, decision.state
    asked = CLAIMED if request.by_plan else recorded_request(decision.conditions, request.signed)
    content = {**request.what, "reason": request.reason, "by_plan": request.by_plan, **asked}
    if state is None or not decision.allowed:
        if not request.by_plan and state is not None:
            refusal = {**content, "asked_for": request.kind, "reasons": decision.reasons()}
            ledger.append(REFUSED, refusal, actor=request.actor, version=state.candidate_version)
        raise Refused(decision.reasons())
    if request.kind in (ADVANCED, COMPLETED):
        ledger.verify()
    return ledger.append(
        request.kind,
        {**content, "figures": dict(decision.figures) if decision.figures is not None else None},
        actor=request.actor,
        version=state.candidate_version,
        expected=decision.expected,
        since=decision.seen,
        binding_kinds=_BINDING,
    )


def _is_open(request: StepRequest, state: RolloutState | None) -> Condition:
    name = "rollout_open"
    if state is None:
        return condition(name, False, "no roll-out is open", "Start one: readmission rollout start.")
    detail = f"the roll-out of version {state.candidate_version} (event {state.plan_event})"
    return condition(name, state.plan_event == request.plan_event, detail, "Another one is open: look again.")


def _possible(request: StepRequest, state: RolloutState) -> Condition:
    detail = f"it is {state.status}, at step {state.step + 1} of {len(state.plan.shares)}"
    fits = state.at_last_step if request.kind == COMPLETED else request.kind != ADVANCED or not state.at_last_step
    target = state.step + (request.kind == ADVANCED)
    holds = state.status in _POSSIBLE[request.kind] and fits and request.step == target
    return condition("step_possible", holds, detail, "Look at readmission rollout status.")


def _permitted(
    request: StepRequest, events: Sequence[Event], environment_name: str, model: str, now: datetime
) -> Condition:
    roles = roles_in_force(events)
    if request.by_plan:
        if request.kind not in BY_THE_PLAN:
            return condition("actor_permitted", False, "a plan does not do this by itself", "A person has to ask.")
        return actor_permitted(request.actor, TO_DRIVE, roles, environment_name=environment_name)
    permission = BY_HAND.get(request.kind)
    if permission is None:
        return condition("actor_permitted", False, "only a plan does this", "Abort it: readmission rollout abort.")
    asked: Asked = asked_of(request.kind, model, request)  # type: ignore[arg-type]  # a roll-back is excluded above
    return may_ask(asked, permission, roles, events=events, environment_name=environment_name, now=now)
