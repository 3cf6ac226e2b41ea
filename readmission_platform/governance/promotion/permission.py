"""Who may ask for a promotion, a rollback or a release of rows: one condition for all three.

What belongs here: the condition. What does not: what a role permits (``roles``) and which roles are in force
(``policy.adoption``).

Whoever acts is who the process says it is (READMISSION_ACTOR, or its system account); a signature is asked for where a
version is approved and where something is adopted. So separation of duties holds as far as system accounts are kept
apart: see docs/separation_of_duties.md.
"""

from readmission_platform.governance.ledger.binding import LOCAL
from readmission_platform.governance.policy.adoptable import RolesInForce
from readmission_platform.governance.promotion.case import Condition, condition
from readmission_platform.governance.roles import permitted


def actor_permitted(actor: str, permission: str, roles: RolesInForce | None, *, environment_name: str) -> Condition:
    """Check that whoever asks may do this; ``local``, the environment of one person, asks for no role.

    Parameters
    ----------
    permission
        One of ``governance.roles.PERMISSIONS``.
    roles
        Those in force.
    """
    if environment_name == LOCAL and actor.strip():
        return condition("actor_permitted", True, "local environment: no role is needed", "")
    holds = roles is not None and permitted(roles.content, actor, permission)
    detail = f"{actor or 'nobody'} {'has' if holds else 'does not have'} the permission {permission}"
    return condition("actor_permitted", holds, detail, "Ask somebody whose role permits it.")
