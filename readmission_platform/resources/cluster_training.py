"""Training on a Kubernetes cluster from a step of Dagster: the Job is launched, watched, and heard through Pipes.

What belongs here: what needs Dagster or a cluster. What does not: the manifests (``models.neural.cluster``).

Pipes lets the processes tell Dagster how far they are, in a file on the volume that they share with this machine.
"""

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import dagster as dg
import yaml

from readmission_platform.foundation.errors import Unavailable
from readmission_platform.models.neural.cluster import ClusterJob, manifests_of

_LOOK_EVERY = 2.0
_PATIENCE = 60
# Of conditions, those that end a Job.
_COMPLETE, _FAILED = "Complete", "Failed"


def train_on_cluster(context: dg.AssetExecutionContext, job: ClusterJob, *, look_every: float = _LOOK_EVERY) -> None:
    """Train the networks of a folder that was handed over, and wait until they are trained.

    The Job is deleted at the end, also if the step is interrupted; what was trained by then stays in the folder. The
    step's results are its own to return: those of Pipes are only lines of its log.

    Raises
    ------
    Unavailable
        When the cluster cannot be reached, or the Job failed.
    """
    reader = dg.PipesFileMessageReader(str(Path(job.folder) / "messages"))
    with dg.open_pipes_session(
        context=context, context_injector=dg.PipesEnvContextInjector(), message_reader=reader
    ) as session:
        manifests = manifests_of(job, session.get_bootstrap_env_vars())
        _kubectl(job, ["apply", "-f", "-"], yaml.safe_dump_all(manifests))
        try:
            while (ended := _ended(job)) is None:
                time.sleep(look_every)
        finally:
            names = [f"{manifest['kind'].lower()}/{job.name}" for manifest in manifests]
            _kubectl(job, ["delete", "--ignore-not-found", "--wait=false", *names])
    if ended == _FAILED:
        raise Unavailable(f"the cluster gave up training after every try: job {job.namespace}/{job.name} failed")


def _ended(job: ClusterJob) -> str | None:
    """Return how the Job ended; None while it has not."""
    conditions = '{range .status.conditions[?(@.status=="True")]}{.type} {end}'
    said = _kubectl(job, ["get", f"job/{job.name}", "-o", f"jsonpath={conditions}"]).split()
    return next((ended for ended in (_COMPLETE, _FAILED) if ended in said), None)


def _kubectl(job: ClusterJob, arguments: Sequence[str], given: str = "") -> str:
    try:
        done = subprocess.run(
            ["kubectl", "--namespace", job.namespace, *arguments],
            input=given, capture_output=True, text=True, check=False, timeout=_PATIENCE,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"kubectl cannot be used ({type(error).__name__})") from error
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["no reason given"]
        raise Unavailable(f"the cluster does not take part: {said[-1]}")
    return done.stdout
