"""The ledger's tables, the triggers that keep events append-only, and how a database is opened.

What belongs here: everything that differs between SQLite and PostgreSQL. What does not: reading and writing
events (``ledger``).
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from readmission_platform.governance.chain import GENESIS
from readmission_platform.governance.errors import BadInput, Conflict, Unavailable

SCHEMA_VERSION = 1
LOCK_WAIT_SECONDS = 30.0
_WRITES = "ledger_writes"
_CREATION_LOCK = 4_207_130  # any constant shared by all processes: the key of a PostgreSQL advisory lock

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
    sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("version", sa.Text),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("previous_hash", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
    sa.Index("events_by_model", "model", "kind", "seq"),
)
pointers = sa.Table(
    "pointers",
    metadata,
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("stage", sa.Text, primary_key=True),
    sa.Column("version", sa.Text),
    sa.Column("seq", sa.BigInteger, nullable=False),
)

_REFUSAL = "the ledger is append-only"
_SQLITE_TRIGGERS = f"""
CREATE TRIGGER events_no_update BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END;;
CREATE TRIGGER events_no_delete BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END;;
CREATE TRIGGER events_no_replace BEFORE INSERT ON events
WHEN EXISTS (SELECT 1 FROM events WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END
"""
_POSTGRESQL_TRIGGERS = f"""
CREATE OR REPLACE FUNCTION ledger_append_only() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$;;
CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events
FOR EACH STATEMENT EXECUTE FUNCTION ledger_append_only()
"""
# SQLite's third trigger: INSERT OR REPLACE deletes a row without firing delete triggers.
_TRIGGERS = {"sqlite": _SQLITE_TRIGGERS.split(";;"), "postgresql": _POSTGRESQL_TRIGGERS.split(";;")}


@contextmanager
def clear_errors(place: str) -> Iterator[None]:
    """Turn a database driver's errors into one line that says what cannot be used and what to do."""
    try:
        yield
    except exc.IntegrityError as error:
        raise Conflict(f"The ledger {place} refused the entry ({_first_line(error)}): try again.") from error
    except (exc.DBAPIError, exc.TimeoutError) as error:
        message = (
            f"The ledger {place} cannot be used ({_first_line(error)}). "
            "Check that the database is there, writable and has space, then try again."
        )
        raise Unavailable(message) from error


def _first_line(error: exc.SQLAlchemyError) -> str:
    original = getattr(error, "orig", None) or error
    return (str(original).strip().splitlines() or [type(original).__name__])[0]


def make_engine(url: str) -> sa.Engine:
    """Create the engine of a ledger; nothing is opened yet, except that SQLite's folder is made.

    Raises
    ------
    BadInput
        When the URL is no database URL, or names a kind of database that is not supported.
    Unavailable
        When the driver of that database is not installed, or the folder cannot be made.
    """
    try:
        address = sa.make_url(url)
    except exc.ArgumentError as error:
        raise BadInput("The ledger's URL cannot be read; expected sqlite:///PATH or postgresql://...") from error
    backend = address.get_backend_name()
    if backend not in _TRIGGERS:
        raise BadInput(f"The ledger cannot live in {backend}; use sqlite:///PATH or postgresql://...")
    if backend == "postgresql":
        try:
            return sa.create_engine(address, pool_pre_ping=True)
        except ImportError as error:
            raise Unavailable(f"The driver of {address.drivername} is not installed: install it.") from error
    if address.database and not address.database.startswith((":", "file:")):
        try:
            Path(address.database).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(f"The folder of the ledger cannot be made ({error.strerror}).") from error
    engine = sa.create_engine(address, connect_args={"timeout": LOCK_WAIT_SECONDS})
    sa.event.listen(engine, "connect", _take_over_transactions)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _take_over_transactions(connection: Any, _record: Any) -> None:
    # Python's sqlite3 begins transactions late and by its own rules; the ledger needs its lock at once.
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous=FULL")


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Open a transaction that sees one consistent state throughout."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            yield connection


@contextmanager
def writing(engine: sa.Engine) -> Iterator[tuple[sa.Connection, int, str]]:
    """Open the one write transaction at a time; yields the connection and the head's seq and hash."""
    with engine.connect() as connection:
        connection = connection.execution_options(**{_WRITES: True})
        with connection.begin():
            head = sa.select(ledger_meta.c.head_seq, ledger_meta.c.head_hash).with_for_update()
            row = connection.execute(head).one()
            yield connection, row.head_seq, row.head_hash


def ensure_schema(engine: sa.Engine) -> None:
    """Create tables and triggers once, safely under several processes, and check the schema's version.

    Raises
    ------
    Unavailable
        When the database was made by a newer version of this software.
    """
    found = _schema_version(engine)
    if found is None:
        if engine.dialect.name == "sqlite":
            _switch_to_wal(engine)
        _create(engine)
        found = _schema_version(engine)
    if found != SCHEMA_VERSION:
        message = f"The ledger has schema version {found}, this software knows {SCHEMA_VERSION}: upgrade it."
        raise Unavailable(message)


def _schema_version(engine: sa.Engine) -> int | None:
    with reading(engine) as connection:
        if not sa.inspect(connection).has_table("ledger_meta"):
            return None
        version: int = connection.execute(sa.select(ledger_meta.c.schema_version)).scalar_one()
        return version


def _switch_to_wal(engine: sa.Engine) -> None:
    # SQLite answers "locked" at once, ignoring its busy timeout, when two processes switch together.
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    while True:
        raw = engine.raw_connection()
        try:
            raw.cursor().execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise exc.OperationalError("PRAGMA journal_mode=WAL", None, error) from error
            time.sleep(0.02)
        finally:
            raw.close()


def _create(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        connection = connection.execution_options(**{_WRITES: True})
        with connection.begin():
            if engine.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_CREATION_LOCK)))
            if sa.inspect(connection).has_table("ledger_meta"):
                return
            metadata.create_all(connection)
            for statement in _TRIGGERS[engine.dialect.name]:
                connection.exec_driver_sql(statement)
            first = {"id": 1, "schema_version": SCHEMA_VERSION, "head_seq": 0, "head_hash": GENESIS}
            connection.execute(sa.insert(ledger_meta).values(**first))
