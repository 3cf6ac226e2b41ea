"""What a ledger belongs to: one environment and one installation, as its first event says.

What belongs here: making, reading and comparing that event. What does not: the database (``ledger``).

The first event is written together with the tables. A ledger of another environment was written under other rules:
with fewer approvals, by a demonstration approver. Nothing of it may count here.
"""

import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Self

import sqlalchemy as sa

from readmission_platform.foundation.errors import LedgerCorrupt, Refused
from readmission_platform.governance.ledger import schema
from readmission_platform.governance.ledger.chain import ENVIRONMENT, Event, is_intact

CREATED = "ledger_created"
# The environment of one person, in which demonstrations count.
LOCAL = "local"
CREATOR = "readmission"  # the software, whoever started it


@dataclass(frozen=True)
class Binding:
    """The environment, and the random number of the installation, that a ledger belongs to."""

    environment: str
    installation: str

    @classmethod
    def new(cls, environment: str) -> Self:
        """Return the binding of a new installation."""
        return cls(environment, uuid.uuid4().hex)

    def payload(self) -> dict[str, Any]:
        """Return what the first event says."""
        return asdict(self)

    def check(self, environment: str, installation: str | None) -> None:
        """Make sure that this is the environment, and if one is given the installation, that was asked for.

        Raises
        ------
        Refused
            When it is another.
        """
        if self.environment != environment:
            raise Refused([
                f"the ledger belongs to the environment {self.environment}, and this is {environment}: set "
                f"READMISSION_ENVIRONMENT={self.environment}, or name a home or a ledger of {environment}"
            ])  # fmt: skip
        if installation not in {None, self.installation}:
            raise Refused([
                f"the ledger belongs to the installation {self.installation}, and the home to {installation}: name the "
                "ledger of this home (READMISSION_LEDGER_URL), or the home of this ledger (READMISSION_HOME)"
            ])  # fmt: skip


def environment_of(events: Iterable[Event]) -> str | None:
    """Return the environment that a ledger belongs to, as its events say; None where they do not say it.

    Parameters
    ----------
    events
        Of one model and its environment, in order, from the first one on.
    """
    first = next(iter(events), None)
    said = said_by(first) if first is not None else None
    return said.environment if said else None


def installation_of(events: Iterable[Event]) -> str | None:
    """Return the installation that a ledger belongs to; parameters and result as for :func:`environment_of`."""
    first = next(iter(events), None)
    said = said_by(first) if first is not None else None
    return said.installation if said else None


def binding_of(connection: sa.Connection) -> Binding:
    """Read what a ledger belongs to.

    Raises
    ------
    LedgerCorrupt
        When its first event does not say so, or was edited.
    """
    row = connection.execute(sa.select(schema.events).where(schema.events.c.seq == 1)).first()
    if row is None:
        raise LedgerCorrupt("event 1 is missing: nothing says which environment the ledger belongs to", seq=1)
    binding = said_by(schema.event_from(row))
    if binding is None:
        raise LedgerCorrupt("event 1 does not say which environment the ledger belongs to, or was edited", seq=1)
    return binding


def said_by(event: Event) -> Binding | None:
    """Return what the first event of a ledger says that it belongs to; None when it does not, or was edited."""
    said = event.payload
    if (event.model, event.kind) != (ENVIRONMENT, CREATED) or not is_intact(event):
        return None
    if set(said) != {"environment", "installation"} or not all(isinstance(value, str) for value in said.values()):
        return None
    return Binding(**said)
