"""Training on a Kubernetes cluster, as plain data: a Job whose pods find each other, and who may talk to them.

What belongs here: the manifests. What does not: bringing them to a cluster (``resources.cluster_training``).

A pod that is killed is made anew by the Job. The others notice that one is gone, end, and are made anew as well; then
all go on from the latest checkpoint. So the folder lies on a volume that every pod can write to.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from readmission_platform.foundation.values import Frozen
from readmission_platform.models.neural.supervisor import TRAINING

# Pods are called by name and number below the service, in at most 63 letters.
Name = Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]{0,50}[a-z0-9])?$")]
_PORT = 29_400
# Every pod that is made anew counts, and all of them are, whichever was killed by something else than the cluster.
_TIMES_ANEW = 6
_DAY = 86_400


class ClusterJob(Frozen):
    """Where and how large.

    Attributes
    ----------
    image
        Holds this package with its extra ``pytorch``; with a digest, so that every pod runs the same.
    claim, mounted_at
        Claim of the volume with the folder of the training, and where every machine has it, also the one that asks.
    folder
        The folder of the training, as ``mounted_at`` has it.
    nodes, processes
        Pods, and processes in each of them.
    gpus
        Whether each process has a GPU of its own.
    owner, cost_center
        Who answers for the job, and who pays: labels of everything that it consists of.
    """

    name: Name
    namespace: Name
    image: str = Field(pattern=r"^[^\s@]+@sha256:[0-9a-f]{64}$")
    claim: Name
    mounted_at: str = Field(pattern=r"^/[^\s:]+$")
    folder: str = Field(pattern=r"^/[^\s:]+$")
    owner: Name
    cost_center: str = Field(pattern=r"^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$")
    nodes: int = Field(default=2, ge=1, le=64)
    processes: int = Field(default=1, ge=1, le=16)
    gpus: bool = False
    memory: str = Field(default="4Gi", pattern=r"^[1-9][0-9]*[MGT]i$")

    @property
    def labels(self) -> dict[str, str]:
        """Labels of everything that the job consists of."""
        return {
            "app.kubernetes.io/name": "readmission-training",
            "app.kubernetes.io/instance": self.name,
            "owner": self.owner,
            "cost-center": self.cost_center,
        }


def manifests_of(job: ClusterJob, environment: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """Return the manifests: a service that gives pods their names, who may talk to them, and the Job.

    Parameters
    ----------
    environment
        Variables of every process: how it tells Dagster of itself.
    """
    return [_service(job), _policy(job), _job(job, environment or {})]


def _named(job: ClusterJob) -> dict[str, Any]:
    return {"name": job.name, "namespace": job.namespace, "labels": job.labels}


def _service(job: ClusterJob) -> dict[str, Any]:
    ports = [{"name": "rendezvous", "port": _PORT, "targetPort": _PORT}]
    # A pod is looked for before it is ready, because it is ready only once it was found.
    spec = {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": _selected(job), "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": _named(job), "spec": spec}


def _policy(job: ClusterJob) -> dict[str, Any]:
    """Let only pods of the job talk to each other: PyTorch asks nobody who they are."""
    ours = [{"podSelector": {"matchLabels": _selected(job)}}]
    spec = {"podSelector": {"matchLabels": _selected(job)}, "policyTypes": ["Ingress"], "ingress": [{"from": ours}]}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": _named(job), "spec": spec}


def _selected(job: ClusterJob) -> dict[str, str]:
    return {"app.kubernetes.io/instance": job.name}


def _job(job: ClusterJob, environment: Mapping[str, str]) -> dict[str, Any]:
    spec = {
        "completionMode": "Indexed",
        "completions": job.nodes,
        "parallelism": job.nodes,
        "backoffLimit": _TIMES_ANEW * job.nodes,
        # A node that is taken away is nobody's failure.
        "podFailurePolicy": {
            "rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
        },
        "ttlSecondsAfterFinished": _DAY,
        "template": {"metadata": {"labels": job.labels}, "spec": _pod(job, environment)},
    }
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": _named(job), "spec": spec}


def _pod(job: ClusterJob, environment: Mapping[str, str]) -> dict[str, Any]:
    return {
        "subdomain": job.name,
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10_001,
            "fsGroup": 10_001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(job, environment)],
        "volumes": [
            {"name": "training", "persistentVolumeClaim": {"claimName": job.claim}},
            {"name": "temporary", "emptyDir": {}},
            {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
        ],
    }


def _container(job: ClusterJob, environment: Mapping[str, str]) -> dict[str, Any]:
    fixed = {"OMP_NUM_THREADS": "1", "CUBLAS_WORKSPACE_CONFIG": ":4096:8", "HOME": "/tmp"}  # noqa: S108  # its own
    index = {"fieldPath": "metadata.annotations['batch.kubernetes.io/job-completion-index']"}
    amounts = {"cpu": str(job.processes), "memory": job.memory}
    return {
        "name": "training",
        "image": job.image,
        "command": list(command_of(job)),
        "env": [
            {"name": "NODE_RANK", "valueFrom": {"fieldRef": index}},
            *({"name": name, "value": value} for name, value in sorted({**fixed, **environment}.items())),
        ],
        "resources": {
            "requests": amounts,
            "limits": {"memory": job.memory, **({"nvidia.com/gpu": str(job.processes)} if job.gpus else {})},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "training", "mountPath": job.mounted_at},
            {"name": "temporary", "mountPath": "/tmp"},  # noqa: S108  # an empty folder of the pod's own
            {"name": "shared-memory", "mountPath": "/dev/shm"},  # noqa: S108  # likewise
        ],
    }


def command_of(job: ClusterJob) -> Sequence[str]:
    """Return what each pod runs: torchrun for its own processes, which meet those of the others at the first pod."""
    return [
        "python", "-m", "torch.distributed.run",
        "--nnodes", str(job.nodes), "--node-rank", "$(NODE_RANK)", "--nproc-per-node", str(job.processes),
        "--master-addr", f"{job.name}-0.{job.name}", "--master-port", str(_PORT), "--max-restarts", "0",
        "-m", TRAINING, job.folder,
    ]  # fmt: skip
