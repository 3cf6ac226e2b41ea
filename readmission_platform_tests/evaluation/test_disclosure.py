"""Small cells are hidden, and cannot be worked out from what is left."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readmission_platform.evaluation.disclosure import (
    digits_shown,
    hidden_cells,
    hide_telling_shares,
    in_words,
    shown_count,
    shown_estimates,
    shown_share,
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


def test_the_estimates_alone_tell_no_more_than_the_document_does(evidence):
    document = suppress_small_cells(evidence)
    assert shown_estimates(evidence["estimates"]) == document["estimates"]
    for name, group in document["groups"]["race"].items():
        assert document["estimates"][f"observed_expected.race.{name}"]["n"] == group["n"]


def test_three_people_of_unknown_gender_are_in_no_estimate_by_subtraction(make_rows, settings):
    many = make_rows(3000, seed=6).assign(race=None)
    many.loc[many.index[:3], "gender"] = None
    exact = evaluate(many, **settings, replicates=2)["estimates"]
    shown = shown_estimates(exact)
    assert exact["equalised_odds_gender"]["n"] == 2997
    for name in ("equalised_odds_gender", "auroc_gap.gender"):
        assert (shown[name]["n"], shown[name]["positives"]) == (None, None)
    # One group's AUROC and the gap are the other's: its exact value would fit one number of people only.
    gap = shown["auroc_gap.gender"]["value"]
    assert gap == round(gap, 3) == pytest.approx(exact["auroc_gap.gender"]["value"], abs=5e-4)
    counts = [entry["n"] for entry in shown.values() if entry["n"] is not None]
    assert not [count for count in counts if 0 < 3000 - count <= 10]
    assert None in {shown[f"observed_expected.gender.{name}"]["n"] for name in ("Female", "Male")}


def entry(value: float, n: int, positives: int | None = None) -> dict:
    return {"value": value, "low": value, "high": value, "n": n, "positives": positives}


def test_a_share_of_shadow_rows_that_few_are_missing_from_is_hidden():
    every = {"rows": entry(9000, 9000, 900)}
    few = shown_estimates(every | {"shadow_scored_share": entry(79 / 81, 81), "shadow_withheld_share": entry(0, 79)})
    assert set(few["shadow_scored_share"].values()) == {None}
    assert few["shadow_withheld_share"]["value"] == 0
    assert shown_estimates(every | {"shadow_scored_share": entry(0.5, 81)})["shadow_scored_share"]["value"] == 0.5


def test_a_champion_compared_on_nearly_all_test_rows_does_not_tell_who_is_new():
    estimates = {"rows": entry(9000, 9000, 900), "auroc_test": entry(0.7, 1800, 180)}
    nearly = shown_estimates(estimates | {"champion_auroc_difference": entry(0.01, 1795, 178)})
    assert nearly["champion_auroc_difference"] == entry(0.01, 1795) | {"n": None}
    half = estimates | {"champion_auroc_difference": entry(0.01, 900, 90)}
    assert shown_estimates(half)["champion_auroc_difference"]["n"] == 900


def test_a_gap_between_shares_that_tell_few_people_is_rounded_or_hidden(make_rows, settings):
    assert [digits_shown(of) for of in (0, 10, 109, 110, 1100, 4700, 11_000)] == [0, 0, 0, 1, 2, 2, 3]
    gap = entry(0.12345, 9000, 900)
    shown = [shown_estimates({"equalised_odds_race": gap | {"digits": digits}})["equalised_odds_race"]["value"]
             for digits in (0, 1, 2)]  # fmt: skip
    assert shown == [None, None, 0.12]
    rows = make_rows(3000, seed=6).assign(race=None)
    rows.loc[rows.index[200:], "gender"] = "Female"
    few = evaluate(rows, **settings, replicates=2)
    assert telling_shares(few, few["groups"]["gender"], of_negatives=False) == {"Female", "Male"}
    assert few["estimates"]["equalised_odds_gender"]["digits"] == 0
    assert suppress_small_cells(few)["estimates"]["equalised_odds_gender"]["value"] is None


def test_a_count_and_a_share_by_themselves():
    assert [shown_count(count) for count in (0, 1, 10, 11)] == [0, None, None, 11]
    assert [in_words(count) for count in (0, 3, 11, 1200)] == ["0", "1 to 10", "11", "1,200"]
    assert [shown_share(count / 500, 500) for count in (0, 3, 11, 495, 500)] == [0, None, 0.022, None, 1]
