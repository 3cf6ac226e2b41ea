"""The example's encoder, what it withholds, and how it speaks."""

import numpy as np
import pandas as pd
import pytest
from skops.io import dumps, get_untrusted_types

from readmission_platform.evaluation.estimates.folds import entity_folds
from readmission_platform.intake.sources import SourceRequest
from readmission_platform.models.contract import CrossValidated
from readmission_platform.models.frequent_visits import CONTRACT
from readmission_platform.models.frequent_visits.concepts import CONCEPTS, effect_values
from readmission_platform.models.frequent_visits.encoder import EnrolmentEncoder

SETTINGS = {"boosting": {"learning_rate": 0.3, "max_iter": 20, "max_leaf_nodes": 8, "min_samples_leaf": 20,
                         "l2_regularization": 1.0, "max_features": 0.5}}  # fmt: skip


@pytest.fixture(scope="module")
def inputs() -> pd.DataFrame:
    raw = CONTRACT.sources["synthetic"].load(SourceRequest(rows=2_000, seed=5)).frame
    rows = CONTRACT.data.cohort(raw, key=b"key", replay_share=0.0)
    inputs = CONTRACT.data.inputs_of(rows, rows)
    inputs.attrs = {
        "labels": rows[CONTRACT.outcome].to_numpy(),
        "entities": rows["entity_key"],
        "folds": entity_folds(rows["entity_key"], folds=3),
    }
    return inputs


@pytest.fixture(scope="module")
def fitted(inputs: pd.DataFrame) -> CrossValidated:
    labels, folds = inputs.attrs["labels"], inputs.attrs["folds"].to_numpy()
    entities = inputs.attrs["entities"].to_numpy()
    return CONTRACT.estimator.cross_validate(inputs, labels, folds, SETTINGS, entities=entities, seed=1)


def withheld(fitted: CrossValidated, inputs: pd.DataFrame) -> list[str | None]:
    return CONTRACT.estimator.unsound(fitted.model, inputs, np.full(len(inputs), 0.2))


def test_texts_become_their_place_in_order_and_unknown_ones_nothing(inputs: pd.DataFrame) -> None:
    some = inputs.head(4).assign(self_rated_health=["excellent", "poor", None, "splendid"])
    encoder = EnrolmentEncoder().fit(inputs)
    health = encoder.transform(some)[:, encoder.feature_names().index("self_rated_health")]
    assert np.array_equal(health, [0.0, 3.0, np.nan, np.nan], equal_nan=True)


def test_more_frequent_years_never_lower_the_risk(inputs: pd.DataFrame, fitted: CrossValidated) -> None:
    some = inputs.head(200)
    without = CONTRACT.estimator.score(fitted.model, some.assign(frequent_year_before=0.0, frequent_share_before=0.0))
    with_one = CONTRACT.estimator.score(fitted.model, some.assign(frequent_year_before=1.0, frequent_share_before=0.5))
    assert (with_one >= without - 1e-12).all()
    assert with_one.mean() > without.mean() + 0.1


def test_a_rate_of_coinsurance_that_nobody_had_is_withheld(inputs: pd.DataFrame, fitted: CrossValidated) -> None:
    found = withheld(fitted, inputs.head(3).assign(coinsurance=[25, 75, 0]))
    assert found == [None, "the rate of coinsurance does not occur in the training data", None]


def test_the_allow_list_names_what_a_model_contains_and_no_more(fitted: CrossValidated) -> None:
    assert sorted(get_untrusted_types(data=dumps(fitted.model))) == sorted(CONTRACT.estimator.artifact.trusted_types)


def test_every_feature_belongs_to_exactly_one_concept() -> None:
    named = [name for concept in CONCEPTS for name in concept.features]
    assert sorted(named) == sorted(EnrolmentEncoder().feature_names())


def row(**values: object) -> dict[str, object]:
    usual = {"frequent_year_before": np.nan, "frequent_share_before": np.nan, "coinsurance": 25, "age": 40.0,
             "deductible_plan": "no", "chronic_diseases": np.nan, "family_size": 3,
             "physical_limitation": None, "self_rated_health": "good"}  # fmt: skip
    return usual | values


@pytest.mark.parametrize(
    ("concept", "values", "words"),
    [
        ("earlier years", {}, None),
        ("earlier years", {"frequent_year_before": 1.0, "frequent_share_before": 1.0},
         "five visits or more in the year before"),
        ("earlier years", {"frequent_year_before": 0.0, "frequent_share_before": 0.5},
         "five visits or more in an earlier year"),
        ("earlier years", {"frequent_year_before": 0.0, "frequent_share_before": 0.0},
         "fewer than five visits in earlier years"),
        ("plan", {}, "pays 25 % of each bill"),
        ("plan", {"coinsurance": 0}, "care is free"),
        ("plan", {"coinsurance": 0, "deductible_plan": "yes"}, "on a deductible plan"),
        ("chronic diseases", {}, None),
        ("chronic diseases", {"chronic_diseases": 0.0}, "no chronic disease of those asked about"),
        ("chronic diseases", {"chronic_diseases": 13.8}, "14 % of the chronic diseases asked about"),
        ("physical limitation", {}, None),
        ("physical limitation", {"physical_limitation": "yes"}, "physical limitation"),
        ("family", {"family_size": 1}, "family of 1 person"),
        ("self-rated health", {}, "health rated good"),
        ("age", {}, "age 40"),
        ("sex", {"sex": "female"}, None),
    ],
)  # fmt: skip
def test_what_is_so_is_said_in_plain_words(concept: str, values: dict[str, object], words: str | None) -> None:
    say = next(each.say for each in CONCEPTS if each.name == concept)
    assert say(row(**values)) == words


def test_every_input_has_values_at_which_its_effect_can_be_worked_out(inputs: pd.DataFrame) -> None:
    for name in CONTRACT.inputs:
        found = effect_values(inputs[name])
        assert found, name
        assert len({each.label for each in found}) == len(found)
        assert all(each.rows >= 0.01 * len(inputs) for each in found)
