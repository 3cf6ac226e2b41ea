"""What is unusual of days taken in: their volume, the share set aside, their numbers, rows trained on before.

What belongs here: reading what these days are compared with, and keeping what was found. What does not: the comparisons
(``intake.usual``, ``intake.series``) and the checks that say so (``assets.feed.delivery_checks``).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pandas as pd

from readmission_platform.config.monitoring import DeliveriesConfig
from readmission_platform.governance.ledger.versions import version_records
from readmission_platform.intake.series import days_that_jumped
from readmission_platform.intake.usual import unusual_days
from readmission_platform.lifecycle.workspace import Workspace
from readmission_platform.storage.tables import ACCOUNTING, UNUSUAL, ModelLake

SOUND, VOLUME, SERIES, NEW = "most_rows_accepted", "volume_as_usual", "numbers_continue", "rows_are_new"
# A day is named for so long after it was taken in, unless it is delivered again: the next run must not hide it.
NAMED_FOR = timedelta(days=7)
_LATEST = 0.9  # where on the clock the latest rows of the source begin


@dataclass(frozen=True)
class Unusual:
    """What is unusual of the days that were taken in now.

    Attributes
    ----------
    found
        One row per day and kind: the contract's day, ``kind`` (name of a check), ``how`` (text, may be empty) and
        ``found_at`` (UTC, ISO 8601).
    trained_on
        How many of a day's accepted rows the version in production was trained on; days with any.
    accepted
        Rows accepted by day.
    """

    found: pd.DataFrame
    trained_on: dict[str, int]
    accepted: dict[str, int]


def unusual(workspace: Workspace, days: Sequence[str]) -> Unusual:
    """Judge the days that were taken in now."""
    lake, limits = workspace.lake, workspace.monitoring.deliveries
    judged = sorted(days)
    first, last = date.fromisoformat(judged[0]) - timedelta(weeks=limits.usual_weeks), date.fromisoformat(judged[-1])
    span = {lake.day: [(first + timedelta(days=place)).isoformat() for place in range((last - first).days + 1)]}
    counted = ["received", "accepted", "quarantined"]
    accounts = pd.DataFrame(columns=counted)
    if lake.exists(ACCOUNTING):  # else this was the first run, and rows were lost in it
        accounts = lake.read(ACCOUNTING, columns=[lake.day, *counted], where=span).set_index(lake.day)
    rows = lake.read(lake.names.delivered, columns=[lake.row, lake.day], where=span)
    trained_on = _trained_on(workspace, rows[rows[lake.day].isin(judged)])
    kinds = list(_kinds(accounts, rows, judged, trained_on, limits, lake))
    found = pd.DataFrame(kinds, columns=[lake.day, "kind", "how"], dtype=object)
    counts = accounts["accepted"].reindex(judged).fillna(0)
    return Unusual(
        found.assign(found_at=datetime.now(UTC).isoformat(timespec="seconds")),
        trained_on,
        {str(day): int(count) for day, count in counts.items()},
    )


def named_days(lake: ModelLake, *, now: datetime) -> pd.DataFrame:
    """Return what was found unusual lately and still stands, as in ``Unusual.found``, by day."""
    from pyarrow import compute

    since = (now - NAMED_FOR).isoformat(timespec="seconds")
    # Delta opens only the days that can hold any, of what may be years.
    rows = lake.read(UNUSUAL, kept=compute.field("found_at") >= since)
    return rows.sort_values([lake.day, "kind"], ignore_index=True)


def _kinds(
    accounts: pd.DataFrame,
    rows: pd.DataFrame,
    judged: Sequence[str],
    trained_on: dict[str, int],
    limits: DeliveriesConfig,
    lake: ModelLake,
) -> Iterator[tuple[str, str, str]]:
    there = [day for day in judged if day in accounts.index]
    received = {str(day): int(count) for day, count in accounts["received"].items()}
    for day, how in unusual_days(there, received, ratio=limits.volume_ratio, weeks=limits.usual_weeks).items():
        yield day, VOLUME, how
    jumped = days_that_jumped(rows, day=lake.day, row=lake.row, judged=there, earlier=_latest_numbers(lake))
    yield from ((day, SERIES, "") for day in jumped)
    for day in there:
        counts = accounts.loc[day]
        if counts["quarantined"] > limits.quarantined_share * counts["received"]:
            yield day, SOUND, "all" if counts["quarantined"] == counts["received"] else ""
        if trained_on.get(day, 0) > limits.trained_on_share * counts["accepted"]:
            yield day, NEW, ""


def _latest_numbers(lake: ModelLake) -> pd.Series:
    """Return the numbers of the latest tenth of the cohort, on its clock."""
    if not lake.exists(lake.names.cohort):
        return pd.Series(dtype="int64")
    rows = lake.read(lake.names.cohort, columns=[lake.row, "clock"])
    return rows.loc[rows["clock"] >= _LATEST, lake.row]


def _trained_on(workspace: Workspace, rows: pd.DataFrame) -> dict[str, int]:
    """Count by day the rows that the version in production was trained on, but for those that matured of the day."""
    lake = workspace.lake
    with workspace.ledger() as ledger:
        events, pointers = ledger.snapshot()
    record = version_records(events, pointers).get(pointers["production"].version or "")
    if record is None or rows.empty:
        return {}
    there = {field.name for field in lake.open(lake.names.cohort, record.cohort_version).schema().fields}
    known = lake.read(
        lake.names.cohort, version=record.cohort_version, columns=[lake.row, *there & {lake.day}],
        where={"part": ["development"]},
    )  # fmt: skip
    own_day = known[lake.day] if lake.day in known else pd.Series(None, index=known.index, dtype=object)
    days = dict(zip(known[lake.row], own_day, strict=True))
    again = [number in days and days[number] != day for number, day in zip(rows[lake.row], rows[lake.day], strict=True)]
    return {str(day): int(count) for day, count in rows.loc[again].groupby(lake.day).size().items()}
