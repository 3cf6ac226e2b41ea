"""AUROC losses with intervals over patients, without resampling."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readmission_platform.evaluation.estimates import metrics
from readmission_platform.evaluation.estimates.bootstrap import bootstrap
from readmission_platform.evaluation.estimates.influence import auroc_losses, mean_with_interval
from readmission_platform.evaluation.estimates.ranking import accumulate, auroc_of, rank_rows


def arrays(rows):
    labels = rows["label"].to_numpy().astype(np.int64)
    patients = pd.factorize(rows["entity_key"])[0]
    return labels, rows["score"].to_numpy(), rows["lace"].to_numpy(), patients


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20)
def test_the_loss_is_the_difference_of_the_two_areas(rows, seed):
    labels, scores, lace, patients = arrays(rows.sample(300, random_state=seed))
    found = auroc_losses(labels=labels, reference=scores, others={"lace": lace}, entities=patients)["lace"]
    expected = metrics.auroc(labels=labels, scores=scores) - metrics.auroc(labels=labels, scores=lace)
    assert found["value"] == pytest.approx(expected)
    assert found["low"] <= found["value"] <= found["high"]


def test_the_interval_is_the_bootstrap_s(rows):
    labels, scores, lace, patients = arrays(rows)
    rankings = [rank_rows(labels=labels, scores=values, columns=patients) for values in (scores, lace)]

    def difference(counts):
        ours, theirs = (auroc_of(accumulate(ranking=ranking, weights=counts)) for ranking in rankings)
        return {("loss",): ours - theirs}

    drawn = bootstrap(difference, clusters=patients.max() + 1, rows=len(labels), replicates=600, seed=1)[("loss",)]
    found = auroc_losses(labels=labels, reference=scores, others={"lace": lace}, entities=patients)["lace"]
    assert found["high"] - found["low"] == pytest.approx(drawn.high - drawn.low, rel=0.12)


def test_repeated_encounters_of_a_patient_widen_the_interval(rows):
    labels, scores, lace, patients = arrays(rows)
    twice = [np.tile(values, 2) for values in (labels, scores, lace, patients)]
    once = auroc_losses(labels=labels, reference=scores, others={"lace": lace}, entities=patients)["lace"]
    same = auroc_losses(labels=twice[0], reference=twice[1], others={"lace": twice[2]}, entities=twice[3])["lace"]
    assert same == pytest.approx(once)


def test_nothing_is_lost_to_the_same_order(rows):
    labels, scores, _, patients = arrays(rows)
    found = auroc_losses(labels=labels, reference=scores, others={"same": np.sqrt(scores)}, entities=patients)
    assert found["same"] == pytest.approx({"value": 0, "low": 0, "high": 0}, abs=1e-12)


@pytest.mark.parametrize("label", [0, 1])
def test_with_one_class_nothing_is_said(rows, label):
    labels, scores, lace, patients = arrays(rows.assign(label=label))
    found = auroc_losses(labels=labels, reference=scores, others={"lace": lace}, entities=patients)
    assert found == {"lace": {"value": None, "low": None, "high": None}}


def test_a_mean_has_the_interval_of_its_patients():
    values, patients = np.array([0.1, 0.1, 0.3, 0.3]), np.array([0, 0, 1, 1])
    alone = mean_with_interval(values, entities=np.arange(4))
    together = mean_with_interval(values, entities=patients)
    assert together["value"] == alone["value"] == pytest.approx(0.2)
    assert together["high"] - together["low"] > alone["high"] - alone["low"]
    assert mean_with_interval(values, entities=np.zeros(4, dtype=int))["low"] is None
    assert mean_with_interval(np.empty(0), entities=np.empty(0, dtype=int))["value"] is None
