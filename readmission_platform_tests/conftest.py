"""Fixtures of the whole suite: homes at moments of a model's life.

A fixture that ends in ``_home`` is shared and is only looked at; ``changing`` gives a copy that a test may change.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from readmission_platform_tests.homes import COHORT, Home, Outcome
from readmission_platform_tests.throwaway_postgresql import Server, binaries, throwaway_server

SHADOW_DAYS, PRODUCTION_DAYS = 3, 14


@pytest.fixture(scope="session")
def trained_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Version 1 is an accepted candidate; nothing is in staging or production; days have landed."""
    home = Home.new(tmp_path_factory.mktemp("trained") / "home")
    assert home.command("train", *COHORT).code == 0
    assert home.command("replay", "--days", "5").code == 0
    return home


@pytest.fixture(scope="session")
def whole_life(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Outcome]:
    """`readmission run`: the home afterwards, and what the command printed."""
    home = Home.new(tmp_path_factory.mktemp("lived") / "home")
    outcome = home.command("run", *COHORT, "--json")
    assert outcome.code == 0, outcome.err
    return home, outcome


@pytest.fixture(scope="session")
def lived_home(whole_life: tuple[Home, Outcome]) -> Home:
    """Version 1 is in production, after 3 days in the shadow and 14 days of work lists."""
    return whole_life[0]


@pytest.fixture(scope="session")
def blocked_training(lived_home: Home, tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Outcome]:
    """Version 2 was trained with a limit out of reach while version 1 is in production; and how that ended."""
    folder = tmp_path_factory.mktemp("blocked")
    home = lived_home.copy(folder / "home")
    limits = folder / "out_of_reach.yaml"
    limits.write_text("gates:\n  discrimination_auroc: {at_least: 0.99}\n", encoding="utf-8")
    return home, home.command("train", *COHORT, "--gates", str(limits), "--json")


@pytest.fixture(scope="session")
def blocked_home(blocked_training: tuple[Home, Outcome]) -> Home:
    """Version 1 is in production, version 2 is rejected."""
    return blocked_training[0]


@pytest.fixture(scope="session")
def challenged_home(lived_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Version 1 is in production, version 2 an accepted candidate."""
    home = lived_home.copy(tmp_path_factory.mktemp("challenged") / "home")
    assert home.command("train", *COHORT).code == 0
    return home


@pytest.fixture(scope="session")
def shadowed_home(challenged_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Version 1 is in production, version 2 in staging, and it scored the last three days in the shadow."""
    home = challenged_home.copy(tmp_path_factory.mktemp("shadowed") / "home")
    assert home.command("promote", "--version", "2", "--to-stage", "staging").code == 0
    days = home.landed()[-SHADOW_DAYS:]
    assert home.command("score", "--from", days[0], "--to", days[-1]).code == 0
    return home


@pytest.fixture(scope="session")
def succeeded_home(shadowed_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Version 2 has replaced version 1 in production; no day has been scored since."""
    home = shadowed_home.copy(tmp_path_factory.mktemp("succeeded") / "home")
    assert home.command("approve", "--version", "2", "--reason", "as good as the one before").code == 0
    assert home.command("promote", "--from-stage", "staging", "--replace", "--reason", "refresh").code == 0
    return home


@pytest.fixture
def changing(tmp_path: Path) -> Callable[[Home], Home]:
    """Copy a home for a test that changes it."""
    return lambda home: home.copy(tmp_path / "home")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A throw-away PostgreSQL server; where its programs are missing, tests are skipped, and fail in CI."""
    folder = binaries()
    if folder is None:
        reason = "no initdb and postgres on the PATH or where pg_config points: install Debian's package postgresql"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with throwaway_server(folder) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database for a ledger, as a person would set it: of each supported kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    server: Server = request.getfixturevalue("postgresql")
    return server.emptied()
