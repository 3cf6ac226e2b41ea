"""`readmission models`, and `--model` on every command: the only model, the one that is named, or one line asks."""

import shutil
from pathlib import Path

import pytest

from readmission_platform.config.environment import PROJECT_ROOT
from readmission_platform_tests.support.homes import MODEL, Home

OTHER = "frequent_visits"
BOTH = {"READMISSION_MODELS": f"{MODEL},{OTHER}"}


@pytest.fixture
def empty(tmp_path: Path) -> Home:
    return Home.new(tmp_path / "home")


def test_it_lists_what_each_model_predicts_whose_it_is_and_what_is_live(lived_home: Home):
    found = {each["model"]: each for each in lived_home.command("models", "--json").json}
    assert set(found) == {MODEL, OTHER}
    ours, theirs = found[MODEL], found[OTHER]
    assert (ours["in_use"], ours["example"], ours["stages"]) == (True, False, {"staging": None, "production": "1"})
    assert (theirs["in_use"], theirs["example"]) == (False, True)
    assert all(each["title"] and each["owner"] and each["cost_center"] for each in found.values())
    shown = lived_home.command("models").out
    assert MODEL in shown
    assert "example" in shown


def test_with_one_model_nobody_has_to_name_it(lived_home: Home):
    named = lived_home.command("status", "--json", "--model", MODEL)
    assert named.code == 0
    assert named.json == lived_home.command("status", "--json").json


@pytest.mark.parametrize("command", [("status",), ("train",), ("policy", "show"), ("quarantine", "list"), ("monitor",)])
def test_with_several_it_is_asked_for_in_one_line(empty: Home, command: tuple[str, ...]):
    asked = empty.having(**BOTH).command(*command)
    assert asked.code == 2
    assert asked.err.strip().splitlines() == [
        f"error: several models are in use here: choose one with --model ({MODEL}, {OTHER})"
    ]


def test_with_several_each_is_reached_by_its_name(lived_home: Home):
    home = lived_home.having(**BOTH)
    assert home.command("status", "--json", "--model", MODEL).json["stages"]["production"]["version"] == "1"
    assert home.command("status", "--json", "--model", OTHER).json["stages"]["production"]["version"] is None


def test_a_model_that_is_not_in_use_says_how_it_comes_into_use(empty: Home):
    outcome = empty.command("status", "--model", OTHER)
    assert outcome.code == 2
    assert f"READMISSION_MODELS={MODEL},{OTHER}" in outcome.err


@pytest.mark.parametrize("command", [("status",), ("gates", "1"), ("worklist",), ("alerts", "list"), ("drift", "list")])
def test_a_model_that_there_is_not_is_one_line_with_those_in_use(empty: Home, command: tuple[str, ...]):
    outcome = empty.command(*command, "--model", "nobody")
    assert outcome.code == 2
    assert outcome.err.strip() == f"error: --model: there is no model 'nobody'; in use here: {MODEL}"


WRONG = {
    "defs.yaml": ("prefix: frequent_visits", "prefix: 7x", "defs.yaml: attributes: Value error, prefix has to be"),
    "contract": ("models.frequent_visits", "models.nowhere", "nowhere: cannot be imported"),
    "owner": ("  owner: team:data-science\n", "", "defs.yaml: attributes.owner: Field required"),
    "cost center": ("  cost_center: none\n", "", "defs.yaml: attributes.cost_center: Field required"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_model_whose_files_are_wrong_is_named_and_keeps_no_command_from_the_others(lived_home: Home, wrong: str):
    right, instead, why = WRONG[wrong]
    configs = lived_home.path.parent / f"configs {wrong}"
    shutil.copytree(PROJECT_ROOT / "configs", configs, dirs_exist_ok=True)
    file = configs / "models" / OTHER / "defs.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace(right, instead), encoding="utf-8")
    home = lived_home.having(**BOTH, READMISSION_CONFIGS=str(configs))
    found = {each["model"]: each for each in home.command("models", "--json").json}
    assert why in found[OTHER]["error"]
    assert found[MODEL]["error"] is None
    assert found[MODEL]["stages"]["production"] == "1"
    assert why in home.command("models").out
    assert home.command("status", "--model", MODEL).code == 0
    asked = home.command("status", "--model", OTHER)
    assert asked.code == 2
    (line,) = asked.err.strip().splitlines()
    assert why in line
    alone = home.having(READMISSION_MODELS=OTHER).command("status")
    assert (alone.code, alone.err.strip()) == (2, line)


def test_a_model_that_is_not_in_use_is_listed_with_what_the_ledger_says_of_it(lived_home: Home):
    found = lived_home.having(READMISSION_MODELS=OTHER).command("models", "--json").json
    assert {each["model"]: (each["in_use"], each["stages"]["production"]) for each in found} == {
        MODEL: (False, "1"), OTHER: (True, None)}  # fmt: skip


def test_a_wrong_file_that_is_read_later_is_named_before(empty: Home):
    configs = empty.path.parent / "configs"
    shutil.copytree(PROJECT_ROOT / "configs", configs)
    (configs / "models" / MODEL / "gates.yaml").write_text("gates: 7")
    (found,) = [each for each in empty.having(READMISSION_CONFIGS=str(configs)).command("models", "--json").json
                if each["model"] == MODEL]  # fmt: skip
    assert "gates.yaml" in found["error"]


def test_variables_that_are_set_and_empty_mean_what_unset_ones_mean(empty: Home):
    found = empty.having(READMISSION_MODELS="").command("models", "--json").json
    assert {each["model"] for each in found if each["in_use"]} == {MODEL}


def test_what_a_message_advises_names_the_model_that_was_asked_about(lived_home: Home):
    home = lived_home.having(**BOTH)
    assert f"`readmission status --model {MODEL}` lists them" in home.command("gates", "99", "--model", MODEL).err
    assert "`readmission status` lists them" in lived_home.command("gates", "99").err


def test_commands_about_the_installation_need_no_model(empty: Home):
    home = empty.having(**BOTH)
    for command in (("models",), ("alerts", "list"), ("alerts", "check"), ("audit", "verify")):
        outcome = home.command(*command)
        assert outcome.code == 0, (command, outcome.err)
