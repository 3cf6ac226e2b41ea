"""Features: what the model sees of each development encounter, and which patients it may learn from.

What belongs here: ``encounter_features`` and ``patient_split`` with their checks.
What does not: how features are computed (``science.features``, ``science.history``).
"""

import dagster as dg
import pandas as pd

from readmission_platform.assets.presentation import (
    SCIENCE_TEAM,
    blocking_specs,
    check_result,
    column_schema,
    table,
)
from readmission_platform.resources.lake import frame_digest
from readmission_platform.resources.project import ProjectResource
from readmission_platform.science.cohort import patient_folds
from readmission_platform.science.history import HISTORY_COLUMNS, history_as_of

# The future of every so-many-th patient is deleted to see whether the past stays the same.
HISTORY_SAMPLE = 25

FEATURE_CHECKS = {
    "history_looks_backwards": "History stays the same when every later encounter of the patient is deleted.",
    "no_identifier_or_outcome": "No identifier and no outcome is among the model's inputs.",
}
SPLIT_CHECKS = {
    "no_patient_in_two_folds": "All encounters of a patient are in one fold.",
    "prevalence_alike": "Each fold's share of readmissions is close to that of all.",
}


@dg.asset(
    group_name="features",
    owners=[SCIENCE_TEAM],
    kinds={"pandas", "deltalake"},
    code_version="1",
    dagster_type=dg.Any,
    check_specs=blocking_specs("encounter_features", FEATURE_CHECKS),
)
def encounter_features(eligible_encounters: pd.DataFrame) -> dg.MaterializeResult:
    """Inputs of the model for each development encounter: the discharge itself and the patient's history.

    History looks only backwards on the proxy clock. Counting a patient's encounters in total would leak the
    outcome. The replay stream is not here.
    """
    from readmission_platform.science.features import IDENTIFIERS, MODEL_INPUTS, OUTCOMES, feature_names

    development = eligible_encounters[eligible_encounters["part"] == "development"].reset_index(drop=True)
    history = history_as_of(development, development)
    features = pd.concat([development[["encounter_id", "patient_key", "clock", "readmitted_30d"]],
                          development.join(history)[MODEL_INPUTS]], axis=1)  # fmt: skip
    features.attrs = eligible_encounters.attrs
    forbidden = sorted(set(MODEL_INPUTS) & (IDENTIFIERS | OUTCOMES))
    changed = _changed_without_future(development, history)
    return dg.MaterializeResult(
        value=features,
        data_version=dg.DataVersion(frame_digest(features)),
        metadata={
            "inputs": len(MODEL_INPUTS),
            "encoded features": ", ".join(feature_names()),
            "encounters with a past": float((history["prior_encounters"] > 0).mean()),
            "dagster/column_schema": column_schema(features),
        },
        check_results=[
            check_result("history_looks_backwards", changed == 0, observed=f"{changed} encounters changed",
                         rule=FEATURE_CHECKS["history_looks_backwards"],
                         action="Stop: a history feature reads the future and leaks the outcome."),
            check_result("no_identifier_or_outcome", not forbidden, observed=", ".join(forbidden) or "none",
                         rule=FEATURE_CHECKS["no_identifier_or_outcome"],
                         action="Take the column out of MODEL_INPUTS in science.features."),
        ],
    )  # fmt: skip


def _changed_without_future(development: pd.DataFrame, history: pd.DataFrame) -> int:
    """Count sampled encounters whose history differs once everything after them is deleted."""
    several = development["patient_key"].duplicated(keep=False)
    patients = sorted(development.loc[several, "patient_key"].unique())[::HISTORY_SAMPLE]
    theirs = development[development["patient_key"].isin(patients)]
    # The middle encounter of each patient has both a past and a future.
    middle = theirs.groupby("patient_key", group_keys=False).nth(1)
    cut = theirs.merge(middle[["patient_key", "encounter_id"]], on="patient_key", suffixes=("", "_asked"))
    past = cut[cut["encounter_id"] <= cut["encounter_id_asked"]]
    again = history_as_of(pd.DataFrame(middle), past)
    before = history.loc[middle.index, HISTORY_COLUMNS]
    same = (again[HISTORY_COLUMNS] == before) | (again[HISTORY_COLUMNS].isna() & before.isna())
    return int((~same.all(axis=1)).sum())


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
    split = development[["encounter_id", "patient_key"]].assign(
        fold=patient_folds(development["patient_key"], folds=project.model.folds)
    )
    outcome = development["readmitted_30d"].groupby(split["fold"])
    per_fold = pd.DataFrame({"encounters": outcome.size(), "readmitted": outcome.sum(), "prevalence": outcome.mean()})
    torn = int((split.groupby("patient_key")["fold"].nunique() > 1).sum())
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
