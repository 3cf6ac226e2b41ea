"""The morning's intake of outcomes: every day that is old enough and has something new, in as few runs as possible."""

from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from readmission_platform.automation.jobs import jobs_of
from readmission_platform.automation.schedules import daily_outcomes_schedule
from readmission_platform.config.files import environment_config
from readmission_platform_tests.support.homes import readmission
from readmission_platform_tests.support.hospital import Hospital, days_from

DAYS = days_from(date(2026, 3, 1), 4)
NEW_YORK = ZoneInfo("America/New_York")
RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")


@pytest.fixture
def hospital(tmp_path: Path) -> Hospital:
    """Four days were discharged, and the outcomes of the first, second and fourth have landed."""
    found = Hospital.at(tmp_path / "home")
    found.go_on(DAYS)
    for day in (DAYS[0], DAYS[1], DAYS[3]):
        found.deliver(day, found.outcomes_of(day))
    return found


def tick(hospital: Hospital, at: datetime) -> list[tuple[str, str]]:
    from readmission_platform.definitions import build_definitions

    with hospital.home.lived_in() as current, dg.DagsterInstance.ephemeral() as instance:
        resources = build_definitions(current).resources or {}
        model = readmission(current)
        schedule = daily_outcomes_schedule(model, jobs_of(model), environment_config(current))
        needed = {key: resources[key] for key in schedule.required_resource_keys}
        context = dg.build_schedule_context(instance=instance, scheduled_execution_time=at, resources=needed)
        data = schedule.evaluate_tick(context)
    assert data.run_requests or data.skip_message
    return [(request.tags[RANGE[0]], request.tags[RANGE[1]]) for request in data.run_requests or []]


def test_days_that_follow_each_other_are_one_run(hospital: Hospital):
    assert tick(hospital, datetime(2026, 5, 1, 5, tzinfo=NEW_YORK)) == [(DAYS[0], DAYS[1]), (DAYS[3], DAYS[3])]


def test_a_day_waits_until_it_is_thirty_days_old(hospital: Hospital):
    assert tick(hospital, datetime(2026, 3, 31, 5, tzinfo=NEW_YORK)) == [(DAYS[0], DAYS[0])]
    assert tick(hospital, datetime(2026, 3, 30, 5, tzinfo=NEW_YORK)) == []


def test_what_was_taken_in_is_not_asked_for_again_until_its_files_change(hospital: Hospital):
    assert hospital.home.command("outcomes", "--from", DAYS[0], "--to", DAYS[3]).code == 0
    morning = datetime(2026, 5, 1, 5, tzinfo=NEW_YORK)
    assert tick(hospital, morning) == []
    hospital.deliver(DAYS[1], hospital.outcomes_of(DAYS[1]).head(5), name="again.csv")
    assert tick(hospital, morning) == [(DAYS[1], DAYS[1])]
