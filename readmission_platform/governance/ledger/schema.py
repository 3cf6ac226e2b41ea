"""The ledger's tables, and the triggers by which the database itself keeps them in order.

What belongs here: the shape of the database. What does not: connections (``foundation.database``), reading and writing
events (``ledger``), the first event (``binding``).

Whatever reaches the database by another way than this software, a role that may only insert included, can add nothing
but an event that continues the last one; head and event change together. PostgreSQL also recomputes the hash.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from readmission_platform.foundation.database import bring_up_to_date, reading
from readmission_platform.foundation.errors import LedgerCorrupt, Unavailable
from readmission_platform.governance.ledger.chain import GENESIS, Event

_CREATION_LOCK = 4_207_130

metadata = sa.MetaData()
# The head is kept beside the events so that an append reads one row, and a cut-off tail is noticed.
ledger_meta = sa.Table(
    "ledger_meta",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("schema_version", sa.Integer, nullable=False),
    sa.Column("head_seq", sa.BigInteger, nullable=False),
    sa.Column("head_hash", sa.Text, nullable=False),
)
events = sa.Table(
    "events",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("version", sa.Text),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("previous_hash", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
)
pointers = sa.Table(
    "pointers",
    metadata,
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("stage", sa.Text, primary_key=True),
    sa.Column("version", sa.Text),
    sa.Column("seq", sa.BigInteger, nullable=False),
)

SCHEMA_VERSION = 1
_TABLES = (
    # Who may only write locks this row by the right to "update" its number, which cannot change.
    "CREATE TABLE ledger_meta (id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1), schema_version INTEGER NOT NULL, "
    "head_seq BIGINT NOT NULL, head_hash TEXT NOT NULL)",
    "CREATE TABLE events (seq {seq} NOT NULL PRIMARY KEY, model TEXT NOT NULL, at TEXT NOT NULL, kind TEXT NOT NULL, "
    "version TEXT, actor TEXT NOT NULL, payload TEXT NOT NULL, previous_hash TEXT NOT NULL, hash TEXT NOT NULL)",
    "CREATE INDEX events_by_model ON events (model, kind, seq)",
    "CREATE INDEX events_by_version ON events (model, version, seq)",
    "CREATE TABLE pointers (model TEXT NOT NULL, stage TEXT NOT NULL, version TEXT, seq BIGINT NOT NULL, "
    "PRIMARY KEY (model, stage))",
)
# SQLite's third trigger: INSERT OR REPLACE deletes a row without firing delete triggers.
_SQLITE = (
    *(table.format(seq="INTEGER") for table in _TABLES),
    "CREATE TRIGGER events_no_update BEFORE UPDATE ON events "
    "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
    "CREATE TRIGGER events_no_delete BEFORE DELETE ON events "
    "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
    "CREATE TRIGGER events_no_replace BEFORE INSERT ON events "
    "WHEN EXISTS (SELECT 1 FROM events WHERE seq = NEW.seq) "
    "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
    "CREATE TRIGGER events_in_order BEFORE INSERT ON events "
    "WHEN NOT EXISTS (SELECT 1 FROM ledger_meta WHERE NEW.seq = head_seq + 1 AND NEW.previous_hash = head_hash) "
    "OR EXISTS (SELECT 1 FROM events WHERE seq = NEW.seq - 1 AND at > NEW.at) "
    "OR NEW.at NOT GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]"
    ".[0-9][0-9][0-9][0-9][0-9][0-9]Z' "
    "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: an event continues the last one'); END",
    "CREATE TRIGGER events_move_head AFTER INSERT ON events "
    "BEGIN UPDATE ledger_meta SET head_seq = NEW.seq, head_hash = NEW.hash; END",
)
# The functions name the schema themselves: whoever inserts must not be able to slip in tables of the same name.
_POSTGRESQL = (
    *(table.format(seq="BIGINT") for table in _TABLES),
    "CREATE OR REPLACE FUNCTION ledger_append_only() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'the ledger is append-only'; END $$",
    """
    CREATE OR REPLACE FUNCTION ledger_in_order() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        here text := quote_ident(TG_TABLE_SCHEMA);
        last_seq bigint; last_hash text; last_at text; content text;
    BEGIN
        EXECUTE 'SELECT head_seq, head_hash FROM ' || here || '.ledger_meta FOR UPDATE' INTO last_seq, last_hash;
        EXECUTE 'SELECT at FROM ' || here || '.events WHERE seq = $1' INTO last_at USING last_seq;
        IF NEW.seq <> last_seq + 1 OR NEW.previous_hash <> last_hash OR NEW.at < last_at COLLATE "C"
        OR NEW.at !~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{6}Z$' THEN
            RAISE EXCEPTION 'the ledger is append-only: an event continues the last one';
        END IF;
        -- One event from the future would keep everybody else from writing until then.
        IF NEW.at::timestamptz > clock_timestamp() + interval '1 minute' THEN
            RAISE EXCEPTION 'an event is dated ahead of the clock of the database server: set the clock';
        END IF;
        content := '{"actor":' || to_json(NEW.actor) || ',"at":' || to_json(NEW.at) || ',"kind":' || to_json(NEW.kind)
            || ',"model":' || to_json(NEW.model) || ',"payload":' || NEW.payload
            || ',"previous_hash":' || to_json(NEW.previous_hash) || ',"seq":' || NEW.seq
            || ',"version":' || coalesce(to_json(NEW.version)::text, 'null') || '}';
        IF NEW.hash <> 'sha256:' || encode(sha256(convert_to(content, 'UTF8')), 'hex') THEN
            RAISE EXCEPTION 'the ledger is append-only: the hash of an event is that of its content';
        END IF;
        IF json_typeof(NEW.payload::json) <> 'object' THEN
            RAISE EXCEPTION 'the ledger is append-only: what an event says is a JSON object';
        END IF;
        EXECUTE 'UPDATE ' || here || '.ledger_meta SET head_seq = $1, head_hash = $2' USING NEW.seq, NEW.hash;
        RETURN NEW;
    END $$
    """,
    "CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events "
    "FOR EACH STATEMENT EXECUTE FUNCTION ledger_append_only()",
    "CREATE TRIGGER events_in_order BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION ledger_in_order()",
    # A session that plays the replica would otherwise pass the triggers by.
    "ALTER TABLE events ENABLE ALWAYS TRIGGER events_append_only, ENABLE ALWAYS TRIGGER events_in_order",
)


def event_from(row: Sequence[Any]) -> Event:
    """Read an event from a row of ``events``; whether it is intact is not checked.

    Raises
    ------
    LedgerCorrupt
        When its payload is no JSON object.
    """
    seq, model, at, kind, version, actor, text, previous_hash, own_hash = row
    try:
        payload = json.loads(text)
    except (TypeError, ValueError) as error:
        raise LedgerCorrupt(f"event {seq} was edited: its payload is not JSON", seq=seq) from error
    if not isinstance(payload, dict):
        raise LedgerCorrupt(f"event {seq} was edited: its payload is not a JSON object", seq=seq)
    return Event(seq, model, at, kind, version, actor, payload, previous_hash, own_hash)


def ensure_schema(engine: sa.Engine, *, begin: Callable[[sa.Connection], None] | None) -> None:
    """Create the tables if there are none, once, safely under several processes.

    Parameters
    ----------
    begin
        Writes the first event, in the transaction that creates the tables. None: they have to be there.

    Raises
    ------
    Unavailable
        When the tables have to be there and are not, or the database was made by a newer version of this software;
        nothing is changed.
    LedgerCorrupt
        When a table is missing, or nothing sensible says which shape the database has.
    """
    if begin is None:
        with reading(engine) as connection:
            if _schema_version(connection) is None:
                raise Unavailable("There is no ledger in the database any more: restore it from its backup.")
        return

    def change(connection: sa.Connection, found: int | None) -> None:
        if found is not None:  # another process was first
            return
        for statement in _SQLITE if connection.dialect.name == "sqlite" else _POSTGRESQL:
            connection.exec_driver_sql(statement)
        first = {"id": 1, "schema_version": SCHEMA_VERSION, "head_seq": 0, "head_hash": GENESIS}
        connection.execute(sa.insert(ledger_meta).values(**first))
        begin(connection)

    bring_up_to_date(engine, wanted=SCHEMA_VERSION, lock=_CREATION_LOCK, found=_schema_version, change=change)


def _schema_version(connection: sa.Connection) -> int | None:
    """Return the version of the database's shape, or None for an empty database."""
    present = set(sa.inspect(connection).get_table_names()) & set(metadata.tables)
    if not present:
        return None
    missing = sorted(set(metadata.tables) - present)
    if missing:
        raise LedgerCorrupt(f"event 1 cannot be relied on: the table {missing[0]} is missing", seq=1)
    versions = connection.execute(sa.select(ledger_meta.c.schema_version)).scalars().all()
    if len(versions) != 1:
        raise LedgerCorrupt("event 1 cannot be relied on: there is not one record of the ledger's head", seq=1)
    found = versions[0]
    if not isinstance(found, int) or found < 1:
        raise LedgerCorrupt("event 1 cannot be relied on: the version of the ledger's shape was edited", seq=1)
    if found > SCHEMA_VERSION:
        message = f"The ledger has schema version {found}, this software knows {SCHEMA_VERSION}: upgrade it."
        raise Unavailable(message)
    return found
