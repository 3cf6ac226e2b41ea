"""The service on Kubernetes itself, behind a Gateway.

What belongs here: a Deployment for each variant with all that belongs to it, and what stands in front of them. What
does not: the pods (``pods``), and which variants there are (``variants``).

How many pods there are is the autoscaler's: the Deployments do not say it, so that applying them again changes nothing.
"""

from collections.abc import Sequence
from typing import Any

from readmission_platform.operations.manifests.pods import BUSY, PORT, REPLICAS, pod_of
from readmission_platform.operations.manifests.variants import Site, Variant

# What callers from outside may reach; metrics and probes are the cluster's own.
_PATHS = ("/v1", "/v2")
_DATABASE_PORT, _DNS_PORT = 5432, 53
_IN_NAMESPACE = "kubernetes.io/metadata.name"


def manifests(site: Site, variants: Sequence[Variant]) -> list[dict[str, Any]]:
    """Return the manifests, those of each variant together."""
    backends = [{"name": site.name_of(each), "port": PORT, "weight": each.weight} for each in variants]
    shared = [network_policy(site), _service(site, site.name, site.selected), route(site, backends)]
    return [*shared, *(each for variant in variants for each in _of_variant(site, variant))]


def network_policy(site: Site) -> dict[str, Any]:
    """Let the gateway and the collector of metrics in, and the pods out to names and to the ledger alone."""
    dns = [{"protocol": protocol, "port": _DNS_PORT} for protocol in ("UDP", "TCP")]
    names = {"namespaceSelector": {"matchLabels": {_IN_NAMESPACE: "kube-system"}},
             "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}  # fmt: skip
    database = [{"protocol": "TCP", "port": _DATABASE_PORT}]
    egress = [{"to": [names], "ports": dns}, {"to": [_namespace(site.database_namespace)], "ports": database}]
    spec = {
        "podSelector": {"matchLabels": site.selected},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [callers(site, PORT)],
        "egress": egress,
    }
    return manifest("networking.k8s.io/v1", "NetworkPolicy", site, site.name, spec)


def callers(site: Site, *ports: int) -> dict[str, Any]:
    """Return the rule that lets those in who may ask: the gateway, and the collector of metrics."""
    namespaces = [_namespace(site.gateway_namespace), _namespace(site.scraper_namespace)]
    return {"from": namespaces, "ports": [{"protocol": "TCP", "port": port} for port in ports]}


def disruption_budget(site: Site, variant: Variant) -> dict[str, Any]:
    """Let one pod at a time be taken away on purpose."""
    selector = {"matchLabels": site.selected_of(variant)}
    spec = {"maxUnavailable": 1, "selector": selector, "unhealthyPodEvictionPolicy": "AlwaysAllow"}
    return manifest("policy/v1", "PodDisruptionBudget", site, site.name_of(variant), spec, variant)


def _of_variant(site: Site, variant: Variant) -> list[dict[str, Any]]:
    name = site.name_of(variant)
    selected = site.selected_of(variant)
    deployment = {
        "selector": {"matchLabels": selected},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "revisionHistoryLimit": 3,
        "template": {"metadata": {"labels": site.labels(variant)}, "spec": pod_of(site, variant)},
    }
    target = {"type": "Utilization", "averageUtilization": BUSY}
    scaler = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
        "minReplicas": REPLICAS[0],
        "maxReplicas": REPLICAS[1],
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
    }
    return [
        manifest("apps/v1", "Deployment", site, name, deployment, variant),
        _service(site, name, selected, variant),
        manifest("autoscaling/v2", "HorizontalPodAutoscaler", site, name, scaler, variant),
        disruption_budget(site, variant),
    ]


def _service(site: Site, name: str, selected: dict[str, str], variant: Variant | None = None) -> dict[str, Any]:
    ports = [{"name": "http", "port": PORT, "targetPort": "http", "protocol": "TCP", "appProtocol": "http"}]
    return manifest("v1", "Service", site, name, {"selector": selected, "ports": ports}, variant)


def route(site: Site, backends: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Divide the requests of the gateway by the weights of the backends."""
    matches = [{"path": {"type": "PathPrefix", "value": path}} for path in _PATHS]
    spec = {
        "parentRefs": [{"name": site.gateway, "namespace": site.gateway_namespace}],
        **({"hostnames": [site.hostname]} if site.hostname else {}),
        "rules": [{"matches": matches, "backendRefs": list(backends)}],
    }
    return manifest("gateway.networking.k8s.io/v1", "HTTPRoute", site, site.name, spec)


def _namespace(name: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {_IN_NAMESPACE: name}}}


def manifest(
    version: str, kind: str, site: Site, name: str, spec: dict[str, Any], variant: Variant | None = None
) -> dict[str, Any]:
    """Return a manifest of the service, or of one variant of it."""
    metadata = {"name": name, "namespace": site.namespace, "labels": site.labels(variant)}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}
