"""A site, and the variants of a roll-out there."""

from collections.abc import Iterable

from readmission_platform.operations.manifests.variants import Site, Variant

IMAGE = "registry.example/readmission@sha256:" + "0" * 64
NEWER = "registry.example/readmission@sha256:" + "1" * 64
SITE = Site(name="readmission-30d", namespace="serving", model="readmission_30d", image=IMAGE, hostname="risk.example")
TWO = (Variant(version="3", weight=90, image=IMAGE), Variant(version="12", weight=10, image=NEWER))
ONE = (Variant(version="12", weight=100, image=IMAGE),)


def weights(variants: Iterable[Variant]) -> dict[str, int]:
    return {each.version: each.weight for each in variants}
