"""The daily schedule: yesterday in the hospital's time zone, when there are files."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from readmission_platform.automation.jobs import jobs_of
from readmission_platform.automation.schedules import daily_scoring_schedule, monitoring_schedule
from readmission_platform.config.environment import Settings
from readmission_platform.config.files import environment_config
from readmission_platform.lifecycle.installation import make_installation
from readmission_platform.lifecycle.workspace import Platform
from readmission_platform_tests.support.homes import readmission

NEW_YORK = ZoneInfo("America/New_York")


class Hospital:
    """A home with files of some days, and the schedule that looks at them."""

    def __init__(self, home: Path) -> None:
        self.settings = Settings(home=home / "home")
        make_installation(self.settings)
        model = readmission(self.settings)
        self.schedule = daily_scoring_schedule(model, jobs_of(model), environment_config(self.settings))

    def deliver(self, day: str) -> None:
        folder = self.settings.landing / "discharges" / day
        folder.mkdir(parents=True)
        (folder / "discharges.csv").write_text("encounter_id\n", encoding="utf-8")

    def tick(self, at: datetime) -> dg.RunRequest | dg.SkipReason:
        with dg.DagsterInstance.ephemeral() as instance:
            context = dg.build_schedule_context(
                instance=instance,
                scheduled_execution_time=at,
                resources={"platform": Platform(self.settings)},
            )
            found = self.schedule(context)
        assert isinstance(found, dg.RunRequest | dg.SkipReason)
        return found


@pytest.fixture
def hospital(tmp_path: Path) -> Hospital:
    return Hospital(tmp_path)


def test_yesterday_is_requested_when_its_files_are_there(hospital: Hospital):
    hospital.deliver("2026-05-04")
    request = hospital.tick(datetime(2026, 5, 5, 6, tzinfo=NEW_YORK))
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == request.run_key == "2026-05-04"


def test_a_day_without_files_is_skipped_and_the_reason_names_the_folder(hospital: Hospital):
    hospital.deliver("2026-05-03")
    hospital.deliver("2026-05-05")
    skipped = hospital.tick(datetime(2026, 5, 5, 6, tzinfo=NEW_YORK))
    assert isinstance(skipped, dg.SkipReason)
    assert "landing/discharges/2026-05-04" in (skipped.skip_message or "")


def test_an_empty_landing_zone_is_skipped(hospital: Hospital):
    assert isinstance(hospital.tick(datetime(2026, 5, 5, 6, tzinfo=NEW_YORK)), dg.SkipReason)


@pytest.mark.parametrize(
    ("morning", "yesterday"),
    [
        (datetime(2026, 3, 8, 6, tzinfo=NEW_YORK), "2026-03-07"),  # this night had an hour less
        (datetime(2026, 3, 9, 6, tzinfo=NEW_YORK), "2026-03-08"),
        (datetime(2026, 11, 1, 6, tzinfo=NEW_YORK), "2026-10-31"),  # this night had an hour more
        (datetime(2026, 11, 2, 6, tzinfo=NEW_YORK), "2026-11-01"),
        (datetime(2028, 3, 1, 6, tzinfo=NEW_YORK), "2028-02-29"),
        (datetime(2027, 1, 1, 6, tzinfo=NEW_YORK), "2026-12-31"),
    ],
)
def test_yesterday_is_right_across_clock_changes_and_ends_of_months(
    hospital: Hospital, morning: datetime, yesterday: str
):
    hospital.deliver(yesterday)
    request = hospital.tick(morning)
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == yesterday


def test_a_tick_given_in_utc_means_the_hospitals_day(hospital: Hospital):
    hospital.deliver("2026-05-03")
    request = hospital.tick(datetime(2026, 5, 5, 2, tzinfo=ZoneInfo("UTC")))  # still the evening of the 4th
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == "2026-05-03"


def test_monitoring_runs_half_an_hour_after_scoring_once_a_day(hospital: Hospital):
    model = readmission(hospital.settings)
    schedule = monitoring_schedule(model, jobs_of(model), environment_config(hospital.settings))
    assert schedule.cron_schedule == "30 6 * * *"
    assert schedule.execution_timezone == hospital.schedule.execution_timezone
    with dg.DagsterInstance.ephemeral() as instance:
        at = datetime(2026, 5, 5, 6, 30, tzinfo=NEW_YORK)
        request = schedule(dg.build_schedule_context(instance=instance, scheduled_execution_time=at))
    assert isinstance(request, dg.RunRequest)
    assert request.run_key == "monitoring-2026-05-05"


def test_it_runs_at_six_in_the_hospitals_time_zone(hospital: Hospital):
    assert hospital.schedule.cron_schedule == "0 6 * * *"
    assert hospital.schedule.execution_timezone == "America/New_York"
