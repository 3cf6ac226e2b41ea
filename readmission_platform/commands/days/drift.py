"""Commands about drift: ``drift list``, ``judge``, ``accept`` and ``withdraw``."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from readmission_platform import tables
from readmission_platform.commands.decided import check_reason, event_number, show_decision
from readmission_platform.commands.terminal import ActingKey, Json, advice, launching, out, print_json, workspace
from readmission_platform.foundation.errors import BadInput

if TYPE_CHECKING:
    from readmission_platform.governance.promotion.drift_acceptances import Acceptance
    from readmission_platform.lifecycle.workspace import Workspace

Reason = Annotated[str, typer.Option(help="Why; part of what is signed and recorded.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show every condition; change nothing.")]


def list_drift(
    everything: Annotated[
        bool, typer.Option("--all", help="Include acceptances that ended, were replaced or never counted.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what has drifted for the versions in production and staging; what is accepted or withdrawn, and by whom."""
    drifted, accepted = _found(workspace())
    shown = [each for each in accepted if everything or each.withdrawn or not each.problems]
    if as_json:
        print_json({"versions": drifted, "accepted": [each.to_json() for each in shown]})
        return
    if not drifted:
        out.print(advice("no version is in production or in staging, so nothing is watched: `readmission status` lists "
                         "the versions, `readmission promote` brings one there"), soft_wrap=True)  # fmt: skip
    for each in drifted:
        windows = each["windows"]
        days = f"{windows[0]['first_day']} to {windows[-1]['last_day']}" if windows else ""
        said = "; ".join(filter(None, (days, advice(each["to_do"]))))
        out.print(f"[bold]version {each['version']}[/] in {each['state']}: {said}", soft_wrap=True)
        if each["drifted"]:
            rows = (_measured(one) for one in each["drifted"])
            out.print(tables.make_table(("column", "measure", "highest", "limit", "accepted"), rows))
        elif windows:
            out.print("  nothing has drifted")
    if shown:
        out.print(tables.make_table(("event", "version", "columns", "until", "by", "reason", "counts"),
                                     (_line(each) for each in shown)))  # fmt: skip
    for given in shown:
        if given.withdrawn:
            out.print(f"event {given.event} was {given.withdrawn.says()}", markup=False, soft_wrap=True)
    if all(each.problems for each in shown):
        out.print("no drift is accepted")


def judge(as_json: Json = False) -> None:
    """Compare newly scored rows with the training data now (monitoring_job), as the morning schedule does."""
    current = workspace()
    with launching(current, quiet=as_json) as launcher:
        launcher.launch("monitoring_job")
    list_drift(as_json=as_json)


def accept(
    columns: Annotated[list[str], typer.Argument(help="Columns that have drifted, as `drift list` names them.")],
    until: Annotated[str, typer.Option(help="Last day on which it is accepted (UTC), YYYY-MM-DD.")],
    reason: Reason = "",
    version: Annotated[
        str | None, typer.Option(help="For which version; needed if there is one in production and one in staging.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="Your private key; without it the demo approver signs (local).")
    ] = None,
    approver: Annotated[str | None, typer.Option(help="Who you are in configs/roles.yaml; needed with --key.")] = None,
    role: Annotated[str, typer.Option(help="The role you accept in; it may approve.")] = "clinical_approver",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Accept that these columns have drifted, up to the drift seen plus the limit."""
    from readmission_platform.lifecycle.monitoring.acceptance import (
        Asked,
        consider_acceptance,
        record_acceptance,
        signer_of_acceptance,
    )

    current = workspace()
    with current.ledger() as ledger:
        current.policy_in_force(ledger)
        asked = Asked(version or _only_version(current), tuple(columns), until, reason, role)
        signer = signer_of_acceptance(current, ledger, key=key, approver=approver)
        considered = consider_acceptance(asked, signer, ledger=ledger, workspace=current)
        event = None if dry_run or not considered.allowed else record_acceptance(ledger, considered)
    done = f"accepted until {until} by {event.actor} (event {event.seq}): {', '.join(columns)}" if event else ""
    show_decision(considered, event, possible=("this", "be accepted"), done=done, as_json=as_json,
                  **(considered.signed["statement"] if considered.signed else {}))  # fmt: skip


def withdraw(
    event: Annotated[
        int, typer.Argument(metavar="EVENT", parser=event_number, help="The event that accepted it; see `drift list`.")
    ],
    reason: Reason = "",
    key: ActingKey = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Take an acceptance back: from now on the drift counts again."""
    from readmission_platform.governance.promotion.drift_withdrawals import record_withdrawal
    from readmission_platform.lifecycle.monitoring.acceptance import consider_withdrawal

    check_reason(reason, dry_run=dry_run)
    current = workspace(key=key)
    with current.ledger() as ledger:
        decision = consider_withdrawal(event, reason or "dry run", ledger=ledger, workspace=current)
        recorded = None if dry_run else record_withdrawal(ledger, decision)
    show_decision(
        decision, recorded, possible=("it", "be withdrawn"), as_json=as_json,
        done=f"withdrawn (event {recorded.seq}): the drift counts again, except for what another acceptance in "
        "`readmission drift list` covers" if recorded else "",
    )  # fmt: skip


def _found(current: "Workspace") -> tuple[list[dict[str, Any]], list["Acceptance"]]:
    from readmission_platform.governance.ledger.versions import version_records
    from readmission_platform.governance.promotion.drift_acceptances import acceptances, ceilings
    from readmission_platform.lifecycle.monitoring.acceptance import drift_of

    with current.ledger() as ledger:
        events, pointers = ledger.snapshot()
        accepted = acceptances(events, now=ledger.now())
    records = version_records(events, pointers)
    watched = [pointers[stage].version for stage in ("production", "staging")]
    counting = {version: ceilings(each for each in accepted if each.version == version and not each.problems)
                for version in watched if version}  # fmt: skip
    return [drift_of(records[version], allowed, current) for version, allowed in counting.items()], accepted


def _only_version(current: "Workspace") -> str:
    with current.ledger() as ledger:
        pointers = ledger.pointers()
    there = [pointer.version for pointer in pointers.values() if pointer.version is not None]
    if len(there) != 1:
        where = "none is in production or in staging, and no other scores (`readmission promote`)"
        if there:
            where = f"in production and staging: {' and '.join(sorted(there))}"
        raise BadInput(f"--version: say of which version; {where}")
    return there[0]


def _measured(one: Mapping[str, Any]) -> tuple[str, ...]:
    score = "cannot be judged" if one["score"] is None else f"{one['score']:.3f}"
    accepted = "no" if one["accepted_up_to"] is None else f"up to {one['accepted_up_to']:.3f}"
    return escape(one["column"]), one["measure"], score, f"{one['limit']:g}", accepted


def _line(each: "Acceptance") -> tuple[str, ...]:
    parts = (str(each.event), each.version, ", ".join(each.names), each.until, each.whose, each.reason,
             "withdrawn" if each.withdrawn else "; ".join(each.problems) or "yes")  # fmt: skip
    return tuple(escape(part) for part in parts)
