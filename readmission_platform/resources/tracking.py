"""Tracking the training step: an MLflow run that ends as the step ends.

What belongs here: what needs both Dagster and MLflow. What does not: the registry (``storage.registry``).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import dagster as dg

from readmission_platform.storage.registry import Registry, imported_mlflow

if TYPE_CHECKING:
    from mlflow import MlflowClient


@contextmanager
def tracked(registry: Registry, context: dg.AssetExecutionContext) -> Iterator[ModuleType]:
    """Track a step in an MLflow run that ends as the step ends; yields the ``mlflow`` module.

    A step that is retried continues its run. dagster-mlflow starts and tags the run; ending it is left to
    us, because its own end comes from a job hook, which runs started by hand in the UI do not have.

    Raises
    ------
    Unavailable
        When the tracking database cannot be reached, or somebody deleted the experiment.
    """
    client = registry.client()
    registry.experiment()
    _close_orphans(registry, client, context.instance)
    from dagster_mlflow import mlflow_tracking
    from mlflow.entities import RunStatus

    invocation = _Invocation(
        log=context.log,
        dagster_run=context.run,
        run_id=context.run.run_id,
        resource_config={
            "experiment_name": registry.name,
            "mlflow_tracking_uri": registry.uri,
            "parent_run_id": None,
            "mlflow_run_id": None,
            "env": {},
            "env_to_tag": None,
            "extra_tags": {**registry.tags, "mlflow.runName": f"{context.asset_key.path[-1]} {context.run.run_id[:8]}"},
        },
    )
    started = mlflow_tracking.resource_fn(invocation)  # type: ignore[call-arg,arg-type]  # generator of a context
    next(started)
    mlflow = imported_mlflow()
    try:
        yield mlflow
    except BaseException as error:
        ended = RunStatus.FAILED if isinstance(error, Exception) else RunStatus.KILLED
        mlflow.end_run(RunStatus.to_string(ended))
        raise
    else:
        mlflow.end_run(RunStatus.to_string(RunStatus.FINISHED))
    finally:
        started.close()


def _close_orphans(registry: Registry, client: "MlflowClient", instance: dg.DagsterInstance) -> None:
    """End MLflow runs whose Dagster run is over: those of processes that were killed."""
    from mlflow.entities import RunStatus

    experiments = client.search_experiments(filter_string=f"name = '{registry.name}'")
    running = client.search_runs(
        [experiment.experiment_id for experiment in experiments], "attributes.status = 'RUNNING'"
    )
    for run in running:
        owner = instance.get_run_by_id(run.data.tags.get("dagster_run_id", ""))
        if owner is None or owner.is_finished:
            client.set_terminated(run.info.run_id, RunStatus.to_string(RunStatus.KILLED))


@dataclass(frozen=True)
class _Invocation:
    """What dagster-mlflow reads of the context of a resource, as an asset's own context can give it."""

    log: Any
    dagster_run: Any
    run_id: str
    resource_config: Mapping[str, Any]
