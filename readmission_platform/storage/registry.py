"""The model registry: MLflow behind a small class of ours.

What belongs here: registered versions, their artifacts with digests, and aliases. What does not: tracking a step of
Dagster (``resources.tracking``), and deciding which version is live. The registry has no compare-and-swap and no
history of aliases, so it only shows what the ledger decides.

MLflow costs two seconds to import; it is imported inside functions, and never to score a day.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from readmission_platform.foundation.errors import Unavailable
from readmission_platform.foundation.steps import reached
from readmission_platform.models.contract import ArtifactFormat
from readmission_platform.storage.artifacts import ArtifactRefused, StoredModel, artifact_digest

if TYPE_CHECKING:
    from mlflow import MlflowClient


def imported_mlflow() -> ModuleType:
    """Import MLflow without its telemetry."""
    # Read by MLflow when it is imported: without it, ordinary tracking looks up a host on the internet.
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    import mlflow

    return mlflow


class Registry:
    """One experiment of MLflow and the registered versions of one model.

    Parameters
    ----------
    uri
        Tracking and registry URI.
    root
        Folder that artifact paths are relative to.
    name
        Of the experiment and of the registered model.
    """

    def __init__(self, uri: str, root: Path, name: str) -> None:
        self.uri, self.root, self.name = uri, root, name

    def client(self) -> "MlflowClient":
        """Return a client of tracking and registry, with the database created and following a moved home.

        Raises
        ------
        Unavailable
            When the tracking database cannot be reached.
        """
        mlflow = imported_mlflow()
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        mlflow.set_tracking_uri(self.uri)
        mlflow.set_registry_uri(self.uri)
        try:
            with _initialising(self.root):
                client: MlflowClient = mlflow.MlflowClient()
                experiment = client.get_experiment_by_name(self.name)
                if experiment is None:
                    client.create_experiment(self.name, artifact_location=self.root.as_uri())
                elif experiment.artifact_location != self.root.as_uri() and os.access(self.root, os.W_OK):
                    _rebase(self.uri, experiment.artifact_location, self.root.as_uri())
        except (MlflowException, SQLAlchemyError, OSError) as error:
            raise Unavailable(f"the model registry cannot be reached ({type(error).__name__})") from error
        return client

    def experiment(self) -> str:
        """Return the id of the experiment; raises as :meth:`client` does."""
        found = self.client().get_experiment_by_name(self.name)
        if found is None:
            raise Unavailable(f"the experiment {self.name} was deleted; restore it in MLflow")
        return str(found.experiment_id)

    def store(
        self, model: Any, *, form: ArtifactFormat, signature: object, tags: Mapping[str, str], title: str
    ) -> StoredModel:
        """Log a model in the active MLflow run and register it as the next version.

        Parameters
        ----------
        form
            How the model is stored.
        signature
            MLflow's description of inputs and output.
        title
            What the model predicts, for the registry's page.
        """
        from importlib.metadata import version as installed

        mlflow = imported_mlflow()
        logged = mlflow.sklearn.log_model(
            model,
            name="model",
            serialization_format="skops",
            skops_trusted_types=list(form.trusted_types),
            # Naming them also spares MLflow ten seconds of guessing.
            pip_requirements=[f"{package}=={installed(package)}" for package in form.packages],
            signature=signature,
        )
        client = self.client()
        if not client.search_registered_models(f"name = '{self.name}'"):
            client.create_registered_model(self.name, description=f"{title}. Stages are decided by the ledger.")
        run_id = mlflow.active_run().info.run_id
        registered = client.create_model_version(
            self.name, source=logged.model_uri, run_id=run_id, tags=dict(tags), model_id=logged.model_id
        )
        location = client.get_logged_model(logged.model_id).artifact_location
        path = f"{location.removeprefix(self.root.as_uri()).lstrip('/')}/{form.file}"
        digest = artifact_digest(self.root, path)
        if digest is None:
            raise ArtifactRefused(f"the artifact of version {registered.version} was not written")
        return StoredModel(str(registered.version), run_id, path, digest)

    def parameters(self, run_id: str) -> dict[str, str]:
        """Return the parameters that a training run recorded.

        Raises
        ------
        Unavailable
            When the run cannot be read.
        """
        from mlflow.exceptions import MlflowException

        try:
            return dict(self.client().get_run(run_id).data.params)
        except MlflowException as error:
            raise Unavailable(f"the training run cannot be read ({type(error).__name__})") from error

    def aliases(self) -> dict[str, str]:
        """Return alias to version as the registry shows them; empty when the model is not registered yet."""
        found = self.client().search_registered_models(f"name = '{self.name}'")
        return {alias: str(version) for alias, version in found[0].aliases.items()} if found else {}

    def versions(self) -> set[str]:
        """Return the registered versions."""
        return {str(found.version) for found in self.client().search_model_versions(f"name = '{self.name}'")}

    def check_holds(self, version: str) -> None:
        """Check that a version can be shown, before it is moved.

        Raises
        ------
        Unavailable
            When it is not registered, or the registry cannot be reached.
        """
        if version not in self.versions():
            raise Unavailable(f"the model registry does not hold version {version}, so nothing was moved: restore "
                              "mlflow.db from a backup, or choose another version")  # fmt: skip

    def align_aliases(self, wanted: Mapping[str, str | None]) -> dict[str, tuple[str | None, str | None]]:
        """Bring the registry's aliases into line with the ledger's pointers.

        Returns
        -------
        What had to be changed: alias to (version found, version wanted).
        """
        client, found = self.client(), self.aliases()
        changed = {}
        for alias, version in wanted.items():
            if found.get(alias) == version:
                continue
            changed[alias] = (found.get(alias), version)
            if version is None:
                client.delete_registered_model_alias(self.name, alias)
            else:
                client.set_registered_model_alias(self.name, alias, version)
            reached(f"registry: alias {alias} aligned")
        return changed


@contextmanager
def _initialising(root: Path) -> Iterator[None]:
    """Let one process at a time create MLflow's database: its migrations fail when several run at once."""
    import fcntl

    if root.exists() and not os.access(root, os.W_OK):  # a copy that can only be read, whose database is there
        yield
        return
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
