"""A day that is being written when the process is killed: readers see the old day or the new one, never a part."""

import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from readmission_platform.encounters.contract import LANDING
from readmission_platform.lifecycle.days.progress import Progress, day_states
from readmission_platform.storage.landing import Landing
from readmission_platform.storage.tables import CIRCUMSTANCES
from readmission_platform_tests.support.homes import MODEL, Home
from readmission_platform_tests.support.interruption import run_for, run_until

pytestmark = pytest.mark.slow

TABLES = ("daily_discharges", "intake_accounting", "quarantined_rows", "daily_predictions")
RANDOM_KILLS = 30
# Which files a partition was made from is content; which run made it, and how often it was made, is not.
INCIDENTAL = [*CIRCUMSTANCES, "revision", "times_taken_in"]


@dataclass
class Day:
    """A day of a home whose files are replaced again and again, by one of two deliveries."""

    home: Home
    day: str
    deliveries: dict[str, pd.DataFrame]

    @property
    def command(self) -> tuple[str, ...]:
        return ("score", "--date", self.day)

    def deliver(self, name: str) -> None:
        Landing(self.home.path / "landing", LANDING).write_rows(self.day, self.deliveries[name])

    def partition(self, table: str) -> pd.DataFrame:
        """Return what a reader sees of the day now, whichever run wrote it."""
        rows = self.home.lake.read(table, where={"discharge_date": [self.day]})
        rows = rows.drop(columns=[name for name in INCIDENTAL if name in rows])
        keys = [name for name in ("encounter_id", "row", "column") if name in rows]
        return rows.sort_values(keys, ignore_index=True) if keys else rows

    def written(self) -> dict[str, pd.DataFrame]:
        return {table: self.partition(table) for table in TABLES}


@pytest.fixture(scope="module")
def changing_day(lived_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Day:
    """A day with two deliveries: one with a broken row, and a longer one that corrects it."""
    home = lived_home.copy(tmp_path_factory.mktemp("interrupted") / "home")
    day = home.landed()[8]
    whole = pd.DataFrame(Landing(home.path / "landing", LANDING).read_day(day)[0].cells)
    broken = whole.head(20).copy()
    broken.loc[3, "time_in_hospital"] = "-1"
    return Day(home, day, {"short": broken, "long": whole})


@pytest.fixture(scope="module")
def complete(changing_day: Day) -> dict[str, dict[str, pd.DataFrame]]:
    """What undisturbed runs make of either delivery."""
    made = {}
    for name in changing_day.deliveries:
        changing_day.deliver(name)
        assert run_until(changing_day.home, None, *changing_day.command).code == 0
        made[name] = changing_day.written()
    assert not made["short"]["daily_predictions"].equals(made["long"]["daily_predictions"])
    return made


def deliveries(last: str) -> Iterator[str]:
    """Alternate between the two deliveries, beginning with the one that is not in the lake."""
    name = last
    while True:
        name = "short" if name == "long" else "long"
        yield name


def assert_each_table_is_whole(day: Day, complete: dict[str, dict[str, pd.DataFrame]]) -> None:
    for table in TABLES:
        seen = day.partition(table)
        assert any(seen.equals(made[table]) for made in complete.values()), f"{table} is neither the old nor the new"


def assert_as_if_undisturbed(day: Day, complete: dict[str, dict[str, pd.DataFrame]], name: str) -> None:
    assert day.home.command(*day.command).code == 0
    for table, rows in day.written().items():
        pd.testing.assert_frame_equal(rows, complete[name][table])


def test_a_kill_at_any_step_of_writing_a_day_leaves_whole_partitions_and_a_repeat_gives_identical_rows(
    changing_day: Day, complete: dict[str, dict[str, pd.DataFrame]], record_property: Callable[[str, object], None]
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
        assert_each_table_is_whole(changing_day, complete)
        assert_as_if_undisturbed(changing_day, complete, name)


def test_a_kill_at_thirty_random_moments_leaves_whole_partitions_and_a_repeat_gives_identical_rows(
    changing_day: Day, complete: dict[str, dict[str, pd.DataFrame]]
):
    names = deliveries("long")
    name = next(names)
    changing_day.deliver(name)
    whole = run_until(changing_day.home, None, *changing_day.command).seconds
    moments = random.Random(11)
    for kill in range(RANDOM_KILLS):
        name = next(names)
        changing_day.deliver(name)
        # One moment in each thirtieth of the run, so that no part of it is left out by chance.
        run_for(changing_day.home, whole * (kill + moments.random()) / RANDOM_KILLS, *changing_day.command)
        assert_each_table_is_whole(changing_day, complete)
    assert_as_if_undisturbed(changing_day, complete, name)


def progress(day: Day) -> Progress:
    with day.home.workspace() as workspace:
        return day_states(workspace, [day.day])[0].progress


def listed(day: Day) -> dict[str, bytes]:
    """Return the files of the day's work list."""
    folder = day.home.path / f"reports/{MODEL}/work_lists" / day.day
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("step", ["lake: daily_predictions written", "work list: files written"])
def test_a_kill_before_the_day_is_recorded_or_listed_leaves_the_old_list_and_a_day_that_is_scored_again(
    changing_day: Day, complete: dict[str, dict[str, pd.DataFrame]], step: str
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
    assert_as_if_undisturbed(changing_day, complete, "long")
    assert progress(changing_day) is Progress.complete
    assert listed(changing_day) != old
    assert changing_day.home.command("worklist", "--date", changing_day.day).code == 0


def test_somebody_who_reads_while_a_day_is_written_sees_the_old_day_or_the_new_one(
    changing_day: Day, complete: dict[str, dict[str, pd.DataFrame]]
):
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
    old, new = complete["short"]["daily_predictions"], complete["long"]["daily_predictions"]
    assert seen
    assert all(rows.equals(old) or rows.equals(new) for rows in seen)


def test_the_lake_holds_no_day_twice_after_all_this(changing_day: Day, tmp_path: Path):
    rows = changing_day.home.lake.read("daily_predictions", columns=["encounter_id"])
    assert not rows["encounter_id"].duplicated().any()
