"""Commands about who is who: ``identities list``, ``merge`` and ``part``. None of them prints a number of a person."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from readmission_platform import tables
from readmission_platform.commands.decided import check_reason, event_number, show_decision
from readmission_platform.commands.terminal import ActingKey, Json, out, print_json, workspace

if TYPE_CHECKING:
    from readmission_platform.governance.ledger.ledger import Ledger
    from readmission_platform.governance.promotion.identities import IdentityDecision

Reason = Annotated[str, typer.Option(help="Why; required and recorded.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show every condition; change nothing.")]


def list_identities(as_json: Json = False) -> None:
    """Show which numbers were merged and parted, when, by whom and why."""
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
        out.print("no numbers have been merged")
    else:
        rows = ((str(each["event"]), str(each["at"])[:16].replace("T", " "), escape(str(each["by"])),
                 "parted again" if each["parted"] else "one person", escape(str(each["reason"])))
                for each in found)  # fmt: skip
        out.print(tables.make_table(("event", "at (UTC)", "by", "now", "reason"), rows))


def merge(
    retired: Annotated[str, typer.Argument(help="The number that is no longer used.")],
    kept: Annotated[str, typer.Argument(help="The number of the same person that stays.")],
    reason: Reason = "",
    key: ActingKey = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Merge two numbers that belong to one person: from the next scoring on they have one history."""
    from readmission_platform.lifecycle.days.identities import consider_merge

    check_reason(reason, dry_run=dry_run)
    current = workspace(key=key)
    with current.ledger() as ledger:
        decision = consider_merge(retired, kept, reason or "dry run", ledger=ledger, workspace=current)
        _finish(decision, ledger, "joined", dry_run=dry_run, as_json=as_json)


def part(
    event: Annotated[
        int,
        typer.Argument(metavar="EVENT", parser=event_number, help="The event that joined them; see `identities list`."),
    ],
    reason: Reason = "",
    key: ActingKey = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Part two merged numbers that belong to two persons after all."""
    from readmission_platform.lifecycle.days.identities import consider_parting

    check_reason(reason, dry_run=dry_run)
    current = workspace(key=key)
    with current.ledger() as ledger:
        decision = consider_parting(event, reason or "dry run", ledger=ledger, workspace=current)
        _finish(decision, ledger, "parted", dry_run=dry_run, as_json=as_json)


def _finish(decision: "IdentityDecision", ledger: "Ledger", done: str, *, dry_run: bool, as_json: bool) -> None:
    from readmission_platform.governance.promotion.identities import record_identity

    event = None if dry_run else record_identity(ledger, decision)
    said = f"{done} (event {event.seq}); this counts from the next scoring and training on" if event else ""
    show_decision(decision, event, possible=("the two", f"be {done}"), done=said, as_json=as_json)
