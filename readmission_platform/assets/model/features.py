"""Features: what the model sees of each development row, and which entities it may learn from.

What belongs here: the features and the split with their checks. What does not: how features are computed (the
contract's data) and what gives a leak away (``evaluation.leakage``).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg
import pandas as pd

from readmission_platform.assets.model.firewall import MEASURED, broken_limits
from readmission_platform.assets.model_assets import ModelAssets
from readmission_platform.assets.presentation import SCIENCE_TEAM, check_result, column_schema, table
from readmission_platform.evaluation import leakage
from readmission_platform.evaluation.disclosure import hidden_rows, in_words
from readmission_platform.evaluation.estimates.folds import entity_folds
from readmission_platform.foundation.counting import percent
from readmission_platform.foundation.frames import frame_digest
from readmission_platform.lifecycle.workspace import Platform
from readmission_platform.models.contract import ModelContract

FEATURE_CHECKS = {
    "history_looks_backwards": "Every input stays the same when everything that happened later is deleted.",
    "no_row_total": "No input reveals, at an entity's first row, whether more will follow.",
    "no_identifier_or_outcome": "No input of the model identifies a row, dates it, or repeats its outcome.",
}
SPLIT_CHECKS = {
    "no_entity_in_two_folds": "All rows of an entity are in one fold.",
    "prevalence_alike": "The outcome rate in each fold is close to the overall rate.",
}


def features_asset(model: ModelAssets) -> dg.AssetsDefinition:
    """Return the asset of the training table's inputs."""
    words, contract = model.words, model.contract

    @model.frame(
            model.names.features, inputs={"cohort": model.names.cohort},
        group="features", owners=[SCIENCE_TEAM], kinds={"pandas", "deltalake"},
            code_version="2", blocking=FEATURE_CHECKS,
            description=f"Inputs of the model for each {words.row} of the development part: the {words.row} itself and "
            f"the history of the {words.entity}. History looks only backwards; counting all {words.rows} of one "
            f"{words.entity} would leak the outcome. The replay stream is not included.",
    )  # fmt: skip
    def features(cohort: pd.DataFrame, platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:
        workspace = model.workspace(platform)
        development = development_of(cohort)
        inputs = contract.data.inputs_of(development, development)
        identified = development[[contract.row, "entity_key", "clock", contract.outcome]]
        made = pd.concat([identified, inputs], axis=1)
        told = _Told.of(development, inputs, contract)
        made.attrs = cohort.attrs | {MEASURED: told.measured}
        past = development["entity_key"].duplicated()
        return dg.MaterializeResult(
            value=made,
            data_version=dg.DataVersion(frame_digest(made)),
            metadata={
                "inputs": inputs.shape[1],
                f"{words.rows} with a past": float(past.mean()),
                "dagster/column_schema": column_schema(made),
            },
            check_results=[
                *_check_results(told, broken_limits(told.measured, workspace, cohort.attrs["limits"])),
            ],
        )

    return features


def development_of(cohort: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the development part, numbered anew."""
    return cohort[cohort["part"] == "development"].reset_index(drop=True)


@dataclass(frozen=True)
class _Told:
    """What the inputs tell of what they must not: rows at which one changes, what each tells, identifiers by name."""

    changed: dict[str, int]
    future: pd.Series
    outcome: pd.Series
    distinct: pd.Series
    clock: pd.Series
    identifiers: list[str]

    @classmethod
    def of(cls, development: pd.DataFrame, inputs: pd.DataFrame, contract: ModelContract) -> "_Told":
        """Measure the values of the inputs: a source may already contain a leak."""
        entities = development["entity_key"]
        never = contract.identifiers | {
            contract.row,
            contract.feed.entity,
            contract.day,
            contract.outcome,
            "entity_key",
        }
        return cls(
            leakage.changed_without_future(
                development, lambda known: contract.data.inputs_of(known, known), contract.data.forget
            ),
            leakage.future_told(inputs, entities),
            leakage.outcome_told(inputs, development[contract.outcome].to_numpy(), entities),
            leakage.distinct_shares(inputs),
            leakage.clock_told(inputs, development["clock"]),
            sorted(set(inputs.columns) & never),
        )

    @property
    def measured(self) -> dict[str, float]:
        """By metric, what is recorded with a version that is trained on the inputs."""
        return {
            "inputs_changed_without_future": float(sum(self.changed.values())),
            "future_told_by_one_input": float(self.future.max()),
            "outcome_told_by_one_input": float(self.outcome.max()),
            "distinct_share_of_one_input": float(self.distinct.max()),
            "clock_told_by_one_input": float(self.clock.max()),
            "identifiers_among_inputs": float(len(self.identifiers)),
        }


def _check_results(told: _Told, broken: Mapping[str, str]) -> Iterator[dg.AssetCheckResult]:
    """Return the results of ``FEATURE_CHECKS``; ``broken`` holds the limits that are not kept."""
    yield check_result(
        "history_looks_backwards",
        "inputs_changed_without_future" not in broken,
        observed=", ".join(f"{name}: {in_words(count)} rows" for name, count in told.changed.items())
        or "nothing changes",
        rule=FEATURE_CHECKS["history_looks_backwards"],
        action="Stop: an input named here reads the future and leaks the outcome.",
        more={"rows kept, as shares of the clock": ", ".join(f"{share:.2f}" for share in leakage.CUTS)},
    )
    yield check_result(
        "no_row_total",
        "future_told_by_one_input" not in broken,
        observed=_told_most(told.future),
        rule=FEATURE_CHECKS["no_row_total"],
        action="Stop: find out how this input depends on later rows, and remove it from the model's inputs.",
        more={"told by each input": _told_table(told.future)},
    )
    most = {
        "distinct_share_of_one_input": f"{told.distinct.index[0]} has {told.distinct.iloc[0]:.2f} values per row",
        "clock_told_by_one_input": f"{told.clock.index[0]} explains {percent(told.clock.iloc[0])} of the clock",
        "outcome_told_by_one_input": f"{told.outcome.index[0]} tells the outcome (AUROC {told.outcome.iloc[0]:.2f})",
        "identifiers_among_inputs": f"{', '.join(told.identifiers)}: identifiers by name",
    }
    found = [f"{what} (must be {broken[metric]})" for metric, what in most.items() if metric in broken]
    yield check_result(
        "no_identifier_or_outcome",
        not found,
        observed="; ".join(found) or f"none; {_told_most(told.outcome)}",
        rule=FEATURE_CHECKS["no_identifier_or_outcome"],
        action="Remove the column from the model's inputs.",
        more={"told by each input": _told_table(told.outcome)},
    )


def _told_most(told: pd.Series) -> str:
    return f"{told.index[0]} tells the most (AUROC {told.iloc[0]:.3f})"


def _told_table(told: pd.Series) -> dg.MetadataValue:
    return table({"input": name, "AUROC alone": float(value)} for name, value in told.items())


def split_asset(model: ModelAssets) -> dg.AssetsDefinition:
    """Return the asset of the folds."""
    words, contract = model.words, model.contract

    @model.frame(
            model.names.split, inputs={"cohort": model.names.cohort},
        group="features", owners=[SCIENCE_TEAM], kinds={"pandas", "deltalake"},
            blocking=SPLIT_CHECKS,
            description=f"The fold of each {words.row} of the development part, decided by the keyed pseudonym of the "
            f"{words.entity} alone. A {words.entity} never changes fold when data are added. Fold 0 holds the test "
            f"{words.entities} of the shipped model.",
    )  # fmt: skip
    def split(cohort: pd.DataFrame, platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:
        workspace = model.workspace(platform)
        development = development_of(cohort)
        folds = entity_folds(development["entity_key"], folds=workspace.config.folds)
        made = development[[contract.row, "entity_key"]].assign(fold=folds)
        outcome = development[contract.outcome].groupby(made["fold"])
        per_fold = pd.DataFrame({words.rows: outcome.size(), words.events: outcome.sum(), "prevalence": outcome.mean()})
        torn = int((made.groupby("entity_key")["fold"].nunique() > 1).sum())
        spread = float((per_fold["prevalence"] - development[contract.outcome].mean()).abs().max())
        measured = {"entities_in_two_folds": float(torn), "prevalence_difference_of_folds": spread}
        made.attrs = cohort.attrs | {MEASURED: measured}
        broken = broken_limits(measured, workspace, cohort.attrs["limits"])
        limit = broken.get("prevalence_difference_of_folds")
        return dg.MaterializeResult(
            value=made,
            data_version=dg.DataVersion(frame_digest(made)),
            metadata={"folds": table(_shown_folds(per_fold))},
            check_results=[
                check_result("no_entity_in_two_folds", "entities_in_two_folds" not in broken,
                             observed=f"{in_words(torn)} {words.entities}",
                             rule=SPLIT_CHECKS["no_entity_in_two_folds"], action="Stop: an entity is in two folds."),
                check_result("prevalence_alike", limit is None,
                             observed=f"{spread:.4f} apart" + (f" (must be {limit})" if limit else ""),
                             rule=SPLIT_CHECKS["prevalence_alike"],
                             action="If the cohort is small, add rows; if it is large, the split is damaged."),
            ],
        )  # fmt: skip

    return split


def _shown_folds(per_fold: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the folds with rows, events and prevalence; of a fold in which few of either are, only its number."""
    rows, events, _ = per_fold.columns
    cells = {str(fold): {"n": int(n), "positives": int(positives), "negatives": int(n - positives)}
             for fold, n, positives in per_fold[[rows, events]].itertuples()}  # fmt: skip
    totals = {name: sum(cell[name] for cell in cells.values()) for name in ("n", "positives", "negatives")}
    hidden = hidden_rows(cells, totals=totals)
    return [
        {"fold": fold, **{str(name): None if str(fold) in hidden else value for name, value in row.items()}}
        for fold, row in per_fold.to_dict("index").items()
    ]
