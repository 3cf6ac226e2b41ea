"""Ingestion: encounters as they come from their source, and the cohort that is studied.

What belongs here: ``raw_encounters`` and ``eligible_encounters`` with their checks.
What does not: fetching and parsing (``encounters.sources``), cohort rules (``encounters.cohort``) and taking in
discharges and their outcomes (``discharges``, ``outcomes``).
"""

from enum import Enum
from pathlib import Path

import dagster as dg
import pandas as pd
from pydantic import Field

from readmission_platform.assets.encounters.outcomes import hospital_day, matured_discharges
from readmission_platform.assets.encounters.replay import SOURCE_COHORT, days_of_other_replays
from readmission_platform.assets.presentation import (
    DATA_TEAM,
    blocking_specs,
    check_result,
    column_schema,
    table,
)
from readmission_platform.encounters import cohort
from readmission_platform.encounters.contract import ENCOUNTERS_WITH_OUTCOME, LANDING
from readmission_platform.encounters.sources import load_synthetic, load_uci
from readmission_platform.foundation.errors import BadInput
from readmission_platform.foundation.frames import frame_digest
from readmission_platform.intake.sources import SourceRequest
from readmission_platform.lifecycle.days.scoring import DAY
from readmission_platform.resources.lake import LakeResource
from readmission_platform.resources.project import ProjectResource
from readmission_platform.storage.lake import Lake
from readmission_platform.storage.landing import Landing

RAW_CHECKS = {
    "digest_is_the_pinned_one": "The content is the one expected: the published file, or what the seed generates.",
    "missingness_within_limits": "No column misses more values than configs/model.yaml allows for it.",
    "rows_enough": "There are enough encounters to develop a model on.",
    "rows_unique": "Every encounter appears once.",
    "schema_holds": "Every row keeps the encounter contract: types, ranges, code lists.",
}
COHORT_CHECKS = {
    "flow_adds_up": "Eligible encounters are those of the source less the excluded ones, and the matured discharges.",
    "outcome_prevalence_plausible": "The share of readmissions lies where this population's has been observed.",
    "patients_pseudonymised": "No patient number is left in the cohort.",
}


class Source(Enum):
    """Where encounters come from."""

    synthetic = "synthetic"
    uci = "uci"


class SourceConfig(dg.Config):
    """Which encounters to load."""

    source: Source = Field(
        default=Source.synthetic,
        description="synthetic (embedded cohort) or uci (Diabetes 130-US Hospitals).",
    )
    archive: str | None = Field(default=None, description="Path of a local copy of the UCI archive; else downloaded.")
    encounters: int = Field(default=20_000, description="Size of the synthetic cohort.")
    seed: int = Field(default=7, description="Seed of the synthetic cohort.")


@dg.asset(
    group_name="ingestion",
    owners=[DATA_TEAM],
    kinds={"pandas", "deltalake"},
    code_version="1",
    dagster_type=dg.Any,
    check_specs=blocking_specs("raw_encounters", RAW_CHECKS),
)
def raw_encounters(config: SourceConfig, project: ProjectResource) -> dg.MaterializeResult:
    """Hospital encounters as published: 50 columns, one row per discharge.

    Source `uci` is *Diabetes 130-US Hospitals for Years 1999-2008* (Clore, Cios, DeShazo, Strack 2014,
    doi 10.24432/C5230J, CC BY 4.0), its CSV pinned by sha256. Source `synthetic` is generated and labelled so.
    The data version is the digest of the content.
    """
    archive = Path(config.archive) if config.archive else None
    request = SourceRequest(
        archive=archive, rows=config.encounters, seed=config.seed, cache=project.settings.home / "cache"
    )
    loaded = load_uci(request) if config.source is Source.uci else load_synthetic(request)
    # Written into the commit: which limits apply, and whether a model may go live, hangs on it.
    loaded.frame.attrs["source"] = config.source.value
    return dg.MaterializeResult(
        value=loaded.frame,
        data_version=dg.DataVersion(loaded.digest),
        metadata={
            "source": config.source.value,
            "origin": loaded.origin,
            "content": loaded.digest,
            "missingness": table(_missingness(loaded.frame, project.model.max_missing_fraction)),
            "dagster/column_schema": column_schema(loaded.frame),
        },
        check_results=_raw_checks(loaded.frame, loaded.digest, loaded.expected_digest, project),
    )


def _missingness(frame: pd.DataFrame, limits: dict[str, float]) -> list[dict[str, object]]:
    share = frame.isna().mean()
    rows = [
        {"column": name, "missing": float(share[name]), "limit": limits.get(name, 0.0)}
        for name in frame.columns
        if share[name] > 0 or name in limits
    ]
    return sorted(rows, key=lambda row: -float(str(row["missing"])))


def _raw_checks(frame: pd.DataFrame, digest: str, expected: str, project: ProjectResource) -> list[dg.AssetCheckResult]:
    model = project.model
    broken = ENCOUNTERS_WITH_OUTCOME.broken_rules(frame)
    over = [row for row in _missingness(frame, model.max_missing_fraction) if row["missing"] > row["limit"]]  # type: ignore[operator]
    duplicated = int(frame["encounter_id"].duplicated().sum())
    summary = broken.groupby(["column", "reason"]).size().reset_index(name="rows").to_dict("records")
    observed = {
        "digest_is_the_pinned_one": (digest == expected, digest, "Find out who changed the file."),
        "missingness_within_limits": (not over, ", ".join(str(r["column"]) for r in over) or "none over its limit",
                                      "Ask the source why values are missing before training on the rest."),
        "rows_enough": (len(frame) >= model.min_encounters, f"{len(frame):,} (at least {model.min_encounters:,})",
                        "Load more encounters."),
        "rows_unique": (duplicated == 0, f"{duplicated} repeated", "Remove the repeated encounters at the source."),
        "schema_holds": (broken.empty, f"{len(broken)} broken rules", "Correct the rows at the source."),
    }  # fmt: skip
    return [
        check_result(name, passed, observed=seen, rule=RAW_CHECKS[name], action=action,
                     more={"broken rules": table(summary)} if name == "schema_holds" else None)
        for name, (passed, seen, action) in observed.items()
    ]  # fmt: skip


class CohortConfig(dg.Config):
    """Which encounters to learn from beside those of the source."""

    matured: bool = Field(
        default=True,
        description="Add the daily discharges whose outcome has matured to the development part, so that a new version "
        "learns from them; without, it learns from the source alone.",
    )


@dg.asset(
    group_name="ingestion",
    owners=[DATA_TEAM],
    kinds={"pandas", "deltalake"},
    code_version="2",
    dagster_type=dg.Any,
    deps=["daily_discharges", "matured_outcomes"],
    check_specs=blocking_specs("eligible_encounters", COHORT_CHECKS),
)
def eligible_encounters(
    config: CohortConfig, raw_encounters: pd.DataFrame, project: ProjectResource, lake: LakeResource
) -> dg.MaterializeResult:
    """Index admissions: discharges that can be readmitted, patients behind keyed pseudonyms, in clock order.

    Died and hospice discharges are excluded. The last tenth on the proxy clock is the replay stream: it is opened
    only as daily discharges. The source has no dates; the encounter number stands in for time. Daily discharges whose
    outcome has matured join the development part; they alone have a discharge date.
    """
    model = project.model
    if raw_encounters.empty:
        raise BadInput("raw_encounters is empty; materialize it with a source first")
    source = cohort.eligible_encounters(raw_encounters, key=project.pseudonym_key, replay_share=model.replay_share)
    digest = frame_digest(source)
    matured = _matured(project, lake.open(), digest)
    eligible = cohort.with_matured(source, matured if config.matured else matured.head(0))
    # The replay goes by what the source holds, which training on matured discharges does not change.
    eligible.attrs = {**raw_encounters.attrs, SOURCE_COHORT: digest}
    flow = cohort.cohort_flow(raw_encounters, eligible)
    low, high = model.plausible_prevalence
    prevalence = float(eligible["readmitted_30d"].mean())
    joined = int(eligible[DAY].notna().sum())
    observed = {
        "flow_adds_up": (_adds_up(flow), f"{len(eligible):,} eligible, {joined:,} of them matured discharges",
                         "An encounter is counted twice or not at all; see science.cohort."),
        "outcome_prevalence_plausible": (low <= prevalence <= high, f"{prevalence:.4f} (from {low} to {high})",
                                         "Check how the outcome is derived before anything is trained."),
        "patients_pseudonymised": ("patient_nbr" not in eligible.columns, f"{len(eligible.columns)} columns",
                                   "Stop: patient numbers must not reach features."),
    }  # fmt: skip
    return dg.MaterializeResult(
        value=eligible,
        data_version=dg.DataVersion(frame_digest(eligible)),
        metadata={
            "cohort flow": table({"step": step, "encounters": count} for step, count in flow.items()),
            "prevalence": prevalence,
            "dagster/column_schema": column_schema(eligible),
        },
        check_results=[
            check_result(name, passed, observed=seen, rule=COHORT_CHECKS[name], action=action)
            for name, (passed, seen, action) in observed.items()
        ],
    )


def _matured(project: ProjectResource, lake: Lake, source_cohort: str) -> pd.DataFrame:
    """Return the matured discharges to learn from: all but those that a replay of another source delivered."""
    matured = matured_discharges(
        lake,
        today=hospital_day(project.environment_rules),
        coverage=project.monitoring.performance.outcome_coverage,
    )
    return matured[~matured[DAY].isin(days_of_other_replays(Landing(project.settings.landing, LANDING), source_cohort))]


def _adds_up(flow: dict[str, int]) -> bool:
    excluded = sum(count for step, count in flow.items() if step.startswith("excluded"))
    added = sum(count for step, count in flow.items() if step.startswith("added"))
    parts = sum(count for step, count in flow.items() if step.startswith(("development", "replay")))
    return flow["encounters in the source"] - excluded + added == flow["eligible encounters"] == parts
