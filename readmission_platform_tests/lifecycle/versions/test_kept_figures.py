"""Figures kept for pages: the same as computed ones, believed only as the ledger vouches for them, in no decision."""

import json
from pathlib import Path
from typing import Any

import pytest

from readmission_platform.lifecycle.versions import version_facts
from readmission_platform.lifecycle.versions.evidence_document import evidence_document
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


def test_only_the_owner_can_read_them(home: Home):
    assert kept(home).stat().st_mode & 0o077 == 0
