"""Inference: discharges in, predictions out, by day.

What belongs here: ``daily_discharges``, ``shadow_predictions``, ``daily_predictions`` and their checks.
What does not: which version is live (the ledger), and how a risk is computed (``science.scoring``).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg
import pandas as pd
from pydantic import Field

from readmission_platform.assets.agreement import AGREEMENT_CHECK, AGREEMENT_RULE, agreement_check
from readmission_platform.assets.facts import ACCOUNTING_TABLE
from readmission_platform.assets.partitions import daily_partitions
from readmission_platform.assets.presentation import (
    CARE_TEAM,
    DATA_TEAM,
    PLATFORM_TEAM,
    blocking_specs,
    check_result,
    nothing_to_check,
    table,
)
from readmission_platform.assets.scoring import CIRCUMSTANCES, DAY, score_days
from readmission_platform.governance.errors import BadInput
from readmission_platform.governance.versions import VersionRecord, version_records
from readmission_platform.resources.lake import Lake, LakeResource, frame_digest
from readmission_platform.resources.landing import Landing
from readmission_platform.resources.project import ProjectResource
from readmission_platform.resources.tracking import TrackingResource
from readmission_platform.science.cohort import pseudonyms

QUARANTINE_TABLE = "quarantined_discharges"
DISCHARGE_CHECK = {"every_row_accounted_for": "Received rows are accepted, quarantined or duplicates; none is lost."}
PREDICTION_CHECK = {"every_encounter_scored_once": "Every accepted encounter of the day is scored exactly once."}
SHADOW_CHECK = {"every_encounter_shadow_scored": "Every accepted encounter is scored by the version in staging."}


class ScoringConfig(dg.Config):
    """Score with a particular version instead of the one the rules choose."""

    version: str | None = Field(default=None, description="A version that is or was in production.")
    reason: str = Field(default="", description="Why; required with a version.")


@dg.asset(
    group_name="inference",
    owners=[DATA_TEAM],
    kinds={"pandas", "deltalake"},
    code_version="1",
    dagster_type=dg.Any,
    partitions_def=daily_partitions,
    backfill_policy=dg.BackfillPolicy.single_run(),
    metadata={"partition_column": DAY},
    output_required=False,
    check_specs=blocking_specs("daily_discharges", DISCHARGE_CHECK),
)
def daily_discharges(context: dg.AssetExecutionContext, project: ProjectResource, lake: LakeResource) -> Iterator[Any]:
    """The accepted discharges of each day, from the files in `landing/discharges/<date>/`.

    Rows that break the encounter contract are quarantined with file hash, row number and reason, never with values.
    Encounters accepted before are counted as duplicates. A day without a file is skipped.
    """
    landing = Landing(project.settings.landing)
    days = list(context.partition_keys)
    found = [day for day in days if landing.read_day(day)]
    if not found:
        why = f"no file in landing/discharges for {days[0]} to {days[-1]}"
        context.log.warning(f"skipped: {why}")
        yield nothing_to_check("every_row_accounted_for", why)
        return
    accepted, accounts, quarantined = _take_in_days(landing, days, lake.open(), project.pseudonym_key)
    metadata = {"run_id": context.run.run_id}
    opened = lake.open()
    opened.write(QUARANTINE_TABLE, quarantined, partition=(DAY, days), metadata=metadata)
    opened.write(ACCOUNTING_TABLE, accounts, partition=(DAY, days), metadata=metadata)
    total = accounts.drop(columns=DAY).sum()
    balanced = int(total["received"]) == int(total["accepted"] + total["quarantined"] + total["duplicate"])
    yield dg.MaterializeResult(
        value=accepted,
        data_version=dg.DataVersion(frame_digest(accepted)),
        metadata={
            "days": table(accounts.to_dict("records")),
            "quarantined": table(quarantined.groupby([DAY, "column", "reason"]).size().reset_index(name="rows")
                                 .to_dict("records")),
            "dates": "as delivered; those of a replay are simulated",
        },
        check_results=[
            check_result("every_row_accounted_for", balanced and len(accepted) == int(total["accepted"]),
                         observed=", ".join(f"{name} {int(count)}" for name, count in total.items()),
                         rule=DISCHARGE_CHECK["every_row_accounted_for"],
                         action="Stop: rows were lost on the way in. Compare the files with the table of the day.")
        ],
    )  # fmt: skip


def _take_in_days(
    landing: Landing, days: Sequence[str], lake: Lake, key: bytes
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Take in the files of days in order; returns accepted rows, the account of each day, and quarantine lines."""
    from readmission_platform.science.intake import no_discharges, take_in

    seen = _accepted_on_other_days(lake, days)
    accepted = [no_discharges().assign(**{DAY: pd.Series(dtype=object)})]
    accounts, lines = [], []
    for day in days:
        count = dict.fromkeys(("received", "accepted", "quarantined", "duplicate"), 0)
        for file in landing.read_day(day):
            if file.cells is None:
                lines.append(pd.DataFrame({"row": [0], "column": "", "reason": [file.problem]}).assign(
                    **{DAY: day, "file_digest": file.digest}))  # fmt: skip
                continue
            intake = take_in(file.cells, already=seen)
            seen |= set(intake.accepted["encounter_id"])
            accepted.append(intake.accepted.assign(**{DAY: day}))
            lines.append(intake.quarantined.assign(**{DAY: day, "file_digest": file.digest}))
            count["received"] += intake.received
            count["accepted"] += len(intake.accepted)
            count["quarantined"] += intake.quarantined_rows
            count["duplicate"] += intake.duplicate
        accounts.append({DAY: day, **count})
    frame = pd.concat(accepted, ignore_index=True)
    frame.insert(1, "patient_key", pseudonyms(frame["patient_nbr"], key, purpose="patient"))
    empty = pd.DataFrame({"row": pd.Series(dtype="int64"), "column": pd.Series(dtype=object),
                          "reason": pd.Series(dtype=object), DAY: pd.Series(dtype=object),
                          "file_digest": pd.Series(dtype=object)})  # fmt: skip
    return (
        frame.drop(columns="patient_nbr"),
        pd.DataFrame(accounts),
        pd.concat([empty, *lines], ignore_index=True),
    )


def _accepted_on_other_days(lake: Lake, days: Sequence[str]) -> set[int]:
    if not lake.exists("daily_discharges"):
        return set()
    rows = lake.read("daily_discharges", columns=["encounter_id", DAY])
    return set(rows.loc[~rows[DAY].isin(days), "encounter_id"])


@dg.asset(
    group_name="inference",
    owners=[PLATFORM_TEAM],
    kinds={"scikitlearn", "deltalake"},
    code_version="1",
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
    yield _result(scored, daily_discharges, "every_encounter_shadow_scored", SHADOW_CHECK, agrees)


@dg.asset(
    group_name="inference",
    owners=[CARE_TEAM, PLATFORM_TEAM],
    kinds={"scikitlearn", "deltalake"},
    code_version="1",
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
    """The work list of each day: calibrated risk, rank, band, and the flag for the care team's capacity.

    A day is first scored with the version in production, read once when the run starts; scored again it keeps the
    version recorded for it, unless another formerly approved version is named with a reason.
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


def _result(
    scored: pd.DataFrame, discharges: pd.DataFrame, check: str, rules: dict[str, str], *more: dg.AssetCheckResult
) -> dg.MaterializeResult:
    once = sorted(scored["encounter_id"]) == sorted(discharges["encounter_id"])
    per_day = scored.groupby([DAY, "model_version"]).agg(
        scored=("encounter_id", "size"),
        flagged=("flagged", "sum"),
        mean_risk=("risk", "mean"),
    )
    return dg.MaterializeResult(
        value=scored,
        data_version=dg.DataVersion(frame_digest(scored.drop(columns=CIRCUMSTANCES))),
        metadata={"days": table(per_day.reset_index().to_dict("records"))},
        check_results=[
            check_result(check, once, observed=f"{len(scored)} scored, {len(discharges)} accepted", rule=rules[check],
                         action="Do not hand out the list: find the encounters that are missing or repeated."),
            *more,
        ],
    )  # fmt: skip
