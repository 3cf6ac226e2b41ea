"""The ledger extract: the events of one model and its environment, as text that can be verified anywhere.

What belongs here: writing and reading the text, and walking its chain. What does not: the database (``ledger``), and
the dossier that the extract is part of (``dossier``).

The chain of a database runs through the events of all models. The environment's events are written in full, because
signatures are judged by its roles. Events of other models are left out; only their sequence number and hashes are
written, so that the chain can still be followed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from pydantic import ValidationError

from readmission_platform.foundation.errors import BadInput
from readmission_platform.foundation.untrusted import read_json
from readmission_platform.foundation.values import canonical_json
from readmission_platform.governance.ledger.chain import ENVIRONMENT, GENESIS, Event, is_intact, problem_of_time
from readmission_platform.governance.ledger.integrity import Head
from readmission_platform.governance.ledger.shapes import EventShape, LinkShape


@dataclass(frozen=True)
class Link:
    """The place in the chain of an event whose content is not shown."""

    seq: int
    previous_hash: str
    hash: str


Entry = Event | Link
# Three events an hour of ten models, for ten years.
MOST_ENTRIES = 3_000_000


def extract_text(entries: Iterable[Entry]) -> str:
    """Return the extract: one line of canonical JSON per event or link, in order."""
    return "".join(canonical_json(asdict(entry)) + "\n" for entry in entries)


def read_extract(text: str) -> list[Entry]:
    """Read what :func:`extract_text` wrote; nothing is verified here.

    Raises
    ------
    BadInput
        When a line is neither an event nor a link, or there are too many.
    """
    if text.count("\n") > MOST_ENTRIES:
        raise BadInput(f"the ledger extract has more than {MOST_ENTRIES:,} lines")
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
            return f"event {expected} is missing or out of place: event {entry.seq} is there instead"
        if entry.previous_hash != previous:
            return f"event {entry.seq} does not continue event {entry.seq - 1}"
        if isinstance(entry, Event) and entry.model not in (model, ENVIRONMENT):
            return f"event {entry.seq} belongs to another model"
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
        content = read_json(line)
    except ValueError as error:
        raise BadInput(f"line {number} of the ledger extract is not JSON") from error
    shown = isinstance(content, dict) and "payload" in content
    shape: type[EventShape | LinkShape] = EventShape if shown else LinkShape
    try:
        shape.model_validate(content)
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"]) if isinstance(content, dict) else "its type"
        raise BadInput(f"line {number} of the ledger extract is neither an event nor a link: see {place}") from error
    return Event(**content) if shown else Link(**content)
