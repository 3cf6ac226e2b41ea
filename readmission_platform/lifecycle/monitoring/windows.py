"""The rows a version scored, in windows, and what its stored judgements say of them right now.

What belongs here: reading what was scored and judged. What does not: judging (``assets.monitoring.drift`` has it
measured, ``evaluation.drift.windows`` has the rules), and whether an alarm stops a promotion
(``governance.promotion.conditions``).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from readmission_platform.config.monitoring import DriftConfig
from readmission_platform.evaluation.drift.windows import (
    DriftLimits,
    Window,
    completely_judged,
    is_accepted,
    judged,
    verdicts,
    windows_of,
)
from readmission_platform.foundation.values import digest_of
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.versions import VersionRecord, version_records
from readmission_platform.governance.promotion.case import DriftFacts
from readmission_platform.governance.promotion.drift_acceptances import (
    Acceptance,
    ceilings,
    counting,
)
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
    """A version in a stage, its closed windows, those not judged yet, and how many rows wait for the next.

    ``accepted`` is the drift of it that somebody who may has accepted, and that still counts.
    """

    stage: str
    record: VersionRecord
    windows: list[Window]
    unjudged: list[Window]
    collecting: int
    scored: pd.DataFrame
    columns: list[str]
    accepted: tuple[Acceptance, ...] = ()


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
        accepted = tuple(counting(events, version, now=ledger.now()))
        watched.append(Watched(stage, record, windows, unjudged, collecting, scored, columns, accepted))
    return watched


@dataclass(frozen=True)
class LatestWindows:
    """The latest windows of what a version scored: how many there are, which were judged, and by which rows.

    ``rows`` are judged (``evaluation.drift.windows.judged``), and are of the rows that each window holds now.
    """

    closed: int
    collecting: int
    latest: list[Window]
    whole: list[Window]
    rows: pd.DataFrame


def latest_windows(lake: ModelLake, record: VersionRecord, config: DriftConfig) -> LatestWindows:
    """Read the stored scores of the latest windows; a score counts only if no column's of its window is missing."""
    windows, collecting = windows_for(scored_by(lake, record), record, config)
    latest = windows[-config.of_windows :]
    rows, whole = pd.DataFrame(), []
    if latest and lake.exists(DRIFT):
        stored = lake.read(DRIFT, where={"version": [record.version]})
        whole = completely_judged(stored, latest, columns_of(lake, record, config))
        if whole:
            rows = judged(stored[stored["digest"].isin([each.digest for each in whole])], drift_limits(config))
    return LatestWindows(len(windows), collecting, latest, whole, rows)


def drift_facts(
    lake: ModelLake, record: VersionRecord, config: DriftConfig, accepted: Sequence[Acceptance] = ()
) -> DriftFacts:
    """Tell how far what a version scored is from its own training data, by stored scores and the limits in force.

    Parameters
    ----------
    accepted
        The acceptances of this version that count now.
    """
    seen = latest_windows(lake, record, config)
    allowed = ceilings(accepted)
    found = verdicts(seen.rows, drift_limits(config), allowed) if seen.whole else []
    drifted = [verdict for verdict in found if verdict.drifted]
    counted_out: set[tuple[str, str]] = set()
    if seen.whole:
        marked = seen.rows[is_accepted(seen.rows, allowed)]
        counted_out = set(zip(marked["column"], marked["measure"], strict=True))
    return DriftFacts(
        closed=seen.closed,
        unjudged=len(seen.latest) - len(seen.whole),
        collecting=seen.collecting,
        window_rows=config.window_rows,
        drifted=tuple(verdict.window for verdict in drifted),
        columns=tuple(dict.fromkeys(column for verdict in drifted for column in verdict.columns)),
        alarm_windows=config.alarm_windows,
        of_windows=config.of_windows,
        accepted=tuple(dict.fromkeys(column for column, _ in sorted(counted_out))),
        acceptances=tuple(
            each.event for each in accepted if any((one.column, one.measure) in counted_out for one in each.columns)
        ),
    )
