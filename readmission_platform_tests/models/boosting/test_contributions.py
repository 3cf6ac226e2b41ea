"""Contributions: exact Shapley values, by counting out every subset, that add up to the risk."""

from itertools import combinations
from math import factorial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from skops.io import dumps, loads
from threadpoolctl import threadpool_limits

from readmission_platform.evaluation.estimates.calibration import logit
from readmission_platform.models.boosting import trees
from readmission_platform.models.boosting.contributions import BoostingExplainer, Explainer
from readmission_platform.models.boosting.recalibrated import RecalibratedClassifier, score
from readmission_platform.models.readmission_30d import CONTRACT
from readmission_platform.models.readmission_30d.inputs import MODEL_INPUTS, feature_names
from readmission_platform.models.readmission_30d.model import build_pipeline
from readmission_platform_tests.support.small_study import OVERCONFIDENT, SmallStudy

CATEGORICAL = [False, True, False, True, False]


def boosting(*, categorical: list[bool] | None, features: int = 5, seed: int = 3, **options: Any) -> Any:
    """A boosting fitted on 400 encounters with interactions, missing values and categories."""
    generator = np.random.default_rng(seed)
    matrix = generator.integers(0, 6, size=(400, features)).astype(float)
    log_odds = matrix[:, 0] * (matrix[:, 1] % 2) - matrix[:, 2] + (matrix[:, 3] == 4) * 2 + generator.normal(size=400)
    matrix[generator.random(matrix.shape) < 0.15] = np.nan
    labels = (log_odds > np.median(log_odds)).astype(int)
    chosen = {"max_iter": 6, "max_leaf_nodes": 7, "min_samples_leaf": 5, "early_stopping": False, **options}
    return fit(HistGradientBoostingClassifier(**chosen, categorical_features=categorical, random_state=seed), matrix,
               labels)  # fmt: skip


def fit(boosting: Any, matrix: np.ndarray, labels: np.ndarray) -> Any:
    with threadpool_limits(1, user_api="openmp"):  # many threads wait for each other on a busy machine
        return boosting.fit(matrix, labels)


def goes_left(node: Any, value: float, bitsets: np.ndarray) -> bool:
    if np.isnan(value):
        return bool(node["missing_go_to_left"])
    if node["is_categorical"]:
        code = int(value)
        return bool(int(bitsets[node["bitset_idx"]][code // 32]) >> (code % 32) & 1)
    return bool(value <= node["num_threshold"])


def expectation(tree: Any, row: np.ndarray, known: set[int], number: int = 0) -> float:
    """What a tree predicts when only some features are known (EXPVALUE of Lundberg et al. 2020)."""
    node = tree.nodes[number]
    if node["is_leaf"]:
        return float(node["value"])
    left, right = int(node["left"]), int(node["right"])
    if node["feature_idx"] in known:
        taken = goes_left(node, row[node["feature_idx"]], tree.raw_left_cat_bitsets)
        return expectation(tree, row, known, left if taken else right)
    return sum(
        float(tree.nodes[child]["count"]) / float(node["count"]) * expectation(tree, row, known, child)
        for child in (left, right)
    )


def by_counting_out(fitted: Any, row: np.ndarray) -> tuple[float, np.ndarray]:
    """Baseline and Shapley values of one encounter, from every subset of the features."""
    count = fitted.n_features_in_
    inner = fitted._preprocess_X(row[None, :], reset=False)[0]
    trees = [predictor for (predictor,) in fitted._predictors]

    def worth(known: set[int]) -> float:
        return sum(expectation(tree, inner, known) for tree in trees)

    values = np.zeros(count)
    for feature in range(count):
        others = [each for each in range(count) if each != feature]
        for size in range(count):
            weight = factorial(size) * factorial(count - size - 1) / factorial(count)
            for chosen in combinations(others, size):
                values[feature] += weight * (worth({*chosen, feature}) - worth(set(chosen)))
    order = list(range(count))
    if fitted.is_categorical_ is not None:  # scikit-learn keeps the categorical columns in front
        order = sorted(order, key=lambda column: (not fitted.is_categorical_[column], column))
    ours = np.zeros(count)
    ours[order] = values
    return float(fitted._baseline_prediction.ravel()[0]) + worth(set()), ours


ROWS = npst.arrays(float, (3, 5), elements=st.sampled_from([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 7.0, -1.0, np.nan]))


@pytest.mark.parametrize("categorical", [None, CATEGORICAL])
def test_they_are_the_shapley_values_that_counting_out_every_subset_gives(categorical: list[bool] | None) -> None:
    fitted = boosting(categorical=categorical)
    explainer = BoostingExplainer(fitted)

    @settings(max_examples=8)
    @given(matrix=ROWS)
    def hold(matrix: np.ndarray) -> None:
        found = explainer.explain(matrix)
        for row, values in zip(matrix, found.values, strict=True):
            baseline, expected = by_counting_out(fitted, row)
            np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12)
            assert found.baseline == pytest.approx(baseline, abs=1e-12)

    hold()


@pytest.mark.parametrize("entries", [0, 200, 1000])
def test_leaves_that_find_no_room_in_the_tables_are_explained_just_as_exactly(
    monkeypatch: pytest.MonkeyPatch, entries: int
) -> None:
    fitted = boosting(categorical=CATEGORICAL)
    matrix = np.random.default_rng(1).integers(0, 6, size=(40, 5)).astype(float)
    with_tables = BoostingExplainer(fitted).explain(matrix).values
    monkeypatch.setattr(trees, "TABLE_ENTRIES", entries)
    np.testing.assert_allclose(BoostingExplainer(fitted).explain(matrix).values, with_tables, rtol=0, atol=1e-12)


def test_paths_of_twenty_features_add_up_in_bounded_memory() -> None:
    generator = np.random.default_rng(1)
    matrix = (generator.random(size=(400, 60)) < 0.1).astype(float)  # each feature splits off a few encounters
    options = {"max_iter": 1, "max_leaf_nodes": None, "min_samples_leaf": 1, "max_features": 0.1}
    fitted = fit(HistGradientBoostingClassifier(**options, random_state=1), matrix, generator.integers(0, 2, 400))
    assert fitted._predictors[0][0].get_max_depth() > 20
    np.testing.assert_allclose(
        BoostingExplainer(fitted).explain(matrix[:8]).log_odds,
        fitted.decision_function(matrix[:8]),
        rtol=0,
        atol=1e-12,
    )


@settings(max_examples=25)
@given(matrix=npst.arrays(float, st.tuples(st.integers(0, 4), st.just(5)),
                          elements=st.one_of(st.just(np.nan), st.floats(-1e6, 1e6))))  # fmt: skip
def test_they_add_up_to_what_the_boosting_says_of_any_encounter(matrix: np.ndarray) -> None:
    found = BoostingExplainer(_MIXED).explain(matrix)
    assert found.values.shape == matrix.shape
    expected = _MIXED.decision_function(matrix) if len(matrix) else np.empty(0)
    np.testing.assert_allclose(found.log_odds, expected, rtol=0, atol=1e-12)


_MIXED = boosting(categorical=CATEGORICAL)


def test_trees_that_ask_nothing_leave_the_baseline_alone() -> None:
    fitted = boosting(categorical=None, min_samples_leaf=300)
    found = BoostingExplainer(fitted).explain(np.zeros((2, 5)))
    assert not found.values.any()
    np.testing.assert_allclose(found.log_odds, fitted.decision_function(np.zeros((2, 5))))


def test_baseline_and_values_add_up_to_the_log_odds_of_the_calibrated_risk(small_study: SmallStudy) -> None:
    model = small_study.fitted.model
    assert model.slope != 1
    some = small_study.inputs.head(700)  # several chunks
    found = Explainer(model).explain(some)
    assert found.values.shape == (700, len(feature_names()))
    np.testing.assert_allclose(found.log_odds, logit(score(model, some)), rtol=0, atol=1e-9)


def test_missing_and_unseen_values_add_up_as_well(small_study: SmallStudy) -> None:
    model = small_study.fitted.model
    some = small_study.inputs.head(5)
    odd = some.assign(payer_code="never seen", medical_specialty=None, race=None, gender="Unknown/Invalid",
                      discharge_disposition_id=29, diag_1=None, number_inpatient=199)  # fmt: skip
    empty = some.astype(dict.fromkeys(some.select_dtypes("number"), "float64"))
    empty = empty.assign(**dict.fromkeys(empty.select_dtypes("number").columns, np.nan))
    for frame in (odd, empty[MODEL_INPUTS]):
        found = Explainer(model).explain(frame)
        np.testing.assert_allclose(found.log_odds, logit(score(model, frame)), rtol=0, atol=1e-9)


def test_a_feature_no_tree_asks_adds_nothing_and_one_that_decides_adds_most(small_study: SmallStudy) -> None:
    returned = (small_study.inputs["number_inpatient"] > 0).to_numpy("int8")
    pipeline = build_pipeline(OVERCONFIDENT, target_smoothing=50.0, seed=3).fit(
        small_study.inputs, returned, encode__entities=small_study.entities
    )
    explained = Explainer(RecalibratedClassifier(pipeline)).explain(small_study.inputs.head(500))
    values = np.abs(explained.values).mean(axis=0)
    assert feature_names()[int(values.argmax())] in {"number_inpatient", "acute_visits"}
    asked = {int(node["feature_idx"]) for (tree,) in pipeline[-1]._predictors
             for node in tree.nodes if not node["is_leaf"]}  # fmt: skip
    assert int((values == 0).sum()) >= len(feature_names()) - len(asked)


def test_risks_clipped_next_to_certainty_are_explained_as_clipped() -> None:
    matrix = np.repeat([[0.0], [1.0]], 3000, axis=0)
    labels = np.repeat([0, 1], 3000)
    sure = fit(HistGradientBoostingClassifier(max_iter=40, learning_rate=1, early_stopping=False), matrix, labels)
    assert np.abs(sure.decision_function(matrix)).max() > 14

    pipeline = Pipeline([("encode", FunctionTransformer(np.asarray)), ("boost", sure)])
    model = RecalibratedClassifier(pipeline, slope=0.5, intercept=0.1)
    found = Explainer(model).explain(pd.DataFrame(matrix))
    expected = 0.5 * logit(sure.predict_proba(matrix)[:, 1]) + 0.1
    np.testing.assert_allclose(found.log_odds, expected, rtol=0, atol=1e-9)


def test_an_encounter_is_explained_the_same_alone_and_among_others(small_study: SmallStudy) -> None:
    explainer = Explainer(small_study.fitted.model)
    together = explainer.explain(small_study.inputs.head(150)).values
    alone = np.vstack([explainer.explain(small_study.inputs.iloc[[row]]).values for row in range(0, 150, 10)])
    np.testing.assert_allclose(alone, together[::10], rtol=0, atol=1e-13)


def test_explaining_leaves_the_model_as_it_is_and_a_stored_one_is_explained_alike(small_study: SmallStudy) -> None:
    model = small_study.fitted.model
    stored = dumps(model)
    some = small_study.inputs.head(20)
    found = Explainer(model).explain(some)
    loaded = loads(dumps(model), trusted=list(CONTRACT.estimator.artifact.trusted_types))
    np.testing.assert_array_equal(Explainer(loaded).explain(some).values, found.values)
    assert len(dumps(model)) == len(stored)
