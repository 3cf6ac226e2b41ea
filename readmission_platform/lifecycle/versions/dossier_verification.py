"""Verifying a dossier from its folder alone: the seal, the chain, and every figure recomputed from the evidence rows.

What belongs here: reading the folder, and comparing what can be worked out again with what stands there. What does not:
the seal itself (``governance.dossier.manifest``) and what the ledger's record means
(``governance.promotion.verification``). No home, no network, no database.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from readmission_platform.config.model_card import ModelCardConfig
from readmission_platform.evaluation.estimates.rows import InvalidEvidence
from readmission_platform.foundation.errors import BadInput
from readmission_platform.foundation.untrusted import printable, read_json
from readmission_platform.governance.dossier import manifest as dossier
from readmission_platform.governance.dossier.contents import misdirected_approvals, repeated
from readmission_platform.governance.dossier.folder import DossierRefused, read_folder
from readmission_platform.governance.dossier.manifest import DossierStatement, check_seal, registered_to, seal_problem
from readmission_platform.governance.dossier.rows import read_rows
from readmission_platform.governance.dossier.settings import EvaluationSettings
from readmission_platform.governance.ledger.audit import HeadStatement
from readmission_platform.governance.ledger.binding import environment_of
from readmission_platform.governance.ledger.chain import Event, pointers_from
from readmission_platform.governance.ledger.extract import Entry, departure_from, events_of, first_break, read_extract
from readmission_platform.governance.ledger.shapes import check_payloads
from readmission_platform.governance.ledger.versions import VersionRecord, version_records
from readmission_platform.governance.policy.required import required_gates
from readmission_platform.governance.promotion.check import Check
from readmission_platform.governance.promotion.verification import (
    ROUNDING,
    Recomputed,
    champion_then,
    verify_version,
)
from readmission_platform.lifecycle.versions.dossier_pages import NOT_PROVEN, card_words_bytes, gate_table, pages
from readmission_platform.lifecycle.versions.evidence_document import FORMAT, document_from
from readmission_platform.lifecycle.versions.version_facts import measured_at_training, shared_test_rows

__all__ = ["NOT_PROVEN", "DossierRefused", "raise_unless_whole", "read_folder", "verify_dossier", "verify_files"]


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
        When the folder cannot be read or is no dossier, or the key is no key.
    DossierRefused
        When the folder lacks its manifest, or holds too much.
    """
    files = read_folder(folder)
    manifest = files.pop(dossier.MANIFEST)
    return verify_files(manifest, files, public_key=public_key, head=head)


def verify_files(
    manifest: bytes, files: Mapping[str, bytes], *, public_key: str | None = None, head: HeadStatement | None = None
) -> list[Check]:
    """Verify a dossier given as bytes by file name; see :func:`verify_dossier`."""
    checks = _verified(manifest, files, public_key, head)
    return [replace(check, detail=printable(check.detail)) for check in checks]


def _verified(
    manifest: bytes, files: Mapping[str, bytes], public_key: str | None, head: HeadStatement | None
) -> list[Check]:
    checks = check_seal(manifest, files, public_key=public_key)
    if any(check.result == "fail" for check in checks):
        return checks
    statement, signed = dossier.read_manifest(manifest)
    try:
        opened = _opened(statement, files)
    except BadInput as error:
        return [*checks, Check("ledger_extract", "integrity", "fail", str(error))]
    checks[0] = _sealed_by(opened, signed["public_key"], compared=public_key is not None)
    checks += [*_chain(opened, head), *_compared(opened)]
    whole = all(check.result != "fail" for check in checks if check.kind == "integrity")
    unmade = Check("pages", "integrity", "not applicable", "not rendered again: what they are made from does not hold")
    return [*checks, _pages(opened) if whole else unmade]


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


def _opened(statement: DossierStatement, files: Mapping[str, bytes]) -> _Opened:
    try:
        entries = read_extract(files[dossier.LEDGER].decode())
        document = read_json(files[dossier.DOCUMENT])
    except ValueError as error:
        raise BadInput(f"{dossier.LEDGER} or {dossier.DOCUMENT} is not readable text") from error
    problem = first_break(entries, model=statement.model)
    if problem:
        raise BadInput(f"{dossier.LEDGER}: {problem}")
    head = (entries[-1].seq, entries[-1].hash) if entries else (0, "")
    if head != (statement.ledger.seq, statement.ledger.hash):
        raise BadInput(f"{dossier.LEDGER} ends at event {head[0]}, the manifest says event {statement.ledger.seq}")
    events = events_of(entries)
    check_payloads(events)
    if environment_of(events) != statement.environment:
        raise BadInput(f"{dossier.LEDGER} is not of the environment {statement.environment}, as the manifest says")
    records = version_records(events, pointers_from(events))
    if statement.version not in records:
        raise BadInput(f"{dossier.LEDGER} knows no version {statement.version} of {statement.model}")
    if not isinstance(document, dict):
        raise BadInput(f"{dossier.DOCUMENT} holds no evidence document")
    return _Opened(statement, files, entries, events, records[statement.version], records, document)


def _sealed_by(opened: _Opened, key: str, *, compared: bool) -> Check:
    """Check that the seal is that of the key which the extract registers for the signer."""
    said = opened.statement
    problem = seal_problem(said.signer, key, opened.events, demo=said.demo)
    known = registered_to(key, opened.events)
    note = "" if compared else "; not compared with a key from elsewhere (--public-key)"
    detail = f"signed by {said.signer} with the key {key}, registered to {known} in the ledger extract{note}"
    return _check("manifest_signature", problem, detail)


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
    from readmission_platform.evaluation.estimates.rows import digest_rows

    provenance = opened.document.get("provenance")
    stated = provenance.get("artifact_digest") if isinstance(provenance, dict) else None
    unknown = Recomputed(stated, None, None, settings_alike=True)
    try:
        schema = opened.record.evidence_schema
        rows = read_rows(opened.files[dossier.ROWS], schema)
        digest = digest_rows(rows, schema)
        settings = EvaluationSettings.model_validate(opened.document.get("settings")).within_reach(len(rows))
        if digest != opened.record.evidence_digest:  # figures made from changed rows would mean nothing
            return None, replace(unknown, evidence_digest=digest)
        computed = evaluate(rows, schema=schema, **settings.model_dump())
        compared = _against_champion(opened, rows, settings)
    except (InvalidEvidence, ValidationError):
        return None, unknown
    estimates = dict(computed["estimates"]) | measured_at_training(opened.record) | compared
    return computed, replace(unknown, evidence_digest=digest, estimates=estimates)


def _against_champion(opened: _Opened, rows: pd.DataFrame, settings: EvaluationSettings) -> dict[str, Any]:
    from readmission_platform.evaluation.estimates.comparison import compare
    from readmission_platform.evaluation.estimates.rows import digest_rows

    champion = _champion(opened)
    if champion is None or dossier.CHAMPION_ROWS not in opened.files:
        return {}
    theirs = read_rows(opened.files[dossier.CHAMPION_ROWS], champion.evidence_schema)
    if digest_rows(theirs, champion.evidence_schema) != champion.evidence_digest:
        raise InvalidEvidence("the champion's evidence rows are not those recorded")
    both = shared_test_rows(rows, theirs)
    if both.empty:
        return {}
    return compare(both, thresholds=settings.thresholds, replicates=settings.replicates, seed=settings.seed)


def _champion(opened: _Opened) -> VersionRecord | None:
    return champion_then(opened.record, opened.records, opened.events)


def _document_problem(opened: _Opened, computed: dict[str, Any] | None) -> str | None:
    if computed is None:
        return "the figures cannot be recomputed from the evidence rows"
    if opened.document.get("format") != FORMAT:
        code = opened.statement.code_version
        return f"its format is not the one this release writes: verify it with the release that made it ({code})"
    expected = json.loads(json.dumps(
        document_from(opened.record, computed, events=opened.events)
    ))  # fmt: skip
    unlike = next(_differences(expected, opened.document, dossier.DOCUMENT.removesuffix(".json")), None)
    return f"{unlike} is not what rows and ledger give" if unlike else None


def _repetition_problem(opened: _Opened) -> str | None:
    expected = repeated(opened.record, opened.events)
    expected[dossier.GATES] = gate_table(opened.document)
    optional = {*dossier.OPTIONAL, *expected} - {dossier.CHAMPION_ROWS}
    there = {name for name in opened.files if name in optional}
    wrong = sorted(there ^ set(expected)) or sorted(
        name for name, content in expected.items() if opened.files[name] != dossier.json_bytes(content)
    )
    if (dossier.CHAMPION_ROWS in opened.files) != (_champion(opened) is not None):
        wrong.append(dossier.CHAMPION_ROWS)
    return f"{', '.join(wrong)} is not as in the ledger" if wrong else None


def _pages(opened: _Opened) -> Check:
    """Render every page once more, and compare."""
    statement = opened.statement
    try:
        words = ModelCardConfig.model_validate_json(opened.files[dossier.CARD_WORDS])
    except ValidationError:
        return _check("pages", f"{dossier.CARD_WORDS} holds no texts of a model card", "")
    again = pages(
        opened.document, words, environment=statement.environment, made_at=statement.made_at, signer=statement.signer,
        demo=statement.demo, files=[*opened.files, dossier.MANIFEST],
    )  # fmt: skip
    unlike = [name for name, content in again.items() if opened.files[name] != content]
    if opened.files[dossier.CARD_WORDS] != card_words_bytes(words):
        unlike.append(dossier.CARD_WORDS)
    detail = f"{', '.join(unlike)} is not what {dossier.DOCUMENT} and {dossier.CARD_WORDS} give"
    return _check("pages", detail if unlike else None, f"{len(again)} pages rendered again, each the same")


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
