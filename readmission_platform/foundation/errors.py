"""What governance raises, each with the exit code of the ``readmission`` command.

What belongs here: the exceptions. What does not: deciding when to raise them.
"""

from collections.abc import Sequence


class GovernanceError(Exception):
    """Base of every error of this package; ``exit_code`` is what the command line ends with."""

    exit_code = 1


class LedgerCorrupt(GovernanceError):
    """The ledger was edited or damaged; ``seq`` is the first event that does not fit (0: no single one)."""

    exit_code = 1

    def __init__(self, message: str, *, seq: int = 0) -> None:
        super().__init__(message)
        self.seq = seq


class BadInput(GovernanceError):
    """Something that was given cannot be used; the message says what and why."""

    exit_code = 2


class PolicyError(BadInput):
    """A gate policy lacks something that the code requires of every policy."""


class Refused(GovernanceError):
    """Policy says no; ``reasons`` lists every reason with what to do about it."""

    exit_code = 3

    def __init__(self, reasons: Sequence[str]) -> None:
        self.reasons = list(reasons)
        super().__init__("; ".join(self.reasons) or "refused")


class Conflict(GovernanceError):
    """Somebody else was first: the ledger changed between the decision and its recording."""

    exit_code = 4


class Unavailable(GovernanceError):
    """A needed service (the ledger's database) cannot be used now."""

    exit_code = 5
