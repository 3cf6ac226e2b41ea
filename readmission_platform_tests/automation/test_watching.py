"""What is watched besides runs: sensors and schedules, the ledger, services, limits; and what a command observes."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import InProcessCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster_shared.error import SerializableErrorInfo

from readmission_platform.automation.observation import observe_launched
from readmission_platform.automation.watching import ERROR_SHARE_RUNS, own_figures
from readmission_platform.config.environment import settings
from readmission_platform.foundation.errors import BadInput
from readmission_platform.operations.database import Operations, enter_run
from readmission_platform.operations.observed_runs import AssetSeen, RunSeen
from readmission_platform.resources.environment import environment_resources
from readmission_platform_tests.support.homes import Home
from readmission_platform_tests.support.intruder import Intruder
from readmission_platform_tests.support.watched import SECRET, Watched, watched_home

MINUTE = timedelta(minutes=1)


def now() -> datetime:
    return datetime.now(UTC)


def running_sensor(watched: Watched, name: str) -> InstigatorState:
    place = InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="readmission_platform.definitions"))
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(place, "__repository__"), name)
    state = InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.RUNNING, SensorInstigatorData())
    return watched.instance.add_instigator_state(state)


def ticked(watched: Watched, state: InstigatorState, status: TickStatus, at: datetime) -> None:
    cause = SerializableErrorInfo(f"OSError: {SECRET}", [], "OSError")
    wrapped = SerializableErrorInfo(f"Error in the sensor: {SECRET}", [], "SensorExecutionError", cause)
    error = wrapped if status is TickStatus.FAILURE else None
    watched.instance.create_tick(
        TickData(
            state.instigator_origin_id,
            state.name,
            InstigatorType.SENSOR,
            status,
            at.timestamp(),
            run_ids=[],
            selector_id=state.selector_id,
            error=error,
        )
    )


def test_a_sensor_that_fails_is_told_of_until_it_works_again(installed: Watched):
    began, state = now(), running_sensor(installed, "landing_sensor")
    ticked(installed, state, TickStatus.SUCCESS, began)
    installed.observe(now=began)
    assert installed.told() == []
    ticked(installed, state, TickStatus.FAILURE, began + MINUTE)
    for minutes in (1, 2, 3):
        installed.observe(now=began + minutes * MINUTE)
    (told,) = installed.told()
    assert (told["rule"], told["subject"]) == ("tick_failed", "landing_sensor")
    assert "OSError" in told["what"]
    assert SECRET not in str(told)
    ticked(installed, state, TickStatus.STARTED, began + 4 * MINUTE)
    installed.observe(now=began + 4 * MINUTE)
    assert len(installed.told()) == 1  # one that goes on says nothing
    ticked(installed, state, TickStatus.SKIPPED, began + 5 * MINUTE)
    installed.observe(now=began + 5 * MINUTE)
    assert installed.told()[-1]["notice"] == "recovered"


def test_events_of_the_ledger_are_told_of_once(watched: Watched):
    began = now()
    with watched.home.ledger() as ledger:
        ledger.append("version_validated", {"verdict": "fail"}, actor="tester", version="4")
        ledger.append("difference_found", {"differences": []}, actor="reconciliation_sensor")
    for minutes in range(3):
        watched.observe(now=began + minutes * MINUTE)
    assert [told["rule"] for told in watched.told()] == ["version_rejected", "difference_found"]
    with watched.home.ledger() as ledger:
        ledger.append("alias_repaired", {}, actor="reconciliation_sensor")
    watched.observe(now=began + 4 * MINUTE)
    assert [told["rule"] for told in watched.told("recovered")] == ["difference_found"]


def test_an_edited_ledger_is_critical(watched: Watched):
    with watched.home.ledger() as ledger:
        ledger.append("version_validated", {"verdict": "pass"}, actor="tester", version="4")
    began = now()
    watched.observe(now=began)
    assert watched.told() == []
    intruder = Intruder(settings().ledger_database)
    intruder.disarm()
    intruder.run("UPDATE events SET actor = 'somebody else' WHERE seq = 1")
    intruder.close()
    watched.observe(now=began + 10 * MINUTE)
    (told,) = watched.told()
    assert (told["rule"], told["severity"]) == ("ledger_corrupt", "critical")
    assert "event 1" in told["what"]


def test_a_figure_is_told_of_while_it_is_beyond_its_limit(watched: Watched):
    began = now()
    for minutes, share in ((0, 0.01), (10, 0.2), (20, 0.2), (30, 0.01)):
        watched.observe(now=began + minutes * MINUTE, figures={"quarantined_share": share})
    assert [(told["rule"], told["notice"]) for told in watched.told()] == [
        ("quarantine_high", "raised"),
        ("quarantine_high", "recovered"),
    ]
    # Of a day with few discharges the share would count the people.
    assert watched.told()[0]["what"] == "quarantined_share is beyond its limit; the limit is at most 0.05."
    watched.observe(now=began + 40 * MINUTE, figures={"drifted_share": 0.9})
    assert watched.told()[-1]["what"] == "drifted_share is 0.9; the limit is at most 0.8."


def test_figures_that_cannot_be_made_keep_nobody_from_hearing_of_the_rest(watched: Watched):
    def broken() -> dict[str, float]:
        raise BadInput("a table is gone")

    from readmission_platform.automation.observation import observe

    watched.materialize("raise")
    given = environment_resources(settings())
    with pytest.raises(BadInput):  # the tick fails, which the next one tells of
        observe(watched.instance, project=given.project, tracking=given.tracking, figures=broken)
    assert [told["rule"] for told in watched.told()] == ["run_failed"]
    assert len(watched.audit()) == 1


def enter(operations: Operations, number: int, *, cause: str | None = None, ended_at: datetime) -> None:
    failed = {"declined": "Refused", "check": "DagsterAssetCheckFailedError", "error": "ValueError"}
    run = RunSeen(
        f"run {number}",
        "scoring_job",
        "failure" if cause else "success",
        ended_at,
        ended_at,
        "somebody",
        "person",
        assets=(AssetSeen("daily_predictions", "made", None, None, ended_at, 0.5, 20),),
        error=failed[cause] if cause else None,
    )
    with operations.writing() as connection:
        enter_run(connection, run, code_version="c", quiet=False, audit=None, now=ended_at)


def test_the_platforms_own_figures(tmp_path: Path):
    began = now()
    with Operations(f"sqlite:///{tmp_path / 'operations.db'}") as operations:
        assert set(own_figures(operations, tmp_path, now=began)) == {"disk_used_share"}
        causes = ["error", "declined", "check", *[None] * (ERROR_SHARE_RUNS - 4)]
        for number, cause in enumerate(causes):
            enter(operations, number, cause=cause, ended_at=began - MINUTE)
        enter(operations, 98, cause="error", ended_at=began - timedelta(hours=25))
        assert "run_error_share" not in own_figures(operations, tmp_path, now=began)  # too few to say
        enter(operations, 99, ended_at=began)
        found = own_figures(operations, tmp_path, now=began)
    assert found["run_error_share"] == 1 / ERROR_SHARE_RUNS
    assert found["scoring_milliseconds"] == 25
    assert 0 < found["disk_used_share"] < 1


def test_a_heartbeat_is_in_the_file(watched: Watched):
    watched.observe(now=now())
    (beat,) = watched.told("heartbeat")
    assert "0 runs" in beat["what"]


# ----------------------------------------------------------------------------------------------- from the command line


def launched(watched: Watched, *run_ids: str) -> float:
    given = environment_resources(settings())
    began = time.perf_counter()
    observe_launched(watched.instance, run_ids, project=given.project, tracking=given.tracking)
    return time.perf_counter() - began


def test_a_command_observes_its_own_run_and_leaves_the_others_to_the_sensor(watched: Watched):
    others, own = watched.materialize("raise"), watched.materialize("unusual")
    launched(watched, own)
    assert [row["run_id"] for row in watched.rows("observed_runs")] == [own]
    assert [told["rule"] for told in watched.told()] == ["check_warns"]
    watched.tick()
    assert {row["run_id"] for row in watched.rows("observed_runs")} == {others, own}


def test_observing_costs_a_command_next_to_nothing(installed: Watched):
    launched(installed, installed.materialize())  # makes the database
    seconds = min(launched(installed, installed.materialize()) for _ in range(2))
    print(f"observing one run takes {1000 * seconds:.0f} ms (the aim: at most 50 ms on an idle machine)")


def test_a_tick_without_news_costs_next_to_nothing(installed: Watched):
    installed.materialize()
    began = now()
    installed.observe(now=began)
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        installed.observe(now=began + MINUTE)
        taken.append(time.perf_counter() - start)
    print(f"a tick without news takes {1000 * min(taken):.0f} ms (the aim: at most 100 ms on an idle machine)")


def test_an_observation_that_fails_hides_neither_a_result_nor_an_error(prepared_home: Home, tmp_path: Path):
    from readmission_platform.launcher import Launcher

    home = prepared_home.copy(tmp_path / "home")
    blocked = tmp_path / "a file"
    blocked.touch()
    with watched_home(home.having(READMISSION_OPERATIONS_URL=f"sqlite:///{blocked / 'operations.db'}")):
        launcher = Launcher(settings())
        with pytest.raises(BadInput, match="there is no version 9"):
            launcher.launch(
                "promotion_job", ops={"promote_version": {"config": {"version": "9", "to_stage": "staging"}}}
            )
        assert launcher.launch("projection_job").success
    with watched_home(home) as watched:
        assert watched.observe(now=now()).runs == 2


def test_the_sensor_is_part_of_the_definitions_and_starts_no_run(prepared_home: Home):
    from readmission_platform.definitions import build_definitions

    with prepared_home.lived_in() as current:
        sensor = build_definitions(current).get_repository_def().get_sensor_def("observation_sensor")
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    assert not sensor.targets
