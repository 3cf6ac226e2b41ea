"""The installation: a ledger belongs to one environment and one home, and what leads elsewhere is refused."""

import shutil
from pathlib import Path

import pytest

from readmission_platform.foundation.errors import Refused, Unavailable
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform_tests.support.homes import MODEL, Home
from readmission_platform_tests.support.intruder import Intruder

# One of each kind: what reads the ledger, what reads something else, what writes, what makes a home.
COMMANDS = (("status",), ("audit", "verify"), ("alerts", "list"), ("worklist",), ("models",), ("setup",),
            ("replay",), ("score", "--date", "2026-01-05"), ("mlflow-ui",))  # fmt: skip


@pytest.mark.parametrize("environment", ["local", "production"])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_of_another_environment_is_refused_in_one_line(
    tmp_path: Path, environment: str, command: tuple[str, ...]
) -> None:
    home = Home.new(tmp_path / "home", READMISSION_ENVIRONMENT=environment)
    other = {"local": "production", "production": "local"}[environment]
    outcome = home.having(READMISSION_ENVIRONMENT=other).command(*command)
    assert (outcome.code, outcome.out) == (3, "")
    assert outcome.err.startswith(f"refused: the home {home.path} belongs to the environment {environment}")
    assert outcome.err.count("\n") == 1


def test_a_ledger_of_another_environment_is_refused_by_whichever_home_it_is_reached(
    tmp_path: Path, ledger_url: str
) -> None:
    Home.new(tmp_path / "first", READMISSION_LEDGER_URL=ledger_url)
    fresh = Home(tmp_path / "second", {"READMISSION_LEDGER_URL": ledger_url, "READMISSION_ENVIRONMENT": "production"})
    outcome = fresh.command("setup")
    assert (outcome.code, outcome.out) == (3, "")
    assert "the ledger belongs to the environment local, and this is production" in outcome.err
    with pytest.raises(Refused):
        Ledger.of_environment(ledger_url, environment="production")


def test_no_definition_of_dagster_is_loaded_for_the_home_of_another_environment(tmp_path: Path) -> None:
    home = Home.new(tmp_path / "home").having(READMISSION_ENVIRONMENT="production")
    outcome = home.shell("dagster", "definitions", "validate")
    assert outcome.code != 0
    assert "belongs to the environment local, and this is production" in outcome.err + outcome.out


def test_a_home_that_was_copied_or_moved_is_the_same_installation_and_status_says_which(tmp_path: Path) -> None:
    home = Home.new(tmp_path / "home")
    found = home.command("status", "--json").json
    assert found["environment"] == "local"
    assert f"installation {found['installation']}" in home.command("status").out
    copied = home.copy(tmp_path / "copied")
    shutil.move(home.path, tmp_path / "moved")
    for there in (copied, Home(tmp_path / "moved")):
        assert there.command("status", "--json").json["installation"] == found["installation"]
        assert there.command("audit", "verify").code == 0
    assert Home.new(tmp_path / "other").command("status", "--json").json["installation"] != found["installation"]


def test_the_ledger_of_another_home_is_refused(tmp_path: Path) -> None:
    home, other = Home.new(tmp_path / "home"), Home.new(tmp_path / "other")
    outcome = home.having(READMISSION_LEDGER_URL=f"sqlite:///{other.path / 'ledger.db'}").command("status")
    assert (outcome.code, outcome.out) == (3, "")
    assert "belongs to the installation" in outcome.err


def test_a_ledger_that_is_gone_is_an_error_and_never_a_new_one(tmp_path: Path) -> None:
    home = Home.new(tmp_path / "home")
    (home.path / "ledger.db").unlink()
    for command in (("status",), ("replay", "--days", "1")):
        outcome = home.command(*command)
        assert (outcome.code, outcome.out) == (5, "")
        assert outcome.err.count("\n") == 1
    assert not (home.path / "ledger.db").exists()


def test_an_empty_database_in_place_of_the_ledger_is_an_error(tmp_path: Path, ledger_url: str) -> None:
    home = Home.new(tmp_path / "home", READMISSION_LEDGER_URL=ledger_url)
    intruder = Intruder(ledger_url)
    intruder.run("DROP TABLE events", "DROP TABLE pointers", "DROP TABLE ledger_meta")
    outcome = home.command("status")
    assert (outcome.code, outcome.out) == (5, "")
    assert "no ledger in the database any more" in outcome.err
    assert intruder.rows("SELECT 1") == [(1,)]
    intruder.close()


def test_a_ledger_that_has_to_be_there_is_not_made(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'folder' / 'ledger.db'}"
    with pytest.raises(Unavailable):
        Ledger(url, model=MODEL, environment="local", installation="0" * 32)
    assert list(tmp_path.iterdir()) == []
