"""The stages of a model as the ledger holds them.

What belongs here: reading the pointers, and whether they may be acted on. What does not: changing them
(``governance.promotion``), and how they are shown in Dagster (``assets.model.stages``).
"""

from collections.abc import Mapping, Sequence
from enum import Enum

from readmission_platform.foundation.errors import Refused
from readmission_platform.governance.ledger.chain import Event, Pointer
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.versions import VersionRecord, version_records
from readmission_platform.governance.promotion.placement import live_problem, pointer_problem

_ACTION = "roll back to a version that was properly promoted (readmission rollback), and find out who recorded this"


class Stage(Enum):
    """The stages a version can be in."""

    staging = "staging"
    production = "production"


def live_version(ledger: Ledger, stage: str) -> VersionRecord | None:
    """Return the version the ledger holds in a stage, or None; whether it was properly put there is not asked.

    Raises
    ------
    Refused
        When it is a version that was never trained.
    """
    version = ledger.pointers()[stage].version
    if version is None:
        return None
    record = version_records(*ledger.snapshot(version=version)).get(version)
    if record is None:
        raise Refused([f"version {version} in {stage} was never trained: {_ACTION}"])
    return record


def pointer_problems(events: Sequence[Event], pointers: Mapping[str, Pointer]) -> dict[str, str]:
    """Say what is wrong with each stage whose version was not properly put there."""
    found = {stage: pointer_problem(pointer, events) for stage, pointer in pointers.items()}
    return {stage: problem for stage, problem in found.items() if problem is not None}


def trusted_stages(ledger: Ledger) -> dict[str, str | None]:
    """Return stage to version; a stage whose version was not properly put there is left out."""
    events, pointers = ledger.snapshot()
    improper = pointer_problems(events, pointers)
    return {stage: pointer.version for stage, pointer in pointers.items() if stage not in improper}


def trusted_version(stage: str, events: Sequence[Event], pointers: Mapping[str, Pointer]) -> VersionRecord | None:
    """Return the version in a stage, to act on, or None; how it came there is looked at again.

    Raises
    ------
    Refused
        When it was not properly put there.
    """
    problem = pointer_problem(pointers[stage], events)
    if problem is not None:
        raise Refused([f"{problem}: {_ACTION}"])
    version = pointers[stage].version
    return version_records(events, pointers)[version] if version is not None else None


def check_was_live(version: str, events: Sequence[Event]) -> None:
    """Make sure that a version is or was properly in production.

    Raises
    ------
    Refused
        When it was not.
    """
    problem = live_problem(version, events)
    if problem is not None:
        raise Refused([f"{problem}: choose another version"])
