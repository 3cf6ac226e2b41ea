"""Ingestion: rows as they come from their source, and the cohort that is studied.

What belongs here: the raw rows and the cohort with their checks. What does not: fetching and parsing, and the rules of
the cohort (the contract's sources and data), and taking in delivered rows and their outcomes (``delivered``,
``outcomes``).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
from pydantic import Field

from readmission_platform.assets.model_assets import ModelAssets
from readmission_platform.assets.presentation import DATA_TEAM, check_result, column_schema, table
from readmission_platform.evaluation.disclosure import in_words, shown_share
from readmission_platform.foundation.errors import BadInput
from readmission_platform.foundation.frames import frame_digest
from readmission_platform.governance.ledger.versions import VersionRecord, version_records
from readmission_platform.intake.sources import Loaded, SourceRequest
from readmission_platform.lifecycle.days.identities import known_identities
from readmission_platform.lifecycle.days.outcomes import matured_rows
from readmission_platform.lifecycle.days.progress import hospital_day
from readmission_platform.lifecycle.days.replay import SOURCE_COHORT, days_of_other_replays
from readmission_platform.lifecycle.training.training_record import adds_up, shown_flow
from readmission_platform.lifecycle.workspace import Platform, Workspace

RAW_CHECKS = {
    "digest_is_the_pinned_one": "The content is as expected: the published file, or what the seed generates.",
    "missingness_within_limits": "No column has more missing values than model.yaml allows for it.",
    "rows_enough": "There are enough rows to develop a model.",
    "rows_unique": "Every row appears once.",
    "schema_holds": "Every row meets the feed's contract: types, ranges, code lists.",
}
COHORT_CHECKS = {
    "flow_adds_up": "The rows studied are those of the source minus the excluded ones, plus the matured deliveries.",
    "outcome_prevalence_plausible": "The outcome rate is in the range observed in this population.",
    "entities_pseudonymised": "No personal identifier is left in the cohort.",
}


ROWS, SEED = 20_000, 7


class SourceConfig(dg.Config):
    """Which rows to load."""

    source: str = Field(
        default="",
        description="Name of one of the model's sources. If left empty: the source of the last version, with its "
        "archive, rows and seed unless given; in a home without versions, the model's first source.",
    )
    archive: str | None = Field(
        default=None, description="Path of a local copy of a published source; default: downloaded."
    )
    rows: int | None = Field(default=None, description=f"Rows of a generated source; default: {ROWS:,}.")
    seed: int | None = Field(default=None, description=f"Seed of a generated source; default: {SEED}.")

    def request(self, cache: Path) -> SourceRequest:
        """Return what to ask of the source."""
        archive = Path(self.archive) if self.archive else None
        rows, seed = ROWS if self.rows is None else self.rows, SEED if self.seed is None else self.seed
        return SourceRequest(archive=archive, rows=rows, seed=seed, cache=cache)


class CohortConfig(dg.Config):
    """Which rows to learn from beside those of the source."""

    matured: bool = Field(
        default=True,
        description="Add the delivered rows whose outcome has matured to the development part, so that a new version "
        "learns from them; otherwise it learns from the source alone.",
    )


def raw_asset(model: ModelAssets) -> dg.AssetsDefinition:
    """Return the asset of the raw rows."""
    sources = "; ".join(f"`{name}` is {source.words}" for name, source in model.contract.sources.items())

    @model.frame(
            model.names.raw, group="ingestion", owners=[DATA_TEAM], kinds={"pandas", "deltalake"}, blocking=RAW_CHECKS,
            description=f"{model.words.rows.capitalize()} as they come from the source. Source {sources}. The data "
            "version is the digest of the content.",
    )  # fmt: skip
    def raw(
        context: dg.AssetExecutionContext, config: SourceConfig, platform: dg.ResourceParam[Platform]
    ) -> dg.MaterializeResult:
        workspace = model.workspace(platform)
        if not config.source:
            usual = _usual_source(context.instance, model, workspace)
            config = SourceConfig(**{**usual, **_given(config.model_dump())})
        source = model.contract.sources.get(config.source)
        if source is None:
            raise BadInput(f"source: {config.source} is unknown; choose {' or '.join(model.contract.sources)}")
        loaded = source.load(config.request(workspace.settings.home / "cache"))
        # Written into the commit: which limits apply, and whether a model may go live, depend on it.
        loaded.frame.attrs["source"] = source.name
        loaded.frame.attrs["limits"] = source.limits
        return dg.MaterializeResult(
            value=loaded.frame,
            data_version=dg.DataVersion(loaded.digest),
            metadata={
                "source": source.name,
                "origin": loaded.origin,
                "content": loaded.digest,
                "missingness": table(
                    {**row, "missing": shown_share(row["missing"], len(loaded.frame))}
                    for row in _missingness(loaded.frame, workspace.config.max_missing_fraction)
                ),
                "dagster/column_schema": column_schema(loaded.frame),
            },
            check_results=_raw_checks(loaded, workspace),
        )

    return raw


def source_of(instance: dg.DagsterInstance, record: VersionRecord, op: str) -> dict[str, Any] | None:
    """Return what the run that trained a version said of its source: name, archive, size, seed, as far as it did."""
    run = instance.get_run_by_id(record.run_id) if record.run_id else None
    config: Any = run.run_config if run else {}
    for name in ("ops", op, "config"):
        config = config.get(name) if isinstance(config, Mapping) else None
    return dict(config) if isinstance(config, Mapping) else None


def _usual_source(instance: dg.DagsterInstance, model: ModelAssets, workspace: Workspace) -> dict[str, Any]:
    """Return what the last version was trained on; in a home without versions it is the model's first source.

    A run that left something to the home had it from the runs before.
    """
    with workspace.ledger() as ledger:
        records = version_records(*ledger.snapshot())
    trained = sorted((record for record in records.values() if record.source), key=lambda each: int(each.version))
    if not trained:
        return {"source": next(iter(model.contract.sources))}
    usual: dict[str, Any] = {}
    for record in trained:
        if record.source == trained[-1].source:
            usual |= _given(source_of(instance, record, model.op(model.names.raw)) or {})
    return {**usual, "source": trained[-1].source}


def _given(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if value not in (None, "")}


def _missingness(frame: pd.DataFrame, limits: Mapping[str, float]) -> list[dict[str, Any]]:
    share = frame.isna().mean()
    rows = [
        {"column": name, "missing": float(share[name]), "limit": limits.get(name, 0.0)}
        for name in frame.columns
        if share[name] > 0 or name in limits
    ]
    return sorted(rows, key=lambda row: -float(row["missing"]))


def _raw_checks(loaded: Loaded, workspace: Workspace) -> list[dg.AssetCheckResult]:
    frame, config, contract = loaded.frame, workspace.config, workspace.contract
    broken = contract.raw.broken_rules(frame)
    over = [row for row in _missingness(frame, config.max_missing_fraction) if row["missing"] > row["limit"]]
    duplicated = int(frame[contract.row].duplicated().sum())
    counted = broken.groupby(["column", "reason"]).size()
    summary = counted.map(in_words).reset_index(name="rows").to_dict("records")
    least = config.min_rows
    observed = {
        "digest_is_the_pinned_one": (loaded.digest == loaded.expected_digest, loaded.digest,
                                     "Find out who changed the file."),
        "missingness_within_limits": (not over, ", ".join(str(r["column"]) for r in over) or "none over its limit",
                                      "Ask the source why values are missing before training on the rest."),
        "rows_enough": (len(frame) >= least, f"{len(frame):,} (at least {least:,})", "Load more rows."),
        "rows_unique": (duplicated == 0, f"{in_words(duplicated)} repeated", "Remove the repeated rows at the source."),
        "schema_holds": (broken.empty, f"{in_words(len(broken))} broken rules", "Correct the rows at the source."),
    }  # fmt: skip
    return [
        check_result(name, passed, observed=seen, rule=RAW_CHECKS[name], action=action,
                     more={"broken rules": table(summary)} if name == "schema_holds" else None)
        for name, (passed, seen, action) in observed.items()
    ]  # fmt: skip


def cohort_asset(model: ModelAssets) -> dg.AssetsDefinition:
    """Return the asset of the cohort that is studied."""
    words = model.words

    @model.frame(
            model.names.cohort, inputs={"raw": model.names.raw},
        group="ingestion", owners=[DATA_TEAM], kinds={"pandas", "deltalake"}, code_version="2",
            deps=[model.names.delivered, "matured_outcomes"], blocking=COHORT_CHECKS,
            description=f"The study {words.rows} in order of time, with {words.entities} behind keyed pseudonyms. "
            "The latest part is the replay stream, which is opened only as daily deliveries. Delivered "
            f"{words.rows} whose outcome has matured join the development part; only these have a day.",
    )  # fmt: skip
    def cohort(config: CohortConfig, raw: pd.DataFrame, platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:
        workspace, contract = model.workspace(platform), model.contract
        if raw.empty:
            raise BadInput(f"{model.names.raw} is empty; materialize it with a source first")
        source = contract.data.cohort(raw, key=workspace.pseudonym_key, replay_share=workspace.config.replay_share)
        digest = frame_digest(source)
        matured = _matured(workspace, digest)
        with workspace.ledger() as ledger:
            identities = known_identities(ledger)
        studied = contract.data.with_matured(source, matured if config.matured else matured.head(0))
        studied = studied.assign(entity_key=identities.named(studied["entity_key"]))
        # The replay goes by what the source holds, which training on matured rows does not change.
        studied.attrs = {**raw.attrs, SOURCE_COHORT: digest}
        flow = contract.data.flow(raw, studied)
        return dg.MaterializeResult(
            value=studied,
            data_version=dg.DataVersion(frame_digest(studied)),
            metadata={
                "cohort flow": table({"step": step, words.rows: count} for step, count in shown_flow(flow).items()),
                "prevalence": float(studied[contract.outcome].mean()),
                "dagster/column_schema": column_schema(studied),
            },
            check_results=_cohort_checks(studied, flow, workspace),
        )

    return cohort


def _cohort_checks(studied: pd.DataFrame, flow: Mapping[str, int], workspace: Workspace) -> list[dg.AssetCheckResult]:
    contract = workspace.contract
    low, high = workspace.config.plausible_prevalence
    prevalence = float(studied[contract.outcome].mean())
    joined = int(studied[contract.day].notna().sum())
    observed = {
        "flow_adds_up": (adds_up(flow, len(studied)),
                         f"{len(studied):,} studied, {in_words(joined)} of them were delivered",
                         "Some row is counted twice or not at all; see the contract's data.cohort and data.flow."),
        "outcome_prevalence_plausible": (low <= prevalence <= high, f"{prevalence:.4f} (from {low} to {high})",
                                         "Check how the outcome is derived before anything is trained."),
        "entities_pseudonymised": (contract.feed.entity not in studied.columns, f"{len(studied.columns)} columns",
                                   "Stop: personal identifiers must not reach the features."),
    }  # fmt: skip
    return [
        check_result(name, passed, observed=seen, rule=COHORT_CHECKS[name], action=action)
        for name, (passed, seen, action) in observed.items()
    ]


def _matured(workspace: Workspace, source_cohort: str) -> pd.DataFrame:
    """Return the matured rows to learn from: all but those that a replay of another source delivered."""
    matured = matured_rows(
        workspace.lake,
        today=hospital_day(workspace.rules),
        coverage=workspace.monitoring.performance.outcome_coverage,
    )
    return matured[~matured[workspace.contract.day].isin(days_of_other_replays(workspace.landing, source_cohort))]
