"""The leakage firewall: it lets the shipped inputs and pipeline through, and finds every leak that is planted."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from readmission_platform.config.environment import settings as project_settings
from readmission_platform.config.files import gate_policy
from readmission_platform.encounters.cohort import DISCHARGE_COLUMNS
from readmission_platform.evaluation.leakage import (
    changed_without_future,
    clock_told,
    distinct_shares,
    future_told,
    outcome_told,
    permuted_labels_auroc,
)
from readmission_platform.models.readmission_30d import CONTRACT
from readmission_platform_tests.support.small_study import OVERCONFIDENT, SmallStudy, make_small_study

AT_MOST = {rule.metric: rule.limits["real"].at_most
           for rule in gate_policy(project_settings(), "readmission_30d").gates.values()}  # fmt: skip
RECIPE = {"boosting": {**OVERCONFIDENT, "max_iter": 20}, "target_smoothing": 50.0}
OutOfFold = Callable[[pd.DataFrame, np.ndarray, np.ndarray], np.ndarray]


@pytest.fixture(scope="module")
def small_study() -> SmallStudy:
    return make_small_study(encounters=6_000, seed=11)


def recipe(seed: int) -> OutOfFold:
    """What makes the evidence of the shipped model."""
    estimator = CONTRACT.estimator
    return lambda inputs, labels, folds, entities: (
        estimator.cross_validate(inputs, labels, folds, RECIPE, entities=entities, seed=seed).scores
    )


def trained_on(study: SmallStudy) -> tuple[pd.DataFrame, np.ndarray, np.ndarray, np.ndarray]:
    return study.inputs, study.labels, study.folds, study.entities


def backwards(encounters: pd.DataFrame) -> pd.DataFrame:
    return CONTRACT.data.inputs_of(encounters, encounters)


def changed(encounters: pd.DataFrame, inputs_of: Callable[[pd.DataFrame], pd.DataFrame]) -> dict[str, int]:
    return changed_without_future(encounters, inputs_of, CONTRACT.data.forget)


def total(encounters: pd.DataFrame) -> pd.Series:
    return encounters.groupby("entity_key")["encounter_id"].transform("size")


def own_outcome(encounters: pd.DataFrame) -> pd.Series:
    return (encounters["readmitted"] == "<30").astype("float64")


def next_stay(encounters: pd.DataFrame) -> pd.Series:
    return encounters.groupby("entity_key")["time_in_hospital"].shift(-1)


def risk_of_diagnosis(encounters: pd.DataFrame) -> pd.Series:
    return encounters["readmitted_30d"].groupby(encounters["diag_1"].fillna("")).transform("mean")


def measured_against_all(encounters: pd.DataFrame) -> pd.Series:
    return encounters["num_medications"] / encounters["num_medications"].mean()


LEAKS = [total, own_outcome, next_stay, risk_of_diagnosis, measured_against_all]


def test_every_shipped_input_looks_backwards(small_study: SmallStudy) -> None:
    assert changed(small_study.development, backwards) == {}


@pytest.mark.parametrize("leak", LEAKS, ids=lambda leak: leak.__name__)
def test_an_input_that_is_computed_from_the_future_changes_when_the_future_is_deleted(
    small_study: SmallStudy, leak: Callable[[pd.DataFrame], pd.Series]
) -> None:
    found = changed(small_study.development, lambda known: backwards(known).assign(number_diagnoses=leak(known)))
    assert set(found) == {"number_diagnoses"}
    assert found["number_diagnoses"] > 20


ROW = st.fixed_dictionaries({
    "entity_key": st.sampled_from(["a", "b", "c", "d"]),
    "time_in_hospital": st.integers(1, 14),
    "number_inpatient": st.integers(0, 6),
    "discharge_disposition_id": st.integers(1, 30),
    "readmitted": st.sampled_from(["<30", ">30", "NO"]),
})  # fmt: skip


@settings(max_examples=12)
@given(rows=st.lists(ROW, min_size=4, max_size=20))
def test_whatever_the_encounters_nothing_changes_when_the_future_is_deleted(rows: list[Mapping[str, object]]) -> None:
    frame = pd.DataFrame(rows)
    frame = frame.assign(encounter_id=range(len(rows)), readmitted_30d=(frame["readmitted"] == "<30").astype("int8"))
    others = dict.fromkeys([name for name in DISCHARGE_COLUMNS if name not in frame], None)
    assert changed(frame.assign(**others), backwards) == {}


def test_no_shipped_input_identifies_or_dates_an_encounter(small_study: SmallStudy) -> None:
    assert identified(small_study.inputs, small_study) == set()


def identified(inputs: pd.DataFrame, study: SmallStudy) -> set[str]:
    """Return the inputs beyond the limits on different values and on the clock."""
    distinct, clock = distinct_shares(inputs), clock_told(inputs, study.development["clock"])
    return {*distinct.index[distinct > AT_MOST["distinct_share_of_one_input"]],
            *clock.index[clock > AT_MOST["clock_told_by_one_input"]]}  # fmt: skip


def renumbered(encounters: pd.DataFrame) -> pd.Series:
    return encounters["encounter_id"].rank() * 3 + 7


def backwards_year(encounters: pd.DataFrame) -> pd.Series:
    return (10 - (encounters["clock"] * 10).astype(int)).astype("float64")


def name_of_the_month(encounters: pd.DataFrame) -> pd.Series:
    return pd.util.hash_pandas_object((encounters["clock"] * 100).astype(int), index=False).map(hex)


def one_of_its_own(encounters: pd.DataFrame) -> pd.Series:
    return pd.util.hash_pandas_object(encounters["encounter_id"], index=False).map(hex)


def the_patient(encounters: pd.DataFrame) -> pd.Series:
    return encounters["entity_key"]


@pytest.mark.parametrize(
    "leak", [renumbered, backwards_year, name_of_the_month, one_of_its_own, the_patient], ids=lambda leak: leak.__name__
)
def test_an_identifier_or_a_date_is_recognised_in_every_disguise(
    small_study: SmallStudy, leak: Callable[[pd.DataFrame], pd.Series]
) -> None:
    planted = small_study.inputs.assign(number_diagnoses=leak(small_study.development))
    assert identified(planted, small_study) == {"number_diagnoses"}


def test_no_shipped_input_tells_the_outcome_or_the_future_by_itself(small_study: SmallStudy) -> None:
    patients = small_study.development["entity_key"]
    outcome, future = (
        outcome_told(small_study.inputs, small_study.labels, patients),
        future_told(small_study.inputs, patients),
    )
    assert set(outcome.index) == set(future.index) == set(CONTRACT.inputs)
    assert 0.55 < outcome.max() < AT_MOST["outcome_told_by_one_input"]
    assert future.max() < AT_MOST["future_told_by_one_input"]


def test_an_outcome_that_the_source_delivers_as_a_category_is_told(small_study: SmallStudy) -> None:
    named = pd.Series(np.where(small_study.labels == 1, "ward 7", "ward 3"), index=small_study.inputs.index)
    told = outcome_told(
        small_study.inputs.assign(payer_code=named), small_study.labels, small_study.development["entity_key"]
    )
    assert told.index[0] == "payer_code"
    assert told.iloc[0] == 1


@pytest.mark.parametrize("disguise", [lambda n: n, lambda n: -np.log(n), lambda n: n > 1, lambda n: n.map(str) + "x"])
def test_a_total_that_the_source_delivers_tells_the_future_in_every_disguise(
    small_study: SmallStudy, disguise: Callable[[pd.Series], pd.Series]
) -> None:
    planted = small_study.inputs.assign(number_diagnoses=disguise(total(small_study.development)))
    told = future_told(planted, small_study.development["entity_key"])
    assert told.index[0] == "number_diagnoses"
    assert told.iloc[0] > 0.99


def test_what_a_value_tells_is_judged_on_patients_it_was_not_learnt_from(small_study: SmallStudy) -> None:
    labels, patients = small_study.labels, small_study.development["entity_key"]
    flag = pd.Series(np.where(np.random.default_rng(0).random(len(labels)) < 0.3, labels, 0), dtype="float64")
    # A flag that is up for some of the positives and for nobody else: its AUROC is known.
    told = outcome_told(pd.DataFrame({"flag": flag, "patient": patients}), labels, patients)
    assert told["flag"] == pytest.approx(roc_auc_score(labels, flag), abs=0.01)
    # Every patient's own share is a perfect answer in the half it was learnt from, and says nothing in the other.
    assert told["patient"] == pytest.approx(0.5, abs=0.02)


def test_the_shipped_pipeline_learns_nothing_from_permuted_labels(small_study: SmallStudy) -> None:
    found = [permuted_labels_auroc(recipe(seed), *trained_on(small_study), seed=seed) for seed in (1, 2)]
    assert found == pytest.approx([0.5, 0.5], abs=0.05)


def test_a_smaller_sample_is_drawn_where_one_is_asked_for(small_study: SmallStudy) -> None:
    sizes = []

    def watched(inputs: pd.DataFrame, labels: np.ndarray, folds: np.ndarray, whose: np.ndarray) -> np.ndarray:
        sizes.append(len(inputs))
        return recipe(1)(inputs, labels, folds, whose)

    permuted_labels_auroc(watched, *trained_on(small_study), seed=1, rows=1_500)
    assert sizes == [1_500]


def test_target_statistics_fitted_outside_the_fold_are_caught(small_study: SmallStudy) -> None:
    def careless(inputs: pd.DataFrame, labels: np.ndarray, folds: np.ndarray, whose: np.ndarray) -> np.ndarray:
        """The mistake: the share readmitted by diagnosis, of all encounters, before they are divided into folds."""
        rate = pd.Series(labels, index=inputs.index).groupby(inputs["diag_1"].fillna("")).transform("mean")
        return recipe(1)(inputs.assign(num_lab_procedures=rate), labels, folds, whose)

    found = permuted_labels_auroc(careless, *trained_on(small_study), seed=1)
    assert found > 0.6
