"""The ledger: append-only, chained, one mover at a time, and honest about trouble."""

import itertools
import multiprocessing
import resource
import signal
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from readmission_platform.governance.chain import Pointer, no_pointers
from readmission_platform.governance.errors import BadInput, Conflict, LedgerCorrupt, Unavailable
from readmission_platform.governance.ledger import Ledger

from .scenario import MODEL, ledger_in

COPY = "SELECT {seq}, model, at, kind, version, actor, payload, {previous}, hash FROM events"
SPAWN = multiprocessing.get_context("spawn")


def fill(ledger: Ledger) -> None:
    for number in range(3):
        ledger.append("version_trained", {"number": number}, actor="a", version=str(number))
    ledger.move(
        "version_promoted", {}, actor="a", version="1", moves={"staging": "1"}, expected=ledger.pointers()
    )
    ledger.append("note", {"last": True}, actor="a")


def raw(folder: Path, *statements: str) -> None:
    """Do to the database what somebody with write access could."""
    connection = sqlite3.connect(folder / "ledger.db", isolation_level=None)
    try:
        for statement in statements:
            connection.execute(statement)
    finally:
        connection.close()


def test_events_come_back_as_written_and_the_chain_verifies(ledger: Ledger) -> None:
    written = ledger.append("note", {"b": [1, 2.5, None], "a": {"é": True}}, actor="me", version="7")
    assert ledger.events() == [written]
    assert written.seq == 1
    assert written.at.endswith("Z")
    fill(ledger)
    assert [event.version for event in ledger.events(kind="version_trained")] == ["0", "1", "2"]
    assert [event.kind for event in ledger.events(version="1")] == ["version_trained", "version_promoted"]
    ledger.verify()


def test_both_stages_are_always_present_and_moves_show(ledger: Ledger) -> None:
    assert ledger.pointers() == no_pointers()
    fill(ledger)
    assert ledger.pointers()["staging"] == Pointer("staging", "1", 4)
    events, pointers = ledger.snapshot()
    assert (len(events), pointers) == (5, ledger.pointers())


def test_models_share_the_chain_but_not_their_pointers(ledger: Ledger, tmp_path: Path) -> None:
    fill(ledger)
    with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", model="second") as other:
        assert other.events() == []
        assert other.append("note", {}, actor="a").seq == 6
        assert other.pointers() == no_pointers()
        other.verify()
    assert len(ledger.events()) == 5


@pytest.mark.parametrize(
    "payload", [{"x": float("nan")}, {"x": float("inf")}, {"x": object()}, {"x": "\ud800"}]
)
def test_what_is_not_plain_json_is_not_recorded(ledger: Ledger, payload: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        ledger.append("note", payload, actor="a")
    assert ledger.events() == []


def test_a_move_cannot_be_smuggled_in(ledger: Ledger) -> None:
    with pytest.raises(BadInput):
        ledger.append("note", {"moves": {"production": "9"}}, actor="a")
    for moves in ({}, {"archive": "1"}, {"production": "1"}):
        with pytest.raises(BadInput):
            ledger.move("x", {}, actor="a", version="1", moves=moves, expected={})
    with pytest.raises(BadInput):
        ledger.move(
            "x", {"moves": {}}, actor="a", version="1", moves={"staging": "1"}, expected=ledger.pointers()
        )
    assert ledger.events() == []


def test_a_pointer_that_went_away_and_came_back_is_still_a_conflict(ledger: Ledger) -> None:
    seen = ledger.pointers()
    for target in ("1", None):
        ledger.move("m", {}, actor="a", version="1", moves={"staging": target}, expected=ledger.pointers())
    assert ledger.pointers()["staging"].version is None
    with pytest.raises(Conflict):
        ledger.move("m", {}, actor="a", version="2", moves={"staging": "2"}, expected=seen)
    assert len(ledger.events()) == 2


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET actor = 'x' WHERE seq = 2",
        "DELETE FROM events WHERE seq = 5",
        f"INSERT OR REPLACE INTO events {COPY.format(seq='seq', previous='previous_hash')} WHERE seq = 2",
    ],
)
def test_the_database_itself_refuses_to_change_events(ledger: Ledger, tmp_path: Path, statement: str) -> None:
    fill(ledger)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        raw(tmp_path, statement)
    ledger.verify()


DROP = [f"DROP TRIGGER events_no_{name}" for name in ("update", "delete", "replace")]


@pytest.mark.parametrize(
    ("statement", "seq"),
    [
        ("UPDATE events SET actor = 'x' WHERE seq = 2", 2),
        ("UPDATE events SET payload = '{\"number\":7}' WHERE seq = 3", 3),
        ("UPDATE events SET payload = '{\"number\": 2}' WHERE seq = 3", 3),
        ("UPDATE events SET payload = 'nonsense' WHERE seq = 3", 3),
        ("UPDATE events SET hash = 'sha256:0' WHERE seq = 2", 2),
        ("UPDATE events SET model = 'other' WHERE seq = 4", 4),
        ("DELETE FROM events WHERE seq = 3", 3),
        ("DELETE FROM events WHERE seq = 5", 5),
        ("DELETE FROM events", 1),
        (f"INSERT INTO events {COPY.format(seq=6, previous='hash')} WHERE seq = 5", 6),
        ("UPDATE pointers SET version = '2'", 4),
        ("DELETE FROM pointers", 0),
        (f"INSERT INTO pointers VALUES ('{MODEL}', 'production', '2', 4)", 4),
        ("INSERT INTO pointers VALUES ('ghost', 'production', '2', 4)", 4),
        ("UPDATE ledger_meta SET head_seq = 4", 5),
    ],
)
def test_whatever_is_tampered_with_is_found_at_its_event(
    ledger: Ledger, tmp_path: Path, statement: str, seq: int
) -> None:
    fill(ledger)
    raw(tmp_path, *DROP, statement)
    with pytest.raises(LedgerCorrupt) as corrupt:
        ledger.verify()
    assert corrupt.value.seq == seq


def test_a_pointer_moved_behind_the_ledgers_back_is_noticed_by_every_snapshot(
    ledger: Ledger, tmp_path: Path
) -> None:
    fill(ledger)
    raw(tmp_path, "UPDATE pointers SET version = '2'")
    with pytest.raises(LedgerCorrupt, match="without an event"):
        ledger.snapshot()


def race_to_open(folder: str, barrier: Any, results: Any) -> None:
    barrier.wait(30)
    with ledger_in(Path(folder)) as ledger:
        results.put(ledger.append("opened", {}, actor="a").seq)


def race_to_move(folder: str, barrier: Any, results: Any, version: str) -> None:
    with ledger_in(Path(folder)) as ledger:
        seen = ledger.pointers()
        barrier.wait(30)
        try:
            ledger.move("m", {}, actor="a", version=version, moves={"production": version}, expected=seen)
            results.put("won")
        except Conflict:
            results.put("conflict")


def race(target: Any, arguments: list[tuple[Any, ...]], folder: Path) -> list[Any]:
    barrier, results = SPAWN.Barrier(len(arguments)), SPAWN.Queue()
    racers = [
        SPAWN.Process(target=target, args=(str(folder), barrier, results, *extra)) for extra in arguments
    ]
    for racer in racers:
        racer.start()
    found = [results.get(timeout=60) for _ in racers]
    for racer in racers:
        racer.join(30)
        assert racer.exitcode == 0
    return sorted(found)


def test_four_processes_may_open_a_new_ledger_together(tmp_path: Path) -> None:
    assert race(race_to_open, [()] * 4, tmp_path) == [1, 2, 3, 4]
    with ledger_in(tmp_path) as ledger:
        ledger.verify()


def test_of_four_processes_that_move_together_one_wins(tmp_path: Path) -> None:
    with ledger_in(tmp_path) as ledger:
        outcome = race(race_to_move, [(str(number),) for number in range(1, 5)], tmp_path)
        assert outcome == ["conflict"] * 3 + ["won"]
        assert len(ledger.events()) == 1
        ledger.verify()


def test_a_read_only_database_can_be_read_and_says_in_one_line_that_it_cannot_be_written(
    ledger: Ledger, tmp_path: Path
) -> None:
    fill(ledger)
    url = f"sqlite:///file:{tmp_path / 'ledger.db'}?mode=ro&uri=true"
    with Ledger(url, model=MODEL) as readonly:
        assert len(readonly.events()) == 5
        with pytest.raises(Unavailable, match="readonly") as unavailable:
            readonly.append("note", {}, actor="a")
        with pytest.raises(Unavailable):
            readonly.move(
                "m", {}, actor="a", version="2", moves={"staging": "2"}, expected=readonly.pointers()
            )
    assert "\n" not in str(unavailable.value)
    assert unavailable.value.exit_code == 5
    assert len(ledger.events()) == 5


def test_what_is_no_database_is_unavailable_and_stays_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_text("not a database at all, but long enough to be read as a header " * 20)
    before = (tmp_path / "ledger.db").read_bytes()
    with pytest.raises(Unavailable):
        ledger_in(tmp_path)
    assert (tmp_path / "ledger.db").read_bytes() == before
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable):
        Ledger(f"sqlite:///{tmp_path / 'file' / 'ledger.db'}", model=MODEL)


def fill_the_disk(folder: str, results: Any) -> None:
    with ledger_in(Path(folder)) as ledger:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        try:
            while True:
                ledger.append("note", {"text": "x" * 20_000}, actor="a")
        except Unavailable as error:
            results.put(str(error))


def test_a_full_disk_is_unavailable_and_leaves_the_ledger_whole(ledger: Ledger, tmp_path: Path) -> None:
    fill(ledger)
    results = SPAWN.Queue()
    writer = SPAWN.Process(target=fill_the_disk, args=(str(tmp_path), results))
    writer.start()
    assert "\n" not in results.get(timeout=60)
    writer.join(30)
    ledger.verify()
    assert ledger.pointers()["staging"].version == "1"
    ledger.append("note", {}, actor="a")


def move_for_ever(folder: str, started: Any) -> None:
    with ledger_in(Path(folder)) as ledger:
        for number in itertools.count(1):
            moves = {"staging": None, "production": str(number)}
            ledger.move("m", {}, actor="a", version=str(number), moves=moves, expected=ledger.pointers())
            if number == 3:
                started.set()


def test_a_process_killed_while_it_moves_leaves_no_half_promotion(ledger: Ledger, tmp_path: Path) -> None:
    for pause in (0.0, 0.003, 0.011):
        started = SPAWN.Event()
        mover = SPAWN.Process(target=move_for_ever, args=(str(tmp_path), started))
        mover.start()
        assert started.wait(30)
        time.sleep(pause)
        mover.kill()
        mover.join(30)
        ledger.verify()
        events, pointers = ledger.snapshot()
        assert pointers["production"].version == events[-1].version


@pytest.mark.parametrize("url", ["nonsense", "mysql://x/y"])
def test_a_url_that_cannot_be_used_is_bad_input(url: str) -> None:
    with pytest.raises(BadInput):
        Ledger(url, model=MODEL)


def test_a_newer_schema_is_refused_with_what_to_do(ledger: Ledger, tmp_path: Path) -> None:
    raw(tmp_path, "UPDATE ledger_meta SET schema_version = 99")
    with pytest.raises(Unavailable, match="upgrade"):
        ledger_in(tmp_path)


def test_a_password_in_the_url_is_never_shown() -> None:
    with pytest.raises((Unavailable, BadInput)) as error:
        Ledger("postgresql://user:open-sesame@127.0.0.1:1/none", model=MODEL)
    assert "open-sesame" not in str(error.value)


def test_a_ledger_of_five_thousand_events_is_quick(ledger: Ledger, tmp_path: Path) -> None:
    for _ in range(3):
        ledger.append("note", {"gates": [{"gate": "g", "observed": 0.5}] * 5}, actor="a")
    started = time.perf_counter()
    for _ in range(1000):
        ledger.append("note", {"gates": [{"gate": "g", "observed": 0.5}] * 5}, actor="a")
    per_append = (time.perf_counter() - started) / 1000
    started = time.perf_counter()
    events, pointers = ledger.snapshot()
    per_event = (time.perf_counter() - started) / len(events)
    started = time.perf_counter()
    ledger.move("m", {}, actor="a", version="1", moves={"staging": "1"}, expected=pointers)
    assert time.perf_counter() - started < 0.2
    assert per_append < 0.02
    assert per_event * 5000 < 1.0
