"""Signatures of people: approving a version, adopting a policy, a change plan or roles.

What belongs here: building the statement from what the ledger holds and having it signed. What does not: whether the
signature counts; ``governance`` decides that when it is used.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from readmission_platform.config.change_plan import ChangePlan
from readmission_platform.config.environment import Settings
from readmission_platform.config.files import change_plan_config, gate_policy, roles_config
from readmission_platform.config.governance import EnvironmentConfig, GatePolicy, RolesConfig
from readmission_platform.foundation.errors import BadInput, Refused
from readmission_platform.governance.demo_approver import DEMO_ROLE, Signer, demo_signer
from readmission_platform.governance.ledger.chain import Event
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.versions import version_records
from readmission_platform.governance.policy.adoption import AdoptionKind, adopt, in_force, roles_in_force
from readmission_platform.governance.policy.required import required_gates
from readmission_platform.governance.promotion.approvals import approval_statement, check_approval, sign
from readmission_platform.governance.promotion.decision import Decision, PromotionRequest
from readmission_platform.governance.signatures import load_key
from readmission_platform.lifecycle.versions.decisions import consider
from readmission_platform.models.readmission_30d.evidence import SCHEMA
from readmission_platform.resources.environment import environment_resources
from readmission_platform.resources.project import ProjectResource

DEMO_APPROVAL_DAYS = 7
_READERS: dict[AdoptionKind, Callable[[Settings], GatePolicy | ChangePlan | RolesConfig]] = {
    "policy_adopted": gate_policy,
    "change_plan_adopted": change_plan_config,
    "roles_adopted": roles_config,
}


def approve_as_demo(decision: Decision, *, ledger: Ledger, project: ProjectResource) -> Event:
    """Let the demo approver sign for a version, naming every gate that could not be judged.

    Raises
    ------
    Refused
        Where demonstrations are not allowed.
    """
    rules: EnvironmentConfig = project.environment_rules
    if not (rules.demo_approver and project.environment == "local"):
        raise Refused([f"there is no demo approver in {project.environment}; somebody has to approve"])
    signer = demo_signer(ledger, project.settings.keys)
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
        now=datetime.now(UTC),
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
    settings: Settings,
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
    project = ProjectResource.of(settings)
    if (key is None) != (approver is None):
        raise BadInput("--key and --approver belong together")
    with project.ledger() as ledger:
        decision = _decision(version, reason, ledger, project)
        if key is None or approver is None:
            return approve_as_demo(decision, ledger=ledger, project=project)
        events, pointers = ledger.snapshot()
        policy, roles = in_force(events), roles_in_force(events)
        if policy is None or roles is None:
            raise Refused(["no gate policy and roles are in force"])
        record = version_records(events, pointers)[version]
        unjudged = sorted({gate.gate for gate in decision.gates if gate.result == "insufficient"})
        now = datetime.now(UTC)
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


def _decision(version: str, reason: str, ledger: Ledger, project: ProjectResource) -> Decision:
    request = PromotionRequest(version, "production", project.actor, replace=True, reason=reason)
    _, tracking, lake = environment_resources(project.settings)
    return consider(request, ledger=ledger, project=project, tracking=tracking, lake=lake)


def adopt_configuration(settings: Settings, kind: AdoptionKind, *, key: Path | None, signer: str | None) -> Event:
    """Put the gate policy, the change plan or the roles of ``configs/`` into force with a signature.

    Raises
    ------
    BadInput
        When the file lacks something required, or key and signer are not given together.
    Refused
        When the signer may not adopt it.
    """
    if (key is None) != (signer is None):
        raise BadInput("--key and --signer belong together")
    project = ProjectResource.of(settings)
    demo = project.environment_rules.demo_approver and settings.environment == "local"
    with project.ledger() as ledger:
        if key is not None and signer is not None:
            who = Signer(signer, load_key(key))
        elif demo:
            who = demo_signer(ledger, settings.keys)
        else:
            raise Refused([f"there is no demo approver in {settings.environment}: sign with --key and --signer"])
        required = None if kind == "roles_adopted" else required_gates(SCHEMA)
        return adopt(ledger, kind, _READERS[kind](settings), who, required=required, demo_allowed=demo)
