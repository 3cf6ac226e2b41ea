"""What figures are made from: tables of the lake by the columns they need, and the operations database.

What belongs here: reading, and saying why there is nothing to read. What does not: figures (``figures``). A table may
be missing, or may have been written before it had its newer columns; then the figures made from it are not there.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd

from readmission_platform.assets.encounters.outcomes import OUTCOME_ACCOUNTING_TABLE
from readmission_platform.assets.encounters.replay import MANIFEST
from readmission_platform.lifecycle.days.scoring import DAY
from readmission_platform.lifecycle.monitoring.live_verdicts import PERFORMANCE_TABLE
from readmission_platform.lifecycle.monitoring.scored import PREDICTIONS_TABLE
from readmission_platform.lifecycle.monitoring.windows import DRIFT_TABLE
from readmission_platform.lifecycle.versions.version_facts import ACCOUNTING_TABLE, SHADOW_TABLE
from readmission_platform.operations.database import Operations
from readmission_platform.resources.project import ProjectResource
from readmission_platform.storage.lake import Lake


@dataclass(frozen=True)
class Source:
    """A table of the lake that figures are made from: columns it needs, columns it may lack, and who writes it."""

    table: str
    needs: tuple[str, ...]
    may_lack: tuple[str, ...] = ()
    by_day: bool = True
    written_by: str = "scoring_job"


VOLUMES = Source(ACCOUNTING_TABLE, (DAY, "received", "accepted", "quarantined", "duplicate"))
SCORES = Source(PREDICTIONS_TABLE, (DAY, "model_version", "risk", "band", "flagged", "status"))
# How far a day is can be told only where its predictions say what they were made from.
COMPLETENESS = [Source(name, (DAY, "discharges_version")) for name in (PREDICTIONS_TABLE, SHADOW_TABLE)]
OUTCOMES = Source(OUTCOME_ACCOUNTING_TABLE, (DAY, "accepted"), written_by="outcomes_job")
DRIFT = Source(
    DRIFT_TABLE, ("version", "window", "first_day", "last_day", "encounters", "column", "measure", "score"),
    by_day=False, written_by="monitoring_job",
)  # fmt: skip
PERFORMANCE = Source(
    PERFORMANCE_TABLE,
    ("version", "period", "first_day", "last_day", "cohort", "measure", "kind", "value", "low", "high", "n",
     "positives", "promised", "promised_low", "promised_high", "result"),
    by_day=False, written_by="monitoring_job",
)  # fmt: skip


@dataclass(frozen=True)
class Range:
    """The days figures are made of, both included, and today's date in the hospital, which counts how old a day is."""

    first: date
    last: date
    in_hospital: date

    @property
    def days(self) -> list[str]:
        """Every day, as text."""
        return [(self.first + timedelta(days=place)).isoformat() for place in range((self.last - self.first).days + 1)]

    @property
    def today(self) -> date:
        """The day after the last one."""
        return self.last + timedelta(days=1)


def range_of(project: ProjectResource, *, days: int, now: datetime) -> Range:
    """Return the last days up to yesterday, in UTC or in the hospital's time zone, whichever is later.

    The days of a replay, and the partitions, end with a day in UTC.
    """
    in_hospital = now.astimezone(ZoneInfo(project.environment_rules.timezone)).date()
    yesterday = max(now.astimezone(UTC).date(), in_hospital) - timedelta(days=1)
    return Range(yesterday - timedelta(days=days - 1), yesterday, in_hospital)


def dates_are_simulated(project: ProjectResource) -> bool:
    """Tell whether days of this home were delivered by a replay, whose dates are made up."""
    return (project.settings.landing / MANIFEST).exists()


def completeness_is_recorded(lake: Lake) -> bool:
    """Tell whether the predictions there are say what they were made from, by which it is known how far a day is."""
    return all(why_absent(lake, source) is None for source in COMPLETENESS if lake.exists(source.table))


def read(lake: Lake, source: Source, span: Range) -> pd.DataFrame:
    """Read the rows of the days of a source; empty when there is no such table, or it lacks a needed column."""
    if why_absent(lake, source) is not None:
        return pd.DataFrame(columns=list(source.needs))
    opened = lake.open(source.table)
    there = {field.name for field in opened.schema().fields}
    columns = [*source.needs, *(name for name in source.may_lack if name in there)]
    if source.by_day:
        # By partition, so that of years of days only these are looked at.
        rows: pd.DataFrame = opened.to_pandas(columns=columns, partitions=[(DAY, "in", span.days)])
        return rows
    rows = opened.to_pandas(columns=columns)
    return rows[rows["last_day"].between(span.first.isoformat(), span.last.isoformat())]


def why_absent(lake: Lake, source: Source) -> str | None:
    """Say why nothing can be read from a source, or return None."""
    if not lake.exists(source.table):
        return f"{source.table} has not been made; {source.written_by} makes it"
    if set(source.needs) - {field.name for field in lake.open(source.table).schema().fields}:
        return f"{source.table} was made by an earlier version of this software; run {source.written_by} again"
    return None


@contextmanager
def operations_of(project: ProjectResource) -> Iterator[Operations | None]:
    """Open the operations database, or yield None where nothing has been observed yet: looking does not make one."""
    settings = project.settings
    if settings.operations_url is None and not (settings.home / "operations.db").exists():
        yield None
        return
    with project.operations() as operations:
        yield operations
