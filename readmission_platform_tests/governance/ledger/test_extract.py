"""The ledger extract: a model's and its environment's events as text that verifies anywhere, all others as links."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readmission_platform.foundation.errors import BadInput
from readmission_platform.governance.ledger.chain import ENVIRONMENT
from readmission_platform.governance.ledger.extract import (
    Entry,
    Link,
    departure_from,
    events_of,
    extract_text,
    first_break,
    read_extract,
)
from readmission_platform.governance.ledger.integrity import Head
from readmission_platform.governance.ledger.ledger import Ledger

MODEL, OTHER = "readmission_30d", "length_of_stay"


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> list[Entry]:
    """The chain of a database that two models share, as one of them may hand it out."""
    url = f"sqlite:///{tmp_path_factory.mktemp('shared') / 'ledger.db'}"
    with Ledger(url, model=MODEL, environment="local") as ours, Ledger(url, model=OTHER, environment="local") as theirs:
        theirs.append("shared", {"of": "everybody"}, actor="somebody else", of_environment=True)
        for number in range(4):
            ours.append("something", {"number": number, "text": 'é \u2028 "quoted"'}, actor="somebody", version="1")
            theirs.append("secret", {"their": "business"}, actor="somebody else")
        return ours.entries()


def test_another_models_events_are_links_without_content(entries: list[Entry]):
    text = extract_text(entries)
    assert [isinstance(entry, Link) for entry in entries] == [False, False, *[False, True] * 4]
    assert "business" not in text
    assert OTHER not in text


def test_the_environments_events_are_there_in_full_whichever_model_recorded_them(entries: list[Entry]):
    events = events_of(read_extract(extract_text(entries)))
    assert [event.model for event in events] == [ENVIRONMENT, ENVIRONMENT, *[MODEL] * 4]
    assert events[1].payload == {"of": "everybody"}
    assert first_break([entries[0]], model=OTHER) is None


def test_what_is_written_is_read_again_and_verifies(entries: list[Entry]):
    assert read_extract(extract_text(entries)) == entries
    assert first_break(entries, model=MODEL) is None
    assert first_break([], model=MODEL) is None


@given(data=st.data())
def test_any_change_to_an_event_or_a_link_breaks_the_chain(entries: list[Entry], data: st.DataObject):
    place = data.draw(st.integers(0, len(entries) - 2))  # of the last one the hash is compared with the signed head
    entry = entries[place]
    fields = ["previous_hash", "hash"] if isinstance(entry, Link) else ["kind", "actor", "at", "version", "hash"]
    field = data.draw(st.sampled_from(fields))
    changed = [*entries]
    changed[place] = replace(entry, **{field: data.draw(st.text().filter(lambda text: text != getattr(entry, field)))})
    assert first_break(changed, model=MODEL) is not None


@given(data=st.data())
def test_an_event_that_is_left_out_moved_or_repeated_breaks_the_chain(entries: list[Entry], data: st.DataObject):
    place = data.draw(st.integers(0, len(entries) - 2))
    without = entries[:place] + entries[place + 1 :]
    repeated = [*entries[: place + 1], *entries[place:]]
    moved = [*entries[:place], entries[place + 1], entries[place], *entries[place + 2 :]]
    assert all(first_break(changed, model=MODEL) for changed in (without, repeated, moved))


def test_an_event_of_another_model_in_full_is_refused(entries: list[Entry]):
    assert "another model" in str(first_break(entries, model=OTHER))


@pytest.mark.parametrize(
    "line",
    ["no JSON", "[]", "{}", '{"seq": 1}', '{"seq": "1", "previous_hash": "a", "hash": "b"}',
     json.dumps({"seq": 1, "previous_hash": "a", "hash": "b", "more": 1})],
)  # fmt: skip
def test_a_line_that_is_neither_is_named_by_its_number(entries: list[Entry], line: str):
    with pytest.raises(BadInput, match="line 2"):
        read_extract(extract_text(entries[:1]) + line)


def test_a_head_exported_before_tells_a_rewritten_chain(entries: list[Entry], tmp_path: Path):
    head = Head(entries[4].seq, entries[4].hash, None, entries[0].hash)
    assert departure_from(head, entries) is None
    assert departure_from(head, entries[:3]) is None, "what ends before the head cannot be compared with it"
    assert "event 5" in str(departure_from(replace(head, hash="sha256:" + "0" * 64), entries))
    assert "event 1" in str(departure_from(replace(head, first_hash="sha256:" + "0" * 64), entries[:3]))
