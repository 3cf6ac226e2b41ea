"""A ledger made by older software is brought up to date; one made by newer software is left alone."""

from typing import Any

import pytest

from readmission_platform.foundation.errors import BadInput, Unavailable
from readmission_platform.governance.ledger.chain import GENESIS
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.schema import SCHEMA_VERSION
from readmission_platform_tests.support.intruder import Intruder
from readmission_platform_tests.support.scenario import MODEL

HASH = "sha256:5d488ad7ca11082af45150a1ac3074c504def49c99af1d8a8714de1505760157"
# As the first release made it, with one event as it wrote it; kept by hand, and never brought up to date.
FIRST_EVENT = (
    "INSERT INTO events VALUES (1, 'readmission_30d', '2026-01-02T03:04:05.000006Z', 'version_promoted', '1', 'ops', "
    """'{"moves":{"staging":"1"},"reason":"é"}', """
    f"'{GENESIS}', '{HASH}')"
)
TABLES = """
CREATE TABLE ledger_meta (id INTEGER NOT NULL, schema_version INTEGER NOT NULL, head_seq BIGINT NOT NULL,
    head_hash TEXT NOT NULL, PRIMARY KEY (id));;
CREATE TABLE events ({seq} NOT NULL, model TEXT NOT NULL, at TEXT NOT NULL, kind TEXT NOT NULL, version TEXT,
    actor TEXT NOT NULL, payload TEXT NOT NULL, previous_hash TEXT NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (seq));;
CREATE INDEX events_by_model ON events (model, kind, seq);;
CREATE TABLE pointers (model TEXT NOT NULL, stage TEXT NOT NULL, version TEXT, seq BIGINT NOT NULL,
    PRIMARY KEY (model, stage))
"""
SQLITE = """
CREATE TRIGGER events_no_update BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;;
CREATE TRIGGER events_no_delete BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;;
CREATE TRIGGER events_no_replace BEFORE INSERT ON events
WHEN EXISTS (SELECT 1 FROM events WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END
"""
POSTGRESQL = """
CREATE OR REPLACE FUNCTION ledger_append_only() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the ledger is append-only'; END $$;;
CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events
FOR EACH STATEMENT EXECUTE FUNCTION ledger_append_only()
"""


def first_shape(intruder: Intruder) -> None:
    """Make a ledger of schema version 1 with one promotion in it."""
    tables = TABLES.format(seq="seq BIGINT" if intruder.on_postgresql else "seq INTEGER")
    intruder.run(*tables.split(";;"), *(POSTGRESQL if intruder.on_postgresql else SQLITE).split(";;"))
    intruder.run(
        FIRST_EVENT,
        f"INSERT INTO ledger_meta VALUES (1, 1, 1, '{HASH}')",
        "INSERT INTO pointers VALUES ('readmission_30d', 'staging', '1', 1)",
    )


def shape(intruder: Intruder) -> list[Any]:
    """Describe indexes and triggers."""
    if intruder.on_postgresql:
        indexes = intruder.rows("SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1")
        triggers = intruder.rows(
            "SELECT tgname, tgenabled, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1"
        )
        return [*map(tuple, indexes), *map(tuple, triggers)]
    kinds = "('index', 'trigger')"
    return [
        *map(tuple, intruder.rows(f"SELECT type, name, tbl_name FROM sqlite_master WHERE type IN {kinds} ORDER BY 2"))
    ]


def schema_version(intruder: Intruder) -> int:
    return int(intruder.rows("SELECT schema_version FROM ledger_meta")[0][0])


def test_an_older_ledger_is_brought_up_to_date_with_all_it_holds(intruder: Intruder, ledger_url: str) -> None:
    first_shape(intruder)
    with Ledger(ledger_url, model=MODEL) as ledger:
        assert ledger.pointers()["staging"].version == "1"
        assert [event.payload["reason"] for event in ledger.events(version="1")] == ["é"]
        ledger.verify()
        assert ledger.append("note", {}, actor="a").previous_hash == HASH
        ledger.verify()
    assert schema_version(intruder) == SCHEMA_VERSION
    with Ledger(ledger_url, model=MODEL) as again:
        assert len(again.events()) == 2
    with pytest.raises(Exception, match="append-only"):
        intruder.run("DELETE FROM events")


def test_a_migrated_ledger_has_the_shape_of_a_new_one(intruder: Intruder, ledger_url: str) -> None:
    first_shape(intruder)
    old = shape(intruder)
    Ledger(ledger_url, model=MODEL).close()
    migrated = shape(intruder)
    assert migrated != old
    intruder.run("DROP TABLE events", "DROP TABLE pointers", "DROP TABLE ledger_meta")
    Ledger(ledger_url, model=MODEL).close()
    assert shape(intruder) == migrated


def test_a_migration_that_fails_leaves_the_ledger_as_it_was(intruder: Intruder, ledger_url: str) -> None:
    first_shape(intruder)
    intruder.run("CREATE INDEX events_by_version ON events (actor)")  # in the way of what the migration makes
    before = shape(intruder)
    with pytest.raises(Unavailable):
        Ledger(ledger_url, model=MODEL)
    assert schema_version(intruder) == 1
    assert shape(intruder) == before
    intruder.run("DROP INDEX events_by_version")
    Ledger(ledger_url, model=MODEL).close()
    assert schema_version(intruder) == SCHEMA_VERSION


def test_a_newer_ledger_is_refused_with_what_to_do_and_left_alone(
    any_ledger: Ledger, intruder: Intruder, ledger_url: str
) -> None:
    any_ledger.append("note", {}, actor="a")
    intruder.run("UPDATE ledger_meta SET schema_version = 99")
    with pytest.raises(Unavailable, match="upgrade") as refused:
        Ledger(ledger_url, model=MODEL)
    assert not isinstance(refused.value, BadInput)
    assert "\n" not in str(refused.value)
    assert schema_version(intruder) == 99
