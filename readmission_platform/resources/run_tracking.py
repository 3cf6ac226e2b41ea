"""Every Dagster run as a run in MLflow: durations, rows, how it ended.

What belongs here: writing one observed run to the tracking server, once. What does not: the training step's own run
with its metrics and model (``tracking``), and which runs are still to be tracked (``operations``).

A run belongs to the experiment "<model> operations", one of several models or of none to "operations".
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from readmission_platform.foundation.errors import Unavailable
from readmission_platform.operations.database import moment
from readmission_platform.storage.registry import OPERATIONS, Registry

RUN_TAG = "dagster_run_id"


class RunTracker:
    """Writes observed runs to the experiments of operations.

    Parameters
    ----------
    registry
        Returns the experiment of a name.
    """

    def __init__(self, registry: Callable[[str], Registry]) -> None:
        self._registry = cache(registry)

    def track(self, run: Mapping[str, Any], assets: Sequence[Mapping[str, Any]]) -> None:
        """Write one run; a run that is there already, whole or in part, is completed rather than written again.

        Parameters
        ----------
        run, assets
            Rows of ``observed_runs`` and ``asset_runs``.

        Raises
        ------
        Unavailable
            When the tracking database cannot be reached.
        """
        self._reached(self._track, run, assets)

    def _track(self, run: Mapping[str, Any], assets: Sequence[Mapping[str, Any]]) -> None:
        from mlflow.entities import Metric, Param, RunTag

        ended = _milliseconds(moment(run["ended_at"]))
        registry = self._registry(f"{run['model']}{OPERATIONS}" if run["model"] else "operations")
        client = registry.client()
        experiment = registry.experiment()
        found = client.search_runs([experiment], f"tags.{RUN_TAG} = '{run['run_id']}'", max_results=1)
        if found and found[0].info.status != "RUNNING":
            return
        started = _milliseconds(moment(run["started_at"] or run["ended_at"]))
        name = f"{run['job']} {run['run_id'][:8]}"
        days = dict.fromkeys(day for day in (run["first_partition"], run["last_partition"]) if day)
        described = {tag: run[tag] for tag in ("job", "actor", "trigger", "code_version", "cause")}
        tags = {**registry.tags, RUN_TAG: run["run_id"], **described, "partitions": "...".join(days)}
        tags = {tag: str(value) for tag, value in tags.items() if value}
        number = (
            found[0].info.run_id
            if found
            else client.create_run(experiment, start_time=started, tags=tags, run_name=name).info.run_id
        )
        figures = {"seconds": run["seconds"], "failed_checks": run["failed_checks"]}
        for asset in assets:
            figures |= {f"{kind}/{asset['asset_key']}": asset[kind] for kind in ("seconds", "rows")}
        metrics = [Metric(key, float(value), ended, 0) for key, value in figures.items() if value is not None]
        outcomes = [Param(f"outcome/{asset['asset_key']}", asset["outcome"]) for asset in assets]
        client.log_batch(number, metrics=metrics, params=outcomes, tags=[RunTag(*tag) for tag in tags.items()])
        client.set_terminated(number, _status(run), end_time=ended)

    @staticmethod
    def _reached(call: Any, *arguments: Any) -> Any:
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            return call(*arguments)
        except (MlflowException, SQLAlchemyError, OSError) as error:
            raise Unavailable(f"the tracking server cannot be reached ({type(error).__name__})") from error


def _status(run: Mapping[str, Any]) -> str:
    if run["status"] == "success":
        return "FINISHED"
    return "KILLED" if run["status"] == "canceled" or run["cause"] == "killed" else "FAILED"


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)
