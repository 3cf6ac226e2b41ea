"""The quarantine: its lines as they are in the lake, and the release of rows from it.

What belongs here: reading the lines, naming a file by a part of its digest, and gathering what a release is decided on.
What does not: the decision (``governance.promotion.quarantine_releases``) and taking the rows in
(``lifecycle.days.intake``).
"""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from readmission_platform.evaluation.disclosure import shown_count
from readmission_platform.foundation.errors import BadInput
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.promotion.quarantine_releases import (
    RELEASED,
    BrokenCell,
    ReleaseDecision,
    ReleaseRequest,
    decide_release,
)
from readmission_platform.intake.contract import RowContract
from readmission_platform.intake.quarantine import action_for, line_types, releasable
from readmission_platform.lifecycle.asking import signed
from readmission_platform.lifecycle.workspace import Workspace
from readmission_platform.storage.tables import QUARANTINE, ModelLake


def quarantined(lake: ModelLake, *, first: str | None = None, last: str | None = None) -> pd.DataFrame:
    """Return the lines of the days from ``first`` to ``last``, by day, file and row."""
    types = list(line_types(lake.contract.feed))
    lines = lake.read(QUARANTINE) if lake.exists(QUARANTINE) else pd.DataFrame(columns=types)
    lines = lines[(lines[lake.day] >= (first or "")) & (lines[lake.day] <= (last or "9999"))]
    rows = lines["row"].astype("int64")
    filled = lines.astype(object).where(lines.notna(), "").assign(row=rows)[types]
    return filled.sort_values([lake.day, "file", "file_digest", "row"], kind="stable", ignore_index=True)


def summarised(lines: pd.DataFrame, feed: RowContract) -> list[dict[str, Any]]:
    """Count the rows of each day, file and code; 0 rows stand for a file as a whole, None for 1 to 10 rows."""
    counted = lines.assign(row=lines["row"].where(lines["row"] > 0)).rename(columns={feed.day: "date", "row": "rows"})
    by = ["date", "file", "file_digest", "code", "reason"]
    rows = counted.groupby(by)["rows"].nunique().reset_index()
    return [{**{str(name): value for name, value in row.items()}, "rows": shown_count(int(row["rows"]))}
            for row in rows.to_dict("records")]  # fmt: skip


def explained(lines: pd.DataFrame, feed: RowContract) -> list[dict[str, Any]]:
    """Return lines with what to do about each, and whether the row may be released."""
    shown = ("file", "file_digest", "row", "column", "code", "reason")
    return [
        {"date": line[feed.day], **{name: line[name] for name in shown},
         "releasable": releasable(feed, line["column"], line["code"]),
         "action": action_for(feed, line["column"], line["code"])}
        for line in lines.to_dict("records")
    ]  # fmt: skip


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
        When the file or a row is not in quarantine, or the file has gone from the landing zone.
    """
    lines = lines_of_file(quarantined(workspace.lake, first=day, last=day), prefix)
    chosen = set(lines["row"]) if rows is None else set(rows)
    absent = sorted(chosen - set(lines["row"]))
    if absent or not chosen:
        raise BadInput(f"row {absent[0] if absent else ''} of this file is not in quarantine; "
                       f"`readmission quarantine show --date {day}` lists those that are")  # fmt: skip
    digest = str(lines["file_digest"].iloc[0])
    landing = workspace.landing
    if digest not in {file.digest for file in landing.read_day(day)}:
        raise BadInput(f"the file is no longer in landing/{landing.folders.rows}/{day}, so its rows cannot be taken in")
    cells = [_cell(line) for line in explained(lines[lines["row"].isin(chosen)], workspace.contract.feed)]
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
