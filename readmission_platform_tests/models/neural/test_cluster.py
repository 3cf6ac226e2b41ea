"""The manifests of a training on a cluster: what Kubernetes takes, and what a careful operator asks of them."""

from typing import Any

import pytest

from readmission_platform.models.neural.cluster import ClusterJob, manifests_of
from readmission_platform_tests.support.extras import need

JOB = ClusterJob(
    name="risk-network",
    namespace="training",
    image="registry.example/readmission@sha256:" + "0" * 64,
    claim="training-rows",
    mounted_at="/training",
    folder="/training/0123",
    owner="team-risk",
    cost_center="CC-4711",
    nodes=3,
    processes=2,
)


def by_kind(job: ClusterJob = JOB) -> dict[str, dict[str, Any]]:
    return {manifest["kind"]: manifest for manifest in manifests_of(job, {"DAGSTER_PIPES_CONTEXT": "abc"})}


@pytest.fixture(scope="session")
def schemas() -> Any:
    """Kubernetes' own schemas, installed."""
    need("kubernetes_validate", "Kubernetes' schemas are")
    import kubernetes_validate

    return kubernetes_validate


@pytest.mark.parametrize("release", ["1.31", "1.34"])
@pytest.mark.parametrize("gpus", [True, False])
def test_kubernetes_takes_every_manifest(schemas: Any, release: str, gpus: bool) -> None:
    for manifest in by_kind(JOB.model_copy(update={"gpus": gpus})).values():
        schemas.validate(manifest, release, strict=True)
    wrong = by_kind()["Job"]
    wrong["spec"]["template"]["spec"]["restartPolice"] = "Never"
    with pytest.raises(schemas.ValidationError):
        schemas.validate(wrong, release, strict=True)


def test_everything_names_its_owner_and_who_pays() -> None:
    manifests = by_kind()
    labelled = [*manifests.values(), manifests["Job"]["spec"]["template"]]
    assert {each["metadata"]["labels"]["owner"] for each in labelled} == {"team-risk"}
    assert {each["metadata"]["labels"]["cost-center"] for each in labelled} == {"CC-4711"}


def test_pods_are_found_by_the_name_at_which_they_look_for_the_first() -> None:
    manifests = by_kind()
    pod = manifests["Job"]["spec"]["template"]["spec"]
    command = pod["containers"][0]["command"]
    assert command[command.index("--master-addr") + 1] == "risk-network-0.risk-network"
    assert pod["subdomain"] == manifests["Service"]["metadata"]["name"] == manifests["Job"]["metadata"]["name"]
    labels = manifests["Job"]["spec"]["template"]["metadata"]["labels"]
    assert manifests["Service"]["spec"]["selector"].items() <= labels.items()
    assert manifests["Service"]["spec"]["clusterIP"] == "None"


def test_a_pod_may_do_nothing_but_train_and_only_its_fellows_may_talk_to_it() -> None:
    manifests = by_kind()
    pod = manifests["Job"]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    (rule,) = manifests["NetworkPolicy"]["spec"]["ingress"]
    assert rule == {"from": [{"podSelector": manifests["NetworkPolicy"]["spec"]["podSelector"]}]}


def test_a_node_that_is_taken_away_does_not_count_as_a_failure() -> None:
    spec = by_kind()["Job"]["spec"]
    (rule,) = spec["podFailurePolicy"]["rules"]
    assert (rule["action"], rule["onPodConditions"][0]["type"]) == ("Ignore", "DisruptionTarget")
    # Kubernetes has such a policy only for pods that are made anew instead of started again.
    assert spec["template"]["spec"]["restartPolicy"] == "Never"


def test_a_gpu_is_asked_for_each_process_only_where_there_shall_be_some() -> None:
    with_gpus = by_kind(JOB.model_copy(update={"gpus": True}))["Job"]["spec"]["template"]["spec"]["containers"][0]
    assert with_gpus["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert "nvidia.com/gpu" not in str(by_kind()["Job"])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("image", "registry.example/readmission:latest"),
        ("owner", ""),
        ("cost_center", ""),
        ("folder", "relative/folder"),
        ("name", "a name"),
        ("nodes", 0),
    ],
)
def test_a_job_that_would_not_be_honest_about_itself_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        ClusterJob.model_validate({**JOB.model_dump(), field: value})
