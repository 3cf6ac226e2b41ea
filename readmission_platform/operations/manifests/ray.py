"""The service as an application of Ray Serve, on a cluster that KubeRay keeps (RayService).

What belongs here: what Ray wants otherwise than Kubernetes. What does not: the application itself
(``serving.http.on_ray``).

Ray divides requests among replicas of one application and knows no variants. It needs none to follow a roll-out: each
replica loads every version that answers and obeys the ledger. Another image gets a whole cluster beside the first,
which takes over once it is ready. Ray scales by the requests in hand, not by CPUs. The image has to hold Ray, of the
version that is named here.

Pods of a cluster talk to each other on many ports, and the first to Kubernetes, to ask for others: what goes out is not
restricted as elsewhere.
"""

from collections.abc import Sequence
from typing import Any

import yaml

from readmission_platform.operations.manifests.kubernetes import callers, manifest, route
from readmission_platform.operations.manifests.pods import (
    LIMITS,
    REPLICAS,
    REQUESTS,
    confined,
    mounts,
    variables_of,
    volumes_of,
    without_root,
)
from readmission_platform.operations.manifests.variants import Site, Variant

RAY_VERSION = "2.52.0"
APPLICATION, DEPLOYMENT = "readmission_platform.serving.http.on_ray:app", "Scoring"
_PORT, _METRICS_PORT = 8000, 8080
_CPUS = 2
# From so many requests in hand on, of each replica on average, there are more replicas; each takes on so many at most.
_IN_HAND, _MOST_IN_HAND = 16, 64


def manifests(site: Site, variants: Sequence[Variant]) -> list[dict[str, Any]]:
    """Return the manifests; pods have the image of the last variant, the newest."""
    backend = {"name": f"{site.name}-serve-svc", "port": _PORT, "weight": 1}
    spec = {
        "serveConfigV2": yaml.safe_dump(_application(site), sort_keys=False),
        "upgradeStrategy": {"type": "NewCluster"},
        "rayClusterConfig": _cluster(site, variants[-1].image),
    }
    service = manifest("ray.io/v1", "RayService", site, site.name, spec)
    return [_network_policy(site), service, route(site, [backend])]


def _application(site: Site) -> dict[str, Any]:
    least, most = REPLICAS
    return {
        "proxy_location": "EveryNode",
        "http_options": {"host": "0.0.0.0", "port": _PORT},  # noqa: S104  # of the pod
        "applications": [
            {
                "name": site.name,
                "import_path": APPLICATION,
                "route_prefix": "/",
                "deployments": [
                    {
                        "name": DEPLOYMENT,
                        "autoscaling_config": {
                            "min_replicas": least,
                            "max_replicas": most,
                            "target_ongoing_requests": _IN_HAND,
                        },
                        "max_ongoing_requests": _MOST_IN_HAND,
                        "ray_actor_options": {"num_cpus": _CPUS},
                        "graceful_shutdown_timeout_s": site.drain_seconds,
                    }
                ],
            }
        ],
    }


def _cluster(site: Site, image: str) -> dict[str, Any]:
    least, most = REPLICAS
    workers = {
        "groupName": "serving",
        "replicas": least,
        "minReplicas": least,
        "maxReplicas": most,
        "rayStartParams": {"num-cpus": str(_CPUS)},
        "template": _pod(site, image, "ray-worker", {"automountServiceAccountToken": False}),
    }
    # The first pod keeps the books, and has no room for replicas. It asks Kubernetes for others, by its account.
    head = {
        "rayStartParams": {"num-cpus": "0", "dashboard-host": "0.0.0.0"},  # noqa: S104  # of the pod
        "template": _pod(site, image, "ray-head", {}),
    }
    return {
        "rayVersion": RAY_VERSION,
        "enableInTreeAutoscaling": True,
        "headGroupSpec": head,
        "workerGroupSpecs": [workers],
    }


def _pod(site: Site, image: str, name: str, more: dict[str, Any]) -> dict[str, Any]:
    served = [{"name": "READMISSION_SERVED_MODELS", "value": site.model}]
    # Ray keeps its logs and sockets there, more than fits into what others need.
    volumes = [each for each in volumes_of(site) if each["name"] != "temporary"]
    container = {
        "name": name,
        "image": image,
        "env": [*variables_of(site), *served],
        "resources": {"requests": REQUESTS, "limits": LIMITS},
        "securityContext": confined(),
        "volumeMounts": mounts(),
    }
    spec = {
        **more,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 2 * site.drain_seconds,
        "securityContext": without_root(),
        "containers": [container],
        "volumes": [*volumes, {"name": "temporary", "emptyDir": {}}],
    }
    return {"metadata": {"labels": site.labels()}, "spec": spec}


def _network_policy(site: Site) -> dict[str, Any]:
    fellows = {"from": [{"podSelector": {"matchLabels": site.selected}}]}
    spec = {
        "podSelector": {"matchLabels": site.selected},
        "policyTypes": ["Ingress"],
        "ingress": [callers(site, _PORT, _METRICS_PORT), fellows],
    }
    return manifest("networking.k8s.io/v1", "NetworkPolicy", site, site.name, spec)
