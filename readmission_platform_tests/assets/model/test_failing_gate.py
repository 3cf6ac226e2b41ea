"""A gate that fails: the version is rejected, everybody can see why, and nothing else changes."""

from collections.abc import Callable

import dagster as dg
import pytest

from readmission_platform_tests.support.homes import Home, Outcome, readmission

GATE = "discrimination_auroc"


def test_the_command_ends_with_three_and_names_the_gate(blocked_training: tuple[Home, Outcome]):
    _, outcome = blocked_training
    assert outcome.code == 3
    assert GATE in outcome.err
    assert "Traceback" not in outcome.err
    assert outcome.json["state"] == "rejected"
    assert outcome.json["failed_gates"] == [GATE]


def test_stages_are_as_before(lived_home: Home, blocked_home: Home):
    before, after = (home.command("status", "--json").json["stages"] for home in (lived_home, blocked_home))
    assert after == before
    assert after["production"]["version"] == "1"
    assert blocked_home.aliases() == lived_home.aliases() == {"production": "1"}


def test_status_says_that_the_version_is_rejected_and_why(blocked_home: Home):
    states = {each["version"]: each for each in blocked_home.command("status", "--json").json["versions"]}
    assert states["2"]["state"] == "rejected"
    assert states["2"]["failed_gates"] == [GATE]
    assert states["1"]["state"] == "production"


def test_the_failing_gate_comes_with_what_it_asks_for_and_what_to_do(blocked_home: Home):
    results = blocked_home.command("gates", "2", GATE, "--json").json
    (result,) = [each for each in results if each["result"] == "fail"]
    for shown in (blocked_home.command("gates", "2"), blocked_home.command("gates", "2", GATE)):
        assert " ".join(result["rule"].split()) in " ".join(shown.out.split())
        assert f"What to do: {result['action']}" in " ".join(shown.out.split())
    unknown = blocked_home.command("gates", "2", "no_such_gate")
    assert unknown.code == 2
    assert "`readmission gates 2` lists them" in unknown.err


def test_the_gates_of_a_rejected_version_say_that_only_the_additional_limit_failed(blocked_home: Home):
    results = [each for each in blocked_home.command("gates", "2", "--json").json if each["gate"] == GATE]
    assert {(each["additional"], each["result"]) for each in results} == {(False, "pass"), (True, "fail")}
    failed = next(each for each in results if each["additional"])
    assert failed["limit"] == ">= 0.99"
    assert failed["observed"] < 0.99
    assert failed["action"]


def test_the_dagster_run_failed_at_the_check_and_shows_every_other_gate(blocked_home: Home):
    with blocked_home.instance() as instance:
        run = instance.get_runs(dg.RunsFilter(job_name="training_job"), limit=1)[0]
        assert run.status is dg.DagsterRunStatus.FAILURE
        checks = [
            entry.dagster_event.asset_check_evaluation_data
            for entry in instance.all_logs(run.run_id)
            if entry.dagster_event and entry.dagster_event.event_type_value == "ASSET_CHECK_EVALUATION"
        ]
    of_report = {check.check_name: check for check in checks if check.asset_key == dg.AssetKey("validation_report")}
    assert not of_report[GATE].passed
    assert of_report[GATE].severity is dg.AssetCheckSeverity.ERROR
    assert "0.99" in (of_report[GATE].description or "")
    blocking = [
        name for name, check in of_report.items() if not check.passed and check.severity is dg.AssetCheckSeverity.ERROR
    ]
    assert blocking == [GATE]
    assert len(of_report) > 20


def test_the_staging_sensor_does_not_ask_for_the_rejected_version(blocked_home: Home):
    from readmission_platform.automation.jobs import jobs_of
    from readmission_platform.automation.sensors import staging_promotion_sensor
    from readmission_platform.config.files import environment_config
    from readmission_platform.lifecycle.workspace import Platform

    with blocked_home.lived_in() as current, dg.DagsterInstance.ephemeral() as instance:
        model = readmission(current)
        sensor = staging_promotion_sensor(model, jobs_of(model), environment_config(current))
        context = dg.build_sensor_context(instance=instance, resources={"platform": Platform(current)})
        assert isinstance(sensor(context), dg.SkipReason)


@pytest.mark.parametrize("stage", ["staging", "production"])
def test_promoting_the_rejected_version_is_refused_and_recorded(
    blocked_home: Home, changing: Callable[[Home], Home], stage: str
):
    home = changing(blocked_home)
    outcome = home.command("promote", "--version", "2", "--to-stage", stage, "--replace", "--reason", "try")
    assert outcome.code == 3
    assert "version_accepted" in outcome.err
    assert home.stages == blocked_home.stages
    assert home.aliases() == {"production": "1"}
    assert home.kinds() == [*blocked_home.kinds(), "promotion_refused"]


def test_nobody_can_approve_the_rejected_version_into_production(blocked_home: Home, changing: Callable[[Home], Home]):
    home = changing(blocked_home)
    home.command("approve", "--version", "2", "--reason", "looks fine")
    outcome = home.command("promote", "--version", "2", "--to-stage", "production", "--force")
    assert outcome.code == 3
    assert home.stages == {"staging": None, "production": "1"}


def test_judging_the_rejected_version_again_without_the_limit_does_not_clear_it(
    blocked_home: Home, changing: Callable[[Home], Home]
):
    home = changing(blocked_home)
    assert home.materialize("validation_report", ops={"validation_report": {"version": "2"}}).success
    states = {each["version"]: each["state"] for each in home.command("status", "--json").json["versions"]}
    assert states["2"] == "rejected"
    assert home.command("promote", "--version", "2", "--to-stage", "staging").code == 3


@pytest.mark.slow
def test_the_demonstration_shows_a_blocked_version_and_undoes_it(
    challenged_home: Home, demonstration: tuple[Home, Outcome]
):
    home, outcome = demonstration
    assert outcome.code == 0
    assert "version 3 is rejected; staging and production are as before" in " ".join(outcome.out.split())
    states = {each["version"]: each["state"] for each in home.command("status", "--json").json["versions"]}
    assert states == {"1": "production", "2": "candidate", "3": "rejected", "4": "candidate"}
    assert home.stages == challenged_home.stages
