"""The hash chain: what an event and a pointer are, and how both are recomputed.

What belongs here: pure functions over events. What does not: the database (``ledger``) and what events mean
for a model version (``versions``).
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from json.encoder import encode_basestring as json_text
from typing import Any

from readmission_platform.foundation.errors import BadInput, LedgerCorrupt, Unavailable
from readmission_platform.foundation.values import canonical_json, digest_of

STAGES = ("staging", "production")
GENESIS = "sha256:" + "0" * 64
# The stream of what belongs to the whole environment and holds for each of its models. No model has this name.
ENVIRONMENT = "*"
# What the kinds of event about a roll-out begin with. There is one at a time, so each concerns every version.
ROLLOUT = "rollout_"
CLOCK_TOLERANCE = timedelta(seconds=5)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)


@dataclass(frozen=True)
class Event:
    """One entry of the ledger; ``hash`` covers all other fields, ``previous_hash`` the entry before it.

    ``model`` names the stream that the event is in: the model's name, or ``ENVIRONMENT``.
    """

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


def hash_of_text(content: Mapping[str, Any], payload: str) -> str:
    """Return the hash of an event whose payload is given as canonical JSON text, which need not be parsed for it.

    The same as :func:`event_hash` of the parsed event, and many times faster, which is what an audit needs.

    Parameters
    ----------
    content
        The event's other fields.

    Raises
    ------
    TypeError, ValueError
        When a field is no text, or text that UTF-8 cannot express.
    """
    version = content["version"]
    text = (
        f'{{"actor":{json_text(content["actor"])},"at":{json_text(content["at"])},"kind":{json_text(content["kind"])},'
        f'"model":{json_text(content["model"])},"payload":{payload},'
        f'"previous_hash":{json_text(content["previous_hash"])},"seq":{content["seq"]},'
        f'"version":{"null" if version is None else json_text(version)}}}'
    )
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def time_of_next(last: str | None, now: datetime) -> str:
    """Return the time of an event that follows one of time ``last``: it never runs backwards.

    Clocks of two machines differ a little, so a clock that is behind by less than ``CLOCK_TOLERANCE`` is taken to be
    at the time of the last event.

    Raises
    ------
    Unavailable
        When the clock is further behind: it was set back, or the one that wrote the last event was ahead.
    """
    text = utc_text(now)
    if last is None or text >= last:
        return text
    if utc_text(now + CLOCK_TOLERANCE) >= last:
        return last
    raise Unavailable(
        f"The clock of this machine says {text}, the last event of the ledger is of {last}: time in the ledger never "
        "runs backwards, so nothing was recorded. Set the clock, then try again."
    )


def check_link(
    content: Mapping[str, Any], *, previous_seq: int, previous_hash: str, previous_at: str | None = None
) -> None:
    """Check one stored event, its payload still text, against its predecessor.

    Raises
    ------
    LedgerCorrupt
        Naming the event: a gap in the numbering, a broken link, content that does not give the hash, or a time before
        that of its predecessor.
    """
    seq, expected = content["seq"], previous_seq + 1
    if seq < expected:
        raise LedgerCorrupt(f"event {seq} is numbered wrongly: event {expected} comes here", seq=seq)
    if seq > expected:
        raise LedgerCorrupt(f"event {expected} is missing: the next one is {seq}", seq=expected)
    if content["previous_hash"] != previous_hash:
        raise LedgerCorrupt(f"event {seq} does not continue event {previous_seq}: one of them was replaced", seq=seq)
    try:
        intact = hash_of_text(content, content["payload"]) == content["hash"]
    except (TypeError, ValueError):  # no text, or text that cannot be encoded: nothing that was ever written here
        intact = False
    if not intact:
        raise LedgerCorrupt(f"event {seq} was edited: its content does not give its hash", seq=seq)
    problem = problem_of_time(content["at"], previous_at)
    if problem is not None:
        raise LedgerCorrupt(f"event {seq} {problem}", seq=seq)


def problem_of_time(at: str, previous: str | None) -> str | None:
    """Say what is wrong with an event's time, given that of an event before it, or return None."""
    if _TIME.fullmatch(at) is None:
        return f"is dated {at!r}, which is not a time"
    if previous is not None and at < previous:
        return f"is dated {at}, before the event that it follows ({previous}): a clock was set back"
    return None


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
        pointers.update({stage: Pointer(stage, version, event.seq) for stage, version in moves_of(event).items()})
    return pointers


def moves_of(event: Event) -> Mapping[str, str | None]:
    """Return which stages an event moved, and to which version.

    Raises
    ------
    LedgerCorrupt
        When it moves something that is not a stage.
    """
    moves: Any = event.payload.get("moves")
    if moves is None:
        return {}
    if not isinstance(moves, Mapping) or not set(moves) <= set(STAGES):
        raise LedgerCorrupt(f"event {event.seq} moves an unknown stage", seq=event.seq)
    return moves


def first_difference(expected: Mapping[str, Pointer], found: Mapping[str, Pointer]) -> str | None:
    """Describe in one sentence the first stage whose pointer differs in version or event, or return None."""
    for stage, pointer in expected.items():
        other = found.get(stage, Pointer(stage, None, 0))
        if (pointer.version, pointer.seq) != (other.version, other.seq):
            was, is_now = pointer.version or "no version", other.version or "no version"
            return f"{stage} was {was} (event {pointer.seq}) and is {is_now} (event {other.seq})"
    return None


def check_text(*texts: str | None) -> None:
    """Make sure that either database can hold these texts, and UTF-8 express them.

    Raises
    ------
    BadInput
        For null characters and lone surrogates.
    """
    for text in texts:
        if text is not None and ("\x00" in text or text.encode(errors="replace").decode() != text):
            raise BadInput("The ledger records only plain text, without null characters or lone surrogates.")


def plain_json(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a reader gets back of a payload, and what is hashed: tuples become lists, keys become strings.

    Raises
    ------
    BadInput
        When it is not JSON, NaN included.
    """
    try:
        content: dict[str, Any] = json.loads(canonical_json(dict(payload)))
        canonical_json(content).encode()
    except (TypeError, ValueError) as error:
        raise BadInput(f"The ledger records only plain JSON ({type(error).__name__}: {error}).") from error
    return content
