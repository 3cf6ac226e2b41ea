"""The rows a version scored, in windows, and what its stored judgements say of them right now.

What belongs here: reading what was scored and judged. What does not: judging (``assets.monitoring.drift`` has it
measured, ``evaluation.drift.windows`` has the rules), and whether an alarm stops a promotion
(``governance.promotion.conditions``).
"""

from dataclasses import dataclass

import pandas as pd

from readmission_platform.config.monitoring import DriftConfig
from readmission_platform.evaluation.drift.windows import (
    DriftLimits,
    Window,
    completely_judged,
    verdicts,
    windows_of,
)
from readmission_platform.foundation.values import digest_of
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.versions import VersionRecord, version_records
from readmission_platform.governance.promotion.case import DriftFacts
from readmission_platform.lifecycle.days.seals import unchanged_rows
from readmission_platform.storage.tables import DRIFT, PREDICTIONS, SHADOW, ModelLake

# A version scores in the shadow first: its windows go on when it comes into production.
SCORED_TABLES = (SHADOW, PREDICTIONS)
# Counts up when the same rows would be measured differently; they are then judged again.
COMPARISON = 1


def scored_by(lake: ModelLake, record: VersionRecord) -> pd.DataFrame:
    """Return every row that a version's artifact scored, in the shadow or for a work list, once.

    Returns
    -------
    ``row``, ``day``, ``risk`` (NaN where it was withheld), and ``content``, which changes when the
    delivered rows of the day do.
    """
    named = {lake.row: "row", lake.day: "day", "risk": "risk", "delivered_digest": "content"}
    parts = [pd.DataFrame({name: [] for name in named.values()})]
    for table in SCORED_TABLES:
        if lake.exists(table):
            columns = [*named, "artifact_digest"]
            rows = lake.read(table, columns=columns, where={"model_version": [record.version]})
            parts.append(rows.loc[rows["artifact_digest"] == record.artifact_digest, list(named)].rename(columns=named))
    scored = pd.concat([part for part in parts if len(part)] or parts, ignore_index=True)
    # On the day of its promotion a version may have scored in both places; the work list is what counts.
    return scored.drop_duplicates("row", keep="last", ignore_index=True)


def compared_with(record: VersionRecord, config: DriftConfig) -> str:
    """Return what identifies the comparison of a version: its training data and how windows are made and measured.

    The limits are not part of it: they are applied to stored scores whenever these are read.
    """
    return digest_of(
        {
            "comparison": COMPARISON,
            "data": record.trained.get("data"),
            "evidence": record.evidence,
            "artifact": record.artifact_digest,
            "importance": record.trained.get("importance"),
            "columns": config.columns,
            "reference_rows": config.reference_rows,
            "window_rows": config.window_rows,
            "rare_category_share": config.rare_category_share,
        }
    )


def windows_for(scored: pd.DataFrame, record: VersionRecord, config: DriftConfig) -> tuple[list[Window], int]:
    """Return the closed windows of what a version scored, and how many rows wait in the open rest."""
    return windows_of(scored, size=config.window_rows, compared_with=compared_with(record, config))


def drift_limits(config: DriftConfig) -> DriftLimits:
    """Return the configured limits."""
    return DriftLimits(
        column_score=config.column_score,
        risk_score=config.risk_score,
        missing_difference=config.missing_difference,
        unseen_share=config.unseen_share,
        drifted_columns=config.drifted_columns,
        alarm_windows=config.alarm_windows,
        of_windows=config.of_windows,
    )


def columns_of(lake: ModelLake, record: VersionRecord, config: DriftConfig) -> list[str]:
    """Return the input columns that are watched for a version: those it relies on most, by its training."""
    return lake.contract.watch.watched_columns(record.trained.get("importance"), config.columns)


@dataclass(frozen=True)
class Watched:
    """A version in a stage, its closed windows, those not judged yet, and how many rows wait for the next."""

    stage: str
    record: VersionRecord
    windows: list[Window]
    unjudged: list[Window]
    collecting: int
    scored: pd.DataFrame
    columns: list[str]


def watched_versions(ledger: Ledger, lake: ModelLake, rows: pd.DataFrame, config: DriftConfig) -> list[Watched]:
    """Return the version in production, then the one in staging, each with the windows of what it scored."""
    events, pointers = ledger.snapshot()
    records = version_records(events, pointers)
    watched = []
    for stage in ("production", "staging"):
        version = pointers[stage].version
        if version is None:
            continue
        record = records[version]
        scored, columns = scored_by(lake, record), columns_of(lake, record, config)
        for table in SCORED_TABLES:
            unchanged_rows(lake, ledger, table, days=set(scored["day"]))
        windows, collecting = windows_for(scored, record, config)
        done = completely_judged(rows[rows["version"] == version], windows, columns)
        unjudged = [window for window in windows if window not in done]
        watched.append(Watched(stage, record, windows, unjudged, collecting, scored, columns))
    return watched


def drift_facts(lake: ModelLake, record: VersionRecord, config: DriftConfig) -> DriftFacts:
    """Tell how far what a version scored is from its own training data, by stored scores and the limits in force.

    A stored score counts only if it is of the rows that the window holds now, and if no column's is missing.
    """
    windows, collecting = windows_for(scored_by(lake, record), record, config)
    limits = drift_limits(config)
    latest = windows[-config.of_windows :]
    rows = pd.DataFrame()
    whole: list[Window] = []
    if latest and lake.exists(DRIFT):
        rows = lake.read(DRIFT, where={"version": [record.version]})
        whole = completely_judged(rows, latest, columns_of(lake, record, config))
    found = verdicts(rows[rows["digest"].isin([window.digest for window in whole])], limits) if whole else []
    drifted = [verdict for verdict in found if verdict.drifted]
    return DriftFacts(
        closed=len(windows),
        unjudged=len(latest) - len(whole),
        collecting=collecting,
        window_rows=config.window_rows,
        drifted=tuple(verdict.window for verdict in drifted),
        columns=tuple(dict.fromkeys(column for verdict in drifted for column in verdict.columns)),
        alarm_windows=config.alarm_windows,
        of_windows=config.of_windows,
    )
