"""Tracking and registry: runs that end as their step ended, artifacts that cannot be swapped, aliases, moved homes."""

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from skops.io import dumps

from readmission_platform.foundation.errors import Unavailable
from readmission_platform.models.boosting.recalibrated import score
from readmission_platform.resources.tracking import TrackingResource
from readmission_platform.storage.artifacts import ArtifactRefused, StoredModel, artifact_digest, load_artifact
from readmission_platform_tests.support.small_study import SmallStudy

EXPERIMENT = "readmission_30d"
NAME = "readmission_30d"

Step = Callable[[dg.AssetExecutionContext, Any], None]


def tracked_asset(step: Step, *, retries: int = 0) -> dg.AssetsDefinition:
    @dg.asset(retry_policy=dg.RetryPolicy(max_retries=retries) if retries else None)
    def candidate(context: dg.AssetExecutionContext, tracking: TrackingResource) -> None:
        with tracking.run(context) as mlflow:
            step(context, mlflow)

    return candidate


def materialize(step: Step, tracking: TrackingResource, *, retries: int = 0) -> dg.ExecuteInProcessResult:
    """Run the step the way a click on "Materialize" does: as an asset, without a job of ours."""
    return dg.materialize(
        [tracked_asset(step, retries=retries)],
        resources={"tracking": tracking},
        instance=dg.DagsterInstance.ephemeral(),
        raise_on_error=False,
    )


def runs(tracking: TrackingResource) -> list[Any]:
    client = tracking.client()
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id]))


def statuses(tracking: TrackingResource) -> list[str]:
    return [run.info.status for run in runs(tracking)]


def start_a_run(tracking: TrackingResource, dagster_run_id: str) -> str:
    client = tracking.client()
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    return str(client.create_run(experiment.experiment_id, tags={"dagster_run_id": dagster_run_id}).info.run_id)


def store(tracking: TrackingResource, study: SmallStudy) -> StoredModel:
    """Train-and-register as the training asset does it."""
    kept: list[StoredModel] = []

    def step(context: dg.AssetExecutionContext, mlflow: Any) -> None:
        from mlflow.models import infer_signature

        some = study.inputs.head(50)
        some = some.astype(dict.fromkeys(some.select_dtypes("integer").columns, "float64"))
        mlflow.log_params({"seed": 11})
        kept.append(
            tracking.store(
                study.fitted.model,
                name=NAME,
                signature=infer_signature(some, study.fitted.scores[:50]),
                tags={"dagster_run_id": context.run.run_id},
            )
        )

    assert materialize(step, tracking).success
    return kept[0]


@pytest.fixture(scope="module")
def registered(
    initialised_mlflow: Path, small_study: SmallStudy, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, StoredModel]:
    """A home with one registered version; copied by tests that change it."""
    home = tmp_path_factory.mktemp("registered") / "home"
    shutil.copytree(initialised_mlflow, home)
    return home, store(in_home(home), small_study)


def in_home(home: Path) -> TrackingResource:
    return TrackingResource(
        uri=f"sqlite:///{home / 'mlflow.db'}", artifact_root=str(home / "mlartifacts"), experiment=EXPERIMENT
    )


# ------------------------------------------------------------------------------------------------------- runs


def test_a_step_that_succeeds_ends_its_run_finished_and_named_after_the_asset(tracking: TrackingResource) -> None:
    result = materialize(lambda _, mlflow: mlflow.log_metric("auroc", 0.7), tracking)
    assert result.success
    (run,) = runs(tracking)
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"auroc": 0.7}
    assert run.data.tags["dagster_run_id"] == result.run_id
    assert run.data.tags["mlflow.runName"] == f"candidate {result.run_id[:8]}"


def test_a_step_that_fails_ends_its_run_failed(tracking: TrackingResource) -> None:
    def step(_context: dg.AssetExecutionContext, _mlflow: Any) -> None:
        raise ValueError("no convergence")

    assert not materialize(step, tracking).success
    assert statuses(tracking) == ["FAILED"]


def test_a_step_that_is_interrupted_ends_its_run_killed(tracking: TrackingResource) -> None:
    def step(_context: dg.AssetExecutionContext, _mlflow: Any) -> None:
        raise KeyboardInterrupt

    assert not materialize(step, tracking).success
    assert statuses(tracking) == ["KILLED"]


def test_a_step_that_is_tried_again_continues_its_run(tracking: TrackingResource) -> None:
    tries = []

    def step(_context: dg.AssetExecutionContext, mlflow: Any) -> None:
        tries.append(mlflow.active_run().info.run_id)
        mlflow.log_metric(f"try_{len(tries)}", 1)
        if len(tries) < 3:
            raise ValueError("the first tries fail")

    assert materialize(step, tracking, retries=2).success
    (run,) = runs(tracking)
    assert run.info.status == "FINISHED"
    assert set(tries) == {run.info.run_id}
    assert set(run.data.metrics) == {"try_1", "try_2", "try_3"}


def test_two_runs_of_the_same_asset_are_two_runs(tracking: TrackingResource) -> None:
    for _ in range(2):
        materialize(lambda _, mlflow: mlflow.log_metric("auroc", 0.7), tracking)
    assert statuses(tracking) == ["FINISHED", "FINISHED"]


def test_a_run_of_the_ui_without_a_job_ends_too(tracking: TrackingResource) -> None:
    definitions = dg.Definitions(
        assets=[tracked_asset(lambda _, mlflow: mlflow.log_metric("auroc", 0.7))], resources={"tracking": tracking}
    )
    job = definitions.resolve_implicit_global_asset_job_def()
    assert job.name == "__ASSET_JOB"
    assert job.execute_in_process(instance=dg.DagsterInstance.ephemeral()).success
    assert statuses(tracking) == ["FINISHED"]


def test_a_run_whose_process_vanished_is_closed_by_the_next_one(tracking: TrackingResource) -> None:
    orphan = start_a_run(tracking, "a run nobody knows any more")
    materialize(lambda _, mlflow: None, tracking)
    ended = {run.info.run_id: run.info.status for run in runs(tracking)}
    assert ended.pop(orphan) == "KILLED"
    assert list(ended.values()) == ["FINISHED"]


@pytest.mark.parametrize(
    ("state", "status"), [(dg.DagsterRunStatus.STARTED, "RUNNING"), (dg.DagsterRunStatus.FAILURE, "KILLED")]
)
def test_a_run_is_closed_when_its_dagster_run_is_over_and_left_alone_while_that_goes_on(
    tracking: TrackingResource, state: dg.DagsterRunStatus, status: str
) -> None:
    instance = dg.DagsterInstance.ephemeral()
    other = instance.create_run_for_job(
        job_def=dg.define_asset_job("training_job").resolve(
            asset_graph=dg.Definitions(
                assets=[tracked_asset(lambda *_: None)], resources={"tracking": tracking}
            ).resolve_asset_graph()
        ),
        status=state,
    )
    mlflow_run = start_a_run(tracking, other.run_id)
    dg.materialize([tracked_asset(lambda *_: None)], resources={"tracking": tracking}, instance=instance)
    assert {run.info.run_id: run.info.status for run in runs(tracking)}[mlflow_run] == status


# ------------------------------------------------------------------------------------------- database and home


def test_loading_the_module_imports_none_of_the_heavy_libraries() -> None:
    listing = (
        "import sys, readmission_platform.resources.tracking;"
        "print([name for name in ('mlflow', 'dagster_mlflow', 'sklearn', 'skops', 'deltalake') if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


@pytest.mark.slow
def test_two_processes_that_create_the_database_at_the_same_time_both_work(tmp_path: Path) -> None:
    program = (
        "import sys; from readmission_platform.resources.tracking import TrackingResource;"
        "home = sys.argv[1];"
        "tracking = TrackingResource(uri=f'sqlite:///{home}/mlflow.db', artifact_root=f'{home}/mlartifacts',"
        " experiment='readmission_30d');"
        "print(tracking.client().get_experiment_by_name('readmission_30d').experiment_id)"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    processes = [
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)
    ]
    outcomes = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outcomes
    assert outcomes[0][0] == outcomes[1][0] != b""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mlartifacts", "mlflow.db"]


def test_a_database_that_cannot_be_reached_is_a_service_that_is_unavailable(tmp_path: Path) -> None:
    tracking = TrackingResource(
        uri=f"sqlite:///{tmp_path / 'no folder' / 'mlflow.db'}",
        artifact_root=str(tmp_path / "mlartifacts"),
        experiment=EXPERIMENT,
    )
    (tmp_path / "no folder").write_text("a file in the way", encoding="utf-8")
    with pytest.raises(Unavailable, match="registry cannot be reached"):
        tracking.client()


def test_a_home_that_was_moved_keeps_working(
    registered: tuple[Path, StoredModel], small_study: SmallStudy, tmp_path: Path
) -> None:
    home, model = registered
    # A space is written otherwise in an address, and an underscore is a wildcard in SQL.
    halfway, moved = tmp_path / "my_home", tmp_path / "my home, 2nd"
    shutil.copytree(home, halfway)
    in_home(halfway).client()
    halfway.rename(moved)
    tracking = in_home(moved)
    client = tracking.client()
    assert artifact_digest(tracking.root, model.path) == model.digest

    import mlflow

    found = Path(mlflow.artifacts.download_artifacts(f"models:/{NAME}/{model.version}"))
    assert found.is_relative_to(moved)
    assert (found / "model.skops").is_file()
    run = client.get_run(model.mlflow_run_id)
    assert run.info.artifact_uri.startswith(tracking.root.as_uri())
    second = store(tracking, small_study)
    assert second.version == "2"
    assert artifact_digest(tracking.root, second.path) == second.digest


# -------------------------------------------------------------------------------------------------- artifacts


def test_a_stored_model_scores_exactly_as_before(registered: tuple[Path, StoredModel], small_study: SmallStudy) -> None:
    home, model = registered
    assert model.version == "1"
    assert not Path(model.path).is_absolute()
    loaded = load_artifact(home / "mlartifacts", model.path, digest=model.digest)
    np.testing.assert_array_equal(
        score(loaded, small_study.inputs), score(small_study.fitted.model, small_study.inputs)
    )


def test_the_registered_version_is_tied_to_its_run_and_to_the_step(registered: tuple[Path, StoredModel]) -> None:
    home, model = registered
    found = in_home(home).client().get_model_version(NAME, model.version)
    assert found.run_id == model.mlflow_run_id
    assert found.tags["dagster_run_id"]


def test_an_artifact_with_a_changed_byte_is_refused(registered: tuple[Path, StoredModel], tmp_path: Path) -> None:
    home, model = registered
    content = bytearray((home / "mlartifacts" / model.path).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "model.skops").write_bytes(bytes(content))
    with pytest.raises(ArtifactRefused, match="it has been changed"):
        load_artifact(tmp_path, "model.skops", digest=model.digest)


def test_an_artifact_of_a_type_we_do_not_trust_is_refused_although_its_digest_is_right(tmp_path: Path) -> None:
    class Intruder(RandomForestClassifier):
        """Something that is not on the allow-list."""

    Intruder.__module__, Intruder.__qualname__ = __name__, "Intruder"
    globals()["Intruder"] = Intruder
    (tmp_path / "model.skops").write_bytes(dumps(Intruder()))
    digest = artifact_digest(tmp_path, "model.skops")
    assert digest is not None
    with pytest.raises(ArtifactRefused, match="not on the allow-list"):
        load_artifact(tmp_path, "model.skops", digest=digest)


def test_a_missing_artifact_is_refused_with_the_way_out(tmp_path: Path) -> None:
    assert artifact_digest(tmp_path, "model.skops") is None
    with pytest.raises(ArtifactRefused, match="restore it from a backup"):
        load_artifact(tmp_path, "model.skops", digest="sha256:0")


def test_no_patient_is_in_the_artifacts_or_in_the_tracking_database(
    registered: tuple[Path, StoredModel], small_study: SmallStudy
) -> None:
    home, _ = registered
    keys = small_study.development["entity_key"].head(300)
    encounters = small_study.development["encounter_id"].astype(str).head(300)
    assert encounters.str.len().min() >= 5
    wanted = [
        text.encode() for text in [*keys, *(f" {each}" for each in encounters), *(f'"{each}"' for each in encounters)]
    ]
    files = [path for path in home.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"MLmodel", "model.skops", "mlflow.db"}
    assert not [path for path in files if "input_example" in path.name]
    for path in files:
        contents = [path.read_bytes()]
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                contents += [archive.read(name) for name in archive.namelist()]
        for content in contents:
            assert not [text for text in wanted if text in content], path.name


# ---------------------------------------------------------------------------------------------------- aliases


def test_aliases_follow_the_ledger_and_say_what_had_to_be_changed(
    registered: tuple[Path, StoredModel], tmp_path: Path
) -> None:
    shutil.copytree(registered[0], tmp_path / "home")
    tracking = in_home(tmp_path / "home")
    assert tracking.aliases(NAME) == {}
    assert tracking.align_aliases(NAME, {"staging": "1", "production": None}) == {"staging": (None, "1")}
    assert tracking.aliases(NAME) == {"staging": "1"}
    assert tracking.align_aliases(NAME, {"staging": "1", "production": None}) == {}
    moved = tracking.align_aliases(NAME, {"staging": None, "production": "1"})
    assert moved == {"staging": ("1", None), "production": (None, "1")}
    assert tracking.aliases(NAME) == {"production": "1"}


def test_before_anything_is_registered_there_are_no_aliases(tracking: TrackingResource) -> None:
    assert tracking.aliases(NAME) == {}
    assert tracking.align_aliases(NAME, {"staging": None, "production": None}) == {}
