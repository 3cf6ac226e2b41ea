"""Subgroup figures against brute force."""

import numpy as np
import pytest

from readmission_platform.evaluation.estimates.evidence import evaluate
from readmission_platform.evaluation.estimates.fairness import spread


@pytest.fixture(scope="module")
def big_rows(make_rows):
    return make_rows(12_000, seed=3)


@pytest.fixture(scope="module")
def evidence(big_rows, settings):
    return evaluate(big_rows, **settings, replicates=40)


def rates(rows, flagged):
    table = {}
    for name, group in rows.groupby("gender"):
        chosen = flagged[group.index]
        table[name] = (chosen[group["label"] == 1].mean(), chosen[group["label"] == 0].mean())
    return table


def test_error_rates_and_equalised_odds_are_those_at_the_common_flag(big_rows, evidence):
    flagged = big_rows["score"] >= big_rows["score"].nlargest(len(big_rows) // 10).min()
    expected = rates(big_rows, flagged)
    for name, (tpr, fpr) in expected.items():
        group = evidence["groups"]["gender"][name]
        assert (group["tpr"]["value"], group["fpr"]["value"]) == pytest.approx((tpr, fpr), abs=1e-3)
    gaps = np.ptp(np.array(list(expected.values())), axis=0)
    found = evidence["estimates"]["equalised_odds_gender"]
    assert found["value"] == pytest.approx(gaps.max(), abs=1e-3)


def test_races_with_few_positives_are_shown_but_not_compared(evidence):
    groups, estimates = evidence["groups"]["race"], evidence["estimates"]
    assert groups["Asian"]["positives"] < 100
    assert estimates["observed_expected.race.Asian"]["value"] is not None
    compared = [g for g in groups.values() if g["positives"] >= 100]
    assert 2 <= len(compared) < len(groups)
    assert estimates["auroc_gap.race"]["n"] == sum(g["n"] for g in compared)
    areas = [g["auroc"]["value"] for g in compared]
    assert estimates["auroc_gap.race"]["value"] == pytest.approx(max(areas) - min(areas))
    for measure in ("tpr", "fpr"):
        gap = np.ptp([g[measure]["value"] for g in compared])
        assert gap <= estimates["equalised_odds_race"]["value"] + 1e-12


def test_missing_race_is_no_group(big_rows, evidence):
    assert set(evidence["groups"]["race"]) == set(big_rows["race"].dropna())
    assert sum(g["n"] for g in evidence["groups"]["race"].values()) == big_rows["race"].notna().sum()


def test_fewer_than_two_groups_have_no_gap():
    assert np.isnan(spread([np.ones(3)], replicates=3)).all()
    assert spread([np.ones(2), np.array([0.5, np.nan])], replicates=2)[0] == 0.5
