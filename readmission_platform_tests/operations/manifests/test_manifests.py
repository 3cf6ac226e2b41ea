"""The manifests of every flavour: what a cluster takes, and what a careful operator asks of them."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from pydantic import ValidationError

from readmission_platform.operations.manifests.pods import pod_of
from readmission_platform.operations.manifests.variants import Variant
from readmission_platform.operations.manifests.written import FLAVOURS
from readmission_platform_tests.support.cluster_shapes import SHAPES, InferenceService, pods_of, serve_config
from readmission_platform_tests.support.cluster_sites import NEWER, ONE, SITE, TWO
from readmission_platform_tests.support.extras import need

Manifest = dict[str, Any]
CASES = [(flavour, variants) for flavour in FLAVOURS for variants in (ONE, TWO)]
EVERY = pytest.mark.parametrize(("flavour", "variants"), CASES, ids=[f"{name} {len(each)}" for name, each in CASES])


def made(flavour: str = "kubernetes", variants: Sequence[Variant] = TWO) -> list[Manifest]:
    return FLAVOURS[flavour](SITE, variants)


def of(kind: str, flavour: str = "kubernetes", variants: Sequence[Variant] = TWO) -> list[Manifest]:
    return [each for each in made(flavour, variants) if each["kind"] == kind]


def containers(manifests: Sequence[Manifest]) -> Iterator[Manifest]:
    for pod in (pod for each in manifests for pod in pods_of(each)):
        yield from pod["containers"]


@pytest.fixture(scope="session")
def schemas() -> Any:
    """Kubernetes' own schemas, installed."""
    need("kubernetes_validate", "Kubernetes' schemas are")
    import kubernetes_validate

    return kubernetes_validate


# ----------------------------------------------------------------------------------------------- what clusters take


@EVERY
@pytest.mark.parametrize("release", ["1.31", "1.34", "1.37"])
def test_kubernetes_takes_every_manifest_and_every_pod(
    schemas: Any, release: str, flavour: str, variants: Sequence[Variant]
) -> None:
    for manifest in made(flavour, variants):
        if manifest["kind"] not in SHAPES:
            schemas.validate(manifest, release, strict=True)
        for pod in pods_of(manifest):
            as_pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": pod}
            schemas.validate(as_pod, release, strict=True)
            wrong = copy.deepcopy(as_pod)
            wrong["spec"]["containers"][0]["readinessProb"] = {}
            with pytest.raises(schemas.ValidationError):
                schemas.validate(wrong, release, strict=True)


@EVERY
def test_what_goes_beyond_kubernetes_has_the_shape_of_its_definition(flavour: str, variants: Sequence[Variant]) -> None:
    beyond = [each for each in made(flavour, variants) if each["kind"] in SHAPES]
    assert beyond
    for manifest in beyond:
        SHAPES[manifest["kind"]].model_validate(manifest)
        with pytest.raises(ValidationError):
            SHAPES[manifest["kind"]].model_validate({**manifest, "spec": {**manifest["spec"], "canarry": []}})


@EVERY
def test_names_are_unique_and_fit(flavour: str, variants: Sequence[Variant]) -> None:
    named = [(each["kind"], each["metadata"]["name"]) for each in made(flavour, variants)]
    assert len(set(named)) == len(named)
    assert all(len(name) <= 63 for _, name in named)
    assert {each["metadata"]["namespace"] for each in made(flavour, variants)} == {"serving"}


# ------------------------------------------------------------------------------------------------------ what is asked


@EVERY
def test_a_pod_may_do_nothing_but_serve(flavour: str, variants: Sequence[Variant]) -> None:
    for pod in (pod for each in made(flavour, variants) for pod in pods_of(each)):
        names = [each["name"] for each in pod["containers"]]
        # The head of a Ray cluster asks Kubernetes for further pods.
        assert pod.get("automountServiceAccountToken", True) is (names == ["ray-head"])
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"] == {
                "requests": {"cpu": "2", "memory": "4Gi"}, "limits": {"cpu": "4", "memory": "8Gi"}
            }  # fmt: skip
            mounted = {each["name"] for each in container["volumeMounts"]}
            assert mounted == {each["name"] for each in pod["volumes"]}


@EVERY
def test_no_secret_is_written_into_a_manifest(flavour: str, variants: Sequence[Variant]) -> None:
    for container in containers(made(flavour, variants)):
        (url,) = [each for each in container["env"] if each["name"] == "READMISSION_LEDGER_URL"]
        assert url["valueFrom"] == {"secretKeyRef": {"name": "readmission-ledger", "key": "url"}}
        keys = next(each for each in container["volumeMounts"] if each["name"] == "keys")
        # The whole folder: a single file of a Secret would never be brought up to date.
        assert (keys["mountPath"].endswith("/keys"), keys["readOnly"], "subPath" in keys) == (True, True, False)


@EVERY
def test_only_the_gateway_and_the_scraper_come_in(flavour: str, variants: Sequence[Variant]) -> None:
    (policy,) = of("NetworkPolicy", flavour, variants)
    callers, *fellows = policy["spec"]["ingress"]
    namespaces = [each["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for each in callers["from"]]
    assert namespaces == ["gateway", "monitoring"]
    own = {"from": [{"podSelector": policy["spec"]["podSelector"]}]}
    assert fellows == ([own] if flavour == "ray" else [])
    if flavour != "ray":
        assert [each["ports"][0]["port"] for each in policy["spec"]["egress"]] == [53, 5432]


def test_a_pod_that_is_told_to_stop_is_first_no_more_asked_and_then_answers_what_it_has() -> None:
    pod = pod_of(SITE.model_copy(update={"drain_seconds": 45}), TWO[0])
    (container,) = pod["containers"]
    waits = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] > waits + 45


def test_probes_ask_whether_it_is_alive_and_whether_it_can_answer() -> None:
    (container,) = pod_of(SITE, TWO[0])["containers"]
    paths = {name: container[name]["httpGet"]["path"] for name in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert paths == {"startupProbe": "/healthz", "readinessProbe": "/readyz", "livenessProbe": "/healthz"}
    ports = {each["name"]: str(each["containerPort"]) for each in container["ports"]}
    command = container["command"]
    assert command[command.index("--port") + 1] == ports["http"]
    assert command[command.index("--model") + 1] == SITE.model


# --------------------------------------------------------------------------------------------------------- Kubernetes


def test_every_variant_is_told_the_same_so_that_whichever_pod_is_asked_a_patient_has_the_same_arm() -> None:
    """But for the image and for where pods are put: nothing tells a pod to answer with one version."""
    pods = [copy.deepcopy(pod) for each in of("Deployment") for pod in pods_of(each)]
    images = [pod["containers"][0].pop("image") for pod in pods]
    places = [pod.pop("topologySpreadConstraints") for pod in pods]
    assert pods[0] == pods[1]
    assert images == [TWO[0].image, NEWER]
    assert places[0] != places[1]


def test_each_variant_has_its_pods_a_service_a_scaler_and_a_budget_of_its_own() -> None:
    for variant in TWO:
        name = f"readmission-30d-v{variant.version}"
        own = {each["kind"]: each for each in made() if each["metadata"]["name"] == name}
        assert set(own) == {"Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget"}
        template = own["Deployment"]["spec"]["template"]["metadata"]["labels"]
        for selector in (own["Deployment"]["spec"]["selector"]["matchLabels"], own["Service"]["spec"]["selector"],
                         own["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"]):  # fmt: skip
            assert selector.items() <= template.items()
            assert selector["app.kubernetes.io/version"] == variant.version
        scaler = own["HorizontalPodAutoscaler"]["spec"]
        assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 10)
        assert scaler["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 70}
        assert scaler["scaleTargetRef"]["name"] == name
        assert "replicas" not in own["Deployment"]["spec"]


def test_the_route_divides_requests_by_weight_and_leads_to_services_that_are_there() -> None:
    (route,) = of("HTTPRoute")
    (rule,) = route["spec"]["rules"]
    services = {each["metadata"]["name"] for each in of("Service")}
    assert {each["name"]: each["weight"] for each in rule["backendRefs"]} == {
        "readmission-30d-v3": 90, "readmission-30d-v12": 10}  # fmt: skip
    assert {each["name"] for each in rule["backendRefs"]} <= services
    # The service of all pods, for callers within the cluster.
    assert services - {each["name"] for each in rule["backendRefs"]} == {"readmission-30d"}
    paths = [each["path"]["value"] for each in rule["matches"]]
    assert not [path for path in paths if "/metrics".startswith(path) or "/readyz".startswith(path)]


# ------------------------------------------------------------------------------------------------------ KServe and Ray


@pytest.mark.parametrize(("weight", "predictor"), [(0, "v3"), (10, "v3"), (50, "v3"), (90, "v12"), (100, "v12")])
def test_kserve_scales_whichever_variant_is_sent_more_and_sends_the_other_its_share(
    weight: int, predictor: str
) -> None:
    variants = [TWO[0].model_copy(update={"weight": 100 - weight}), TWO[1].model_copy(update={"weight": weight})]
    (found,) = of("InferenceService", "kserve", variants)
    spec = InferenceService.model_validate(found).spec
    (canary,) = spec.canary
    share = {spec.predictor.name: 100 - canary.traffic_percent, canary.predictor.name: canary.traffic_percent}
    assert share == {"v3": 100 - weight, "v12": weight}
    assert (spec.predictor.name, spec.predictor.max_replicas, spec.predictor.scale_target) == (predictor, 10, 70)
    assert "canaryTrafficPercent" not in str(found)


def test_kserve_has_no_canary_without_a_rollout() -> None:
    (found,) = of("InferenceService", "kserve", ONE)
    assert "canary" not in found["spec"]


def test_ray_runs_one_application_that_the_service_brings() -> None:
    (found,) = of("RayService", "ray")
    config = serve_config(found)
    (application,) = config.applications
    (deployment,) = application.deployments
    assert application.import_path == "readmission_platform.serving.http.on_ray:app"
    assert (deployment.autoscaling_config.min_replicas, deployment.autoscaling_config.max_replicas) == (2, 10)
    assert deployment.max_ongoing_requests >= deployment.autoscaling_config.target_ongoing_requests
    # A replica fits into the pod that it is started in.
    (workers,) = found["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    assert int(workers["rayStartParams"]["num-cpus"]) >= deployment.ray_actor_options["num_cpus"]
    assert {each["image"] for each in containers([found])} == {NEWER}


def test_ray_finds_the_application() -> None:
    pytest.importorskip("ray", reason="the image of a Ray cluster brings it")
    from readmission_platform.serving.http.on_ray import app

    assert app is not None
