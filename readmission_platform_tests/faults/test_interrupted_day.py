"""A day that is being written when the process is killed: readers see the old day or the new one, never a part."""

import random
import threading
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from readmission_platform.lifecycle.days.progress import Progress, day_states
from readmission_platform_tests.support.home_rounds import put_into_production
from readmission_platform_tests.support.homes import MODEL, Home
from readmission_platform_tests.support.interrupted_day import TABLES, Day, deliveries
from readmission_platform_tests.support.interruption import run_for, run_until

pytestmark = pytest.mark.slow

RANDOM_KILLS = 10  # `make invariants` tries more


@pytest.fixture(scope="module")
def changing_day(small_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Day:
    home = small_home.copy(tmp_path_factory.mktemp("interrupted") / "home")
    put_into_production(home)
    assert home.command("replay", "--days", "3").code == 0
    return Day.of(home, home.landed()[1])


def assert_as_if_undisturbed(day: Day, name: str) -> None:
    assert day.home.command(*day.command).code == 0
    assert day.differing(name) == []


def test_a_kill_at_any_step_of_writing_a_day_leaves_whole_partitions_and_a_repeat_gives_identical_rows(
    changing_day: Day, record_property: Callable[[str, object], None]
):
    names = deliveries("long")
    changing_day.deliver(next(names))
    undisturbed = run_until(changing_day.home, None, *changing_day.command)
    steps = list(dict.fromkeys(undisturbed.steps))
    record_property("steps", len(steps))
    assert {f"lake: {table} written" for table in TABLES} <= set(steps)
    for step in steps:
        name = next(names)
        changing_day.deliver(name)
        assert run_until(changing_day.home, step, *changing_day.command).code == -9, f"not killed at {step!r}"
        assert changing_day.torn() == []
        if not step.endswith("about to be written"):  # until then nothing has changed since the step before
            assert_as_if_undisturbed(changing_day, name)


def test_a_kill_at_ten_random_moments_leaves_whole_partitions_and_a_repeat_gives_identical_rows(changing_day: Day):
    names = deliveries("long")
    name = next(names)
    changing_day.deliver(name)
    whole = run_until(changing_day.home, None, *changing_day.command).seconds
    moments = random.Random(11)
    for kill in range(RANDOM_KILLS):
        name = next(names)
        changing_day.deliver(name)
        # One moment in each tenth of the run, so that no part of it is left out by chance.
        run_for(changing_day.home, whole * (kill + moments.random()) / RANDOM_KILLS, *changing_day.command)
        assert changing_day.torn() == []
    assert_as_if_undisturbed(changing_day, name)


def progress(day: Day) -> Progress:
    with day.home.workspace() as workspace:
        return day_states(workspace, [day.day])[0].progress


def listed(day: Day) -> dict[str, bytes]:
    """Return the files of the day's work list."""
    folder = day.home.path / f"reports/{MODEL}/work_lists" / day.day
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("step", ["lake: daily_predictions written", "work list: files written"])
def test_a_kill_before_the_day_is_recorded_or_listed_leaves_the_old_list_and_a_day_that_is_scored_again(
    changing_day: Day, step: str
):
    changing_day.deliver("short")
    assert run_until(changing_day.home, None, *changing_day.command).code == 0
    assert progress(changing_day) is Progress.complete
    old = listed(changing_day)
    changing_day.deliver("long")
    assert run_until(changing_day.home, step, *changing_day.command).code == -9
    assert listed(changing_day) == old
    assert progress(changing_day) is Progress.to_score
    shown = changing_day.home.command("worklist", "--date", changing_day.day)
    recorded = step.startswith("work list")
    assert shown.code == (0 if recorded else 1), shown.err
    assert_as_if_undisturbed(changing_day, "long")
    assert progress(changing_day) is Progress.complete
    assert listed(changing_day) != old
    assert changing_day.home.command("worklist", "--date", changing_day.day).code == 0


def test_somebody_who_reads_while_a_day_is_written_sees_the_old_day_or_the_new_one(changing_day: Day):
    changing_day.deliver("short")
    assert run_until(changing_day.home, None, *changing_day.command).code == 0
    changing_day.deliver("long")
    seen: list[pd.DataFrame] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.append(changing_day.partition("daily_predictions"))

    reader = threading.Thread(target=read)
    reader.start()
    ended = run_until(changing_day.home, None, *changing_day.command)
    done.set()
    reader.join()
    assert ended.code == 0
    old, new = (changing_day.complete[name]["daily_predictions"] for name in ("short", "long"))
    assert seen
    assert all(rows.equals(old) or rows.equals(new) for rows in seen)


def test_the_lake_holds_no_day_twice_after_all_this(changing_day: Day, tmp_path: Path):
    rows = changing_day.home.lake.read("daily_predictions", columns=["encounter_id"])
    assert not rows["encounter_id"].duplicated().any()
