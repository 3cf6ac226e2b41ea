"""Dagster's storage on SQLite, with an engine that is kept for each database; ``dagster.yaml`` names it.

Dagster's own makes an engine for every event it writes and every list it reads. SQLAlchemy then compiles each statement
again, and looks at the tables again: a year filled at once, which has thousands of events, spent a third of its time
on that. Connections are closed after use, as Dagster's own are; see ``run_record`` for those of a command.

What belongs here: which engine is used. What does not: anything of the schema, of what is stored, or of other databases
than SQLite, for which a deployment names Dagster's own storage.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, Self

import sqlalchemy as sa
from dagster import StringSource
from dagster._core.storage.base_storage import DagsterStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
from dagster._core.storage.schedules.sqlite.sqlite_schedule_storage import SqliteScheduleStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS, create_db_conn_string
from dagster._serdes import ConfigurableClass, ConfigurableClassData
from sqlalchemy.pool import NullPool

# Each run has a database of its own, and is seldom looked at again.
_MOST_ENGINES = 32


class _Engines:
    """An engine for each database, the latest used last."""

    def __init__(self) -> None:
        self._engines: OrderedDict[str, sa.Engine] = OrderedDict()
        self._lock = Lock()

    def of(self, url: str) -> sa.Engine:
        """Return the engine of a database, which opens a connection each time and closes it after use."""
        with self._lock:
            engine = self._engines.pop(url, None)
            if engine is None:
                patience = {"timeout": SQLITE_BUSY_TIMEOUT_SECONDS}
                engine = sa.create_engine(url, poolclass=NullPool, connect_args=patience)
            self._engines[url] = engine
            if len(self._engines) > _MOST_ENGINES:
                self._engines.popitem(last=False)
            return engine


def _is_made(engine: sa.Engine) -> bool:
    """Tell whether a database has all its tables: Dagster writes its revision last, and asks only whether it has one.

    Dagster itself reads the ninety scripts of its migrations for that, once for each database.
    """
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return False
        return connection.execute(sa.text("SELECT version_num FROM alembic_version")).first() is not None


def _there(folder: str, name: str) -> str | None:
    """Return the address of a database that is there with all its tables, None where it is not."""
    url = create_db_conn_string(folder, name)
    if not (Path(folder) / f"{name}.db").exists():
        return None
    engine = sa.create_engine(url, poolclass=NullPool, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS})
    return url if _is_made(engine) else None


class _Runs(SqliteRunStorage):
    def __init__(self, conn_string: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines = _Engines()
        super().__init__(conn_string, inst_data)

    @classmethod
    def from_local(cls, base_dir: str, inst_data: ConfigurableClassData | None = None) -> Self:
        """Return the storage below a folder, made if it is not there."""
        there = _there(base_dir, "runs")
        return cls(there, inst_data) if there else super().from_local(base_dir, inst_data)

    @contextmanager
    def connect(self) -> Iterator[sa.Connection]:
        with self._engines.of(self._conn_string).begin() as connection:
            yield connection


class _Schedules(SqliteScheduleStorage):
    def __init__(self, conn_string: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines = _Engines()
        super().__init__(conn_string, inst_data)

    @contextmanager
    def connect(self) -> Iterator[sa.Connection]:
        with self._engines.of(self._conn_string).begin() as connection:
            yield connection

    @classmethod
    def from_local(cls, base_dir: str, inst_data: ConfigurableClassData | None = None) -> SqliteScheduleStorage:
        """Return the storage below a folder, made if it is not there."""
        there = _there(base_dir, "schedules")
        return cls(there, inst_data) if there else super().from_local(base_dir, inst_data)


class _Events(SqliteEventLogStorage):
    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines = _Engines()
        # What is there once stays; Dagster asks for it with every event, for databases that an older release has made.
        self._tables: set[str] = set()
        self._asset_columns: set[str] = set()
        super().__init__(base_dir, inst_data)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[sa.Connection]:
        with self._db_lock:
            engine = self._engines.of(self.conn_string_for_shard(shard))
            if shard not in self._initialized_dbs:
                if not _is_made(engine):
                    self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection

    def has_table(self, table_name: str) -> bool:
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def _has_asset_key_col_on_connection(self, conn: sa.Connection, column_name: str) -> bool:
        if column_name not in self._asset_columns and super()._has_asset_key_col_on_connection(conn, column_name):
            self._asset_columns.add(column_name)
        return column_name in self._asset_columns


class SqliteStorage(DagsterStorage[Any], ConfigurableClass):
    """Runs, events, and the states of schedules and sensors in SQLite databases below a folder, as Dagster lays them.

    Parameters
    ----------
    base_dir
        The folder; Dagster's home.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        base = Path(base_dir)
        self._runs = _Runs.from_local(str(base / "history"))
        self._events = _Events(str(base / "history" / "runs"))
        self._schedules = _Schedules.from_local(str(base / "schedules"))
        self._inst_data = inst_data
        super().__init__()  # type: ignore[no-untyped-call]

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        """How ``dagster.yaml`` names this storage."""
        return self._inst_data

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Return what ``dagster.yaml`` may say of it."""
        return {"base_dir": StringSource}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, str]
    ) -> "SqliteStorage":
        """Return the storage that ``dagster.yaml`` describes."""
        return cls(config_value["base_dir"], inst_data)

    @property
    def run_storage(self) -> SqliteRunStorage:
        """Runs and their tags."""
        return self._runs

    @property
    def event_log_storage(self) -> SqliteEventLogStorage:
        """Events of runs and of assets."""
        return self._events

    @property
    def schedule_storage(self) -> SqliteScheduleStorage:
        """States and ticks of schedules and sensors."""
        return self._schedules

    def register_instance(self, instance: Any) -> None:
        """Tell each part which instance it belongs to."""
        super().register_instance(instance)
        for part in (self._runs, self._events, self._schedules):
            if not part.has_instance:
                part.register_instance(instance)

    def dispose(self) -> None:
        """Stop watching."""
        for part in (self._runs, self._events, self._schedules):
            part.dispose()
