"""The model registry: MLflow behind a small class of ours.

What belongs here: registered versions, their artifacts with digests, and aliases. What does not: tracking a step of
Dagster (``resources.tracking``), and deciding which version is live. The registry has no compare-and-swap and no
history of aliases, so it only shows what the ledger decides.

A version has the number that the ledger gave it, as a tag. MLflow counts for itself, and begins again when somebody
deletes the registered model there; its own numbers are used only to address it.

MLflow costs two seconds to import; it is imported inside functions, and never to score a day.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import TYPE_CHECKING, Any

from readmission_platform.foundation.errors import Unavailable
from readmission_platform.foundation.steps import reached
from readmission_platform.models.contract import EstimatorPart, RowPart
from readmission_platform.storage.artifacts import ArtifactRefused, StoredFile, StoredModel, artifact_digest

if TYPE_CHECKING:
    from mlflow import MlflowClient

VERSION_TAG = "readmission.version"
# What the name of a model's second experiment ends in: that of the runs that operate it.
OPERATIONS = " operations"


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
    tags
        What every entry says besides: who answers for the model, and who pays for it.
    """

    def __init__(self, uri: str, root: Path, name: str, tags: Mapping[str, str] | None = None) -> None:
        self.uri, self.root, self.name, self.tags = uri, root, name, dict(tags or {})

    def client(self) -> "MlflowClient":
        """Return a client of tracking and registry, with the database created and following a moved home.

        Raises
        ------
        Unavailable
            When the tracking database cannot be reached.
        """
        mlflow = imported_mlflow()
        mlflow.set_tracking_uri(self.uri)
        mlflow.set_registry_uri(self.uri)
        with _within_reach(), _initialising(self.root):
            client: MlflowClient = mlflow.MlflowClient()
            experiment = client.get_experiment_by_name(self.name)
            if experiment is None:
                client.create_experiment(self.name, artifact_location=self.root.as_uri(), tags=self.tags)
            elif experiment.artifact_location != self.root.as_uri() and os.access(self.root, os.W_OK):
                _rebase(self.uri, experiment.artifact_location, self.root.as_uri())
        return client

    def experiment(self) -> str:
        """Return the id of the experiment; raises as :meth:`client` does."""
        found = self.client().get_experiment_by_name(self.name)
        if found is None or found.lifecycle_stage != "active":
            raise Unavailable(f"the experiment {self.name} was deleted; restore it in MLflow")
        return str(found.experiment_id)

    def store(
        self,
        model: Any,
        *,
        version: str,
        estimator: EstimatorPart,
        signature: object,
        tags: Mapping[str, str],
        title: str,
        rows: RowPart | None = None,
    ) -> StoredModel:
        """Log a model in the active MLflow run and register it as a version.

        Parameters
        ----------
        version
            Its number by the ledger.
        estimator
            Whose model it is: it says how its models are stored.
        signature
            MLflow's description of inputs and output.
        title
            What the model predicts, for the registry's page.
        rows
            What compiles the model for single rows; the result is stored beside the artifact.
        """
        from importlib.metadata import version as installed

        mlflow, form = imported_mlflow(), estimator.artifact
        requirements = [f"{package}=={installed(package)}" for package in form.packages]
        if form.flavour == "files":
            logged = _log_file(form.file, estimator.dump(model), requirements, signature)
        else:
            logged = mlflow.sklearn.log_model(
                model,
                name="model",
                serialization_format="skops",
                skops_trusted_types=list(form.trusted_types),
                # Naming them also spares MLflow ten seconds of guessing.
                pip_requirements=requirements,
                signature=signature,
            )
        client = self.client()
        self._ensure_model(client, title)
        run_id = mlflow.active_run().info.run_id
        registered = client.create_model_version(
            self.name,
            source=logged.model_uri,
            run_id=run_id,
            tags={**self.tags, **tags, VERSION_TAG: version},
            description=f"Version {version} by the ledger.",
            model_id=logged.model_id,
        )
        location = client.get_logged_model(logged.model_id).artifact_location
        path = f"{location.removeprefix(self.root.as_uri()).lstrip('/')}/{form.file}"
        digest = artifact_digest(self.root, path)
        if digest is None:
            raise ArtifactRefused(f"the artifact of version {version} was not written")
        beside = (
            self._keep_beside(client, str(logged.model_id), path, rows.file, rows.compiled(model)) if rows else None
        )
        return StoredModel(version, str(registered.version), run_id, path, digest, beside)

    def _keep_beside(
        self, client: "MlflowClient", model_id: str, artifact: str, name: str, content: bytes
    ) -> StoredFile:
        """Store a file in the folder of an artifact."""
        with TemporaryDirectory() as folder:
            (Path(folder) / name).write_bytes(content)
            client.log_model_artifacts(model_id, folder)
        path = f"{artifact.rpartition('/')[0]}/{name}"
        digest = artifact_digest(self.root, path)
        if digest is None:
            raise ArtifactRefused(f"{name} was not written beside the artifact")
        return StoredFile(path, digest)

    def _ensure_model(self, client: "MlflowClient", title: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            client.create_registered_model(
                self.name, tags=self.tags, description=f"{title}. Stages are decided by the ledger."
            )
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

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
        """Return alias to version as the registry shows them; empty when the model is not registered yet.

        An alias of something in MLflow that is no version by the ledger is named by MLflow's number.
        """
        ours = {number: version for version, number in self.registered().items()}
        client = self.client()
        with _within_reach():
            found = client.search_registered_models(f"name = '{self.name}'")
        shown = found[0].aliases if found else {}
        return {alias: ours.get(str(number), f"unknown (MLflow's {number})") for alias, number in shown.items()}

    def registered(self) -> dict[str, str]:
        """Return the versions that MLflow holds, each with MLflow's own number.

        A version that more than one of them claims to be is left out: nobody could tell which to show.
        """
        client = self.client()
        with _within_reach():
            found = client.search_model_versions(f"name = '{self.name}'")
        tagged = [(each.tags[VERSION_TAG], str(each.version)) for each in found if VERSION_TAG in each.tags]
        claims = Counter(version for version, _ in tagged)
        return {version: number for version, number in tagged if claims[version] == 1}

    def check_holds(self, version: str) -> None:
        """Check that a version can be shown, before it is moved.

        Raises
        ------
        Unavailable
            When it is not registered, or the registry cannot be reached.
        """
        if version not in self.registered():
            raise Unavailable(f"the model registry does not hold version {version} (tag {VERSION_TAG}) exactly once, "
                              "so nothing was moved: restore mlflow.db from a backup, choose another version, or train "
                              "a new one")  # fmt: skip

    def align_aliases(self, wanted: Mapping[str, str | None]) -> dict[str, tuple[str | None, str | None]]:
        """Bring the registry's aliases into line with the ledger's pointers.

        An alias of a version that the registry does not hold is taken away: another one would be shown in its place.

        Returns
        -------
        What had to be changed: alias to (version found, version shown now).
        """
        client, found, registered = self.client(), self.aliases(), self.registered()
        changed = {}
        for alias, version in wanted.items():
            shown = version if version in registered else None
            if found.get(alias) == shown:
                continue
            changed[alias] = (found.get(alias), shown)
            with _within_reach():
                if shown is None:
                    client.delete_registered_model_alias(self.name, alias)
                else:
                    client.set_registered_model_alias(self.name, alias, registered[shown])
            reached(f"registry: alias {alias} aligned")
        return changed


def _log_file(name: str, content: bytes, requirements: Sequence[str], signature: object) -> Any:
    """Log a model that is one file and of no kind that MLflow knows, in the active run; returns MLflow's record of it.

    MLflow shows it with its signature, and cannot load it: there is nothing in it that could be run.
    """
    mlflow = imported_mlflow()
    run = mlflow.active_run().info
    client = mlflow.MlflowClient()
    logged = client.create_logged_model(run.experiment_id, name="model", source_run_id=run.run_id)
    described = mlflow.models.Model(
        artifact_path=logged.artifact_location, run_id=run.run_id, signature=signature, model_id=logged.model_id
    )
    with TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(content)
        (Path(folder) / "requirements.txt").write_text("\n".join(requirements) + "\n", encoding="utf-8")
        described.save(str(Path(folder) / "MLmodel"))
        client.log_model_artifacts(logged.model_id, folder)
    return client.finalize_logged_model(logged.model_id, "READY")


@contextmanager
def _within_reach() -> Iterator[None]:
    """Turn the errors of MLflow and its database into one line."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise Unavailable(f"the model registry cannot be reached ({type(error).__name__})") from error


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
