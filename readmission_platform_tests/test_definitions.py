"""The contract of the graph: what is in it, what every part says of itself, and what it costs to load."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from itertools import pairwise
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.storage.tags import HIDDEN_TAG_PREFIX
from dagster._core.workspace.context import WEBSERVER_GRPC_SERVER_HEARTBEAT_TTL
from dagster._daemon.controller import DAEMON_GRPC_SERVER_HEARTBEAT_TTL

from readmission_platform.assets.model_assets import RUN_LIFECYCLE_TAG
from readmission_platform.config.environment import PROJECT_ROOT, Settings, settings
from readmission_platform.definitions import build_definitions
from readmission_platform.governance.policy.required import required_gates
from readmission_platform.models.readmission_30d import CONTRACT
from readmission_platform_tests.support.homes import Home
from readmission_platform_tests.support.two_models import configs_of_two

HEAVY = {"apprise", "dagster_mlflow", "deltalake", "evidently", "matplotlib", "mlflow", "scipy", "skops", "sklearn"}
ASSETS = {
    "raw_encounters": "ingestion",
    "eligible_encounters": "ingestion",
    "encounter_features": "features",
    "patient_split": "features",
    "candidate_model": "training",
    "recalibrated_model": "training",
    "validation_report": "validation",
    "model_card": "validation",
    "reproduction": "validation",
    "robustness_study": "validation",
    "staging_model": "promotion",
    "production_model": "promotion",
    "rollout": "promotion",
    "daily_discharges": "ingestion",
    "shadow_predictions": "inference",
    "daily_predictions": "inference",
    "work_list": "inference",
    "matured_outcomes": "ingestion",
    "drift_report": "monitoring",
    "live_performance": "monitoring",
    "monitoring_figures": "monitoring",
}
# The groups, collapsed, tell the life of a model from left to right.
STORY = ["ingestion", "features", "training", "validation", "promotion", "inference", "monitoring"]
SCORING = {"daily_discharges"} | {name for name, group in ASSETS.items() if group == "inference"}
DAILY = SCORING | {"matured_outcomes"}
JOBS = {
    "training_job",
    "recalibration_job",
    "reproduction_job",
    "study_job",
    "promotion_job",
    "projection_job",
    "replay_job",
    "scoring_job",
    "outcomes_job",
    "monitoring_job",
}
# These say something of a version and hold nothing back.
DESCRIBE_ONLY = {"model_card", "robustness_study"}
ENVIRONMENTS = ("local", "staging", "production")


def definitions_of(environment: str, home: Path) -> dg.Definitions:
    return build_definitions(Settings(environment=environment, home=home))


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    return definitions_of("local", tmp_path_factory.mktemp("nothing_is_written_here"))


@pytest.fixture(scope="module")
def graph(definitions: dg.Definitions) -> AssetGraph:
    return definitions.resolve_asset_graph()


@pytest.fixture(scope="module")
def specs(definitions: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}


@pytest.fixture(scope="module")
def check_specs(definitions: dg.Definitions) -> list[dg.AssetCheckSpec]:
    found = []
    for each in definitions.assets or []:
        if isinstance(each, dg.AssetsDefinition):
            found += list(each.check_specs)
    for each in definitions.asset_checks or []:
        found += list(each.check_specs)
    return found


def test_loading_imports_no_heavy_library(tmp_path: Path):
    program = (
        "import json, sys, readmission_platform.definitions;"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PROJECT_ROOT,
        env={"READMISSION_HOME": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert not HEAVY & set(json.loads(done.stdout))
    assert done.stderr == ""  # neither a warning nor anything else that a start of the UI would print for each asset


def test_loading_writes_nothing(tmp_path: Path):
    definitions_of("local", tmp_path / "home").resolve_all_job_defs()
    assert not (tmp_path / "home").exists()


def test_the_graph_is_the_one_that_was_agreed_on(graph: AssetGraph, specs: dict[str, dg.AssetSpec]):
    assert {name: spec.group_name for name, spec in specs.items()} == ASSETS
    assert {
        key.to_user_string(): sorted(parent.to_user_string() for parent in graph.get(key).parent_keys)
        for key in graph.materializable_asset_keys
    } == {
        "raw_encounters": [],
        "eligible_encounters": ["daily_discharges", "matured_outcomes", "raw_encounters"],
        "encounter_features": ["eligible_encounters"],
        "patient_split": ["eligible_encounters"],
        "candidate_model": ["eligible_encounters", "encounter_features", "patient_split"],
        "recalibrated_model": ["matured_outcomes"],
        "validation_report": ["candidate_model", "recalibrated_model"],
        "model_card": ["validation_report"],
        "reproduction": ["candidate_model"],
        "robustness_study": ["candidate_model"],
        "staging_model": ["validation_report"],
        "production_model": ["staging_model"],
        "rollout": ["production_model"],
        "daily_discharges": [],
        "shadow_predictions": ["daily_discharges", "staging_model"],
        "daily_predictions": ["daily_discharges", "production_model"],
        "work_list": ["daily_predictions"],
        "matured_outcomes": ["daily_discharges"],
        "drift_report": ["daily_predictions", "shadow_predictions"],
        "live_performance": ["daily_predictions", "matured_outcomes"],
        "monitoring_figures": ["daily_predictions", "drift_report", "live_performance"],
    }


def test_the_groups_of_every_model_form_no_circle_and_read_from_data_to_monitoring(tmp_path: Path):
    configs = configs_of_two(tmp_path, "visits", prefix="visits")
    models = "readmission_30d,frequent_visits,visits"
    with Home.new(tmp_path / "home").having(READMISSION_CONFIGS=str(configs), READMISSION_MODELS=models).lived_in():
        graph = build_definitions(settings()).resolve_asset_graph()
    after: dict[str, set[str]] = {}
    for key in graph.materializable_asset_keys:
        node = graph.get(key)
        sources = {graph.get(parent).group_name for parent in node.parent_keys}
        after.setdefault(node.group_name, set()).update(sources - {node.group_name})
    for prefix in ("", "frequent_visits_", "visits_"):
        own = {group: before for group, before in after.items() if group in {f"{prefix}{name}" for name in STORY}}
        # A group may follow from earlier ones only, and each follows from the one before: there is one order.
        assert list(TopologicalSorter(own).static_order()) == [f"{prefix}{name}" for name in STORY]
        assert all(f"{prefix}{first}" in own[f"{prefix}{then}"] for first, then in pairwise(STORY))
    assert len(after) == 3 * len(STORY)


def test_every_asset_says_what_it_is_whose_it_is_and_which_code_made_it(specs: dict[str, dg.AssetSpec]):
    for name, spec in specs.items():
        assert spec.owners, name
        assert all(owner.startswith("team:") or "@" in owner for owner in spec.owners), name
        assert spec.kinds, name
        assert spec.code_version, name
        assert spec.description, name
        assert len(spec.description) > 60, name


def test_no_dependency_is_a_typing_error(graph: AssetGraph):
    # Dagster takes a name nobody defines for an external asset, and loads without complaint.
    assert {key.to_user_string() for key in graph.get_all_asset_keys()} == set(ASSETS)


def test_every_check_is_on_an_asset_that_exists_and_says_its_rule(
    check_specs: list[dg.AssetCheckSpec], graph: AssetGraph
):
    assert check_specs
    for spec in check_specs:
        assert spec.asset_key.to_user_string() in ASSETS, spec.name
        assert spec.description, spec.name
    assert {spec.key for spec in check_specs} == set(graph.asset_check_keys)


def test_every_asset_has_a_blocking_check_that_it_reports_itself(definitions: dg.Definitions):
    for each in definitions.assets or []:
        assert isinstance(each, dg.AssetsDefinition)
        for key in each.keys:
            own = [spec for spec in each.check_specs if spec.asset_key == key]
            assert own, key.to_user_string()
            assert any(spec.blocking for spec in own) is (key.to_user_string() not in DESCRIBE_ONLY)


@pytest.mark.parametrize("gate", required_gates(CONTRACT.evidence).names("candidate", "staging"))
def test_every_required_gate_is_a_blocking_check_that_cannot_be_deselected(definitions: dg.Definitions, gate: str):
    report = next(
        each
        for each in definitions.assets or []
        if isinstance(each, dg.AssetsDefinition) and dg.AssetKey("validation_report") in each.keys
    )
    found = [spec for spec in report.check_specs if spec.name == gate]
    assert [spec.blocking for spec in found] == [True]
    assert not report.can_subset


def ancestors(graph: AssetGraph, start: str, *, around: set[str]) -> Iterator[str]:
    """Yield what an asset depends on, not following the path through some assets."""
    for parent in graph.get(dg.AssetKey(start)).parent_keys:
        name = parent.to_user_string()
        if name not in around:
            yield name
            yield from ancestors(graph, name, around=around)


def test_predictions_depend_on_a_candidate_only_through_promotion(graph: AssetGraph):
    promotion = {name for name, group in ASSETS.items() if group == "promotion"}
    assert "candidate_model" in set(ancestors(graph, "daily_predictions", around=set()))
    assert set(ancestors(graph, "daily_predictions", around=promotion)) == {"daily_discharges"}
    assert dg.AssetKey("production_model") in graph.get(dg.AssetKey("daily_predictions")).parent_keys


def test_daily_assets_have_text_partitions_and_are_filled_in_one_run(graph: AssetGraph):
    for name in ASSETS:
        node = graph.get(dg.AssetKey(name))
        if name not in DAILY:
            assert node.partitions_def is None, name
            continue
        assert isinstance(node.partitions_def, dg.DailyPartitionsDefinition), name
        assert node.backfill_policy == dg.BackfillPolicy.single_run()


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_environment_loads_with_the_same_graph_and_jobs(environment: str, tmp_path: Path):
    repository = definitions_of(environment, tmp_path).get_repository_def()
    assert {key.to_user_string() for key in repository.asset_graph.materializable_asset_keys} == set(ASSETS)
    assert {job.name for job in repository.get_all_jobs()} >= JOBS


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_sensors_run_everywhere_and_the_daily_schedule_where_files_arrive(environment: str, tmp_path: Path):
    repository = definitions_of(environment, tmp_path).get_repository_def()
    sensors = {sensor.name: sensor.default_status for sensor in repository.sensor_defs}
    schedules = {schedule.name: schedule.default_status for schedule in repository.schedule_defs}
    assert sensors["staging_promotion_sensor"] is dg.DefaultSensorStatus.RUNNING
    assert sensors["reconciliation_sensor"] is dg.DefaultSensorStatus.RUNNING
    assert sensors["rollout_sensor"] is dg.DefaultSensorStatus.RUNNING
    rollback = dg.DefaultSensorStatus.STOPPED if environment == "production" else dg.DefaultSensorStatus.RUNNING
    assert sensors["automatic_rollback_sensor"] is rollback
    assert sensors["observation_sensor"] is dg.DefaultSensorStatus.RUNNING
    wanted = dg.DefaultScheduleStatus.STOPPED if environment == "local" else dg.DefaultScheduleStatus.RUNNING
    assert schedules["daily_scoring_schedule"] is wanted
    assert schedules["monitoring_schedule"] is wanted
    assert schedules["daily_outcomes_schedule"] is wanted
    assert schedules["regular_training_schedule"] is wanted
    retraining = dg.DefaultSensorStatus.STOPPED if environment == "local" else dg.DefaultSensorStatus.RUNNING
    assert sensors["retraining_sensor"] is retraining


def test_a_model_whose_monitoring_is_wrong_is_left_out_and_the_others_are_all_there(tmp_path: Path):
    configs = configs_of_two(tmp_path, "visits", prefix="visits")
    (configs / "models" / "visits" / "monitoring.yaml").write_text("retraining: {}", encoding="utf-8")
    with Home.new(tmp_path / "home").having(READMISSION_CONFIGS=str(configs)).lived_in():
        repository = build_definitions(settings()).get_repository_def()
    names = {job.name for job in repository.get_all_jobs()}
    assert "scoring_job" in names
    assert "visits_scoring_job" not in names
    assert any(sensor.name == "observation_sensor" for sensor in repository.sensor_defs)


def test_the_names_say_what_kind_of_thing_it_is(definitions: dg.Definitions):
    repository = definitions.get_repository_def()
    assert all(job.name.endswith("_job") for job in repository.get_all_jobs() if not job.name.startswith("__"))
    assert all(schedule.name.endswith("_schedule") for schedule in repository.schedule_defs)
    assert all(sensor.name.endswith("_sensor") for sensor in repository.sensor_defs)


def test_every_job_schedule_and_sensor_explains_itself(definitions: dg.Definitions):
    repository = definitions.get_repository_def()
    jobs = [job for job in repository.get_all_jobs() if not job.name.startswith("__")]
    for each in [*jobs, *repository.schedule_defs, *repository.sensor_defs]:
        assert each.description, each.name
        assert len(each.description) > 60, each.name
    for job in jobs:
        assert job.tags[RUN_LIFECYCLE_TAG], job.name
        assert all(tag.startswith(HIDDEN_TAG_PREFIX) for tag in job.tags), (
            job.name
        )  # no pills that say what the name says


def test_descriptions_guide_a_newcomer(definitions: dg.Definitions):
    jobs = {job.name: job.description or "" for job in definitions.resolve_all_job_defs()}
    assert "Materialize all" in jobs["training_job"]
    assert "launchpad" in jobs["training_job"]
    assert "landing/discharges" in jobs["scoring_job"]
    assert "Promotes nothing" in jobs["projection_job"]
    assert "dry_run" in jobs["promotion_job"]
    assert "blocks nothing" in jobs["monitoring_job"]
    assert "landing/outcomes" in jobs["outcomes_job"]


def test_the_launchpad_of_training_proposes_no_source_but_that_of_the_home(definitions: dg.Definitions):
    job = definitions.resolve_job_def("training_job")
    assert job.run_config
    assert job.run_config["ops"] == {"raw_encounters": {"config": {"source": ""}}}


@pytest.mark.parametrize(("job", "op", "field"), [
    ("promotion_job", "promote_version", "version"), ("rollback_job", "roll_back_production", "to_version"),
    ("recalibration_job", "recalibrated_model", "version"),
])  # fmt: skip
def test_a_launchpad_asks_for_the_version_and_has_no_say_in_who_acts(
    definitions: dg.Definitions, job: str, op: str, field: str
):
    schema = definitions.resolve_job_def(job).run_config_schema.config_type.fields
    platform = schema["resources"].config_type.fields["platform"].config_type.fields["config"]
    assert not hasattr(platform.config_type, "fields")
    asked = schema["ops"].config_type.fields[op].config_type.fields["config"].config_type.fields
    assert asked[field].default_value == ""
    assert not {name for name in asked if "actor" in name or "home" in name}


def test_training_and_scoring_are_separate_jobs_that_together_hold_what_they_should(definitions: dg.Definitions):
    def assets_of(job: str) -> set[str]:
        keys = definitions.resolve_job_def(job).asset_layer.selected_asset_keys
        return {key.to_user_string() for key in keys}

    assert assets_of("scoring_job") == SCORING
    assert assets_of("outcomes_job") == {"matured_outcomes"}
    promotion = {"staging_model", "production_model", "rollout"}
    assert assets_of("projection_job") == promotion
    monitoring = {name for name, group in ASSETS.items() if group == "monitoring"}
    assert assets_of("monitoring_job") == monitoring
    named = {"reproduction", "robustness_study", "recalibrated_model"}  # of a version that is there already
    assert assets_of("reproduction_job") == {"reproduction"}
    assert assets_of("study_job") == {"robustness_study"}
    assert assets_of("recalibration_job") == {"recalibrated_model", "validation_report"}
    assert assets_of("training_job") == set(ASSETS) - DAILY - promotion - monitoring - named


def test_a_code_server_that_was_replaced_ends_without_a_warning_and_says_what_else_there_is(
    capsys: pytest.CaptureFixture[str],
):
    logger, handler = logging.getLogger("dagster.code_server"), logging.StreamHandler(sys.stdout)
    logger.addHandler(handler)
    try:
        for seconds in (DAEMON_GRPC_SERVER_HEARTBEAT_TTL, WEBSERVER_GRPC_SERVER_HEARTBEAT_TTL):
            logger.warning(f"No heartbeat received in {seconds} seconds, shutting down")
        logger.warning("something else")
    finally:
        logger.removeHandler(handler)
    assert capsys.readouterr().out.splitlines() == ["something else"]
