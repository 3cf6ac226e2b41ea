"""What somebody with the database's own rights can do to a ledger behind its back, on either database."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from readmission_platform.foundation.database import make_engine

_SERVER_GUARDS = ("events_append_only", "events_in_order")
_GUARDS = {
    "sqlite": [
        f"DROP TRIGGER events_{name}" for name in ("no_update", "no_delete", "no_replace", "in_order", "move_head")
    ],
    "postgresql": [f"DROP TRIGGER {name} ON events" for name in _SERVER_GUARDS],
}


class Intruder:
    """Direct access to a ledger's database."""

    def __init__(self, url: str) -> None:
        self._engine = make_engine(url)
        self.on_postgresql = self._engine.dialect.name == "postgresql"

    def run(self, *statements: str) -> None:
        """Execute statements in one transaction, as they are."""
        with self._engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def disarm(self) -> None:
        """Drop the triggers that keep events append-only and in order."""
        self.run(*_GUARDS[self._engine.dialect.name])

    @contextmanager
    def unguarded(self) -> Iterator[None]:
        """Take the triggers out of the way for a while."""
        if self.on_postgresql:
            self.run("ALTER TABLE events DISABLE TRIGGER USER")
            yield
            self.run(
                *(f"ALTER TABLE events ENABLE ALWAYS TRIGGER events_{name}" for name in ("append_only", "in_order"))
            )
            return
        guards = [row[0] for row in self.rows("SELECT sql FROM sqlite_master WHERE type = 'trigger'")]
        self.disarm()
        yield
        self.run(*guards)

    def rows(self, query: str) -> Sequence[Any]:
        """Return what a query finds."""
        with self._engine.begin() as connection:
            return connection.exec_driver_sql(query).fetchall()

    def execute(self, *statements: sa.Executable) -> None:
        """Execute SQLAlchemy statements in one transaction."""
        with self._engine.begin() as connection:
            for statement in statements:
                connection.execute(statement)

    def close(self) -> None:
        self._engine.dispose()
