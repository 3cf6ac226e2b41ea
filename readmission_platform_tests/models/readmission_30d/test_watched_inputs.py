"""Which inputs are watched, and in what form."""

import numpy as np
import pandas as pd
import pytest

from readmission_platform.models.readmission_30d.inputs import MODEL_INPUTS, feature_names
from readmission_platform.models.readmission_30d.watched_inputs import (
    WATCHABLE,
    column_importance,
    comparable,
    watched_columns,
)
from readmission_platform_tests.support.small_study import make_small_study


def test_every_feature_of_the_encoder_leads_to_columns_that_a_discharge_brings():
    columns = column_importance(dict.fromkeys(feature_names(), 1.0))
    assert set(columns) <= set(MODEL_INPUTS)
    assert sum(columns.values()) == pytest.approx(len(feature_names()))


def test_a_chapter_counts_for_its_diagnosis_and_a_sum_for_its_parts():
    found = column_importance({"diag_1_chapter": 0.3, "acute_visits": 0.2, "number_inpatient": 0.05})
    assert found == pytest.approx({"diag_1": 0.3, "number_inpatient": 0.15, "number_emergency": 0.1})
    assert list(found) == ["diag_1", "number_inpatient", "number_emergency"]


def test_what_shuffling_seems_to_improve_counts_as_nothing():
    assert column_importance({"race": -0.4, "gender": 0.1}) == {"gender": 0.1, "race": 0.0}


def test_the_most_important_columns_are_watched():
    losses = {"gender": 0.01, "age": 0.05, "payer_code": 0.03}
    assert watched_columns(losses, 2) == ["age", "payer_code"]


@pytest.mark.parametrize(
    "recorded", [None, {}, {"age": None}, {"age": float("nan")}, {"age": True}, [("age", 1.0)], "x"]
)
def test_a_version_that_did_not_record_what_matters_is_watched_in_every_column(recorded: object):
    assert watched_columns(recorded, 3) == WATCHABLE


def test_an_unknown_feature_of_another_time_is_left_out():
    assert watched_columns({"shoe_size": 0.9, "age": 0.1}, 5) == ["age"]


def test_values_become_ordered_numbers_and_names():
    frame = pd.DataFrame({
        "age": ["[0-10)", "[90-100)", None],
        "number_inpatient": [0, 3, 7],
        "diag_1": ["250.83", "V57", None],
        "discharge_disposition_id": [1, 18, 3],
        "previous_disposition": [np.nan, 6.0, 1.0],
        "payer_code": ["MC", None, "HM"],
        "insulin": ["No", "Up", "Steady"],
    })  # fmt: skip
    found = comparable(frame, list(frame.columns))
    assert found["age"].tolist()[:2] == [5.0, 95.0]
    assert found["age"].isna().tolist() == [False, False, True]
    assert found["number_inpatient"].dtype == "float64"
    assert found["diag_1"].tolist() == ["diabetes", "supplementary", None]
    assert found["discharge_disposition_id"].tolist() == ["code 1", "code 18", "code 3"]
    assert found["previous_disposition"].tolist() == [None, "code 6", "code 1"]
    assert found["payer_code"].tolist() == ["MC", None, "HM"]


def test_every_watchable_column_of_real_inputs_can_be_compared():
    inputs = make_small_study(encounters=3000, seed=5).inputs
    found = comparable(inputs, WATCHABLE)
    assert list(found.columns) == WATCHABLE
    assert len(found) == len(inputs)
    for column in WATCHABLE:
        texts = found[column].dropna()
        assert found[column].dtype == "float64" or all(isinstance(value, str) for value in texts), column
