"""The model card as an asset and as a command: written with every judged version, blocking nothing."""

import shutil
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
import yaml

from readmission_platform.config.environment import PROJECT_ROOT
from readmission_platform_tests.support.homes import MODEL, Home

CHECK = dg.AssetCheckKey(dg.AssetKey("model_card"), "model_card_complete")


@pytest.fixture
def unfilled(trained_home: Home, tmp_path: Path, changing: Callable[[Home], Home]) -> Home:
    """Return a home whose card has an empty field."""
    configs = tmp_path / "configs"
    shutil.copytree(PROJECT_ROOT / "configs", configs)
    content = yaml.safe_load((configs / "models" / "readmission_30d" / "model_card.yaml").read_text(encoding="utf-8"))
    content["texts"]["intended_use"]["text"] = ""
    (configs / "models" / "readmission_30d" / "model_card.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return changing(trained_home).having(READMISSION_CONFIGS=str(configs))


def test_a_training_leaves_a_complete_card_as_page_and_as_text(trained_home: Home):
    folder = trained_home.path / "reports" / MODEL / "1"
    assert (folder / "model_card.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert (folder / "model_card.md").read_text(encoding="utf-8").startswith(f"# Model card: {MODEL}, version 1")
    with trained_home.instance() as instance:
        (checked,) = instance.event_log_storage.get_asset_check_execution_history(CHECK, limit=10)
    assert checked.event is not None
    assert checked.event.dagster_event is not None
    evaluation = checked.event.dagster_event.asset_check_evaluation_data
    assert evaluation.passed
    assert not evaluation.blocking


def test_an_empty_field_fails_the_check_and_nothing_else(unfilled: Home):
    result = unfilled.materialize("model_card")
    assert result.success
    (evaluation,) = result.get_asset_check_evaluations()
    assert not evaluation.passed
    assert "text intended_use" in str(evaluation.metadata["observed"].value)
    assert unfilled.command("promote", "--version", "1", "--to-stage", "staging").code == 0


def test_the_command_writes_the_card_in_the_form_its_name_tells_and_says_what_is_missing(
    unfilled: Home, tmp_path: Path
):
    target = tmp_path / "card.md"
    outcome = unfilled.command("card", "1", "--out", str(target))
    assert outcome.code == 0
    assert target.read_text(encoding="utf-8").startswith("# Model card")
    assert "missing from the card: text intended_use" in outcome.err


def test_the_command_says_the_same_to_scripts(trained_home: Home):
    found = trained_home.command("card", "1", "--json").json
    assert (found["model"], found["version"], found["gaps"]) == (MODEL, "1", [])
    assert {walk["id"]: len(walk["items"]) for walk in found["crosswalks"]} == {"onc": 31, "chai": 41, "tripod_ai": 52}


def test_a_rejected_version_has_a_card_too_when_asked_for(blocked_home: Home, tmp_path: Path):
    target = tmp_path / "card.html"
    assert blocked_home.command("card", "2", "--out", str(target)).code == 0
    assert "rejected" in target.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("card", "99"), "no version 99"),
        (("card", "1", "--format", "pdf"), "--format"),
        (("card", "1", "--out", "/proc/nowhere/card.html"), "--out"),
    ],
)
def test_what_cannot_be_done_is_bad_input_in_one_line(trained_home: Home, arguments: tuple[str, ...], said: str):
    outcome = trained_home.command(*arguments)
    assert outcome.code == 2
    assert said in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1


def test_without_a_judged_version_there_is_no_card_and_no_failure(tmp_path: Path):
    result = Home.new(tmp_path / "home").materialize("model_card")
    assert result.success
    (evaluation,) = result.get_asset_check_evaluations()
    assert evaluation.passed
