"""What the roles of docs/postgresql_roles.sql may do, and that nothing they may do harms the ledger for good."""

from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from readmission_platform.config.environment import PROJECT_ROOT
from readmission_platform.foundation.errors import Unavailable
from readmission_platform.foundation.values import canonical_json
from readmission_platform.governance.ledger.chain import hash_of_text
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.promotion.decision import apply
from readmission_platform_tests.support.scenario import MODEL, ready_for_production
from readmission_platform_tests.support.throwaway_postgresql import OWNER, Server

ROLES = PROJECT_ROOT / "docs" / "postgresql_roles.sql"
LOGINS = {"daemon": "readmission_writer", "auditor": "readmission_reader"}
STATEMENT = (
    "INSERT INTO events (seq, model, at, kind, version, actor, payload, previous_hash, hash) "
    "VALUES (%(seq)s, %(model)s, %(at)s, %(kind)s, %(version)s, %(actor)s, %(payload)s, %(previous_hash)s, %(hash)s)"
)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))


@pytest.fixture
def owned(postgresql: Server) -> Iterator[Ledger]:
    """The ledger as its owner has it, with the roles put into force, twice, as an operator may do."""
    with Ledger(postgresql.emptied(), model=MODEL, environment="local") as ledger:
        for _ in range(2):
            postgresql.execute(ROLES.read_text(encoding="utf-8"), database="ledger")
        for login, role in LOGINS.items():
            if not postgresql.execute(f"SELECT 1 FROM pg_roles WHERE rolname = '{login}'"):
                postgresql.execute(f"CREATE ROLE {login} LOGIN IN ROLE {role}")
        yield ledger


def url_of(server: Server, login: str) -> str:
    return server.url("ledger").replace(f"//{OWNER}@", f"//{login}@")


def ledger_of(server: Server, login: str) -> Ledger:
    return Ledger(url_of(server, login), model=MODEL, environment="local")


def test_a_writer_does_everything_that_the_platform_does(postgresql: Server, owned: Ledger) -> None:
    with ledger_of(postgresql, "daemon") as ledger:
        decision = ready_for_production(ledger).decide()
        assert apply(ledger, decision) is not None
        assert ledger.pointers()["production"].version == "1"
        ledger.verify()
    owned.verify()


def test_a_reader_reads_and_audits_and_writes_nothing(postgresql: Server, owned: Ledger) -> None:
    ready_for_production(owned)
    with ledger_of(postgresql, "auditor") as ledger:
        assert ledger.snapshot() == owned.snapshot()
        ledger.verify()
        with pytest.raises(Unavailable, match="permission denied"):
            ledger.append("note", {}, actor="a")
    owned.verify()


FORBIDDEN = (
    "UPDATE events SET actor = 'x'",
    "DELETE FROM events",
    "TRUNCATE events",
    "UPDATE ledger_meta SET head_seq = 9999",
    "UPDATE ledger_meta SET head_hash = 'x'",
    "UPDATE ledger_meta SET id = 2",
    "DELETE FROM ledger_meta",
    "INSERT INTO ledger_meta VALUES (2, 1, 9999, 'x')",
    "DELETE FROM pointers",
    "DROP TABLE events",
    "ALTER TABLE events DISABLE TRIGGER ALL",
    "DROP TRIGGER events_in_order ON events",
    "CREATE OR REPLACE FUNCTION public.ledger_in_order() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "CREATE TABLE public.mine (id int)",
    "SET session_replication_role = replica",
)


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_a_writer_can_neither_change_the_past_nor_switch_its_guards_off(
    postgresql: Server, owned: Ledger, statement: str
) -> None:
    before = owned.snapshot()
    with psycopg.connect(url_of(postgresql, "daemon")) as connection, pytest.raises(psycopg.Error):
        connection.execute(statement.encode())
    assert owned.snapshot() == before
    owned.verify()


def next_event(ledger: Ledger, **changes: object) -> dict[str, object]:
    """Return the row of an event that continues the ledger, but for these changes, with the hash that fits them."""
    last = ledger.events_of_all()[-1]
    row: dict[str, object] = {"seq": last.seq + 1, "model": MODEL, "at": last.at, "kind": "note", "version": None,
                              "actor": "a", "payload": "{}", "previous_hash": last.hash}  # fmt: skip
    row |= changes
    return {"hash": hash_of_text(row, str(row["payload"])), **row}


WRONG: dict[str, dict[str, object]] = {
    "a number far ahead": {"seq": 9999},
    "the number of an event that is there": {"seq": 1},
    "another predecessor": {"previous_hash": "sha256:0"},
    "another hash": {"hash": "sha256:0"},
    "a time before the last event": {"at": "2020-01-01T00:00:00.000000Z"},
    "a time in the next century": {"at": "2101-01-01T00:00:00.000000Z"},
    "no time": {"at": "zzz"},
    "a payload that is no JSON": {"payload": "nonsense"},
    "a payload that is no object": {"payload": "[]"},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_whoever_may_only_insert_cannot_make_the_ledger_corrupt(postgresql: Server, owned: Ledger, wrong: str) -> None:
    owned.append("note", {}, actor="a")
    row = next_event(owned, **WRONG[wrong])
    with psycopg.connect(url_of(postgresql, "daemon")) as connection, pytest.raises(psycopg.Error):
        connection.execute(STATEMENT, row)
    owned.verify()
    assert owned.append("note", {}, actor="a").seq == 3


def test_tables_of_the_same_name_do_not_deceive_the_guards(postgresql: Server, owned: Ledger) -> None:
    row = next_event(owned, seq=9999)
    with psycopg.connect(url_of(postgresql, "daemon"), autocommit=True) as connection:
        connection.execute("CREATE TEMP TABLE ledger_meta AS SELECT * FROM public.ledger_meta")
        connection.execute("UPDATE ledger_meta SET head_seq = 9998")
        with pytest.raises(psycopg.Error, match="append-only"):
            connection.execute(STATEMENT.replace("events", "public.events", 1), row)
    owned.verify()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    actor=TEXT,
    kind=TEXT,
    version=st.none() | TEXT,
    said=st.dictionaries(TEXT, TEXT | st.floats(allow_nan=False, allow_infinity=False)),
)
def test_the_server_computes_the_hash_that_the_platform_computes(
    postgresql: Server, owned: Ledger, actor: str, kind: str, version: str | None, said: dict[str, object]
) -> None:
    owned.append(kind, said, actor=actor, version=version)


def test_an_event_that_continues_the_ledger_is_let_in_and_moves_the_head(postgresql: Server, owned: Ledger) -> None:
    row = next_event(owned, payload=canonical_json({"text": 'é\u2028\x7f"\\\x01'}))
    with psycopg.connect(url_of(postgresql, "daemon")) as connection:
        connection.execute(STATEMENT, row)
    owned.verify()
    assert owned.append("note", {}, actor="a").seq == 3


def test_a_pointer_that_a_writer_moved_by_hand_is_put_right_as_the_runbook_says(
    postgresql: Server, owned: Ledger
) -> None:
    apply(owned, ready_for_production(owned).decide())
    honest = owned.pointers()
    with psycopg.connect(url_of(postgresql, "daemon"), autocommit=True) as connection:
        connection.execute("UPDATE pointers SET version = '9'")
    assert owned.examine().problem is not None
    runbook = (PROJECT_ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    repair = runbook.split("```sql\n")[1].split("```")[0]
    postgresql.execute(repair, database="ledger")
    owned.verify()
    assert {stage: each.version for stage, each in owned.pointers().items()} == {
        stage: each.version for stage, each in honest.items()
    }
