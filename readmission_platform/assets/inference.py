"""Inference: discharges in, predictions out, by day.

What belongs here: ``daily_discharges``, ``shadow_predictions``, ``daily_predictions`` and their checks.
What does not: which version is live (the ledger), and how a risk is computed (``science.scoring``).
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
from pydantic import Field

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
from readmission_platform.config import ModelConfig
from readmission_platform.governance.errors import BadInput
from readmission_platform.governance.versions import VersionRecord, version_records
from readmission_platform.resources.lake import Lake, LakeResource, frame_digest
from readmission_platform.resources.landing import Landing
from readmission_platform.resources.project import ProjectResource
from readmission_platform.resources.tracking import TrackingResource, load_artifact
from readmission_platform.science.cohort import pseudonyms
from readmission_platform.science.history import KNOWN_COLUMNS

DAY = "discharge_date"
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
    metadata = {"run_id": context.run_id}
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
    check_specs=blocking_specs("shadow_predictions", SHADOW_CHECK),
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
        return
    record = version_records(events, pointers)[version]
    scored = _score(daily_discharges, dict.fromkeys(context.partition_keys, record), context, project, tracking, lake)
    yield _result(scored, daily_discharges, "every_encounter_shadow_scored", SHADOW_CHECK)


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
    scored = _score(daily_discharges, chosen, context, project, tracking, lake)
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


def _score(
    discharges: pd.DataFrame,
    versions: dict[str, VersionRecord],
    context: dg.AssetExecutionContext,
    project: ProjectResource,
    tracking: TrackingResource,
    lake: LakeResource,
) -> pd.DataFrame:
    """Score each day with its version; each artifact is verified against the ledger before it is loaded."""
    from readmission_platform.science.scoring import score_discharges

    model = project.model
    known = _known_encounters(lake.open(), discharges)
    loaded = {
        record.version: load_artifact(tracking.root, str(record.artifact_path), digest=str(record.artifact_digest))
        for record in {record.version: record for record in versions.values()}.values()
    }
    days = []
    for day, rows in discharges.groupby(DAY, sort=True):
        record = versions[str(day)]
        earlier = known[(known[DAY].isna()) | (known[DAY] <= day)]
        risk = score_discharges(loaded[record.version], rows.reset_index(drop=True), earlier)
        listed = work_list(rows[["encounter_id", "patient_key"]].reset_index(drop=True), risk, model)
        days.append(listed.assign(**{
            DAY: day, "model_version": record.version, "artifact_digest": record.artifact_digest,
            "discharges_digest": frame_digest(rows), "run_id": context.run_id,
            "scored_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }))  # fmt: skip
    return pd.concat(days, ignore_index=True)


def _known_encounters(lake: Lake, discharges: pd.DataFrame) -> pd.DataFrame:
    """Return what is known of these patients: the development encounters, and every accepted discharge with its day.

    Of the replay stream nothing is known but what arrived as discharges.
    """
    patients = sorted(set(discharges["patient_key"]))
    development = lake.read(
        "eligible_encounters",
        columns=[*KNOWN_COLUMNS, "readmitted"],
        where={"part": ["development"], "patient_key": patients},
    )
    arrived = lake.read("daily_discharges", columns=[*KNOWN_COLUMNS, DAY], where={"patient_key": patients})
    return pd.concat([development.assign(**{DAY: None}), arrived.assign(readmitted=None)], ignore_index=True)


def work_list(encounters: pd.DataFrame, risk: "np.ndarray", model: ModelConfig) -> pd.DataFrame:
    """Rank a day's encounters by risk, name the band, and flag as many as the care team can follow up."""
    bands = list(model.risk_bands)
    edges = [*model.risk_bands.values(), 1.000001]
    listed = encounters.assign(risk=risk)
    listed["band"] = pd.cut(listed["risk"], edges, labels=bands, right=False).astype(object)
    # Equal risks keep the order of arrival, so that scoring again gives the same list.
    listed["rank"] = listed["risk"].rank(ascending=False, method="first").astype("int64")
    listed["flagged"] = listed["rank"] <= max(1, round(model.flag_share * len(listed)))
    return listed.sort_values("rank", ignore_index=True)


def _result(scored: pd.DataFrame, discharges: pd.DataFrame, check: str, rules: dict[str, str]) -> dg.MaterializeResult:
    once = sorted(scored["encounter_id"]) == sorted(discharges["encounter_id"])
    per_day = scored.groupby([DAY, "model_version"]).agg(
        scored=("encounter_id", "size"),
        flagged=("flagged", "sum"),
        mean_risk=("risk", "mean"),
    )
    return dg.MaterializeResult(
        value=scored,
        data_version=dg.DataVersion(frame_digest(scored.drop(columns=["run_id", "scored_at"]))),
        metadata={"days": table(per_day.reset_index().to_dict("records"))},
        check_results=[
            check_result(check, once, observed=f"{len(scored)} scored, {len(discharges)} accepted", rule=rules[check],
                         action="Do not hand out the list: find the encounters that are missing or repeated.")
        ],
    )  # fmt: skip
