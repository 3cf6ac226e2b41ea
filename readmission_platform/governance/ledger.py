"""The ledger: the append-only, hash-chained record that decides which version is in which stage.

What belongs here: reading and writing events and pointers, each in one transaction. What does not: whether a
promotion is right (``promotion``) and what the events say about a version (``versions``).

Threat model: edited, removed or inserted rows and moved pointers are found by :meth:`Ledger.verify`. Whoever
can rewrite the whole database, hashes included, is caught only by a head exported elsewhere.
"""

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa

from readmission_platform.config import canonical_json
from readmission_platform.governance import ledger_schema as schema
from readmission_platform.governance.chain import (
    GENESIS,
    STAGES,
    Event,
    Pointer,
    check_link,
    event_hash,
    first_difference,
    no_pointers,
    pointers_from,
    utc_text,
)
from readmission_platform.governance.errors import BadInput, Conflict, LedgerCorrupt

__all__ = ["STAGES", "Event", "Ledger", "Pointer"]


class Ledger:
    """The events and pointers of one model in one database.

    Parameters
    ----------
    url
        SQLAlchemy URL, ``sqlite:///PATH`` or ``postgresql://...``; tables are created on first use.
    model
        Name of the model; the hash chain runs through the events of all models of the database.

    Raises
    ------
    BadInput, Unavailable
        When the URL or the database cannot be used.
    """

    def __init__(self, url: str, *, model: str) -> None:
        self.model = model
        self._engine = schema.make_engine(url)
        self._place = f"at {self._engine.url.render_as_string(hide_password=True)}"
        with schema.clear_errors(self._place):
            schema.ensure_schema(self._engine)

    def close(self) -> None:
        """Close the connections to the database."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(self, kind: str, payload: Mapping[str, Any], *, actor: str, version: str | None = None) -> Event:
        """Record one event that moves no pointer.

        Raises
        ------
        BadInput
            When the payload is not JSON (NaN included) or claims to move a pointer.
        Unavailable
            When the database cannot be written.
        """
        if "moves" in payload:
            raise BadInput("An event that moves a stage is recorded with move(), not with append().")
        content = _plain_json(payload)
        with schema.clear_errors(self._place), schema.writing(self._engine) as (connection, seq, head):
            return self._write(connection, seq, head, kind, content, actor=actor, version=version)

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
            Last event the decision saw, and the kinds of event that would have been part of it. A later one
            about this version, or about no version in particular, is a conflict.

        Raises
        ------
        BadInput
            When the call itself makes no sense.
        Conflict
            When somebody else was first; nothing is written.
        Unavailable
            When the database cannot be written; nothing is written.
        """
        unknown = sorted(set(moves) - set(STAGES))
        if unknown or not moves or not set(moves) <= set(expected):
            raise BadInput(f"move() needs known stages ({', '.join(STAGES)}) and what is expected of each.")
        if payload.get("moves", dict(moves)) != dict(moves):
            raise BadInput("The payload describes other moves than those asked for.")
        content = _plain_json({**payload, "moves": dict(moves)})
        with schema.clear_errors(self._place), schema.writing(self._engine) as (connection, seq, head):
            difference = first_difference(expected, self._pointers(connection))
            if difference:
                raise Conflict(f"Somebody else was first: {difference}. Look again and decide anew.")
            if since is not None and self._gained(connection, since, binding_kinds, version):
                raise Conflict("The ledger gained events that this decision did not see. Decide anew.")
            event = self._write(connection, seq, head, kind, content, actor=actor, version=version)
            for stage, target in moves.items():
                self._point(connection, stage, target, event.seq)
            return event

    def events(self, *, kind: str | None = None, version: str | None = None) -> list[Event]:
        """Return this model's events in order, optionally of one kind or about one version."""
        with schema.clear_errors(self._place), schema.reading(self._engine) as connection:
            return self._events(connection, kind=kind, version=version)

    def pointers(self) -> dict[str, Pointer]:
        """Return the current pointer of every stage."""
        with schema.clear_errors(self._place), schema.reading(self._engine) as connection:
            return self._pointers(connection)

    def snapshot(self) -> tuple[list[Event], dict[str, Pointer]]:
        """Return events and pointers as they were at one moment.

        Raises
        ------
        LedgerCorrupt
            When the pointers are not those that the events made.
        """
        with schema.clear_errors(self._place), schema.reading(self._engine) as connection:
            events, pointers = self._events(connection), self._pointers(connection)
        difference = first_difference(pointers_from(events), pointers)
        if difference:
            raise LedgerCorrupt(f"A stage was moved without an event: by the events, {difference}.")
        return events, pointers

    def verify(self) -> None:
        """Recompute every hash, and every pointer from the events, of all models in the database.

        Raises
        ------
        LedgerCorrupt
            Naming the first event that does not fit.
        """
        with schema.clear_errors(self._place), schema.reading(self._engine) as connection:
            by_model: dict[str, list[Event]] = {}
            seq, head = 0, GENESIS
            for row in connection.execute(sa.select(schema.events).order_by(schema.events.c.seq)):
                event = _event(row)
                check_link(event, previous_seq=seq, previous_hash=head)
                if canonical_json(event.payload) != row.payload:
                    raise LedgerCorrupt(f"event {event.seq} was edited: its text is not canonical", seq=event.seq)
                seq, head = event.seq, event.hash
                if "moves" in event.payload:
                    by_model.setdefault(event.model, []).append(event)
            meta = connection.execute(sa.select(schema.ledger_meta)).one()
            pointed = connection.execute(sa.select(schema.pointers.c.model).distinct()).scalars().all()
            found = {name: self._pointers(connection, name) for name in {*pointed, *by_model}}
        if (meta.head_seq, meta.head_hash) != (seq, head):
            first = min(seq, meta.head_seq) + 1
            raise LedgerCorrupt(f"event {first} does not fit: the ledger should end at {meta.head_seq}", seq=first)
        for name, pointers in found.items():
            difference = first_difference(pointers_from(by_model.get(name, [])), pointers)
            if difference:
                seq = max(pointer.seq for pointer in pointers.values())
                raise LedgerCorrupt(f"{name}: by the events, {difference} (event {seq})", seq=seq)

    def _write(
        self,
        connection: sa.Connection,
        seq: int,
        head: str,
        kind: str,
        payload: dict[str, Any],
        *,
        actor: str,
        version: str | None,
    ) -> Event:
        content: dict[str, Any] = {
            "seq": seq + 1,
            "model": self.model,
            "at": utc_text(datetime.now(UTC)),
            "kind": kind,
            "version": version,
            "actor": actor,
            "payload": payload,
            "previous_hash": head,
        }
        event = Event(**content, hash=event_hash(content))
        row = {**content, "payload": canonical_json(payload), "hash": event.hash}
        connection.execute(sa.insert(schema.events).values(**row))
        connection.execute(sa.update(schema.ledger_meta).values(head_seq=event.seq, head_hash=event.hash))
        return event

    def _point(self, connection: sa.Connection, stage: str, version: str | None, seq: int) -> None:
        table = schema.pointers
        here = (table.c.model == self.model) & (table.c.stage == stage)
        if connection.execute(sa.update(table).where(here).values(version=version, seq=seq)).rowcount == 0:
            row = {"model": self.model, "stage": stage, "version": version, "seq": seq}
            connection.execute(sa.insert(table).values(**row))

    def _pointers(self, connection: sa.Connection, model: str | None = None) -> dict[str, Pointer]:
        table = schema.pointers
        rows = connection.execute(sa.select(table).where(table.c.model == (model or self.model)))
        return no_pointers() | {row.stage: Pointer(row.stage, row.version, row.seq) for row in rows}

    def _events(self, connection: sa.Connection, *, kind: str | None = None, version: str | None = None) -> list[Event]:
        table = schema.events
        query = sa.select(table).where(table.c.model == self.model).order_by(table.c.seq)
        if kind is not None:
            query = query.where(table.c.kind == kind)
        if version is not None:
            query = query.where(table.c.version == version)
        return [_event(row) for row in connection.execute(query)]

    def _gained(self, connection: sa.Connection, since: int, kinds: Collection[str], version: str | None) -> bool:
        table = schema.events
        concerns = table.c.version.is_(None) | (table.c.version == version)
        later = (table.c.seq > since) & (table.c.model == self.model) & table.c.kind.in_(tuple(kinds))
        return connection.execute(sa.select(table.c.seq).where(later, concerns).limit(1)).first() is not None


def _event(row: "sa.Row[Any]") -> Event:
    try:
        payload = json.loads(row.payload)
    except (TypeError, ValueError) as error:
        raise LedgerCorrupt(f"event {row.seq} was edited: its payload is not JSON", seq=row.seq) from error
    if not isinstance(payload, dict):
        raise LedgerCorrupt(f"event {row.seq} was edited: its payload is no JSON object", seq=row.seq)
    return Event(**{**row._mapping, "payload": payload})


def _plain_json(payload: Mapping[str, Any]) -> dict[str, Any]:
    # What is hashed is what a reader gets back: tuples become lists, keys become strings.
    try:
        content: dict[str, Any] = json.loads(canonical_json(dict(payload)))
        canonical_json(content).encode()
    except (TypeError, ValueError) as error:
        raise BadInput(f"The ledger records only plain JSON ({type(error).__name__}: {error}).") from error
    return content
