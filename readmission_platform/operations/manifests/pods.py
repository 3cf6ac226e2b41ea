"""The pod that serves, alike on every kind of cluster.

What belongs here: its container, what it mounts, and when it counts as well. What does not: how many there are.

It runs without root, on a file system that it cannot write to but for the home and ``/tmp``, and with no account at the
cluster. Told to stop, it first waits until no gateway sends it anything more, then answers what it has in hand.
"""

from typing import Any

from readmission_platform.operations.manifests.variants import Site, Variant

PORT = 8080
WORKERS = 4
REQUESTS = {"cpu": "2", "memory": "4Gi"}
LIMITS = {"cpu": "4", "memory": "8Gi"}
REPLICAS = (2, 10)
# Per cent of the CPUs that are requested, from which on there are more pods.
BUSY = 70
HOME = "/home/readmission"
_USER = 10_001
# Until every gateway and proxy knows that the pod is going.
_UNTIL_NOT_ASKED = 10
# For the last lines of the prediction log, once everything is answered.
_UNTIL_LOGGED = 30
# Who may ask is said by the NetworkPolicy.
_EVERYWHERE = "0.0.0.0"  # noqa: S104  # of the pod
_TMP = "/tmp"  # noqa: S108  # an empty folder of the pod's own


def pod_of(
    site: Site, variant: Variant, *, container: str = "serving", more: dict[str, str] | None = None
) -> dict[str, Any]:
    """Return the spec of a pod of a variant.

    Parameters
    ----------
    container
        Name of the container.
    more
        Further variables of its environment.
    """
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _UNTIL_NOT_ASKED + site.drain_seconds + _UNTIL_LOGGED,
        "securityContext": without_root(),
        "topologySpreadConstraints": _spread(site, variant),
        "containers": [_container(site, variant, container, more or {})],
        "volumes": volumes_of(site),
    }


def without_root() -> dict[str, Any]:
    """Return as whom the processes of a pod run."""
    return {
        "runAsNonRoot": True,
        "runAsUser": _USER,
        "runAsGroup": _USER,
        "fsGroup": _USER,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _spread(site: Site, variant: Variant) -> list[dict[str, Any]]:
    """Keep the pods of a variant apart, over zones and machines, as far as there are any."""
    selector = {"matchLabels": site.selected_of(variant)}
    return [
        {"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": selector}
        for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    ]


def volumes_of(site: Site) -> list[dict[str, Any]]:
    """Return what a pod mounts: the home, the keys over the home's own folder of them, and room for the moment."""
    return [
        {"name": "home", "persistentVolumeClaim": {"claimName": site.home}},
        # Readable by the user of the pod alone, by its group. What is changed in the Secret is there within a minute.
        {"name": "keys", "secret": {"secretName": site.keys, "defaultMode": 0o440}},
        {"name": "temporary", "emptyDir": {"sizeLimit": "256Mi"}},
    ]


def mounts() -> list[dict[str, Any]]:
    """Return where a container finds the volumes."""
    return [
        {"name": "home", "mountPath": HOME},
        {"name": "keys", "mountPath": f"{HOME}/keys", "readOnly": True},
        {"name": "temporary", "mountPath": _TMP},
    ]


def variables_of(site: Site) -> list[dict[str, Any]]:
    """Return the environment of a process that serves."""
    fixed = {"READMISSION_HOME": HOME, "READMISSION_ENVIRONMENT": site.environment, "HOME": _TMP}
    ledger = {"secretKeyRef": {"name": site.ledger, "key": "url"}}
    return [
        *({"name": name, "value": value} for name, value in fixed.items()),
        {"name": "READMISSION_LEDGER_URL", "valueFrom": ledger},
    ]


def confined() -> dict[str, Any]:
    """Return what a container may not do."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def _container(site: Site, variant: Variant, name: str, more: dict[str, str]) -> dict[str, Any]:
    ready, alive = ({"httpGet": {"path": path, "port": "http"}} for path in ("/readyz", "/healthz"))
    return {
        "name": name,
        "image": variant.image,
        "command": ["readmission", "serve", "--model", site.model, "--host", _EVERYWHERE, "--port", str(PORT),
                    "--workers", str(WORKERS)],
        "env": [*variables_of(site), *({"name": key, "value": value} for key, value in sorted(more.items()))],
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        "resources": {"requests": REQUESTS, "limits": LIMITS},
        "startupProbe": {**alive, "periodSeconds": 1, "failureThreshold": 120},
        "readinessProbe": {**ready, "periodSeconds": 2, "timeoutSeconds": 2, "failureThreshold": 3},
        "livenessProbe": {**alive, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6},
        "lifecycle": {"preStop": {"sleep": {"seconds": _UNTIL_NOT_ASKED}}},
        "securityContext": confined(),
        "volumeMounts": mounts(),
    }  # fmt: skip
