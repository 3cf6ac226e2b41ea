"""Dagster's own record of runs on SQLite, while a command launches runs in its process.

Dagster opens a database for each event and closes it again, and whoever closes a database last makes SQLite copy its
log into it and wait for the disk, several times an event. While a command runs, one connection to each of the databases
stays open, and SQLite waits for the disk when its log is full. A process that dies loses nothing by that, nor does any
other that reads or writes meanwhile; a machine that loses its power may lose the last events of a run. What the
platform itself answers for is in the ledger, which always waits.

What belongs here: those connections. What does not: the ledger and the platform's own tables (``foundation.database``).
"""

import sqlite3
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import sqlalchemy as sa

# Of each database Dagster has several; each run has one of its own, and is seldom looked at again.
_MOST = 12
# Seconds to wait for somebody who is just making a database.
_PATIENCE = 60


@contextmanager
def kept_open(folder: Path) -> Iterator[None]:
    """Keep SQLite's databases in a folder open, once this process has opened them."""
    kept = _Kept(folder)
    sa.event.listen(sa.Engine, "connect", kept.opened)
    try:
        yield
    finally:
        sa.event.remove(sa.Engine, "connect", kept.opened)
        kept.close()


class _Kept:
    """One connection to each database, the latest used last."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._among: dict[str, bool] = {}
        self._connections: OrderedDict[str, sqlite3.Connection] = OrderedDict()
        self._lock = Lock()

    def opened(self, connection: Any, _record: Any) -> None:
        """Keep the database of a new connection open, if it is one of the folder's."""
        if not isinstance(connection, sqlite3.Connection):
            return
        file = next((path for _, name, path in connection.execute("PRAGMA database_list") if name == "main"), "")
        if file not in self._among:
            self._among[file] = file != "" and self._folder in Path(file).resolve().parents
        if not self._among[file]:
            return
        connection.execute("PRAGMA synchronous=NORMAL")
        with self._lock:
            if file not in self._connections:
                self._connections[file] = sqlite3.connect(file, check_same_thread=False, timeout=_PATIENCE)
            # SQLite holds a database open from the first time that it is read, in the mode which it then has.
            self._connections[file].execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
            self._connections.move_to_end(file)
            while len(self._connections) > _MOST:
                self._connections.popitem(last=False)[1].close()

    def close(self) -> None:
        """Close all of them, the last of each database waiting for the disk."""
        with self._lock:
            while self._connections:
                self._connections.popitem()[1].close()
