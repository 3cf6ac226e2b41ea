"""Whether a roll-out was properly started and brought to where it is: its events, looked at again.

What belongs here: pure functions from events to what is wrong with the roll-out that is open. What does not: deciding
about a new one (``start``, ``steps``). Anybody who can write into the ledger can record a roll-out; nobody without the
approvers' keys can record their approval. Whoever serves by a roll-out asks here first.
"""

from collections.abc import Sequence

from readmission_platform.governance.ledger.binding import LOCAL, environment_of
from readmission_platform.governance.ledger.chain import Event, is_intact, pointers_from
from readmission_platform.governance.ledger.versions import version_records
from readmission_platform.governance.policy.adoption import roles_in_force
from readmission_platform.governance.promotion.approved import uncounted_approvals
from readmission_platform.governance.promotion.permission import actor_permitted
from readmission_platform.governance.promotion.requested import unasked
from readmission_platform.governance.rollouts.permissions import BY_THE_PLAN, TO_DRIVE
from readmission_platform.governance.rollouts.plan import EXPOSING
from readmission_platform.governance.rollouts.state import ADVANCED, COMPLETED, RESUMED, RolloutState

_EXPOSE_MORE = frozenset({ADVANCED, RESUMED, COMPLETED})


def rollout_problem(state: RolloutState, events: Sequence[Event]) -> str | None:
    """Say why nobody may be given the candidate by this roll-out, or return None.

    What takes a candidate back, or pauses it, is obeyed whoever wrote it.

    Parameters
    ----------
    state
        The roll-out that is open by ``events`` (``state.rollout_of``).
    events
        All events of the model and its environment, in order.
    """
    started = next(event for event in events if event.seq == state.plan_event)
    problem = _start_problem(started, state, events)
    if problem:
        return f"the roll-out of event {started.seq} was not properly started: {problem}"
    for event in events:
        if event.kind in _EXPOSE_MORE and event.payload.get("plan_event") == state.plan_event:
            problem = _step_problem(event, events)
            if problem:
                return f"the roll-out of event {started.seq} was not properly continued: {problem}"
    return None


def _start_problem(started: Event, state: RolloutState, events: Sequence[Event]) -> str | None:
    if not is_intact(started):
        return f"event {started.seq} was edited"
    before = [event for event in events if event.seq < started.seq]
    own = [event for event in before if event.version == state.candidate_version]
    edited = next((event.seq for event in own if not is_intact(event)), None)
    if edited is not None:
        return f"event {edited} was edited"
    if pointers_from(before)["production"].version != state.control_version:
        return f"version {state.control_version} was not in production"
    record = version_records(own, {}).get(state.candidate_version)
    if record is None or record.ambiguous or record.artifact_digest is None or not record.accepted:
        return f"version {state.candidate_version} was not an accepted version"
    problem = unasked(started, events)
    if problem or state.plan.kind not in EXPOSING:
        return problem
    return "; ".join(uncounted_approvals(started, record, events)) or None


def _step_problem(event: Event, events: Sequence[Event]) -> str | None:
    if not is_intact(event):
        return f"event {event.seq} was edited"
    if event.kind not in BY_THE_PLAN or event.payload.get("by_plan") is not True:
        return unasked(event, events)
    environment = environment_of(events)
    if environment == LOCAL:
        return None
    roles = roles_in_force([each for each in events if each.seq < event.seq])
    may = actor_permitted(event.actor, TO_DRIVE, roles, environment_name=str(environment))
    return f"event {event.seq}: {may.detail}" if may.blocks else None
