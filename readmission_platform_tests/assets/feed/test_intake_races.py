"""Days taken in at the same moment: an encounter that is in several of them is accepted once."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from readmission_platform.assets.feed.delivered import delivered_asset
from readmission_platform.assets.model_assets import ModelAssets
from readmission_platform.foundation.errors import Unavailable
from readmission_platform.operations import database as operations_database
from readmission_platform.resources.lake import LakeIOManager
from readmission_platform_tests.conftest import SHADOW_DAYS
from readmission_platform_tests.support.forking import FORKING
from readmission_platform_tests.support.homes import MODEL, Home
from readmission_platform_tests.support.interrupted_day import SHARED_ROWS, days_of, deliver_twice
from readmission_platform_tests.support.throwaway_postgresql import Server

ROUNDS = 10


def take_in_in_rounds(home: Home, place: int, rounds: int, barrier: Any) -> None:
    """Take in one's own day of each round at the same moment as the other does."""
    with home.workspace() as workspace:
        model = ModelAssets(workspace.entry, workspace.rules.timezone, workspace.contract)
        resources = {"platform": workspace.platform, "io_manager": LakeIOManager(workspace.platform)}
        for day in days_of(place, rounds):
            barrier.wait(60)
            dg.materialize([delivered_asset(model)], resources=resources, partition_key=day)


def accepted(home: Home) -> pd.DataFrame:
    return home.lake.read("daily_discharges")


def raced(home: Home, rounds: int) -> None:
    deliver_twice(home, rounds)
    barrier = FORKING.Barrier(2)
    racers = [FORKING.Process(target=take_in_in_rounds, args=(home, place, rounds, barrier)) for place in (0, 1)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(600)
    assert [racer.exitcode for racer in racers] == [0, 0]


@pytest.fixture(params=["sqlite", "postgresql"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Home:
    """A home without days, whose operations database is of each supported kind."""
    made = Home.new(tmp_path / "home")
    if request.param == "sqlite":
        return made
    server: Server = request.getfixturevalue("postgresql")
    return made.having(READMISSION_OPERATIONS_URL=server.emptied())


@pytest.mark.slow
def test_an_encounter_in_two_days_that_are_taken_in_together_is_accepted_once(home: Home):
    raced(home, ROUNDS)
    found = accepted(home)
    assert not found["encounter_id"].duplicated().any()
    assert len(found) == ROUNDS * SHARED_ROWS
    counts = home.lake.read("intake_accounting")
    assert (counts["received"].sum(), counts["accepted"].sum()) == (2 * ROUNDS * SHARED_ROWS, ROUNDS * SHARED_ROWS)


@contextmanager
def taking_in(home: Home, model: str = MODEL) -> Iterator[None]:
    with (
        home.workspace() as workspace,
        workspace.platform.operations() as operations,
        operations.exclusively(f"intake-{model}"),
    ):
        yield


def hold(home: Home, held: Any) -> None:
    with taking_in(home):
        held.set()
        time.sleep(600)


@pytest.fixture
def holder(home: Home) -> Any:
    """A process that is in the middle of taking days in."""
    held = FORKING.Event()
    process = FORKING.Process(target=hold, args=(home, held))
    process.start()
    assert held.wait(60)
    yield process
    process.kill()
    process.join()


def test_whoever_is_killed_while_taking_days_in_keeps_nobody_waiting(home: Home, holder: Any):
    os.kill(holder.pid, signal.SIGKILL)
    with taking_in(home):
        pass


def test_whoever_waits_too_long_is_told_in_one_line_and_other_models_do_not_wait(
    home: Home, holder: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(operations_database, "EXCLUSIVE_WAIT_SECONDS", 1.0)
    with taking_in(home, "another"):
        pass
    with pytest.raises(Unavailable, match="operations database"), taking_in(home):
        pass


def test_an_intake_that_fails_half_way_keeps_nobody_waiting(
    lived_home: Home, changing: Callable[[Home], Home], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(operations_database, "EXCLUSIVE_WAIT_SECONDS", 5.0)
    home = changing(lived_home)
    day = home.landed()[SHADOW_DAYS + 2]
    log = home.lake.root / "daily_discharges" / "_delta_log"
    log.rename(log.with_name("elsewhere"))
    assert home.command("score", "--date", day).code != 0
    log.with_name("elsewhere").rename(log)
    assert home.command("score", "--date", day).code == 0
