"""The stages of a model as the ledger holds them.

What belongs here: reading the pointers. What does not: changing them (``governance.promotion``), and how they are shown
in Dagster (``assets.model.stages``).
"""

from enum import Enum

from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.versions import VersionRecord, version_records


class Stage(Enum):
    """The stages a version can be in."""

    staging = "staging"
    production = "production"


def stage_versions(ledger: Ledger) -> dict[str, str | None]:
    """Return stage to version by the ledger's pointers."""
    return {stage: pointer.version for stage, pointer in ledger.pointers().items()}


def live_version(ledger: Ledger, stage: str) -> VersionRecord | None:
    """Return the version the ledger holds in a stage, or None."""
    version = ledger.pointers()[stage].version
    return version_records(*ledger.snapshot(version=version))[version] if version else None
