"""Small cells are hidden, and cannot be worked out from what is left."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readmission_platform.evaluation.disclosure import (
    hidden_cells,
    hide_telling_shares,
    suppress_small_cells,
    telling_shares,
)
from readmission_platform.evaluation.estimates.evidence import evaluate
from readmission_platform.reports.pictures import evidence as plots
from readmission_platform_tests.support.evidence_rows import WORDING


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 40), min_size=1),
    st.integers(0, 30),
)
def test_no_cell_of_one_to_ten_is_shown_or_can_be_derived_by_subtraction(counts, rest):
    hidden = hidden_cells(counts, total=sum(counts.values()) + rest)
    assert all(name in hidden for name, count in counts.items() if 0 < count <= 10)
    unknown = [counts[name] for name in hidden]
    unknown += [rest] if 0 < rest <= 10 else []
    everything_hidden = all(name in hidden for name, count in counts.items() if count > 0)
    if unknown and not everything_hidden:
        assert len(unknown) >= 2
        assert sum(unknown) >= 11


def test_nothing_is_hidden_without_need():
    assert hidden_cells({"a": 11, "b": 500, "c": 0}, total=511) == frozenset()
    assert hidden_cells({"a": 11, "b": 500}, total=600) == frozenset()
    assert hidden_cells({"a": 5, "b": 70, "c": 500}, total=575) == {"a", "b"}
    assert hidden_cells({"a": 70, "b": 500}, total=573) == {"a"}


@pytest.fixture(scope="module")
def evidence(make_rows, settings):
    return evaluate(make_rows(900, seed=4), **settings, replicates=20)


def test_a_small_group_and_its_cover_are_hidden_wherever_they_are_shown(evidence):
    before = json.dumps(evidence)
    shown = suppress_small_cells(evidence)
    assert json.dumps(evidence) == before
    assert 0 < evidence["groups"]["race"]["Asian"]["n"] - evidence["groups"]["race"]["Asian"]["positives"] <= 10
    hidden = {name for name, group in shown["groups"]["race"].items() if group.get("suppressed")}
    assert "Asian" in hidden
    for name in hidden:
        assert shown["groups"]["race"][name]["n"] is None
        assert shown["groups"]["race"][name]["auroc"]["value"] is None
        assert set(shown["estimates"][f"observed_expected.race.{name}"].values()) == {None}
    uncounted = {name for name, group in shown["groups"]["race"].items() if group["n"] is None}
    assert len(uncounted) >= 2
    assert shown["estimates"]["equalised_odds_race"]["n"] is None
    assert shown["groups"]["gender"] == evidence["groups"]["gender"]


def test_what_is_shown_has_no_small_counts(evidence):
    shown = suppress_small_cells(evidence)
    bins = shown["curves"]["calibration"]["bins"]
    counts = [entry[k] for entry in bins for k in ("n", "positives")]
    counts += shown["curves"]["calibration"]["histogram"]["counts"]
    counts += [entry[k] for entry in shown["estimates"].values() for k in ("n", "positives")]
    counts += [g[k] for groups in shown["groups"].values() for g in groups.values() for k in ("n", "positives")]
    assert not [count for count in counts if count is not None and 0 < count <= 10]
    assert plots.calibration_png(shown["curves"], WORDING).startswith(b"\x89PNG")


def test_shares_that_tell_a_small_count_are_hidden_and_those_that_do_not_stay(evidence):
    shown = suppress_small_cells(evidence)
    without = hide_telling_shares(shown)
    for attribute, groups in without["groups"].items():
        for name, group in groups.items():
            for measure, size in (("tpr", "positives"), ("fpr", None)):
                share = group[measure]["value"]
                if share is None or group["n"] is None:
                    continue
                of = group[size] if size else group["n"] - group["positives"]
                assert not 0 < round(share * of) <= 10, (attribute, name, measure)
                assert not 0 < of - round(share * of) <= 10, (attribute, name, measure)
    assert without["estimates"] == shown["estimates"]


def test_with_large_groups_no_share_is_hidden(make_rows, settings):
    many = make_rows(6000, seed=2)
    shown = suppress_small_cells(evaluate(many.assign(race=None), **settings, replicates=2))
    assert telling_shares(shown, shown["groups"]["gender"], of_negatives=False) == frozenset()
    assert telling_shares(shown, shown["groups"]["gender"], of_negatives=True) == frozenset()
    assert hide_telling_shares(shown) == shown


def test_where_the_total_is_not_known_every_share_is_hidden(evidence):
    unknown = suppress_small_cells(evidence) | {"positives": None}
    groups = unknown["groups"]["gender"]
    assert telling_shares(unknown, groups, of_negatives=False) == set(groups)


def test_a_few_of_unknown_gender_cost_the_others_a_count_and_no_figure(make_rows, settings):
    many = make_rows(3000, seed=6).assign(race=None)
    many.loc[many.index[:3], "gender"] = None
    evidence = evaluate(many, **settings, replicates=2)
    shown = suppress_small_cells(evidence)["groups"]["gender"]
    uncounted = [name for name, group in shown.items() if group["n"] is None]
    assert len(uncounted) == 1
    for name, group in shown.items():
        assert "suppressed" not in group
        exact = evidence["groups"]["gender"][name]
        for measure in ("auroc", "tpr", "fpr", "observed_expected"):
            assert group[measure] == pytest.approx(exact[measure], abs=5e-4)
            if name in uncounted:
                assert group[measure]["value"] == round(exact[measure]["value"], 3)
