"""The service as an InferenceService of KServe, with a predictor of its own.

What belongs here: what KServe wants otherwise than Kubernetes. What does not: the pods (``pods``).

A second version is an entry of ``spec.canary``, which KServe has since 0.20 in the deployment mode ``Standard``.
``canaryTrafficPercent`` is of the other mode and is ignored in this one without a word. The webhook takes a canary only
of a predictor that names where its model is stored, for which a container of one's own has the variable
``STORAGE_URI``; what it names is then mounted at ``/mnt/models``, where nobody looks. Autoscaling is of the
predictor alone: a canary has a fixed number of pods. So the variant that is sent more is the predictor, and they change
places, by their names and without a restart, once the candidate is sent more than the other.
"""

from collections.abc import Sequence
from typing import Any

from readmission_platform.operations.manifests.kubernetes import disruption_budget, network_policy
from readmission_platform.operations.manifests.pods import BUSY, REPLICAS, pod_of
from readmission_platform.operations.manifests.variants import Site, Variant

_CONTAINER = "kserve-container"


def manifests(site: Site, variants: Sequence[Variant]) -> list[dict[str, Any]]:
    """Return the manifests: the InferenceService, and what Kubernetes itself is told of its pods."""
    budgets = [disruption_budget(site, each) for each in variants]
    return [network_policy(site), _inference_service(site, variants), *budgets]


def _inference_service(site: Site, variants: Sequence[Variant]) -> dict[str, Any]:
    # The one that is autoscaled: two pods would not stand what a whole hospital asks.
    first, *others = sorted(variants, key=lambda each: each.weight, reverse=True)
    scaled = {"maxReplicas": REPLICAS[1], "scaleMetric": "cpu", "scaleTarget": BUSY}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": site.name,
            "namespace": site.namespace,
            "labels": site.labels(),
            "annotations": {
                "serving.kserve.io/deploymentMode": "Standard",
                "serving.kserve.io/autoscalerClass": "hpa",
            },
        },
        "spec": {
            "predictor": {**_predictor(site, first), **scaled},
            **({"canary": [{"predictor": _predictor(site, each), "trafficPercent": each.weight} for each in others]}
               if others else {}),
        },
    }  # fmt: skip


def _predictor(site: Site, variant: Variant) -> dict[str, Any]:
    more = {"PROTOCOL": "v2", "STORAGE_URI": f"pvc://{site.home}"}
    return {
        "name": variant.name,
        "labels": site.labels(variant),
        "minReplicas": REPLICAS[0],
        **pod_of(site, variant, container=_CONTAINER, more=more),
    }
