"""The quarantine: its lines as they are in the lake, and the release of rows from it.

What belongs here: reading the lines, naming a file by a part of its digest, and gathering what a release is decided on.
What does not: the decision (``governance.promotion.quarantine_releases``) and taking the rows in
(``lifecycle.days.intake``).
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pandas as pd

from readmission_platform.evaluation.operation.shown import hidden_of_outcomes, hidden_on, hidden_reasons
from readmission_platform.foundation.errors import BadInput
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.promotion.quarantine_releases import (
    RELEASED,
    BrokenCell,
    ReleaseDecision,
    ReleaseRequest,
    decide_release,
)
from readmission_platform.intake.outcomes import outcome_codes
from readmission_platform.intake.quarantine import action_for, line_types, releasable
from readmission_platform.lifecycle.asking import signed
from readmission_platform.lifecycle.days.accounts import counts_taken_in
from readmission_platform.lifecycle.days.outcomes import outcome_counts
from readmission_platform.lifecycle.workspace import Workspace
from readmission_platform.models.contract import ModelContract
from readmission_platform.storage.landing import Kind
from readmission_platform.storage.tables import OUTCOME_QUARANTINE, QUARANTINE, ModelLake

# Whose lines each table holds: of files of rows, and of files of outcomes.
_TABLES: dict[Kind, str] = {"rows": QUARANTINE, "outcomes": OUTCOME_QUARANTINE}


def quarantined(lake: ModelLake, *, first: str | None = None, last: str | None = None) -> pd.DataFrame:
    """Return the lines of the days from ``first`` to ``last``, by day, kind, file and row.

    Returns
    -------
    The columns of ``intake.quarantine.line_types``, and ``kind``: "rows" or "outcomes", whose files they are about.
    """
    kinds = [_lines(lake, kind, first or "", last or "9999") for kind in _TABLES]
    return pd.concat(kinds, ignore_index=True).sort_values(lake.day, kind="stable", ignore_index=True)


def _lines(lake: ModelLake, kind: Kind, first: str, last: str) -> pd.DataFrame:
    types, table = list(line_types(lake.contract.feed)), _TABLES[kind]
    lines = lake.read(table) if lake.exists(table) else pd.DataFrame(columns=types)
    lines = lines[(lines[lake.day] >= first) & (lines[lake.day] <= last)]
    rows = lines["row"].astype("int64")
    filled = lines.astype(object).where(lines.notna(), "").assign(row=rows)[types]
    return filled.sort_values([lake.day, "file", "file_digest", "row"], kind="stable").assign(kind=kind)


def summarised(lines: pd.DataFrame, lake: ModelLake) -> list[dict[str, Any]]:
    """Count the rows of each day, file and code; 0 rows stand for a file as a whole.

    None stands for what would tell of 1 to 10 people, beside the other codes and the account of the day.
    """
    contract = lake.contract
    rows = lines.assign(row=lines["row"].where(lines["row"] > 0)).rename(columns={contract.day: "date", "row": "rows"})
    by = ["date", "kind", "file", "file_digest", "code", "reason"]
    order = [list(_TABLES).index(kind) for kind in rows["kind"]]
    counts = rows.assign(order=order).groupby(["date", "order", *by[1:]])["rows"].nunique().reset_index()
    hidden = [place for day, of_day in counts.groupby("date") for place in _hidden(str(day), of_day, lake)]
    return [{**{name: row[name] for name in by}, "folder": _folder(contract, row["kind"]),
             "rows": None if place in hidden else int(row["rows"])}
            for place, row in enumerate(counts.to_dict("records"))]  # fmt: skip


def _hidden(day: str, counts: pd.DataFrame, lake: ModelLake) -> Iterator[int]:
    """Yield the places in the list of a day of which the count of rows is hidden."""
    rows = counts_taken_in(lake, [day]).get(day, {})
    outcomes = outcome_counts(lake, [day])[day]
    for kind, of_kind in counts.groupby("kind"):
        account = rows if kind == "rows" else outcomes
        hidden = hidden_on(rows) if kind == "rows" else {f"rows_{each}" for each in hidden_of_outcomes(outcomes, rows)}
        cells = {str(place): int(count) for place, count in of_kind["rows"].items()}
        yield from map(int, hidden_reasons(
            cells, quarantined=account.get("quarantined", 0), hidden="rows_quarantined" in hidden))  # fmt: skip


def explained(lines: pd.DataFrame, contract: ModelContract) -> list[dict[str, Any]]:
    """Return lines with what to do about each, and whether the row may be released: none of outcomes may."""
    feed, shown = contract.feed, ("file", "file_digest", "row", "column", "code", "reason")
    of_outcomes = outcome_codes(feed, maturity_days=contract.maturity_days)
    found = []
    for line in lines.to_dict("records"):
        column, code, kind = line["column"], line["code"], line["kind"]
        why = of_outcomes.get(code)
        action = action_for(feed, column, code) if kind == "rows" else (why.action if why else "")
        found.append({
            "date": line[feed.day], "kind": kind, "folder": _folder(contract, kind),
            **{name: line[name] for name in shown},
            "releasable": kind == "rows" and releasable(feed, column, code), "action": action,
        })  # fmt: skip
    return found


def _folder(contract: ModelContract, kind: Kind) -> str:
    return contract.landing.rows if kind == "rows" else contract.landing.outcomes


def lines_of_file(lines: pd.DataFrame, prefix: str) -> pd.DataFrame:
    """Return the lines of the one file whose digest begins with this text, with or without ``sha256:``.

    Raises
    ------
    BadInput
        When there is no such file among the lines, or more than one.
    """
    wanted = prefix.removeprefix("sha256:").lower()
    digests = lines["file_digest"].str.removeprefix("sha256:")
    matching = lines[digests.str.startswith(wanted) & (digests != "")]
    files = matching["file_digest"].nunique()
    if not wanted or files == 0:
        raise BadInput(
            f"no file in quarantine has a digest that begins with {prefix}; see `readmission quarantine list`"
        )
    if files > 1:
        raise BadInput(f"{files} files in quarantine have a digest that begins with {prefix}; give more of it")
    return matching


def consider_release(
    day: str,
    prefix: str,
    rows: Iterable[int] | None,
    reason: str,
    *,
    ledger: Ledger,
    workspace: Workspace,
) -> ReleaseDecision:
    """Gather what the quarantine says of rows (None: of all that the file has there) and decide; changes nothing.

    Raises
    ------
    BadInput
        When the file or a row is not in quarantine, the file holds outcomes, or it has gone from the landing zone.
    """
    lines = lines_of_file(quarantined(workspace.lake, first=day, last=day), prefix)
    if (lines["kind"] == "outcomes").any():
        raise BadInput("outcomes cannot be released: have the source deliver the file again")
    chosen = set(lines["row"]) if rows is None else set(rows)
    absent = sorted(chosen - set(lines["row"]))
    if absent or not chosen:
        raise BadInput(f"row {absent[0] if absent else ''} of this file is not in quarantine; "
                       f"`readmission quarantine show --date {day}` lists those that are")  # fmt: skip
    digest = str(lines["file_digest"].iloc[0])
    landing = workspace.landing
    if digest not in {file.digest for file in landing.read_day(day)}:
        raise BadInput(f"the file is no longer in landing/{landing.folders.rows}/{day}, so its rows cannot be taken in")
    cells = [_cell(line) for line in explained(lines[lines["row"].isin(chosen)], workspace.contract)]
    asked = ReleaseRequest(day, digest, tuple(sorted(chosen)), workspace.actor, reason)
    request = signed(asked, RELEASED, ledger=ledger, workspace=workspace)
    return decide_release(
        request,
        cells,
        events=ledger.events(),
        environment_name=workspace.environment,
        model=ledger.model,
        now=ledger.now(),
    )


def _cell(line: Mapping[str, Any]) -> BrokenCell:
    return BrokenCell(int(line["row"]), line["column"], line["code"], line["releasable"])
