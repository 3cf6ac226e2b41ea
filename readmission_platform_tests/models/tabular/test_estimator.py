"""Models of one table: any classifier of scikit-learn that gives probabilities is fitted, stored and scored alike."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import all_estimators

from readmission_platform.foundation.errors import BadInput
from readmission_platform.models.tabular.columns import Columns
from readmission_platform.models.tabular.encoder import TableEncoder
from readmission_platform.models.tabular.estimator import BOOSTING, TableEstimator, estimator_class, other_types

COLUMNS = Columns(("level", "marker"), {"ward": ("east", "north", "west")})
ROWS = 300
# They take only values that are counts, or need a radius that fits the data: refused with one line when proposed.
FOR_OTHER_DATA = {"CategoricalNB", "ComplementNB", "MultinomialNB", "QuadraticDiscriminantAnalysis",
                  "RadiusNeighborsClassifier"}  # fmt: skip


def path_of(found: type) -> str:
    return f"{found.__module__.split('._')[0]}.{found.__name__}"


def able() -> list[str]:
    """Classifiers that stand by themselves and give probabilities."""
    paths = []
    for name, found in all_estimators("classifier"):
        try:
            estimator_class(path_of(found))
        except BadInput:
            continue
        if name not in FOR_OTHER_DATA:
            paths.append(path_of(found))
    return paths


@pytest.fixture(scope="module")
def inputs() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame({
        "level": rng.normal(size=ROWS),
        "marker": np.where(rng.random(ROWS) < 0.1, np.nan, rng.normal(size=ROWS)),
        "ward": rng.choice(["east", "north", "west", None], ROWS),
    })  # fmt: skip


@pytest.fixture(scope="module")
def labels(inputs: pd.DataFrame) -> np.ndarray:
    rng = np.random.default_rng(1)
    return (rng.random(ROWS) < 1 / (1 + np.exp(1 - inputs["level"]))).astype("int8").to_numpy()


def test_there_are_many_such_classifiers() -> None:
    assert len(able()) > 15


@pytest.mark.parametrize("path", able())
def test_a_classifier_gives_the_same_risks_after_storing(path: str, inputs: pd.DataFrame, labels: np.ndarray) -> None:
    estimator = TableEstimator(COLUMNS, path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", FutureWarning)
        found = estimator.cross_validate(
            inputs, labels, np.arange(ROWS) % 3, {"parameters": {}}, entities=np.arange(ROWS).astype(str), seed=1
        )
    allowed = replace(estimator, types=other_types(estimator, found.model))
    risk = allowed.score(allowed.load(allowed.dump(found.model)), inputs)
    assert np.abs(risk - estimator.score(found.model, inputs)).max() < 1e-12
    assert ((risk > 0) & (risk < 1)).all()
    assert len(allowed.feature_names(found.model)) == (3 if path == BOOSTING else 7)


def test_a_type_that_nobody_vouched_for_is_not_loaded(inputs: pd.DataFrame, labels: np.ndarray) -> None:
    estimator = TableEstimator(COLUMNS, "sklearn.ensemble.RandomForestClassifier")
    found = estimator.cross_validate(
        inputs, labels, np.arange(ROWS) % 3, {"parameters": {"n_estimators": 3}}, entities=np.arange(ROWS), seed=1
    )  # fmt: skip
    with pytest.raises(ValueError, match="not on the allow-list"):
        estimator.load(estimator.dump(found.model))


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("sklearn.svm.SVC", "gives no probabilities"),
        ("sklearn.ensemble.VotingClassifier", "no classifier that stands by itself"),
        ("sklearn.ensemble.Nothing", "scikit-learn has no such classifier"),
        ("os.system", "name a classifier of scikit-learn"),
        ("sklearn.linear_model.Ridge", "gives no probabilities"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(path: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        estimator_class(path)


def test_a_parameter_that_there_is_not_is_refused(inputs: pd.DataFrame) -> None:
    with pytest.raises(BadInput, match="has no depth"):
        TableEstimator(COLUMNS).pipeline({"parameters": {"depth": 3}}, seed=1)


def test_texts_are_places_and_unknown_ones_are_missing(inputs: pd.DataFrame) -> None:
    encoder = TableEncoder(["level", "marker"], {"ward": ["east", "north", "west"]}).fit(inputs)
    rows = pd.DataFrame({"level": [1.0, 2.0], "marker": [np.nan, 0.5], "ward": ["north", "annex"]})
    np.testing.assert_array_equal(encoder.transform(rows), [[1.0, np.nan, 1.0], [2.0, 0.5, np.nan]])


def test_filled_numbers_say_that_they_were_missing(inputs: pd.DataFrame) -> None:
    encoder = TableEncoder(["level", "marker"], {"ward": ["east", "north", "west"]}, filled=True).fit(inputs)
    encoded = encoder.transform(inputs)
    missing = inputs["marker"].isna().to_numpy()
    assert not np.isnan(encoded).any()
    np.testing.assert_array_equal(encoded[:, 3], missing.astype(float))
    assert encoded[missing, 2].tolist() == [0.0] * int(missing.sum())
    assert encoder.feature_names()[4:] == ["ward=east", "ward=north", "ward=west"]


def test_a_number_far_beyond_training_is_withheld(inputs: pd.DataFrame, labels: np.ndarray) -> None:
    estimator = TableEstimator(COLUMNS)
    found = estimator.cross_validate(
        inputs, labels, np.arange(ROWS) % 3, {"parameters": {"max_iter": 5}}, entities=inputs.index.to_numpy(), seed=1
    )  # fmt: skip
    rows = pd.DataFrame({"level": [0.0, 1e6], "marker": [0.0, 0.0], "ward": ["east", "east"]})
    because = estimator.unsound(found.model, rows, estimator.score(found.model, rows))
    assert because == [None, "the level is far beyond any in the training data"]
