"""The ledger's tables, the triggers that keep events append-only, and how an older database is brought up to date.

What belongs here: the shape of the database. What does not: connections (``foundation.database``), reading and writing
events (``ledger``).

A change of shape is a new entry in ``MIGRATIONS``; what was released is never edited. A new database is made in the
first shape and migrated like any other, so there is one way to get there.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from readmission_platform.foundation.database import bring_up_to_date
from readmission_platform.foundation.errors import LedgerCorrupt, Unavailable
from readmission_platform.governance.ledger.chain import GENESIS, Event

_CREATION_LOCK = 4_207_130

metadata = sa.MetaData()  # the tables as this software knows them, after all migrations
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

_FIRST_TABLES = (
    "CREATE TABLE ledger_meta (id INTEGER NOT NULL PRIMARY KEY, schema_version INTEGER NOT NULL, "
    "head_seq BIGINT NOT NULL, head_hash TEXT NOT NULL)",
    "CREATE TABLE events (seq {seq} NOT NULL PRIMARY KEY, model TEXT NOT NULL, at TEXT NOT NULL, kind TEXT NOT NULL, "
    "version TEXT, actor TEXT NOT NULL, payload TEXT NOT NULL, previous_hash TEXT NOT NULL, hash TEXT NOT NULL)",
    "CREATE INDEX events_by_model ON events (model, kind, seq)",
    "CREATE TABLE pointers (model TEXT NOT NULL, stage TEXT NOT NULL, version TEXT, seq BIGINT NOT NULL, "
    "PRIMARY KEY (model, stage))",
)
# SQLite's third trigger: INSERT OR REPLACE deletes a row without firing delete triggers.
_FIRST_SHAPE = {
    "sqlite": (
        *(table.format(seq="INTEGER") for table in _FIRST_TABLES),
        "CREATE TRIGGER events_no_update BEFORE UPDATE ON events "
        "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
        "CREATE TRIGGER events_no_delete BEFORE DELETE ON events "
        "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
        "CREATE TRIGGER events_no_replace BEFORE INSERT ON events "
        "WHEN EXISTS (SELECT 1 FROM events WHERE seq = NEW.seq) "
        "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
    ),
    "postgresql": (
        *(table.format(seq="BIGINT") for table in _FIRST_TABLES),
        "CREATE OR REPLACE FUNCTION ledger_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the ledger is append-only'; END $$",
        "CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events "
        "FOR EACH STATEMENT EXECUTE FUNCTION ledger_append_only()",
    ),
}


@dataclass(frozen=True)
class Migration:
    """One change of shape: the version it leads to, and its statements per kind of database."""

    version: int
    sqlite: tuple[str, ...]
    postgresql: tuple[str, ...]

    def apply(self, connection: sa.Connection) -> None:
        """Make the change within the transaction of this connection."""
        for statement in self.sqlite if connection.dialect.name == "sqlite" else self.postgresql:
            connection.exec_driver_sql(statement)


_INDEX_BY_VERSION = "CREATE INDEX events_by_version ON events (model, version, seq)"
MIGRATIONS = (
    Migration(
        2,  # what is known of one version is found without reading all events
        sqlite=(_INDEX_BY_VERSION,),
        postgresql=(
            _INDEX_BY_VERSION,
            # A session that plays the replica would otherwise pass the trigger by.
            "ALTER TABLE events ENABLE ALWAYS TRIGGER events_append_only",
        ),
    ),
)
FIRST_VERSION = 1
SCHEMA_VERSION = MIGRATIONS[-1].version


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
        raise LedgerCorrupt(f"event {seq} was edited: its payload is no JSON object", seq=seq)
    return Event(seq, model, at, kind, version, actor, payload, previous_hash, own_hash)


def ensure_schema(engine: sa.Engine) -> None:
    """Create or migrate the database, once, safely under several processes.

    Raises
    ------
    Unavailable
        When the database was made by a newer version of this software; nothing is changed.
    LedgerCorrupt
        When a table is missing, or nothing sensible says which shape the database has.
    """
    bring_up_to_date(engine, wanted=SCHEMA_VERSION, lock=_CREATION_LOCK, found=_schema_version, change=_migrate)


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
    if not isinstance(found, int) or found < FIRST_VERSION:
        raise LedgerCorrupt("event 1 cannot be relied on: the version of the ledger's shape was edited", seq=1)
    if found > SCHEMA_VERSION:
        message = f"The ledger has schema version {found}, this software knows {SCHEMA_VERSION}: upgrade it."
        raise Unavailable(message)
    return found


def _create(connection: sa.Connection) -> int:
    for statement in _FIRST_SHAPE[connection.dialect.name]:
        connection.exec_driver_sql(statement)
    first = {"id": 1, "schema_version": FIRST_VERSION, "head_seq": 0, "head_hash": GENESIS}
    connection.execute(sa.insert(ledger_meta).values(**first))
    return FIRST_VERSION


def _migrate(connection: sa.Connection, found: int | None) -> None:
    version = _create(connection) if found is None else found
    for migration in MIGRATIONS:
        if migration.version > version:
            migration.apply(connection)
    connection.execute(sa.update(ledger_meta).values(schema_version=SCHEMA_VERSION))
