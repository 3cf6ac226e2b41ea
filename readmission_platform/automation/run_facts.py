"""Read a finished run from Dagster: whose it is, what it made, the results of its checks, where it failed.

What belongs here: translating Dagster's records into :class:`RunSeen`, of any job, also of runs started by hand.
What does not: what follows from a run (``observation``). Error messages are not read: they may quote a patient's data.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import dagster as dg
from dagster import DagsterEventType as EventType
from dagster._core.errors import DagsterEventLogInvalidForRun
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    AUTO_RETRY_RUN_ID_TAG,
    PARTITION_NAME_TAG,
    SCHEDULE_NAME_TAG,
    SENSOR_NAME_TAG,
    WILL_RETRY_TAG,
)

from readmission_platform.assets.model_assets import RUN_MODEL_TAG
from readmission_platform.operations.names import ModelNames, Named
from readmission_platform.operations.observed_runs import (
    AssetSeen,
    CheckSeen,
    Outcome,
    RunSeen,
    Status,
    StepFailed,
    Trigger,
)

ACTOR_TAG = "readmission/actor"
NOTHING_JUDGED = "Nothing to check"  # how the description of a check on a skipped asset begins
ROW_COUNT = "dagster/row_count"
DATA_VERSION, CODE_VERSION = "dagster/data_version", "dagster/code_version"

FINISHED: dict[dg.DagsterRunStatus, Status] = {
    dg.DagsterRunStatus.SUCCESS: "success",
    dg.DagsterRunStatus.FAILURE: "failure",
    dg.DagsterRunStatus.CANCELED: "canceled",
}
_READ = {
    EventType.ASSET_MATERIALIZATION_PLANNED,
    EventType.ASSET_MATERIALIZATION,
    EventType.ASSET_CHECK_EVALUATION,
    EventType.STEP_START,
    EventType.STEP_SUCCESS,
    EventType.STEP_FAILURE,
    EventType.RUN_FAILURE,
}
# Dagster wraps the error of a step in these.
_WRAPPERS = {
    "DagsterExecutionStepExecutionError",
    "DagsterResourceFunctionError",
    "DagsterUserCodeProcessError",
    "RetryRequestedFromPolicy",
    "ScheduleExecutionError",
    "SensorExecutionError",
}


@dataclass
class _Step:
    """What the events say about one step; assets by their keys."""

    started: float | None = None
    ended: float | None = None
    failed: bool = False
    planned: dict[str, list[str]] = field(default_factory=dict)
    made: dict[str, list[Any]] = field(default_factory=dict)


def read_run(instance: dg.DagsterInstance, record: dg.RunRecord, *, names: ModelNames, actor: str) -> RunSeen:
    """Read a finished run and its events.

    Parameters
    ----------
    names
        To which model assets and jobs belong.
    actor
        Who started the run if it does not say so itself: whoever this process runs as.
    """
    run = record.dagster_run
    steps: dict[str, _Step] = {}
    checks: dict[tuple[str, str, str | None], CheckSeen] = {}
    errors: dict[str, str] = {}
    run_error = None
    for entry in _events(instance, run.run_id):
        event = entry.dagster_event
        if event is None:
            continue
        if event.event_type is EventType.ASSET_CHECK_EVALUATION:
            check = _check(event.asset_check_evaluation_data, event.partition, names)
            checks[check.asset.key, check.check, check.partition] = check
        elif event.event_type is EventType.RUN_FAILURE:
            run_error = _run_error(event)
        else:
            _note(steps.setdefault(event.step_key or "", _Step()), event, entry.timestamp)
            if event.event_type is EventType.STEP_FAILURE:
                errors[event.step_key or ""] = error_class(event.step_failure_data.error) or "Failure"
            elif event.event_type is EventType.STEP_SUCCESS:  # it was tried again and succeeded
                errors.pop(event.step_key or "", None)
    first, last = _partitions(run)
    trigger, who = _started_by(run, actor)
    planned = _named({key for step in steps.values() for key in step.planned}, names)
    assets = tuple(_assets(steps, list(checks.values()), names))
    concerned = [*planned, *(seen.asset for seen in assets), *(check.asset for check in checks.values())]
    return RunSeen(
        run_id=run.run_id,
        job=names.of_job(run.job_name, _model(run, concerned, names)),
        status=FINISHED[run.status],
        started_at=_moment(record.start_time),
        ended_at=_moment(record.end_time) or record.update_timestamp,
        actor=who,
        trigger=trigger,
        assets=assets,
        checks=tuple(checks.values()),
        failures=tuple(
            StepFailed(name, _named({*steps[name].planned, *steps[name].made}, names), error)
            for name, error in errors.items()
        ),
        planned=planned,
        error=run_error,
        first_partition=first,
        last_partition=last,
        retried=AUTO_RETRY_RUN_ID_TAG in run.tags,
    )


def _named(keys: Collection[str], names: ModelNames) -> tuple[Named, ...]:
    return tuple(names.of_asset(key) for key in sorted(keys))


def _model(run: dg.DagsterRun, concerned: Iterable[Named], names: ModelNames) -> str | None:
    """Return the model that a run belongs to, None for a run of several models or of none.

    Its assets decide, because the tag can be edited in the launchpad. The tag decides for a run without assets, and for
    one with assets of several models, the tag's among them.
    """
    # A run that was killed early has no events about assets; which ones were selected is known all the same.
    chosen = [names.of_asset(key.to_user_string()) for key in run.asset_selection or ()]
    models = {asset.model for asset in (*concerned, *chosen)} - {None}
    tagged = run.tags.get(RUN_MODEL_TAG)
    if tagged in (models or set(names.prefixes)):
        return tagged
    return models.pop() if len(models) == 1 else None


def _events(instance: dg.DagsterInstance, run_id: str) -> Sequence[dg.EventLogEntry]:
    try:
        return instance.all_logs(run_id, of_type=_READ)
    except DagsterEventLogInvalidForRun:
        # A run whose events are damaged is observed from its record alone, so that it does not block the others.
        return []


def awaits_retry(record: dg.RunRecord) -> bool:
    """Tell whether Dagster's daemon is about to start the run again; only runs launched through it can be."""
    run = record.dagster_run
    promised = run.tags.get(WILL_RETRY_TAG) == "true" and AUTO_RETRY_RUN_ID_TAG not in run.tags
    return promised and run.remote_job_origin is not None


def _run_error(event: dg.DagsterEvent) -> str | None:
    # A run that Dagster declared failed from outside has no error.
    return error_class(event.job_failure_data.error) if event.event_specific_data is not None else None


def error_class(error: Any) -> str | None:
    """Return the class of the error itself, without Dagster's wrappers."""
    while error is not None and error.cls_name in _WRAPPERS and error.cause is not None:
        error = error.cause
    return cast("str | None", error.cls_name) if error is not None else None


def _note(step: _Step, event: dg.DagsterEvent, at: float) -> None:
    if event.event_type is EventType.STEP_START:
        step.started = step.started or at
    elif event.event_type in {EventType.STEP_SUCCESS, EventType.STEP_FAILURE}:
        step.ended, step.failed = at, event.event_type is EventType.STEP_FAILURE
    elif event.asset_key is not None:
        name, day = event.asset_key.to_user_string(), event.partition
        if event.event_type is EventType.ASSET_MATERIALIZATION_PLANNED:
            step.planned.setdefault(name, []).extend([day] if day else [])
        else:
            step.made.setdefault(name, []).append((day, event.step_materialization_data.materialization))


def _check(evaluation: Any, partition: str | None, names: ModelNames) -> CheckSeen:
    description = evaluation.description or ""
    return CheckSeen(
        asset=names.of_asset(evaluation.asset_key.to_user_string()),
        check=evaluation.check_name,
        partition=evaluation.partition or partition,
        passed=bool(evaluation.passed),
        severity="WARN" if evaluation.severity is dg.AssetCheckSeverity.WARN else "ERROR",
        description=description,
        judged=not (evaluation.passed and description.startswith(NOTHING_JUDGED)),
    )


def _assets(steps: dict[str, _Step], checks: Sequence[CheckSeen], names: ModelNames) -> Iterable[AssetSeen]:
    """Return what was done to each asset; those that the run did not reach are left out."""
    stopped = {check.asset.key for check in checks if not check.passed and check.severity == "ERROR"}
    for step in steps.values():
        if step.started is None:
            continue
        seconds = round(step.ended - step.started, 3) if step.ended is not None else None
        for key in dict.fromkeys([*step.planned, *step.made]):
            made = step.made.get(key, [])
            days = sorted(day for day, _ in made if day) or sorted(step.planned.get(key, []))
            last = made[-1][1] if made else None
            tags = (last.tags or {}) if last else {}
            outcome: Outcome = "made" if made else "skipped"
            if step.failed or step.ended is None:
                outcome = "blocked" if key in stopped else "failed"
            yield AssetSeen(
                asset=names.of_asset(key),
                outcome=outcome,
                first_partition=days[0] if days else None,
                last_partition=days[-1] if days else None,
                started_at=_moment(step.started),
                seconds=seconds,
                rows=_row_count(last),
                data_version=tags.get(DATA_VERSION),
                code_version=tags.get(CODE_VERSION),
            )


def _row_count(materialization: Any) -> int | None:
    value = materialization.metadata.get(ROW_COUNT) if materialization else None
    return value.value if isinstance(value, dg.IntMetadataValue) else None


def _partitions(run: dg.DagsterRun) -> tuple[str | None, str | None]:
    one = run.tags.get(PARTITION_NAME_TAG)
    return run.tags.get(ASSET_PARTITION_RANGE_START_TAG, one), run.tags.get(ASSET_PARTITION_RANGE_END_TAG, one)


def _started_by(run: dg.DagsterRun, actor: str) -> tuple[Trigger, str]:
    if SCHEDULE_NAME_TAG in run.tags:
        return "schedule", run.tags[SCHEDULE_NAME_TAG]
    if SENSOR_NAME_TAG in run.tags:
        return "sensor", run.tags[SENSOR_NAME_TAG]
    return "person", run.tags.get(ACTOR_TAG, actor)


def _moment(timestamp: float | None) -> datetime | None:
    return datetime.fromtimestamp(timestamp, UTC) if timestamp is not None else None
