"""Approvals: what an approver signs, and whether a signed approval counts.

What belongs here: pure functions over statements, and the keys to sign them. What does not: how many
approvals are needed (``promotion``).
"""

import secrets
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import ConfigDict, ValidationError

from readmission_platform.config.governance import RolesConfig
from readmission_platform.foundation.errors import BadInput
from readmission_platform.foundation.values import Frozen
from readmission_platform.governance.demo_approver import DEMO_ROLE
from readmission_platform.governance.ledger.chain import Event, utc_text
from readmission_platform.governance.ledger.versions import VersionRecord
from readmission_platform.governance.policy.adoptable import ADOPTABLE, InForce
from readmission_platform.governance.roles import role_permits
from readmission_platform.governance.signatures import (
    create_key,
    is_signed_by,
    load_key,
    public_key_text,
    sign,
)

__all__ = [
    "MEANING",
    "ApprovalStatement",
    "approval_statement",
    "check_approval",
    "create_key",
    "load_key",
    "public_key_text",
    "recorded_warnings",
    "sign",
    "used_nonces",
]

# A signature without its meaning is no approval (21 CFR 11.50: printed name, date, meaning).
MEANING = "I have reviewed the evidence of this version and approve it for use in production."
# Clocks of two machines differ a little; a statement from further in the future is not believed.
_CLOCK_TOLERANCE = timedelta(minutes=5)
_WORDS = {f"{kind.removesuffix('_adopted')}_digest": each.words for kind, each in ADOPTABLE.items()}


class ApprovalStatement(Frozen):
    """What is signed: exactly these fields, of exactly these types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    model: str
    version: str
    artifact_digest: str
    evidence_digest: str
    roles_digest: str
    promotion_rules_digest: str
    policy_digest: str
    change_plan_digest: str
    monitoring_digest: str
    evaluation_digest: str
    warnings: list[str]
    approver: str
    role: str
    meaning: str
    reason: str
    issued_at: str
    expires_at: str
    nonce: str
    demo: bool


def recorded_warnings(record: VersionRecord) -> list[str]:
    """Return the gates that the last validation could not judge; the approval must name each."""
    return sorted({str(gate.get("gate")) for gate in record.gates if gate.get("result") == "insufficient"})


def approval_statement(
    record: VersionRecord,
    *,
    in_force: InForce,
    approver: str,
    role: str,
    reason: str,
    now: datetime,
    valid_for: timedelta,
    warnings: Collection[str] | None = None,
    demo: bool = False,
) -> dict[str, Any]:
    """Build the statement to sign for one version.

    Parameters
    ----------
    in_force
        What the approval rests on besides the version: from roles to evaluation settings.
    warnings
        Gates that could not be judged and are acknowledged; None for those of the last validation.
    valid_for
        How long the approval can be used.

    Raises
    ------
    BadInput
        When the version has no digests to bind to, the reason is empty, or something is not in force.
    """
    if record.artifact_digest is None or record.evidence_digest is None:
        raise BadInput(f"Version {record.version} has no recorded digests, so there is nothing to approve.")
    if not reason.strip():
        raise BadInput("An approval needs a reason.")
    if in_force.missing:
        raise BadInput(f"Nothing can be approved before it is in force: {', '.join(in_force.missing)}.")
    return ApprovalStatement(
        model=record.model,
        version=record.version,
        artifact_digest=record.artifact_digest,
        evidence_digest=record.evidence_digest,
        **_rests_on(in_force),
        warnings=sorted(recorded_warnings(record) if warnings is None else warnings),
        approver=approver,
        role=role,
        meaning=MEANING,
        reason=reason,
        issued_at=utc_text(now),
        expires_at=utc_text(now + valid_for),
        nonce=secrets.token_hex(16),
        demo=demo,
    ).model_dump()


def check_approval(
    signed: Mapping[str, Any],
    *,
    record: VersionRecord,
    in_force: InForce,
    registered_keys: Mapping[str, str],
    now: datetime,
    used_nonces: Collection[str],
    warnings: Collection[str] | None = None,
) -> list[str]:
    """Say why a signed approval does not count; an empty list means that it does.

    Parameters
    ----------
    signed
        ``{"statement", "signature", "public_key"}`` as :func:`sign` returns it.
    in_force
        Everything in force at the moment that counts, from roles to evaluation settings.
    registered_keys
        Public keys of demo approvers by identity; empty wherever demonstrations do not count.
    used_nonces
        Nonces of approvals that were counted already.
    warnings
        Gates that must be acknowledged in addition to those of the last validation.
    """
    try:
        statement = ApprovalStatement.model_validate(signed.get("statement"))
        issued, expires = _moment(statement.issued_at), _moment(statement.expires_at)
    except (ValidationError, ValueError):
        return ["the statement is incomplete or in another form"]
    if in_force.roles is None or in_force.missing:
        return ["what it is based on is not in force"]
    who, roles = statement.approver, in_force.roles.content
    key = _key_of(statement, roles, registered_keys)
    if key is None:
        return [f"{who} has no registered key"]
    if not is_signed_by(signed, key):
        return [f"the signature is not one of {who}'s registered key"]
    needed = {*recorded_warnings(record), *(warnings or ())}
    unnamed = sorted(needed - set(statement.warnings))
    trainer = roles.people.get(record.trained_by or "")
    holds_role = statement.role == DEMO_ROLE if statement.demo else statement.role in roles.people[who].roles
    changed = [_WORDS[name] for name, digest in _rests_on(in_force).items() if getattr(statement, name) != digest]
    problems = {
        f"it is for {statement.model} version {statement.version}": (statement.model, statement.version)
        != (record.model, record.version),
        "it is for another artifact": statement.artifact_digest != record.artifact_digest,
        "it is for other evidence": statement.evidence_digest != record.evidence_digest,
        f"it was given before what is in force was adopted: {', '.join(changed)}": bool(changed),
        f"it does not name the warning(s) {', '.join(unnamed)}": bool(unnamed),
        f"{who} trained this version": who in (record.trained_by, record.recorded_by),
        f"{who} signs with the key of {record.trained_by}, who trained this version": trainer is not None
        and trainer.public_key == key,
        f"{who} does not hold the role {statement.role}": not holds_role,
        f"the role {statement.role} may not approve": not role_permits(roles, statement.role, "approve"),
        "it does not say that it approves for production": statement.meaning != MEANING,
        "it gives no reason": not statement.reason.strip(),
        "it is dated in the future": issued > now + _CLOCK_TOLERANCE,
        f"it expired at {statement.expires_at}": expires <= now,
        "it was used before": not statement.nonce or statement.nonce in used_nonces,
    }
    return [problem for problem, holds in problems.items() if holds]


def _rests_on(in_force: InForce) -> dict[str, str]:
    return {f"{kind.removesuffix('_adopted')}_digest": digest for kind, digest in in_force.digests.items()}


def used_nonces(events: Sequence[Event]) -> set[str]:
    """Return the nonces of the approvals that a promotion counted."""
    spent: set[int] = set()
    for event in events:
        counted = event.payload.get("approvals")
        if event.kind == "version_promoted" and isinstance(counted, list):
            spent.update(seq for seq in counted if isinstance(seq, int))
    statements = (event.payload.get("statement") for event in events if event.seq in spent)
    return {str(statement.get("nonce")) for statement in statements if isinstance(statement, dict)}


def _key_of(statement: ApprovalStatement, roles: RolesConfig, registered_keys: Mapping[str, str]) -> str | None:
    person = roles.people.get(statement.approver)
    if person is not None:
        return None if statement.demo else person.public_key
    return registered_keys.get(statement.approver) if statement.demo else None


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a moment needs its time zone")
    return moment
