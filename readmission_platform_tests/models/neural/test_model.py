"""What a network makes of its inputs: missing and unknown values, numbers out of range, rows that it cannot judge."""

import numpy as np
import pandas as pd
import pytest

from readmission_platform.evaluation.estimates.recalibration import corrected
from readmission_platform.models.neural.encoding import Scale
from readmission_platform.models.neural.estimator import NOTHING_KNOWN
from readmission_platform.models.neural.model import raw_risk
from readmission_platform_tests.support.networks import COLUMNS, ESTIMATOR, drawn_network, table

MODEL = drawn_network()
INPUTS = table(50)[0]


def changed(**values: object) -> pd.DataFrame:
    return INPUTS.head(1).assign(**values)


def risk(**values: object) -> float:
    return float(ESTIMATOR.score(MODEL, changed(**values))[0])


def why(**values: object) -> str | None:
    return ESTIMATOR.unsound(MODEL, changed(**values), np.array([0.5]))[0]


def test_risks_are_those_of_the_formula() -> None:
    row = pd.DataFrame({"age": [55.0], "dose": [np.nan], "ward": ["south"], "smoker": ["no"]})
    weights = {name: weight.astype("float64") for name, weight in MODEL.weights.items()}
    seen = np.concatenate(
        [[(55 - MODEL.scale.mean[0]) / MODEL.scale.deviation[0], 0, 0, 1], weights["text.0"][2], weights["text.1"][1]]
    )
    for layer in range(3):
        seen = weights[f"layer.{layer}.weight"] @ seen + weights[f"layer.{layer}.bias"]
        seen = seen if layer == 2 else np.maximum(seen, 0)
    assert raw_risk(MODEL, row)[0] == pytest.approx(1 / (1 + np.exp(-seen[0])), abs=1e-12)


def test_a_risk_does_not_depend_on_the_rows_beside_it() -> None:
    many = table(3_000)[0]
    together = ESTIMATOR.score(MODEL, many)
    for place in (0, 511, 512, 2_999):
        assert ESTIMATOR.score(MODEL, many.iloc[[place]])[0] == together[place]
    assert ESTIMATOR.score(MODEL, many.head(0)).shape == (0,)


def test_a_text_that_is_not_in_the_list_counts_as_missing_whatever_its_type() -> None:
    assert risk(ward="west") == risk(ward=None) == risk(ward=np.nan) != risk(ward="south")
    as_categories = INPUTS.assign(ward=INPUTS["ward"].astype("category"))
    np.testing.assert_array_equal(ESTIMATOR.score(MODEL, as_categories), ESTIMATOR.score(MODEL, INPUTS))
    assert why(ward="west") is None


def test_whole_numbers_and_missing_ones_of_any_type_are_read() -> None:
    assert risk(age=50) == risk(age=50.0) == risk(age=pd.array([50], dtype="Int64"))
    assert risk(age=pd.array([pd.NA], dtype="Int64")) == risk(age=np.nan)


def test_a_number_beyond_those_of_training_counts_as_the_nearest_of_them() -> None:
    high, low = MODEL.scale.high[0], MODEL.scale.low[0]
    assert risk(age=high + 3) == risk(age=high) != risk(age=high - 3)
    assert risk(age=low - 3) == risk(age=low)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"age": 1e6}, "the age is far beyond any in the training data"),
        ({"age": -1e6}, "the age is far below any in the training data"),
        ({"age": np.inf}, "the age is far beyond any in the training data"),
        ({"age": np.nan, "dose": np.nan, "ward": "west", "smoker": None}, NOTHING_KNOWN),
        ({"age": np.nan}, None),
        ({}, None),
    ],
)
def test_rows_that_the_network_cannot_judge_are_withheld(values: dict[str, object], reason: str | None) -> None:
    assert why(**values) == reason


def test_a_risk_that_is_no_number_is_withheld() -> None:
    assert ESTIMATOR.unsound(MODEL, changed(), np.array([np.nan])) == ["the model gives no risk"]


def test_a_column_without_any_value_in_training_says_nothing_later() -> None:
    scale = Scale.of(np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, np.nan]]))
    np.testing.assert_array_equal(
        scale.standardised(np.array([[2.0, 7.0], [9.0, np.nan]])), [[0, 0, 0, 0], [1, 0, 0, 1]]
    )


def test_a_recalibrated_network_corrects_the_log_odds_and_leaves_the_first_as_it_is() -> None:
    before = ESTIMATOR.score(MODEL, INPUTS)
    after = ESTIMATOR.score(ESTIMATOR.recalibrated(MODEL, 0.8, 0.3), INPUTS)
    np.testing.assert_allclose(after, corrected(before, 0.8, 0.3), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(ESTIMATOR.score(MODEL, INPUTS), before)


def test_features_are_the_inputs() -> None:
    assert ESTIMATOR.feature_names(MODEL) == list(COLUMNS.names)
