"""Signatures of people: approving a version, and adopting what is proposed.

What belongs here: building the statement from what the ledger holds and having it signed. What does not: whether the
signature counts; ``governance`` decides that when it is used.
"""

from datetime import datetime, timedelta
from pathlib import Path

from readmission_platform.config.rollouts import RolloutRules
from readmission_platform.foundation.errors import BadInput, Refused
from readmission_platform.governance.demo_approver import DEMO_ROLE, Signer, demo_signer
from readmission_platform.governance.ledger.chain import ENVIRONMENT, Event
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.versions import version_records
from readmission_platform.governance.policy.adoption import (
    AdoptionKind,
    adopt,
    counting_demo_keys,
    everything_in_force,
    roles_in_force,
)
from readmission_platform.governance.promotion.approvals import approval_statement, check_approval, sign
from readmission_platform.governance.promotion.decision import Decision, PromotionRequest
from readmission_platform.governance.rollouts.state import rollout_of
from readmission_platform.governance.signatures import load_key
from readmission_platform.lifecycle.proposals import PROPOSALS
from readmission_platform.lifecycle.versions.decisions import consider
from readmission_platform.lifecycle.workspace import Platform, Workspace

DEMO_APPROVAL_DAYS = 7


def waits_for_rollout(ledger: Ledger, rules: RolloutRules) -> bool:
    """Tell whether an approved version waits for its roll-out; a first one has none to be rolled out beside."""
    return rules.wait_for_rollout and ledger.pointers()["production"].version is not None


def after_approval(ledger: Ledger, workspace: Workspace, version: str) -> str:
    """Say what happens next to a version that was just approved."""
    events, pointers = ledger.snapshot()
    given = sum(event.kind == "version_approved" and event.version == version for event in events)
    needed = workspace.promotion_rules.approvals_required
    open_one = rollout_of(events)
    if open_one is not None and open_one.candidate_version == version:
        return "its roll-out goes on: `readmission rollout status`"
    if open_one is not None:
        return f"it waits until the roll-out of version {open_one.candidate_version} is over"
    if given < needed:
        return f"{given} of {needed} approvals are given; it waits for the others"
    if pointers["staging"].version != version:
        return "it waits until it is in staging: `readmission promote --to-stage staging`"
    if waits_for_rollout(ledger, workspace.rules.rollouts):
        return "it waits for its roll-out: `readmission rollout start`"
    if not workspace.rules.sensors_running:
        return "it waits to be promoted: `readmission promote`"
    return "it goes live when the promotion sensor next looks, as soon as every other condition holds too"


def approve_as_demo(decision: Decision, *, ledger: Ledger, workspace: Workspace) -> Event:
    """Let the demo approver sign for a version, naming every gate that could not be judged.

    Raises
    ------
    Refused
        Where demonstrations are not allowed.
    """
    if not workspace.platform.has_demo_approver:
        raise Refused([f"there is no demo approver in {workspace.environment}; a person has to approve"])
    signer = demo_signer(ledger, workspace.settings.keys)
    events, pointers = ledger.snapshot()
    if not counting_demo_keys(events):
        raise Refused(["people have adopted roles here, so the demo approver's signature no longer counts"])
    statement = approval_statement(
        version_records(events, pointers)[decision.request.version],
        in_force=everything_in_force(events),
        approver=signer.identity,
        role=DEMO_ROLE,
        reason=decision.request.reason or "demonstration in a local environment",
        now=ledger.now(),
        valid_for=timedelta(days=DEMO_APPROVAL_DAYS),
        warnings=sorted({gate.gate for gate in decision.gates if gate.result == "insufficient"}),
        demo=True,
    )
    return ledger.append(
        "version_approved",
        sign(statement, signer.key),
        actor=signer.identity,
        version=decision.request.version,
    )


def sign_approval(
    workspace: Workspace,
    *,
    version: str,
    reason: str,
    key: Path | None,
    approver: str | None,
    role: str,
    valid_for: timedelta,
) -> Event:
    """Sign that a version may go into production, and record it; without a key the demo approver signs (local).

    Raises
    ------
    BadInput
        When the version, the key, the approver or the role is unknown, or no reason is given.
    Refused
        When the approval would not count; nothing is recorded.
    """
    if (key is None) != (approver is None):
        raise BadInput("--key and --approver must be given together")
    if not reason.strip():
        raise BadInput("--reason: an approval needs a reason; it is part of the signed statement")
    with workspace.ledger() as ledger:
        decision = _decision(version, reason, ledger, workspace)
        _check_role(role, ledger, demo=key is None)
        _check_approvable(version, ledger)
        if key is None or approver is None:
            return approve_as_demo(decision, ledger=ledger, workspace=workspace)
        events, pointers = ledger.snapshot()
        now_in_force = everything_in_force(events)
        record = version_records(events, pointers)[version]
        unjudged = sorted({gate.gate for gate in decision.gates if gate.result == "insufficient"})
        now = ledger.now()
        statement = approval_statement(
            record, in_force=now_in_force, approver=approver, role=role, reason=reason, now=now,
            valid_for=valid_for, warnings=unjudged,
        )  # fmt: skip
        signed = sign(statement, load_key(key))
        problems = check_approval(
            signed, record=record, in_force=now_in_force, registered_keys={}, now=now,
            used_nonces=(), warnings=unjudged,
        )  # fmt: skip
        if problems:
            raise Refused(problems)
        return ledger.append("version_approved", signed, actor=approver, version=version)


def _check_role(role: str, ledger: Ledger, *, demo: bool) -> None:
    """Check that an approval can be given in a role: it exists, and the demo approver holds no other than its own."""
    roles = roles_in_force(ledger.events())
    known = sorted(roles.content.roles) if roles else []
    if role not in known:
        raise BadInput(f"--role: there is no role {role!r}; known are {', '.join(known)}")
    if demo and role != DEMO_ROLE:
        raise Refused([f"the demo approver holds the role {DEMO_ROLE} and no other"])


def _check_approvable(version: str, ledger: Ledger) -> None:
    """Check that a version is on its way to production."""
    record = version_records(*ledger.snapshot())[version]
    if record.state not in {"candidate", "staging"} or not record.accepted:
        state = record.state if record.validated else "not validated"
        raise Refused([f"version {version} is {state}: only an accepted candidate, or a version in staging, can be "
                       "approved for production"])  # fmt: skip


def _decision(version: str, reason: str, ledger: Ledger, workspace: Workspace) -> Decision:
    request = PromotionRequest(version, "production", workspace.actor, replace=True, reason=reason)
    return consider(request, ledger=ledger, workspace=workspace)


def adopt_proposal(
    platform: Platform,
    kind: AdoptionKind,
    workspace: Workspace | None,
    *,
    key: Path | None,
    signer: str | None,
    asked_at: datetime,
) -> Event:
    """Put something into force as it stands in the checkout.

    Parameters
    ----------
    workspace
        Of the model that it belongs to; None for what belongs to the environment, which may have no model yet.

    Raises
    ------
    BadInput
        When the file lacks something required, or key and signer are not given together.
    Conflict
        When somebody else adopted one after this was asked for.
    Refused
        When the signer may not adopt it.
    """
    model = workspace.name if workspace else None
    content = PROPOSALS[kind].read(platform.settings, model or ENVIRONMENT)
    if (key is None) != (signer is None):
        raise BadInput("--key and --signer must be given together")
    with platform.ledger(model) as ledger:
        if key is not None and signer is not None:
            who = Signer(signer, load_key(key))
        elif platform.has_demo_approver:
            who = demo_signer(ledger, platform.settings.keys)
        else:
            raise Refused([f"there is no demo approver in {platform.environment}: sign with --key and --signer"])
        required = workspace.required if workspace else None
        return adopt(ledger, kind, content, who, required=required, asked_at=asked_at)
