"""Commands of the quarantine: ``list``, ``show`` and ``release``. None of them prints a value."""

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from readmission_platform import summary, tables
from readmission_platform.commands.decided import check_reason, show_decision
from readmission_platform.commands.terminal import (
    ActingKey,
    Json,
    check_reader,
    checked_day,
    launching,
    out,
    print_json,
    workspace,
)
from readmission_platform.foundation.errors import BadInput

if TYPE_CHECKING:
    from readmission_platform.lifecycle.workspace import Workspace

_SHORT = 12

Day = Annotated[str, typer.Option("--date", help="The day, YYYY-MM-DD.")]


def list_quarantined(
    first: Annotated[str | None, typer.Option("--from", help="First day; default: all.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day; default: all.")] = None,
    as_json: Json = False,
) -> None:
    """List the rows and outcomes that were set aside: how many, by day, file and code."""
    from readmission_platform.lifecycle.days.quarantine import quarantined, summarised

    begin, end = (checked_day(value) if value else None for value in (first, last))
    current = workspace()
    found = summarised(quarantined(current.lake, first=begin, last=end), current.lake)
    if as_json:
        print_json(found)
    elif not found:
        out.print("nothing is in quarantine")
    else:
        rows = ((each["date"], each["folder"], _short(each["file_digest"]), each["code"], _rows(each["rows"]),
                 escape(each["file"])) for each in found)  # fmt: skip
        out.print(tables.make_table(("date", "of", "digest", "code", "rows", "file"), rows, unbroken={"digest"}))


def show(
    day: Day,
    file: Annotated[str, typer.Option(help="Only the file whose digest begins with this.")] = "",
    as_json: Json = False,
) -> None:
    """Show what is wrong with a day's quarantined rows and outcomes, and what to do; needs permission to read rows."""
    from readmission_platform.lifecycle.days.quarantine import explained, lines_of_file, quarantined

    current = workspace()
    check_reader(current)
    lines = quarantined(current.lake, first=checked_day(day), last=day)
    found = explained(lines_of_file(lines, file) if file else lines, current.contract)
    if as_json:
        print_json(found)
    elif not found:
        out.print(f"nothing from {day} is in quarantine")
    by_file = itemgetter("folder", "file", "file_digest")
    for (folder, name, digest), lines_of in groupby(found if not as_json else [], key=by_file):
        # A name is what the sender made it: brackets in it are no markup.
        out.print(f"\n[bold]{escape(name)}[/] in landing/{folder}/{day} ({_short(digest)})", soft_wrap=True)
        rows = ((str(each["row"] or "whole file"), each["column"], each["reason"], each["action"])
                for each in lines_of)  # fmt: skip
        out.print(tables.make_table(("row", "column", "what is wrong", "what to do"), rows))


def release(
    day: Day,
    file: Annotated[str, typer.Option(help="The file, by the beginning of its digest.")],
    row: Annotated[
        list[int] | None, typer.Option(help="A row; 1 is the first after the header; can be repeated.")
    ] = None,
    all_rows: Annotated[bool, typer.Option("--all-rows", help="Every row of the file that is in quarantine.")] = False,
    reason: Annotated[str, typer.Option(help="Why; required and recorded.")] = "",
    key: ActingKey = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show every condition; change nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Accept quarantined rows on your own responsibility: their broken cells then count as missing."""
    from readmission_platform.governance.promotion.quarantine_releases import record_release
    from readmission_platform.lifecycle.days.quarantine import consider_release

    if bool(row) == all_rows:
        raise BadInput("name the rows with --row, once for each, or use --all-rows")
    check_reason(reason, dry_run=dry_run)
    current = workspace(key=key)
    check_reader(current)
    with current.ledger() as ledger:
        decision = consider_release(checked_day(day), file, None if all_rows else row, reason or "dry run",
                                    ledger=ledger, workspace=current)  # fmt: skip
        event = None if dry_run else record_release(ledger, decision)
    if event is None:
        show_decision(decision, None, possible=("the rows", "be released"), done="", as_json=as_json,
                      rows=list(decision.request.rows))  # fmt: skip
        return
    _score(current, day, {"event": event.seq, "rows": list(decision.request.rows), "cells": event.payload["cells"]},
           as_json=as_json)  # fmt: skip


def _score(current: "Workspace", day: str, released: dict[str, Any], *, as_json: bool) -> None:
    from readmission_platform import launcher as lifecycle

    with launching(current, quiet=as_json) as launcher:
        lifecycle.score(launcher, [day])
    accounts = summary.day_accounts(current, [day])
    if as_json:
        print_json({**released, "day": accounts[0]})
    else:
        count = len(released["rows"])
        out.print(f"{count} {'row' if count == 1 else 'rows'} of {day} released (event {released['event']})")
        tables.show_days(out, accounts)


def _rows(count: int | None) -> str:
    if count is None:
        return "hidden"
    return str(count) if count else "whole file"


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:_SHORT]
