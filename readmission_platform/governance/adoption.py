"""Which gate policy and which roles are in force: the content of signed ledger events, never a file.

What belongs here: adopting, and reading what is in force. What does not: applying either.

The first roles of an environment vouch for themselves: their signer must be among them and may administer.
Whoever sets up an environment therefore adopts roles before anybody else can write to its ledger.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from readmission_platform.config import EnvironmentConfig, GatePolicy, RolesConfig, digest_of
from readmission_platform.governance.chain import Event, utc_text
from readmission_platform.governance.demo_approver import Signer, demo_keys, demo_signer
from readmission_platform.governance.errors import BadInput, Refused
from readmission_platform.governance.ledger import Ledger
from readmission_platform.governance.policy import check_policy
from readmission_platform.governance.roles import check_roles, permitted
from readmission_platform.governance.signatures import is_signed_by, sign

AdoptionKind = Literal["policy_adopted", "roles_adopted"]
_PERMISSION: dict[str, str] = {"policy_adopted": "adopt_policy", "roles_adopted": "administer"}
Content = TypeVar("Content", bound=BaseModel)


@dataclass(frozen=True)
class PolicyInForce:
    """The gate policy in force, and the event that made it so."""

    policy: GatePolicy
    digest: str
    seq: int
    adopted_by: str
    adopted_at: str
    demo: bool


@dataclass(frozen=True)
class RolesInForce:
    """The roles in force, and the event that made them so."""

    roles: RolesConfig
    digest: str
    seq: int
    adopted_by: str
    adopted_at: str
    demo: bool


@dataclass(frozen=True)
class _InForce:
    policy: PolicyInForce | None = None
    roles: RolesInForce | None = None


def in_force(events: Iterable[Event], *, demo_allowed: bool = True) -> PolicyInForce | None:
    """Return the policy in force, or None. Adoptions that are not properly signed have no effect.

    Parameters
    ----------
    events
        All events of one model, in order.
    demo_allowed
        Whether a demo approver's signature counts (in ``local`` only).
    """
    return _replay(events, demo_allowed=demo_allowed).policy


def roles_in_force(events: Iterable[Event], *, demo_allowed: bool = True) -> RolesInForce | None:
    """Return the roles in force, or None; parameters as for :func:`in_force`."""
    return _replay(events, demo_allowed=demo_allowed).roles


def adopt(
    ledger: Ledger,
    kind: AdoptionKind,
    content: GatePolicy | RolesConfig,
    signer: Signer,
    *,
    demo_allowed: bool = True,
) -> Event:
    """Put a policy or roles into force with a signature; ``demo_allowed`` as for :func:`in_force`.

    Raises
    ------
    BadInput
        When the content lacks something that is required of it.
    Refused
        When the signer may not adopt it, or signs with another key than the registered one.
    """
    _check_content(kind, content)
    events = ledger.events()
    before = _replay(events, demo_allowed=demo_allowed)
    last_seq = max((event.seq for event in events if event.kind == kind), default=0)
    plain = content.model_dump(mode="json")
    statement = {
        "kind": kind,
        "model": ledger.model,
        "digest": digest_of(plain),
        "follows_seq": last_seq,
        "signer": signer.identity,
        "signed_at": utc_text(datetime.now(UTC)),
        "demo": signer.demo,
    }
    payload = {
        "digest": statement["digest"],
        "content": plain,
        "demo": signer.demo,
        **sign(statement, signer.key),
    }
    proposed = Event(0, ledger.model, "", kind, None, signer.identity, payload, "", "")
    problem = _problem(proposed, before, demo_keys(events) if demo_allowed else {}, last_seq)
    if problem:
        raise Refused([f"{kind.replace('_adopted', '')} not adopted: {problem}"])
    return ledger.append(kind, payload, actor=signer.identity)


def ensure_adopted(
    ledger: Ledger, *, policy: GatePolicy, roles: RolesConfig, environment: EnvironmentConfig, keys: Path
) -> PolicyInForce:
    """Return the policy in force, adopting policy and roles on first use where the environment allows it.

    Parameters
    ----------
    policy, roles
        As they stand in the checkout; used on first adoption only.
    keys
        Folder of secret keys, for the demo approver.

    Raises
    ------
    Refused
        When nothing is in force and a person has to adopt it.
    """
    allowed = environment.demo_approver
    now = _replay(ledger.events(), demo_allowed=allowed)
    if now.policy and now.roles:
        return now.policy
    if not (environment.adopt_policy_on_first_use and allowed):
        raise Refused(
            ["no gate policy and roles are in force here: adopt the roles, then the policy, with a signature"]
        )
    signer = demo_signer(ledger, keys)
    if not now.roles:
        adopt(ledger, "roles_adopted", roles, signer)
    if not now.policy:
        adopt(ledger, "policy_adopted", policy, signer)
    adopted = in_force(ledger.events())
    if adopted is None:
        raise Refused(["the adopted gate policy did not come into force: run the audit of the ledger"])
    return adopted


def _check_content(kind: AdoptionKind, content: GatePolicy | RolesConfig) -> None:
    if kind == "policy_adopted" and isinstance(content, GatePolicy):
        check_policy(content, "real")
        check_policy(content, "synthetic")
    elif kind == "roles_adopted" and isinstance(content, RolesConfig):
        check_roles(content)
    else:
        raise BadInput(f"{kind} does not go with {type(content).__name__}.")


def _replay(events: Iterable[Event], *, demo_allowed: bool) -> _InForce:
    state = _InForce()
    announced: list[Event] = []
    last_seq = dict.fromkeys(_PERMISSION, 0)
    for event in events:
        if event.kind == "demo_approver_created" and demo_allowed:
            announced.append(event)
        if event.kind not in _PERMISSION:
            continue
        problem = _problem(event, state, demo_keys(announced), last_seq[event.kind])
        last_seq[event.kind] = event.seq
        if problem:
            continue
        adopted = {
            "digest": event.payload["digest"],
            "seq": event.seq,
            "adopted_by": event.payload["statement"]["signer"],
            "adopted_at": event.at,
            "demo": event.payload["statement"]["demo"],
        }
        if event.kind == "policy_adopted":
            policy = GatePolicy.model_validate(event.payload["content"])
            state = replace(state, policy=PolicyInForce(policy, **adopted))
        else:
            roles = RolesConfig.model_validate(event.payload["content"])
            state = replace(state, roles=RolesInForce(roles, **adopted))
    return state


def _problem(event: Event, state: _InForce, announced: Mapping[str, str], last_seq: int) -> str | None:
    """Say why an adoption has no effect, or return None.

    A statement names the adoption it follows, so that an old one cannot be replayed to bring back a looser
    policy.
    """
    is_policy = event.kind == "policy_adopted"
    content = _parsed(event.payload.get("content"), GatePolicy if is_policy else RolesConfig)
    statement = event.payload.get("statement")
    if content is None or not isinstance(statement, dict):
        return "its content cannot be read"
    digest = digest_of(event.payload["content"])
    if not (digest == event.payload.get("digest") == statement.get("digest")):
        return "its digest is not that of its content"
    if (statement.get("kind"), statement.get("model")) != (event.kind, event.model):
        return "the signature is for something else"
    if statement.get("follows_seq") != last_seq:
        return "it was signed to follow another adoption than the last one"
    signer = statement.get("signer")
    if not isinstance(signer, str):
        return "it has no signer"
    if statement.get("demo") is True:
        key = announced.get(signer)
        return None if key and is_signed_by(event.payload, key) else f"{signer} is no demo approver here"
    deciding = state.roles.roles if state.roles else content
    if statement.get("demo") is not False or not isinstance(deciding, RolesConfig):
        return "roles must be adopted first"
    person = deciding.people.get(signer)
    if person is None or not permitted(deciding, signer, _PERMISSION[event.kind]):
        return f"{signer} may not do this (permission {_PERMISSION[event.kind]})"
    if not person.public_key or not is_signed_by(event.payload, person.public_key):
        return f"the signature is not one of {signer}'s registered key"
    return None


def _parsed(content: Any, model: type[Content]) -> Content | None:
    try:
        return model.model_validate(content)
    except ValidationError:
        return None
