"""Runs that a command launches in its own process, in Dagster's record: whose they are, and what became of them.

What belongs here: what Dagster's daemon does for the runs it launches, and nobody for these. What does not: launching
them (``launcher``).
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from socket import gethostname
from typing import Any

import dagster as dg
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.storage.tags import HIDDEN_TAG_PREFIX
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

# For machines: the UI does not show tags of this prefix.
PROCESS_TAG, HOST_TAG = f"{HIDDEN_TAG_PREFIX}readmission_process", f"{HIDDEN_TAG_PREFIX}readmission_host"

REPOSITORY = "__repository__"


def close_runs_of_dead_processes(instance: dg.DagsterInstance) -> list[str]:
    """Mark runs as failed whose process on this machine is gone, and free the pool slots they hold; returns their ids.

    Dagster's own run monitoring looks after the runs it launched, not after those of a command that was killed; such
    a run would show as started for ever, and the next one would wait for its slot.
    """
    unfinished = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING])
    closed = []
    for run in instance.get_runs(filters=unfinished):
        process = run.tags.get(PROCESS_TAG)
        if process is None or run.tags.get(HOST_TAG) != gethostname() or _is_alive(int(process)):
            continue
        instance.report_run_failed(run, "The command that ran this was killed.")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        closed.append(run.run_id)
    return closed


@contextmanager
def from_location(instance: dg.DagsterInstance, job: str, *, location: str) -> Iterator[None]:
    """Have runs of a job recorded as runs of a code location of ours, as those that the daemon launches are.

    Without this the UI's timeline leaves them out, and running in this process offers no other way to say it.
    """
    target = LoadableTargetOrigin(executable_path=sys.executable, module_name="readmission_platform.definitions")
    repository = RemoteRepositoryOrigin(ManagedGrpcPythonEnvCodeLocationOrigin(target, location), REPOSITORY)
    create: Any = instance.create_run_for_job
    instance.create_run_for_job = partial(create, remote_job_origin=RemoteJobOrigin(repository, job))  # type: ignore[method-assign]
    try:
        yield
    finally:
        instance.create_run_for_job = create  # type: ignore[method-assign]


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's, so it exists
        return True
    return True
