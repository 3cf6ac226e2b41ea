"""Retraining: an alarm or a Sunday asks for a training, once, on the same source; it never promotes."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pandas as pd
import pytest

from readmission_platform.assets.feed.ingestion import source_of
from readmission_platform.automation.retraining import (
    calls_for_recalibration,
    collecting,
    confirmed,
    cooling_down,
)
from readmission_platform.config.environment import PROJECT_ROOT, Settings
from readmission_platform.config.files import environment_config, monitoring_config
from readmission_platform.governance.ledger.versions import VersionRecord
from readmission_platform.lifecycle.monitoring.live_verdicts import COLUMNS
from readmission_platform.lifecycle.monitoring.windows import columns_of, scored_by, windows_for
from readmission_platform.lifecycle.versions.stages import live_version
from readmission_platform_tests.support.homes import MODEL, Home
from readmission_platform_tests.support.hospital import Hospital, days_from
from readmission_platform_tests.support.scenario import Scenario

MONITORING = monitoring_config(Settings(), "readmission_30d")
SUNDAY = datetime(2026, 5, 3, 2, tzinfo=ZoneInfo("America/New_York"))
UNDER_WAY = "a training run is under way"


def record_of(home: Home, stage: str = "production") -> VersionRecord:
    with home.ledger() as ledger:
        record = live_version(ledger, stage)
    assert record is not None
    return record


def judged(
    home: Home, result: str, measure: str = "auroc", *, period: str = "judged", positives: int | None = None
) -> None:
    """Write what live_performance would find of version 1."""
    row = dict.fromkeys(COLUMNS) | {"version": "1", "period": period, "measure": measure, "kind": "measured"}
    row |= {"cohort": "all", "result": result, "positives": positives}
    home.lake.write("live_performance", pd.DataFrame([row], columns=COLUMNS))


def drifted(home: Home, *windows: bool) -> None:
    """Write what drift_report would find of the windows that version 1 scored."""
    record = record_of(home)
    closed, _ = windows_for(scored_by(home.lake, record), record, MONITORING.drift)
    rows = [
        {"version": "1", "window": window.number, "first_day": window.first_day, "last_day": window.last_day,
         "rows": window.rows, "column": column, "measure": "drift", "score": 0.9 if high else 0.0,
         "digest": window.digest}
        for window, high in zip(closed, windows, strict=True)
        for column in [*columns_of(home.lake, record, MONITORING.drift), "risk"]
    ]  # fmt: skip
    home.lake.write("drift_report", pd.DataFrame(rows))


@pytest.fixture
def hospital(tmp_path: Path) -> Hospital:
    """Version 1 scored eleven days: two windows of 200 encounters, and a rest."""
    found = Hospital.at(tmp_path / "hospital")
    found.go_on(days_from(date(2024, 1, 1), 11))
    return found


def test_an_alarm_needs_enough_drifted_windows(hospital: Hospital):
    home = hospital.home
    assert confirmed(home.lake, record_of(home), MONITORING) == ("", [])
    drifted(home, True, False)
    assert confirmed(home.lake, record_of(home), MONITORING) == ("", [])
    drifted(home, True, True)
    assert confirmed(home.lake, record_of(home), MONITORING) == ("drift", [])


def test_a_measure_that_is_worse_on_the_judged_period_calls_for_a_training(hospital: Hospital):
    home = hospital.home
    for result, period in (("holds", "judged"), ("insufficient", "judged"), ("worse", "2024-01")):
        judged(home, result, period=period)
        assert confirmed(home.lake, record_of(home), MONITORING) == ("", [])
    judged(home, "worse")
    assert confirmed(home.lake, record_of(home), MONITORING) == ("performance", ["auroc"])
    drifted(home, True, True)
    assert confirmed(home.lake, record_of(home), MONITORING)[0] == "drift_and_performance"


def test_where_only_calibration_is_worse_a_recalibration_comes_first_and_a_training_if_that_did_not_help(
    hospital: Hospital,
):
    home, needed = hospital.home, MONITORING.recalibration.min_positives

    def first(*measures: str) -> bool:
        with home.ledger() as ledger:
            trained = ledger.events(kind="version_trained")
        return calls_for_recalibration(home.lake, record_of(home), measures, trained, MONITORING)

    judged(home, "worse", "observed_expected", positives=needed - 1)
    assert not first("observed_expected")
    judged(home, "worse", "observed_expected", positives=needed)
    assert first("observed_expected")
    assert first("calibration_slope", "brier_skill")
    assert not first("observed_expected", "auroc")
    assert not first("recall_at_flag")
    with home.ledger() as ledger:
        Scenario(ledger).train("2", recalibrated={"of_version": "1"})
    assert not first("observed_expected")


def test_nothing_is_trained_within_the_cool_down_and_again_after_it(hospital: Hospital):
    with hospital.home.ledger() as ledger:
        trained = ledger.events(kind="version_trained")
    at, days = datetime.fromisoformat(trained[-1].at), MONITORING.retraining.cool_down_days
    assert "cool-down" in (
        cooling_down(trained, MONITORING.retraining, now=at + timedelta(days=days, seconds=-1)) or ""
    )
    assert cooling_down(trained, MONITORING.retraining, now=at + timedelta(days=days)) is None
    assert cooling_down([], MONITORING.retraining, now=datetime.now(UTC)) is None


def test_a_version_that_collects_its_shadow_days_is_not_pushed_out(hospital: Hospital):
    with hospital.home.ledger() as ledger:
        scenario = Scenario(ledger)
        scenario.train("2")
        scenario.stage("2")
    waiting = record_of(hospital.home, "staging")
    assert "0 of 14 shadow days" in (collecting(hospital.home.lake, waiting, needed=14) or "")
    assert collecting(hospital.home.lake, waiting, needed=0) is None
    assert collecting(hospital.home.lake, None, needed=14) is None


def test_the_source_is_that_of_the_training_run_with_its_archive(hospital: Hospital):
    from readmission_platform.config.environment import settings
    from readmission_platform.definitions import build_definitions

    source = {"source": "uci", "archive": "/data/archive.zip"}
    with hospital.home.instance() as instance:
        job = build_definitions(settings()).resolve_job_def("training_job")
        run = instance.create_run_for_job(job, run_config={"ops": {"raw_encounters": {"config": source}}})
        with hospital.home.ledger() as ledger:
            scenario = Scenario(ledger)
            scenario.train("2", run_id=run.run_id)
            scenario.stage("2", "production")
        assert source_of(instance, record_of(hospital.home), "raw_encounters") == source


@contextmanager
def sensor_of(home: Home) -> Iterator[Callable[[], dg.RunRequest | dg.SkipReason]]:
    from readmission_platform.definitions import build_definitions

    with home.lived_in() as current, dg.DagsterInstance.get() as instance:
        definitions = build_definitions(current)
        sensor = definitions.get_repository_def().get_sensor_def("retraining_sensor")
        resources = {key: (definitions.resources or {})[key] for key in sensor.required_resource_keys}

        def tick() -> dg.RunRequest | dg.SkipReason:
            # Closed again: a context that is left open leaves its instance behind for whatever loads definitions next.
            with dg.build_sensor_context(instance=instance, resources=resources) as context:
                data = sensor.evaluate_tick(context)
            return data.run_requests[0] if data.run_requests else dg.SkipReason(data.skip_message)

        yield tick


def tick_schedule(home: Home) -> dg.RunRequest | dg.SkipReason:
    from readmission_platform.definitions import build_definitions

    with home.lived_in() as current, dg.DagsterInstance.get() as instance:
        definitions = build_definitions(current)
        schedule = definitions.get_repository_def().get_schedule_def("regular_training_schedule")
        resources = {key: (definitions.resources or {})[key] for key in schedule.required_resource_keys}
        with dg.build_schedule_context(
            instance=instance, scheduled_execution_time=SUNDAY, resources=resources
        ) as context:
            data = schedule.evaluate_tick(context)
    return data.run_requests[0] if data.run_requests else dg.SkipReason(data.skip_message)


@pytest.fixture
def home(lived_home: Home, tmp_path: Path) -> Home:
    """Version 1 is in production, got worse, and the cool-down is over (there is none)."""
    configs = tmp_path / "configs"
    shutil.copytree(PROJECT_ROOT / "configs", configs)
    text = (configs / "models" / MODEL / "monitoring.yaml").read_text(encoding="utf-8")
    shipped = f"cool_down_days: {MONITORING.retraining.cool_down_days}"
    assert shipped in text
    (configs / "models" / MODEL / "monitoring.yaml").write_text(
        text.replace(shipped, "cool_down_days: 0"), encoding="utf-8"
    )
    found = lived_home.copy(tmp_path / "home", READMISSION_CONFIGS=str(configs))
    assert found.command("policy", "adopt", "--monitoring").code == 0
    judged(found, "worse")
    drifted(found, False, False)  # what was accepted is not under the limits just adopted
    return found


def test_a_version_that_got_worse_is_trained_again_on_the_same_source(home: Home):
    with sensor_of(home) as tick:
        first, second = tick(), tick()
    assert isinstance(first, dg.RunRequest)
    assert isinstance(second, dg.RunRequest)
    # Dagster launches one run per key, however often it is asked.
    assert first.run_key == second.run_key
    source = first.run_config["ops"]["raw_encounters"]["config"]
    assert (source["source"], source["rows"], source["seed"]) == ("synthetic", 14000, 21)
    assert first.tags["readmission/retraining_because"] == "performance"
    assert first.tags["readmission/retraining_measures"] == "auroc"
    assert first.tags["readmission/retraining_of_version"] == "1"


def test_within_the_cool_down_it_is_skipped_with_the_reason(home: Home):
    shipped = Home(home.path)
    assert shipped.command("policy", "adopt", "--monitoring").code == 0
    with sensor_of(shipped) as tick:
        skipped = tick()
    assert isinstance(skipped, dg.SkipReason)
    assert "performance" in (skipped.skip_message or "")
    assert "cool-down is 14 days" in (skipped.skip_message or "")


def test_without_an_alarm_there_is_nothing_to_do(home: Home):
    judged(home, "holds")
    with sensor_of(home) as tick:
        skipped = tick()
    assert isinstance(skipped, dg.SkipReason)
    assert "has no drift alarm" in (skipped.skip_message or "")


def test_while_a_training_is_under_way_neither_asks_for_another(home: Home):
    from readmission_platform.config.environment import settings
    from readmission_platform.definitions import build_definitions

    with home.instance() as instance:
        job = build_definitions(settings()).resolve_job_def("training_job")
        instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    with sensor_of(home) as tick:
        skipped = tick()
    assert isinstance(skipped, dg.SkipReason)
    assert UNDER_WAY in (skipped.skip_message or "")
    scheduled = tick_schedule(home)
    assert isinstance(scheduled, dg.SkipReason)
    assert UNDER_WAY in (scheduled.skip_message or "")


def test_every_week_a_candidate_is_trained_whether_or_not_there_is_an_alarm(lived_home: Home):
    asked = tick_schedule(lived_home)
    assert isinstance(asked, dg.RunRequest)
    assert asked.run_key == "regular-2026-05-03"
    assert asked.run_config["ops"]["raw_encounters"]["config"]["rows"] == 14000
    assert asked.tags["readmission/retraining_because"] == "schedule"


def test_where_nothing_is_in_production_both_are_skipped(tmp_path: Path):
    home = Home.new(tmp_path / "home")
    with sensor_of(home) as tick:
        assert isinstance(tick(), dg.SkipReason)
    assert isinstance(tick_schedule(home), dg.SkipReason)


def test_a_training_run_that_nobody_remembers_is_not_guessed(hospital: Hospital, tmp_path: Path, home: Home):
    judged(hospital.home, "worse")
    with sensor_of(hospital.watch_by(home.variables["READMISSION_CONFIGS"])) as tick:
        skipped = tick()
    assert isinstance(skipped, dg.SkipReason)
    assert "does not say its source" in (skipped.skip_message or "")


@pytest.mark.parametrize("environment", ["local", "staging", "production"])
def test_both_run_where_the_environment_says_so(environment: str, tmp_path: Path):
    from readmission_platform.definitions import build_definitions

    current = Settings(environment=environment, home=tmp_path)
    running = environment_config(current).retraining_running
    with dg.DagsterInstance.ephemeral():
        repository = build_definitions(current).get_repository_def()
    sensor = repository.get_sensor_def("retraining_sensor")
    schedule = repository.get_schedule_def("regular_training_schedule")
    assert (sensor.default_status is dg.DefaultSensorStatus.RUNNING) is running
    assert (schedule.default_status is dg.DefaultScheduleStatus.RUNNING) is running
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 2 * * 0", "America/New_York")


@pytest.mark.slow
def test_what_comes_of_it_is_a_candidate_and_production_stays(home: Home):
    from readmission_platform.config.environment import settings
    from readmission_platform.definitions import build_definitions

    with sensor_of(home) as tick:
        asked = tick()
    assert isinstance(asked, dg.RunRequest)
    before = home.stages
    with home.instance() as instance:
        job = build_definitions(settings()).resolve_job_def("training_job")
        result = job.execute_in_process(run_config=asked.run_config, tags=asked.tags, instance=instance)
    assert result.success
    assert home.stages == before
    with home.ledger() as ledger:
        assert [event.version for event in ledger.events(kind="version_trained")] == ["1", "2"]
        assert ledger.events(kind="version_validated")[-1].version == "2"
    assert home.kinds().count("version_promoted") == 2
