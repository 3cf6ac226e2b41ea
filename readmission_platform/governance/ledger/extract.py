"""The ledger extract: the events of one model and its environment, as text that can be verified anywhere.

What belongs here: writing and reading the text, and walking its chain. What does not: the database (``ledger``), and
the dossier that the extract is part of (``dossier``).

The chain of a database runs through the events of all models. The environment's events are written in full, because
signatures are judged by its roles. Events of other models are left out; only their sequence number and hashes are
written, so that the chain can still be followed.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from readmission_platform.foundation.errors import BadInput
from readmission_platform.foundation.values import canonical_json
from readmission_platform.governance.ledger.chain import ENVIRONMENT, GENESIS, Event, is_intact, problem_of_time
from readmission_platform.governance.ledger.integrity import Head


@dataclass(frozen=True)
class Link:
    """The place in the chain of an event whose content is not shown."""

    seq: int
    previous_hash: str
    hash: str


Entry = Event | Link
_EVENT_FIELDS = frozenset(field.name for field in fields(Event))
_LINK_FIELDS = frozenset(field.name for field in fields(Link))


def extract_text(entries: Iterable[Entry]) -> str:
    """Return the extract: one line of canonical JSON per event or link, in order."""
    return "".join(canonical_json(asdict(entry)) + "\n" for entry in entries)


def read_extract(text: str) -> list[Entry]:
    """Read what :func:`extract_text` wrote; nothing is verified here.

    Raises
    ------
    BadInput
        When a line is neither an event nor a link.
    """
    # Not splitlines(), which also breaks at characters that may stand inside a line.
    lines = text.removesuffix("\n").split("\n") if text else []
    return [_entry(number, line) for number, line in enumerate(lines, start=1)]


def events_of(entries: Iterable[Entry]) -> list[Event]:
    """Return the events among the entries."""
    return [entry for entry in entries if isinstance(entry, Event)]


def first_break(entries: Sequence[Entry], *, model: str) -> str | None:
    """Say in one sentence where the chain does not hold, or return None.

    Every hash is recomputed from its event, of links only the place is checked. That no event of the model or of its
    environment is hidden behind a link cannot be seen from the extract: whoever sealed it vouches for that.
    """
    previous, expected, time = GENESIS, 1, None
    for entry in entries:
        if entry.seq != expected:
            return f"event {expected} is missing or out of place: event {entry.seq} stands there"
        if entry.previous_hash != previous:
            return f"event {entry.seq} does not continue event {entry.seq - 1}"
        if isinstance(entry, Event) and entry.model not in (model, ENVIRONMENT):
            return f"event {entry.seq} is of another model"
        if isinstance(entry, Event) and not is_intact(entry):
            return f"event {entry.seq} was edited: its content does not give its hash"
        if isinstance(entry, Event):
            problem, time = problem_of_time(entry.at, time), entry.at
            if problem is not None:
                return f"event {entry.seq} {problem}"
        previous, expected = entry.hash, expected + 1
    return None


def departure_from(head: Head, entries: Sequence[Entry]) -> str | None:
    """Say in one sentence why a chain is not one that once ended at this head, or return None.

    A chain that ends before the head cannot be compared beyond its first event.
    """
    if head.first_hash is not None and entries and entries[0].hash != head.first_hash:
        return "event 1 is not that of the exported head: this is another ledger, or it was rewritten"
    if 0 < head.seq <= len(entries) and entries[head.seq - 1].hash != head.hash:
        return f"event {head.seq} is not the exported one: the ledger was rewritten there or before"
    return None


def _entry(number: int, line: str) -> Entry:
    try:
        content: Any = json.loads(line)
    except ValueError as error:
        raise BadInput(f"line {number} of the ledger extract is no JSON") from error
    names = frozenset(content) if isinstance(content, dict) else frozenset()
    if names == _EVENT_FIELDS and isinstance(content["payload"], dict) and _in_order(content):
        return Event(**content)
    if names == _LINK_FIELDS and _in_order(content):
        return Link(**content)
    raise BadInput(f"line {number} of the ledger extract is neither an event nor a link")


def _in_order(content: dict[str, Any]) -> bool:
    return isinstance(content["seq"], int) and all(isinstance(content[name], str) for name in _LINK_FIELDS - {"seq"})
