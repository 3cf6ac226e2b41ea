"""Evidence rows do not give away whose they are by their order or their time, and give the same estimates without."""

import numpy as np
import pandas as pd
import pytest

from readmission_platform.evaluation.estimates.evidence import evaluate
from readmission_platform.evaluation.estimates.pooled import time_slices
from readmission_platform_tests.support.evidence_rows import SETTINGS, simulate_rows
from readmission_platform_tests.support.homes import Home
from readmission_platform_tests.support.linkage import agreement, orders

# More than chance reaches among these thousands of rows, far less than anybody could use.
NOTICEABLE = 0.06


@pytest.fixture(scope="module")
def evidence(trained_home: Home) -> pd.DataFrame:
    return trained_home.lake.read("model_evidence")


@pytest.fixture(scope="module")
def source(trained_home: Home) -> pd.DataFrame:
    """The rows of the study in the order of the source, with what the evidence says of each."""
    features = trained_home.lake.read("encounter_features").sort_values("clock")
    return features.rename(columns={"readmitted_30d": "label"}).astype({"number_inpatient": "float64", "label": int})


@pytest.mark.parametrize("column", ["label", "number_inpatient", "gender"])
def test_the_order_of_evidence_rows_is_not_that_of_the_source(
    evidence: pd.DataFrame, source: pd.DataFrame, column: str
):
    assert len(evidence) == len(source)
    assert agreement(source, source, column) == 1
    for name, ordered in orders(evidence):
        assert abs(agreement(ordered, source, column)) < NOTICEABLE, name


def test_time_is_told_in_the_slices_that_an_estimate_needs_and_by_patient(evidence: pd.DataFrame):
    assert set(evidence["clock"]) == {0.0, 0.8}
    assert (evidence.groupby("entity_key")["clock"].nunique() == 1).all()
    assert evidence["row_key"].is_monotonic_increasing


def test_the_estimates_are_the_same_with_the_slices_as_with_the_exact_time():
    exact = simulate_rows(3000, seed=3)
    slices = time_slices(clock=exact["clock"].to_numpy(), entity_keys=exact["entity_key"].tolist())
    assert len(np.unique(slices)) == 2
    sliced = exact.assign(clock=slices)
    first, second = (evaluate(rows, **SETTINGS, replicates=50) for rows in (exact, sliced))
    assert first == second
