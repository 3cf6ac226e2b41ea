"""Asking as whoever acts here: requests signed with their key, and the permissions that are only claimed.

What belongs here: reading key and roles. What does not: whether a request counts (``governance.promotion.permission``).
"""

from dataclasses import replace
from typing import TypeVar

from readmission_platform.foundation.errors import Refused
from readmission_platform.governance.demo_approver import Signer
from readmission_platform.governance.ledger.binding import LOCAL
from readmission_platform.governance.ledger.chain import ENVIRONMENT
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.policy.adoption import in_force_by
from readmission_platform.governance.promotion.case import PromotionRequest
from readmission_platform.governance.promotion.drift_withdrawals import WithdrawalRequest
from readmission_platform.governance.promotion.identities import IdentityRequest
from readmission_platform.governance.promotion.permission import Kind, asked_of, check_permitted, sign_request
from readmission_platform.governance.promotion.quarantine_releases import ReleaseRequest
from readmission_platform.governance.promotion.rollback import RollbackRequest
from readmission_platform.governance.rollouts.start import StartRequest
from readmission_platform.governance.rollouts.steps import StepRequest
from readmission_platform.governance.signatures import load_key
from readmission_platform.lifecycle.workspace import Workspace

Request = TypeVar(
    "Request",
    PromotionRequest,
    RollbackRequest,
    ReleaseRequest,
    IdentityRequest,
    WithdrawalRequest,
    StartRequest,
    StepRequest,
)


def signed(
    request: Request, kind: Kind, *, ledger: Ledger, workspace: Workspace, of_environment: bool = False
) -> Request:
    """Return a request signed with the key of whoever acts (READMISSION_KEY); without one, or in local, it is a claim.

    Parameters
    ----------
    of_environment
        What is asked for concerns every model.

    Raises
    ------
    BadInput
        When the key cannot be read.
    """
    key = workspace.settings.key
    if key is None or workspace.environment == LOCAL:
        return request
    signer = Signer(workspace.actor, load_key(key))
    asked = asked_of(kind, ENVIRONMENT if of_environment else ledger.model, request)
    statement = sign_request(asked, signer, installation=ledger.binding.installation, now=ledger.now())
    return replace(request, signed=statement)


def check_may(permission: str, *, ledger: Ledger, workspace: Workspace) -> None:
    """Make sure that whoever acts, or claims to, has a permission; in local nobody needs one.

    Raises
    ------
    Refused
        When they do not have it.
    """
    roles = in_force_by(ledger, "roles_adopted").roles
    if roles is None and workspace.environment != LOCAL:
        raise Refused(["no roles are in force here: adopt them first (`readmission policy adopt --roles`), then what "
                       "docs/runbook.md lists"])  # fmt: skip
    check_permitted(workspace.actor, permission, roles, environment_name=workspace.environment)
