"""The dossier: everything an auditor needs of one version in one sealed folder.

What belongs here: gathering the files and writing the folder, whole or not at all. What does not: the pages
(``dossier_pages``), the seal (``governance.dossier.manifest``), and verifying it (``dossier_verification``).
"""

import io
import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from readmission_platform.config.files import model_card_config
from readmission_platform.foundation.errors import BadInput, GovernanceError, Refused
from readmission_platform.governance.demo_approver import Signer
from readmission_platform.governance.dossier import manifest as dossier
from readmission_platform.governance.dossier.contents import repeated
from readmission_platform.governance.dossier.manifest import DossierStatement, json_bytes
from readmission_platform.governance.ledger.chain import Event, pointers_from, utc_text
from readmission_platform.governance.ledger.extract import Entry, events_of, extract_text
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.versions import VersionRecord, version_records
from readmission_platform.governance.promotion.verification import champion_then
from readmission_platform.governance.signatures import public_key_text
from readmission_platform.lifecycle.versions.dossier_pages import card_words_bytes, gate_table, pages
from readmission_platform.lifecycle.versions.dossier_verification import verify_files
from readmission_platform.lifecycle.versions.evidence_document import document_bytes, evidence_document
from readmission_platform.lifecycle.versions.version_facts import EvidenceMissing, evidence_rows
from readmission_platform.lifecycle.workspace import Workspace
from readmission_platform.storage.tables import ModelLake

MADE = "dossier_made"


@dataclass(frozen=True)
class Made:
    """A dossier that was written: where, what was signed, and with which key."""

    folder: Path
    statement: DossierStatement
    public_key: str


def make_dossier(version: str, *, out: Path, ledger: Ledger, workspace: Workspace, signer: Signer) -> Made:
    """Gather, seal, verify and write the dossier of a version, and record in the ledger that it was handed out.

    Parameters
    ----------
    out
        The new folder; it may be there already when it is empty.

    Raises
    ------
    BadInput
        When there is no such version, it was never validated, or the folder cannot be made.
    LedgerCorrupt
        When the ledger does not verify.
    Refused
        When the signer's key is not the registered one, or what was recorded does not verify: such a dossier would be
        no evidence.
    Unavailable, LedgerCorrupt
        When the ledger cannot record it; no folder is left.
    """
    check_free(out)
    ledger.verify()
    entries = ledger.entries()
    events = events_of(entries)
    record = _validated(version, events, ledger.model)
    _refuse_unregistered(signer, events)
    about = {"environment": workspace.environment, "made_at": utc_text(datetime.now(UTC))}
    files = gathered(record, entries, workspace, signer, **about)
    head = {"seq": entries[-1].seq, "hash": entries[-1].hash}
    manifest = dossier.sealed(
        files, signer, model=record.model, version=version, ledger=head, code_version=workspace.code_version, **about
    )
    _refuse_unless_whole(manifest, files)
    staged = _written_beside(out, {**files, dossier.MANIFEST: manifest})
    try:
        staged.rename(out)
    except OSError as error:
        shutil.rmtree(staged, ignore_errors=True)
        raise BadInput(f"--out: {out} cannot be written ({error.strerror})") from error
    handed_out = {"manifest_digest": dossier.digest_of_bytes(manifest), "ledger_seq": head["seq"],
                  "signer": signer.identity, "demo": signer.demo}  # fmt: skip
    try:
        ledger.append(MADE, handed_out, actor=workspace.actor, version=version)
    except GovernanceError:  # what the ledger does not know of is not handed out
        shutil.rmtree(out, ignore_errors=True)
        raise
    statement, signed = dossier.read_manifest(manifest)
    return Made(out, statement, signed["public_key"])


def gathered(
    record: VersionRecord, entries: Sequence[Entry], workspace: Workspace, signer: Signer, *, environment: str,
    made_at: str,
) -> dict[str, bytes]:  # fmt: skip
    """Return the content of every file but the manifest, by name."""
    events = events_of(entries)
    lake = workspace.lake
    records = version_records(events, pointers_from(events))
    document = evidence_document(record.version, events=events, pointers=pointers_from(events), workspace=workspace)
    card_words = model_card_config(workspace.settings, workspace.name)
    repetitions = repeated(record, events)
    files = {
        dossier.LEDGER: extract_text(entries).encode(),
        dossier.DOCUMENT: document_bytes(document),
        dossier.CARD_WORDS: card_words_bytes(card_words),
        dossier.GATES: json_bytes(gate_table(document)),
        dossier.ROWS: _parquet(_rows(lake, record)),
        **{name: json_bytes(content) for name, content in repetitions.items()},
    }
    champion = champion_then(record, records, events)
    if champion is not None:
        files[dossier.CHAMPION_ROWS] = _parquet(_rows(lake, champion))
    return files | pages(
        document, card_words, environment=environment, made_at=made_at, signer=signer.identity, demo=signer.demo,
        files=[*files, *dossier.PAGES, dossier.MANIFEST],
    )  # fmt: skip


def check_free(out: Path) -> None:
    """Refuse a folder that something is in, before anything is computed.

    Raises
    ------
    BadInput
        When it is no folder, or not empty.
    """
    if not out.name or out.name == "..":
        raise BadInput(f"--out: {out} cannot be the name of a new folder")
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise BadInput(f"--out: {out} is there and not empty; earlier dossiers are evidence and are kept")
    except OSError as error:
        raise BadInput(f"--out: {out} cannot be looked at ({error.strerror})") from error


def _validated(version: str, events: Sequence[Event], model: str) -> VersionRecord:
    records = version_records(events, pointers_from(events))
    if version not in records:
        raise BadInput(f"there is no version {version} of {model}; `readmission status` lists them")
    if not records[version].validated:
        raise BadInput(f"version {version} was never validated, so there is nothing to hand over")
    return records[version]


def _refuse_unregistered(signer: Signer, events: Sequence[Event]) -> None:
    key = public_key_text(signer.key)
    problem = dossier.seal_problem(signer.identity, key, events, demo=signer.demo)
    if problem:
        action = "Register it with `readmission policy adopt --roles`, or sign with the registered one"
        raise Refused([f"nobody could tell whose seal it is: {problem}. {action}"])


def _rows(lake: ModelLake, record: VersionRecord) -> pd.DataFrame:
    rows = evidence_rows(lake, record)
    if rows is None:
        raise EvidenceMissing(f"the evidence rows of version {record.version} are gone: restore the lake")
    return rows


def _parquet(rows: pd.DataFrame) -> bytes:
    target = io.BytesIO()
    # The order in which a table gives its rows is nothing to hand over.
    rows.sort_values("row_key").to_parquet(target, index=False, compression="zstd")
    return target.getvalue()


def _refuse_unless_whole(manifest: bytes, files: Mapping[str, bytes]) -> None:
    failed = [check for check in verify_files(manifest, files) if check.result == "fail" and check.kind == "integrity"]
    if failed:
        raise Refused([f"{check.name}: {check.detail}. See `readmission verify`" for check in failed])


def _written_beside(out: Path, files: Mapping[str, bytes]) -> Path:
    """Write the files into a new folder beside the wanted one, readable by its owner only."""
    staged = out.with_name(f".{out.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        staged.mkdir(mode=0o700)
        for name, content in files.items():
            (staged / name).write_bytes(content)
    except OSError as error:
        shutil.rmtree(staged, ignore_errors=True)
        raise BadInput(f"--out: {out} cannot be written ({error.strerror})") from error
    return staged
