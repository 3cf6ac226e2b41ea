"""The evidence report: a page made from the evidence document and from nothing else."""

import copy
import html
import json
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from readmission_platform.evaluation.words import Wording
from readmission_platform.foundation.counting import BELOW_INTERVAL
from readmission_platform.reports import evidence_report
from readmission_platform.reports.evidence_report import PICTURES, SECTIONS, evidence_html
from readmission_platform.reports.review import figure
from readmission_platform_tests.support.homes import MODEL, Home

NUMBER = re.compile(r"(?<![\w.])[+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]\d+)?")


def text_of(page: str) -> str:
    without_style = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", " ", without_style))


def numbers_in(text: str) -> set[str]:
    return {found.lstrip("+-").rstrip(",") for found in NUMBER.findall(text)}


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from leaves(each)
    elif isinstance(value, list):
        yield len(value)
        for each in value:
            yield from leaves(each)
    else:
        yield value


def written(value: Any) -> set[str]:
    """Return every way in which the page may write what the document holds."""
    if isinstance(value, str):
        said = value.replace("T", " ").replace("_", " ")
        return numbers_in(said) | numbers_in(said[:19])  # moments are told to the second
    if isinstance(value, bool) or value is None:
        return set()
    forms = {str(value), figure(value), f"{value:,}", f"{100 * value:.1f}", f"{value:.1e}"}
    forms |= {f"{value:,.{digits}f}" for digits in range(5)}
    return {form.lstrip("-") for form in forms}


@pytest.fixture(scope="module")
def document(trained_home: Home) -> dict[str, Any]:
    stored = trained_home.path / "reports" / MODEL / "1" / "evidence.json"
    return json.loads(stored.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(document: dict[str, Any]) -> str:
    return evidence_html(document)


def test_every_number_on_the_page_comes_from_the_document(page: str, document: dict[str, Any]):
    template = files(evidence_report.__package__).joinpath("evidence_report.html.j2").read_text(encoding="utf-8")
    wording = Wording.of(document)
    known = numbers_in(text_of(template) + " ".join(wording.label(name) for name in document["estimates"]))
    for value in leaves(document):
        known |= written(value)
    candidate = [gate["result"] for gate in document["gates"] if gate["stage"] == "candidate"]
    known |= written(len(candidate)) | written(candidate.count("pass")) | written(candidate.count("insufficient"))
    assert not numbers_in(text_of(page)) - known
    assert len(numbers_in(text_of(page))) > 300


def test_every_estimate_of_the_document_is_on_the_page_or_has_a_table_of_its_own(document: dict[str, Any]):
    listed = [pattern.removesuffix("*") for patterns in SECTIONS.values() for pattern in patterns]
    elsewhere = ["auroc_gain_over_", "observed_expected.", "rows"]
    of_champion = dict.fromkeys(["champion_brier_difference", "champion_net_benefit_difference_at_0.1"])
    for name in document["estimates"] | of_champion:
        assert name.startswith((*listed, *elsewhere)), name


CHANGES: dict[tuple[Any, ...], tuple[float, str]] = {
    ("estimates", "auroc", "value"): (4.3212, "4.321 ("),
    ("estimates", "ece", "high"): (5.4321, "5.4321)"),
    ("groups", "gender", "Female", "observed_expected", "low"): (6.5432, "(6.543 to"),
    ("comparisons", 0, "difference", "value"): (7.6543, "+7.6543 ("),
    ("explanations", "importance", 2, "loss"): (8.7654, "+8.7654 ("),
    ("explanations", "effects", 0, "points", 1, "risk"): (9.8761, "9.876 ("),
    ("gates", 0, "observed"): (3.4568, "3.457"),
    ("n",): (987654, "987,654 encounters of"),
}


def test_what_changes_in_the_document_changes_on_the_page(document: dict[str, Any], page: str):
    changed = copy.deepcopy(document)
    for path, (value, _) in CHANGES.items():
        place = changed
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value
    text, before = text_of(evidence_html(changed)), text_of(page)
    for path, (_, told) in CHANGES.items():
        assert told in text, path
        assert told not in before, path


def test_the_page_loads_nothing_from_anywhere_and_prints_whole_rows(page: str, document: dict[str, Any]):
    assert not re.search(r"https?://|<script|<link|@import|url\(", page)
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(sources) == len(PICTURES) + 1 + len(document["explanations"]["effects"])
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert all(alt for alt in re.findall(r'<img [^>]*alt="([^"]*)"', page))
    assert "@page" in page
    assert "table-header-group" in page


def test_it_says_what_is_synthetic_what_an_effect_is_not_and_what_has_not_been_studied(page: str):
    text = " ".join(text_of(page).split())
    assert "Trained on synthetic data" in text
    assert "what the model does, not what causes readmissions" in text
    assert "readmission study 1" in text


def test_a_version_of_which_little_is_known_has_a_page_too(document: dict[str, Any]):
    bare = copy.deepcopy(document) | {"cohort": None, "explanations": None, "gates": [], "verdict": None}
    bare["provenance"] |= {"recipe": None, "data": None}
    bare["baselines"], bare["comparisons"] = bare["baselines"][:3], []
    del bare["curves"]["roc"]["baselines"]["logistic"], bare["curves"]["decision"]["baselines"]["logistic"]
    text = text_of(evidence_html(bare))
    assert "this model gives no explanations" in text
    assert "Not judged yet" in text


def test_the_verdict_names_each_candidate_gate_that_could_not_be_judged(document: dict[str, Any]):
    changed = copy.deepcopy(document) | {"verdict": "pass"}
    changed["gates"] = [gate for gate in changed["gates"] if gate["stage"] == "candidate"]
    for gate in changed["gates"]:
        gate["result"] = "pass"
    assert "Accepted by every candidate gate" in text_of(evidence_html(changed))
    changed["gates"][3] |= {"result": "insufficient", "detail": "Asian: fewer than 100 events"}
    text = " ".join(text_of(evidence_html(changed)).split())
    assert "by every candidate gate" not in text
    asked = len(changed["gates"])
    assert f"{asked - 1} of {asked} candidate gates passed, 1 could not be judged" in text
    assert f"Not judged: {changed['gates'][3]['gate']} (Asian: fewer than 100 events)" in text


def test_a_figure_below_its_own_interval_has_a_footnote_and_no_other_has(document: dict[str, Any]):
    changed = copy.deepcopy(document)
    for each in [*changed["estimates"].values(), *changed["gates"]]:
        if each["low"] is not None:
            each["low"] = min(each["low"], each["value"] if "value" in each else each["observed"])
    assert BELOW_INTERVAL not in text_of(evidence_html(changed))
    changed["estimates"]["ece"] |= {"value": 0.0071, "low": 0.0082, "high": 0.0111}
    text = text_of(evidence_html(changed))
    assert "0.0071 (0.0082 to 0.0111) *" in text
    assert text.count(BELOW_INTERVAL) == 1


def test_the_command_writes_the_page_and_prints_the_document(
    trained_home: Home, document: dict[str, Any], page: str, tmp_path: Path
):
    target = tmp_path / "evidence.html"
    outcome = trained_home.command("report", "1", "--out", str(target), "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json == document
    assert target.read_text(encoding="utf-8") == page
    refused = trained_home.command("report", "1", "--out", str(tmp_path))
    assert refused.code == 2
    assert "--out" in refused.err
