"""The care team's command: ``worklist`` shows the list of a day, or says where its page is."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from readmission_platform import tables
from readmission_platform.commands.terminal import (
    Json,
    check_reader,
    checked_day,
    open_page,
    out,
    print_json,
    workspace,
)
from readmission_platform.foundation.counting import counted
from readmission_platform.foundation.errors import BadInput, Unavailable

if TYPE_CHECKING:
    from readmission_platform.lifecycle.days.work_lists import EmptyDay
    from readmission_platform.lifecycle.workspace import Workspace
    from readmission_platform.reports.work_list import WorkList

FORMATS = ("table", "csv", "json", "html-path")


def worklist(
    day: Annotated[
        str | None, typer.Option("--date", help="Discharge date, YYYY-MM-DD; default: the last one scored.")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="table, csv, json or html-path.")] = "table",
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    as_json: Json = False,
) -> None:
    """Show the work list of a day: whom to follow up, at which risk, and the main reasons."""
    from readmission_platform.reports.work_list import WorkList, csv_text

    if form not in FORMATS:
        raise BadInput(f"--format: {form} is unknown; choose {', '.join(FORMATS)}")
    if as_json and form == "csv":
        raise BadInput("--json and --format csv cannot be used together")
    current = workspace()
    check_reader(current)
    found = _found(current, day)
    if not isinstance(found, WorkList):
        _show_empty(found, current, "json" if as_json else form, page=show)
        return
    page = _page(current, found) if show or form == "html-path" else None
    if as_json or form == "json":
        print_json({"date": found.day, "simulated": found.simulated, "example": found.example, "model": found.model,
                    "version": found.version, "source": found.source, "scored_at": found.scored_at,
                    "rows": found.records(), **({"page": page} if page else {})})  # fmt: skip
    elif form == "csv":
        typer.echo(csv_text(found.rows), nl=False)
    elif form == "html-path":
        typer.echo(page)
    else:
        _show(found)
    if show and page:
        open_page(Path(page))


def _show(found: "WorkList") -> None:
    """Print everybody on the list: those to follow up, the rest, and those that were not scored."""
    marks = [*(["an example: not for decisions about people"] if found.example else []),
             *(["simulated date"] if found.simulated else [])]  # fmt: skip
    note = f" ({'; '.join(marks)})" if marks else ""
    kind = ", trained on synthetic data" if found.limit_set == "synthetic" else ""
    out.print(f"[bold]Work list of {found.day}{note}[/]: version {found.version}{kind}, scored {found.scored_at}")
    rows, row_id = found.records(), str(found.rows.columns[1])
    ranked = ((str(row["rank"]), str(row[row_id]), f"{row['risk_percent']:.1f} %", row["band"],
               "[bold]yes[/]" if row["follow_up"] == "yes" else "", tables.reason_lines(row["reasons"]))
              for row in rows if row["rank"] is not None)  # fmt: skip
    out.print(tables.make_table(("rank", found.words.row, "risk", "band", "follow up", "main reasons"), ranked))
    withheld = [(str(row[row_id]), escape(row["reasons"])) for row in rows if row["rank"] is None]
    if withheld:
        out.print("\n[bold]Not scored: use your own judgement[/]")
        out.print(tables.make_table((found.words.row, "why there is no risk"), withheld))


def _show_empty(found: "EmptyDay", current: "Workspace", form: str, *, page: bool) -> None:
    """Say of a day of which nobody is left that its list is empty, and since when."""
    from readmission_platform.reports.work_list import columns_of

    words, row = current.contract.words, current.contract.row
    why = f"the {words.rows} delivered are on other days" if found.delivered else f"its files hold no {words.rows}"
    since = f"taken in {found.taken_in_at[:16].replace('T', ' ')} UTC, revision {found.revision}"
    if page or form == "html-path":
        raise BadInput(f"there is no page of {found.day}: nobody is on its list, since {why} ({since})")
    if form == "json":
        print_json({"date": found.day, "simulated": found.simulated, "example": current.entry.example,
                    "model": current.name, "version": None, "source": None, "scored_at": None,
                    "taken_in_at": found.taken_in_at, "revision": found.revision, "rows": []})  # fmt: skip
    elif form == "csv":
        typer.echo(",".join(columns_of(row)))
    else:
        out.print(f"[bold]Work list of {found.day}[/]: nobody is on it, since {why} ({since})", soft_wrap=True)


def _found(current: "Workspace", day: str | None) -> "WorkList | EmptyDay":
    from readmission_platform.lifecycle.days.work_lists import empty_day, scored_days, work_lists

    wanted = checked_day(day) if day else next(reversed(scored_days(current.lake)), None)
    if wanted is None:
        raise BadInput("nothing has been scored yet; `readmission score --date D` scores a day with files")
    with current.ledger() as ledger:
        lists = work_lists(current, ledger, days=[wanted])
    empty = None if lists else empty_day(current, wanted)
    if empty is not None:
        return empty
    if not lists:
        raise BadInput(_why_none(current, wanted))
    return lists[0]


def _why_none(current: "Workspace", day: str) -> str:
    from readmission_platform.lifecycle.days.work_lists import scored_days

    if day in current.landing.days():
        return f"{day} has not been scored; `readmission score --date {day}` scores it"
    there = scored_days(current.lake)
    lists = f"there are lists of {counted(len(there), 'day')}, {there[0]} to {there[-1]}" if there else "no day has one"
    return f"there is no list of {day}, and no file has been delivered for it; {lists}"


def _page(current: "Workspace", found: "WorkList") -> str:
    """Return where the page is, writing it first if it is gone or shows older predictions."""
    from readmission_platform.lifecycle.pages import write_work_lists
    from readmission_platform.reports.page_links import without_links
    from readmission_platform.reports.work_list import FOLDER, PAGE, made_from, page_html

    folder = current.reports / FOLDER / found.day
    page = folder / PAGE
    try:
        if made_from(folder) != found.made_from or without_links(page.read_text(encoding="utf-8")) != page_html(found):
            write_work_lists(current.settings, [found])
    except OSError as error:
        raise Unavailable(f"the page cannot be written ({error.strerror})") from error
    return str(page)
