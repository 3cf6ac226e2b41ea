"""Champion against challenger."""

import numpy as np
import pytest

from readmission_platform.evaluation.estimates import metrics
from readmission_platform.evaluation.estimates.comparison import compare
from readmission_platform.evaluation.estimates.evidence import InvalidEvidence

SETTINGS = {"thresholds": (0.1, 0.2), "replicates": 100, "seed": 3}


def net_benefit(*, labels, scores, threshold):
    """By the definition of Vickers and Elkin 2006."""
    chosen = scores >= threshold
    hits, misses = np.mean(chosen & (labels == 1)), np.mean(chosen & (labels == 0))
    return hits - misses * threshold / (1 - threshold)


@pytest.fixture(scope="module")
def pair(rows):
    noise = np.random.default_rng(1).normal(0, 0.5, size=len(rows))
    odds = np.log(rows["score"] / (1 - rows["score"])) + noise
    return rows.assign(champion_score=1 / (1 + np.exp(-odds)))


def test_differences_are_challenger_minus_champion(pair):
    found = compare(pair, **SETTINGS)
    labels = pair["label"].to_numpy()
    ours, theirs = pair["score"].to_numpy(), pair["champion_score"].to_numpy()

    def difference(metric, **more):
        return metric(labels=labels, scores=ours, **more) - metric(labels=labels, scores=theirs, **more)

    benefits = [difference(net_benefit, threshold=t) for t in (0.1, 0.2)]
    expected = {
        "champion_auroc_difference": difference(metrics.auroc),
        "champion_average_precision_difference": difference(metrics.average_precision),
        "champion_brier_difference": difference(metrics.brier),
        "champion_net_benefit_difference": np.mean(benefits),
        "champion_net_benefit_difference_at_0.1": benefits[0],
        "champion_net_benefit_difference_at_0.2": benefits[1],
    }
    assert {name: entry["value"] for name, entry in found.items()} == pytest.approx(expected)
    assert found["champion_auroc_difference"]["low"] > 0
    assert found["champion_brier_difference"]["high"] < 0


def test_a_model_does_not_differ_from_itself(rows):
    for entry in compare(rows.assign(champion_score=rows["score"]), **SETTINGS).values():
        assert (entry["value"], entry["low"], entry["high"]) == (0.0, 0.0, 0.0)


def test_pairing_makes_the_interval_of_a_difference_narrower_than_that_of_its_parts(pair, rows, settings):
    from readmission_platform.evaluation.estimates.evidence import evaluate

    paired = compare(pair, **SETTINGS)["champion_auroc_difference"]
    single = evaluate(rows, **settings | {"thresholds": (), "replicates": 100, "seed": 3})["estimates"]["auroc"]
    assert paired["high"] - paired["low"] < single["high"] - single["low"]


def test_a_champion_without_a_score_for_every_row_is_refused(pair):
    with pytest.raises(InvalidEvidence, match="champion_score"):
        compare(pair.assign(champion_score=pair["champion_score"].where(pair["fold"] != 2)), **SETTINGS)
    with pytest.raises(InvalidEvidence, match="threshold"):
        compare(pair, **SETTINGS | {"thresholds": ()})
