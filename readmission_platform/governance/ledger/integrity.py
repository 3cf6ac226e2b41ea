"""Whether a ledger is whole: every hash, link and pointer of a database recomputed from its rows.

What belongs here: the walk over all rows, and what it found. What does not: exported heads and their signatures
(``audit``), and how one event is hashed (``chain``).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from readmission_platform.foundation.errors import LedgerCorrupt
from readmission_platform.governance.ledger import schema
from readmission_platform.governance.ledger.chain import (
    GENESIS,
    STAGES,
    Pointer,
    check_link,
    moves_of,
    no_pointers,
)
from readmission_platform.governance.ledger.schema import event_from

_ROWS_AT_ONCE = 5_000


@dataclass(frozen=True)
class Head:
    """Where a chain ended at some moment; ``first_hash`` is that of event 1 and tells ledgers apart.

    ``at`` and ``first_hash`` are None for a ledger without events, whose ``seq`` is 0.
    """

    seq: int
    hash: str
    at: str | None
    first_hash: str | None


@dataclass(frozen=True)
class Examination:
    """What a walk over a database found.

    Attributes
    ----------
    events
        Events that are in order, from the first on.
    head
        Where these end.
    pointers
        Stage pointers by model, recomputed from these events.
    problem
        The first thing that does not fit, or None.
    """

    events: int
    head: Head
    pointers: Mapping[str, Mapping[str, Pointer]]
    problem: LedgerCorrupt | None


def examine(connection: sa.Connection, *, known: Head | None = None) -> Examination:
    """Walk over a database, all models, and stop at the first event that does not fit.

    Parameters
    ----------
    known
        A head that this chain once had: it must still pass through it.
    """
    walk = _Walk(known)
    query = sa.select(schema.events).order_by(schema.events.c.seq).execution_options(yield_per=_ROWS_AT_ONCE)
    try:
        for row in connection.execute(query).mappings():
            walk.step({**row})
        pointers = {model: _last_moves(connection, seqs) for model, seqs in walk.may_move.items()}
    except LedgerCorrupt as error:
        return Examination(walk.head.seq, walk.head, {}, error)
    problems = [*_wrong_pointers(connection, pointers, walk.head), *_wrong_ends(connection, walk.head, known)]
    first = min(problems, key=lambda found: found.seq, default=None)
    return Examination(walk.head.seq, walk.head, pointers, first)


class _Walk:
    """The chain as far as it has been walked.

    Attributes
    ----------
    may_move
        By model, the events whose text speaks of moves: reading what each says is left for later.
    """

    def __init__(self, known: Head | None) -> None:
        self.head = Head(0, GENESIS, None, None)
        self.may_move: dict[str, list[int]] = {}
        self._known = known

    def step(self, row: Mapping[str, Any]) -> None:
        """Check the next row; one that does not fit leaves the walk where it was."""
        check_link(row, previous_seq=self.head.seq, previous_hash=self.head.hash, previous_at=self.head.at)
        reached = Head(row["seq"], row["hash"], row["at"], self.head.first_hash or row["hash"])
        if self._known is not None:
            _check_known(reached, self._known)
        if '"moves":' in row["payload"]:
            self.may_move.setdefault(row["model"], []).append(reached.seq)
        self.head = reached


def _last_moves(connection: sa.Connection, seqs: Sequence[int]) -> dict[str, Pointer]:
    """Recompute the pointers of one model, from its last move backwards: few of a long past need to be read."""
    pointers: dict[str, Pointer] = {}
    for seq in reversed(seqs):
        row = connection.execute(sa.select(schema.events).where(schema.events.c.seq == seq)).one()
        for stage, version in moves_of(event_from(row)).items():
            pointers.setdefault(stage, Pointer(stage, version, seq))
        if len(pointers) == len(STAGES):
            break
    return no_pointers() | pointers


def _check_known(reached: Head, known: Head) -> None:
    if reached.seq == 1 and known.first_hash is not None and reached.hash != known.first_hash:
        raise LedgerCorrupt(
            "event 1 is not that of the exported head: this is another ledger, or it was rewritten", seq=1
        )
    if reached.seq == known.seq and (reached.hash, reached.at) != (known.hash, known.at):
        raise LedgerCorrupt(
            f"event {known.seq} is not the exported one: the ledger was rewritten there or before", seq=known.seq
        )


def _wrong_ends(connection: sa.Connection, head: Head, known: Head | None) -> Iterator[LedgerCorrupt]:
    """Compare the end of the chain with the head kept beside the events, and with the exported one."""
    meta = connection.execute(sa.select(schema.ledger_meta.c.head_seq, schema.ledger_meta.c.head_hash)).one()
    recorded = meta.head_seq if isinstance(meta.head_seq, int) else 0
    if recorded != head.seq:
        first = min(head.seq, max(recorded, 0)) + 1
        yield LedgerCorrupt(f"event {first} does not fit: by its own head the ledger ends at {recorded}", seq=first)
    elif meta.head_hash != head.hash:
        yield LedgerCorrupt(f"event {head.seq} is not the one that the ledger's own head names", seq=head.seq)
    if known is not None and known.seq > head.seq:
        first = head.seq + 1
        yield LedgerCorrupt(f"event {first} is missing: the exported head was at event {known.seq}", seq=first)


def _wrong_pointers(
    connection: sa.Connection, by_events: Mapping[str, Mapping[str, Pointer]], head: Head
) -> Iterator[LedgerCorrupt]:
    """Compare the stored pointers of all models with those that the events made."""
    stored: dict[str, dict[str, Pointer]] = {}
    for row in connection.execute(sa.select(schema.pointers)):
        seq = row.seq if isinstance(row.seq, int) else -1  # SQLite lets anything stand there
        stored.setdefault(row.model, {})[row.stage] = Pointer(row.stage, row.version, seq)
    for model in sorted({*stored, *by_events}):
        expected = by_events.get(model) or no_pointers()
        for stage, found in sorted((no_pointers() | stored.get(model, {})).items()):
            wanted = expected.get(stage, Pointer(stage, None, 0))
            if (wanted.version, wanted.seq) != (found.version, found.seq):
                yield _wrong_pointer(model, wanted, found, head)


def _wrong_pointer(model: str, wanted: Pointer, found: Pointer, head: Head) -> LedgerCorrupt:
    # The event that the pointer passes over or makes up; one that is not there is the first that is missing.
    seq = min(max(wanted.seq, found.seq), head.seq + 1)
    what = f"{model}'s {wanted.stage}" if wanted.stage in STAGES else f"{model}'s unknown stage {wanted.stage}"
    message = (
        f"event {seq} does not fit: {what} points to {found.version or 'no version'} (event {found.seq}), "
        f"by the events it is {wanted.version or 'no version'} (event {wanted.seq})"
    )
    return LedgerCorrupt(message, seq=seq)
