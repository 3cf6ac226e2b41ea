"""The hash chain: what an event and a pointer are, and how both are recomputed.

What belongs here: pure functions over events. What does not: the database (``ledger``) and what events mean
for a model version (``versions``).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from readmission_platform.config import digest_of
from readmission_platform.governance.errors import LedgerCorrupt

STAGES = ("staging", "production")
GENESIS = "sha256:" + "0" * 64


@dataclass(frozen=True)
class Event:
    """One entry of the ledger; ``hash`` covers all other fields, ``previous_hash`` the entry before it."""

    seq: int
    model: str
    at: str
    kind: str
    version: str | None
    actor: str
    payload: dict[str, Any]
    previous_hash: str
    hash: str


@dataclass(frozen=True)
class Pointer:
    """Which version a stage points to, and the event that made it so (0: it was never moved)."""

    stage: str
    version: str | None
    seq: int


_HASHED_FIELDS = tuple(field.name for field in fields(Event) if field.name != "hash")


def utc_text(moment: datetime) -> str:
    """Write a moment as the ledger does: ISO 8601, UTC, microseconds, ``Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def event_hash(content: Mapping[str, Any]) -> str:
    """Return the hash of an event given as a mapping of its fields; a ``hash`` among them is left out."""
    return digest_of({name: content[name] for name in _HASHED_FIELDS})


def is_intact(event: Event) -> bool:
    """Tell whether an event's hash is that of its content."""
    try:
        return event_hash(vars(event)) == event.hash
    except (TypeError, ValueError):
        return False


def check_link(event: Event, *, previous_seq: int, previous_hash: str) -> None:
    """Check one event against its predecessor.

    Raises
    ------
    LedgerCorrupt
        Naming the event: a gap in the numbering, a broken link, or content that does not give the hash.
    """
    if event.seq != previous_seq + 1:
        missing = previous_seq + 1
        raise LedgerCorrupt(f"event {missing} is missing: the next one is {event.seq}", seq=missing)
    if event.previous_hash != previous_hash:
        message = f"event {event.seq} does not continue event {previous_seq}: one of them was replaced"
        raise LedgerCorrupt(message, seq=event.seq)
    if not is_intact(event):
        raise LedgerCorrupt(f"event {event.seq} was edited: its content does not give its hash", seq=event.seq)


def no_pointers() -> dict[str, Pointer]:
    """Return the pointers of a model that was never promoted."""
    return {stage: Pointer(stage, None, 0) for stage in STAGES}


def pointers_from(events: Iterable[Event]) -> dict[str, Pointer]:
    """Recompute the pointers of one model from its events, in order.

    Raises
    ------
    LedgerCorrupt
        When an event moves something that is not a stage.
    """
    pointers = no_pointers()
    for event in events:
        moves = event.payload.get("moves")
        if moves is None:
            continue
        if not isinstance(moves, Mapping) or not set(moves) <= set(STAGES):
            raise LedgerCorrupt(f"event {event.seq} moves an unknown stage", seq=event.seq)
        pointers.update({stage: Pointer(stage, version, event.seq) for stage, version in moves.items()})
    return pointers


def first_difference(expected: Mapping[str, Pointer], found: Mapping[str, Pointer]) -> str | None:
    """Describe in one sentence the first stage whose pointer differs in version or event, or return None."""
    for stage, pointer in expected.items():
        other = found.get(stage, Pointer(stage, None, 0))
        if (pointer.version, pointer.seq) != (other.version, other.seq):
            was, is_now = pointer.version or "no version", other.version or "no version"
            return f"{stage} was {was} (event {pointer.seq}) and is {is_now} (event {other.seq})"
    return None
