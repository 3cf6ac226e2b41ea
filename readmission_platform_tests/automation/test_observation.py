"""Governance by observation: whoever defines an asset gets tracking, audit, metrics and alerts, exactly once."""

import sqlite3
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import gethostname
from threading import Barrier

import dagster as dg
import pytest

from readmission_platform.automation.observation import OBSERVED_AT_ONCE, RETRY_WAIT
from readmission_platform.automation.run_facts import NOTHING_JUDGED, RUN_MODEL_TAG, read_run
from readmission_platform.automation.run_records import TRACKING_PAUSE
from readmission_platform.config.environment import settings
from readmission_platform.definitions import build_definitions
from readmission_platform.governance.ledger.chain import ENVIRONMENT
from readmission_platform.lifecycle.workspace import Platform
from readmission_platform.operations.database import Operations
from readmission_platform_tests.support.homes import ACTOR, MODEL, Home, files_below
from readmission_platform_tests.support.watched import (
    OTHER,
    SECRET,
    Watched,
    backup_job,
    brand_new,
    scoring_job,
    visits_scoring_job,
    watched_home,
)

LATER = timedelta(minutes=6)


def now() -> datetime:
    return datetime.now(UTC)


# ------------------------------------------------------------------------------- an asset nobody prepared anything for


def test_a_new_asset_made_by_hand_is_tracked_and_measured(installed: Watched):
    # Beside all others, in a copy of the definitions: nothing in them speaks of it.
    everything = dg.Definitions.merge(build_definitions(settings()), dg.Definitions(assets=[brand_new]))
    installed = replace(installed, definitions=everything)
    run_id = installed.materialize()
    assert installed.tick().startswith("1 runs observed, 0 notices")

    (run,) = installed.tracked()
    assert run.info.status == "FINISHED"
    assert run.info.run_name == f"__ASSET_JOB {run_id[:8]}"
    assert run.data.metrics["rows/brand_new"] == 42
    assert run.data.metrics["seconds/brand_new"] >= 0
    assert {"dagster_run_id": run_id, "job": "__ASSET_JOB", "actor": ACTOR}.items() <= run.data.tags.items()
    assert run.data.tags["code_version"]
    (row,) = installed.rows("asset_runs")
    assert (row["run_id"], row["asset"], row["rows"], row["outcome"]) == (run_id, "brand_new", 42, "made")
    assert (row["data_version"], row["code_version"]) == ("sha256:42", "7")
    assert installed.audit() == []
    assert installed.notices() == []


def test_a_new_asset_that_raises_is_tracked_audited_measured_and_reported(installed: Watched):
    run_id = installed.materialize("raise")
    installed.tick()

    (run,) = installed.tracked()
    assert run.info.status == "FAILED"
    (event,) = installed.audit()
    assert event.kind == "run_failed"
    assert event.actor == ACTOR
    assert event.payload["run_id"] == run_id
    assert (event.payload["assets"], event.payload["error_class"]) == (["brand_new"], ["ValueError"])
    (row,) = installed.rows("asset_runs")
    assert (row["outcome"], row["rows"]) == ("failed", None)
    (notice,) = installed.notices()
    assert (notice["rule"], notice["subject"], notice["severity"]) == ("run_failed", "asset brand_new", "warning")
    assert "ValueError" in notice["what"]
    assert notice["run_id"] == run_id


def test_a_new_asset_whose_blocking_check_fails_raises_the_alert_of_that_check(installed: Watched):
    run_id = installed.materialize("implausible")
    installed.tick()

    (run,) = installed.tracked()
    assert run.info.status == "FAILED"
    assert run.data.metrics["failed_checks"] == 1
    (event,) = installed.audit()
    assert event.kind == "check_failed"
    assert event.payload["checks"] == [{"asset": "brand_new", "check": "plausible", "partition": None}]
    assert (event.payload["run_id"], event.payload["run_stopped"]) == (run_id, True)
    (row,) = installed.rows("asset_runs")
    assert (row["outcome"], row["rows"]) == ("blocked", 42)
    (notice,) = installed.notices()
    assert (notice["rule"], notice["subject"]) == ("blocking_check_failed", "brand_new/plausible")
    assert (notice["severity"], notice["what"]) == ("critical", "It adds up.")


def test_a_warning_in_a_green_run_raises_an_alert_and_is_not_audited(watched: Watched):
    watched.materialize("unusual")
    watched.tick()
    (notice,) = watched.notices()
    assert (notice["rule"], notice["subject"], notice["severity"]) == ("check_warns", "brand_new/usual", "warning")
    assert watched.audit() == []
    assert [run.info.status for run in watched.tracked()] == ["FINISHED"]


def test_however_often_the_sensor_ticks_everything_is_there_once(watched: Watched):
    for mood in ("fine", "raise", "implausible"):
        watched.materialize(mood)
    ticks = [watched.tick() for _ in range(3)]
    assert [each.split(" runs")[0] for each in ticks] == ["3", "0", "0"]
    assert len(watched.tracked()) == 3
    assert len(watched.audit()) == 2
    assert len(watched.rows("asset_runs")) == 3
    assert len(watched.notices()) == 2


def test_no_message_of_an_error_leaves_dagster(watched: Watched):
    watched.materialize("raise")
    watched.tick()
    kept = [
        path for path in files_below(watched.home.path) if "dagster" not in path.relative_to(watched.home.path).parts
    ]
    assert {"operations.db", "mlflow.db", "ledger.db", "alerts.jsonl"} <= {path.name for path in kept}
    for path in kept:
        assert SECRET.encode() not in path.read_bytes(), path.name


# -------------------------------------------------------------------------------------------------- kinds of endings


def test_a_step_that_works_at_the_second_try_is_no_failure(watched: Watched):
    watched.materialize("fine", "shaky")
    watched.tick()
    assert watched.notices() == []
    assert watched.audit() == []
    assert [row["outcome"] for row in watched.rows("asset_runs")] == ["made"]


def test_a_step_that_fails_at_every_try_is_one_failure(watched: Watched):
    watched.materialize("never", "shaky")
    watched.tick()
    (event,) = watched.audit()
    assert event.payload["error_class"] == ["ConnectionError"]
    assert len(watched.notices()) == 1


def test_a_run_in_progress_is_observed_when_it_has_ended(watched: Watched):
    run = watched.start_without_end()
    assert watched.tick().startswith("0 runs")
    watched.instance.report_dagster_event(
        dg.DagsterEvent(event_type_value="PIPELINE_SUCCESS", job_name=run.job_name), run_id=run.run_id
    )
    assert watched.tick().startswith("1 runs")
    assert [row["status"] for row in watched.rows("observed_runs")] == ["success"]


def test_a_run_whose_process_was_killed_is_critical_where_the_work_list_hangs_on_it(watched: Watched):
    run = watched.start_without_end()
    watched.instance.report_run_failed(run, f"the worker of {SECRET} is gone")  # as Dagster's run monitoring does
    watched.tick()
    (notice,) = watched.notices()
    assert (notice["rule"], notice["subject"], notice["severity"]) == ("scoring_failed", "scoring_job", "critical")
    assert "killed" in notice["what"]
    (event,) = watched.audit()
    assert (event.payload["cause"], event.payload["error_class"]) == ("killed", [])
    assert [each.info.status for each in watched.tracked()] == ["KILLED"]


def test_a_run_of_a_killed_command_is_observed_when_the_next_command_closed_it(installed: Watched):
    from readmission_platform.launcher import Launcher
    from readmission_platform.resources.own_runs import HOST_TAG, PROCESS_TAG

    ended = subprocess.Popen(["true"])
    ended.wait()
    run = installed.start_without_end(**{PROCESS_TAG: str(ended.pid), HOST_TAG: gethostname()})
    launcher = Launcher(Platform(settings()).model(MODEL))
    with pytest.raises(Exception, match="there is no version 9"):
        launcher.launch("promotion_job", ops={"promote_version": {"config": {"version": "9", "to_stage": "staging"}}})
    assert [event.payload["run_id"] for event in installed.audit()] == [run.run_id]
    assert [each["rule"] for each in installed.notices()] == ["scoring_failed"]


def test_a_run_that_somebody_canceled_is_tracked_and_alarms_nobody(watched: Watched):
    run = watched.start_without_end()
    watched.instance.report_run_canceled(run)
    watched.tick()
    assert [each.info.status for each in watched.tracked()] == ["KILLED"]
    assert watched.notices() == []
    assert watched.audit() == []


def test_what_a_person_is_declined_is_no_failure(watched: Watched):
    watched.materialize("refuse")
    watched.tick()
    assert [row["cause"] for row in watched.rows("observed_runs")] == ["declined"]
    assert watched.notices() == []
    assert watched.audit() == []


def test_a_run_whose_events_are_damaged_is_observed_by_its_status_and_holds_up_no_other(installed: Watched):
    damaged, whole = installed.materialize("raise"), installed.materialize("raise")
    for file in (installed.home.path / "dagster").rglob(f"{damaged}.db"):
        with closing(sqlite3.connect(file)) as events:
            events.execute("UPDATE event_logs SET event = 'nonsense'")
            events.commit()
    installed.tick()
    assert {row["run_id"]: row["status"] for row in installed.rows("observed_runs")} == {
        damaged: "failure",
        whole: "failure",
    }
    assert len(installed.audit()) == 2


def launched_by_the_daemon(watched: Watched) -> dg.DagsterRun:
    """Return a run as the daemon launches it, which has failed: Dagster promises to start it again."""
    from dagster._core.remote_origin import (
        InProcessCodeLocationOrigin,
        RemoteJobOrigin,
        RemoteRepositoryOrigin,
    )
    from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

    place = InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="readmission_platform.definitions"))
    origin = RemoteJobOrigin(RemoteRepositoryOrigin(place, "__repository__"), "scoring_job")
    run = watched.instance.create_run_for_job(
        scoring_job, status=dg.DagsterRunStatus.STARTED, remote_job_origin=origin, tags=scoring_job.tags
    )
    watched.instance.report_run_failed(run, "the worker is gone")
    return run


def test_a_run_that_dagster_starts_again_alarms_nobody_until_that_fails_too(installed: Watched):
    run = launched_by_the_daemon(installed)
    assert installed.tick().startswith("0 runs")
    again = installed.start_without_end()
    installed.instance.add_run_tags(run.run_id, {"dagster/auto_retry_run_id": again.run_id})
    assert installed.tick().startswith("1 runs")
    assert installed.notices() == []
    installed.instance.report_run_failed(again, "the worker is gone")
    installed.tick()
    assert [notice["run_id"] for notice in installed.notices()] == [again.run_id]


def test_a_promised_retry_that_does_not_happen_is_reported_after_a_while(installed: Watched):
    launched_by_the_daemon(installed)
    assert installed.observe(now=now()).runs == 0
    assert installed.observe(now=now() + RETRY_WAIT).runs == 1
    assert [notice["rule"] for notice in installed.notices()] == ["scoring_failed"]


def test_a_check_of_a_skipped_asset_says_nothing():
    from readmission_platform.assets.presentation import nothing_to_check

    assert str(nothing_to_check("plausible", "no files").description).startswith(NOTHING_JUDGED)


# ----------------------------------------------------------------------------------------------------- whose run it is


def test_runs_started_by_hand_belong_to_the_model_of_their_asset(watched: Watched):
    watched.materialize("raise")
    theirs = watched.materialize("raise", "visits/brand_new")
    watched.observe(now=now())
    assert watched.alerts() == [
        (MODEL, "run_failed", "asset brand_new"),
        (OTHER, "run_failed", "asset brand_new"),
    ]
    ours, other = watched.notices()
    assert (ours["model"], other["model"], other["run_id"]) == (MODEL, OTHER, theirs)
    rows = [(row["model"], row["asset"], row["asset_key"]) for row in watched.rows("asset_runs")]
    assert rows == [(MODEL, "brand_new", "brand_new"), (OTHER, "brand_new", "visits/brand_new")]
    assert [row["model"] for row in watched.rows("observed_runs")] == [MODEL, OTHER]
    (event,) = watched.audit(OTHER)
    assert (event.payload["run_id"], event.payload["assets"]) == (theirs, ["visits/brand_new"])
    assert len(watched.audit(MODEL)) == 1
    assert len(watched.tracked(f"{OTHER} operations")) == len(watched.tracked(f"{MODEL} operations")) == 1
    # Each is over when its own asset has been made.
    watched.materialize("fine")
    watched.observe(now=now())
    assert watched.alerts() == [(OTHER, "run_failed", "asset brand_new")]


def test_a_check_belongs_to_the_model_of_its_asset(watched: Watched):
    watched.materialize("implausible", "visits/brand_new")
    watched.observe(now=now())
    assert watched.alerts() == [(OTHER, "blocking_check_failed", "brand_new/plausible")]
    assert "asset visits/brand_new" in watched.notices()[0]["where"]  # as it is called in the UI
    watched.materialize("fine")
    watched.observe(now=now())
    assert len(watched.alerts()) == 1
    watched.materialize("fine", "visits/brand_new")
    watched.observe(now=now())
    assert watched.alerts() == []


def test_a_run_with_assets_of_two_models_belongs_to_neither_and_its_assets_to_theirs(watched: Watched):
    run_id = watched.materialize("raise", "brand_new", "visits/brand_new")
    watched.observe(now=now())
    assert {(model, subject) for model, _, subject in watched.alerts()} == {
        (MODEL, "asset brand_new"),
        (OTHER, "asset brand_new"),
    }
    assert [row["model"] for row in watched.rows("observed_runs")] == [None]
    assert [event.payload["run_id"] for event in watched.audit(ENVIRONMENT)] == [run_id]
    assert watched.audit(MODEL) == watched.audit(OTHER) == []
    (run,) = watched.tracked("operations")
    assert run.data.params == {"outcome/brand_new": "failed", "outcome/visits/brand_new": "failed"}


def test_a_job_without_assets_belongs_to_the_model_of_its_tag(watched: Watched):
    for job in (scoring_job, visits_scoring_job, backup_job):
        watched.instance.report_run_failed(watched.start_without_end(job), "the worker is gone")
    watched.observe(now=now())
    assert set(watched.alerts()) == {
        (MODEL, "scoring_failed", "scoring_job"),
        (OTHER, "scoring_failed", "scoring_job"),
        (None, "run_failed", "backup_job"),
    }
    where = {notice["model"]: notice["where"] for notice in watched.notices()}
    assert where[OTHER].endswith("of visits_scoring_job")
    assert [event.payload["job"] for event in watched.audit(OTHER)] == ["visits_scoring_job"]
    assert [event.payload["job"] for event in watched.audit(ENVIRONMENT)] == ["backup_job"]


def test_the_success_of_one_models_job_leaves_the_alert_of_another_open(watched: Watched):
    def ended(job: dg.JobDefinition, *, well: bool) -> None:
        run = watched.start_without_end(job)
        if well:
            event = dg.DagsterEvent(event_type_value="PIPELINE_SUCCESS", job_name=run.job_name)
            watched.instance.report_dagster_event(event, run_id=run.run_id)
        else:
            watched.instance.report_run_failed(run, "the worker is gone")
        watched.observe(now=now())

    ended(scoring_job, well=False)
    ended(visits_scoring_job, well=True)
    assert watched.alerts() == [(MODEL, "scoring_failed", "scoring_job")]
    ended(scoring_job, well=True)
    assert watched.alerts() == []


@pytest.mark.parametrize(
    ("assets", "tag", "model"),
    [
        (["visits/brand_new"], None, OTHER),
        (["visits/brand_new"], MODEL, OTHER),  # somebody edited the tag in the launchpad
        (["brand_new", "visits/brand_new"], OTHER, OTHER),
        (["brand_new", "visits/brand_new"], None, None),
        ([], OTHER, OTHER),
        ([], "a model that is not there", None),
        ([], None, None),
    ],
)
def test_a_run_killed_before_its_first_event_belongs_to_the_model_of_what_was_selected(
    watched: Watched, assets: list[str], tag: str | None, model: str | None
):
    run = watched.instance.create_run_for_job(
        watched.definitions.resolve_implicit_global_asset_job_def(),
        status=dg.DagsterRunStatus.STARTED,
        asset_selection=frozenset(dg.AssetKey(each.split("/")) for each in assets) or None,
        tags={RUN_MODEL_TAG: tag} if tag else {},
    )
    watched.instance.report_run_failed(run, "the worker is gone")
    (record,) = watched.instance.get_run_records(dg.RunsFilter(run_ids=[run.run_id]))
    assert read_run(watched.instance, record, names=Platform(settings()).names, actor=ACTOR).model == model


# ------------------------------------------------------------------------------------------ exactly once, come what may


def test_two_observers_at_once_do_everything_once(prepared_home: Home, ledger_url: str, tmp_path: Path):
    home = prepared_home.copy(tmp_path / "home", READMISSION_OPERATIONS_URL=ledger_url)
    with watched_home(home) as watched:
        for mood in ("raise", "implausible", "raise", "fine"):
            watched.materialize(mood)
        with watched.operations():
            together = Barrier(2)

            def look(_: int) -> int:
                together.wait()
                return watched.observe(now=now()).runs

            with ThreadPoolExecutor(2) as pool:
                assert sum(pool.map(look, range(2))) == 4
        watched.observe(now=now())
        assert len(watched.rows("observed_runs")) == len(watched.rows("asset_runs")) == 4
        assert len(watched.audit()) == 3
        assert len({run.data.tags["dagster_run_id"] for run in watched.tracked()}) == len(watched.tracked()) == 4
        for kind in ("raised", "recovered"):
            assert sorted(notice["rule"] for notice in watched.notices(kind)) == ["blocking_check_failed", "run_failed"]
        assert sorted(alert["times_seen"] for alert in watched.rows("alerts")) == [1, 2]


def test_a_lost_operations_database_makes_no_second_entry_elsewhere(watched: Watched):
    watched.materialize("raise")
    watched.tick()
    (watched.home.path / "operations.db").unlink()
    for rest in ("operations.db-wal", "operations.db-shm"):
        (watched.home.path / rest).unlink(missing_ok=True)
    assert watched.tick().startswith("1 runs")
    assert len(watched.audit()) == len(watched.tracked()) == 1


def test_without_tracking_the_rest_goes_on_and_tracking_is_made_up_for(prepared_home: Home, tmp_path: Path):
    home = prepared_home.copy(tmp_path / "home")
    blocked = tmp_path / "a file"
    blocked.touch()
    with watched_home(home.having(READMISSION_MLFLOW_URL=f"sqlite:///{blocked / 'mlflow.db'}")) as watched:
        watched.materialize("raise")
        done = watched.observe(now=now())
        assert "tracking server" in str(done)
        assert {notice["rule"] for notice in watched.notices()} == {"run_failed", "service_unavailable"}
        assert (None, "service_unavailable", "tracking") in watched.alerts()
        assert len(watched.audit()) == len(watched.rows("asset_runs")) == 1
        assert watched.rows("observed_runs")[0]["tracked"] == 0
    with watched_home(home) as watched:
        assert watched.observe(now=now()).problems == []
        assert watched.tracked() == []  # left alone for a while
        watched.observe(now=now() + TRACKING_PAUSE)
        assert len(watched.tracked()) == 1
        assert (None, "service_unavailable", "tracking") not in watched.alerts()


def test_without_the_ledger_the_rest_goes_on_and_the_audit_is_made_up_for(prepared_home: Home, tmp_path: Path):
    home = prepared_home.copy(tmp_path / "home")
    blocked = tmp_path / "a file"
    blocked.touch()
    with watched_home(home.having(READMISSION_LEDGER_URL=f"sqlite:///{blocked / 'ledger.db'}")) as watched:
        watched.materialize("raise")
        watched.observe(now=now())
        assert {"run_failed", "service_unavailable"} == {notice["rule"] for notice in watched.notices()}
        assert len(watched.tracked()) == 1
    with watched_home(home) as watched:
        watched.observe(now=now())
        assert len(watched.audit()) == 1
        assert watched.notices("recovered")[-1]["rule"] == "service_unavailable"


@pytest.mark.slow
def test_runs_from_before_the_first_start_are_observed_bit_by_bit_without_a_storm(prepared_home: Home, tmp_path: Path):
    blocked = tmp_path / "a file"
    blocked.touch()
    home = prepared_home.copy(tmp_path / "home", READMISSION_MLFLOW_URL=f"sqlite:///{blocked / 'mlflow.db'}")
    with watched_home(home, in_memory=True) as watched:
        # Whoever starts to watch tomorrow finds today's runs to be old.
        (home.path / "operations.db").unlink()
        Operations(settings().operations_database, now=now() + timedelta(days=1)).close()
        ids = []
        for number in range(300):
            status = dg.DagsterRunStatus.FAILURE if number % 3 == 0 else dg.DagsterRunStatus.SUCCESS
            run = watched.instance.create_run_for_job(scoring_job, status=status, tags=scoring_job.tags)
            ids.append(run.run_id)
        counts, order = [], []
        while not counts or counts[-1]:
            before = len(order)
            counts.append(watched.observe(now=now()).runs)
            order = [row["run_id"] for row in watched.rows("observed_runs")]
            assert set(order[before:]) == set(ids[before : before + OBSERVED_AT_ONCE])
        assert counts == [OBSERVED_AT_ONCE] * 6 + [0]
        assert watched.notices() == []
        assert len(watched.audit()) == 100
