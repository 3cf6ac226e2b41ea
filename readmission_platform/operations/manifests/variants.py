"""Where the service runs, and its variants: one for each version that answers while a roll-out is open.

What belongs here: from a roll-out to variants and the share of the requests that each is sent. What does not: what a
cluster is told of them (``kubernetes``, ``kserve``, ``ray``).

Who is given which version's answer is decided in the service, by the patient (``governance.rollouts.assignment``). A
gateway knows no patients: it divides requests, and sends those of one patient here and there. So each pod, of whatever
variant, loads every version that answers and obeys the ledger; the same patient has the same arm whichever pod is
asked. A variant is a group of pods of its own: its image, its room to grow, its restarts. Its weight moves load onto
these pods, in step with the share of the patients, and is no assignment.
"""

from typing import Annotated

from pydantic import Field

from readmission_platform.foundation.values import Frozen
from readmission_platform.governance.rollouts.state import RolloutState

# With the version of a variant behind it, a name of a service still has at most 63 letters.
Name = Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$")]
_IMAGE = r"^[^\s@]+@sha256:[0-9a-f]{64}$"


class Variant(Frozen):
    """Pods for one version: ``weight`` is their share of the requests, in per cent."""

    version: str = Field(pattern=r"^[0-9]{1,9}$")
    weight: int = Field(ge=0, le=100)
    image: str = Field(pattern=_IMAGE)

    @property
    def name(self) -> str:
        """What it is called beside others."""
        return f"v{self.version}"


class Site(Frozen):
    """Where the service runs, and what it finds there.

    Attributes
    ----------
    name
        Of the service, and of all that belongs to it.
    model
        The model that it serves.
    image, candidate_image
        Hold this package, with a digest, so that every pod runs the same. Default of the second: the first.
    environment
        The environment that its ledger is bound to.
    home
        Claim of the volume with the home, which several pods can write to (ReadWriteMany).
    keys
        Secret with the files of the home's folder ``keys``: the key of the pseudonyms, and the clients' tokens.
    ledger
        Secret whose key ``url`` is the URL of the ledger's database: several pods cannot share one in a file.
    gateway, gateway_namespace
        The Gateway that the route is attached to.
    hostname
        What callers call it; None: whatever the Gateway listens to.
    scraper_namespace, database_namespace
        Where the metrics are collected from, and where the ledger's database is.
    drain_seconds
        How long requests in hand may take when a pod is told to stop (``serving.yaml``).
    """

    name: Name
    namespace: Name
    model: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    image: str = Field(pattern=_IMAGE)
    candidate_image: str | None = Field(default=None, pattern=_IMAGE)
    environment: str = "production"
    home: Name = "readmission-home"
    keys: Name = "readmission-keys"
    ledger: Name = "readmission-ledger"
    gateway: Name = "gateway"
    gateway_namespace: Name = "gateway"
    hostname: str | None = Field(default=None, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    scraper_namespace: Name = "monitoring"
    database_namespace: Name = "database"
    drain_seconds: int = Field(default=20, ge=1, le=600)

    @property
    def selected(self) -> dict[str, str]:
        """What all pods of the service have in common, and no others."""
        return {"app.kubernetes.io/name": "readmission-serving", "app.kubernetes.io/instance": self.name}

    def selected_of(self, variant: Variant) -> dict[str, str]:
        """What the pods of a variant have in common, and no others."""
        return {**self.selected, "app.kubernetes.io/version": variant.version}

    def labels(self, variant: Variant | None = None) -> dict[str, str]:
        """Return the labels of something that belongs to the service, or to one variant of it."""
        own = self.selected_of(variant) if variant else self.selected
        return {**own, "app.kubernetes.io/part-of": "readmission-platform"}

    def name_of(self, variant: Variant) -> str:
        """Return what belongs to one variant is called."""
        return f"{self.name}-{variant.name}"


def variants_of(site: Site, production: str, rollout: RolloutState | None) -> tuple[Variant, ...]:
    """Return the variants, the one of the version in production first.

    Without a roll-out there is one. In the shadow too: every pod scores with the candidate beside its answer, and
    requests that a gateway mirrors would be answered, and logged, a second time. A blue-green roll-out leaves the old
    version's pods in place at weight 0, for an instant way back.
    """
    if rollout is None or not rollout.open or rollout.in_shadow:
        return (Variant(version=production, weight=100, image=site.image),)
    weight = _per_cent(rollout.share)
    return (
        Variant(version=rollout.control_version, weight=100 - weight, image=site.image),
        Variant(version=rollout.candidate_version, weight=weight, image=site.candidate_image or site.image),
    )


def _per_cent(share: float) -> int:
    """Return a share in whole per cent; none of both sides is rounded away."""
    return round(share * 100) if share in (0.0, 1.0) else min(99, max(1, round(share * 100)))
