"""The operations database: every finished run exactly once, and which runs are still to be audited or tracked.

What belongs here: connections, runs, and the marks that say how far the observer has read. What does not: alerts
(``alerts.records``), their delivery (``alerts.outbox``), and reading runs from Dagster (``automation.run_facts``).
"""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

import sqlalchemy as sa

from readmission_platform.foundation import database
from readmission_platform.governance.ledger.chain import utc_text
from readmission_platform.operations import schema
from readmission_platform.operations.observed_runs import RunSeen

# A process that claimed a run and was killed loses its claim after this long.
CLAIM = timedelta(minutes=5)
# Of two machines.
CLOCKS_DIFFER = timedelta(minutes=5)
# A year of days taken in at once takes minutes.
EXCLUSIVE_WAIT_SECONDS = 900.0
NAME = "operations database"

Duty = Literal["audit", "track"]
_FLAGS = {
    "audit": (schema.observed_runs.c.audited, schema.observed_runs.c.audit_claimed_at),
    "track": (schema.observed_runs.c.tracked, schema.observed_runs.c.track_claimed_at),
}


class Audit(NamedTuple):
    """The event that the ledger gets about a run: kind and payload."""

    kind: str
    payload: dict[str, Any]


class Operations:
    """The operations database of one environment.

    Parameters
    ----------
    url
        SQLAlchemy URL, ``sqlite:///PATH`` or ``postgresql://...``; tables are created on first use.
    now
        The moment of creation, if this creates it.

    Raises
    ------
    BadInput, Unavailable
        When the URL or the database cannot be used.
    """

    def __init__(self, url: str, *, now: datetime | None = None) -> None:
        self._engine = database.make_engine(url, what=NAME)
        self._place = database.described(self._engine)
        with database.clear_errors(self._place, what=NAME):
            schema.ensure_schema(self._engine, now=now or datetime.now(UTC))

    def close(self) -> None:
        """Close the connections to the database."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Open a transaction that sees one consistent state."""
        with database.clear_errors(self._place, what=NAME), database.reading(self._engine) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Open the one write transaction at a time."""
        with database.clear_errors(self._place, what=NAME), database.writing(self._engine) as connection:
            connection.execute(sa.select(schema.meta.c.id).with_for_update())
            yield connection

    @contextmanager
    def exclusively(self, name: str) -> Iterator[None]:
        """Be the only one under this name in the environment, on whatever machine; whoever comes second waits.

        Raises
        ------
        Unavailable
            When somebody else held the name for too long.
        """
        held = ExitStack()
        with database.clear_errors(self._place, what=NAME):
            held.enter_context(database.exclusively(self._engine, name, wait_seconds=EXCLUSIVE_WAIT_SECONDS))
        try:
            yield
        finally:
            with database.clear_errors(self._place, what=NAME):
                held.close()

    @property
    def created_at(self) -> datetime:
        """When the database was made: runs that ended long before that raise no alert."""
        with self.reading() as connection:
            return moment(connection.execute(sa.select(schema.meta.c.created_at)).scalar_one())

    def mark(self, name: str) -> str | None:
        """Return how far the observer has read (runs, ledger, limits), None before the first time."""
        with self.reading() as connection:
            return connection.execute(sa.select(schema.marks.c.value).where(schema.marks.c.name == name)).scalar()

    def moment_marked(self, name: str, *, now: datetime) -> datetime | None:
        """Return the moment up to which the observer has read, None before the first time.

        None also where the mark is no moment, or one that has not come: it was damaged, or a clock was wrong.
        """
        text = self.mark(name)
        try:
            marked = moment(text) if text is not None else None
        except ValueError:
            return None
        if marked is None or marked.tzinfo is None or marked > now + CLOCKS_DIFFER:
            return None
        return marked

    def set_mark(self, name: str, value: str) -> None:
        """Record how far the observer has read."""
        with self.writing() as connection:
            write_mark(connection, name, value)

    def not_observed(self, run_ids: Sequence[str]) -> list[str]:
        """Return which of these runs have not been observed, in the order given."""
        known: set[str] = set()
        with self.reading() as connection:
            for start in range(0, len(run_ids), 500):
                some = schema.observed_runs.c.run_id.in_(run_ids[start : start + 500])
                known |= set(connection.execute(sa.select(schema.observed_runs.c.run_id).where(some)).scalars())
        return [run_id for run_id in run_ids if run_id not in known]

    def claim(
        self, duty: Duty, *, now: datetime, limit: int, run_ids: Collection[str] | None = None
    ) -> list[dict[str, Any]]:
        """Claim runs that are still to be audited or tracked, the oldest first; nobody else gets them for a while."""
        table, (done, claimed_at) = schema.observed_runs, _FLAGS[duty]
        free = sa.or_(claimed_at.is_(None), claimed_at < utc_text(now - CLAIM))
        query = sa.select(table).where(done.is_(False), free).order_by(table.c.ended_at).limit(limit)
        if run_ids is not None:
            query = query.where(table.c.run_id.in_(run_ids))
        with self.reading() as connection:
            if not connection.execute(query.limit(1)).first():
                return []
        with self.writing() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
            taken = table.c.run_id.in_([row["run_id"] for row in rows])
            connection.execute(sa.update(table).where(taken).values({claimed_at: utc_text(now)}))
        return rows

    def done(self, duty: Duty, run_ids: Iterable[str]) -> None:
        """Record that runs have been audited or tracked."""
        self._settle(run_ids, {_FLAGS[duty][0]: True})

    def release(self, duty: Duty, run_ids: Iterable[str]) -> None:
        """Give up the claim to runs that could not be audited or tracked."""
        self._settle(run_ids, {_FLAGS[duty][1]: None})

    def _settle(self, run_ids: Iterable[str], values: dict[Any, Any]) -> None:
        with self.writing() as connection:
            those = schema.observed_runs.c.run_id.in_(list(run_ids))
            connection.execute(sa.update(schema.observed_runs).where(those).values(values))

    def asset_runs(
        self, *, run_id: str | None = None, model: str | None = None, since: str = ""
    ) -> list[dict[str, Any]]:
        """Return what runs did to assets: run, key, model, asset, partitions, start, seconds, rows, versions, outcome.

        Parameters
        ----------
        model
            Only assets of this model.
        since
            Only what started at this moment (ISO 8601, UTC) or later.
        """
        table = schema.asset_runs
        query = sa.select(table).order_by(table.c.started_at, table.c.asset_key)
        if run_id is not None:
            query = query.where(table.c.run_id == run_id)
        if model is not None:
            query = query.where(table.c.model == model)
        if since:
            query = query.where(table.c.started_at >= since)
        with self.reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def last_asset_run(self, asset: str, *, model: str) -> dict[str, Any] | None:
        """Return the latest run of a model's asset (without its prefix) that wrote rows and was timed, or None."""
        table = schema.asset_runs
        query = sa.select(table).where(table.c.asset == asset, table.c.model == model)
        query = query.where(table.c.rows > 0, table.c.seconds.is_not(None)).order_by(table.c.started_at.desc()).limit(1)
        with self.reading() as connection:
            row = connection.execute(query).mappings().first()
        return dict(row) if row else None

    def runs(self, *, model: str | None = None, since: str = "") -> list[dict[str, Any]]:
        """Return the observed runs (of one model) that ended at this moment or later, oldest first."""
        table = schema.observed_runs
        query = sa.select(table).where(table.c.ended_at >= since).order_by(table.c.ended_at)
        if model is not None:
            query = query.where(table.c.model == model)
        with self.reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]


def moment(text: str) -> datetime:
    """Read a moment as :func:`utc_text` writes it."""
    return datetime.fromisoformat(text)


def write_mark(connection: sa.Connection, name: str, value: str) -> None:
    """Record how far the observer has read, in a transaction that is open."""
    table = schema.marks
    if connection.execute(sa.update(table).where(table.c.name == name).values(value=value)).rowcount == 0:
        connection.execute(sa.insert(table).values(name=name, value=value))


def enter_run(
    connection: sa.Connection, run: RunSeen, *, code_version: str, quiet: bool, audit: Audit | None, now: datetime
) -> bool:
    """Record a run and what it did to its assets; False when somebody else has observed it already."""
    table = schema.observed_runs
    if connection.execute(sa.select(table.c.run_id).where(table.c.run_id == run.run_id)).first():
        return False
    connection.execute(
        sa.insert(table).values(
            run_id=run.run_id,
            model=run.model,
            job=run.job.name,
            status=run.status,
            cause=run.cause,
            actor=run.actor,
            trigger=run.trigger,
            started_at=utc_text(run.started_at) if run.started_at else None,
            ended_at=utc_text(run.ended_at),
            seconds=run.seconds,
            first_partition=run.first_partition,
            last_partition=run.last_partition,
            code_version=code_version,
            failed_checks=len(run.failed_checks),
            observed_at=utc_text(now),
            quiet=quiet,
            audit_kind=audit.kind if audit else None,
            audit_payload=json.dumps(audit.payload) if audit else None,
            audited=audit is None,
            tracked=False,
        )
    )
    rows = [
        {
            "run_id": run.run_id,
            "asset_key": asset.asset.key,
            "model": asset.asset.model,
            "asset": asset.asset.name,
            **{name: getattr(asset, name) for name in _ASSET_COLUMNS},
            "started_at": utc_text(asset.started_at) if asset.started_at else None,
        }
        for asset in run.assets
    ]
    if rows:
        connection.execute(sa.insert(schema.asset_runs), rows)
    return True


_ASSET_COLUMNS = (
    "first_partition",
    "last_partition",
    "seconds",
    "rows",
    "data_version",
    "code_version",
    "outcome",
)
