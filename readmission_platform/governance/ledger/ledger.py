"""The ledger: the append-only, hash-chained record that decides which version is in which stage.

What belongs here: reading and writing events and pointers, each in one transaction. What does not: whether a
promotion is right (``promotion``) and what the events say about a version (``versions``).

Every model has a stream of events, and so has the environment. A ledger is opened for one model and reads the
environment's events among its own, so that what holds for the environment holds for each of its models.

Threat model: edited, removed or inserted rows and moved pointers are found by :meth:`Ledger.verify`. Whoever
can rewrite the whole database, hashes included, is caught only by a head exported elsewhere.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import count
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa

from readmission_platform.foundation import database
from readmission_platform.foundation.errors import BadInput, Conflict, GovernanceError, LedgerCorrupt
from readmission_platform.foundation.steps import reached
from readmission_platform.foundation.values import canonical_json
from readmission_platform.governance.ledger import schema
from readmission_platform.governance.ledger.binding import CREATED, CREATOR, Binding, binding_of
from readmission_platform.governance.ledger.chain import (
    ENVIRONMENT,
    GENESIS,
    ROLLOUT,
    STAGES,
    Event,
    Pointer,
    check_text,
    first_difference,
    hash_of_text,
    no_pointers,
    plain_json,
    pointers_from,
    time_of_next,
)
from readmission_platform.governance.ledger.extract import Link
from readmission_platform.governance.ledger.integrity import Examination, Head, examine

__all__ = ["STAGES", "Event", "Ledger", "Pointer"]


class Ledger:
    """The events and pointers of one model in one database, with the events of its environment.

    Parameters
    ----------
    url
        SQLAlchemy URL, ``sqlite:///PATH`` or ``postgresql://...``.
    model
        Name of the model; the hash chain runs through the events of all models of the database.
    environment
        The environment that the ledger has to belong to.
    installation
        The installation that it has to belong to. None: whichever, and a ledger that is not there is begun.

    Attributes
    ----------
    binding
        The environment and installation that it belongs to.

    Raises
    ------
    BadInput, Unavailable
        When the URL or the database cannot be used, or the model has the environment's name.
    Refused
        When the ledger belongs to another environment or installation.
    LedgerCorrupt
        When tables are missing, or the first event does not say what the ledger belongs to.
    """

    def __init__(self, url: str, *, model: str, environment: str, installation: str | None = None) -> None:
        if model == ENVIRONMENT:
            raise BadInput(f"A model cannot be called {ENVIRONMENT}: that is the environment's stream of the ledger.")
        self._open(url, model, environment, installation)

    @classmethod
    def of_environment(cls, url: str, *, environment: str, installation: str | None = None) -> Self:
        """Open the environment's own stream, which needs no model; parameters and errors as for a model's ledger."""
        ledger = cls.__new__(cls)
        ledger._open(url, ENVIRONMENT, environment, installation)
        return ledger

    def _open(self, url: str, stream: str, environment: str, installation: str | None) -> None:
        self.model = stream
        self._engine = database.make_engine(url, existing=installation is not None)
        self._place = database.described(self._engine)
        begin = partial(self._begin, Binding.new(environment)) if installation is None else None
        try:
            with database.clear_errors(self._place):
                schema.ensure_schema(self._engine, begin=begin)
            with self._reading() as connection:
                self.binding = binding_of(connection)
            self.binding.check(environment, installation)
        except GovernanceError:
            self.close()
            raise

    def _begin(self, binding: Binding, connection: sa.Connection) -> None:
        head = Head(0, GENESIS, None, None)
        self._write(connection, head, CREATED, binding.payload(), actor=CREATOR, version=None, stream=ENVIRONMENT)

    def close(self) -> None:
        """Close the connections to the database."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(
        self,
        kind: str,
        payload: Mapping[str, Any],
        *,
        actor: str,
        version: str | None = None,
        of_environment: bool = False,
        expected: Mapping[str, Pointer] | None = None,
        since: int | None = None,
        binding_kinds: Collection[str] = (),
    ) -> Event:
        """Record one event that moves no pointer.

        Parameters
        ----------
        of_environment
            Record it in the environment's stream, where every model sees it, instead of the model's.
        expected
            The pointers that must not have moved since the decision, if it looked at any.
        since, binding_kinds
            As for :meth:`move`: last event that the writer saw, and the kinds of which there must be no later one.

        Raises
        ------
        BadInput
            When the payload is not JSON (NaN included) or claims to move a pointer, or an event of the environment
            names a version, which only a model has.
        Conflict
            When somebody else was first; nothing is written.
        Unavailable
            When the database cannot be written.
        """
        stream = ENVIRONMENT if of_environment else self.model
        if "moves" in payload:
            raise BadInput("An event that moves a stage is recorded with move(), not with append().")
        if stream == ENVIRONMENT and version is not None:
            raise BadInput("An event of the environment is about no version: versions belong to a model.")
        content = plain_json(payload)
        with self._writing() as (connection, head):
            self._refuse_if_moved(connection, expected or {})
            self._refuse_if_gained(connection, since, binding_kinds, version)
            event = self._write(connection, head, kind, content, actor=actor, version=version, stream=stream)
            reached(f"ledger: {kind} written")
        reached(f"ledger: {kind} committed")
        return event

    def reserve_version(self, payload: Mapping[str, Any], *, actor: str) -> str:
        """Return the number of the model's next version, recorded in the same transaction as given out.

        No number is given out twice, whatever became of the training that asked for it. Raises as :meth:`append` does.
        """
        if self.model == ENVIRONMENT:
            raise BadInput("The environment has no versions: open the ledger of a model.")
        table, content = schema.events.c, plain_json(payload)
        numbered = (table.model == self.model) & table.kind.in_(("version_reserved", "version_trained"))
        with self._writing() as (connection, head):
            taken = set(connection.execute(sa.select(table.version).where(numbered)).scalars())
            version = next(number for number in map(str, count(len(taken) + 1)) if number not in taken)
            self._write(connection, head, "version_reserved", content, actor=actor, version=version, stream=self.model)
        reached("ledger: version reserved")
        return version

    def move(
        self,
        kind: str,
        payload: Mapping[str, Any],
        *,
        actor: str,
        version: str | None,
        moves: Mapping[str, str | None],
        expected: Mapping[str, Pointer],
        since: int | None = None,
        binding_kinds: Collection[str] = (),
    ) -> Event:
        """Move pointers and record why, in one transaction, if nothing changed since the decision.

        Parameters
        ----------
        moves
            New version (or None) per stage.
        expected
            The pointers that the decision saw, of all moved stages at least; version and event must agree.
        since, binding_kinds
            Last event the decision saw, and the kinds of event that would have been part of it. A later one, of the
            model or of the environment, about this version or about no version in particular, is a conflict. A roll-out
            concerns every version, whichever it is of.

        Raises
        ------
        BadInput
            When the call itself makes no sense.
        Conflict
            When somebody else was first; nothing is written.
        Unavailable
            When the database cannot be written; nothing is written.
        """
        if self.model == ENVIRONMENT:
            raise BadInput("The environment has no stages: open the ledger of a model.")
        unknown = sorted(set(moves) - set(STAGES))
        if unknown or not moves or not set(moves) <= set(expected):
            raise BadInput(f"move() needs known stages ({', '.join(STAGES)}) and what is expected of each.")
        if not set(moves.values()) <= {version, None}:
            raise BadInput("An event moves the version it is about, or empties a stage.")
        if payload.get("moves", dict(moves)) != dict(moves):
            raise BadInput("The payload describes other moves than those asked for.")
        content = plain_json({**payload, "moves": dict(moves)})
        with self._writing() as (connection, head):
            reached("ledger: writing has begun")
            self._refuse_if_moved(connection, expected)
            self._refuse_if_gained(connection, since, binding_kinds, version)
            event = self._write(connection, head, kind, content, actor=actor, version=version, stream=self.model)
            reached("ledger: event written")
            for stage, target in moves.items():
                self._point(connection, stage, target, event.seq)
                reached(f"ledger: {stage} pointed")
        reached("ledger: committed")
        return event

    def events(self, *, kind: str | None = None, version: str | None = None, after: int = 0) -> list[Event]:
        """Return the events of the model and its environment in order, optionally of one kind, version, or after a seq.

        Parameters
        ----------
        version
            Only the model's events about this version: those of the environment are about none.
        """
        with self._reading() as connection:
            return self._events(connection, kind=kind, version=version, after=after)

    def events_of_all(self, *, kind: str | None = None, after: int = 0) -> list[Event]:
        """Return the events of all models and of the environment in order, optionally of one kind or after a number."""
        table = schema.events
        query = sa.select(table).where(table.c.seq > after).order_by(table.c.seq)
        if kind is not None:
            query = query.where(table.c.kind == kind)
        with self._reading() as connection:
            return [schema.event_from(row) for row in connection.execute(query)]

    def head(self) -> int:
        """Return the number of the last event, of whichever model."""
        with self._reading() as connection:
            return self._head(connection).seq

    def now(self) -> datetime:
        """Return the present, for decisions: what the clock says, but never before the last event.

        By a clock that was set back an approval that has expired would count again.
        """
        with self._reading() as connection:
            head = self._head(connection)
        present = datetime.now(UTC)
        try:
            return present if head.at is None else max(present, datetime.fromisoformat(head.at))
        except ValueError as error:
            raise LedgerCorrupt(f"event {head.seq} was edited: its time is none", seq=head.seq) from error

    def pointers(self) -> dict[str, Pointer]:
        """Return the current pointer of every stage."""
        with self._reading() as connection:
            return self._pointers(connection)

    def versions(self) -> list[str]:
        """Return every version whose training is recorded, the latest recorded first."""
        table = schema.events.c
        trained = (table.model == self.model) & (table.kind == "version_trained") & table.version.is_not(None)
        with self._reading() as connection:
            found = connection.execute(sa.select(table.version).where(trained).order_by(table.seq.desc())).scalars()
            return list(dict.fromkeys(found))

    def snapshot(self, *, version: str | None = None) -> tuple[list[Event], dict[str, Pointer]]:
        """Return the events of the model and its environment, and the pointers, as they were at one moment.

        Parameters
        ----------
        version
            Only the model's events about this version, which is much quicker in a long ledger. The pointers are all
            there.

        Raises
        ------
        LedgerCorrupt
            When the pointers (to this version) are not those that the events made.
        """
        with self._reading() as connection:
            events, pointers = self._events(connection, version=version), self._pointers(connection)
        by_events, held = pointers_from(events), pointers
        if version is not None:
            held = {stage: pointer for stage, pointer in pointers.items() if pointer.version == version}
            by_events = {stage: by_events[stage] for stage in held}
        difference = first_difference(by_events, held)
        if difference:
            raise LedgerCorrupt(f"A stage was moved without an event: by the events, {difference}.")
        return events, pointers

    def entries(self) -> list[Event | Link]:
        """Return the whole chain in order: events of the model and its environment, of other models their place."""
        table = schema.events
        with self._reading() as connection:
            return [
                schema.event_from(row) if row.model in self._streams else Link(row.seq, row.previous_hash, row.hash)
                for row in connection.execute(sa.select(table).order_by(table.c.seq))
            ]

    def examine(self, *, known: Head | None = None) -> Examination:
        """Recompute every hash, and every pointer from the events, of all models in the database.

        Parameters
        ----------
        known
            A head that the chain once had and must still pass through.
        """
        with self._reading() as connection:
            return examine(connection, known=known)

    def verify(self) -> None:
        """Make sure that the ledger is whole.

        Raises
        ------
        LedgerCorrupt
            Naming the first event that does not fit.
        """
        problem = self.examine().problem
        if problem is not None:
            raise problem

    @property
    def _streams(self) -> tuple[str, ...]:
        return (self.model, ENVIRONMENT)

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with database.clear_errors(self._place), database.reading(self._engine) as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[tuple[sa.Connection, Head]]:
        """Open the one write transaction at a time; yields the connection and the head."""
        with database.clear_errors(self._place), database.writing(self._engine) as connection:
            connection.execute(sa.select(schema.ledger_meta.c.id).with_for_update()).one()
            yield connection, self._head(connection)

    @staticmethod
    def _head(connection: sa.Connection) -> Head:
        meta, table = schema.ledger_meta.c, schema.events.c
        row = connection.execute(sa.select(meta.head_seq, meta.head_hash)).one()
        at = connection.execute(sa.select(table.at).where(table.seq == row.head_seq)).scalar()
        return Head(row.head_seq, row.head_hash, at, None)

    def _write(
        self,
        connection: sa.Connection,
        head: Head,
        kind: str,
        payload: dict[str, Any],
        *,
        actor: str,
        version: str | None,
        stream: str,
    ) -> Event:
        content: dict[str, Any] = {
            "seq": head.seq + 1,
            "model": stream,
            "at": time_of_next(head.at, datetime.now(UTC)),
            "kind": kind,
            "version": version,
            "actor": actor,
            "previous_hash": head.hash,
        }
        check_text(kind, version, actor)
        text = canonical_json(payload)
        own_hash = hash_of_text(content, text)
        connection.execute(sa.insert(schema.events).values(**content, payload=text, hash=own_hash))
        return Event(**content, payload=payload, hash=own_hash)

    def _point(self, connection: sa.Connection, stage: str, version: str | None, seq: int) -> None:
        table = schema.pointers
        here = (table.c.model == self.model) & (table.c.stage == stage)
        if connection.execute(sa.update(table).where(here).values(version=version, seq=seq)).rowcount == 0:
            row = {"model": self.model, "stage": stage, "version": version, "seq": seq}
            connection.execute(sa.insert(table).values(**row))

    def _pointers(self, connection: sa.Connection) -> dict[str, Pointer]:
        table = schema.pointers
        rows = connection.execute(sa.select(table).where(table.c.model == self.model))
        return no_pointers() | {row.stage: Pointer(row.stage, row.version, row.seq) for row in rows}

    def _events(
        self, connection: sa.Connection, *, kind: str | None = None, version: str | None = None, after: int = 0
    ) -> list[Event]:
        table = schema.events
        query = sa.select(table).where(table.c.model.in_(self._streams), table.c.seq > after).order_by(table.c.seq)
        if kind is not None:
            query = query.where(table.c.kind == kind)
        if version is not None:
            query = query.where(table.c.version == version)
        return [schema.event_from(row) for row in connection.execute(query)]

    def _refuse_if_moved(self, connection: sa.Connection, expected: Mapping[str, Pointer]) -> None:
        difference = first_difference(expected, self._pointers(connection)) if expected else None
        if difference:
            raise Conflict(f"Somebody else was first: {difference}. Look again, then decide again.")

    def _refuse_if_gained(
        self, connection: sa.Connection, since: int | None, kinds: Collection[str], version: str | None
    ) -> None:
        if since is None:
            return
        table = schema.events
        concerns = table.c.version.is_(None) | (table.c.version == version) | table.c.kind.startswith(ROLLOUT)
        later = (table.c.seq > since) & table.c.model.in_(self._streams) & table.c.kind.in_(tuple(kinds))
        if connection.execute(sa.select(table.c.seq).where(later, concerns).limit(1)).first() is not None:
            raise Conflict("The ledger gained events that this decision did not take into account. Decide again.")
