"""Shapes of what clusters are told beyond Kubernetes itself: HTTPRoute, InferenceService, RayService.

Written after their definitions (Gateway API 1.5 standard channel ``gateway.networking.k8s.io/v1``; KServe 0.20
``serving.kserve.io/v1beta1`` and its webhook; KubeRay 1.7 ``ray.io/v1``; Ray Serve 2.52), as far as the platform uses
them: a field that is not here is an error. Pods inside are told apart by ``pods_of``, for Kubernetes' own schemas.
"""

from typing import Any, Literal

import yaml
from pydantic import ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from readmission_platform.foundation.values import Frozen

_Name = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"


class _Camel(Frozen):
    """Fields as Kubernetes spells them."""

    model_config = ConfigDict(alias_generator=to_camel)


class _Metadata(_Camel):
    name: str = Field(pattern=_Name)
    namespace: str = Field(pattern=_Name)
    labels: dict[str, str]
    annotations: dict[str, str] = Field(default_factory=dict)


class _Parent(_Camel):
    name: str
    namespace: str


class _Backend(_Camel):
    name: str = Field(pattern=_Name)
    port: int = Field(ge=1, le=65_535)
    weight: int = Field(ge=0, le=1_000_000)


class _Path(_Camel):
    type: Literal["Exact", "PathPrefix", "RegularExpression"]
    value: str = Field(pattern="^/")


class _Match(_Camel):
    path: _Path


class _Rule(_Camel):
    matches: list[_Match] = Field(max_length=64)
    backend_refs: list[_Backend] = Field(max_length=16)


class _RouteSpec(_Camel):
    parent_refs: list[_Parent]
    hostnames: tuple[str, ...] = ()
    rules: list[_Rule] = Field(min_length=1, max_length=16)


class HttpRoute(_Camel):
    api_version: Literal["gateway.networking.k8s.io/v1"]
    kind: Literal["HTTPRoute"]
    metadata: _Metadata
    spec: _RouteSpec


# Fields of a predictor that are those of a pod.
_OF_PODS = frozenset({
    "automountServiceAccountToken", "containers", "enableServiceLinks", "securityContext",
    "terminationGracePeriodSeconds", "topologySpreadConstraints", "volumes",
})  # fmt: skip


class _Predictor(_Camel):
    """``canaryTrafficPercent`` is left out on purpose: in the deployment mode ``Standard`` it is ignored."""

    name: str = Field(pattern=_Name)
    labels: dict[str, str]
    min_replicas: int = Field(ge=0)
    max_replicas: int | None = None
    scale_metric: Literal["cpu", "memory"] | None = None
    scale_target: int | None = None
    pod: dict[str, Any]

    @model_validator(mode="before")
    @classmethod
    def _with_its_pod(cls, given: dict[str, Any]) -> dict[str, Any]:
        pod = {name: value for name, value in given.items() if name in _OF_PODS}
        return {**{name: value for name, value in given.items() if name not in _OF_PODS}, "pod": pod}

    @property
    def storage(self) -> str | None:
        """Where its model is stored, by the variable that a predictor of one's own has for it."""
        (container,) = self.pod["containers"]
        return next((each["value"] for each in container["env"] if each["name"] == "STORAGE_URI"), None)


class _Canary(_Camel):
    predictor: _Predictor
    traffic_percent: int = Field(ge=0, le=100)


class _InferenceSpec(_Camel):
    predictor: _Predictor
    canary: tuple[_Canary, ...] = ()


class InferenceService(_Camel):
    api_version: Literal["serving.kserve.io/v1beta1"]
    kind: Literal["InferenceService"]
    metadata: _Metadata
    spec: _InferenceSpec

    @model_validator(mode="after")
    def _is_taken_by_the_webhook(self) -> "InferenceService":
        predictor, canaries = self.spec.predictor, self.spec.canary
        assert [each["name"] for each in predictor.pod["containers"]] == ["kserve-container"]
        if not canaries:
            return self
        assert self.metadata.annotations["serving.kserve.io/deploymentMode"] == "Standard"
        assert predictor.storage is not None
        names = [predictor.name, *(each.predictor.name for each in canaries)]
        assert len(names) == len(set(names))
        assert sum(each.traffic_percent for each in canaries) <= 100
        for each in canaries:
            fixed = (each.predictor.max_replicas, each.predictor.scale_metric, each.predictor.scale_target)
            assert fixed == (None, None, None)
            assert each.predictor.min_replicas <= predictor.min_replicas
        return self


class _PodTemplate(_Camel):
    metadata: dict[str, dict[str, str]]
    spec: dict[str, Any]


class _HeadGroup(_Camel):
    ray_start_params: dict[str, str]
    template: _PodTemplate


class _WorkerGroup(_HeadGroup):
    group_name: str
    replicas: int
    min_replicas: int
    max_replicas: int


class _RayCluster(_Camel):
    ray_version: str
    enable_in_tree_autoscaling: bool
    head_group_spec: _HeadGroup
    worker_group_specs: list[_WorkerGroup]


class _UpgradeStrategy(_Camel):
    type: Literal["NewCluster", "None", "NewClusterWithIncrementalUpgrade"]


class _RaySpec(_Camel):
    serve_config_v2: str
    upgrade_strategy: _UpgradeStrategy
    ray_cluster_config: _RayCluster


class RayService(_Camel):
    api_version: Literal["ray.io/v1"]
    kind: Literal["RayService"]
    metadata: _Metadata
    spec: _RaySpec


class _ServeAutoscaling(Frozen):
    min_replicas: int = Field(ge=0)
    max_replicas: int = Field(ge=1)
    target_ongoing_requests: float = Field(gt=0)


class _ServeDeployment(Frozen):
    name: str
    autoscaling_config: _ServeAutoscaling
    max_ongoing_requests: int = Field(ge=1)
    ray_actor_options: dict[Literal["num_cpus"], int]
    graceful_shutdown_timeout_s: int


class ServeApplication(Frozen):
    name: str
    import_path: str = Field(pattern=r"^[\w.]+:\w+$")
    route_prefix: str = Field(pattern="^/")
    deployments: list[_ServeDeployment]


class ServeConfig(Frozen):
    proxy_location: Literal["EveryNode", "HeadOnly", "Disabled"]
    http_options: dict[Literal["host", "port"], str | int]
    applications: list[ServeApplication]


SHAPES: dict[str, type[Frozen]] = {
    "HTTPRoute": HttpRoute, "InferenceService": InferenceService, "RayService": RayService,
}  # fmt: skip


def serve_config(ray_service: dict[str, Any]) -> ServeConfig:
    return ServeConfig.model_validate(yaml.safe_load(ray_service["spec"]["serveConfigV2"]))


def pods_of(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """The specs of the pods that a manifest leads to."""
    spec = manifest["spec"]
    if manifest["kind"] == "Deployment":
        return [spec["template"]["spec"]]
    if manifest["kind"] == "InferenceService":
        found = InferenceService.model_validate(manifest).spec
        return [found.predictor.pod, *(each.predictor.pod for each in found.canary)]
    if manifest["kind"] == "RayService":
        cluster = spec["rayClusterConfig"]
        groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
        return [each["template"]["spec"] for each in groups]
    return []
