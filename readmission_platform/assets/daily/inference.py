"""Inference: predictions by day, of the version in production and of the one in the shadow.

What belongs here: ``shadow_predictions``, ``daily_predictions`` and their checks.
What does not: taking discharges in (``discharges``), which version is live (the ledger), and how a risk is computed
(``models.scoring``).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg
import pandas as pd
from pydantic import Field

from readmission_platform.assets.daily.agreement import AGREEMENT_CHECK, AGREEMENT_RULE, agreement_check
from readmission_platform.assets.partitions import daily_partitions
from readmission_platform.assets.presentation import (
    CARE_TEAM,
    PLATFORM_TEAM,
    blocking_specs,
    check_result,
    nothing_to_check,
    plain,
    table,
)
from readmission_platform.foundation.errors import BadInput
from readmission_platform.foundation.frames import frame_digest
from readmission_platform.governance.ledger.versions import VersionRecord, version_records
from readmission_platform.lifecycle.days.scoring import CIRCUMSTANCES, DAY, score_days
from readmission_platform.resources.lake import LakeResource
from readmission_platform.resources.project import ProjectResource
from readmission_platform.resources.tracking import TrackingResource
from readmission_platform.storage.lake import Lake

PREDICTION_CHECK = {
    "every_encounter_scored_once": "Every accepted encounter of the day is there exactly once: scored, or withheld "
    "with the reason."
}
SHADOW_CHECK = {
    "every_encounter_shadow_scored": "Every accepted encounter is scored by the version in staging, or withheld with "
    "the reason."
}


class ScoringConfig(dg.Config):
    """Score with a particular version instead of the one the rules choose."""

    version: str | None = Field(default=None, description="A version that is or was in production.")
    reason: str = Field(default="", description="Why; required with a version.")


@dg.asset(
    group_name="inference",
    owners=[PLATFORM_TEAM],
    kinds={"scikitlearn", "deltalake"},
    code_version="2",
    dagster_type=dg.Any,
    partitions_def=daily_partitions,
    backfill_policy=dg.BackfillPolicy.single_run(),
    metadata={"partition_column": DAY},
    deps=["staging_model"],
    output_required=False,
    check_specs=[
        *blocking_specs("shadow_predictions", SHADOW_CHECK),
        dg.AssetCheckSpec(AGREEMENT_CHECK, asset="shadow_predictions", description=AGREEMENT_RULE),
    ],
    # The work list does not wait for the shadow, and the shadow is compared with the list of the same day.
    op_tags={"dagster/priority": "-1"},
)
def shadow_predictions(
    context: dg.AssetExecutionContext,
    daily_discharges: pd.DataFrame,
    project: ProjectResource,
    tracking: TrackingResource,
    lake: LakeResource,
) -> Iterator[Any]:
    """What the version in staging says of the same days: for comparison only, never on a work list."""
    with project.ledger() as ledger:
        events, pointers = ledger.snapshot()
    version = pointers["staging"].version
    if version is None or daily_discharges.empty:
        why = "no version is in staging, or nothing was discharged"
        context.log.info(f"skipped: {why}")
        yield nothing_to_check("every_encounter_shadow_scored", why)
        yield nothing_to_check(AGREEMENT_CHECK, why)
        return
    record = version_records(events, pointers)[version]
    scored = score_days(
        daily_discharges, dict.fromkeys(context.partition_keys, record), run_id=context.run.run_id, model=project.model,
        tracking=tracking, lake=lake.open(),
    )  # fmt: skip
    agrees = agreement_check(lake.open(), scored, context.partition_keys, project.model)
    _tell(context, scored)
    yield _result(scored, daily_discharges, "every_encounter_shadow_scored", SHADOW_CHECK, agrees)


@dg.asset(
    group_name="inference",
    owners=[CARE_TEAM, PLATFORM_TEAM],
    kinds={"scikitlearn", "deltalake"},
    code_version="2",
    dagster_type=dg.Any,
    partitions_def=daily_partitions,
    backfill_policy=dg.BackfillPolicy.single_run(),
    metadata={"partition_column": DAY},
    deps=["production_model"],
    output_required=False,
    check_specs=blocking_specs("daily_predictions", PREDICTION_CHECK),
)
def daily_predictions(
    context: dg.AssetExecutionContext,
    config: ScoringConfig,
    daily_discharges: pd.DataFrame,
    project: ProjectResource,
    tracking: TrackingResource,
    lake: LakeResource,
) -> Iterator[Any]:
    """The predictions of each day: calibrated risk, why, rank, band, and the flag for the care team's capacity.

    What the model cannot score soundly is withheld, marked and not ranked: judge it by hand. A day is first scored with
    the version in production, read once when the run starts; scored again it keeps the version recorded for it, unless
    another formerly approved version is named with a reason.
    """
    with project.ledger() as ledger:
        events, pointers = ledger.snapshot()
    records = version_records(events, pointers)
    live = pointers["production"].version
    chosen = _versions_for(context.partition_keys, config, records, live, lake.open())
    if not chosen or daily_discharges.empty:
        why = "no version is in production (see promotion_job), or nothing was discharged"
        context.log.warning(f"skipped: {why}")
        yield nothing_to_check("every_encounter_scored_once", why)
        return
    scored = score_days(
        daily_discharges, chosen, run_id=context.run.run_id, model=project.model, tracking=tracking, lake=lake.open()
    )
    _tell(context, scored)
    yield _result(scored, daily_discharges, "every_encounter_scored_once", PREDICTION_CHECK)


def _versions_for(
    days: Sequence[str],
    config: ScoringConfig,
    records: dict[str, VersionRecord],
    live: str | None,
    lake: Lake,
) -> dict[str, VersionRecord]:
    """Choose the version for each day: the one named, else the one recorded for the day, else the live one."""
    if config.version is not None:
        if not config.reason.strip():
            raise BadInput("scoring with a named version needs a reason")
        record = records.get(config.version)
        if record is None or not record.was_in_production:
            raise BadInput(f"version {config.version} was never in production, so it may not score")
        return dict.fromkeys(days, record)
    recorded: dict[str, str] = {}
    if lake.exists("daily_predictions"):
        rows = lake.read("daily_predictions", columns=[DAY, "model_version"], where={DAY: list(days)})
        recorded = dict(zip(rows[DAY], rows["model_version"], strict=True))
    versions = {day: recorded.get(day, live) for day in days}
    return {day: records[version] for day, version in versions.items() if version is not None}


def _tell(context: dg.AssetExecutionContext, scored: pd.DataFrame) -> None:
    """Show each day's account on its own partition: Dagster stores what is told of all days once per day."""
    for (day, version), rows in scored.groupby([DAY, "model_version"]):
        withheld = rows.loc[rows["status"] == "withheld", "withheld_because"].value_counts()
        why = table({"withheld because": reason, "encounters": int(count)} for reason, count in withheld.items())
        account = {
            "version": str(version),
            "scored": int(rows["risk"].notna().sum()),
            "withheld": int(withheld.sum()),
            "flagged": int(rows["flagged"].sum()),
            "mean risk": plain(rows["risk"].mean()),
            **({"withheld because": why} if len(withheld) else {}),
        }
        context.add_asset_metadata(account, partition_key=str(day))


def _result(
    scored: pd.DataFrame, discharges: pd.DataFrame, check: str, rules: dict[str, str], *more: dg.AssetCheckResult
) -> dg.MaterializeResult:
    once = sorted(scored["encounter_id"]) == sorted(discharges["encounter_id"])
    withheld = scored["status"] == "withheld"
    # Neither a score nor a reason: nobody would know what to do with such an encounter.
    settled = bool(
        (scored["risk"].notna() != withheld).all() and (scored["withheld_because"].notna() == withheld).all()
    )
    counted = f"{int((~withheld).sum())} scored, {int(withheld.sum())} withheld, {len(discharges)} accepted"
    return dg.MaterializeResult(
        value=scored,
        data_version=dg.DataVersion(frame_digest(scored.drop(columns=CIRCUMSTANCES))),
        check_results=[
            check_result(check, once and settled, observed=counted, rule=rules[check],
                         action="Do not hand out the list: find the encounters that are missing or repeated."),
            *more,
        ],
    )  # fmt: skip
