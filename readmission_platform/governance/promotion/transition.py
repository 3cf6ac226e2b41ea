"""Carrying out a decision: the refusal on the record, or the pointers moved in one transaction.

What belongs here: what promotion and rollback have in common once they have decided. What does not: deciding.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from readmission_platform.foundation.errors import Refused
from readmission_platform.governance.ledger.chain import Event
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.promotion.case import Judged


@dataclass(frozen=True)
class Transition:
    """A kind of move: its event, the event of its refusal, and the kinds of event a decision about it depends on."""

    kind: str
    refusal: str
    binding_kinds: Collection[str]


def carry_out(
    transition: Transition,
    ledger: Ledger,
    decision: Judged,
    *,
    version: str | None,
    to_stage: str,
    moves: Mapping[str, str | None],
    actor: str,
    reason: str,
    asked: Mapping[str, Any],
    more: Mapping[str, Any],
    dry_run: bool,
) -> Event | None:
    """Move the pointers when the decision allows it, else record the refusal and raise.

    Before anything moves the whole chain is verified. A dry run records nothing at all.

    Parameters
    ----------
    asked
        Who asked, as ``permission.recorded_request`` returns it.
    more
        What this kind of move records besides the conditions.

    Returns
    -------
    Event or None
        The event that moved the pointers; None for a dry run.

    Raises
    ------
    Refused
        With every reason.
    Conflict
        When the ledger changed since the decision; nothing was moved.
    LedgerCorrupt, Unavailable
        When the ledger does not verify, or cannot be written.
    """
    if not decision.allowed:
        if not dry_run:
            refusal = {"to_stage": to_stage, "reasons": decision.reasons(), "reason": reason, **asked}
            ledger.append(transition.refusal, refusal, actor=actor, version=version)
        raise Refused(decision.reasons())
    ledger.verify()
    if dry_run:
        return None
    payload = {
        "to_stage": to_stage,
        "from_version": decision.expected[to_stage].version,
        "moves": dict(moves),
        "conditions": [item.to_json() for item in decision.conditions],
        "reason": reason,
        **asked,
        **more,
    }
    return ledger.move(
        transition.kind,
        payload,
        actor=actor,
        version=version,
        moves=moves,
        expected=decision.expected,
        since=decision.seen,
        binding_kinds=transition.binding_kinds,
    )
