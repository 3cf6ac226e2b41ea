"""Commands that put things right: ``rollback`` and ``reconcile``."""

from typing import Annotated

import typer

from readmission_platform import summary
from readmission_platform.commands.decided import check_reason, show_decision
from readmission_platform.commands.terminal import ActingKey, Json, launching, out, print_json, workspace
from readmission_platform.foundation.errors import Unavailable


def rollback(
    to_version: Annotated[
        str | None, typer.Option(help="A version that was in production; default: the previous one.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why; required and recorded.")] = "",
    key: ActingKey = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show every condition; change nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Return production to a previously approved version, at once; no new approval is needed."""
    from readmission_platform.assets.model.rollback import RollbackConfig
    from readmission_platform.lifecycle.versions.decisions import consider_rollback, rollback_request

    check_reason(reason, dry_run=dry_run)
    current = workspace(key=key)
    if not dry_run:
        from readmission_platform import launcher as lifecycle

        with launching(current, quiet=as_json) as launcher:
            lifecycle.roll_back(launcher, RollbackConfig(to_version=to_version or "", reason=reason))
        found = summary.status(current)["stages"]
        if as_json:
            print_json(found)
        else:
            out.print(f"production is back to version {found['production']['version']}")
        return
    with current.ledger() as ledger:
        decision = consider_rollback(
            rollback_request(to_version, reason or "dry run", ledger=ledger, workspace=current),
            ledger=ledger,
            workspace=current,
        )
    where = f"version {decision.target}" if decision.target else "an earlier version"
    show_decision(decision, None, possible=("production", f"go back to {where}"), done="", as_json=as_json,
                  version=decision.target)  # fmt: skip


def reconcile(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what differs.")] = False,
    as_json: Json = False,
) -> None:
    """Compare registry and artifacts with the ledger, and repair what differs; the ledger decides."""
    from readmission_platform.lifecycle.versions.reconciliation import differences, record_once

    current = workspace()
    with current.ledger() as ledger:
        found = differences(ledger, workspace=current)
        if found and not dry_run:
            record_once(ledger, found, actor=current.actor)
    beyond_repair = [each for each in found if not each.repairable]
    if any(each.repairable for each in found) and not dry_run and not beyond_repair:
        from readmission_platform import launcher as lifecycle

        with launching(current, quiet=as_json) as launcher:
            lifecycle.reconcile(launcher)
    if as_json:
        print_json({"differences": [each.to_json() for each in found], "dry_run": dry_run})
    elif not found:
        out.print("registry and artifacts agree with the ledger")
    for each in found if not as_json else []:
        done = "repaired" if each.repairable and not dry_run and not beyond_repair else "found"
        seen = f"{each.found or 'none'}, by the ledger {each.wanted or 'none'}"
        out.print(f"{done}: {each.stage}: {each.what}: {seen}. {each.action}")
    if beyond_repair:
        raise Unavailable("some differences cannot be repaired from the ledger alone; see above")
