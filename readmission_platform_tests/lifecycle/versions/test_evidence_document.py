"""The evidence document: complete, the same whoever makes it, and without small counts."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from readmission_platform.config.files import gate_policy
from readmission_platform.foundation.errors import BadInput
from readmission_platform.lifecycle.versions import version_facts
from readmission_platform.lifecycle.versions.evidence_document import document_bytes, evidence_document
from readmission_platform_tests.support.homes import MODEL, Home

KEYS = {
    *(
        "format",
        "model",
        "words",
        "version",
        "source",
        "limit_set",
        "provenance",
        "cohort",
        "schema",
        "n",
        "positives",
        "entities",
    ),
    *("prevalence", "settings", "estimates", "curves", "groups", "baselines", "comparisons", "explanations", "gates"),
    *("verdict", "policy_digest", "robustness"),
}


def made(home: Home, version: str = "1", *, without: tuple[str, ...] = (), unvalidated: bool = False) -> dict[str, Any]:
    """Make the document, as if the ledger had never recorded some of it."""
    with home.workspace() as workspace, home.ledger() as ledger:
        events, pointers = ledger.snapshot()
        kept = [
            replace(event, payload={name: value for name, value in event.payload.items() if name not in without})
            if event.kind == "version_trained" else event
            for event in events if not (unvalidated and event.kind == "version_validated")
        ]  # fmt: skip
        return evidence_document(version, events=kept, pointers=pointers, workspace=workspace)


@pytest.fixture(scope="module")
def document(trained_home: Home) -> dict[str, Any]:
    return made(trained_home)


def counts(value: Any, name: str = "") -> Iterator[tuple[str, int]]:
    """Yield everything that counts people or their encounters."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from counts(each, key)
    elif isinstance(value, list):
        for each in value:
            yield from counts(each, name)
    elif isinstance(value, int) and name in {"n", "positives", "entities", "rows", "counts"}:
        yield name, value


def test_it_has_every_section_and_is_plain_json(document: dict[str, Any]):
    assert set(document) == KEYS
    assert json.loads(document_bytes(document)) == document


def test_what_training_stored_is_what_anybody_can_make_again(trained_home: Home, tmp_path: Path):
    stored = trained_home.path / "reports" / MODEL / "1" / "evidence.json"
    elsewhere = trained_home.copy(tmp_path / "home")
    shutil.rmtree(elsewhere.path / "cache" / "figures")
    version_facts._documents.clear()
    assert stored.read_bytes() == document_bytes(made(elsewhere))


def test_it_holds_no_count_of_one_to_ten_people(document: dict[str, Any]):
    seen = list(counts({key: value for key, value in document.items() if key != "settings"}))
    assert len(seen) > 100
    assert not [(name, count) for name, count in seen if 0 < count <= 10]


def test_it_says_of_every_group_whether_it_could_be_judged_and_why(document: dict[str, Any]):
    groups = [group for members in document["groups"].values() for group in members.values()]
    assert {group["result"] for group in groups} == {"judged", "insufficient"}
    assert all(group["reason"] for group in groups)
    judged = [group for group in groups if group["result"] == "judged"]
    assert all(group["positives"] >= 100 and group["auroc"]["value"] is not None for group in judged)


def test_the_model_is_compared_with_every_baseline(document: dict[str, Any]):
    assert [entry["name"] for entry in document["baselines"]] == ["lace", "hospital", "number_inpatient", "logistic"]
    pairs = {(pair["first"], pair["second"]): pair["difference"] for pair in document["comparisons"]}
    assert len(pairs) == 10
    assert pairs["model", "lace"]["low"] > 0


def test_it_explains_what_the_model_relies_on(document: dict[str, Any]):
    explained = document["explanations"]
    losses = [row["loss"] for row in explained["importance"]]
    assert losses == sorted(losses, reverse=True)
    assert all(row["low"] <= row["loss"] <= row["high"] for row in explained["importance"])
    assert len(explained["effects"]) == 8
    for effect in explained["effects"]:
        assert effect["kind"] in ("number", "category")
        assert all(0 < point["low"] <= point["risk"] <= point["high"] < 1 for point in effect["points"])
    assert explained["adds_up"]["largest_difference_log_odds"] < 1e-9


def test_a_version_can_be_rebuilt_from_what_is_recorded(document: dict[str, Any], trained_home: Home):
    provenance = document["provenance"]
    for part in ("data", "split"):
        location = provenance[part]
        assert len(trained_home.lake.read(location["table"], version=location["table_version"])) == document["n"]
    recipe = provenance["recipe"]
    assert set(recipe) == {"algorithm", "settings", "folds", "inputs", "features"}
    assert set(recipe["settings"]) >= {"boosting", "target_smoothing"}
    flow = {row["step"]: row["rows"] for row in document["cohort"]["flow"]}
    assert flow["encounters in the source"] == 14_000
    assert flow["development (first part of the proxy clock)"] == document["cohort"]["rows"] == document["n"]


def test_it_says_what_training_did_not_record(trained_home: Home):
    bare = made(trained_home, without=("recipe", "split", "cohort", "explanations"))
    assert (bare["cohort"], bare["explanations"], bare["provenance"]["recipe"]) == (None, None, None)
    assert bare["provenance"]["split"]["digest"]
    assert bare["provenance"]["split"]["table_version"] is None


def test_a_version_that_was_not_judged_has_no_verdict(trained_home: Home):
    unjudged = made(trained_home, unvalidated=True)
    assert (unjudged["verdict"], unjudged["gates"], unjudged["policy_digest"]) == (None, [], None)
    assert unjudged["estimates"]["auroc"]["value"] is not None


def test_an_unknown_version_is_refused(trained_home: Home):
    with pytest.raises(BadInput, match="no version 9"):
        made(trained_home, "9")
    refused = trained_home.command("report", "9")
    assert refused.code == 2
    assert "no version 9" in refused.err


def test_without_its_rows_a_version_has_no_evidence(trained_home: Home, changing):
    home = changing(trained_home)
    shutil.rmtree(home.lake.root / "model_evidence")
    refused = home.command("report", "1")
    assert refused.code == 3
    assert "evidence rows of version 1 are gone" in refused.err


def test_training_checked_that_dealt_out_labels_teach_nothing(document: dict[str, Any], trained_home: Home):
    found = document["estimates"]["permuted_labels_auroc"]["value"]
    with trained_home.workspace() as workspace:
        limits = gate_policy(workspace.settings, workspace.name).gates["leakage_permuted_labels"].limits["synthetic"]
    assert limits.at_least <= found <= limits.at_most
