"""Who may do what: permissions by role, and roles by person.

What belongs here: reading a :class:`RolesConfig`. What does not: which roles are in force (``adoption``).
"""

from readmission_platform.config.governance import RolesConfig
from readmission_platform.foundation.errors import BadInput

PERMISSIONS = (
    "train",
    "validate",
    "write_staging",
    "read_production",
    "promote_production",
    "approve",
    "adopt_policy",
    "rollback",
    "run_rollout",
    "drive_rollout",
    "release",
    "administer",
)
# What moving a version into a stage takes.
PERMISSION_TO_ENTER = {"staging": "write_staging", "production": "promote_production"}


def check_roles(roles: RolesConfig) -> None:
    """Check that every permission exists, and that no key belongs to two people.

    Raises
    ------
    BadInput
        Naming the role and the permission that does not exist, or two people with one key.
    """
    holders: dict[str, str] = {}
    for who, person in roles.people.items():
        other = holders.setdefault(person.public_key, who) if person.public_key else who
        if other != who:
            raise BadInput(f"{other} and {who} have the same public key: whoever holds it could sign for both.")
    for role, permissions in roles.roles.items():
        unknown = sorted(set(permissions) - set(PERMISSIONS))
        if unknown:
            known = ", ".join(PERMISSIONS)
            raise BadInput(f"The role {role} has unknown permission(s) {', '.join(unknown)}; known: {known}.")


def role_permits(roles: RolesConfig, role: str, permission: str) -> bool:
    """Tell whether a role, as such, holds a permission; an unknown role holds none."""
    _check_known(permission)
    return permission in roles.roles.get(role, ())


def permitted(roles: RolesConfig, identity: str, permission: str) -> bool:
    """Tell whether one of a person's roles holds a permission; an unknown person holds none.

    Raises
    ------
    BadInput
        When there is no such permission, so that a misspelling never reads as "no".
    """
    _check_known(permission)
    person = roles.people.get(identity)
    return person is not None and any(permission in roles.roles.get(role, ()) for role in person.roles)


def _check_known(permission: str) -> None:
    if permission not in PERMISSIONS:
        raise BadInput(f"There is no permission {permission}; known: {', '.join(PERMISSIONS)}.")
