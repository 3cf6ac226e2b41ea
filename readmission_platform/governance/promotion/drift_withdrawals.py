"""Taking an acceptance of drift back: from then on the drift counts again.

What belongs here: deciding whether that may be, and the record of it. What does not: acceptances themselves, and
whether they count (``drift_acceptances``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from readmission_platform.foundation.errors import Refused
from readmission_platform.governance.ledger.chain import Event
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.policy.adoption import roles_in_force
from readmission_platform.governance.promotion.case import Condition, Judged, condition
from readmission_platform.governance.promotion.permission import asked_of, may_ask, recorded_request

WITHDRAWN: Final = "drift_acceptance_withdrawn"
REFUSED = "drift_withdrawal_refused"
PERMISSION: Final = "approve"


@dataclass(frozen=True)
class Withdrawal:
    """By which event an acceptance was taken back, by whom, when (ISO 8601) and why."""

    event: int
    by: str
    at: str
    reason: str

    @classmethod
    def of(cls, event: Event) -> "Withdrawal":
        """Read a recorded withdrawal."""
        return cls(event.seq, event.actor, event.at, str(event.payload.get("reason") or ""))

    def says(self) -> str:
        """Say it for people."""
        return f"withdrawn on {self.at[:10]} by {self.by} (event {self.event}): {self.reason}"


@dataclass(frozen=True)
class WithdrawalRequest:
    """Take back what an event accepted, known by the nonce that was signed; by whom and why.

    ``signed`` as for a promotion.
    """

    event: int
    nonce: str
    actor: str
    reason: str
    signed: Mapping[str, Any] | None = None

    @property
    def what(self) -> dict[str, Any]:
        """What is signed."""
        return {"event": self.event, "nonce": self.nonce}


@dataclass(frozen=True)
class WithdrawalDecision(Judged):
    """What was decided on what grounds."""

    request: WithdrawalRequest


def decide_withdrawal(
    request: WithdrawalRequest,
    stands: Condition,
    *,
    events: Sequence[Event],
    environment_name: str,
    model: str,
    now: datetime,
) -> WithdrawalDecision:
    """Decide about a withdrawal; pure, and changes nothing.

    Parameters
    ----------
    stands
        Whether the event accepted something, and nobody has withdrawn it yet.
    """
    asked = asked_of(WITHDRAWN, model, request)
    found = [
        may_ask(asked, PERMISSION, roles_in_force(events), events=events, environment_name=environment_name, now=now),
        condition("reason_given", bool(request.reason.strip()), request.reason.strip() or "no reason", "Give one."),
        stands,
    ]
    return WithdrawalDecision(found, {}, events[-1].seq if events else 0, request=request)


def record_withdrawal(ledger: Ledger, decision: WithdrawalDecision) -> Event:
    """Record a withdrawal, unless somebody else was first.

    Raises
    ------
    Refused
        With every reason; the refusal is recorded.
    Conflict
        When another acceptance was withdrawn since it was decided on.
    """
    request = decision.request
    if not decision.allowed:
        refusal = {**request.what, "reason": request.reason, "reasons": decision.reasons()}
        ledger.append(REFUSED, refusal, actor=request.actor)
        raise Refused(decision.reasons())
    content = {**request.what, "reason": request.reason, **recorded_request(decision.conditions, request.signed)}
    return ledger.append(WITHDRAWN, content, actor=request.actor, since=decision.seen, binding_kinds=(WITHDRAWN,))
