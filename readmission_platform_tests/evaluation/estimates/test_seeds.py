"""Several fits of one recipe side by side."""

import numpy as np
import pandas as pd
import pytest

from readmission_platform.evaluation.estimates.evidence import evaluate
from readmission_platform.evaluation.estimates.seeds import (
    key_figures,
    likeness_of_reasons,
    likeness_of_scores,
    spread_of,
)


def test_the_spread_names_mean_deviation_and_ends():
    assert spread_of([1.0, 2.0, 3.0]) == {"mean": 2.0, "sd": 1.0, "low": 1.0, "high": 3.0, "values": [1.0, 2.0, 3.0]}
    assert spread_of([0.5])["sd"] is None


def test_equal_fits_are_alike_in_everything():
    scores = np.random.default_rng(0).random(500)
    alike = likeness_of_scores([scores, scores], flag_share=0.1)
    assert alike["rank_correlation"] == pytest.approx({"mean": 1.0, "low": 1.0})
    assert alike["flagged_overlap"] == {"mean": 1.0, "low": 1.0}


def test_the_lowest_pair_is_named_beside_the_mean():
    scores = np.linspace(0, 1, 100)
    alike = likeness_of_scores([scores, scores, -scores], flag_share=0.1)
    assert alike["rank_correlation"] == pytest.approx({"mean": -1 / 3, "low": -1.0})
    assert alike["flagged_overlap"] == pytest.approx({"mean": 1 / 3, "low": 0.0})


def test_reasons_of_unrelated_fits_are_shared_as_often_as_chance_has_it():
    generator = np.random.default_rng(3)
    found = likeness_of_reasons([generator.normal(size=(2000, 20)) for _ in range(3)], top=3, seed=1)
    assert found["shared"] == pytest.approx(3 / 20, abs=0.02)
    assert found["by_chance"] == pytest.approx(3 / 20, abs=0.02)
    assert found["correlation"] == pytest.approx(0, abs=0.02)


def test_a_reason_that_everybody_has_counts_as_chance():
    generator = np.random.default_rng(4)
    fits = [np.column_stack([np.full(500, 9.0), generator.normal(size=(500, 9))]) for _ in range(2)]
    found = likeness_of_reasons(fits, top=1, seed=1)
    assert found["shared"] == found["by_chance"] == 1.0


def test_key_figures_are_those_of_the_evidence(rows, settings):
    columns = {
        "labels": rows["label"].to_numpy().astype(np.int64),
        "scores": rows["score"].to_numpy(),
        "entities": pd.factorize(rows["entity_key"])[0],
    }
    found = key_figures(**columns, flag_share=0.1, replicates=30, seed=7)
    evidence = evaluate(rows, **settings, replicates=30)["estimates"]
    for name, figure in found.items():
        assert figure["value"] == pytest.approx(evidence[name]["value"], rel=1e-6), name
        assert figure["low"] <= figure["value"] <= figure["high"]
        assert (figure["n"], figure["positives"]) == (len(rows), int(rows["label"].sum()))


def test_figures_of_one_to_ten_readmissions_are_hidden(rows):
    labels = np.zeros(len(rows), dtype=np.int64)
    labels[:7] = 1
    found = key_figures(
        labels=labels, scores=rows["score"].to_numpy(), entities=np.arange(len(rows)), flag_share=0.1,
        replicates=2, seed=1,
    )  # fmt: skip
    assert {value for figure in found.values() for value in figure.values()} == {None}
