"""Ticks of sensors as the daemon records them."""

from datetime import datetime

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import InProcessCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster_shared.error import SerializableErrorInfo


def running_sensor(instance: dg.DagsterInstance, name: str) -> InstigatorState:
    place = InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="readmission_platform.definitions"))
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(place, "__repository__"), name)
    state = InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.RUNNING, SensorInstigatorData())
    return instance.add_instigator_state(state)


def ticked(instance: dg.DagsterInstance, state: InstigatorState, status: TickStatus, at: datetime) -> None:
    cause = SerializableErrorInfo("OSError: patient 70461234", [], "OSError")
    wrapped = SerializableErrorInfo("Error in the sensor: patient 70461234", [], "SensorExecutionError", cause)
    error = wrapped if status is TickStatus.FAILURE else None
    instance.create_tick(
        TickData(
            state.instigator_origin_id,
            state.name,
            InstigatorType.SENSOR,
            status,
            at.timestamp(),
            run_ids=[],
            selector_id=state.selector_id,
            error=error,
        )
    )
