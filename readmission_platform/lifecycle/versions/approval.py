"""Signatures of people: approving a version, adopting a policy, a change plan or roles.

What belongs here: building the statement from what the ledger holds and having it signed. What does not: whether the
signature counts; ``governance`` decides that when it is used.
"""

from datetime import timedelta
from pathlib import Path

from readmission_platform.config.change_plan import ChangePlan
from readmission_platform.config.files import change_plan_config, gate_policy, roles_config
from readmission_platform.config.governance import EnvironmentConfig, GatePolicy, RolesConfig
from readmission_platform.foundation.errors import BadInput, Refused
from readmission_platform.governance.demo_approver import DEMO_ROLE, Signer, demo_signer
from readmission_platform.governance.ledger.chain import Event
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.versions import version_records
from readmission_platform.governance.policy.adoption import AdoptionKind, adopt, in_force, roles_in_force
from readmission_platform.governance.policy.required import RequiredGates
from readmission_platform.governance.promotion.approvals import approval_statement, check_approval, sign
from readmission_platform.governance.promotion.decision import Decision, PromotionRequest
from readmission_platform.governance.signatures import load_key
from readmission_platform.lifecycle.versions.decisions import consider
from readmission_platform.lifecycle.workspace import Platform, Workspace

DEMO_APPROVAL_DAYS = 7


def approve_as_demo(decision: Decision, *, ledger: Ledger, workspace: Workspace) -> Event:
    """Let the demo approver sign for a version, naming every gate that could not be judged.

    Raises
    ------
    Refused
        Where demonstrations are not allowed.
    """
    rules: EnvironmentConfig = workspace.rules
    if not (rules.demo_approver and workspace.environment == "local"):
        raise Refused([f"there is no demo approver in {workspace.environment}; somebody has to approve"])
    signer = demo_signer(ledger, workspace.settings.keys)
    events, pointers = ledger.snapshot()
    policy = in_force(events)
    if policy is None:
        raise Refused(["no gate policy is in force"])
    statement = approval_statement(
        version_records(events, pointers)[decision.request.version],
        policy_digest=policy.digest,
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
        When the version, the key or the approver is unknown.
    Refused
        When the approval would not count; nothing is recorded.
    """
    if (key is None) != (approver is None):
        raise BadInput("--key and --approver belong together")
    with workspace.ledger() as ledger:
        decision = _decision(version, reason, ledger, workspace)
        if key is None or approver is None:
            return approve_as_demo(decision, ledger=ledger, workspace=workspace)
        events, pointers = ledger.snapshot()
        policy, roles = in_force(events), roles_in_force(events)
        if policy is None or roles is None:
            raise Refused(["no gate policy and roles are in force"])
        record = version_records(events, pointers)[version]
        unjudged = sorted({gate.gate for gate in decision.gates if gate.result == "insufficient"})
        now = ledger.now()
        statement = approval_statement(
            record, policy_digest=policy.digest, approver=approver, role=role, reason=reason, now=now,
            valid_for=valid_for, warnings=unjudged,
        )  # fmt: skip
        signed = sign(statement, load_key(key))
        problems = check_approval(
            signed, record=record, policy_digest=policy.digest, roles=roles.roles, registered_keys={}, now=now,
            used_nonces=(), warnings=unjudged,
        )  # fmt: skip
        if problems:
            raise Refused(problems)
        return ledger.append("version_approved", signed, actor=approver, version=version)


def _decision(version: str, reason: str, ledger: Ledger, workspace: Workspace) -> Decision:
    request = PromotionRequest(version, "production", workspace.actor, replace=True, reason=reason)
    return consider(request, ledger=ledger, workspace=workspace)


def adopt_configuration(workspace: Workspace, kind: AdoptionKind, *, key: Path | None, signer: str | None) -> Event:
    """Put the gate policy or the change plan of a model, as they stand in the checkout, into force with a signature.

    Raises
    ------
    BadInput
        When the file lacks something required, or key and signer are not given together.
    Conflict
        When somebody else adopted one meanwhile.
    Refused
        When the signer may not adopt it.
    """
    content: GatePolicy | ChangePlan
    if kind == "policy_adopted":
        content = gate_policy(workspace.settings, workspace.name)
    else:
        content = change_plan_config(workspace.settings, workspace.name)
    with workspace.ledger() as ledger:
        return _adopted(workspace.platform, ledger, kind, content, workspace.required, key=key, signer=signer)


def adopt_roles(platform: Platform, *, key: Path | None, signer: str | None) -> Event:
    """Put ``configs/roles.yaml`` into force for the whole environment, which may have no model yet.

    Raises
    ------
    BadInput, Conflict, Refused
        As :func:`adopt_configuration`.
    """
    roles = roles_config(platform.settings)
    with platform.ledger() as ledger:
        return _adopted(platform, ledger, "roles_adopted", roles, None, key=key, signer=signer)


def _adopted(
    platform: Platform,
    ledger: Ledger,
    kind: AdoptionKind,
    content: GatePolicy | ChangePlan | RolesConfig,
    required: RequiredGates | None,
    *,
    key: Path | None,
    signer: str | None,
) -> Event:
    if (key is None) != (signer is None):
        raise BadInput("--key and --signer belong together")
    demo = platform.rules.demo_approver and platform.environment == "local"
    if key is not None and signer is not None:
        who = Signer(signer, load_key(key))
    elif demo:
        who = demo_signer(ledger, platform.settings.keys)
    else:
        raise Refused([f"there is no demo approver in {platform.environment}: sign with --key and --signer"])
    return adopt(ledger, kind, content, who, required=required, demo_allowed=demo)
