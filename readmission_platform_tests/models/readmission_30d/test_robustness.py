"""Other rules for who is in the study."""

import numpy as np

from readmission_platform.encounters.cohort import CANNOT_BE_READMITTED
from readmission_platform.models.readmission_30d.robustness import (
    first_encounters,
    narrower_cohorts,
    study_of_first_encounters,
    study_with_everybody,
)
from readmission_platform_tests.support.small_study import KEY, SmallStudy


def training_table(study: SmallStudy):
    return study.inputs.assign(
        encounter_id=study.development["encounter_id"], entity_key=study.development["entity_key"]
    )


def test_every_narrower_rule_keeps_some_encounters_and_leaves_some_out(small_study: SmallStudy) -> None:
    rules = narrower_cohorts(training_table(small_study))
    assert len(rules) >= 4
    for rule, kept in rules.items():
        assert 0 < kept.sum() < len(kept), rule


def test_the_first_encounter_of_each_patient_is_the_one_without_a_past(small_study: SmallStudy) -> None:
    table = training_table(small_study)
    first = first_encounters(table)
    assert first.sum() == table["entity_key"].nunique()
    assert (first == (table["prior_encounters"] == 0).to_numpy()).all()


def test_a_study_of_first_encounters_can_be_fitted(small_study: SmallStudy) -> None:
    study = study_of_first_encounters(training_table(small_study), small_study.labels, small_study.folds)
    assert study.frame["entity_key"].is_unique
    assert len(study.frame) == len(study.labels) == len(study.folds) == study.shipped.sum()
    numbers = study.frame.select_dtypes("float")
    assert not numbers.isna().all().any()


def test_the_study_with_everybody_adds_deaths_and_hospice_and_opens_no_replay(small_study: SmallStudy) -> None:
    study = study_with_everybody(small_study.raw, key=KEY, replay_share=0.1, folds=5)
    added = study.frame[~study.shipped]
    assert set(added["discharge_disposition_id"]) <= CANNOT_BE_READMITTED
    assert len(added) > 0
    assert set(study.frame.loc[study.shipped, "encounter_id"]) == set(small_study.development["encounter_id"])
    assert not set(study.frame["encounter_id"]) & set(small_study.replayed["encounter_id"])
    same_patients = study.frame.loc[study.shipped].set_index("encounter_id")["entity_key"]
    assert (same_patients == small_study.development.set_index("encounter_id")["entity_key"]).all()
    ours = dict(zip(small_study.development["encounter_id"], small_study.folds, strict=True))
    assert [ours[e] for e in study.frame.loc[study.shipped, "encounter_id"]] == study.folds[study.shipped].tolist()
    assert np.isin(study.labels, [0, 1]).all()
