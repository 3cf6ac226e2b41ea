"""Fixtures of the whole suite: homes at moments of a model's life.

A fixture that ends in ``_home`` is shared and is only looked at; ``changing`` gives a copy that a test may change.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import hypothesis
import pytest

from readmission_platform.launcher import accept_drift_as_demo
from readmission_platform_tests.support.homes import COHORT, SMALL_COHORT, Home, Outcome, shipped_configs
from readmission_platform_tests.support.throwaway_postgresql import Server, binaries, throwaway_server

# A window of 200 rows at 27 a day, without which no version goes live.
SHADOW_DAYS, PRODUCTION_DAYS = 8, 14

# How long an example takes says nothing on a busy machine; speed is for the benchmarks.
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")
# Also for what a test loads without a home.
os.environ.update(shipped_configs())

# One process lives the homes that this file needs, which are most, while the others do what needs none.
FIRST = "test_interrupted_promotion.py"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files in an order in which several processes do not wait for each other, the long ones not last."""
    homes = {item.path for item in items if "moments" in getattr(item, "fixturenames", ())}
    items.sort(key=lambda item: (item.path.name != FIRST, item.path in homes, "faults" not in item.path.parts))


class Moments:
    """Homes at moments of a model's life: each is lived once, by whichever of the test processes needs it first."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        own = factory.getbasetemp()
        # Processes that share the tests have a folder each, below the one of the session.
        self._root = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def lived(self, name: str, live: Callable[[Path], Outcome]) -> tuple[Home, Outcome]:
        """Return the home of a moment and how the last command of it ended; ``live`` makes it in the folder given."""
        folder = self._root / name
        said = folder / "said.json"
        with (self._root / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not said.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                said.write_text(json.dumps(asdict(live(folder / "home"))), encoding="utf-8")
        return Home(folder / "home"), Outcome(**json.loads(said.read_text(encoding="utf-8")))


def commanded(home: Home, *commands: tuple[str, ...]) -> Outcome:
    """Give commands that all have to succeed; returns how the last one ended."""
    for command in commands:
        outcome = home.command(*command)
        assert outcome.code == 0, outcome.err
    return outcome


@pytest.fixture(scope="session")
def moments(tmp_path_factory: pytest.TempPathFactory) -> Moments:
    """The homes of this session."""
    return Moments(tmp_path_factory)


@pytest.fixture(scope="session")
def trained_home(moments: Moments) -> Home:
    """Version 1 is an accepted candidate; nothing is in staging or production; days have landed."""

    def live(path: Path) -> Outcome:
        return commanded(Home.new(path), ("train", *COHORT), ("replay", "--days", "5"))

    return moments.lived("trained", live)[0]


@pytest.fixture(scope="session")
def small_home(moments: Moments) -> Home:
    """Version 1 was trained on few encounters, too few for some gates: quick to copy, and to train in again."""

    def live(path: Path) -> Outcome:
        home = Home.new(path)
        trained = home.command("train", *SMALL_COHORT, "--json")
        assert trained.code == 3, trained.err
        return trained

    return moments.lived("small", live)[0]


@pytest.fixture(scope="session")
def whole_life(moments: Moments) -> tuple[Home, Outcome]:
    """`readmission run`: the home afterwards, and what the command printed."""
    return moments.lived("whole", lambda path: commanded(Home.new(path), ("run", *COHORT, "--json")))


@pytest.fixture(scope="session")
def lived_home(whole_life: tuple[Home, Outcome]) -> Home:
    """Version 1 is in production, after 3 days in the shadow and 14 days of work lists."""
    return whole_life[0]


@pytest.fixture(scope="session")
def blocked_training(lived_home: Home, moments: Moments) -> tuple[Home, Outcome]:
    """Version 2 was trained with a limit out of reach while version 1 is in production; and how that ended."""

    def live(path: Path) -> Outcome:
        limits = path.parent / "out_of_reach.yaml"
        limits.write_text("gates:\n  discrimination_auroc: {at_least: 0.99}\n", encoding="utf-8")
        return lived_home.copy(path).command("train", *COHORT, "--gates", str(limits), "--json")

    return moments.lived("blocked", live)


@pytest.fixture(scope="session")
def blocked_home(blocked_training: tuple[Home, Outcome]) -> Home:
    """Version 1 is in production, version 2 is rejected."""
    return blocked_training[0]


@pytest.fixture(scope="session")
def challenged_home(lived_home: Home, moments: Moments) -> Home:
    """Version 1 is in production, version 2 an accepted candidate."""
    return moments.lived("challenged", lambda path: commanded(lived_home.copy(path), ("train", *COHORT)))[0]


@pytest.fixture(scope="session")
def demonstration(challenged_home: Home, moments: Moments) -> tuple[Home, Outcome]:
    """`readmission demo-blocked` beside candidate 2: version 3 is rejected, version 4 a candidate; and what it said."""
    return moments.lived("demonstration", lambda path: challenged_home.copy(path).command("demo-blocked", *COHORT))


@pytest.fixture(scope="session")
def shadowed_home(challenged_home: Home, moments: Moments) -> Home:
    """Version 1 is in production, version 2 in staging; it scored the last days in the shadow, with drift accepted."""

    def live(path: Path) -> Outcome:
        home = challenged_home.copy(path)
        days = home.landed()[-SHADOW_DAYS:]
        outcome = commanded(
            home,
            ("promote", "--version", "2", "--to-stage", "staging"),
            ("score", "--from", days[0], "--to", days[-1]),
            ("drift", "judge"),
        )
        with home.workspace() as workspace:
            accept_drift_as_demo(workspace, "2")
        return outcome

    return moments.lived("shadowed", live)[0]


@pytest.fixture(scope="session")
def approved_home(shadowed_home: Home, moments: Moments) -> Home:
    """Version 1 is in production, version 2, approved, in staging."""
    approval = ("approve", "--version", "2", "--reason", "as good as the one before")
    return moments.lived("approved", lambda path: commanded(shadowed_home.copy(path), approval))[0]


@pytest.fixture(scope="session")
def succeeded_home(shadowed_home: Home, moments: Moments) -> Home:
    """Version 2 has replaced version 1 in production; no day has been scored since."""

    def live(path: Path) -> Outcome:
        return commanded(
            shadowed_home.copy(path),
            ("approve", "--version", "2", "--reason", "as good as the one before"),
            ("promote", "--from-stage", "staging", "--replace", "--reason", "refresh"),
        )

    return moments.lived("succeeded", live)[0]


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
