"""Figures kept for pages: the same as computed ones, believed only as the ledger vouches for them, in no decision."""

import json
from pathlib import Path
from typing import Any

import pytest

from readmission_platform.governance.ledger.versions import version_records
from readmission_platform.lifecycle.versions import version_facts
from readmission_platform.lifecycle.versions.evidence_document import evidence_document
from readmission_platform.lifecycle.versions.kept_figures import kept_comparison
from readmission_platform_tests.support.homes import Home


@pytest.fixture
def home(trained_home: Home, tmp_path: Path) -> Home:
    version_facts._documents.clear()
    return trained_home.copy(tmp_path / "home")


def kept(home: Home) -> Path:
    (file,) = (home.path / "cache" / "figures").rglob("*.json")
    return file


def shown(home: Home) -> dict[str, Any]:
    """Make the evidence document as a command does that starts anew."""
    version_facts._documents.clear()
    with home.workspace() as workspace, home.ledger() as ledger:
        events, pointers = ledger.snapshot()
        return evidence_document("1", events=events, pointers=pointers, workspace=workspace)


def overstate(home: Home) -> None:
    """Write a better AUROC into the kept figures than the version has."""
    figures = json.loads(kept(home).read_bytes())
    figures["estimates"]["auroc"]["value"] = 0.99
    kept(home).write_text(json.dumps(figures))


def test_what_is_shown_is_the_same_with_the_kept_figures_and_without(home: Home):
    with_them = shown(home)
    kept(home).unlink()
    assert shown(home) == with_them


@pytest.mark.parametrize("content", ["", "{", "[]", "{}"])
def test_a_file_that_is_damaged_costs_time_and_nothing_else(home: Home, content: str):
    before = shown(home)
    kept(home).write_text(content)
    assert shown(home) == before


def test_figures_that_somebody_changed_are_not_shown(home: Home):
    before = shown(home)
    overstate(home)
    assert shown(home) == before


def test_verification_computes_anew_whatever_the_kept_figures_say(home: Home):
    overstate(home)
    checks = {check["name"]: check["result"] for check in home.command("verify", "1", "--json").json["checks"]}
    assert checks["metrics_recomputed"] == "pass"


def test_the_comparison_with_production_made_at_validation_is_shown_again_as_it_would_be_computed(
    challenged_home: Home,
):
    with challenged_home.workspace() as workspace, challenged_home.ledger() as ledger:
        records = version_records(*ledger.snapshot())
        ours, theirs = (version_facts.recorded_evidence(workspace.lake, records[version]) for version in ("2", "1"))
        found = kept_comparison(records["2"], workspace)
        assert found is not None
        assert found == (records["1"].evidence_digest, version_facts.champion_estimates(ours, theirs, workspace.config))
        assert len(found[1]) > 3
        assert kept_comparison(records["1"], workspace) is None
        version_facts._documents.clear()
        version_facts.recall_figures(records["2"], workspace)
        assert found[1] in version_facts._documents.values()


def test_only_the_owner_can_read_them(home: Home):
    assert kept(home).stat().st_mode & 0o077 == 0
