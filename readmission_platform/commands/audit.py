"""Commands for the auditor: ``audit export-head`` and ``audit verify``."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from readmission_platform.commands.terminal import Json, home, out, print_json
from readmission_platform.foundation.errors import BadInput, LedgerCorrupt, Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from readmission_platform.governance.demo_approver import Signer
    from readmission_platform.governance.ledger.audit import AuditReport
    from readmission_platform.governance.ledger.chain import Event
    from readmission_platform.governance.ledger.ledger import Ledger
    from readmission_platform.lifecycle.workspace import Platform


def export_head(
    file: Annotated[Path, typer.Option("--out", help="File for the signed head; must not exist yet.")],
    key: Annotated[
        Path | None, typer.Option(help="Your private key; without it the demo approver signs (local).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Verify the ledger and sign where it ends; keep the file where whoever runs the database cannot reach it."""
    from readmission_platform.governance.ledger import audit
    from readmission_platform.lifecycle.workspace import Platform

    platform = Platform(home())
    if file.exists():
        raise BadInput(f"{file} already exists; earlier heads are evidence and are kept")
    with platform.ledger() as ledger:
        head = audit.export_head(ledger, signer_of(platform, key, ledger))
    audit.write_head(head, file)
    if as_json:
        print_json(head)
    else:
        said = head["statement"]
        note = " (demonstration)" if said["demo"] else ""
        out.print(f"head of {said['count']} events signed by {said['signer']}{note}: {file}", markup=False)
        out.print(f"public_key: {head['public_key']}", markup=False, soft_wrap=True)


def signer_of(platform: "Platform", key: Path | None, ledger: "Ledger") -> "Signer":
    """Return who signs: the actor with a key, else the demo approver.

    Raises
    ------
    Refused
        Without a key where there is no demo approver.
    """
    from readmission_platform.governance.demo_approver import Signer, demo_signer
    from readmission_platform.governance.signatures import load_key

    if key is not None:
        return Signer(platform.actor, load_key(key))
    if not platform.has_demo_approver:
        raise Refused([f"there is no demo approver in {platform.environment}: sign with --key"])
    return demo_signer(ledger, platform.settings.keys)


def verify(
    head: Annotated[
        Path | None, typer.Option(help="A head exported earlier: the ledger must still contain everything up to it.")
    ] = None,
    public_key: Annotated[str | None, typer.Option(help="The key that must have signed the head.")] = None,
    as_json: Json = False,
) -> None:
    """Recompute every hash and pointer, and look again at the move behind each pointer.

    Ends with 1 and the first bad sequence number when something does not fit.
    """
    from readmission_platform.governance.ledger import audit
    from readmission_platform.lifecycle.versions.verification import VerificationFailed
    from readmission_platform.lifecycle.workspace import Platform

    if public_key is not None and head is None:
        raise BadInput("--public-key needs --head")
    exported = audit.read_head(head) if head else None
    platform, improper = Platform(home()), {}
    try:
        with platform.ledger() as ledger:
            report = audit.verify(ledger, exported, public_key=public_key)
            if report.ok:
                improper = _improper(report, ledger.events_of_all())
    except LedgerCorrupt as error:  # not even its tables are whole
        report = audit.AuditReport.unreadable(error)
    if improper:
        report = replace(report, ok=False, first_bad_seq=min(improper), problem="; ".join(improper.values()))
    if as_json:
        print_json(report.to_json())
    elif report.ok:
        _show(report)
    if improper:
        raise VerificationFailed(f"the ledger is intact, but what it records was not properly done: {report.problem}")
    if not report.ok:
        raise LedgerCorrupt(f"the ledger is corrupt: {report.problem}", seq=report.first_bad_seq or 0)


def _improper(report: "AuditReport", events: "Sequence[Event]") -> dict[int, str]:
    """Say by event what was not properly done: a version put into its stage, or drift accepted."""
    from readmission_platform.governance.ledger.chain import ENVIRONMENT
    from readmission_platform.governance.promotion.drift_acceptances import improper_acceptances
    from readmission_platform.lifecycle.versions.stages import pointer_problems

    found: dict[int, str] = {}
    for model, pointers in report.pointers.items():
        ours = [event for event in events if event.model in (model, ENVIRONMENT)]
        placed = pointer_problems(ours, pointers)
        found |= {pointers[stage].seq: f"{model}: {problem}" for stage, problem in placed.items()}
        found |= {seq: f"{model}: {problem}" for seq, problem in improper_acceptances(ours).items()}
    return found


def _show(report: "AuditReport") -> None:
    out.print(f"{report.events} events verified; head {report.head_hash}", soft_wrap=True)
    for model, pointers in report.pointers.items():
        for stage, pointer in pointers.items():
            held = f"version {pointer.version} (event {pointer.seq})" if pointer.version else "none"
            out.print(f"  {model}, {stage}: {held}", markup=False)
    if report.exported is not None:
        note = " (demonstration)" if report.exported["demo"] else ""
        out.print(
            f"contains the head of {report.exported['exported_at'][:19]} UTC with {report.exported['count']} events, "
            f"signed by {report.exported['signer']}{note} with the key {report.exported['public_key']}",
            markup=False,
            soft_wrap=True,
        )
