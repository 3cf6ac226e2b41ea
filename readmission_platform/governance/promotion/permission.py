"""Who may act: the signed requests for what changes what is live, and the permissions of everything else.

What belongs here: the statement of a request, and whether it counts. What does not: what a role permits (``roles``)
and which roles are in force (``policy.adoption``).

A promotion, a rollback and a release of rows are asked for in a statement that is signed with the key of whoever asks:
of a person, or of a service that the roles name like a person. Training, validating and reading are not signed. Who
does that is what the process says (READMISSION_ACTOR, or its system account): it is recorded as claimed. ``local``, the
environment of one person, asks neither for a role nor for a signature. See docs/separation_of_duties.md.
"""

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from pydantic import ConfigDict, ValidationError

from readmission_platform.foundation.errors import Refused
from readmission_platform.foundation.values import Frozen
from readmission_platform.governance.demo_approver import Signer
from readmission_platform.governance.ledger.binding import LOCAL, installation_of
from readmission_platform.governance.ledger.chain import Event, utc_text
from readmission_platform.governance.policy.adoptable import RolesInForce
from readmission_platform.governance.promotion.case import Condition, condition
from readmission_platform.governance.roles import permitted
from readmission_platform.governance.signatures import is_signed_by, sign

Kind = Literal[
    "version_promoted",
    "version_rolled_back",
    "quarantine_released",
    "identities_merged",
    "identities_parted",
    "drift_acceptance_withdrawn",
    "rollout_started",
    "rollout_advanced",
    "rollout_paused",
    "rollout_resumed",
    "rollout_aborted",
    "rollout_completed",
]
# A request is decided on at once; what waits longer was not meant for this moment. Clocks differ a little.
_VALID_FOR = timedelta(minutes=15)
_CLOCK_TOLERANCE = timedelta(minutes=5)
_SIGN = "Sign it: READMISSION_KEY names the private key of READMISSION_ACTOR (or --key)."


@dataclass(frozen=True)
class Asked:
    """What somebody asks for: the event that would record it, of which model, and what exactly, as plain JSON.

    ``signed`` is ``{"statement", "signature", "public_key"}`` of a :class:`RequestStatement`, or None for a claim.
    """

    kind: Kind
    model: str
    what: Mapping[str, Any]
    actor: str
    reason: str
    signed: Mapping[str, Any] | None = None


class RequestStatement(Frozen):
    """What is signed: exactly these fields, of exactly these types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: Kind
    model: str
    installation: str
    what: dict[str, Any]
    actor: str
    reason: str
    issued_at: str
    nonce: str


class _Request(Protocol):
    """What the requests for a promotion, a rollback and a release have in common."""

    @property
    def what(self) -> dict[str, Any]: ...
    @property
    def actor(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def signed(self) -> Mapping[str, Any] | None: ...


def asked_of(kind: Kind, model: str, request: _Request) -> Asked:
    """Return what a request asks for."""
    return Asked(kind, model, request.what, request.actor, request.reason, request.signed)


def sign_request(asked: Asked, signer: Signer, *, installation: str, now: datetime) -> dict[str, Any]:
    """Sign a request; returns ``{"statement", "signature", "public_key"}``.

    Parameters
    ----------
    installation
        Of the ledger (``binding``): the same request means nothing in another one.
    """
    statement = RequestStatement(
        kind=asked.kind, model=asked.model, installation=installation, what=dict(asked.what), actor=signer.identity,
        reason=asked.reason, issued_at=utc_text(now), nonce=secrets.token_hex(16),
    )  # fmt: skip
    return sign(statement.model_dump(), signer.key)


def request_problem(
    asked: Asked, roles: RolesInForce | None, *, installation: str | None, now: datetime, used_nonces: Collection[str]
) -> str | None:
    """Say why a request does not count as one of whoever asks, or return None.

    Parameters
    ----------
    roles
        Those in force when it was made.
    now
        The moment at which it is, or was, decided on.
    used_nonces
        Of the requests that were carried out before.
    """
    if asked.signed is None:
        return f"{asked.actor or 'nobody'} asks without a signature"
    person = roles.content.people.get(asked.actor) if roles else None
    if person is None or not person.public_key:
        return f"{asked.actor or 'nobody'} has no registered key"
    if not is_signed_by(asked.signed, person.public_key):
        return f"the signature is not one of {asked.actor}'s registered key"
    try:
        statement = RequestStatement.model_validate(asked.signed["statement"])
        issued = datetime.fromisoformat(statement.issued_at)
        timely = now - _VALID_FOR <= issued <= now + _CLOCK_TOLERANCE
    except (ValidationError, ValueError, TypeError):
        return "what was signed is incomplete or in another form"
    wanted = (asked.kind, asked.model, installation, dict(asked.what), asked.actor, asked.reason)
    signed = (statement.kind, statement.model, statement.installation, statement.what, statement.actor,
              statement.reason)  # fmt: skip
    if signed != wanted:
        return "something else was signed"
    if not timely:
        return f"it was signed at {statement.issued_at}, not for this moment"
    return "it was used before" if not statement.nonce or statement.nonce in used_nonces else None


def may_ask(
    asked: Asked,
    permission: str,
    roles: RolesInForce | None,
    *,
    events: Sequence[Event],
    environment_name: str,
    now: datetime,
) -> Condition:
    """Check that whoever asks may do this, and really asks; ``local`` wants a name and no more.

    Parameters
    ----------
    permission
        One of ``governance.roles.PERMISSIONS``.
    roles
        Those in force.
    events
        All events of the model and its environment, in order.
    """
    may = actor_permitted(asked.actor, permission, roles, environment_name=environment_name)
    if may.blocks or environment_name == LOCAL:
        return may
    problem = request_problem(
        asked, roles, installation=installation_of(events), now=now, used_nonces=used_requests(events)
    )
    detail = problem or f"{may.detail}, and signed for this"
    return condition(may.name, problem is None, detail, _SIGN)


def actor_permitted(actor: str, permission: str, roles: RolesInForce | None, *, environment_name: str) -> Condition:
    """Check that whoever claims to act may do this; ``local``, the environment of one person, asks for no role."""
    if environment_name == LOCAL and actor.strip():
        return condition("actor_permitted", True, "local environment: no role is needed", "")
    holds = roles is not None and permitted(roles.content, actor, permission)
    detail = f"{actor or 'nobody'} {'has' if holds else 'does not have'} the permission {permission}"
    return condition("actor_permitted", holds, detail, "Ask somebody whose role permits it (READMISSION_ACTOR).")


def check_permitted(actor: str, permission: str, roles: RolesInForce | None, *, environment_name: str) -> None:
    """Make sure that whoever claims to act may do this; the parameters are those of :func:`actor_permitted`.

    Raises
    ------
    Refused
        When no role of theirs permits it.
    """
    may = actor_permitted(actor, permission, roles, environment_name=environment_name)
    if may.blocks:
        raise Refused([f"{may.detail}. {may.action}"])


# Of an event whose actor is what the process said, without proof.
CLAIMED: dict[str, Any] = {"identity": "claimed"}


def recorded_request(conditions: Iterable[Condition], signed: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what an event records of who asked: the signed request if it counted, or that it was only claimed."""
    refused = any(each.blocks for each in conditions if each.name == "actor_permitted")
    return CLAIMED if signed is None or refused else {"identity": "signed", "request": dict(signed)}


def used_requests(events: Iterable[Event]) -> set[str]:
    """Return the nonces of the requests that were carried out."""
    signed = (event.payload.get("request") for event in events)
    statements = (each.get("statement") for each in signed if isinstance(each, Mapping))
    return {str(statement.get("nonce")) for statement in statements if isinstance(statement, Mapping)}
