"""How far a roll-out has come, by the events of the ledger.

What belongs here: pure functions from events to states. What does not: whether an event may be recorded (``decision``,
``steps``), and whether a recorded one was properly asked for (``proper``).

Whatever moves production ends the roll-out that is open, in the same transaction and without an event of its own: a
promotion of the candidate is its success, anything else its end.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from pydantic import ValidationError

from readmission_platform.governance.ledger.chain import Event, moves_of
from readmission_platform.governance.rollouts.plan import REPLACING, RolloutPlan

STARTED: Final = "rollout_started"
ADVANCED: Final = "rollout_advanced"
PAUSED: Final = "rollout_paused"
RESUMED: Final = "rollout_resumed"
ABORTED: Final = "rollout_aborted"
ROLLOUT_ROLLED_BACK: Final = "rollout_rolled_back"
COMPLETED: Final = "rollout_completed"
ROLLOUT_KINDS: Final = (STARTED, ADVANCED, PAUSED, RESUMED, ABORTED, ROLLOUT_ROLLED_BACK, COMPLETED)

Status = Literal["running", "paused", "completed", "aborted", "rolled_back"]


@dataclass(frozen=True)
class RolloutState:
    """One roll-out after the events so far.

    Attributes
    ----------
    plan_event
        Number of the event that started it; it names the roll-out.
    share
        Of the patients for whom the candidate answers now, 0 to 1; of a roll-out that is over, 0.
    step
        Index of the current step in ``plan.shares``.
    status
        ``completed`` says that every step held. A canary or blue-green roll-out is then still open, at its last share,
        until the candidate is promoted.
    share_since
        When the share became what it is.
    since
        When this step began, or went on after a pause, as the ledger writes time.
    last_event
        The last event about it: whoever writes the next one has seen this.
    open
        Whether requests are still divided by it.
    """

    plan_event: int
    plan: RolloutPlan
    control_version: str
    candidate_version: str
    share: float
    status: Status
    step: int
    started_at: str
    share_since: str
    since: str
    last_event: int
    open: bool = True

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values; steps are counted from 1."""
        return {
            "event": self.plan_event,
            "kind": self.plan.kind,
            "candidate": self.candidate_version,
            "control": self.control_version,
            "status": self.status,
            "step": self.step + 1,
            "steps": len(self.plan.shares),
            "share": self.share,
            "started_at": self.started_at,
            "step_since": self.since,
        }

    @property
    def in_shadow(self) -> bool:
        """Whether the candidate scores everything and answers nothing."""
        return self.open and self.plan.kind == "shadow"

    @property
    def before_this_step(self) -> "RolloutState":
        """The same roll-out with the share that it had before the present step."""
        return replace(self, share=self.plan.shares[self.step - 1] if self.step else 0.0)

    @property
    def at_last_step(self) -> bool:
        """Whether no larger share comes after this one."""
        return self.step == len(self.plan.shares) - 1


def rollout_of(events: Iterable[Event]) -> RolloutState | None:
    """Return the roll-out of the model that is open, or None.

    Parameters
    ----------
    events
        All events of one model and its environment, in order.

    """
    return next((state for state in rollouts_of(events) if state.open), None)


def rollouts_of(events: Iterable[Event]) -> Iterator[RolloutState]:
    """Yield every roll-out there was, in order, each as its last event left it; the last one may be open.

    An event that does not fit the roll-out that is open changes nothing: the share grows by a step at a time, while
    it runs, and by nothing else. A plan that cannot be read starts nothing.
    """
    current: RolloutState | None = None
    for event in events:
        if current is None or not current.open:
            if event.kind == STARTED:
                started = _started(event)
                if started is not None and current is not None:
                    yield current
                current = started or current
        else:
            current = _after(current, event)
    if current is not None:
        yield current


def to_be_known(version: str, events: Iterable[Event]) -> int | None:
    """Return the last event that whoever approves this version has to have known, or None.

    That is the result of an A/B roll-out, and the end of one in which the version turned out worse.
    """
    ended = (each for each in rollouts_of(events) if each.candidate_version == version and not each.open)
    return max(
        (
            each.last_event
            for each in ended
            if each.status == "rolled_back" or (each.plan.kind == "ab" and each.status == "completed")
        ),
        default=None,
    )


def _started(event: Event) -> RolloutState | None:
    try:
        plan = RolloutPlan.model_validate(event.payload.get("plan"))
    except ValidationError:
        return None
    return RolloutState(
        plan_event=event.seq,
        plan=plan,
        control_version=plan.control_version,
        candidate_version=plan.candidate_version,
        share=plan.shares[0],
        status="running",
        step=0,
        started_at=event.at,
        share_since=event.at,
        since=event.at,
        last_event=event.seq,
    )


def _after(state: RolloutState, event: Event) -> RolloutState:
    moves = moves_of(event)
    if "production" in moves:
        status: Status = "completed" if moves["production"] == state.candidate_version else "aborted"
        return replace(state, status=status, share=0.0, open=False, last_event=event.seq)
    if event.kind not in ROLLOUT_KINDS or event.payload.get("plan_event") != state.plan_event:
        return state
    seen = replace(state, last_event=event.seq)
    match event.kind, state.status:
        case "rollout_rolled_back", _:
            return replace(seen, status="rolled_back", share=0.0, open=False)
        case "rollout_aborted", _:
            return replace(seen, status="aborted", share=0.0, open=False)
        case "rollout_paused", "running":
            return replace(seen, status="paused")
        case "rollout_resumed", "paused":
            return replace(seen, status="running", since=event.at)
        case "rollout_advanced", "running" if event.payload.get("step") == state.step + 1 and not state.at_last_step:
            step = state.step + 1
            return replace(seen, step=step, share=state.plan.shares[step], share_since=event.at, since=event.at)
        case "rollout_completed", "running" if state.at_last_step:
            stays = state.plan.kind in REPLACING
            return replace(seen, status="completed", share=state.share if stays else 0.0, open=stays)
    return state
