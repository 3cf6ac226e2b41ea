"""Signatures of people: approving a version, adopting a policy or roles.

What belongs here: building the statement from what the ledger holds and having it signed. What does not: whether the
signature counts; ``governance`` decides that when it is used.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from readmission_platform.assets.promotion import approve_as_demo, consider
from readmission_platform.config import Settings, gate_policy, roles_config
from readmission_platform.governance.adoption import adopt, in_force, roles_in_force
from readmission_platform.governance.approvals import approval_statement, check_approval, sign
from readmission_platform.governance.chain import Event
from readmission_platform.governance.demo_approver import Signer, demo_signer
from readmission_platform.governance.errors import BadInput, Refused
from readmission_platform.governance.ledger import Ledger
from readmission_platform.governance.promotion import Decision, PromotionRequest
from readmission_platform.governance.signatures import load_key
from readmission_platform.governance.versions import version_records
from readmission_platform.resources.lake import LakeResource
from readmission_platform.resources.project import ProjectResource
from readmission_platform.resources.tracking import TrackingResource


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
    from readmission_platform.config import model_config

    settings = project.settings
    request = PromotionRequest(version, "production", project.actor, replace=True, reason=reason)
    tracking = TrackingResource(
        uri=settings.mlflow_database,
        artifact_root=str(settings.mlflow_artifacts),
        experiment=model_config(settings).name,
    )
    return consider(
        request, ledger=ledger, project=project, tracking=tracking, lake=LakeResource(root=str(settings.lake))
    )


def adopt_configuration(settings: Settings, *, key: Path | None, signer: str | None, roles: bool) -> Event:
    """Put ``configs/gates.yaml``, or ``configs/roles.yaml``, into force with a signature.

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
        content = roles_config(settings) if roles else gate_policy(settings)
        return adopt(ledger, "roles_adopted" if roles else "policy_adopted", content, who, demo_allowed=demo)
