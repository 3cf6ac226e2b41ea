"""How much of a version is chance: the recipe fitted again, recorded, and shown."""

import json
from typing import Any

import pytest

from readmission_platform.reports.evidence_report import evidence_html
from readmission_platform_tests.conftest import Moments, commanded
from readmission_platform_tests.support.homes import MODEL, Home, Outcome

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def studied(moments: Moments, small_home: Home) -> tuple[Home, dict[str, Any]]:
    """A version trained on few encounters, and its study with two seeds."""

    def live(path) -> Outcome:
        return commanded(small_home.copy(path), ("study", "1", "--seeds", "2", "--json"))

    home, outcome = moments.lived("studied", live)
    return home, outcome.json


def test_the_version_s_own_seed_gives_the_recorded_scores_again(studied: tuple[Home, dict[str, Any]]):
    seeds = studied[1]["seeds"]
    assert seeds["own_seed_difference"] == 0
    assert len(set(seeds["used"])) == 2


def test_it_tells_how_figures_scores_lists_and_reasons_move_with_the_seed(studied: tuple[Home, dict[str, Any]]):
    found = studied[1]
    figures = {row["name"]: row for row in found["seeds"]["figures"]}
    assert set(figures) == {"auroc", "brier_skill", "calibration_slope", "observed_expected", "recall_at_flag"}
    assert all(row["low"] <= row["mean"] <= row["high"] and row["sd"] >= 0 for row in figures.values())
    assert 0.5 < found["seeds"]["rank_correlation"]["mean"] < 1
    assert 0 < found["seeds"]["flagged_overlap"]["mean"] <= 1
    assert found["seeds"]["gates"]["of"] == 2
    assert found["reasons"]["shared"] > found["reasons"]["by_chance"]
    assert found["reasons"]["largest_difference_log_odds"] < 1e-9


def test_it_tells_what_hangs_on_the_cohort_rule_and_what_was_refitted(studied: tuple[Home, dict[str, Any]]):
    rules = studied[1]["cohort_rules"]
    assert [rule["kind"] for rule in rules].count("refitted") == 3
    assert rules[0]["rule"] == "the shipped rule"
    assert all(rule["n"] is None or rule["n"] > 10 for rule in rules)
    for rule in rules:
        assert rule["figures"]["auroc"]["low"] < rule["figures"]["auroc"]["value"] < rule["figures"]["auroc"]["high"]


def test_the_shipped_rule_has_the_figures_of_the_evidence(studied: tuple[Home, dict[str, Any]]):
    home, found = studied
    document = json.loads((home.path / "reports" / MODEL / "1" / "evidence.json").read_text("utf-8"))
    for name in ("auroc", "brier_skill", "calibration_slope", "observed_expected"):
        ours = found["cohort_rules"][0]["figures"][name]["value"]
        assert ours == pytest.approx(document["estimates"][name]["value"], rel=1e-6)


def test_it_is_in_the_ledger_the_document_and_on_the_page_and_changes_no_state(studied: tuple[Home, dict[str, Any]]):
    home, found = studied
    assert home.kinds().count("version_studied") == 1
    assert set(home.stages.values()) == {None}
    shown = home.command("report", "1", "--json").json
    assert {"version": "1", **shown["robustness"]} == found
    page = evidence_html(shown)
    assert "not studied yet" not in page.lower()
    assert "trained and judged on first encounters only" in page


def test_an_unknown_version_or_too_few_seeds_are_refused(studied: tuple[Home, dict[str, Any]]):
    assert studied[0].command("study", "9").code == 2
    assert studied[0].command("study", "1", "--seeds", "1").code == 2
