"""Small cells are hidden, and cannot be worked out from what is left."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readmission_platform.evaluation import plots
from readmission_platform.evaluation.disclosure import hidden_cells, suppress_small_cells
from readmission_platform.evaluation.evidence import evaluate


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
    assert len(hidden) >= 2
    for name in hidden:
        assert shown["groups"]["race"][name]["n"] is None
        assert shown["groups"]["race"][name]["auroc"]["value"] is None
        assert set(shown["estimates"][f"observed_expected.race.{name}"].values()) == {None}
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
    assert plots.calibration_png(shown["curves"]).startswith(b"\x89PNG")
