"""Commands about who is who: ``identities list``, ``merge`` and ``part``. None of them prints a number of a person."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from readmission_platform import summary
from readmission_platform.commands.terminal import ActingKey, Json, out, print_json, workspace
from readmission_platform.foundation.errors import BadInput, Refused

if TYPE_CHECKING:
    from readmission_platform.governance.promotion.identities import IdentityDecision

Reason = Annotated[str, typer.Option(help="Why; required and recorded.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show every condition; change nothing.")]


def list_identities(as_json: Json = False) -> None:
    """What was joined and parted, when, by whom and why."""
    from readmission_platform.governance.promotion.identities import MERGED, PARTED
    from readmission_platform.governance.promotion.requested import proper_identity_changes

    with workspace().ledger() as ledger:
        changes = proper_identity_changes(ledger.events())
    parted = {event.payload["event"] for event in changes if event.kind == PARTED}
    found = [{"event": event.seq, "at": event.at, "by": event.actor, "reason": event.payload["reason"],
              "parted": event.seq in parted} for event in changes if event.kind == MERGED]  # fmt: skip
    if as_json:
        print_json(found)
    elif not found:
        out.print("no two numbers were joined")
    else:
        rows = ((str(each["event"]), str(each["at"])[:16].replace("T", " "), escape(str(each["by"])),
                 "parted again" if each["parted"] else "one person", escape(str(each["reason"])))
                for each in found)  # fmt: skip
        out.print(summary.make_table(("event", "at (UTC)", "by", "now", "reason"), rows))


def merge(
    retired: Annotated[str, typer.Argument(help="The number that is used no more.")],
    kept: Annotated[str, typer.Argument(help="The number of the same person that stays.")],
    reason: Reason = "",
    key: ActingKey = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Join the records of two numbers that are one person: from the next scoring on they have one past."""
    from readmission_platform.lifecycle.days.identities import consider_merge

    _check_reason(reason, dry_run=dry_run)
    current = workspace(key=key)
    with current.ledger() as ledger:
        decision = consider_merge(retired, kept, reason or "dry run", ledger=ledger, workspace=current)
        _finish(decision, ledger, "joined", dry_run=dry_run, as_json=as_json)


def part(
    event: Annotated[int, typer.Argument(help="The event that joined them; see `identities list`.")],
    reason: Reason = "",
    key: ActingKey = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Part two numbers that were joined and are two persons after all."""
    from readmission_platform.lifecycle.days.identities import consider_parting

    _check_reason(reason, dry_run=dry_run)
    current = workspace(key=key)
    with current.ledger() as ledger:
        decision = consider_parting(event, reason or "dry run", ledger=ledger, workspace=current)
        _finish(decision, ledger, "parted", dry_run=dry_run, as_json=as_json)


def _check_reason(reason: str, *, dry_run: bool) -> None:
    if not dry_run and not reason.strip():
        raise BadInput("--reason is required: it is recorded")


def _finish(decision: "IdentityDecision", ledger: Any, done: str, *, dry_run: bool, as_json: bool) -> None:
    from readmission_platform.governance.promotion.identities import record_identity

    event = None if dry_run else record_identity(ledger, decision)
    if as_json:
        conditions = [item.to_json() for item in decision.conditions]
        print_json({"event": event.seq if event else None, "allowed": decision.allowed, "conditions": conditions})
    elif event is None:
        summary.show_conditions(out, decision.conditions)
        out.print(f"the two can{'' if decision.allowed else 'not'} be {done}; nothing changed")
    else:
        out.print(f"{done} (event {event.seq}); this counts from the next scoring and training on")
    if not decision.allowed:
        raise Refused(decision.reasons())
