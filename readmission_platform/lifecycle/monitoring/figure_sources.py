"""What figures are made from: tables of the lake by the columns they need, and the operations database.

What belongs here: reading, and saying why there is nothing to read. What does not: figures (``figures``).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pandas as pd

from readmission_platform.lifecycle.days.progress import hospital_day
from readmission_platform.lifecycle.days.replay import manifest_of
from readmission_platform.lifecycle.workspace import Workspace
from readmission_platform.operations.database import Operations
from readmission_platform.storage.compaction import compact
from readmission_platform.storage.tables import (
    ACCOUNTING,
    OUTCOME_ACCOUNTING,
    SERVED,
    SERVED_ON,
    ModelLake,
)
from readmission_platform.storage.tables import DRIFT as DRIFT_TABLE
from readmission_platform.storage.tables import PERFORMANCE as PERFORMANCE_TABLE
from readmission_platform.storage.tables import PREDICTIONS as PREDICTIONS_TABLE


@dataclass(frozen=True)
class Source:
    """A table of the lake that figures are made from: the columns it needs besides the day, and who writes it."""

    table: str
    columns: tuple[str, ...]
    written_by: str
    by_day: bool = True


VOLUMES = Source(ACCOUNTING, ("received", "accepted", "quarantined", "duplicate"), "scoring_job")
SCORES = Source(PREDICTIONS_TABLE, ("model_version", "risk", "band", "flagged", "status"), "scoring_job")
OUTCOMES = Source(OUTCOME_ACCOUNTING, ("accepted",), "outcomes_job")
DRIFT = Source(
    DRIFT_TABLE, ("version", "window", "first_day", "last_day", "rows", "column", "measure", "score"),
    "monitoring_job", by_day=False,
)  # fmt: skip
PERFORMANCE = Source(
    PERFORMANCE_TABLE,
    ("version", "period", "first_day", "last_day", "cohort", "measure", "kind", "value", "low", "high", "n",
     "positives", "promised", "promised_low", "promised_high", "result"),
    "monitoring_job", by_day=False,
)  # fmt: skip


@dataclass(frozen=True)
class Range:
    """The days figures are made of, both included: the last one is yesterday in the hospital."""

    first: date
    last: date

    @property
    def days(self) -> list[str]:
        """Every day, as text."""
        return [(self.first + timedelta(days=place)).isoformat() for place in range((self.last - self.first).days + 1)]

    @property
    def today(self) -> date:
        """Today in the hospital, which the age of a day is counted from."""
        return self.last + timedelta(days=1)


def range_of(workspace: Workspace, *, days: int, now: datetime) -> Range:
    """Return the last days up to yesterday in the hospital."""
    yesterday = hospital_day(workspace.rules, now) - timedelta(days=1)
    return Range(yesterday - timedelta(days=days - 1), yesterday)


def dates_are_simulated(workspace: Workspace) -> bool:
    """Tell whether days of this model were delivered by a replay, whose dates are made up."""
    return manifest_of(workspace.landing).exists()


def read(lake: ModelLake, source: Source, span: Range) -> pd.DataFrame:
    """Read the rows of the days of a source, the day as ``day``; empty when there is no such table."""
    if not lake.exists(source.table):
        return pd.DataFrame(columns=["day", *source.columns] if source.by_day else list(source.columns))
    if source.by_day:
        # By partition, so that of years of days only these are looked at.
        rows = lake.read(source.table, columns=[lake.day, *source.columns], where={lake.day: span.days})
        return rows.rename(columns={lake.day: "day"})
    rows = lake.read(source.table, columns=source.columns)
    return rows[rows["last_day"].between(span.first.isoformat(), span.last.isoformat())]


def read_served(lake: ModelLake, span: Range) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read what the service answered since the first of the days, today included, and the daily lists of these days.

    Returns
    -------
    The lines of the prediction log and the rows listed, as ``evaluation.operation.served`` takes them; both empty where
    the service answered nothing.
    """
    lines = pd.DataFrame()
    if lake.exists(SERVED):
        # By partition. In UTC it may be tomorrow already.
        days = [*span.days, *((span.today + timedelta(days=more)).isoformat() for more in (0, 1))]
        columns = [SERVED_ON, lake.row, "at", "model_version", "arm", "status", "risk"]
        lines = lake.read(SERVED, columns=columns, where={SERVED_ON: days})
    if lines.empty or not lake.exists(PREDICTIONS_TABLE):
        listed = pd.DataFrame(columns=["day", "row", "version", "risk"])
    else:
        columns = [lake.day, lake.row, "model_version", "risk"]
        listed = lake.read(PREDICTIONS_TABLE, columns=columns, where={lake.day: span.days})
    named = {SERVED_ON: "day", lake.day: "day", lake.row: "row", "model_version": "version"}
    return lines.rename(columns=named), listed.rename(columns=named)


def put_answers_together(lake: ModelLake, *, now: datetime) -> list[str]:
    """Put what the service wrote by the half minute into a file a day, for days that are over; returns these days."""
    if not lake.exists(SERVED):
        return []
    today = now.astimezone(UTC).date().isoformat()
    return compact(lake, SERVED, [day for day in lake.partitions(SERVED) if day < today])


def why_absent(workspace: Workspace, source: Source) -> str | None:
    """Say why nothing can be read from a source, or return None."""
    if not workspace.lake.exists(source.table):
        return f"{source.table} has not been made; {workspace.entry.named(source.written_by)} makes it"
    return None


@contextmanager
def operations_of(workspace: Workspace) -> Iterator[Operations | None]:
    """Open the operations database, or yield None where nothing has been observed yet; reading never creates it."""
    settings = workspace.settings
    if settings.operations_url is None and not (settings.home / "operations.db").exists():
        yield None
        return
    with workspace.platform.operations() as operations:
        yield operations
