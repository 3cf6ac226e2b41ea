"""What governance raises, each with the exit code of the ``readmission`` command.

What belongs here: the exceptions, and recognising what a disk refused. What does not: deciding when to raise them.
"""

import errno
import os
import sqlite3
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


_DISK = (errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EFBIG, errno.EIO)
_SQLITE_DISK = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)


def problem_of_disk(error: BaseException) -> str | None:
    """Say what a disk did not let anybody do, if an error comes from that; None if it comes from something else.

    Libraries wrap such errors in their own. Delta's come from Rust and only hold the text of the system.
    """
    cause: BaseException | None = error
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:  # a chain may lead back into itself
        seen.add(id(cause))
        if isinstance(cause, OSError) and cause.errno in _DISK:
            return os.strerror(cause.errno) + (f": {cause.filename}" if cause.filename else "")
        if isinstance(cause, sqlite3.Error) and getattr(cause, "sqlite_errorcode", 0) & 0xFF in _SQLITE_DISK:
            return str(cause)
        said = next((os.strerror(number) for number in _DISK if f"(os error {number})" in str(cause)), None)
        if said is not None:
            return said
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return None
