"""The encoder: what goes in, what comes out, and what it does with the unexpected."""

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from readmission_platform.encounters.contract import VOCABULARIES
from readmission_platform.encounters.history import HISTORY_COLUMNS
from readmission_platform.models.readmission_30d.features import EncounterEncoder, categorical_mask
from readmission_platform.models.readmission_30d.inputs import (
    CODE_LISTS,
    COMMON_DRUGS,
    IDENTIFIERS,
    LEARNT,
    MODEL_INPUTS,
    NAMED_VALUES,
    ORDERED_VALUES,
    OUTCOMES,
    TARGET_STATISTICS,
    feature_names,
)
from readmission_platform_tests.support.small_study import SmallStudy


@pytest.fixture(scope="module")
def inputs(small_study: SmallStudy) -> pd.DataFrame:
    return small_study.inputs.head(2_000)


@pytest.fixture(scope="module")
def labels(small_study: SmallStudy) -> np.ndarray:
    return small_study.labels[:2_000]


@pytest.fixture(scope="module")
def encoder(inputs: pd.DataFrame, labels: np.ndarray) -> EncounterEncoder:
    return EncounterEncoder(target_smoothing=50.0).fit(inputs, labels)


def column(matrix: np.ndarray, name: str) -> np.ndarray:
    return matrix[:, feature_names().index(name)]


def test_no_identifier_and_no_outcome_is_among_the_inputs() -> None:
    assert not set(MODEL_INPUTS) & (IDENTIFIERS | OUTCOMES)
    assert {"encounter_id", "patient_nbr", "entity_key", "clock"} <= IDENTIFIERS
    assert {"readmitted", "readmitted_30d"} <= OUTCOMES
    assert not set(feature_names()) & (IDENTIFIERS | OUTCOMES)


def test_the_inputs_are_the_discharge_and_its_history() -> None:
    assert len(MODEL_INPUTS) == len(set(MODEL_INPUTS)) == 47 + len(HISTORY_COLUMNS)


def test_identifiers_and_outcomes_that_come_along_change_nothing(
    inputs: pd.DataFrame, encoder: EncounterEncoder
) -> None:
    more = inputs.assign(encounter_id=range(len(inputs)), entity_key="x", readmitted="<30", readmitted_30d=1)
    np.testing.assert_array_equal(encoder.transform(more), encoder.transform(inputs))


def test_the_matrix_has_one_named_number_per_feature(inputs: pd.DataFrame, encoder: EncounterEncoder) -> None:
    matrix = encoder.transform(inputs)
    assert matrix.dtype == np.float64
    assert matrix.shape == (len(inputs), len(feature_names()))
    assert len(set(feature_names())) == len(feature_names()) == len(categorical_mask())


def test_codes_of_categories_fit_into_the_bins_that_gradient_boosting_has(
    inputs: pd.DataFrame, encoder: EncounterEncoder
) -> None:
    codes = encoder.transform(inputs)[:, categorical_mask()]
    assert np.nanmin(codes) >= 0
    assert np.nanmax(codes) < 255


def test_an_encounter_is_encoded_the_same_alone_and_among_others(
    inputs: pd.DataFrame, encoder: EncounterEncoder
) -> None:
    together = encoder.transform(inputs.head(40))
    alone = np.vstack([encoder.transform(inputs.iloc[[row]]) for row in range(40)])
    np.testing.assert_array_equal(alone, together)


def test_unknown_categories_become_missing(inputs: pd.DataFrame, encoder: EncounterEncoder) -> None:
    unknown = ["payer_code", "medical_specialty", "race", "gender", "age", "insulin", "diag_1", "A1Cresult"]
    matrix = encoder.transform(inputs.head(3).assign(**dict.fromkeys(unknown, "never seen")))
    for name in [*(set(unknown) - {"diag_1", *LEARNT}), "diag_1_chapter"]:
        assert np.isnan(column(matrix, name)).all(), name


def test_an_unknown_payer_or_specialty_is_one_of_the_rare_ones(inputs: pd.DataFrame) -> None:
    few = inputs.assign(**{name: ["Rare"] * 5 + ["Common"] * (len(inputs) - 5) for name in LEARNT})
    encoder = EncounterEncoder(min_frequency=20).fit(few)
    matrix = encoder.transform(few.iloc[[0, -1]].assign(**{name: ["Rare", "never seen"] for name in LEARNT}))
    for name in LEARNT:
        rare, unknown = column(matrix, name)
        assert rare == unknown
        assert np.isfinite(rare)


@pytest.mark.parametrize("missing", [None, np.nan])
def test_missing_values_of_either_kind_become_missing_and_nothing_fails(
    inputs: pd.DataFrame, encoder: EncounterEncoder, missing: float | None
) -> None:
    numbers = inputs.select_dtypes("number").columns
    empty = pd.DataFrame({name: [missing] for name in MODEL_INPUTS}, dtype=object)
    matrix = encoder.transform(empty.astype(dict.fromkeys(numbers, "float64")))
    counted = ["drugs_given", "doses_changed"]
    assert [column(matrix, name)[0] for name in counted] == [0, 0]
    told = [*counted, *TARGET_STATISTICS]  # what is missing has a statistic of its own
    others = [position for position, name in enumerate(feature_names()) if name not in told]
    assert np.isnan(matrix[:, others]).all()


def test_whole_numbers_are_encoded_the_same_as_integers_and_as_floats(
    inputs: pd.DataFrame, encoder: EncounterEncoder
) -> None:
    integers = inputs.select_dtypes("integer").columns
    assert set(CODE_LISTS[:3]) <= set(integers)
    floats = inputs.astype(dict.fromkeys(integers, "float64"))
    np.testing.assert_array_equal(encoder.transform(floats), encoder.transform(inputs))


def test_payers_and_specialties_of_a_handful_of_encounters_share_a_code(inputs: pd.DataFrame) -> None:
    few = inputs.assign(medical_specialty=["Rare-A"] * 5 + ["Rare-B"] * 5 + ["Common"] * (len(inputs) - 10))
    codes = column(EncounterEncoder(min_frequency=20).fit(few).transform(few), "medical_specialty")
    assert len(set(codes[:10])) == 1
    assert codes[0] != codes[-1]


def test_counts_of_drugs_look_at_every_drug_of_the_source(inputs: pd.DataFrame, encoder: EncounterEncoder) -> None:
    one = inputs.head(1).copy()
    drugs = [name for name in one.columns if name in VOCABULARIES and VOCABULARIES[name][0] == "No"]
    drugs = [name for name in drugs if name not in ("change", "diabetesMed")]
    one[drugs] = "No"
    one[["insulin", "tolazamide", "acarbose"]] = [["Up", "Down", "Steady"]]
    matrix = encoder.transform(one)
    assert len(drugs) == 23
    assert column(matrix, "drugs_given")[0] == 3
    assert column(matrix, "doses_changed")[0] == 2


@pytest.mark.parametrize("name", ["age", "A1Cresult", "max_glu_serum", "change", "diabetesMed", *COMMON_DRUGS])
def test_the_encoder_knows_every_value_the_contract_allows(name: str) -> None:
    assert set(ORDERED_VALUES[name]) == set(VOCABULARIES[name])


def test_a_race_and_a_gender_the_contract_allows_is_known_or_deliberately_unknown() -> None:
    assert set(NAMED_VALUES["race"]) == set(VOCABULARIES["race"])
    assert set(VOCABULARIES["gender"]) - set(NAMED_VALUES["gender"]) == {"Unknown/Invalid"}


def test_an_encoder_that_was_not_fitted_says_so(inputs: pd.DataFrame) -> None:
    with pytest.raises(NotFittedError):
        EncounterEncoder().transform(inputs)


def test_a_target_statistic_is_the_share_of_readmissions_shrunk_towards_that_of_all(
    inputs: pd.DataFrame, labels: np.ndarray, encoder: EncounterEncoder
) -> None:
    payers = inputs["payer_code"].fillna("missing")
    value = payers.value_counts().index[1]
    same = (payers == value).to_numpy()
    expected = (labels[same].sum() + 50 * labels.mean()) / (same.sum() + 50)
    np.testing.assert_allclose(column(encoder.transform(inputs), "payer_code_rate")[same], expected)


def test_no_label_enters_the_target_statistics_of_its_own_patient(inputs: pd.DataFrame) -> None:
    """Here every patient has two encounters, with the same diagnosis and the same outcome."""
    patients = np.arange(len(inputs)) // 2
    dealt_out = (np.random.default_rng(3).random(patients[-1] + 1) < 0.5).astype(int)[patients]
    codes = (patients % 40 + 100).astype(str)  # a dozen patients of each: their mean is chance
    frame = inputs.assign(diag_1=codes)
    encoder = EncounterEncoder(target_smoothing=1.0)
    crossed = column(encoder.fit_transform(frame, dealt_out, entities=patients.astype(str)), "diag_1_rate")
    assert np.corrcoef(column(encoder.transform(frame), "diag_1_rate"), dealt_out)[0, 1] > 0.15
    assert np.corrcoef(crossed, dealt_out)[0, 1] < 0.05


def test_target_statistics_need_to_know_whose_encounters_they_are_learnt_from(inputs: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="whose encounters"):
        EncounterEncoder(target_smoothing=1.0).fit_transform(inputs, np.arange(len(inputs)) % 2)


def test_a_diagnosis_has_a_statistic_of_its_code_and_one_of_its_category(inputs: pd.DataFrame) -> None:
    frame = inputs.assign(diag_1=["250.1", "250.2"] * (len(inputs) // 2))
    outcome = np.array([0, 1] * (len(inputs) // 2))
    matrix = EncounterEncoder(target_smoothing=1.0).fit(frame, outcome).transform(frame)
    of_code, of_category = column(matrix, "diag_1_rate"), column(matrix, "diag_1_category_rate")
    assert of_code[0] < 0.01 < 0.99 < of_code[1]
    np.testing.assert_allclose(of_category, 0.5)


def test_values_of_a_handful_of_encounters_and_new_ones_share_a_statistic(
    inputs: pd.DataFrame, labels: np.ndarray
) -> None:
    frame = inputs.assign(medical_specialty=["A"] * 5 + ["B"] * 5 + ["Common"] * (len(inputs) - 10))
    encoder = EncounterEncoder(target_smoothing=50.0).fit(frame, labels)
    asked = inputs.head(3).assign(medical_specialty=["A", "B", "never seen"])
    assert len(set(column(encoder.transform(asked), "medical_specialty_rate"))) == 1
    assert not {"A", "B"} & set(
        encoder.statistics_.categories_[list(TARGET_STATISTICS).index("medical_specialty_rate")]
    )


def test_a_stored_encoder_holds_no_payer_or_specialty_of_a_few_patients(small_study: SmallStudy) -> None:
    frame = small_study.inputs.copy()
    frame.loc[frame.index[:10], "medical_specialty"] = "Neurophysiology"
    fitted = EncounterEncoder(min_frequency=20, target_smoothing=10.0).fit(frame, small_study.labels)
    assert "Neurophysiology" not in repr(vars(fitted))
    others = frame.head(2).assign(medical_specialty=["Neurophysiology", "never seen before"])
    assert len(set(column(fitted.transform(others), "medical_specialty"))) == 1
