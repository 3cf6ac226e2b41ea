"""Features: what the model sees of each development encounter, and which patients it may learn from.

What belongs here: ``encounter_features`` and ``patient_split`` with their checks. What does not: how features are
computed (``models.readmission_30d.features``, ``encounters.history``) and what gives a leak away
(``evaluation.leakage``).
"""

from collections.abc import Iterator

import dagster as dg
import pandas as pd

from readmission_platform.assets.presentation import (
    SCIENCE_TEAM,
    blocking_specs,
    check_result,
    column_schema,
    table,
)
from readmission_platform.config.model import SingleInputLimits
from readmission_platform.evaluation import leakage
from readmission_platform.evaluation.estimates.folds import entity_folds
from readmission_platform.foundation.frames import frame_digest
from readmission_platform.models.readmission_30d import CONTRACT
from readmission_platform.models.readmission_30d.inputs import OUTCOMES
from readmission_platform.resources.project import ProjectResource

FEATURE_CHECKS = {
    "history_looks_backwards": "Every input of the model stays the same when all that happened later is deleted.",
    "no_encounter_total": "No input tells, at a patient's first encounter, whether more will follow.",
    "no_identifier_or_outcome": "No input of the model identifies an encounter, dates it, or repeats its outcome.",
}
SPLIT_CHECKS = {
    "no_patient_in_two_folds": "All encounters of a patient are in one fold.",
    "prevalence_alike": "Each fold's share of readmissions is close to that of all.",
}


@dg.asset(
    group_name="features",
    owners=[SCIENCE_TEAM],
    kinds={"pandas", "deltalake"},
    code_version="2",
    dagster_type=dg.Any,
    check_specs=blocking_specs("encounter_features", FEATURE_CHECKS),
)
def encounter_features(eligible_encounters: pd.DataFrame, project: ProjectResource) -> dg.MaterializeResult:
    """Inputs of the model for each development encounter: the discharge itself and the patient's history.

    History looks only backwards on the proxy clock. Counting a patient's encounters in total would leak the
    outcome. The replay stream is not here.
    """
    from readmission_platform.models.readmission_30d.features import feature_names

    development = eligible_encounters[eligible_encounters["part"] == "development"].reset_index(drop=True)
    inputs = CONTRACT.data.inputs_of(development, development)
    features = pd.concat([development[["encounter_id", "entity_key", "clock", "readmitted_30d"]], inputs], axis=1)
    features.attrs = eligible_encounters.attrs
    return dg.MaterializeResult(
        value=features,
        data_version=dg.DataVersion(frame_digest(features)),
        metadata={
            "inputs": inputs.shape[1],
            "encoded features": ", ".join(feature_names()),
            "encounters with a past": float((inputs["prior_encounters"] > 0).mean()),
            "dagster/column_schema": column_schema(features),
        },
        check_results=[
            *_looks_backwards(development),
            *_tells_no_more_than_it_may(development, inputs, project.model.single_input_at_most),
        ],
    )


def _looks_backwards(development: pd.DataFrame) -> Iterator[dg.AssetCheckResult]:
    data = CONTRACT.data
    changed = leakage.changed_without_future(development, lambda known: data.inputs_of(known, known), data.forget)
    yield check_result(
        "history_looks_backwards",
        not changed,
        observed=", ".join(f"{name}: {count} encounters" for name, count in changed.items()) or "nothing changes",
        rule=FEATURE_CHECKS["history_looks_backwards"],
        action="Stop: an input named here reads the future and leaks the outcome.",
        more={"encounters kept, as shares of the clock": ", ".join(f"{share:.2f}" for share in leakage.CUTS)},
    )


def _tells_no_more_than_it_may(
    development: pd.DataFrame, inputs: pd.DataFrame, at_most: SingleInputLimits
) -> Iterator[dg.AssetCheckResult]:
    """Look at the values of the inputs, wherever they come from: a source may deliver a leak ready-made."""
    patients = development["entity_key"]
    future = leakage.future_told(inputs, patients)
    yield check_result(
        "no_encounter_total",
        bool(future.max() <= at_most.future_auroc),
        observed=_told_most(future),
        rule=FEATURE_CHECKS["no_encounter_total"],
        action="Stop: find out how this input came to know of later encounters, and take it out of MODEL_INPUTS.",
        more={"limit (AUROC)": at_most.future_auroc, "told by each input": _told_table(future)},
    )
    outcome = leakage.outcome_told(inputs, development["readmitted_30d"].to_numpy(), patients)
    found = dict.fromkeys(sorted(set(inputs.columns) & (CONTRACT.identifiers | OUTCOMES)), "is one by name")
    found |= leakage.identifying(
        inputs, development["clock"], distinct_share=at_most.distinct_share, clock_share=at_most.clock_share
    )
    told = outcome[outcome > at_most.outcome_auroc]
    found |= {str(name): f"tells the outcome (AUROC {value:.2f})" for name, value in told.items()}
    yield check_result(
        "no_identifier_or_outcome",
        not found,
        observed=", ".join(f"{name}: {why}" for name, why in found.items()) or f"none; {_told_most(outcome)}",
        rule=FEATURE_CHECKS["no_identifier_or_outcome"],
        action="Take the column out of MODEL_INPUTS in science.features.",
        more={"limit (AUROC)": at_most.outcome_auroc, "told by each input": _told_table(outcome)},
    )


def _told_most(told: pd.Series) -> str:
    return f"{told.index[0]} tells most (AUROC {told.iloc[0]:.3f})"


def _told_table(told: pd.Series) -> dg.MetadataValue:
    return table({"input": name, "AUROC alone": float(value)} for name, value in told.items())


@dg.asset(
    group_name="features",
    owners=[SCIENCE_TEAM],
    kinds={"pandas", "deltalake"},
    code_version="1",
    dagster_type=dg.Any,
    check_specs=blocking_specs("patient_split", SPLIT_CHECKS),
)
def patient_split(eligible_encounters: pd.DataFrame, project: ProjectResource) -> dg.MaterializeResult:
    """The fold of each development encounter, decided by its patient's keyed pseudonym alone.

    A patient never changes fold when data are added. Fold 0 holds the test patients of the shipped model.
    """
    development = eligible_encounters[eligible_encounters["part"] == "development"].reset_index(drop=True)
    split = development[["encounter_id", "entity_key"]].assign(
        fold=entity_folds(development["entity_key"], folds=project.model.folds)
    )
    outcome = development["readmitted_30d"].groupby(split["fold"])
    per_fold = pd.DataFrame({"encounters": outcome.size(), "readmitted": outcome.sum(), "prevalence": outcome.mean()})
    torn = int((split.groupby("entity_key")["fold"].nunique() > 1).sum())
    spread = float((per_fold["prevalence"] - development["readmitted_30d"].mean()).abs().max())
    limit = project.model.max_fold_prevalence_difference
    return dg.MaterializeResult(
        value=split,
        data_version=dg.DataVersion(frame_digest(split)),
        metadata={"folds": table(per_fold.reset_index().to_dict("records"))},
        check_results=[
            check_result("no_patient_in_two_folds", torn == 0, observed=f"{torn} patients",
                         rule=SPLIT_CHECKS["no_patient_in_two_folds"], action="Stop: the folds are not by patient."),
            check_result("prevalence_alike", spread <= limit, observed=f"{spread:.4f} apart (at most {limit})",
                         rule=SPLIT_CHECKS["prevalence_alike"],
                         action="A small cohort needs more encounters; a large one has a damaged split."),
        ],
    )  # fmt: skip
