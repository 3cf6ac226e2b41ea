"""Verifying a dossier from its folder alone: the seal, the chain, and every figure recomputed from the evidence rows.

What belongs here: reading the folder, and comparing what can be worked out again with what stands there. What does not:
the seal itself (``governance.dossier.manifest``) and what the ledger's record means
(``governance.promotion.verification``). No home, no network, no database.
"""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from readmission_platform.foundation.errors import BadInput, GovernanceError
from readmission_platform.governance.dossier import manifest as dossier
from readmission_platform.governance.dossier.contents import misdirected_approvals, repeated
from readmission_platform.governance.dossier.manifest import DossierStatement, check_seal, registered_to
from readmission_platform.governance.ledger.audit import HeadStatement
from readmission_platform.governance.ledger.binding import said_by
from readmission_platform.governance.ledger.chain import Event, pointers_from
from readmission_platform.governance.ledger.extract import Entry, departure_from, events_of, first_break, read_extract
from readmission_platform.governance.ledger.versions import VersionRecord, version_records
from readmission_platform.governance.policy.required import required_gates
from readmission_platform.governance.promotion.verification import (
    ROUNDING,
    Check,
    Recomputed,
    champion_then,
    verify_version,
)
from readmission_platform.lifecycle.versions.evidence_document import FORMAT, document_from
from readmission_platform.lifecycle.versions.version_facts import measured_at_training, shared_test_rows

NOT_PROVEN = (
    "that the key belongs to the signer named in the manifest: compare it with one that was "
    "obtained independently (--public-key)",
    "that the ledger was not rewritten as a whole before it was sealed: compare it with a head that "
    "`readmission audit export-head` exported before and that was kept elsewhere (--head)",
    "that the pages show what evidence.json holds: only that they are unchanged since they were sealed is checked",
    "what needs the model file, its inputs or another fit: what was measured at training, explanations, the study and "
    "the cohort stand in evidence.json as the ledger recorded them; everything else there was recomputed from the rows",
    "what happened after the last event of ledger.jsonl, a rollback for instance",
    "that the scores are those of the model file, which is not in here: `readmission reproduce` and "
    "`readmission verify` look at that where the model is kept",
)


class DossierRefused(GovernanceError):
    """Something in the dossier is not as it was sealed, or does not agree with the rest; the message names what."""

    exit_code = 3


@dataclass(frozen=True)
class _Opened:
    """A dossier whose seal and chain hold, as far as it can be read."""

    statement: DossierStatement
    files: Mapping[str, bytes]
    entries: list[Entry]
    events: list[Event]
    record: VersionRecord
    records: Mapping[str, VersionRecord]
    document: dict[str, Any]

    @property
    def demo_allowed(self) -> bool:
        """Whether demonstrations count: where the dossier was made."""
        return self.statement.environment == "local"


def verify_dossier(folder: Path, *, public_key: str | None = None, head: HeadStatement | None = None) -> list[Check]:
    """Verify a dossier; what later checks rest on is checked first, and where that fails nothing more is said.

    Parameters
    ----------
    public_key
        The key that must have signed the manifest, in hex or base64.
    head
        A head of the ledger that was exported earlier: the extract must pass through it.

    Raises
    ------
    BadInput
        When the folder cannot be read or holds no manifest, or the key is no key.
    """
    files = read_folder(folder)
    manifest = files.pop(dossier.MANIFEST, None)
    if manifest is None:
        raise BadInput(f"{folder} holds no {dossier.MANIFEST}: it is no dossier, or not a whole one")
    return verify_files(manifest, files, public_key=public_key, head=head)


def verify_files(
    manifest: bytes, files: Mapping[str, bytes], *, public_key: str | None = None, head: HeadStatement | None = None
) -> list[Check]:
    """Verify a dossier given as bytes by file name; see :func:`verify_dossier`."""
    checks = check_seal(manifest, files, public_key=public_key)
    if any(check.result == "fail" for check in checks):
        return checks
    statement, signed = dossier.read_manifest(manifest)
    try:
        opened = _opened(statement, files)
    except BadInput as error:
        return [*checks, Check("ledger_extract", "integrity", "fail", str(error))]
    known = registered_to(signed["public_key"], opened.events, demo_allowed=opened.demo_allowed)
    checks[0] = _said(checks[0], signed["public_key"], known, compared=public_key is not None)
    return [*checks, *_chain(opened, head), *_compared(opened)]


def raise_unless_whole(checks: Sequence[Check]) -> None:
    """Raise, in one line, when a check failed.

    Raises
    ------
    DossierRefused
        Naming every check that failed.
    """
    failed = [f"{check.name}: {check.detail}" for check in checks if check.result == "fail"]
    if failed:
        raise DossierRefused(f"the dossier does not verify: {'; '.join(failed)}")


def read_folder(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder by name; a folder inside stands there by its name with a slash.

    Raises
    ------
    BadInput
        When it cannot be read.
    """
    try:
        return {
            entry.name if entry.is_file() else f"{entry.name}/": entry.read_bytes() if entry.is_file() else b""
            for entry in sorted(folder.iterdir())
        }
    except OSError as error:
        raise BadInput(f"{folder} cannot be read ({error.strerror})") from error


def _opened(statement: DossierStatement, files: Mapping[str, bytes]) -> _Opened:
    try:
        entries = read_extract(files[dossier.LEDGER].decode())
        document = json.loads(files[dossier.DOCUMENT])
    except ValueError as error:
        raise BadInput(f"{dossier.LEDGER} or {dossier.DOCUMENT} is no readable text") from error
    problem = first_break(entries, model=statement.model)
    if problem:
        raise BadInput(f"{dossier.LEDGER}: {problem}")
    head = (entries[-1].seq, entries[-1].hash) if entries else (0, "")
    if head != (statement.ledger.seq, statement.ledger.hash):
        raise BadInput(f"{dossier.LEDGER} ends at event {head[0]}, the manifest says event {statement.ledger.seq}")
    events = events_of(entries)
    binding = said_by(events[0]) if events else None
    if binding is None or binding.environment != statement.environment:
        raise BadInput(f"{dossier.LEDGER} is not of the environment {statement.environment}, as the manifest says")
    records = version_records(events, pointers_from(events))
    if statement.version not in records:
        raise BadInput(f"{dossier.LEDGER} knows no version {statement.version} of {statement.model}")
    if not isinstance(document, dict):
        raise BadInput(f"{dossier.DOCUMENT} holds no evidence document")
    return _Opened(statement, files, entries, events, records[statement.version], records, document)


def _said(check: Check, key: str, known: str | None, *, compared: bool) -> Check:
    whose = f"registered to {known} in the ledger extract" if known else "which the ledger extract does not know"
    note = "" if compared else "; not compared with a key from elsewhere (--public-key)"
    return Check(check.name, check.kind, check.result, f"{check.detail} with the key {key}, {whose}{note}")


def _chain(opened: _Opened, head: HeadStatement | None) -> Iterator[Check]:
    others = len(opened.entries) - len(opened.events)
    detail = f"{len(opened.events)} events, each hash and link recomputed"
    yield _check("ledger_chain", None, detail + (f"; {others} links stand for other models' events" if others else ""))
    if head is not None:
        name = "exported_head"
        problem = departure_from(head.head(), opened.entries)
        if problem is None and head.seq > len(opened.entries):
            detail = f"the head was exported later, at event {head.seq}: only the identity of the ledger was compared"
            yield Check(name, "integrity", "not applicable", detail)
        else:
            yield _check(
                name, problem, f"the chain passes through the head of event {head.seq}, signed by {head.signer}"
            )


def _compared(opened: _Opened) -> Iterator[Check]:
    record, events = opened.record, opened.events
    computed, found = _recomputed(opened)
    yield from (
        check
        for check in verify_version(
            record,
            events=events,
            found=found,
            required=required_gates(record.evidence_schema),
            demo_allowed=opened.demo_allowed,
        )
        # What the policy of today says of the version is no matter of the dossier.
        if check.name != "gates_in_force"
    )
    misdirected = misdirected_approvals(record, events)
    detail = f"event {', '.join(map(str, misdirected))} is about other evidence or another model file"
    yield _check(
        "approvals_of_this_evidence", detail if misdirected else None, "each names this evidence and model file"
    )
    yield _check("document", _document_problem(opened, computed), "evidence.json is what rows and ledger give")
    yield _check("repeated_files", _repetition_problem(opened), "gates, approvals, policy, roles are as in the ledger")


def _recomputed(opened: _Opened) -> tuple[dict[str, Any] | None, Recomputed]:
    """Compute everything again from the rows, with the settings that the document names."""
    from readmission_platform.evaluation.estimates.evidence import evaluate
    from readmission_platform.evaluation.estimates.rows import InvalidEvidence, digest_rows

    stated = _part(opened.document, "provenance").get("artifact_digest")
    settings = _part(opened.document, "settings")
    try:
        rows = _rows(opened.files[dossier.ROWS])
        schema = opened.record.evidence_schema
        digest = digest_rows(rows, schema)
        if digest != opened.record.evidence_digest:  # figures made from changed rows would mean nothing
            return None, Recomputed(stated, digest, None, settings_alike=True)
        computed = evaluate(rows, schema=schema, **settings)
        estimates = dict(computed["estimates"]) | measured_at_training(opened.record)
        estimates |= _against_champion(opened, rows, settings)
    except (InvalidEvidence, BadInput, TypeError, KeyError):  # a setting too many, too few, or of another type
        return None, Recomputed(stated, None, None, settings_alike=True)
    return computed, Recomputed(stated, digest, estimates, settings_alike=True)


def _against_champion(opened: _Opened, rows: pd.DataFrame, settings: Mapping[str, Any]) -> dict[str, Any]:
    from readmission_platform.evaluation.estimates.comparison import compare
    from readmission_platform.evaluation.estimates.rows import digest_rows

    champion = champion_then(opened.record, opened.records, opened.events)
    if champion is None or dossier.CHAMPION_ROWS not in opened.files:
        return {}
    theirs = _rows(opened.files[dossier.CHAMPION_ROWS])
    if digest_rows(theirs, champion.evidence_schema) != champion.evidence_digest:
        raise BadInput("the champion's evidence rows are not those recorded")
    both = shared_test_rows(rows, theirs)
    if both.empty:
        return {}
    return compare(both, **{name: settings[name] for name in ("thresholds", "replicates", "seed")})


def _rows(content: bytes) -> pd.DataFrame:
    from pyarrow import ArrowException

    try:
        return pd.read_parquet(io.BytesIO(content))
    except (ArrowException, OSError, ValueError) as error:
        raise BadInput("the evidence rows are no readable Parquet") from error


def _document_problem(opened: _Opened, computed: dict[str, Any] | None) -> str | None:
    if computed is None:
        return "the figures cannot be recomputed from the evidence rows"
    if opened.document.get("format") != FORMAT:
        code = opened.statement.code_version
        return f"its format is not the one this release writes: verify it with the release that made it ({code})"
    expected = json.loads(json.dumps(document_from(opened.record, computed, events=opened.events)))
    unlike = next(_differences(expected, opened.document, dossier.DOCUMENT.removesuffix(".json")), None)
    return f"{unlike} is not what rows and ledger give" if unlike else None


def _repetition_problem(opened: _Opened) -> str | None:
    expected = repeated(opened.record, opened.events, demo_allowed=opened.demo_allowed)
    expected[dossier.GATES] = gate_table(opened.document)
    there = {name for name in opened.files if name in {dossier.PLAN, dossier.REPRODUCTION, *expected}}
    wrong = sorted(there ^ set(expected)) or sorted(
        name for name, content in expected.items() if opened.files[name] != dossier.json_bytes(content)
    )
    return f"{', '.join(wrong)} is not as in the ledger" if wrong else None


def gate_table(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the gate table of a dossier: the gates of the evidence document, with verdict and policy."""
    return {name: document.get(name) for name in ("model", "version", "verdict", "policy_digest", "gates")}


def _part(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    part = document.get(name)
    return part if isinstance(part, dict) else {}


def _differences(expected: Any, found: Any, place: str) -> Iterator[str]:
    """Yield the places in which two JSON values differ; numbers may differ by the rounding of another processor."""
    if isinstance(expected, dict) and isinstance(found, dict) and set(expected) == set(found):
        for name in sorted(expected):
            yield from _differences(expected[name], found[name], f"{place}.{name}")
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for number, (one, other) in enumerate(zip(expected, found, strict=True)):
            yield from _differences(one, other, f"{place}.{number}")
    elif not _alike(expected, found):
        yield place


def _alike(expected: Any, found: Any) -> bool:
    if isinstance(expected, float) and isinstance(found, float):
        return abs(expected - found) <= ROUNDING
    return type(expected) is type(found) and expected == found


def _check(name: str, problem: str | None, detail: str) -> Check:
    return Check(name, "integrity", "fail" if problem else "pass", problem or detail)
