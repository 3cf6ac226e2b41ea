"""The approver's page: complete, self-contained, and without any patient's values."""

import html
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from readmission_platform.evaluation.words import Wording
from readmission_platform.lifecycle.versions.review import review_of
from readmission_platform.reports.review import count, figure, interval, review_html, signed
from readmission_platform_tests.conftest import SHADOW_DAYS
from readmission_platform_tests.support.homes import MODEL, Home


def page_values(home: Home, version: str) -> dict[str, Any]:
    with home.workspace() as workspace, home.ledger() as ledger:
        return review_of(version, ledger=ledger, workspace=workspace)


@pytest.fixture(scope="module")
def page(shadowed_home: Home, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of version 2, which is in staging beside version 1 in production."""
    target = tmp_path_factory.mktemp("page") / "review.html"
    outcome = shadowed_home.command("review", "2", "--out", str(target), "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json == {"version": "2", "page": str(target)}
    return target.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def values(shadowed_home: Home) -> dict[str, Any]:
    return page_values(shadowed_home, "2")


def text_of(page: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)))


def test_the_page_loads_nothing_from_anywhere(page: str):
    assert not re.search(r"https?://|<script|<link|@import|url\(", page)
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(sources) == 4
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert "default-src 'none'" in page


def test_it_prints_with_whole_rows_and_repeated_headers(page: str):
    assert "@page" in page
    assert "table-header-group" in page
    assert "break-inside: avoid" in page


def test_it_says_what_stands_between_the_version_and_production(page: str, values: dict[str, Any]):
    assert values["verdict"]["text"] == "Ready for your decision"
    assert "Ready for your decision" in text_of(page)
    assert "Trained on synthetic data" in text_of(page)


def test_it_compares_with_production_side_by_side_with_paired_differences(page: str, values: dict[str, Any]):
    assert values["champion"] == "1"
    rows = {row["label"]: row for row in values["figures"]}
    auroc = next(row for label, row in rows.items() if label.startswith("AUROC: "))
    assert auroc["ours"]["value"] == pytest.approx(auroc["theirs"]["value"])
    assert auroc["difference"]["low"] <= auroc["difference"]["value"] <= auroc["difference"]["high"]
    assert {row["what"]: row["same"] for row in values["changes"]}["data"] is True
    assert "Version 1 is in production; version 2 would replace it." in text_of(page)


def test_every_gate_of_every_step_is_there_in_plain_words(page: str, values: dict[str, Any]):
    assert {"candidate", "staging", "production"} == {gate["stage"] for gate in values["gates"]}
    for gate in values["gates"]:
        assert gate["gate"] in page
        assert gate["rule"] in text_of(page)


def test_groups_too_small_to_judge_are_named_and_the_warning_must_be_acknowledged(values: dict[str, Any]):
    small = {group["name"] for group in values["groups"] if group["insufficient"]}
    assert "Asian" in small
    assert [gate["gate"] for gate in values["warnings"]] == ["fairness_observed_expected_race"]


def test_page_and_evidence_agree_on_which_groups_are_judged(values: dict[str, Any], shadowed_home: Home):
    stored = shadowed_home.path / "reports" / MODEL / "2" / "evidence.json"
    evidence = json.loads(stored.read_text(encoding="utf-8"))
    wording = Wording.of(evidence)
    judged = {wording.group(attribute, name): group["result"] == "judged"
              for attribute, groups in evidence["groups"].items() for name, group in groups.items()}  # fmt: skip
    assert {group["words"]: not group["insufficient"] for group in values["groups"]} == judged
    assert set(judged.values()) == {True, False}


def test_no_count_of_one_to_ten_people_is_shown_or_implied(values: dict[str, Any]):
    for group in values["groups"]:
        if group["hidden"]:
            assert group["n"] is None
            continue
        negatives = group["n"] - group["positives"]
        assert all(people == 0 or people > 10 for people in (group["n"], group["positives"], negatives))
        if not group["share_hidden"]:
            found = round(group["tpr"]["value"] * group["positives"])
            assert all(people == 0 or people > 10 for people in (found, group["positives"] - found))


def test_digests_runs_trainer_and_the_exact_commands_are_there(page: str, values: dict[str, Any], shadowed_home: Home):
    with shadowed_home.ledger() as ledger:
        trained = ledger.events(kind="version_trained", version="2")[0].payload
    for said in (trained["artifact"]["digest"], trained["evidence"]["digest"], trained["mlflow_run_id"],
                 trained["trained_by"], values["policy_digest"], values["meaning"]):  # fmt: skip
        assert said in text_of(page)
    assert "readmission approve --version 2 --reason 'WHY' --approver YOUR_IDENTITY --key YOUR_KEY.pem" in text_of(page)
    assert "--to-stage production --reason 'WHY' --replace" in text_of(page)


def test_the_days_in_the_shadow_are_listed_with_their_agreement(page: str, values: dict[str, Any], shadowed_home: Home):
    days = [each["day"] for each in values["shadow"]["days"]]
    assert days == shadowed_home.landed()[-SHADOW_DAYS:]
    assert all(each["compared"] and each["rank_correlation"] for each in values["shadow"]["days"])
    assert f"{SHADOW_DAYS} days complete, 3 required" in text_of(page)


def test_no_encounter_patient_or_pseudonym_is_on_the_page(page: str, shadowed_home: Home):
    words = set(re.findall(r"\w+", text_of(page)))
    encounters = shadowed_home.lake.read("eligible_encounters", columns=["encounter_id", "entity_key"])
    assert not words & set(encounters["encounter_id"].astype(str))
    assert not words & set(encounters["entity_key"])


def test_it_lies_among_the_versions_reports_by_default(shadowed_home: Home, changing: Callable[[Home], Home]):
    home = changing(shadowed_home)
    assert home.command("review", "2").code == 0
    folder = home.path / "reports" / MODEL / "2"
    assert (folder / "review.html").is_file()
    assert not [file for file in folder.iterdir() if file.name.startswith(".")]


def test_the_first_version_has_nothing_to_be_compared_with(trained_home: Home, changing: Callable[[Home], Home]):
    home = changing(trained_home)
    found = page_values(home, "1")
    assert found["champion"] is None
    assert found["verdict"]["text"] == "Not ready for production"
    assert "shadow days" in found["verdict"]["more"]
    assert "Nothing is in production yet" in review_html(found)


def test_a_version_in_production_and_a_rejected_one_have_nothing_to_approve(blocked_home: Home):
    live, rejected = page_values(blocked_home, "1"), page_values(blocked_home, "2")
    assert (live["verdict"]["text"], rejected["verdict"]["text"]) == ("In production", "Rejected")
    assert "What one reviews is a candidate or the version in staging" in live["verdict"]["more"]
    said = text_of(review_html(live))
    assert "Whoever approved the version acknowledged each of them by name." in said
    assert "It is there already." in said
    for each in (said, text_of(review_html(rejected))):
        assert "Gates that could not be judged" in each
        assert not re.search("Warnings to acknowledge|Your signature acknowledges|review for approval", each)
    assert "counted in the promotion" in live["approvals"][0]["counts"]
    for found in (live, rejected):
        assert "YOUR_KEY" not in review_html(found)
    assert rejected["gates"][0]["blocks"]


def test_what_people_wrote_cannot_become_markup(shadowed_home: Home, changing: Callable[[Home], Home], tmp_path: Path):
    home = changing(shadowed_home)
    assert home.command("approve", "--version", "2", "--reason", "<script>alert(1)</script>").code == 0
    target = tmp_path / "page.html"
    assert home.command("review", "2", "--out", str(target)).code == 0
    page = target.read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "Approved and ready for production" in page


def test_changed_evidence_is_said_instead_of_figures(shadowed_home: Home, changing: Callable[[Home], Home]):
    home = changing(shadowed_home)
    for file in (home.lake.root / "model_evidence" / "version=2").glob("*.parquet"):
        file.write_bytes(file.read_bytes()[:500])
    found = page_values(home, "2")
    assert (found["pictures"], found["groups"], found["cohort"]) == ([], [], None)
    assert "missing or was changed" in review_html(found)


def test_an_unknown_version_or_a_place_that_cannot_be_written_is_bad_input(shadowed_home: Home, tmp_path: Path):
    assert shadowed_home.command("review", "99").code == 2
    assert shadowed_home.command("review", "2", "--out", str(tmp_path)).code == 2


@pytest.mark.parametrize(
    ("people", "shown"), [(0, "0"), (1, "hidden"), (10, "hidden"), (11, "11"), (12345, "12,345"), (None, "hidden")]
)
def test_counts_of_one_to_ten_are_hidden(people: int | None, shown: str):
    assert count(people) == shown


def test_figures_keep_the_digits_that_matter():
    assert figure(None) == "\N{EN DASH}"
    assert interval({"value": 0.68612, "low": 0.67, "high": 0.7}) == "0.686 (0.670 to 0.700)"
    assert interval({"value": 0.0021, "low": 0.001, "high": 0.0035}) == "0.0021 (0.0010 to 0.0035)"
    assert interval({"value": 17563.0, "low": 17563.0, "high": 17563.0}) == "17,563"
    assert signed({"value": -0.001, "low": -0.002, "high": 0.0005}) == "-0.0010 (-0.0020 to +0.0005)"
