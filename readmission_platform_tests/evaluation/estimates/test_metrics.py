"""Metrics against scikit-learn and against plain repetition of rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

from readmission_platform.evaluation.estimates import decision_curves, metrics

COARSE_SCORES = st.integers(0, 20).map(lambda i: i / 20)
CASES = st.lists(st.tuples(st.integers(0, 1), COARSE_SCORES, st.integers(0, 3)), min_size=1, max_size=60).filter(
    lambda rows: sum(weight for _, _, weight in rows) > 0
)


def unpack(cases):
    labels, scores, weights = (np.array(column) for column in zip(*cases, strict=True))
    return labels, scores.astype(float), weights


@given(CASES)
def test_an_integer_weight_equals_repeating_the_row(cases):
    labels, scores, weights = unpack(cases)
    repeated = {"labels": np.repeat(labels, weights), "scores": np.repeat(scores, weights)}
    weighted = {"labels": labels, "scores": scores, "weights": weights}
    for metric in (metrics.auroc, metrics.average_precision, metrics.brier, metrics.brier_skill):
        assert metric(**weighted) == pytest.approx(metric(**repeated), nan_ok=True)
    for name, value in metrics.capacity_at_share(**weighted, share=0.3).items():
        expected = metrics.capacity_at_share(**repeated, share=0.3)[name]
        assert value == pytest.approx(expected, nan_ok=True, abs=1e-9), name
    net = [decision_curves.net_benefit_of(metrics.running_weights(**{"weights": None} | rows), threshold=0.4)
           for rows in (weighted, repeated)]  # fmt: skip
    assert net[0] == pytest.approx(net[1])


@given(CASES)
def test_discrimination_and_brier_agree_with_scikit_learn_on_tied_weighted_scores(cases):
    labels, scores, weights = unpack(cases)
    kept = weights > 0
    labels, scores, weights = labels[kept], scores[kept], weights[kept]
    everything = {"labels": labels, "scores": scores, "weights": weights}
    assert metrics.brier(**everything) == pytest.approx(
        brier_score_loss(labels, scores, sample_weight=weights, pos_label=1)
    )
    if labels.any():
        expected = average_precision_score(labels, scores, sample_weight=weights)
        assert metrics.average_precision(**everything) == pytest.approx(expected)
    if len(set(labels)) == 2:
        assert metrics.auroc(**everything) == pytest.approx(roc_auc_score(labels, scores, sample_weight=weights))


@given(CASES)
def test_auroc_is_unchanged_by_a_rising_transform_and_mirrored_by_a_falling_one(cases):
    labels, scores, weights = unpack(cases)
    area = metrics.auroc(labels=labels, scores=scores, weights=weights)
    risen = metrics.auroc(labels=labels, scores=np.exp(3 * scores) - 7, weights=weights)
    fallen = metrics.auroc(labels=labels, scores=-scores, weights=weights)
    assert risen == pytest.approx(area, nan_ok=True)
    assert fallen == pytest.approx(1 - area, nan_ok=True)


def test_flagging_a_share_agrees_with_scikit_learn_when_no_scores_tie():
    generator = np.random.default_rng(3)
    scores = generator.permutation(np.linspace(0, 1, 1000))
    labels = (generator.random(1000) < scores).astype(int)
    chosen = (scores >= np.sort(scores)[-100]).astype(int)
    found = metrics.capacity_at_share(labels=labels, scores=scores, share=0.1)
    assert found["recall"] == pytest.approx(recall_score(labels, chosen))
    assert found["ppv"] == pytest.approx(precision_score(labels, chosen))
    assert found["accuracy"] == pytest.approx(accuracy_score(labels, chosen))
    assert found["f1"] == pytest.approx(f1_score(labels, chosen))
    assert found["false_positive_rate"] == pytest.approx(chosen[labels == 0].mean())


def test_rows_tied_at_the_flag_count_in_part():
    labels, scores = np.array([1, 1, 0, 0]), np.array([0.9, 0.5, 0.5, 0.1])
    found = metrics.capacity_at_share(labels=labels, scores=scores, share=0.5)
    # One place is left for the two tied rows, of which one is positive: half of it is expected to be found.
    assert found["recall"] == pytest.approx(0.75)
    assert found["ppv"] == pytest.approx(0.75)


@pytest.mark.parametrize("label", [0, 1])
def test_a_single_class_leaves_discrimination_undefined(label):
    labels, scores = np.full(5, label), np.linspace(0.1, 0.5, 5)
    assert np.isnan(metrics.auroc(labels=labels, scores=scores))
    assert np.isnan(metrics.brier_skill(labels=labels, scores=scores))
    assert np.isnan(metrics.average_precision(labels=labels, scores=scores)) == (label == 0)


def test_no_rows_leave_every_metric_undefined():
    nothing = {"labels": np.zeros(0, dtype=int), "scores": np.zeros(0)}
    values = [f(**nothing) for f in (metrics.auroc, metrics.average_precision, metrics.brier, metrics.brier_skill)]
    values += metrics.capacity_at_share(**nothing, share=0.1).values()
    values += decision_curves.curve(**nothing, thresholds=np.array([0.1])).tolist()
    assert np.isnan(values).all()


def test_net_benefit_follows_its_definition():
    generator = np.random.default_rng(5)
    scores = generator.random(500)
    labels = (generator.random(500) < scores).astype(int)
    thresholds = (0.1, 0.35, 0.8)
    found = decision_curves.curve(labels=labels, scores=scores, thresholds=np.array(thresholds))
    for worth, threshold in zip(found, thresholds, strict=True):
        chosen = scores >= threshold
        hits, misses = np.sum(chosen & (labels == 1)) / 500, np.sum(chosen & (labels == 0)) / 500
        assert worth == pytest.approx(hits - misses * threshold / (1 - threshold))


def test_following_up_everybody_is_worth_nothing_at_the_prevalence():
    worth = decision_curves.treat_all(prevalence=0.2, thresholds=np.array([0.1, 0.2, 0.3]))
    assert worth[0] > 0
    assert worth[1] == pytest.approx(0)
    assert worth[2] < 0


def test_a_point_score_becomes_the_probability_of_a_logistic_regression():
    from sklearn.linear_model import LogisticRegression

    generator = np.random.default_rng(8)
    points = generator.integers(0, 15, size=3000).astype(float)
    labels = (generator.random(3000) < 1 / (1 + np.exp(3 - 0.2 * points))).astype(int)
    expected = LogisticRegression(C=1e12, tol=1e-10).fit(points[:, None], labels).predict_proba(points[:, None])[:, 1]
    found = decision_curves.probability_from_points(labels=labels, points=points)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert decision_curves.probability_from_points(labels=labels, points=np.ones(3000)) is None
