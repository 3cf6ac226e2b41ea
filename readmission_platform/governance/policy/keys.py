"""The life of a signing key: it comes into force with the roles, is rotated by its owner, or is revoked.

What belongs here: the signed statements, whether they have an effect, and what roles are like after one. What does not:
recording one (``key_changes``), and the roles themselves (``adoption``).

Roles name the key that a person, or a service, has when they are adopted. A rotation or a revocation changes that from
its event on: the former key decides nothing new, and what it signed before is judged by the roles as they were then. No
later roles bring it back. Both are events of the environment, since roles are.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final, Literal

from pydantic import ConfigDict, ValidationError

from readmission_platform.config.governance import RolesConfig
from readmission_platform.foundation.values import Frozen
from readmission_platform.governance.ledger.chain import ENVIRONMENT, Event
from readmission_platform.governance.roles import permitted
from readmission_platform.governance.signatures import is_signed_by

ROTATED: Final = "key_rotated"
REVOKED: Final = "key_revoked"
KEY_CHANGES = (ROTATED, REVOKED)


class KeyStatement(Frozen):
    """What is signed: whose key, which one, and the new one where there is one.

    ``follows_seq`` is the event of the last adoption of roles, or change of a key, before it: nothing can be replayed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: Literal["key_rotated", "key_revoked"]
    installation: str
    identity: str
    public_key: str
    new_public_key: str | None
    reason: str
    signer: str
    follows_seq: int
    signed_at: str


def is_key_change(event: Event) -> bool:
    """Tell whether an event rotates or revokes a key, in the stream where that counts."""
    return event.kind in KEY_CHANGES and event.model == ENVIRONMENT


def change_problem(
    event: Event, roles: RolesConfig | None, *, installation: str | None, retired: Collection[str], last_seq: int
) -> str | None:
    """Say why a rotation or revocation has no effect, or return None.

    Parameters
    ----------
    roles
        Those in force before it, with the keys of then.
    retired
        Every key that was rotated or revoked before.
    last_seq
        Number of the last adoption of roles or change of a key before it; 0 for none.
    """
    try:
        statement = KeyStatement.model_validate(event.payload.get("statement"))
    except ValidationError:
        return "what was signed is incomplete or in another form"
    person = roles.people.get(statement.identity) if roles else None
    signer = roles.people.get(statement.signer) if roles else None
    if roles is None or person is None or person.public_key != statement.public_key:
        return f"{statement.identity} has no such key"
    if signer is None or not signer.public_key or not is_signed_by(event.payload, signer.public_key):
        return f"the signature is not one of {statement.signer}'s registered key"
    owns, administers = statement.signer == statement.identity, permitted(roles, statement.signer, "administer")
    new = statement.new_public_key
    problems = {
        "the signature is for something else": (statement.kind, statement.installation) != (event.kind, installation),
        "it was signed before another change of roles or keys": statement.follows_seq != last_seq,
        "it gives no reason": not statement.reason.strip(),
        "a key is rotated by its owner alone": event.kind == ROTATED and not owns,
        f"{statement.signer} may not do this (permission administer)": not (owns or administers),
        "a rotation names a new key, and a revocation none": (event.kind == ROTATED) != (new is not None),
        "the owner of the new key did not sign": new is not None and not _possessed(event.payload, new),
        "the new key is, or was, a key of somebody here": new in retired or new in _keys(roles),
        "nobody would be left with the permission administer": event.kind == REVOKED
        and not administrators(roles) - {statement.identity},
    }
    return next((problem for problem, holds in problems.items() if holds), None)


def changed(roles: RolesConfig, event: Event) -> RolesConfig:
    """Return the roles as they are after a change of a key that has an effect."""
    statement = event.payload["statement"]
    person = roles.people[statement["identity"]].model_copy(update={"public_key": statement["new_public_key"]})
    return roles.model_copy(update={"people": {**roles.people, statement["identity"]: person}})


def administrators(roles: RolesConfig) -> set[str]:
    """Return who may administer and has a key to do it with."""
    return {who for who, person in roles.people.items() if person.public_key and permitted(roles, who, "administer")}


def retired_key(roles: RolesConfig, retired: Collection[str]) -> str | None:
    """Return who would have a key again, by these roles, that was rotated or revoked; None when nobody would."""
    return next((who for who, person in roles.people.items() if person.public_key in retired), None)


def _possessed(payload: Mapping[str, Any], new: str) -> bool:
    """Tell whether the new key signed the statement as well: nobody registers a key that they do not have."""
    return is_signed_by({"statement": payload["statement"], "signature": payload.get("new_signature"),
                         "public_key": new}, new)  # fmt: skip


def _keys(roles: RolesConfig) -> set[str | None]:
    return {person.public_key for person in roles.people.values()}
