"""Experiment tracking and the model registry: MLflow behind two small classes of ours.

What belongs here: tracking runs that end as their step ended, artifacts with digests, registry versions and
aliases. What does not: deciding which version is live. The registry has no compare-and-swap and no history of
aliases, so it only shows what the ledger decides.

MLflow costs two seconds to import; it is imported inside functions, and never to score a day.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import dagster as dg

from readmission_platform.foundation.errors import Unavailable
from readmission_platform.foundation.steps import reached
from readmission_platform.models.readmission_30d import CONTRACT
from readmission_platform.storage.artifacts import ARTIFACT_FILE, ArtifactRefused, StoredModel, artifact_digest

if TYPE_CHECKING:
    from mlflow import MlflowClient


def _mlflow() -> ModuleType:
    # Read by MLflow when it is imported: without it, ordinary tracking looks up a host on the internet.
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    import mlflow

    return mlflow


class TrackingResource(dg.ConfigurableResource[Any]):
    """MLflow tracking for the training step, and the registry of model versions."""

    uri: str
    artifact_root: str
    experiment: str

    @property
    def root(self) -> Path:
        """Folder that artifact paths are relative to."""
        return Path(self.artifact_root)

    def client(self) -> "MlflowClient":
        """Return a client of tracking and registry, with the database created and following a moved home.

        Raises
        ------
        Unavailable
            When the tracking database cannot be reached.
        """
        mlflow = _mlflow()
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        mlflow.set_tracking_uri(self.uri)
        mlflow.set_registry_uri(self.uri)
        try:
            with _initialising(self.root):
                client: MlflowClient = mlflow.MlflowClient()
                experiment = client.get_experiment_by_name(self.experiment)
                if experiment is None:
                    client.create_experiment(self.experiment, artifact_location=self.root.as_uri())
                elif experiment.artifact_location != self.root.as_uri():
                    _rebase(self.uri, experiment.artifact_location, self.root.as_uri())
        except (MlflowException, SQLAlchemyError, OSError) as error:
            raise Unavailable(f"the model registry cannot be reached ({type(error).__name__})") from error
        return client

    @contextmanager
    def run(self, context: dg.AssetExecutionContext) -> Iterator[ModuleType]:
        """Track a step in an MLflow run that ends as the step ends; yields the ``mlflow`` module.

        A step that is retried continues its run. dagster-mlflow starts and tags the run; ending it is left to
        us, because its own end comes from a job hook, which runs started by hand in the UI do not have.
        """
        client = self.client()
        self._close_orphans(client, context.instance)
        from dagster_mlflow import mlflow_tracking
        from mlflow.entities import RunStatus

        invocation = _Invocation(
            log=context.log,
            dagster_run=context.run,
            run_id=context.run.run_id,
            resource_config={
                "experiment_name": self.experiment,
                "mlflow_tracking_uri": self.uri,
                "parent_run_id": None,
                "mlflow_run_id": None,
                "env": {},
                "env_to_tag": None,
                "extra_tags": {"mlflow.runName": f"{context.asset_key.path[-1]} {context.run.run_id[:8]}"},
            },
        )
        started = mlflow_tracking.resource_fn(invocation)  # type: ignore[call-arg,arg-type]  # generator of a context
        next(started)
        mlflow = _mlflow()
        try:
            yield mlflow
        except Exception:
            mlflow.end_run(RunStatus.to_string(RunStatus.FAILED))
            raise
        except BaseException:
            mlflow.end_run(RunStatus.to_string(RunStatus.KILLED))
            raise
        else:
            mlflow.end_run(RunStatus.to_string(RunStatus.FINISHED))
        finally:
            started.close()

    def _close_orphans(self, client: "MlflowClient", instance: dg.DagsterInstance) -> None:
        """End MLflow runs whose Dagster run is over: those of processes that were killed."""
        from mlflow.entities import RunStatus

        experiments = client.search_experiments(filter_string=f"name = '{self.experiment}'")
        running = client.search_runs(
            [experiment.experiment_id for experiment in experiments], "attributes.status = 'RUNNING'"
        )
        for run in running:
            owner = instance.get_run_by_id(run.data.tags.get("dagster_run_id", ""))
            if owner is None or owner.is_finished:
                client.set_terminated(run.info.run_id, RunStatus.to_string(RunStatus.KILLED))

    def store(self, model: Any, *, name: str, signature: object, tags: Mapping[str, str]) -> StoredModel:
        """Log a model in the active MLflow run and register it as the next version of ``name``."""
        from importlib.metadata import version as installed

        mlflow, stored_as = _mlflow(), CONTRACT.estimator.artifact
        logged = mlflow.sklearn.log_model(
            model,
            name="model",
            serialization_format="skops",
            skops_trusted_types=list(stored_as.trusted_types),
            pip_requirements=[f"{package}=={installed(package)}" for package in stored_as.packages],
            signature=signature,
        )
        client = self.client()
        if not client.search_registered_models(f"name = '{name}'"):
            client.create_registered_model(name, description="30-day readmission. Stages are decided by the ledger.")
        run_id = mlflow.active_run().info.run_id
        registered = client.create_model_version(
            name, source=logged.model_uri, run_id=run_id, tags=dict(tags), model_id=logged.model_id
        )
        location = client.get_logged_model(logged.model_id).artifact_location
        path = f"{location.removeprefix(self.root.as_uri()).lstrip('/')}/{ARTIFACT_FILE}"
        digest = artifact_digest(self.root, path)
        if digest is None:
            raise ArtifactRefused(f"the artifact of version {registered.version} was not written")
        return StoredModel(str(registered.version), run_id, path, digest)

    def aliases(self, name: str) -> dict[str, str]:
        """Return alias to version as the registry shows them; empty when the model is not registered yet."""
        found = self.client().search_registered_models(f"name = '{name}'")
        return {alias: str(version) for alias, version in found[0].aliases.items()} if found else {}

    def versions(self, name: str) -> set[str]:
        """Return the registered versions of a model."""
        return {str(found.version) for found in self.client().search_model_versions(f"name = '{name}'")}

    def align_aliases(self, name: str, wanted: Mapping[str, str | None]) -> dict[str, tuple[str | None, str | None]]:
        """Bring the registry's aliases into line with the ledger's pointers.

        Returns
        -------
        What had to be changed: alias to (version found, version wanted).
        """
        client, found = self.client(), self.aliases(name)
        changed = {}
        for alias, version in wanted.items():
            if found.get(alias) == version:
                continue
            changed[alias] = (found.get(alias), version)
            if version is None:
                client.delete_registered_model_alias(name, alias)
            else:
                client.set_registered_model_alias(name, alias, version)
            reached(f"registry: alias {alias} aligned")
        return changed


@dataclass(frozen=True)
class _Invocation:
    """What dagster-mlflow reads of the context of a resource, as an asset's own context can give it."""

    log: Any
    dagster_run: Any
    run_id: str
    resource_config: Mapping[str, Any]


@contextmanager
def _initialising(root: Path) -> Iterator[None]:
    """Let one process at a time create MLflow's database: its migrations fail when several run at once."""
    import fcntl

    root.mkdir(parents=True, exist_ok=True)
    with (root / ".initialising").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _rebase(uri: str, old: str, new: str) -> None:
    """Point the artifact addresses in MLflow's database to where the home is now."""
    from sqlalchemy import create_engine, text

    places = {
        "experiments": ["artifact_location"],
        "runs": ["artifact_uri"],
        "logged_models": ["artifact_location"],
        "model_versions": ["source", "storage_location"],
    }
    engine = create_engine(uri)
    with engine.begin() as connection:
        for table, columns in places.items():
            for column in columns:
                # The names are those above; compared whole, because LIKE takes "_" and "%" of a path for wildcards.
                move = (
                    f"UPDATE {table} SET {column} = :new || substr({column}, :cut) "  # noqa: S608
                    f"WHERE {column} = :old OR substr({column}, 1, :cut) = :below"
                )
                cut = len(old) + 1
                connection.execute(text(move), {"new": new, "cut": cut, "old": old, "below": old + "/"})
    engine.dispose()
