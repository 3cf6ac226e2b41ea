"""The ledger: append-only, chained, one mover at a time."""

import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from readmission_platform.foundation.errors import BadInput, Conflict, LedgerCorrupt
from readmission_platform.foundation.values import canonical_json
from readmission_platform.governance.ledger.chain import (
    ENVIRONMENT,
    Pointer,
    event_hash,
    hash_of_text,
    no_pointers,
)
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.versions import version_records
from readmission_platform_tests.support.forking import FORKING
from readmission_platform_tests.support.intruder import Intruder
from readmission_platform_tests.support.racers import move_for_ever, race_to_open
from readmission_platform_tests.support.scenario import MODEL

COPY = "SELECT {seq}, model, at, kind, version, actor, payload, {previous}, hash FROM events"
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
PLAIN_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def fill(ledger: Ledger) -> None:
    for number in range(3):
        ledger.append("version_trained", {"number": number}, actor="a", version=str(number))
    ledger.move("version_promoted", {}, actor="a", version="1", moves={"staging": "1"}, expected=ledger.pointers())
    ledger.append("note", {"last": True}, actor="a")


def test_events_come_back_as_written_and_the_chain_verifies(any_ledger: Ledger) -> None:
    written = any_ledger.append("note", {"b": [1, 2.5, None], "a": {"é": True}}, actor="me", version="7")
    assert any_ledger.events()[1:] == [written]
    assert written.seq == 2
    assert written.at.endswith("Z")
    fill(any_ledger)
    assert [event.version for event in any_ledger.events(kind="version_trained")] == ["0", "1", "2"]
    assert [event.kind for event in any_ledger.events(version="1")] == ["version_trained", "version_promoted"]
    any_ledger.verify()


def test_both_stages_are_always_present_and_moves_show(any_ledger: Ledger) -> None:
    assert any_ledger.pointers() == no_pointers()
    fill(any_ledger)
    assert any_ledger.pointers()["staging"] == Pointer("staging", "1", 5)
    events, pointers = any_ledger.snapshot()
    assert (len(events), pointers) == (6, any_ledger.pointers())


def test_models_share_the_chain_but_not_their_pointers(any_ledger: Ledger, ledger_url: str) -> None:
    fill(any_ledger)
    with Ledger(ledger_url, model="second", environment="local") as other:
        assert [event.kind for event in other.events()] == ["ledger_created"]
        assert other.append("note", {}, actor="a").seq == 7
        assert other.pointers() == no_pointers()
        other.verify()
    assert len(any_ledger.events()) == 6


def test_every_model_reads_the_environments_events_among_its_own(any_ledger: Ledger, ledger_url: str) -> None:
    with (
        Ledger(ledger_url, model="second", environment="local") as other,
        Ledger.of_environment(ledger_url, environment="local") as environment,
    ):
        any_ledger.append("note", {}, actor="a")
        other.append("shared", {}, actor="a", of_environment=True)
        other.append("note", {}, actor="a", version="1")
        environment.append("shared", {}, actor="a")
        assert [(event.seq, event.model) for event in any_ledger.events()] == [
            (1, ENVIRONMENT),
            (2, MODEL),
            (3, ENVIRONMENT),
            (5, ENVIRONMENT),
        ]
        assert [event.seq for event in other.snapshot()[0]] == [1, 3, 4, 5]
        assert [event.seq for event in other.events(kind="shared", after=3)] == [5]
        assert [event.seq for event in other.snapshot(version="1")[0]] == [4]
        assert [event.seq for event in environment.events()] == [1, 3, 5]
        assert environment.snapshot()[1] == no_pointers()
    any_ledger.verify()


def test_the_environment_has_neither_versions_nor_stages_and_no_model_takes_its_name(ledger_url: str) -> None:
    with pytest.raises(BadInput, match="cannot be called"):
        Ledger(ledger_url, model=ENVIRONMENT, environment="local")
    with (
        Ledger.of_environment(ledger_url, environment="local") as environment,
        Ledger(ledger_url, model=MODEL, environment="local") as ledger,
    ):
        with pytest.raises(BadInput, match="versions belong to a model"):
            environment.append("version_trained", {}, actor="a", version="1")
        with pytest.raises(BadInput, match="versions belong to a model"):
            ledger.append("version_trained", {}, actor="a", version="1", of_environment=True)
        with pytest.raises(BadInput, match="no stages"):
            environment.move("m", {}, actor="a", version="1", moves={"staging": "1"}, expected=environment.pointers())
        with pytest.raises(BadInput, match="no versions"):
            environment.reserve_version({"run_id": "r"}, actor="a")
        assert [event.kind for event in environment.events()] == ["ledger_created"]


def test_a_version_is_numbered_by_the_ledger_and_no_number_is_given_out_twice(
    any_ledger: Ledger, ledger_url: str
) -> None:
    with Ledger(ledger_url, model="second", environment="local") as other:
        assert [any_ledger.reserve_version({"run_id": "r"}, actor="a") for _ in range(2)] == ["1", "2"]
        assert other.reserve_version({"run_id": "r"}, actor="a") == "1"
    any_ledger.append("version_trained", {}, actor="a", version="2")
    any_ledger.append("version_trained", {}, actor="a", version="4")
    with Ledger(ledger_url, model=MODEL, environment="local") as reopened:
        assert [reopened.reserve_version({"run_id": "r"}, actor="a") for _ in range(2)] == ["5", "6"]
    reserved = any_ledger.events(kind="version_reserved")
    assert [(event.version, event.actor, event.payload) for event in reserved] == [
        (version, "a", {"run_id": "r"}) for version in ("1", "2", "5", "6")
    ]
    # What was never trained is no version.
    assert any_ledger.versions() == ["4", "2"]
    assert list(version_records(*any_ledger.snapshot())) == ["2", "4"]
    any_ledger.verify()


def test_an_entry_that_depends_on_what_was_seen_is_refused_when_somebody_else_was_first(
    any_ledger: Ledger, ledger_url: str
) -> None:
    seen = any_ledger.append("note", {}, actor="a").seq
    with Ledger(ledger_url, model="second", environment="local") as other:
        other.append("note", {}, actor="a")
        any_ledger.append("mine", {}, actor="a", since=seen, binding_kinds=("note", "shared"))
        other.append("shared", {}, actor="a", of_environment=True)
    with pytest.raises(Conflict):
        any_ledger.append("mine", {}, actor="a", since=seen, binding_kinds=("note", "shared"))
    with pytest.raises(Conflict):
        any_ledger.move(
            "m", {}, actor="a", version="1", moves={"staging": "1"}, expected=any_ledger.pointers(), since=seen,
            binding_kinds=("shared",),
        )  # fmt: skip
    assert [event.kind for event in any_ledger.events()] == ["ledger_created", "note", "mine", "shared"]


@pytest.mark.parametrize("payload", [{"x": float("nan")}, {"x": float("inf")}, {"x": object()}, {"x": "\ud800"}])
def test_what_is_not_plain_json_is_not_recorded(any_ledger: Ledger, payload: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        any_ledger.append("note", payload, actor="a")
    assert [event.kind for event in any_ledger.events()] == ["ledger_created"]


def test_a_move_cannot_be_smuggled_in(any_ledger: Ledger) -> None:
    with pytest.raises(BadInput):
        any_ledger.append("note", {"moves": {"production": "9"}}, actor="a")
    for moves in ({}, {"archive": "1"}, {"production": "1"}):
        with pytest.raises(BadInput):
            any_ledger.move("x", {}, actor="a", version="1", moves=moves, expected={})
    with pytest.raises(BadInput):
        any_ledger.move(
            "x", {"moves": {}}, actor="a", version="1", moves={"staging": "1"}, expected=any_ledger.pointers()
        )
    with pytest.raises(BadInput):
        any_ledger.move("x", {}, actor="a", version="1", moves={"staging": "2"}, expected=any_ledger.pointers())
    assert [event.kind for event in any_ledger.events()] == ["ledger_created"]


def test_one_version_is_read_without_the_others(any_ledger: Ledger, intruder: Intruder) -> None:
    fill(any_ledger)
    assert any_ledger.versions() == ["2", "1", "0"]
    events, pointers = any_ledger.snapshot(version="1")
    assert [event.seq for event in events] == [3, 5]
    assert pointers == any_ledger.pointers()
    intruder.run("UPDATE pointers SET version = '2'")
    any_ledger.snapshot(version="1")
    with pytest.raises(LedgerCorrupt):
        any_ledger.snapshot(version="2")


def test_a_pointer_that_went_away_and_came_back_is_still_a_conflict(any_ledger: Ledger) -> None:
    seen = any_ledger.pointers()
    for target in ("1", None):
        any_ledger.move("m", {}, actor="a", version="1", moves={"staging": target}, expected=any_ledger.pointers())
    assert any_ledger.pointers()["staging"].version is None
    with pytest.raises(Conflict):
        any_ledger.move("m", {}, actor="a", version="2", moves={"staging": "2"}, expected=seen)
    assert len(any_ledger.events()) == 3


CHANGES = {
    "update": "UPDATE events SET actor = 'x' WHERE seq = 2",
    "update of nothing": "UPDATE events SET actor = actor",
    "delete": "DELETE FROM events WHERE seq = 6",
    "delete of everything": "DELETE FROM events",
    "replace": f"INSERT OR REPLACE INTO events {COPY.format(seq='seq', previous='previous_hash')} WHERE seq = 2",
    "truncate": "TRUNCATE events",
    "truncate with others": "TRUNCATE pointers, events CASCADE",
    "upsert": f"INSERT INTO events {COPY.format(seq='seq', previous='previous_hash')} WHERE seq = 2 "
    "ON CONFLICT (seq) DO UPDATE SET actor = 'x'",
    "as a replica": "SET LOCAL session_replication_role = replica; DELETE FROM events",
}
ONLY_SQLITE = {"replace"}
ONLY_POSTGRESQL = {"truncate", "truncate with others", "as a replica"}


@pytest.mark.parametrize("change", CHANGES)
def test_the_database_itself_refuses_to_change_events(any_ledger: Ledger, intruder: Intruder, change: str) -> None:
    foreign = change in (ONLY_SQLITE if intruder.on_postgresql else ONLY_POSTGRESQL)
    fill(any_ledger)
    before = any_ledger.snapshot()
    with pytest.raises(sa.exc.DBAPIError, match="syntax" if foreign else "append-only"):
        intruder.run(CHANGES[change])
    assert any_ledger.snapshot() == before
    any_ledger.verify()


@pytest.mark.parametrize(
    ("statement", "seq"),
    [
        ("UPDATE events SET actor = 'x' WHERE seq = 3", 3),
        ("UPDATE events SET payload = '{\"number\":7}' WHERE seq = 4", 4),
        ("UPDATE events SET payload = '{\"number\": 2}' WHERE seq = 4", 4),
        ("UPDATE events SET payload = 'nonsense' WHERE seq = 4", 4),
        ("UPDATE events SET hash = 'sha256:0' WHERE seq = 3", 3),
        ("UPDATE events SET model = 'other' WHERE seq = 5", 5),
        ("DELETE FROM events WHERE seq = 4", 4),
        ("DELETE FROM events WHERE seq = 6", 6),
        ("DELETE FROM events", 1),
        (f"INSERT INTO events {COPY.format(seq=7, previous='hash')} WHERE seq = 6", 7),
        ("UPDATE pointers SET version = '2'", 5),
        ("DELETE FROM pointers", 5),
        (f"INSERT INTO pointers VALUES ('{MODEL}', 'production', '2', 5)", 5),
        (f"INSERT INTO pointers VALUES ('{MODEL}', 'archive', '2', 5)", 5),
        (f"INSERT INTO pointers VALUES ('{MODEL}', 'production', '2', 40)", 7),
        ("INSERT INTO pointers VALUES ('ghost', 'production', '2', 5)", 5),
        ("UPDATE ledger_meta SET head_seq = 5", 6),
        ("UPDATE ledger_meta SET head_seq = 8", 7),
        ("UPDATE ledger_meta SET head_hash = 'sha256:0'", 6),
    ],
)
def test_whatever_is_tampered_with_is_found_at_its_event(
    any_ledger: Ledger, intruder: Intruder, statement: str, seq: int
) -> None:
    fill(any_ledger)
    intruder.disarm()
    intruder.run(statement)
    with pytest.raises(LedgerCorrupt) as corrupt:
        any_ledger.verify()
    assert corrupt.value.seq == seq
    assert f"event {seq} " in str(corrupt.value)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM ledger_meta",
        "DROP TABLE ledger_meta",
        "DROP TABLE events",
        "DROP TABLE pointers",
        "UPDATE ledger_meta SET schema_version = 0",
        "DELETE FROM events",
        "UPDATE events SET payload = '{}' WHERE seq = 1",
        "UPDATE events SET kind = 'note' WHERE seq = 1",
    ],
)
def test_a_ledger_without_one_of_its_parts_is_corrupt_and_not_made_anew(
    any_ledger: Ledger, intruder: Intruder, ledger_url: str, statement: str
) -> None:
    fill(any_ledger)
    intruder.disarm()
    intruder.run(statement)
    with pytest.raises(LedgerCorrupt) as corrupt:
        Ledger(ledger_url, model=MODEL, environment="local")
    assert corrupt.value.seq == 1


def test_text_that_is_no_text_any_more_is_found_at_its_event(ledger: Ledger, tmp_path: Path) -> None:
    fill(ledger)
    intruder = Intruder(f"sqlite:///{tmp_path / 'ledger.db'}")  # PostgreSQL does not take such bytes
    intruder.disarm()
    intruder.run("UPDATE events SET actor = CAST(x'ff00fe' AS TEXT) WHERE seq = 2")
    with pytest.raises(LedgerCorrupt) as corrupt:
        ledger.verify()
    assert corrupt.value.seq == 2
    intruder.run("UPDATE events SET actor = 'a' WHERE seq = 2", "UPDATE events SET payload = x'7b7d' WHERE seq = 4")
    with pytest.raises(LedgerCorrupt) as corrupt:
        ledger.verify()
    assert corrupt.value.seq == 4


def test_a_pointer_moved_behind_the_ledgers_back_is_noticed_by_every_snapshot(
    any_ledger: Ledger, intruder: Intruder
) -> None:
    fill(any_ledger)
    intruder.run("UPDATE pointers SET version = '2'")
    with pytest.raises(LedgerCorrupt, match="without an event"):
        any_ledger.snapshot()


@pytest.mark.parametrize("text", ["null\x00character", "lone \ud800 surrogate"])
def test_what_is_not_plain_text_is_not_recorded(any_ledger: Ledger, text: str) -> None:
    with pytest.raises(BadInput):
        any_ledger.append("note", {}, actor=text)
    with pytest.raises(BadInput):
        any_ledger.append("note", {}, actor="a", version=text)
    any_ledger.append("note", {"payloads may hold": "a null\x00character"}, actor="a")
    assert len(any_ledger.events()) == 2
    any_ledger.verify()


@given(payload=st.dictionaries(TEXT, PLAIN_JSON, max_size=4), actor=TEXT, version=st.none() | TEXT)
def test_the_hash_over_stored_text_is_the_hash_over_the_parsed_event(
    payload: dict[str, Any], actor: str, version: str | None
) -> None:
    content = {"seq": 3, "model": "m", "at": "now", "kind": "k", "version": version, "actor": actor,
               "previous_hash": "sha256:0"}  # fmt: skip
    assert hash_of_text(content, canonical_json(payload)) == event_hash({**content, "payload": payload})


def test_four_processes_may_open_a_new_ledger_together(ledger_url: str) -> None:
    barrier, results = FORKING.Barrier(4), FORKING.Queue()
    racers = [FORKING.Process(target=race_to_open, args=(ledger_url, barrier, results)) for _ in range(4)]
    for racer in racers:
        racer.start()
    assert sorted(results.get(timeout=60) for _ in racers) == [2, 3, 4, 5]
    for racer in racers:
        racer.join(30)
        assert racer.exitcode == 0
    with Ledger(ledger_url, model=MODEL, environment="local") as ledger:
        ledger.verify()


def test_a_process_killed_while_it_moves_leaves_no_half_promotion(any_ledger: Ledger, ledger_url: str) -> None:
    for pause in (0.0, 0.003, 0.011):
        started = FORKING.Event()
        mover = FORKING.Process(target=move_for_ever, args=(ledger_url, started))
        mover.start()
        assert started.wait(30)
        time.sleep(pause)
        mover.kill()
        mover.join(30)
        any_ledger.verify()
        events, pointers = any_ledger.snapshot()
        assert pointers["production"].version == events[-1].version


@pytest.mark.parametrize("url", ["nonsense", "mysql://x/y", "postgresql+nonsense://x/y"])
def test_a_url_that_cannot_be_used_is_bad_input(url: str) -> None:
    with pytest.raises(BadInput):
        Ledger(url, model=MODEL, environment="local")
