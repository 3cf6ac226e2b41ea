"""Audit: a signed head to keep elsewhere, and the verification of a ledger against it.

What belongs here: exporting, reading and checking heads, and the report of a verification. What does not: the walk
over the rows (``integrity``).

Threat model: an edit by somebody who does not redo the whole chain is found from the database alone. Somebody who
rewrites all of it, hashes and pointers included, is caught by a head that was exported before and kept out of reach,
and only for the events up to that head. Whoever signs with a key of their own is caught only when the key is compared
(``public_key`` of :func:`verify`).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from readmission_platform.foundation.errors import BadInput, LedgerCorrupt
from readmission_platform.foundation.untrusted import read_json
from readmission_platform.foundation.values import canonical_json
from readmission_platform.governance.demo_approver import Signer
from readmission_platform.governance.ledger.chain import Pointer, utc_text
from readmission_platform.governance.ledger.integrity import Head
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.shapes import Count, Digest, Identity, Moment
from readmission_platform.governance.signatures import is_signed_by, sign

HEAD_KIND = "ledger_head"


class HeadStatement(BaseModel):
    """What is signed: where the chain of a database ended; ``count`` events, of all models, are before it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: str = Field(pattern=f"^{HEAD_KIND}$")
    model: Identity
    seq: Count
    count: Count
    hash: Digest
    at: Moment | None
    first_hash: Digest | None
    exported_at: Moment
    signer: Identity
    demo: bool

    def head(self) -> Head:
        """Return the head itself."""
        return Head(self.seq, self.hash, self.at, self.first_hash)


@dataclass(frozen=True)
class AuditReport:
    """How a verification ended.

    Attributes
    ----------
    events
        Events that are in order, from the first on.
    head_seq, head_hash
        Where these end.
    pointers
        By model and stage, recomputed from the events.
    first_bad_seq, problem
        The first event that does not fit and what is wrong with it; None when all is well.
    exported
        The exported head that the ledger was compared with, and whose key signed it.
    """

    ok: bool
    events: int
    head_seq: int
    head_hash: str | None
    pointers: Mapping[str, Mapping[str, Pointer]]
    first_bad_seq: int | None = None
    problem: str | None = None
    exported: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        return asdict(self)

    @classmethod
    def unreadable(cls, error: LedgerCorrupt) -> "AuditReport":
        """Report a ledger whose tables could not even be read."""
        return cls(False, 0, 0, None, {}, first_bad_seq=error.seq, problem=str(error))


def export_head(ledger: Ledger, signer: Signer) -> dict[str, Any]:
    """Verify the ledger and sign where its chain ends.

    Returns
    -------
    dict
        ``{"statement", "signature", "public_key"}``, plain JSON; the statement's fields are those of
        ``HeadStatement``.

    Raises
    ------
    LedgerCorrupt
        When the ledger does not verify: a broken ledger is not signed.
    """
    found = ledger.examine()
    if found.problem is not None:
        raise found.problem
    statement = HeadStatement(
        kind=HEAD_KIND,
        model=ledger.model,
        count=found.events,
        exported_at=utc_text(datetime.now(UTC)),
        signer=signer.identity,
        demo=signer.demo,
        **asdict(found.head),
    )
    return sign(statement.model_dump(), signer.key)


def verify(ledger: Ledger, head: Mapping[str, Any] | None = None, *, public_key: str | None = None) -> AuditReport:
    """Verify a ledger, optionally against a head exported earlier.

    Parameters
    ----------
    head
        As :func:`export_head` returned it.
    public_key
        The key (base64) that must have signed the head; without it the report says which one did.

    Raises
    ------
    BadInput
        When the head is none, or its signature does not hold.
    """
    statement = None if head is None else opened_head(head, public_key)
    found = ledger.examine(known=statement.head() if statement else None)
    exported = {**statement.model_dump(), "public_key": head["public_key"]} if statement and head else None
    return AuditReport(
        ok=found.problem is None,
        events=found.events,
        head_seq=found.head.seq,
        head_hash=found.head.hash,
        pointers=found.pointers,
        first_bad_seq=found.problem.seq if found.problem else None,
        problem=str(found.problem) if found.problem else None,
        exported=exported,
    )


def opened_head(head: Mapping[str, Any], public_key: str | None = None) -> HeadStatement:
    """Return what an exported head says, its signature verified; parameters as for :func:`verify`.

    Raises
    ------
    BadInput
        When the head is none, or its signature does not hold.
    """
    try:
        statement = HeadStatement.model_validate(head.get("statement"))
    except ValidationError as error:
        raise BadInput("this is not an exported head of a ledger, or it was edited") from error
    key = head.get("public_key")
    if not isinstance(key, str) or not is_signed_by(head, key):
        raise BadInput("the signature of the exported head does not hold: it was edited")
    if public_key is not None and key != public_key:
        raise BadInput(f"the exported head was signed with another key ({key}) than the one expected")
    if statement.count != statement.seq:
        raise BadInput("the exported head contradicts itself: events are numbered without gaps")
    return statement


def write_head(head: Mapping[str, Any], path: Path) -> None:
    """Write a head as canonical JSON into a new file; an earlier head is never overwritten.

    Raises
    ------
    BadInput
        When there is such a file already, or it cannot be written.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(canonical_json(dict(head)) + "\n")
    except FileExistsError as error:
        raise BadInput(f"{path} already exists; earlier heads are evidence and are kept") from error
    except OSError as error:
        raise BadInput(f"no head can be written to {path} ({error.strerror})") from error


def read_head(path: Path) -> dict[str, Any]:
    """Read what :func:`write_head` wrote; its signature is not checked here.

    Raises
    ------
    BadInput
        When there is no such file, or it holds something else.
    """
    try:
        content = read_json(path.read_bytes())
    except OSError as error:
        raise BadInput(f"the head {path} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise BadInput(f"the file {path} holds no exported head") from error
    if not isinstance(content, dict):
        raise BadInput(f"the file {path} holds no exported head")
    return content
