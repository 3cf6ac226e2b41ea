"""What a fitted model relies on and how its risks move, seen from the outside."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readmission_platform.models.boosting.effect_values import NOT_RECORDED
from readmission_platform.models.boosting.effects import (
    entities_sample,
    risks_with,
    shared_among_features,
    shuffled_scores,
)
from readmission_platform.models.boosting.recalibrated import score
from readmission_platform.models.readmission_30d.concepts import CONCEPTS
from readmission_platform.models.readmission_30d.effect_values import WORDS, effect_values
from readmission_platform.models.readmission_30d.inputs import MODEL_INPUTS
from readmission_platform_tests.support.small_study import SmallStudy


@given(encounters=st.integers(1, 60), seed=st.integers(0, 99))
@settings(max_examples=40)
def test_a_sample_holds_whole_patients_and_not_more_than_asked(encounters: int, seed: int) -> None:
    patients = np.repeat(np.arange(20), 3)
    chosen = entities_sample(patients, encounters, seed=seed)
    assert len(chosen) <= encounters or len(chosen) == len(patients)
    assert all(count == 3 for count in np.unique(patients[chosen], return_counts=True)[1])
    assert (np.diff(chosen) > 0).all()


def test_every_concept_of_the_model_is_shuffled_once(small_study: SmallStudy) -> None:
    frame = small_study.inputs.head(200)
    reference, shuffled = shuffled_scores(small_study.fitted.model, frame, CONCEPTS, seed=1)
    assert set(shuffled) <= {concept.name for concept in CONCEPTS}
    assert {"discharge", "inpatient stays and emergency visits", "primary diagnosis"} <= set(shuffled)
    raw = small_study.fitted.model.classifier.predict_proba(frame)[:, 1]
    assert np.allclose(reference, raw)
    assert not np.allclose(shuffled["inpatient stays and emergency visits"], reference)


def test_a_concept_that_is_the_same_for_everybody_changes_nothing_when_shuffled(small_study: SmallStudy) -> None:
    frame = small_study.inputs.head(100).assign(gender="Female")
    reference, shuffled = shuffled_scores(small_study.fitted.model, frame, CONCEPTS, seed=1)
    assert (shuffled["gender"] == reference).all()


def test_what_a_concept_loses_is_divided_among_its_features_without_rest() -> None:
    losses = {"inpatient stays and emergency visits": 0.06, "age": 0.01}
    weights = {"number_inpatient": 2.0, "number_emergency": 0.0, "acute_visits": 1.0, "age": 0.0}
    shared = shared_among_features(losses, weights, CONCEPTS)
    assert shared == pytest.approx(
        {"number_inpatient": 0.04, "number_emergency": 0.0, "acute_visits": 0.02, "age": 0.01}
    )


def test_setting_an_input_to_what_it_is_gives_the_risk_there_is(small_study: SmallStudy) -> None:
    frame = small_study.inputs[small_study.inputs["number_inpatient"] == 0].head(50)
    risks = risks_with(small_study.fitted.model, frame, "number_inpatient", [0, 6])
    assert risks.shape == (2, 50)
    assert risks[0] == pytest.approx(score(small_study.fitted.model, frame))
    assert risks[1].mean() > risks[0].mean()
    assert risks_with(small_study.fitted.model, frame, "number_inpatient", []).shape == (0, 50)


@pytest.mark.parametrize("column", MODEL_INPUTS)
def test_every_input_has_values_that_can_be_set_and_no_encounter_counts_twice(
    small_study: SmallStudy, column: str
) -> None:
    values = small_study.inputs[column]
    found = effect_values(values)
    assert sum(value.rows for value in found) <= len(values)
    assert len({value.label for value in found}) == len(found)
    for value in found:
        assert value.rows >= 0.01 * len(values)
        assert (value.number is not None) == (WORDS.kind_of(column) == "number" and value.label != NOT_RECORDED)
    if found:
        given_values = [value.given for value in found]
        risks = risks_with(small_study.fitted.model, small_study.inputs.head(5), column, given_values)
        assert np.isfinite(risks).all()


def test_rare_high_counts_are_put_together_and_said_so() -> None:
    stays = pd.Series([0] * 900 + [1] * 90 + [2] * 5 + [9] * 5, name="number_inpatient")
    assert [(value.label, value.number, value.rows) for value in effect_values(stays)] == [
        ("0", 0.0, 900), ("1", 1.0, 90), ("2 or more", 9.0, 10),
    ]  # fmt: skip


def test_codes_are_said_in_words() -> None:
    codes = pd.Series([1] * 50 + [22] * 30 + [18] * 20, name="discharge_disposition_id")
    said = [value.label for value in effect_values(codes)]
    assert said == ["discharged home", "discharged to rehabilitation", "not recorded (code 18)"]
