"""What is watched besides runs: sensors and schedules, the ledger, services, limits; and what a command observes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.scheduler.instigation import (
    TickStatus,
)

from readmission_platform.automation.observation import observe_launched
from readmission_platform.automation.watching import ERROR_SHARE_RUNS, own_figures, scoring_figures
from readmission_platform.config.environment import settings
from readmission_platform.foundation.errors import BadInput
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.lifecycle.workspace import Platform
from readmission_platform.operations.database import Operations, enter_run
from readmission_platform.operations.names import OBSERVATION_SENSOR, ModelNames
from readmission_platform.operations.observed_runs import AssetSeen, RunSeen
from readmission_platform_tests.support.homes import MODEL, Home
from readmission_platform_tests.support.intruder import Intruder
from readmission_platform_tests.support.ticks import running_sensor, ticked
from readmission_platform_tests.support.watched import OTHER, SECRET, Watched, watched_home

MINUTE = timedelta(minutes=1)


def now() -> datetime:
    return datetime.now(UTC)


def test_a_sensor_that_fails_has_an_alert_until_it_works_again(installed: Watched):
    began, state = now(), running_sensor(installed.instance, "landing_sensor")
    ticked(installed.instance, state, TickStatus.SUCCESS, began)
    installed.observe(now=began)
    assert installed.notices() == []
    ticked(installed.instance, state, TickStatus.FAILURE, began + MINUTE)
    for minutes in (1, 2, 3):
        installed.observe(now=began + minutes * MINUTE)
    (notice,) = installed.notices()
    assert (notice["rule"], notice["subject"]) == ("tick_failed", "landing_sensor")
    assert "OSError" in notice["what"]
    assert SECRET not in str(notice)
    ticked(installed.instance, state, TickStatus.STARTED, began + 4 * MINUTE)
    installed.observe(now=began + 4 * MINUTE)
    assert len(installed.notices()) == 1  # one that goes on says nothing
    ticked(installed.instance, state, TickStatus.SKIPPED, began + 5 * MINUTE)
    installed.observe(now=began + 5 * MINUTE)
    assert installed.notices()[-1]["notice"] == "recovered"


def test_a_model_that_cannot_be_loaded_has_an_alert_of_its_own_until_it_can(watched: Watched):
    began = now()
    watched.observe(now=began, broken={OTHER: "monitoring.yaml: drift: Field required"})
    (notice,) = watched.notices()
    assert (notice["model"], notice["rule"], notice["severity"]) == (OTHER, "model_not_loaded", "critical")
    assert "monitoring.yaml: drift: Field required" in notice["what"]
    watched.observe(now=began + MINUTE)
    assert [each["model"] for each in watched.notices("recovered")] == [OTHER]


def test_an_event_of_the_ledger_is_reported_once(watched: Watched):
    began = now()
    with watched.home.ledger() as ledger:
        ledger.append("version_validated", {"verdict": "fail"}, actor="tester", version="4")
        ledger.append("difference_found", {"differences": []}, actor="reconciliation_sensor")
    for minutes in range(3):
        watched.observe(now=began + minutes * MINUTE)
    assert [notice["rule"] for notice in watched.notices()] == ["version_rejected", "difference_found"]
    with watched.home.ledger() as ledger:
        ledger.append("alias_repaired", {}, actor="reconciliation_sensor")
    watched.observe(now=began + 4 * MINUTE)
    assert [notice["rule"] for notice in watched.notices("recovered")] == ["difference_found"]


def test_an_edited_ledger_is_critical(watched: Watched):
    with watched.home.ledger() as ledger:
        ledger.append("version_validated", {"verdict": "pass"}, actor="tester", version="4")
    began = now()
    watched.observe(now=began)
    assert watched.notices() == []
    intruder = Intruder(settings().ledger_database)
    intruder.disarm()
    intruder.run("UPDATE events SET actor = 'somebody else' WHERE seq = 1")
    intruder.close()
    watched.observe(now=began + 10 * MINUTE)
    (notice,) = watched.notices()
    assert (notice["rule"], notice["severity"]) == ("ledger_corrupt", "critical")
    assert "event 1" in notice["what"]


def test_a_figure_has_an_alert_while_it_is_beyond_its_limit(watched: Watched):
    began = now()
    for minutes, share in ((0, 0.01), (10, 0.2), (20, 0.2), (30, 0.01)):
        watched.observe(now=began + minutes * MINUTE, readmission_30d={"quarantined_share": share})
    assert [(notice["rule"], notice["notice"]) for notice in watched.notices()] == [
        ("quarantine_high", "raised"),
        ("quarantine_high", "recovered"),
    ]
    # Of a day with few discharges the share would count the people.
    assert watched.notices()[0]["what"] == "quarantined_share is beyond its limit; the limit is at most 0.05."
    watched.observe(now=began + 40 * MINUTE, readmission_30d={"drifted_share": 0.9})
    assert watched.notices()[-1]["what"] == "drifted_share is 0.9; the limit is at most 0.8."


def test_figures_that_cannot_be_made_keep_no_other_alert_from_being_sent(watched: Watched):
    watched.materialize("raise")
    for minutes in range(2):
        # The tick fails, which the next one reports. It fails every time: an alert that came and went would hide it.
        with pytest.raises(BadInput, match="a table is gone"):
            watched.observe(
                now=now() + minutes * MINUTE,
                readmission_30d=BadInput("a table is gone"),
                visits_model={"drifted_share": 0.9},
            )
    assert watched.alerts() == [(MODEL, "run_failed", "asset brand_new"), (OTHER, "drift_high", "drifted_share")]
    assert len(watched.audit()) == 1


def test_the_same_figure_of_two_models_is_two_alerts(watched: Watched):
    began = now()
    for minutes, ours, theirs in ((0, 0.9, 0.9), (10, 0.2, 0.9)):
        watched.observe(
            now=began + minutes * MINUTE,
            readmission_30d={"drifted_share": ours},
            visits_model={"drifted_share": theirs},
        )
    assert [(notice["notice"], notice["model"]) for notice in watched.notices()] == [
        ("raised", MODEL),
        ("raised", OTHER),
        ("recovered", MODEL),
    ]
    assert watched.alerts() == [(OTHER, "drift_high", "drifted_share")]


def test_events_of_all_models_and_of_the_environment_are_read_from_one_mark(watched: Watched):
    began, url = now(), settings().ledger_database
    for model in (MODEL, OTHER):
        with Ledger(url, model=model, environment="local") as ledger:
            ledger.append("version_validated", {"verdict": "fail"}, actor="tester", version="3")
    with Ledger.of_environment(url, environment="local") as ledger:
        ledger.append("difference_found", {"differences": []}, actor="tester")
    watched.observe(now=began)
    assert watched.alerts() == [
        (MODEL, "version_rejected", "version_validated of version 3"),
        (OTHER, "version_rejected", "version_validated of version 3"),
        (None, "difference_found", "difference_found"),
    ]
    watched.observe(now=began + MINUTE)
    assert [alert["times_seen"] for alert in watched.rows("alerts")] == [1, 1, 1]


@pytest.mark.parametrize("mark", ["9999", "moved on", "-3", "0", '{"seq": 2}', "2199-01-01T00:00:00.000000Z"])
def test_a_mark_that_makes_no_sense_stops_no_watching_and_repeats_no_report(watched: Watched, mark: str):
    began, url = now(), settings().ledger_database
    with Ledger(url, model=MODEL, environment="local") as ledger:
        ledger.append("version_validated", {"verdict": "fail"}, actor="tester", version="3")
    watched.observe(now=began)
    with watched.operations() as operations:
        for name in ("ledger", "limits", "runs"):
            operations.set_mark(name, mark)
    with Ledger(url, model=OTHER, environment="local") as ledger:
        ledger.append("version_validated", {"verdict": "fail"}, actor="tester", version="4")
    watched.materialize("raise")
    watched.observe(now=began + MINUTE, **{MODEL: {"drifted_share": 0.9}})
    assert {(MODEL, "version_rejected"), (OTHER, "version_rejected"), (MODEL, "drift_high"), (MODEL, "run_failed")} <= {
        (model, rule) for model, rule, _ in watched.alerts()
    }
    assert len([each for each in watched.notices("raised") if each["rule"] == "version_rejected"]) == 2


def test_a_repaired_alias_of_one_model_leaves_the_difference_of_another_open(watched: Watched):
    began, url = now(), settings().ledger_database
    for model in (MODEL, OTHER):
        with Ledger(url, model=model, environment="local") as ledger:
            ledger.append("difference_found", {"differences": []}, actor="reconciliation_sensor")
    watched.observe(now=began)
    with Ledger(url, model=OTHER, environment="local") as ledger:
        ledger.append("alias_repaired", {}, actor="reconciliation_sensor")
    watched.observe(now=began + MINUTE)
    assert watched.alerts() == [(MODEL, "difference_found", "difference_found")]


def test_a_tick_belongs_to_the_model_whose_prefix_it_has(installed: Watched):
    began = now()
    for name in ("landing_sensor", "visits_landing_sensor", OBSERVATION_SENSOR):
        ticked(installed.instance, running_sensor(installed.instance, name), TickStatus.FAILURE, began)
    installed.observe(now=began + MINUTE)
    assert set(installed.alerts()) == {
        (MODEL, "tick_failed", "landing_sensor"),
        (OTHER, "tick_failed", "landing_sensor"),
        (None, "tick_failed", OBSERVATION_SENSOR),
    }
    assert "visits_landing_sensor" in {notice["model"]: notice["what"] for notice in installed.notices()}[OTHER]


def enter(
    operations: Operations, number: int, *, cause: str | None = None, ended_at: datetime, key: str = "daily_predictions"
) -> None:
    failed = {"declined": "Refused", "check": "DagsterAssetCheckFailedError", "error": "ValueError"}
    names = ModelNames({MODEL: "", OTHER: "visits"})
    run = RunSeen(
        f"run {number}",
        names.of_job("scoring_job", MODEL),
        "failure" if cause else "success",
        ended_at,
        ended_at,
        "somebody",
        "person",
        assets=(AssetSeen(names.of_asset(key), "made", None, None, ended_at, 0.5, 20),),
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
    assert 0 < found["disk_used_share"] < 1


def test_the_time_of_scoring_is_that_of_each_model(tmp_path: Path):
    with Operations(f"sqlite:///{tmp_path / 'operations.db'}") as operations:
        enter(operations, 1, ended_at=now())
        assert scoring_figures(operations, MODEL) == {"scoring_milliseconds": 25}
        assert scoring_figures(operations, OTHER) == {}
        enter(operations, 2, ended_at=now(), key="visits/daily_predictions")
        assert scoring_figures(operations, OTHER) == {"scoring_milliseconds": 25}


def test_a_heartbeat_is_in_the_file(watched: Watched):
    watched.observe(now=now())
    (beat,) = watched.notices("heartbeat")
    assert "0 runs" in beat["what"]


# ----------------------------------------------------------------------------------------------- from the command line


def launched(watched: Watched, *run_ids: str) -> None:
    observe_launched(watched.instance, run_ids, platform=Platform(settings()))


def test_a_command_observes_its_own_run_and_leaves_the_others_to_the_sensor(watched: Watched):
    others, own = watched.materialize("raise"), watched.materialize("unusual")
    launched(watched, own)
    assert [row["run_id"] for row in watched.rows("observed_runs")] == [own]
    assert [notice["rule"] for notice in watched.notices()] == ["check_warns"]
    watched.tick()
    assert {row["run_id"] for row in watched.rows("observed_runs")} == {others, own}


def test_an_observation_that_fails_hides_neither_a_result_nor_an_error(prepared_home: Home, tmp_path: Path):
    from readmission_platform.launcher import Launcher

    home = prepared_home.copy(tmp_path / "home")
    blocked = tmp_path / "a file"
    blocked.touch()
    with watched_home(home.having(READMISSION_OPERATIONS_URL=f"sqlite:///{blocked / 'operations.db'}")):
        launcher = Launcher(Platform(settings()).model(MODEL))
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
