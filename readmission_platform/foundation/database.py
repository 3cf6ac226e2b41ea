"""How the ledger's database is reached: URL, driver, transactions, and its errors in one clear line.

What belongs here: everything about connections that differs between SQLite and PostgreSQL. What does not: tables
and triggers (``ledger_schema``), and what is written into them (``ledger``).
"""

import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import exc

from readmission_platform.foundation.errors import BadInput, Conflict, Unavailable

BACKENDS = ("sqlite", "postgresql")
LOCK_WAIT_SECONDS = 30.0
CONNECT_SECONDS = 10
_NO_ROOM = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL)
_WRITES = "ledger_writes"
_DRIVER = "postgresql+psycopg"
_PLAIN_NAMES = ("postgresql", "postgres")  # what most tools call it; SQLAlchemy would take another driver for these
_EXPECTED = "expected sqlite:///PATH or postgresql://USER@HOST/DATABASE"


@contextmanager
def clear_errors(place: str, *, what: str = "ledger") -> Iterator[None]:
    """Turn a database driver's errors into one line that says what cannot be used and what to do.

    Raises
    ------
    BadInput
        When the database cannot hold a value at all.
    Conflict
        When somebody else wrote the same entry first.
    Unavailable
        For everything else: unreachable, read-only, full, locked for too long.
    """
    try:
        yield
    except exc.DataError as error:
        raise BadInput(f"The {what} {place} cannot hold this ({_first_line(error)}).") from error
    except exc.IntegrityError as error:
        raise Conflict(f"The {what} {place} refused the entry ({_first_line(error)}): try again.") from error
    except (exc.DBAPIError, exc.TimeoutError) as error:
        message = (
            f"The {what} {place} cannot be used ({_first_line(error)}). "
            "Check that the database is there, writable and has space, then try again."
        )
        raise Unavailable(message) from error


def _first_line(error: exc.SQLAlchemyError) -> str:
    original = getattr(error, "orig", None) or error
    return (str(original).strip().splitlines() or [type(original).__name__])[0]


def make_engine(url: str, *, what: str = "ledger", existing: bool = False) -> sa.Engine:
    """Create the engine of a ledger, or what ``what`` names; nothing is opened yet, but SQLite's folder is made.

    Parameters
    ----------
    existing
        The database has to be there: SQLite makes neither a folder nor a file.

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
        raise BadInput(f"The {what}'s URL cannot be read; {_EXPECTED}.") from error
    if address.drivername in _PLAIN_NAMES:
        address = address.set(drivername=_DRIVER)
    backend = address.get_backend_name()
    if backend not in BACKENDS:
        raise BadInput(f"The {what} cannot live in {backend}; {_EXPECTED}.")
    try:
        if backend == "postgresql":
            return _postgresql_engine(address)
        return _sqlite_engine(address, what=what, existing=existing)
    except exc.NoSuchModuleError as error:
        raise BadInput(f"There is no driver {address.drivername}; {_EXPECTED}.") from error
    except ImportError as error:
        raise Unavailable(f"The driver of {address.drivername} is not installed: install it.") from error


def described(engine: sa.Engine) -> str:
    """Say where the database is, without any password (one may also stand among the URL's options)."""
    address = engine.url
    host = address.query.get("host")
    return f"at {address.set(query={'host': host} if host else {}).render_as_string(hide_password=True)}"


def _postgresql_engine(address: sa.URL) -> sa.Engine:
    asked: dict[str, Any] = {"connect_timeout": CONNECT_SECONDS, "client_encoding": "utf8"}
    arguments = {name: value for name, value in asked.items() if name not in address.query}
    return sa.create_engine(address, pool_pre_ping=True, connect_args=arguments)


def _sqlite_engine(address: sa.URL, *, what: str, existing: bool) -> sa.Engine:
    if not address.database or address.database.startswith((":", "file:")):
        engine = sa.create_engine(address, connect_args={"timeout": LOCK_WAIT_SECONDS})
    else:
        file = Path(address.database).absolute()
        if not existing:
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise Unavailable(f"The folder of the {what} cannot be made ({error.strerror}).") from error
        engine = sa.create_engine(address, creator=partial(_connect_sqlite, file, existing=existing))
    sa.event.listen(engine, "connect", _set_up_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _connect_sqlite(file: Path, *, existing: bool) -> sqlite3.Connection:
    """Open a database file; one that can only be read is opened so that nothing is written beside it.

    Reading takes files beside the database, which a full disk has no room for and a read-only one does not take. Where
    nothing is written ahead, SQLite can do without them.
    """
    ahead = file.with_name(f"{file.name}-wal")
    complete = file.exists() and not (ahead.exists() and ahead.stat().st_size)
    folder_writable = os.access(file.parent, os.W_OK)
    if complete and not folder_writable:
        return _connected(file, "mode=ro&immutable=1")
    if file.exists() and not (folder_writable and os.access(file, os.W_OK)):
        return _connected(file, "mode=ro")
    connection = _connected(file, "mode=rw" if existing else "mode=rwc")
    try:
        connection.execute("PRAGMA schema_version")
    except sqlite3.OperationalError as error:
        connection.close()
        if error.sqlite_errorcode & 0xFF in _NO_ROOM and complete:
            return _connected(file, "mode=ro&immutable=1")
        raise
    return connection


def _connected(file: Path, options: str) -> sqlite3.Connection:
    # SQLAlchemy keeps each connection to one thread at a time.
    address = f"file:{quote(str(file))}?{options}"
    return sqlite3.connect(address, uri=True, check_same_thread=False, timeout=LOCK_WAIT_SECONDS)


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    # Python's sqlite3 begins transactions late and by its own rules; the ledger needs its lock at once.
    connection.isolation_level = None
    # Text that somebody damaged is read all the same, so that it is found by its hash, at its event.
    connection.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
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
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Open a transaction that may write; whoever waits for another one gives up after ``LOCK_WAIT_SECONDS``."""
    with engine.connect() as connection:
        connection = connection.execution_options(**{_WRITES: True})
        with connection.begin():
            if engine.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_WAIT_SECONDS:.0f}s'")
            yield connection


@contextmanager
def exclusively(engine: sa.Engine, name: str, *, wait_seconds: float) -> Iterator[None]:
    """Be the only one under this name among all who share the database; whoever comes second waits.

    The name is free again when the process ends, however it ends: PostgreSQL lets go of the lock of a connection that
    is gone, the operating system of the lock on a file beside a SQLite database. Nothing else in the database waits.

    Raises
    ------
    sqlalchemy.exc.OperationalError
        When somebody else held the name for ``wait_seconds``.
    """
    if engine.dialect.name == "sqlite":
        with _locked(Path(f"{engine.url.database}.{name}.lock"), wait_seconds):
            yield
        return
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
    with engine.connect() as connection, connection.begin():
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{wait_seconds:.0f}s'")
        # What is done under the name may take longer than a server grants to transactions that say nothing.
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))
        yield


@contextmanager
def _locked(path: Path, wait_seconds: float) -> Iterator[None]:
    import fcntl

    deadline = time.monotonic() + wait_seconds
    with path.open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise exc.OperationalError("flock", None, error) from error
                time.sleep(0.02)
        yield


def switch_to_wal(engine: sa.Engine) -> None:
    """Have SQLite write ahead, so that readers and the writer do not wait for each other; nothing elsewhere."""
    if engine.dialect.name != "sqlite":
        return
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


@dataclass(frozen=True)
class Migration:
    """One change of a database's shape: the version it leads to, and its statements per kind of database."""

    version: int
    sqlite: tuple[str, ...]
    postgresql: tuple[str, ...]

    def apply(self, connection: sa.Connection) -> None:
        """Make the change within the transaction of this connection."""
        for statement in self.sqlite if connection.dialect.name == "sqlite" else self.postgresql:
            connection.exec_driver_sql(statement)


def bring_up_to_date(
    engine: sa.Engine,
    *,
    wanted: int,
    lock: int,
    found: Callable[[sa.Connection], int | None],
    change: Callable[[sa.Connection, int | None], None],
) -> None:
    """Create or migrate a database, once, safely under several processes.

    Parameters
    ----------
    wanted
        The version of its shape that this software knows.
    lock
        Any constant of the database's own: the key of a PostgreSQL advisory lock.
    found
        Returns the version of the shape it has, None for an empty database; refuses a newer one.
    change
        Brings it from that version to the one wanted.
    """
    with reading(engine) as connection:
        version = found(connection)
    if version == wanted:
        return
    if version is None:
        switch_to_wal(engine)
    with writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(lock)))
        change(connection, found(connection))  # asked again: another process may have been first
