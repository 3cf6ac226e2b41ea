"""What the ledger says the predictions of each day are, and whether those in the lake are still these.

What belongs here: recording a digest of each day that was scored, and comparing. What does not: scoring (``scoring``).

A run records one event for a table, with a digest of each of its days, once the lake has the rows. If it is killed in
between, the rows are not those recorded: nobody reads them, the day is not complete, and it is scored again.
"""

import hashlib
import json
import time
from collections.abc import Collection, Sequence
from typing import NamedTuple

import pandas as pd

from readmission_platform.foundation.errors import GovernanceError
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.storage.tables import ModelLake

SCORED = "days_scored"
# How soon after the lake has the rows a run has recorded them; until then a reader waits.
RECORDED_WITHIN_SECONDS = 3.0


class PredictionsChanged(GovernanceError):
    """The predictions of a day are not those that the ledger recorded; the message names table and days."""

    exit_code = 1


def record_days(
    ledger: Ledger,
    table: str,
    rows: pd.DataFrame,
    days: Sequence[str],
    *,
    version: int,
    lake: ModelLake,
    run_id: str,
    actor: str,
) -> None:
    """Record the predictions of days as they were written, in one event; a day without rows has none any more.

    Parameters
    ----------
    version
        That of the lake's table which has them.
    """
    digests = day_digests(rows, day=lake.day, row=lake.row)
    of_days = {day: digests.get(day) for day in days}
    ledger.append(SCORED, {"table": table, "version": version, "run_id": run_id, "days": of_days}, actor=actor)


class Replaced(NamedTuple):
    """Predictions of a day that were scored again: their table version and digest, and when others took their place."""

    day: str
    version: int
    digest: str
    replaced_at: str


def replaced_days(ledger: Ledger, table: str) -> list[Replaced]:
    """Return what was recorded of days before their predictions of now, in the order of recording."""
    found: list[Replaced] = []
    latest: dict[str, tuple[int, str | None]] = {}
    for event in ledger.events(kind=SCORED):
        if event.payload["table"] != table:
            continue
        for day, digest in event.payload["days"].items():
            version, before = latest.get(day, (0, None))
            if before is not None and before != digest:
                found.append(Replaced(day, version, before, event.at))
            latest[day] = (int(event.payload["version"]), digest)
    return found


def replaced_rows(lake: ModelLake, table: str, replaced: Replaced) -> pd.DataFrame:
    """Return the predictions of a day as they were shown before.

    Raises
    ------
    TableMissing, TableDamaged
        When the lake does not keep that version any more.
    PredictionsChanged
        When it holds others than were recorded.
    """
    rows = lake.read(table, version=replaced.version, where={lake.day: [replaced.day]})
    if day_digests(rows, day=lake.day, row=lake.row).get(replaced.day) != replaced.digest:
        raise PredictionsChanged(
            f"version {replaced.version} of {table}, which {replaced.day} was shown from, is not what the ledger "
            "recorded: restore the lake from the last backup"
        )
    return rows


def recorded_digests(ledger: Ledger, table: str) -> dict[str, str | None]:
    """Return the digest recorded last of each day of a table; None where the day was left without rows."""
    found: dict[str, str | None] = {}
    for event in ledger.events(kind=SCORED):
        if event.payload["table"] == table:
            found |= event.payload["days"]
    return found


def changed_days(lake: ModelLake, ledger: Ledger, table: str, *, days: Collection[str] | None = None) -> list[str]:
    """Return the days (of those given, or all) whose predictions are not those recorded, in order."""
    return _compared(lake, ledger, table, days)[1]


def unchanged_rows(lake: ModelLake, ledger: Ledger, table: str, *, days: Collection[str] | None = None) -> pd.DataFrame:
    """Return the predictions of days (default: all), which are those that the ledger recorded.

    Raises
    ------
    PredictionsChanged
        Naming table and days.
    """
    rows, changed = _compared(lake, ledger, table, days)
    deadline = time.monotonic() + RECORDED_WITHIN_SECONDS
    while changed and time.monotonic() < deadline:  # a run may have stored them in this moment
        time.sleep(0.2)
        rows, changed = _compared(lake, ledger, table, days)
    if changed:
        more = f" and {len(changed) - 5} more days" if len(changed) > 5 else ""
        raise PredictionsChanged(
            f"{table} of {', '.join(changed[:5])}{more} is not what the ledger recorded: score again "
            "(readmission score), or restore the lake from the last backup"
        )
    return rows


def _compared(
    lake: ModelLake, ledger: Ledger, table: str, days: Collection[str] | None
) -> tuple[pd.DataFrame, list[str]]:
    """Return the predictions of days as stored, and which of the days are not as recorded."""
    recorded = recorded_digests(ledger, table)
    rows = pd.DataFrame({lake.day: [], lake.row: []})
    if lake.exists(table):
        rows = lake.read(table, where=None if days is None else {lake.day: sorted(days)})
    stored = day_digests(rows, day=lake.day, row=lake.row)
    wanted = {*recorded, *stored} if days is None else set(days)
    return rows, sorted(day for day in wanted if recorded.get(day) != stored.get(day))


def day_digests(rows: pd.DataFrame, *, day: str, row: str) -> dict[str, str]:
    """Return a digest of each day's rows, whatever their order, and whatever types a table keeps their values in.

    A column without a value says nothing: a table that gains one keeps the digests of its older days.
    """
    names = sorted(str(name) for name in rows.columns)
    ordered = rows.sort_values([day, row], kind="stable")
    cells = [[_plain(value) for value in ordered[name].astype(object)] for name in names]
    running: dict[str, hashlib._Hash] = {}
    for of_day, values in zip(ordered[day], zip(*cells, strict=True), strict=True):
        content = {name: value for name, value in zip(names, values, strict=True) if value is not None}
        running.setdefault(str(of_day), hashlib.sha256()).update(f"{json.dumps(content)}\n".encode())
    return {of_day: f"sha256:{digest.hexdigest()}" for of_day, digest in running.items()}


def _plain(value: object) -> str | None:
    """Write a cell as text; a whole number is one whether or not its column can hold others."""
    if value is None or value is pd.NA or value != value:
        return None
    if isinstance(value, (bool, str)):
        return str(value)
    number = float(value) if hasattr(value, "__float__") else None
    if number is None:
        return str(value)
    return str(int(number)) if number.is_integer() and abs(number) < 2**53 else repr(number)
