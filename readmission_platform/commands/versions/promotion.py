"""Commands that say what is live, and change it: ``status``, ``gates``, ``promote`` and ``approve``."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from readmission_platform import summary, tables
from readmission_platform.commands.terminal import (
    ActingKey,
    Json,
    advice,
    launching,
    out,
    print_json,
    records,
    workspace,
)
from readmission_platform.foundation.errors import BadInput, Refused

if TYPE_CHECKING:
    from readmission_platform.lifecycle.workspace import Workspace

LONGEST_APPROVAL_DAYS = 365


def status(as_json: Json = False) -> None:
    """Say what is live, and the state of every version."""
    found = summary.status(records())
    if as_json:
        print_json(found)
    else:
        tables.show_status(out, found)


def gates(
    version: Annotated[str, typer.Argument(help="Version number.")],
    gate: Annotated[str | None, typer.Argument(help="Only this gate: what it requires, and what to do.")] = None,
    as_json: Json = False,
) -> None:
    """Show how any version, even a rejected one, did at each gate, and what to do about the gates it did not pass."""
    found = summary.gates(records(), version)
    if gate is not None:
        found = [result for result in found if result["gate"] == gate]
        if not found:
            raise BadInput(f"version {version} was judged by no gate {gate}; `readmission gates {version}` lists them")
    if as_json:
        print_json(found)
    elif gate is not None:
        for result in found:
            tables.show_gate(out, result)
    else:
        tables.show_gates(out, found)


def promote(
    version: Annotated[str | None, typer.Option(help="Version number.")] = None,
    from_stage: Annotated[
        str | None, typer.Option(help="Promote the version that is now in this stage: staging.")
    ] = None,
    to_stage: Annotated[str, typer.Option(help="staging or production.")] = "production",
    replace: Annotated[
        bool,
        typer.Option("--replace", "--force", help="Acknowledge that a version will be replaced; skips nothing."),
    ] = False,
    reason: Annotated[str, typer.Option(help="Why; recorded.")] = "",
    key: ActingKey = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show every condition; change nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Move a version into a stage, if policy, evidence and approvals allow it."""
    from readmission_platform.lifecycle.versions.decisions import chosen_version
    from readmission_platform.lifecycle.versions.stages import Stage

    for option, value in (("--to-stage", to_stage), ("--from-stage", from_stage)):
        if value is not None and value not in Stage.__members__:
            raise BadInput(f"{option}: {value} is unknown; choose {' or '.join(Stage.__members__)}")
    source = Stage(from_stage) if from_stage else None
    current = workspace(key=key)
    with current.ledger() as ledger:
        chosen = chosen_version(ledger, version or None, source)
    if dry_run:
        show_promotion(current, chosen, to_stage, replace=replace, reason=reason, as_json=as_json)
        return
    from readmission_platform import launcher as lifecycle
    from readmission_platform.assets.model.promotion import PromotionConfig

    asked = PromotionConfig(
        version=version or "", from_stage=source, to_stage=Stage(to_stage), replace=replace, reason=reason
    )
    with launching(current, quiet=as_json) as launcher:
        lifecycle.promote(launcher, asked)
    if as_json:
        print_json(summary.status(current)["stages"])
    else:
        out.print(f"version {chosen} is in {to_stage}")


def show_promotion(
    current: "Workspace", version: str, to_stage: str, *, replace: bool, reason: str, as_json: bool
) -> None:
    """Print every condition and gate of a promotion, which changes nothing; raises ``Refused`` where one blocks."""
    from readmission_platform.governance.promotion.decision import PromotionRequest
    from readmission_platform.lifecycle.asking import signed
    from readmission_platform.lifecycle.versions.decisions import consider

    wanted = PromotionRequest(version, to_stage, current.actor, replace, reason)
    with current.ledger() as ledger:
        request = signed(wanted, "version_promoted", ledger=ledger, workspace=current)
        decision = consider(request, ledger=ledger, workspace=current)
    if as_json:
        conditions = [item.to_json() for item in decision.conditions]
        gates = [gate.to_json() for gate in decision.gates]
        print_json({"version": version, "to_stage": request.to_stage, "allowed": decision.allowed,
                     "conditions": conditions, "gates": gates})  # fmt: skip
    else:
        tables.show_conditions(out, decision.conditions)
        tables.show_gates(out, [gate.to_json() for gate in decision.gates])
        out.print(
            f"version {version} {'may' if decision.allowed else 'may not'} go to {request.to_stage}; nothing changed"
        )
    if not decision.allowed:
        raise Refused(decision.reasons())


def _days(text: str) -> int:
    number = text.removesuffix("d")
    if not (number.isascii() and number.isdigit() and 0 < int(number) <= LONGEST_APPROVAL_DAYS):
        raise BadInput(f"--expires: give days from 1d to {LONGEST_APPROVAL_DAYS}d, not {text}")
    return int(number)


def approve(
    version: Annotated[str, typer.Option(help="Version number.")],
    reason: Annotated[str, typer.Option(help="Why; part of the signed statement.")],
    key: Annotated[
        Path | None, typer.Option(help="Your private key; without it the demo approver signs (local).")
    ] = None,
    approver: Annotated[str | None, typer.Option(help="Who you are in configs/roles.yaml; needed with --key.")] = None,
    role: Annotated[str, typer.Option(help="The role you approve in.")] = "clinical_approver",
    expires: Annotated[str, typer.Option(help="How long the approval can be used, in days, such as 7d.")] = "7d",
    as_json: Json = False,
) -> None:
    """Sign that a version may go into production; the statement names every gate that could not be judged."""
    from readmission_platform.lifecycle.versions.approval import after_approval, sign_approval

    current = workspace()
    event = sign_approval(
        current,
        version=version,
        reason=reason,
        key=key,
        approver=approver,
        role=role,
        valid_for=timedelta(days=_days(expires)),
    )
    with current.ledger() as ledger:
        following = after_approval(ledger, current, version)
    if as_json:
        print_json({"version": version, "event": event.seq, "approver": event.actor, **event.payload["statement"],
                    "next": following})  # fmt: skip
    else:
        warnings_named = ", ".join(event.payload["statement"]["warnings"]) or "none"
        out.print(
            f"version {version} approved by {event.actor} (event {event.seq}); gates not judged: {warnings_named}"
        )
        out.print(advice(f"next: {following}"), markup=False, soft_wrap=True)
