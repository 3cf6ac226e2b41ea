"""Inference: predictions by day, of the version in production and of the one in the shadow.

What belongs here: ``shadow_predictions``, ``daily_predictions`` and their checks. What does not: taking rows in
(``assets.feed.delivered``), which version is live (the ledger), and how a risk is computed
(``lifecycle.days.scoring``).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
import pandas as pd
from pydantic import Field

from readmission_platform.assets.daily.agreement import AGREEMENT_CHECK, AGREEMENT_RULE, agreement_check
from readmission_platform.assets.model.promotion import PRODUCTION, STAGING
from readmission_platform.assets.model_assets import ModelAssets
from readmission_platform.assets.partitions import days_asked_for
from readmission_platform.assets.presentation import (
    CARE_TEAM,
    PLATFORM_TEAM,
    check_result,
    hideable,
    nothing_made,
    nothing_to_check,
    plain,
    table,
)
from readmission_platform.evaluation.disclosure import HIDDEN, is_few, shown_cells
from readmission_platform.foundation.errors import BadInput
from readmission_platform.foundation.frames import frame_digest
from readmission_platform.foundation.steps import reached
from readmission_platform.governance.ledger.chain import Event, Pointer
from readmission_platform.governance.ledger.versions import VersionRecord, version_records
from readmission_platform.lifecycle.days.accounts import shown_outputs
from readmission_platform.lifecycle.days.scoring import delivered_now, score_days
from readmission_platform.lifecycle.days.seals import record_days
from readmission_platform.lifecycle.versions.stages import check_was_live, trusted_version
from readmission_platform.lifecycle.workspace import Platform, Workspace
from readmission_platform.storage.lake import Written
from readmission_platform.storage.tables import CIRCUMSTANCES, PREDICTIONS, SHADOW, ModelLake

SCORED_CHECK, SHADOW_CHECK = "every_row_scored_once", "every_row_shadow_scored"
CHECKS = {PREDICTIONS: SCORED_CHECK, SHADOW: SHADOW_CHECK}
RULES = {
    SCORED_CHECK: "Every accepted row of the day appears exactly once: scored, or withheld with a reason.",
    SHADOW_CHECK: "Every accepted row is scored by the version in staging, or withheld with a reason.",
}


class ScoringConfig(dg.Config):
    """Score with a particular version instead of the one the rules choose."""

    version: str | None = Field(default=None, description="A version that is or was in production.")
    reason: str = Field(default="", description="Why; required with a version.")


def shadow_asset(model: ModelAssets) -> dg.AssetsDefinition:
    """Return the asset of the predictions in the shadow."""

    @model.daily(
            SHADOW, group="inference", owners=[PLATFORM_TEAM], kinds={model.library, "deltalake"}, code_version="3",
            deps=[model.names.delivered, STAGING], blocking={SHADOW_CHECK: RULES[SHADOW_CHECK]},
            warning={AGREEMENT_CHECK: AGREEMENT_RULE},
            # The work list does not wait for the shadow, and the shadow is compared with the list of the same day.
            op_tags={"dagster/priority": "-1"},
            description="What the version in staging predicts for the same days: for comparison only, on no work list. "
            "A day on which no version is in staging holds no predictions, and says so.",
    )  # fmt: skip
    def shadow_predictions(context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]) -> Iterator[Any]:
        workspace = model.workspace(platform)
        with workspace.ledger() as ledger:
            events, pointers = ledger.snapshot()
        delivered = delivered_now(workspace.lake, days_asked_for(context))
        record = None if delivered.rows.empty else trusted_version("staging", events, pointers)
        if delivered.rows.empty and _has_predictions(workspace.lake, SHADOW, context.partition_keys):
            yield _emptied(SHADOW, context, workspace, nothing_to_check(AGREEMENT_CHECK, "nothing is left of the days"))
            return
        if record is None and not delivered.rows.empty:
            yield nothing_made("predictions", "no version was in staging", [SHADOW_CHECK, AGREEMENT_CHECK])
            return
        if record is None:
            why = "nothing was delivered"
            context.log.info(f"skipped: {why}")
            yield nothing_to_check(SHADOW_CHECK, why)
            yield nothing_to_check(AGREEMENT_CHECK, why)
            return
        versions = dict.fromkeys(context.partition_keys, record)
        scored = score_days(delivered, versions, run_id=context.run.run_id, workspace=workspace)
        agrees = agreement_check(workspace.lake, scored, context.partition_keys, workspace.config)
        _tell(context, scored, workspace.lake)
        yield _result(scored, delivered.rows, SHADOW, context, workspace, agrees)

    return shadow_predictions


def predictions_asset(model: ModelAssets) -> dg.AssetsDefinition:
    """Return the asset of the predictions that make the work list."""

    @model.daily(
            PREDICTIONS, group="inference", owners=[CARE_TEAM, PLATFORM_TEAM], kinds={model.library, "deltalake"},
            code_version="3", deps=[model.names.delivered, PRODUCTION], blocking={SCORED_CHECK: RULES[SCORED_CHECK]},
            description="The predictions of each day: calibrated risk, reasons, rank, band, and the flag for the care "
            "team's capacity. A row that the model cannot score reliably is withheld, marked and not ranked: use your "
            "own judgement. A day is first scored with the version in production, read once when the run starts. If "
            "scored again, it keeps the recorded version, unless another once approved one is named with a reason. A "
            "day on which no version was in production, such as one scored in shadow mode alone, holds no predictions, "
            "and says so.",
    )  # fmt: skip
    def daily_predictions(
        context: dg.AssetExecutionContext,
        config: ScoringConfig,
        platform: dg.ResourceParam[Platform],
    ) -> Iterator[Any]:
        workspace = model.workspace(platform)
        with workspace.ledger() as ledger:
            events, pointers = ledger.snapshot()
        delivered = delivered_now(workspace.lake, days_asked_for(context))
        if delivered.rows.empty and _has_predictions(workspace.lake, PREDICTIONS, context.partition_keys):
            yield _emptied(PREDICTIONS, context, workspace)
            return
        days = () if delivered.rows.empty else context.partition_keys
        chosen = _versions_for(days, config, events, pointers, workspace)
        if not days:
            why = "nothing was delivered"
            context.log.warning(f"skipped: {why}")
            yield nothing_to_check(SCORED_CHECK, why)
            return
        if not chosen:
            context.log.warning("no version is in production (see the promotion job): nothing is predicted")
            yield nothing_made("predictions", "no version was in production", [SCORED_CHECK])
            return
        scored = score_days(delivered, chosen, run_id=context.run.run_id, workspace=workspace)
        _tell(context, scored, workspace.lake)
        yield _result(scored, delivered.rows, PREDICTIONS, context, workspace)

    return daily_predictions


def _has_predictions(lake: ModelLake, table: str, days: Sequence[str]) -> bool:
    return lake.exists(table) and not lake.read(table, columns=[lake.day], where={lake.day: list(days)}).empty


def _emptied(
    table: str, context: dg.AssetExecutionContext, workspace: Workspace, *more: dg.AssetCheckResult
) -> dg.MaterializeResult:
    """Take the predictions back of days of which a correction has left no row: whoever moved is listed elsewhere."""
    nobody = workspace.lake.read(table, where={workspace.lake.day: list(context.partition_keys)}).head(0)
    context.log.warning("nothing is left of these days: their predictions are withdrawn")
    return _result(nobody, nobody, table, context, workspace, *more)


def _versions_for(
    days: Sequence[str],
    config: ScoringConfig,
    events: Sequence[Event],
    pointers: Mapping[str, Pointer],
    workspace: Workspace,
) -> dict[str, VersionRecord]:
    """Choose the version for each day: the one named, else the one recorded for the day, else the live one.

    Raises
    ------
    BadInput
        When the version named cannot score, or no reason is given.
    Refused
        When a version chosen was not properly put into production.
    """
    records, lake = version_records(events, pointers), workspace.lake
    if config.version is not None:
        if not config.reason.strip():
            raise BadInput("scoring with a named version needs a reason")
        record = records.get(config.version)
        if record is None or not record.was_in_production:
            raise BadInput(f"version {config.version} was never in production, so it may not score")
        check_was_live(record.version, events)
        return dict.fromkeys(days, record)
    if not days:
        return {}
    recorded: dict[str, str] = {}
    if lake.exists(PREDICTIONS):
        rows = lake.read(PREDICTIONS, columns=[lake.day, "model_version"], where={lake.day: list(days)})
        recorded = dict(zip(rows[lake.day], rows["model_version"], strict=True))
    if any(day not in recorded for day in days):
        live = trusted_version("production", events, pointers)
        recorded = {day: live.version for day in days if live is not None} | recorded
    for version in sorted(set(recorded.values())):
        check_was_live(version, events)
    return {day: records[recorded[day]] for day in days if day in recorded}


def _tell(context: dg.AssetExecutionContext, scored: pd.DataFrame, lake: ModelLake) -> None:
    """Show each day's account on its own partition: Dagster would store metadata of all days once per day."""
    outputs = {
        str(day): {
            "scored": int(rows["risk"].notna().sum()),
            "withheld": int((rows["status"] == "withheld").sum()),
            "flagged": int(rows["flagged"].sum()),
        }
        for day, rows in scored.groupby(lake.day)
    }
    shown = shown_outputs(lake, outputs)
    for (day, version), rows in scored.groupby([lake.day, "model_version"]):
        withheld = rows.loc[rows["status"] == "withheld", "withheld_because"].value_counts()
        reasons = shown_cells({str(why): int(count) for why, count in withheld.items()}, total=int(withheld.sum()))
        words = lake.contract.words.rows
        why = table({"withheld because": reason, words: count} for reason, count in hideable(reasons).items())
        account = {
            "version": str(version),
            **hideable(shown[str(day)]),
            "mean risk": HIDDEN if is_few(outputs[str(day)]["scored"]) else plain(rows["risk"].mean()),
            **({"withheld because": why} if len(withheld) else {}),
        }
        context.add_asset_metadata(account, partition_key=str(day))


def _result(
    scored: pd.DataFrame,
    delivered: pd.DataFrame,
    table: str,
    context: dg.AssetExecutionContext,
    workspace: Workspace,
    *more: dg.AssetCheckResult,
) -> dg.MaterializeResult:
    """Write the predictions, record them in the ledger if they are complete, and return both as the asset's result."""
    lake, check = workspace.lake, CHECKS[table]
    once = sorted(scored[lake.row]) == sorted(delivered[lake.row])
    withheld = scored["status"] == "withheld"
    # Neither a score nor a reason: nobody would know what to do with such a row.
    settled = bool(
        (scored["risk"].notna() != withheld).all() and (scored["withheld_because"].notna() == withheld).all()
    )
    counted = "each accepted row is there once" if once else "accepted rows are missing or repeated"
    counted += "" if settled else "; some have neither a risk nor a reason why not, or both"
    written = _written(scored, table, context, workspace, complete=once and settled)
    return dg.MaterializeResult(
        value=written,
        data_version=dg.DataVersion(frame_digest(scored.drop(columns=CIRCUMSTANCES))),
        check_results=[
            check_result(check, once and settled, observed=counted, rule=RULES[check],
                         action="Do not hand out the list: find the rows that are missing or repeated."),
            *more,
        ],
    )  # fmt: skip


def _written(
    scored: pd.DataFrame, table: str, context: dg.AssetExecutionContext, workspace: Workspace, *, complete: bool
) -> Written:
    """Write predictions and, if they are complete, record what they are; until then nobody is shown them.

    One run after the other: of two that score the same day at once, the last to write it is the last to record it.
    """
    lake, days, run_id = workspace.lake, list(context.partition_keys), context.run.run_id
    with workspace.platform.operations() as operations, operations.exclusively(f"{table}-{workspace.name}"):
        written = lake.write(table, scored, partition=(lake.day, days), metadata={"run_id": run_id})
        if complete:
            with workspace.ledger() as ledger:
                record_days(ledger, table, scored, days, version=written.version, lake=lake, run_id=run_id,
                            actor=workspace.actor)  # fmt: skip
            reached(f"scoring: {table} recorded")
    return written
