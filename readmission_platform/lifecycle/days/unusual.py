"""What is unusual of the days taken in last: their volume, the share set aside, their numbers, rows trained on before.

What belongs here: reading what these days are compared with. What does not: the comparisons (``intake.usual``,
``intake.series``) and the checks that say so (``assets.feed.delivery_checks``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd

from readmission_platform.governance.ledger.versions import version_records
from readmission_platform.intake.series import days_that_jumped
from readmission_platform.intake.usual import unusual_days
from readmission_platform.lifecycle.days.progress import hospital_day, known_days
from readmission_platform.lifecycle.workspace import Workspace
from readmission_platform.storage.tables import ACCOUNTING, ModelLake

# A day that was unusual is named for a week, unless it is delivered again: the next day's run must not hide it.
NAMED_DAYS = 7
_LATEST = 0.9  # where on the clock the latest rows of the source begin


@dataclass(frozen=True)
class Unusual:
    """The days judged, and those of them that are unusual.

    Attributes
    ----------
    judged
        The days taken in now, and those of the week up to the last one that has landed.
    set_aside
        Days on which too large a share of the rows was set aside.
    volume
        Days with far fewer or far more rows than usual: which of the two.
    jumped
        Days whose row numbers do not go on from those before.
    trained_on
        How many of a day's accepted rows the version in production was trained on; days with any.
    accepted
        Rows accepted by day, of the days judged.
    """

    judged: list[str]
    set_aside: list[str]
    volume: dict[str, str]
    jumped: list[str]
    trained_on: dict[str, int]
    accepted: dict[str, int]


def unusual(workspace: Workspace, days: Sequence[str]) -> Unusual:
    """Judge the days that were taken in now, and again those of the last week."""
    lake, limits = workspace.lake, workspace.monitoring.deliveries
    landed = known_days(workspace.landing, today=hospital_day(workspace.rules))
    last = date.fromisoformat(max([*landed[-1:], *days]))
    week = [(last - timedelta(days=back)).isoformat() for back in range(NAMED_DAYS)]
    wanted = sorted({*days, *week})
    first = date.fromisoformat(wanted[0]) - timedelta(weeks=limits.usual_weeks)
    span = [(first + timedelta(days=place)).isoformat() for place in range((last - first).days + 1)]
    accounts = lake.read(ACCOUNTING, where={lake.day: span}).set_index(lake.day) if lake.exists(ACCOUNTING) else (
        pd.DataFrame(columns=["received", "accepted", "quarantined"]))  # fmt: skip
    judged = [day for day in wanted if day in accounts.index]
    received = {str(day): int(count) for day, count in accounts["received"].items()}
    counts = accounts.loc[judged]
    rows = lake.read(lake.names.delivered, columns=[lake.row, lake.day], where={lake.day: span})
    return Unusual(
        judged,
        list(counts.index[counts["quarantined"] > limits.quarantined_share * counts["received"]].astype(str)),
        unusual_days(judged, received, ratio=limits.volume_ratio, weeks=limits.usual_weeks),
        days_that_jumped(rows, day=lake.day, row=lake.row, judged=judged, earlier=_latest_numbers(lake)),
        _trained_on(workspace, rows[rows[lake.day].isin(judged)]),
        {str(day): int(count) for day, count in counts["accepted"].items()},
    )


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
