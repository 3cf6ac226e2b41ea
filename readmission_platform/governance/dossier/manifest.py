"""The dossier of a version: which files it holds, the sealed manifest over them, and whether the seal is whole.

What belongs here: pure functions over names and bytes. What does not: gathering the files
(``lifecycle.versions.dossier``), and whether they agree with each other (``lifecycle.versions.dossier_verification``).

Threat model: any change to a sealed dossier is found from the folder alone, also when somebody seals it again with
another key than the one that the ledger extract registers for the signer. Whoever holds the sealing key, or rewrites
the whole ledger before sealing, is caught only by a key that was had from elsewhere (``public_key``), or by a head of
the ledger that was exported before and kept elsewhere.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from readmission_platform.foundation.errors import BadInput
from readmission_platform.foundation.untrusted import MAX_WHOLE, read_json
from readmission_platform.foundation.values import canonical_json
from readmission_platform.governance.demo_approver import Signer
from readmission_platform.governance.ledger.chain import Event
from readmission_platform.governance.ledger.shapes import Digest, Identity, Moment
from readmission_platform.governance.policy.adoption import announced_demo_keys, roles_ever_in_force, roles_in_force
from readmission_platform.governance.promotion.check import Check
from readmission_platform.governance.signatures import is_signed_by, sign

MANIFEST = "manifest.json"
README = "README.md"
CARD_PAGE, CARD_TEXT, REPORT = "model_card.html", "model_card.md", "evidence_report.html"
CARD_WORDS = "model_card.json"
DOCUMENT, GATES, APPROVALS, LEDGER = "evidence.json", "gates.json", "approvals.json", "ledger.jsonl"
POLICY, ROLES, PLAN, REPRODUCTION = "policy.json", "roles.json", "change_plan.json", "reproduction.json"
ACCEPTED_DRIFT = "accepted_drift.json"
ROWS, CHAMPION_ROWS = "evidence_rows.parquet", "champion_rows.parquet"
ROW_FILES = (ROWS, CHAMPION_ROWS)
PAGES = (README, CARD_PAGE, CARD_TEXT, REPORT)

REQUIRED = (*PAGES, CARD_WORDS, DOCUMENT, GATES, APPROVALS, LEDGER, POLICY, ROLES, ROWS)
# There when there is something to put into them.
OPTIONAL = (PLAN, REPRODUCTION, ACCEPTED_DRIFT, CHAMPION_ROWS)

_SIGNED = {"statement", "signature", "public_key"}
FileName = Annotated[str, Field(max_length=100, pattern=r"^[\w.]+$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class LedgerHead(_Strict):
    """Where the chain of the extract ends; ``seq`` counts the events of all models."""

    seq: int = Field(ge=1, le=MAX_WHOLE)
    hash: Digest


class DossierStatement(_Strict):
    """What is signed: whose dossier it is, which code made it, where the ledger stood, every other file's digest."""

    kind: Literal["version_dossier"]
    format: Literal["readmission-dossier-1"]
    model: Identity
    version: Identity
    environment: Identity
    code_version: Identity
    made_at: Moment
    signer: Identity
    demo: bool
    ledger: LedgerHead
    files: dict[FileName, Digest] = Field(max_length=len(REQUIRED) + len(OPTIONAL))


def digest_of_bytes(content: bytes) -> str:
    """Return ``sha256:<hex>`` of bytes."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def json_bytes(value: Any) -> bytes:
    """Return JSON for people and programs: sorted, indented, the same content gives the same bytes."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def sealed(files: Mapping[str, bytes], signer: Signer, **about: Any) -> bytes:
    """Return the manifest over files, signed.

    Parameters
    ----------
    about
        The other fields of :class:`DossierStatement`.

    Raises
    ------
    BadInput
        When a file is missing, or there is one that a dossier does not have, or a name cannot stand in a manifest.
    """
    problem = incomplete(files)
    if problem:
        raise BadInput(problem)
    try:
        statement = DossierStatement(
            kind="version_dossier",
            format="readmission-dossier-1",
            signer=signer.identity,
            demo=signer.demo,
            files={name: digest_of_bytes(content) for name, content in sorted(files.items())},
            **about,
        )
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise BadInput(
            f"{place} cannot stand in the manifest of a dossier: use letters, digits and . @ + - _"
        ) from error
    return _manifest_bytes(sign(statement.model_dump(), signer.key))


def incomplete(names: Mapping[str, Any]) -> str | None:
    """Say which file a dossier lacks, or has too many, or return None."""
    missing = sorted(set(REQUIRED) - set(names))
    strange = sorted(set(names) - {*REQUIRED, *OPTIONAL})
    if missing:
        return f"a dossier needs {', '.join(missing)}"
    return f"a dossier has no {', '.join(strange)}" if strange else None


def read_manifest(content: bytes) -> tuple[DossierStatement, dict[str, Any]]:
    """Read a manifest; returns the statement, and the whole of it as it was signed.

    Raises
    ------
    BadInput
        When it is none.
    """
    try:
        signed = read_json(content)
        if not isinstance(signed, dict):
            raise BadInput(f"{MANIFEST} is not a signed statement")
        if set(signed) != _SIGNED or not all(isinstance(signed[name], str) for name in _SIGNED - {"statement"}):
            raise BadInput(f"{MANIFEST} is not a signed statement")
        return DossierStatement.model_validate(signed["statement"]), signed
    except ValueError as error:  # a ValidationError is one
        raise BadInput(f"{MANIFEST} is not the manifest of a dossier") from error


def check_seal(manifest: bytes, files: Mapping[str, bytes], *, public_key: str | None) -> list[Check]:
    """Check signature, key, and every file against the manifest.

    Parameters
    ----------
    files
        Every other file of the folder by name.
    public_key
        The key that must have signed, in base64 or hex; None to be told which one did.

    Raises
    ------
    BadInput
        When the key given is no key.
    """
    expected = None if public_key is None else _base64_key(public_key)
    try:
        statement, signed = read_manifest(manifest)
    except BadInput as error:
        return [_check("manifest_signature", f"{MANIFEST} was changed: {error}", "")]
    problems = list(_file_problems(statement.files, files))
    return [
        _check("manifest_signature", _signature_problem(manifest, signed, expected), f"signed by {statement.signer}"),
        _check("files", "; ".join(problems[:5]), f"{len(statement.files)} files, each with the digest of the manifest"),
    ]


def registered_to(public_key: str, events: Sequence[Event]) -> str | None:
    """Return whom a key belongs to: a person of roles that were ever in force, or a demo approver where these count.

    Parameters
    ----------
    events
        The events of the extract, in order.
    """
    for roles in reversed(roles_ever_in_force(events)):
        for identity, person in roles.people.items():
            if person.public_key == public_key:
                return identity
    announced = announced_demo_keys(events)
    return next((f"{identity} (demonstration)" for identity, key in announced.items() if key == public_key), None)


def seal_problem(signer: str, public_key: str, events: Sequence[Event], *, demo: bool) -> str | None:
    """Say why a key is not the one that the ledger extract registers for whoever sealed, or return None.

    Parameters
    ----------
    events
        The events of the extract, in order: what counts are the roles in force where it ends.
    demo
        Whether the seal says that it is a demonstration.
    """
    roles = roles_in_force(events)
    person = roles.content.people.get(signer) if roles and not demo else None
    announced = announced_demo_keys(events) if demo else {}
    registered = person.public_key if person else announced.get(signer)
    sealed_with = f"sealed in the name of {signer} with the key {public_key}"
    if registered is None:
        return f"{sealed_with}, which the ledger extract does not know: no key is registered for {signer} there"
    if registered != public_key:
        known = registered_to(public_key, events)
        whose = f"is registered to {known}" if known else "the ledger extract does not know"
        return f"{sealed_with}, which {whose}: {signer} has the key {registered} there"
    return None


def _signature_problem(manifest: bytes, signed: Mapping[str, Any], expected: str | None) -> str | None:
    key = str(signed["public_key"])
    # Every byte counts: base64 has several texts for the same bytes, and JSON as well.
    plain = _is_plain(key) and _is_plain(signed["signature"]) and manifest == _manifest_bytes(signed)
    if not plain or not is_signed_by(signed, key):
        return f"{MANIFEST} was changed: its signature does not hold"
    if expected is not None and key != expected:
        return f"{MANIFEST} was signed with another key ({key}) than the one given"
    return None


def _file_problems(recorded: Mapping[str, str], found: Mapping[str, bytes]) -> Iterator[str]:
    names = incomplete(recorded)
    if names:
        yield f"{MANIFEST}: {names}"
    yield from (f"{name} was removed" for name in sorted(set(recorded) - set(found)))
    yield from (f"{name} was added" for name in sorted(set(found) - set(recorded)))
    for name in sorted(set(recorded) & set(found)):
        if digest_of_bytes(found[name]) != recorded[name]:
            yield f"{name} was changed"


def _check(name: str, problem: str | None, detail: str) -> Check:
    return Check(name, "integrity", "fail" if problem else "pass", problem or detail)


def _manifest_bytes(signed: Mapping[str, Any]) -> bytes:
    return canonical_json(dict(signed)).encode() + b"\n"


def _is_plain(text: str) -> bool:
    try:
        return base64.b64encode(base64.b64decode(text, validate=True)).decode() == text
    except (ValueError, binascii.Error):
        return False


def _base64_key(text: str) -> str:
    try:
        raw = bytes.fromhex(text) if len(text) == 64 else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raw = b""
    if len(raw) != 32:
        raise BadInput("--public-key: give the 32 bytes of an Ed25519 key in hex, or in base64 as roles.yaml has it")
    return base64.b64encode(raw).decode()
