"""Drift monitoring: what the version in production and the one in staging score, against their own training data.

What belongs here: ``drift_report`` and its checks. What does not: the rules (``evaluation.drift.windows``), the
measuring (``evaluation.drift.stability``), and what an alarm stops (``governance.promotion.conditions``).
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pandas as pd

from readmission_platform.assets.model_assets import ModelAssets
from readmission_platform.assets.monitoring.drift_results import (
    ALARM_CHECK,
    ALARM_RULE,
    JUDGED_CHECK,
    JUDGED_RULES,
    alarm_result,
    drift_metadata,
    judged_result,
)
from readmission_platform.assets.presentation import PLATFORM_TEAM, SCIENCE_TEAM, nothing_to_check
from readmission_platform.evaluation.drift.kinds import DRIFT, RISK
from readmission_platform.evaluation.drift.stability import Measured, measure
from readmission_platform.evaluation.drift.windows import Window, judged
from readmission_platform.foundation.frames import frame_digest
from readmission_platform.governance.ledger.versions import VersionRecord
from readmission_platform.lifecycle.days.identities import known_identities
from readmission_platform.lifecycle.days.translations import translated_share
from readmission_platform.lifecycle.monitoring.comparable import scored_inputs, training_references
from readmission_platform.lifecycle.monitoring.windows import Watched, drift_limits, watched_versions
from readmission_platform.lifecycle.pages import renew_links
from readmission_platform.lifecycle.versions.version_facts import EvidenceMissing
from readmission_platform.lifecycle.workspace import Platform, Workspace
from readmission_platform.reports.drift import PAGES_KEPT, drift_folder, keep_page
from readmission_platform.storage.tables import DRIFT as DRIFT_TABLE
from readmission_platform.storage.tables import PREDICTIONS, SHADOW, ModelLake

# A longer backlog is worked off in several runs, so that none keeps others waiting for many minutes.
WINDOWS_PER_RUN = 60
_TYPES = {
    "version": "str", "window": "int64", "first_day": "str", "last_day": "str", "rows": "int64", "column": "str",
    "measure": "str", "score": "float64", "limit": "float64", "drifted": "bool", "observed": "float64",
    "reference": "float64", "digest": "str", "run_id": "str",
}  # fmt: skip


def drift_asset(model: ModelAssets) -> dg.AssetsDefinition:
    """Return the asset of drift monitoring."""

    @model.frame(
            DRIFT_TABLE, group="monitoring", owners=[SCIENCE_TEAM, PLATFORM_TEAM], kinds={"evidently", "deltalake"},
            deps=[PREDICTIONS, SHADOW], blocking=JUDGED_RULES, warning={ALARM_CHECK: ALARM_RULE}, output_required=False,
            description="The data that the versions in production and staging scored, compared with their own training "
            f"data, by window. A window is as many whole days as it takes to hold enough {model.words.rows}; with "
            "fewer, chance alone would look like drift. Evidently compares each window once, column by column, and "
            "again if late data change it. If codes arrived in another system, the same share of the training data is "
            "translated for the comparison.",
    )  # fmt: skip
    def drift_report(context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]) -> Iterator[Any]:
        workspace = model.workspace(platform)
        config, lake = workspace.monitoring.drift, workspace.lake
        limits = drift_limits(config)
        rows = _stored(lake)
        with workspace.ledger() as ledger:
            watched = watched_versions(ledger, lake, rows, config)
        if not watched:
            why = "no version is in production or in staging"
            context.log.info(f"skipped: {why}")
            for check in (ALARM_CHECK, JUDGED_CHECK):
                yield nothing_to_check(check, why)
            return
        left, problems = WINDOWS_PER_RUN, []
        for each in watched:
            measured = _no_rows()
            try:
                measured = _measured(each, context, workspace, at_most=left)
            except EvidenceMissing as error:  # of one version, which must not keep the other from being watched
                problems.append(str(error))
            left -= len(set(measured["window"]))
            rows = _with(rows, each, measured)
        rows = judged(rows, limits)
        yield dg.MaterializeResult(
            value=rows,
            data_version=dg.DataVersion(frame_digest(rows.drop(columns="run_id"))),
            metadata=drift_metadata(watched, rows, limits, workspace),
            check_results=[
                alarm_result(watched, rows, limits, model.words),
                judged_result(watched, rows, limits, problems),
            ],
        )

    return drift_report


def _stored(lake: ModelLake) -> pd.DataFrame:
    return lake.read(DRIFT_TABLE)[list(_TYPES)] if lake.exists(DRIFT_TABLE) else _no_rows()


def _no_rows() -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in _TYPES.items()})


def _measured(each: Watched, context: dg.AssetExecutionContext, workspace: Workspace, *, at_most: int) -> pd.DataFrame:
    """Measure the windows that are not judged yet, at most so many, the latest first; keep Evidently's latest pages."""
    config, lake = workspace.monitoring.drift, workspace.lake
    todo = each.unjudged[::-1][: max(at_most, 0)]
    found = [_no_rows()]
    if not todo:
        return _no_rows()
    reference_for = training_references(lake, each.record, each.columns, config)
    wanted = pd.concat([_in_window(each.scored, window) for window in todo])
    with workspace.ledger() as ledger:
        identities = known_identities(ledger)
    inputs = scored_inputs(lake, each.record, wanted, each.columns, identities)
    limits = {column: drift_limits(config).of(column, DRIFT) for column in [*each.columns, RISK]}
    for done, window in enumerate(todo, start=1):
        given = _in_window(inputs, window)
        if len(given) != window.rows:
            days = f"{window.first_day} to {window.last_day}"
            said = f"version {each.record.version}: what was delivered for {days} changed since it was scored"
            context.log.warning(f"{said}; not judged until they are scored again")
            continue
        measured = measure(reference_for(translated_share(lake, given)), given, limits=limits)
        found.append(_rows_of(each.record, window, measured, context.run.run_id))
        if window in each.windows[-PAGES_KEPT:]:
            _keep_page(workspace, each.record, window, measured)
        context.log.info(f"version {each.record.version}: window {window.number} compared ({done} of {len(todo)})")
    later = len(each.unjudged) - len(todo)
    if later:
        context.log.info(f"version {each.record.version}: {later} older windows are left to the next run")
    return pd.concat([part for part in found if len(part)] or found, ignore_index=True)


def _in_window(rows: pd.DataFrame, window: Window) -> pd.DataFrame:
    return rows[rows["day"].between(window.first_day, window.last_day)]


def _rows_of(record: VersionRecord, window: Window, measured: Measured, run_id: str) -> pd.DataFrame:
    rows = measured.rows.assign(
        version=record.version, window=window.number, first_day=window.first_day, last_day=window.last_day,
        rows=window.rows, digest=window.digest, run_id=run_id, limit=float("nan"), drifted=True,
    )  # fmt: skip
    return rows[list(_TYPES)].astype(_TYPES)


def _keep_page(workspace: Workspace, record: VersionRecord, window: Window, measured: Measured) -> None:
    page = measured.page()
    if page is not None:
        folder = drift_folder(workspace.reports, record.version)
        keep_page(folder, window.first_day, window.last_day, page)
        renew_links(workspace.settings)


def _with(rows: pd.DataFrame, each: Watched, measured: pd.DataFrame) -> pd.DataFrame:
    """Put new judgements in the place of those of windows that are no more; rows of other versions stay."""
    ours = rows["version"] == each.record.version
    current = {window.digest for window in each.windows} - set(measured["digest"])
    kept = rows[~ours | rows["digest"].isin(current)]
    parts = [part for part in (kept, measured) if len(part)]
    together = pd.concat(parts, ignore_index=True) if parts else kept
    return together.sort_values(["version", "window"], kind="stable", ignore_index=True)
