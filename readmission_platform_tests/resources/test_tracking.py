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
from readmission_platform.models.readmission_30d import CONTRACT
from readmission_platform.resources.tracking import tracked
from readmission_platform.storage.artifacts import ArtifactRefused, StoredModel, artifact_digest, load_artifact
from readmission_platform.storage.registry import OPERATIONS, VERSION_TAG, Registry
from readmission_platform_tests.support.homes import Home
from readmission_platform_tests.support.networks import ESTIMATOR as NETWORKS
from readmission_platform_tests.support.networks import drawn_network, table
from readmission_platform_tests.support.small_study import SmallStudy

NAME = "readmission_30d"
ESTIMATOR = CONTRACT.estimator

Step = Callable[[dg.AssetExecutionContext, Any], None]


def tracked_asset(step: Step, *, retries: int = 0) -> dg.AssetsDefinition:
    @dg.asset(retry_policy=dg.RetryPolicy(max_retries=retries) if retries else None)
    def candidate(context: dg.AssetExecutionContext, registry: dg.ResourceParam[Registry]) -> None:
        with tracked(registry, context) as mlflow:
            step(context, mlflow)

    return candidate


def materialize(step: Step, registry: Registry, *, retries: int = 0) -> dg.ExecuteInProcessResult:
    """Run the step the way a click on "Materialize" does: as an asset, without a job of ours."""
    return dg.materialize(
        [tracked_asset(step, retries=retries)],
        resources={"registry": registry},
        instance=dg.DagsterInstance.ephemeral(),
        raise_on_error=False,
    )


def runs(registry: Registry) -> list[Any]:
    client = registry.client()
    experiment = client.get_experiment_by_name(NAME)
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id]))


def statuses(registry: Registry) -> list[str]:
    return [run.info.status for run in runs(registry)]


def start_a_run(registry: Registry, dagster_run_id: str) -> str:
    client = registry.client()
    experiment = client.get_experiment_by_name(NAME)
    assert experiment is not None
    return str(client.create_run(experiment.experiment_id, tags={"dagster_run_id": dagster_run_id}).info.run_id)


def store(registry: Registry, study: SmallStudy, version: str = "1") -> StoredModel:
    """Train-and-register as the training asset does it."""
    kept: list[StoredModel] = []

    def step(context: dg.AssetExecutionContext, mlflow: Any) -> None:
        from mlflow.models import infer_signature

        some = study.inputs.head(50)
        some = some.astype(dict.fromkeys(some.select_dtypes("integer").columns, "float64"))
        mlflow.log_params({"seed": 11})
        kept.append(
            registry.store(
                study.fitted.model,
                version=version,
                estimator=ESTIMATOR,
                title="readmission",
                signature=infer_signature(some, study.fitted.scores[:50]),
                tags={"dagster_run_id": context.run.run_id},
            )
        )

    assert materialize(step, registry).success
    return kept[0]


@pytest.fixture(scope="module")
def registered(
    initialised_mlflow: Path, small_study: SmallStudy, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, StoredModel]:
    """A home with one registered version; copied by tests that change it."""
    home = tmp_path_factory.mktemp("registered") / "home"
    shutil.copytree(initialised_mlflow, home)
    return home, store(in_home(home), small_study)


def in_home(home: Path) -> Registry:
    return Registry(f"sqlite:///{home / 'mlflow.db'}", home / "mlartifacts", NAME)


# ------------------------------------------------------------------------------------------------------- runs


def test_a_step_that_succeeds_ends_its_run_finished_and_named_after_the_asset(registry: Registry) -> None:
    result = materialize(lambda _, mlflow: mlflow.log_metric("auroc", 0.7), registry)
    assert result.success
    (run,) = runs(registry)
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"auroc": 0.7}
    assert run.data.tags["dagster_run_id"] == result.run_id
    assert run.data.tags["mlflow.runName"] == f"candidate {result.run_id[:8]}"


def test_a_step_that_fails_ends_its_run_failed(registry: Registry) -> None:
    def step(_context: dg.AssetExecutionContext, _mlflow: Any) -> None:
        raise ValueError("no convergence")

    assert not materialize(step, registry).success
    assert statuses(registry) == ["FAILED"]


def test_a_step_that_is_interrupted_ends_its_run_killed(registry: Registry) -> None:
    def step(_context: dg.AssetExecutionContext, _mlflow: Any) -> None:
        raise KeyboardInterrupt

    assert not materialize(step, registry).success
    assert statuses(registry) == ["KILLED"]


def test_a_step_that_is_tried_again_continues_its_run(registry: Registry) -> None:
    tries = []

    def step(_context: dg.AssetExecutionContext, mlflow: Any) -> None:
        tries.append(mlflow.active_run().info.run_id)
        mlflow.log_metric(f"try_{len(tries)}", 1)
        if len(tries) < 3:
            raise ValueError("the first tries fail")

    assert materialize(step, registry, retries=2).success
    (run,) = runs(registry)
    assert run.info.status == "FINISHED"
    assert set(tries) == {run.info.run_id}
    assert set(run.data.metrics) == {"try_1", "try_2", "try_3"}


def test_two_runs_of_the_same_asset_are_two_runs(registry: Registry) -> None:
    for _ in range(2):
        materialize(lambda _, mlflow: mlflow.log_metric("auroc", 0.7), registry)
    assert statuses(registry) == ["FINISHED", "FINISHED"]


def test_a_run_of_the_ui_without_a_job_ends_too(registry: Registry) -> None:
    definitions = dg.Definitions(
        assets=[tracked_asset(lambda _, mlflow: mlflow.log_metric("auroc", 0.7))], resources={"registry": registry}
    )
    job = definitions.resolve_implicit_global_asset_job_def()
    assert job.name == "__ASSET_JOB"
    assert job.execute_in_process(instance=dg.DagsterInstance.ephemeral()).success
    assert statuses(registry) == ["FINISHED"]


def test_a_run_whose_process_vanished_is_closed_by_the_next_one(registry: Registry) -> None:
    orphan = start_a_run(registry, "a run nobody knows any more")
    materialize(lambda _, mlflow: None, registry)
    ended = {run.info.run_id: run.info.status for run in runs(registry)}
    assert ended.pop(orphan) == "KILLED"
    assert list(ended.values()) == ["FINISHED"]


@pytest.mark.parametrize(
    ("state", "status"), [(dg.DagsterRunStatus.STARTED, "RUNNING"), (dg.DagsterRunStatus.FAILURE, "KILLED")]
)
def test_a_run_is_closed_when_its_dagster_run_is_over_and_left_alone_while_that_goes_on(
    registry: Registry, state: dg.DagsterRunStatus, status: str
) -> None:
    instance = dg.DagsterInstance.ephemeral()
    other = instance.create_run_for_job(
        job_def=dg.define_asset_job("training_job").resolve(
            asset_graph=dg.Definitions(
                assets=[tracked_asset(lambda *_: None)], resources={"registry": registry}
            ).resolve_asset_graph()
        ),
        status=state,
    )
    mlflow_run = start_a_run(registry, other.run_id)
    dg.materialize([tracked_asset(lambda *_: None)], resources={"registry": registry}, instance=instance)
    assert {run.info.run_id: run.info.status for run in runs(registry)}[mlflow_run] == status


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
        "import sys; from pathlib import Path; from readmission_platform.storage.registry import Registry;"
        "home = Path(sys.argv[1]);"
        "registry = Registry(f'sqlite:///{home}/mlflow.db', home / 'mlartifacts', 'readmission_30d');"
        "print(registry.experiment())"
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
    registry = Registry(f"sqlite:///{tmp_path / 'no folder' / 'mlflow.db'}", tmp_path / "mlartifacts", NAME)
    (tmp_path / "no folder").write_text("a file in the way", encoding="utf-8")
    with pytest.raises(Unavailable, match="registry cannot be reached"):
        registry.client()


def test_a_deleted_experiment_is_named_before_anything_is_tracked(registry: Registry) -> None:
    registry.client().delete_experiment(registry.experiment())
    result = materialize(lambda *_: None, registry)
    assert not result.success
    assert "restore it in MLflow" in str(result.all_events)


def test_a_home_that_was_moved_keeps_working(
    registered: tuple[Path, StoredModel], small_study: SmallStudy, tmp_path: Path
) -> None:
    home, model = registered
    # A space is written otherwise in an address, and an underscore is a wildcard in SQL.
    halfway, moved = tmp_path / "my_home", tmp_path / "my home, 2nd"
    shutil.copytree(home, halfway)
    in_home(halfway).client()
    halfway.rename(moved)
    registry = in_home(moved)
    client = registry.client()
    assert artifact_digest(registry.root, model.path) == model.digest

    import mlflow

    found = Path(mlflow.artifacts.download_artifacts(f"models:/{NAME}/{model.registered_as}"))
    assert found.is_relative_to(moved)
    assert (found / "model.skops").is_file()
    run = client.get_run(model.mlflow_run_id)
    assert run.info.artifact_uri.startswith(registry.root.as_uri())
    second = store(registry, small_study, "2")
    assert registry.registered() == {"1": "1", "2": "2"}
    assert artifact_digest(registry.root, second.path) == second.digest


# -------------------------------------------------------------------------------------------------- artifacts


def test_a_stored_model_scores_exactly_as_before(registered: tuple[Path, StoredModel], small_study: SmallStudy) -> None:
    home, model = registered
    assert not Path(model.path).is_absolute()
    loaded = load_artifact(ESTIMATOR, home / "mlartifacts", model.path, digest=model.digest)
    np.testing.assert_array_equal(
        score(loaded, small_study.inputs), score(small_study.fitted.model, small_study.inputs)
    )


def test_the_registered_version_is_tied_to_its_run_and_to_the_step(registered: tuple[Path, StoredModel]) -> None:
    home, model = registered
    found = in_home(home).client().get_model_version(NAME, model.registered_as)
    assert found.run_id == model.mlflow_run_id
    assert found.tags["dagster_run_id"]
    assert found.tags[VERSION_TAG] == model.version


def test_an_artifact_with_a_changed_byte_is_refused(registered: tuple[Path, StoredModel], tmp_path: Path) -> None:
    home, model = registered
    content = bytearray((home / "mlartifacts" / model.path).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "model.skops").write_bytes(bytes(content))
    with pytest.raises(ArtifactRefused, match="it has been changed"):
        load_artifact(ESTIMATOR, tmp_path, "model.skops", digest=model.digest)


def test_an_artifact_of_a_type_we_do_not_trust_is_refused_although_its_digest_is_right(tmp_path: Path) -> None:
    class Intruder(RandomForestClassifier):
        """Something that is not on the allow-list."""

    Intruder.__module__, Intruder.__qualname__ = __name__, "Intruder"
    globals()["Intruder"] = Intruder
    (tmp_path / "model.skops").write_bytes(dumps(Intruder()))
    digest = artifact_digest(tmp_path, "model.skops")
    assert digest is not None
    with pytest.raises(ArtifactRefused, match="not on the allow-list"):
        load_artifact(ESTIMATOR, tmp_path, "model.skops", digest=digest)


def test_a_missing_artifact_is_refused_with_the_way_out(tmp_path: Path) -> None:
    assert artifact_digest(tmp_path, "model.skops") is None
    with pytest.raises(ArtifactRefused, match="restore it from a backup"):
        load_artifact(ESTIMATOR, tmp_path, "model.skops", digest="sha256:0")


def test_a_model_that_is_a_file_is_registered_shown_and_loaded_like_any_other(registry: Registry) -> None:
    network, inputs, kept = drawn_network(), table(50)[0], []

    def step(context: dg.AssetExecutionContext, mlflow: Any) -> None:
        signature = mlflow.models.infer_signature(inputs, np.array([0.5]))
        tags = {"dagster_run_id": context.run.run_id}
        kept.append(registry.store(network, version="3", estimator=NETWORKS, signature=signature, tags=tags, title="x"))

    assert materialize(step, registry).success
    (stored,) = kept
    assert stored.path.endswith("/model.safetensors")
    loaded = load_artifact(NETWORKS, registry.root, stored.path, digest=stored.digest)
    np.testing.assert_array_equal(NETWORKS.score(loaded, inputs), NETWORKS.score(network, inputs))
    beside = {path.name for path in (registry.root / stored.path).parent.iterdir()}
    assert beside == {"MLmodel", "model.safetensors", "requirements.txt"}
    client = registry.client()
    version = client.get_model_version(NAME, stored.registered_as)
    assert (version.run_id, version.tags[VERSION_TAG]) == (stored.mlflow_run_id, "3")
    (shown,) = client.search_logged_models([registry.experiment()])
    assert (shown.status, shown.source_run_id) == ("READY", stored.mlflow_run_id)
    assert registry.align_aliases({"staging": "3"}) == {"staging": (None, "3")}

    import mlflow

    found = Path(mlflow.artifacts.download_artifacts(f"models:/{NAME}/{stored.registered_as}"))
    assert (found / "model.safetensors").read_bytes() == NETWORKS.dump(network)
    assert mlflow.models.get_model_info(shown.model_uri).signature.inputs.input_names() == list(inputs)


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
    registry = in_home(tmp_path / "home")
    assert registry.aliases() == {}
    assert registry.align_aliases({"staging": "1", "production": None}) == {"staging": (None, "1")}
    assert registry.aliases() == {"staging": "1"}
    assert registry.align_aliases({"staging": "1", "production": None}) == {}
    moved = registry.align_aliases({"staging": None, "production": "1"})
    assert moved == {"staging": ("1", None), "production": (None, "1")}
    assert registry.aliases() == {"production": "1"}


def test_aliases_name_the_right_versions_when_mlflow_counts_otherwise(
    registered: tuple[Path, StoredModel], small_study: SmallStudy, tmp_path: Path
) -> None:
    shutil.copytree(registered[0], tmp_path / "home")
    registry = in_home(tmp_path / "home")
    registry.client().delete_registered_model(NAME)
    for version in ("7", "2"):
        store(registry, small_study, version)
    assert registry.registered() == {"7": "1", "2": "2"}
    assert registry.align_aliases({"staging": "2", "production": "7"}) == {
        "staging": (None, "2"), "production": (None, "7"),
    }  # fmt: skip
    assert registry.aliases() == {"staging": "2", "production": "7"}
    shown = registry.client().get_model_version_by_alias(NAME, "production")
    assert (shown.version, shown.tags[VERSION_TAG]) == (1, "7")
    registry.check_holds("7")
    with pytest.raises(Unavailable, match="does not hold version 1 "):
        registry.check_holds("1")


def test_an_alias_never_names_what_the_registry_does_not_hold(
    registered: tuple[Path, StoredModel], small_study: SmallStudy, tmp_path: Path
) -> None:
    shutil.copytree(registered[0], tmp_path / "home")
    registry = in_home(tmp_path / "home")
    client = registry.client()
    store(registry, small_study, "2")
    foreign = client.create_model_version(NAME, source=client.get_model_version(NAME, "1").source)
    client.set_registered_model_alias(NAME, "production", foreign.version)
    assert registry.aliases() == {"production": "unknown (MLflow's 3)"}
    client.delete_model_version(NAME, "1")
    assert registry.align_aliases({"staging": "2", "production": "1"}) == {
        "staging": (None, "2"), "production": ("unknown (MLflow's 3)", None),
    }  # fmt: skip
    assert registry.align_aliases({"staging": "2", "production": "1"}) == {}
    # Nobody could tell which of two is version 2.
    client.set_model_version_tag(NAME, foreign.version, VERSION_TAG, "2")
    assert registry.registered() == {}
    with pytest.raises(Unavailable, match=r"does not hold version 2 .* exactly once, so nothing was moved"):
        registry.check_holds("2")


def test_before_anything_is_registered_there_are_no_aliases(registry: Registry) -> None:
    assert registry.aliases() == {}
    assert registry.align_aliases({"staging": None, "production": None}) == {}


def test_every_entry_says_who_answers_for_the_model_and_who_pays(lived_home: Home) -> None:
    with lived_home.workspace() as workspace:
        asked = {"owner": workspace.entry.owner, "cost_center": workspace.entry.cost_center}
        client = workspace.registry.client()
        model = client.get_registered_model(workspace.name)
        versions = client.search_model_versions(f"name = '{workspace.name}'")
        experiments = [client.get_experiment_by_name(f"{workspace.name}{end}") for end in ("", OPERATIONS)]
        runs = client.search_runs([experiment.experiment_id for experiment in experiments])
        entries = {"the model": model.tags, **{f"version {each.version}": each.tags for each in versions},
                   **{each.name: each.tags for each in experiments},
                   **{each.info.run_name: each.data.tags for each in runs}}  # fmt: skip
    assert len(runs) > 3
    assert {name for name, tags in entries.items() if not asked.items() <= tags.items()} == set()
    with lived_home.instance() as instance:
        bare = [run.run_id for run in instance.get_runs() if not set(asked.values()) <= set(run.tags.values())]
    assert bare == []
