"""The landing zone's sensors: every file is taken in once, and every missed day is found and filled."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pandas as pd
import pytest
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG as LAST
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_START_TAG as FIRST

from readmission_platform.automation.jobs import jobs_of
from readmission_platform.config.environment import settings
from readmission_platform.encounters.contract import LANDING
from readmission_platform.lifecycle.days.progress import day_states
from readmission_platform.storage.landing import Landing
from readmission_platform_tests.conftest import SHADOW_DAYS
from readmission_platform_tests.support.homes import Home, readmission

Tick = Callable[[], list[dg.RunRequest]]


@contextmanager
def ticking(home: Home, name: str, cursor: str | None = None) -> Iterator[Tick]:
    """Yield a sensor's tick; the cursor goes from one to the next, as the daemon keeps it."""
    from readmission_platform.definitions import build_definitions

    with home.lived_in() as current, dg.DagsterInstance.get() as instance:
        definitions = build_definitions(current)
        sensor = definitions.get_repository_def().get_sensor_def(name)
        resources = {key: (definitions.resources or {})[key] for key in sensor.required_resource_keys}
        kept = [cursor]

        def tick() -> list[dg.RunRequest]:
            context = dg.build_sensor_context(instance=instance, resources=resources, cursor=kept[0])
            data = sensor.evaluate_tick(context)
            kept[0] = data.cursor
            return list(data.run_requests or [])

        yield tick


def run(home: Home, asked: dg.RunRequest) -> None:
    """Do what the daemon does with a request."""
    from readmission_platform.definitions import build_definitions

    with home.instance() as instance:
        job = build_definitions(settings()).resolve_job_def(str(asked.job_name))
        assert job.execute_in_process(instance=instance, tags=asked.tags, run_config=asked.run_config).success


def days_of(asked: list[dg.RunRequest]) -> list[tuple[str, str]]:
    return [(request.tags[FIRST], request.tags[LAST]) for request in asked if request.job_name == "scoring_job"]


def settle(home: Home, day: str, *, seconds_ago: float = 3600) -> None:
    """Make a day's files look as if they had been written some time ago."""
    folder = home.path / "landing/discharges" / day
    was = time.time() - seconds_ago
    for path in (*folder.iterdir(), folder):
        os.utime(path, (was, was))


def replace_files(home: Home, day: str, *, seconds_ago: float = 3600) -> None:
    """Deliver a day again with one encounter less, long enough ago to be taken in."""
    landing = Landing(home.path / "landing", LANDING)
    landing.write_rows(day, pd.DataFrame(landing.read_day(day)[0].cells).iloc[:-1])
    settle(home, day, seconds_ago=seconds_ago)


@pytest.fixture
def home(lived_home: Home, changing: Callable[[Home], Home]) -> Home:
    home = changing(lived_home)
    for day in home.landed():
        settle(home, day)
    return home


def test_files_that_were_taken_in_are_not_asked_for_again(home: Home):
    with ticking(home, "landing_sensor") as tick:
        assert tick() == []


def test_a_file_that_was_replaced_is_asked_for_by_its_content(home: Home):
    day = home.landed()[SHADOW_DAYS + 4]
    with ticking(home, "landing_sensor") as tick:
        tick()
        replace_files(home, day, seconds_ago=60)
        first = tick()
    with ticking(home, "landing_sensor") as anew:
        again = anew()
    assert days_of(first) == days_of(again) == [(day, day)]
    # Dagster launches one run per key, however often it is asked.
    assert first[0].run_key == again[0].run_key


def test_what_it_asks_for_takes_the_day_in_and_then_it_is_content(home: Home):
    day = home.landed()[SHADOW_DAYS + 4]
    replace_files(home, day)
    with ticking(home, "landing_sensor") as tick:
        asked = tick()
    assert days_of(asked) == [(day, day)]
    run(home, asked[0])
    rows = home.lake.read("daily_predictions", where={"discharge_date": [day]})
    assert len(rows) == 26
    with ticking(home, "landing_sensor") as tick:
        assert tick() == []


def test_a_day_before_the_first_partition_is_taken_in_though_it_came_while_the_sensors_ran(home: Home):
    first = home.landed()[0]
    earlier = (date.fromisoformat(first) - timedelta(days=3)).isoformat()
    landing = Landing(home.path / "landing", LANDING)
    rows = pd.DataFrame(landing.read_day(first)[0].cells)
    with ticking(home, "landing_sensor") as tick:  # whose definitions begin with the first day
        landing.write_rows(earlier, rows.assign(encounter_id="9" + rows["encounter_id"]))
        settle(home, earlier)
        asked = tick()
    assert days_of(asked) == [(earlier, earlier)]
    run(home, asked[0])
    assert len(home.lake.read("daily_discharges", where={"discharge_date": [earlier]})) == len(rows)


@pytest.mark.parametrize("cursor", [str(4e9), "1e400", "nan", "-5", "moved on", '{"seen": 12}', "\udcff"])
def test_a_cursor_that_makes_no_sense_has_everything_looked_at_again(home: Home, cursor: str):
    day = home.landed()[SHADOW_DAYS + 4]
    with ticking(home, "landing_sensor", cursor) as tick:
        assert tick() == []  # all was taken in
    replace_files(home, day, seconds_ago=60)
    for name in ("landing_sensor", "completeness_sensor"):
        with ticking(home, name, cursor) as tick:
            assert days_of(tick()) == [(day, day)], name


def test_files_that_come_back_after_others_are_asked_for_once_more(home: Home):
    day = home.landed()[SHADOW_DAYS + 4]
    landing = Landing(home.path / "landing", LANDING)
    whole = pd.DataFrame(landing.read_day(day)[0].cells)
    keys: list[str | None] = []
    for delivered in (whole.iloc[:-1], whole, whole.iloc[:-1], whole):
        landing.write_rows(day, delivered)
        settle(home, day)
        with ticking(home, "landing_sensor") as tick:
            (asked,) = tick()
        run(home, asked)
        keys.append(asked.run_key)
        rows = home.lake.read("daily_predictions", where={"discharge_date": [day]})
        assert len(rows) == len(delivered)
    assert len(set(keys)) == len(keys)


def test_a_day_long_past_that_is_behind_is_found_and_filled(home: Home):
    long_past = "2024-02-29"
    cells = pd.DataFrame(Landing(home.path / "landing", LANDING).read_day(home.landed()[0])[0].cells)
    numbers = (pd.to_numeric(cells["encounter_id"]) + 700_000_000).astype(str)
    Landing(home.path / "landing", LANDING).write_rows(long_past, cells.assign(encounter_id=numbers))
    with ticking(home, "completeness_sensor") as tick:
        assert days_of(tick()) == [(long_past, long_past)]


def test_a_file_that_is_still_being_written_is_left_to_a_later_tick(home: Home):
    day = home.landed()[SHADOW_DAYS + 4]
    with ticking(home, "landing_sensor") as tick:
        replace_files(home, day, seconds_ago=1)
        assert tick() == []
        settle(home, day, seconds_ago=30)
        assert days_of(tick()) == [(day, day)]


def test_days_missed_in_a_long_downtime_are_found_and_filled_in_stretches(trained_home: Home, tmp_path: Path):
    home = trained_home.copy(tmp_path / "home")
    assert home.command("replay", "--days", "5").code == 0
    # Yesterday is due from an hour on; the other days are at any hour.
    *landed, yesterday = home.landed()
    shutil.rmtree(home.path / "landing/discharges" / yesterday)
    with ticking(home, "completeness_sensor") as tick:
        asked = tick()
    assert days_of(asked) == [(landed[0], landed[-1])]
    run(home, next(request for request in asked if request.job_name == "scoring_job"))
    with home.workspace() as workspace:
        states = day_states(workspace, landed)
    assert home.lake.read("daily_discharges")["discharge_date"].nunique() == len(landed)
    assert all(state.progress.value in ("to_score", "complete") for state in states)


def test_more_than_five_missed_days_are_filled_with_the_version_in_production(home: Home):
    landing = Landing(home.path / "landing", LANDING)
    missed = home.landed()[SHADOW_DAYS + 2 : SHADOW_DAYS + 10]
    for day in missed:
        landing.write_rows(day, pd.DataFrame(landing.read_day(day)[0].cells).iloc[2:])
    with ticking(home, "completeness_sensor") as tick:
        asked = tick()
    assert days_of(asked) == [(missed[0], missed[-1])]
    run(home, next(request for request in asked if request.job_name == "scoring_job"))
    rows = home.lake.read("daily_predictions", where={"discharge_date": missed})
    assert rows.groupby("discharge_date").size().tolist() == [25] * len(missed)
    assert set(rows["model_version"]) == {"1"}


def test_a_day_without_files_is_reported_and_no_run_is_asked_for_it(home: Home):
    missing = home.landed()[SHADOW_DAYS + 6]
    for path in (home.path / "landing/discharges" / missing).iterdir():
        path.unlink()
    with ticking(home, "completeness_sensor") as tick:
        asked = tick()
    assert days_of(asked) == []
    assert [request.job_name for request in asked] == ["completeness_job"]
    with home.instance() as instance:
        from readmission_platform.definitions import build_definitions

        job = build_definitions(settings()).resolve_job_def("completeness_job")
        result = job.execute_in_process(instance=instance)
    found = result.get_asset_check_evaluations()[0]
    assert not found.passed
    assert missing in str(found.metadata["incomplete"].value)
    assert "Ask the source" in (found.description or "")


def test_a_day_with_nothing_that_can_be_read_is_taken_in_named_and_not_complete(home: Home):
    day = "2024-02-28"
    folder = home.path / "landing/discharges" / day
    folder.mkdir()
    (folder / "discharges.xlsx").write_bytes(b"PK")
    outcome = home.command("score", "--date", day)
    assert "Traceback" not in outcome.err
    found = home.command("quarantine", "list", "--from", day, "--to", day, "--json").json
    assert [(each["file"], each["code"]) for each in found] == [("discharges.xlsx", "file_not_understood")]
    with home.workspace() as workspace:
        assert day_states(workspace, [day])[0].progress.value == "nothing_accepted"
    settle(home, day)
    with ticking(home, "landing_sensor") as tick:
        assert days_of(tick()) == []


def test_what_lies_beside_the_folders_of_days_is_reported_because_nobody_would_look_into_it(home: Home):
    future = (date.fromisoformat(home.landed()[-1]) + timedelta(days=300)).isoformat()
    for name in (future, "2026-1-5"):
        (home.path / "landing/discharges" / name).mkdir()
    (home.path / "landing/discharges/2026-01-05.csv").write_bytes(b"encounter_id\n1\n")
    (home.path / "landing/outcomes/20260105").mkdir(parents=True)
    with home.instance() as instance:
        from readmission_platform.definitions import build_definitions

        job = build_definitions(settings()).resolve_job_def("completeness_job")
        found = job.execute_in_process(instance=instance).get_asset_check_evaluations()[0]
    assert not found.passed
    assert found.metadata["beside the folders of days"].value == "4"
    assert "3 entries beside the folders of days in landing/discharges" in (found.description or "")
    assert "1 entry beside the folders of days in landing/outcomes" in (found.description or "")


def checked(home: Home):
    """Run the check of completeness and return what it found."""
    with home.instance() as instance:
        from readmission_platform.definitions import build_definitions

        job = build_definitions(settings()).resolve_job_def("completeness_job")
        return job.execute_in_process(instance=instance).get_asset_check_evaluations()[0]


def test_what_lies_in_no_folder_of_any_model_is_reported(home: Home):
    landing = home.path / "landing"
    for name in ("discharges_2024-02-28.csv", "Encounter.ndjson"):
        (landing / name).write_bytes(b"encounter_id\n1\n")
    (landing / "discharge").mkdir()
    (landing / "outcomes").mkdir(exist_ok=True)  # a model reads it
    (landing / "coming.csv.part").write_bytes(b"")
    found = checked(home)
    assert not found.passed
    assert "3 entries directly in landing/ that no model reads" in (found.description or "")


def test_a_file_that_nobody_went_on_writing_is_reported_after_a_day(home: Home):
    folder = home.path / "landing" / "discharges" / home.landed()[-1]
    for name, hours in (("new.csv.part", 23), ("old.csv.part", 25), ("old.tmp", 48), (".hidden", 48)):
        (folder / name).write_bytes(b"encounter_id")
        then = datetime.now(UTC).timestamp() - hours * 3600
        os.utime(folder / name, (then, then))
    found = checked(home)
    assert not found.passed
    assert found.metadata["left unfinished"].value == "2"
    assert "2 unfinished files in landing/discharges, not changed for 24 hours" in (found.description or "")


def test_the_check_looks_once_for_each_change_and_not_at_every_tick(home: Home):
    with ticking(home, "completeness_sensor") as tick:
        assert [request.job_name for request in tick()] == ["completeness_job"]
        assert tick() == []


def test_a_day_that_a_run_is_working_on_is_not_asked_for_a_second_time(home: Home):
    day = home.landed()[SHADOW_DAYS + 4]
    replace_files(home, day)
    with home.instance() as instance:
        from readmission_platform.definitions import build_definitions

        job = build_definitions(settings()).resolve_job_def("scoring_job")
        instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags={FIRST: day, LAST: day})
    for name in ("landing_sensor", "completeness_sensor"):
        with ticking(home, name) as tick:
            assert days_of(tick()) == []


def test_the_morning_schedule_leaves_a_day_alone_that_was_scored_when_it_landed(home: Home):
    from readmission_platform.automation.schedules import daily_scoring_schedule
    from readmission_platform.config.files import environment_config
    from readmission_platform.definitions import build_definitions

    yesterday = home.landed()[-1]
    morning = datetime.fromisoformat(yesterday).replace(hour=6, tzinfo=ZoneInfo("America/New_York")) + timedelta(days=1)

    def tick() -> object:
        with home.lived_in() as current, dg.DagsterInstance.ephemeral() as instance:
            resources = build_definitions(current).resources or {}
            context = dg.build_schedule_context(
                instance=instance,
                scheduled_execution_time=morning,
                resources={"platform": resources["platform"]},
            )
            model = readmission(current)
            return daily_scoring_schedule(model, jobs_of(model), environment_config(current))(context)

    assert isinstance(tick(), dg.SkipReason)
    replace_files(home, yesterday)
    asked = tick()
    assert isinstance(asked, dg.RunRequest)
    assert asked.partition_key == yesterday
