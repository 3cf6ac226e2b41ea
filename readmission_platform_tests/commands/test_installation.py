"""The home is the one that was named: nothing else is made, read or written."""

import os
import pwd
from pathlib import Path

import pytest

from readmission_platform.config.environment import Settings, user_of_machine
from readmission_platform.servers import serve_mlflow
from readmission_platform_tests.support.homes import Home

READING = (("status",), ("models",), ("gates", "1"), ("audit", "verify"), ("verify", "1"), ("worklist",), ("timeline",),
           ("trace", "1"), ("monitor",), ("monitor", "--prometheus", "-"), ("alerts", "list"), ("policy", "show"),
           ("quarantine", "list"), ("card", "1"), ("review", "1"), ("reconcile", "--dry-run"), ("mlflow-ui",),
           ("pages",), ("score", "--date", "2026-01-05"), ("promote", "--version", "1", "--dry-run"))  # fmt: skip


@pytest.mark.parametrize("command", READING, ids=" ".join)
@pytest.mark.parametrize("there", ["nothing", "a folder", "a file"])
def test_what_only_reads_says_that_there_is_no_home_and_makes_none(
    tmp_path: Path, command: tuple[str, ...], there: str
) -> None:
    path = tmp_path / "typo"
    if there == "a folder":
        path.mkdir()
    elif there == "a file":
        path.write_text("")
    outcome = Home(path).command(*command)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == (
        f"error: there is no home in {path}: `readmission setup` makes one, READMISSION_HOME names another\n"
    )
    assert not path.is_dir() or list(path.iterdir()) == []


def test_the_configuration_of_alerts_is_verified_without_a_home(tmp_path: Path) -> None:
    assert Home(tmp_path / "none").command("alerts", "check").code == 0
    assert list(tmp_path.iterdir()) == []


def test_what_makes_something_makes_the_home(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    assert "nothing to replay" in home.command("replay").err
    assert home.command("status").code == 0


def test_a_home_that_is_a_link_or_a_relative_path_is_the_folder_that_it_leads_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home.new(tmp_path / "home")
    (tmp_path / "link").symlink_to(home.path)
    monkeypatch.chdir(tmp_path)
    known = home.command("status", "--json").json["installation"]
    for named in (str(tmp_path / "link"), "home", "./link/../home"):
        assert home.having(READMISSION_HOME=named).command("status", "--json").json["installation"] == known


@pytest.mark.parametrize("named", ["", "~nobody-of-this-name/home", "/tmp/\udcff"])
def test_a_home_that_is_no_path_is_refused_in_one_line(tmp_path: Path, named: str) -> None:
    outcome = Home(tmp_path / "home", {"READMISSION_HOME": named}).command("status")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("error: READMISSION_HOME: ")
    assert outcome.err.count("\n") == 1


def test_the_runs_of_a_home_are_in_it_whatever_dagster_home_says(tmp_path: Path) -> None:
    home = Home(tmp_path / "home", {"DAGSTER_HOME": str(tmp_path / "another project")})
    home.command("replay")
    assert not (tmp_path / "another project").exists()
    assert (home.path / "dagster" / "history").is_dir()


def test_a_user_without_a_name_acts_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    nameless = next(
        number for number in range(60_000, 70_000) if number not in {each.pw_uid for each in pwd.getpwall()}
    )
    monkeypatch.setattr(os, "getuid", lambda: nameless)
    assert user_of_machine() == f"uid-{nameless}"
    assert Settings().actor == f"uid-{nameless}"


def test_nobody_but_its_owner_can_read_anything_in_a_home_that_was_lived_in(lived_home: Home) -> None:
    readable = {path for path in (lived_home.path, *lived_home.path.rglob("*")) if path.stat().st_mode & 0o077}
    lists = {path for path in readable if "work_lists" in path.parts}
    assert readable == lists
    assert not [path for path in lists if path.stat().st_mode & 0o027]  # their group is the care team's


def test_mlflow_opens_on_the_runs_of_each_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    home = Home.new(tmp_path / "home")
    handed_over: list[list[str]] = []
    monkeypatch.setattr(os, "execve", lambda _, command, environment: handed_over.append(command))
    serve_mlflow(Settings(home=home.path), {"readmission_30d": "7"}, port=5049)
    said = capfd.readouterr().out
    assert "http://127.0.0.1:5049/#/experiments/7/runs?workflowType=machine_learning" in said
    assert "registered versions of readmission_30d: http://127.0.0.1:5049/#/models/readmission_30d" in said
    assert handed_over[0][-2:] == ["--port", "5049"]
