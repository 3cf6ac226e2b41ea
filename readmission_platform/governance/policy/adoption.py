"""Which gate policy, change plan and roles are in force: the content of signed ledger events, never a file.

What belongs here: adopting, and reading what is in force. What does not: applying either.

The first roles of an environment vouch for themselves: their signer must be among them and may administer.
Whoever sets up an environment therefore adopts roles before anybody else can write to its ledger.

These roles hold for every model of the environment, also for one that is added later. A gate policy or a change plan
belongs to one model. The signed statement names what the adoption is for, a model or the environment, and an adoption
in another stream of the ledger has no effect.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from readmission_platform.config.change_plan import ChangePlan
from readmission_platform.config.governance import EnvironmentConfig, GatePolicy, RolesConfig
from readmission_platform.foundation.errors import BadInput, Conflict, Refused
from readmission_platform.foundation.values import digest_of
from readmission_platform.governance.demo_approver import ANNOUNCED, Signer, demo_keys, demo_signer
from readmission_platform.governance.ledger.chain import ENVIRONMENT, Event, utc_text
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.policy.adoptable import (
    ADOPTABLE,
    Adoption,
    AdoptionKind,
    InForce,
    PlanInForce,
    PolicyInForce,
    RolesInForce,
    check_content,
    is_adoption,
)
from readmission_platform.governance.policy.required import RequiredGates
from readmission_platform.governance.roles import permitted
from readmission_platform.governance.signatures import is_signed_by, sign

__all__ = [
    "AdoptionKind",
    "PlanInForce",
    "PolicyInForce",
    "RolesInForce",
    "adopt",
    "adoptions_with_effect",
    "ensure_adopted",
    "everything_in_force",
    "in_force",
    "plan_in_force",
    "roles_ever_in_force",
    "roles_in_force",
]


def everything_in_force(events: Iterable[Event], *, demo_allowed: bool = True) -> InForce:
    """Return policy, change plan and roles in force. Adoptions that are not properly signed have no effect.

    Parameters
    ----------
    events
        All events of one model and its environment, in order, as ``Ledger.events()`` returns them.
    demo_allowed
        Whether a demo approver's signature counts (in ``local`` only).
    """
    found = {event.kind: (_adoption(event), content) for event, content in _effective(events, demo_allowed)}
    policy, plan, roles = (found.get(kind) for kind in ("policy_adopted", "change_plan_adopted", "roles_adopted"))
    return InForce(
        policy=PolicyInForce(**vars(policy[0]), policy=policy[1]) if policy else None,
        plan=PlanInForce(**vars(plan[0]), plan=plan[1]) if plan else None,
        roles=RolesInForce(**vars(roles[0]), roles=roles[1]) if roles else None,
    )


def in_force(events: Iterable[Event], *, demo_allowed: bool = True) -> PolicyInForce | None:
    """Return the policy in force, or None; parameters as for :func:`everything_in_force`."""
    return everything_in_force(events, demo_allowed=demo_allowed).policy


def plan_in_force(events: Iterable[Event], *, demo_allowed: bool = True) -> PlanInForce | None:
    """Return the change plan in force, or None; parameters as for :func:`everything_in_force`."""
    return everything_in_force(events, demo_allowed=demo_allowed).plan


def roles_in_force(events: Iterable[Event], *, demo_allowed: bool = True) -> RolesInForce | None:
    """Return the roles in force, or None; parameters as for :func:`everything_in_force`."""
    return everything_in_force(events, demo_allowed=demo_allowed).roles


def roles_ever_in_force(events: Iterable[Event], *, demo_allowed: bool) -> list[RolesConfig]:
    """Return all roles that were ever in force, the latest last; parameters as for :func:`everything_in_force`."""
    adopted = adoptions_with_effect(events, demo_allowed=demo_allowed)
    return [content for _, content in adopted if isinstance(content, RolesConfig)]


def adoptions_with_effect(events: Iterable[Event], *, demo_allowed: bool) -> list[tuple[Event, Any]]:
    """Return each adoption that ever had an effect, with its content; parameters as for :func:`everything_in_force`."""
    return list(_effective(events, demo_allowed))


def adopt(
    ledger: Ledger,
    kind: AdoptionKind,
    content: GatePolicy | ChangePlan | RolesConfig,
    signer: Signer,
    *,
    required: RequiredGates | None = None,
    demo_allowed: bool = True,
) -> Event:
    """Put a policy, a change plan or roles into force with a signature.

    Parameters
    ----------
    ledger
        For a policy or a change plan, that of its model. Roles go to the environment from any model's ledger, or from
        the environment's own where there is no model yet.
    required
        As for :func:`check_content`.
    demo_allowed
        As for :func:`everything_in_force`.

    Raises
    ------
    BadInput
        When the content lacks something that is required of it, or belongs to a model and the ledger is that of the
        environment.
    Refused
        When the signer may not adopt it, or signs with another key than the registered one.
    Conflict
        When somebody else adopted something at the same moment that this adoption depends on.
    """
    events = ledger.events()
    return _adopt_after(events, ledger, kind, content, signer, required=required, demo_allowed=demo_allowed)


def _adopt_after(
    events: Sequence[Event],
    ledger: Ledger,
    kind: AdoptionKind,
    content: GatePolicy | ChangePlan | RolesConfig,
    signer: Signer,
    *,
    required: RequiredGates | None,
    demo_allowed: bool = True,
) -> Event:
    """Adopt something provided that these events are still all that it depends on; raises as :func:`adopt` does."""
    adoptable = check_content(kind, content, required=required)
    if ledger.model == ENVIRONMENT and not adoptable.of_environment:
        raise BadInput(f"A {adoptable.words} belongs to a model, and no model is named.")
    stream = adoptable.stream(ledger.model)
    before = roles_in_force(events, demo_allowed=demo_allowed)
    last_seq = max((event.seq for event in events if event.kind == kind and is_adoption(event)), default=0)
    plain = content.model_dump(mode="json")
    statement = {
        "kind": kind,
        "model": stream,
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
    proposed = Event(0, stream, "", kind, None, signer.identity, payload, "", "")
    deciding = before.roles if before else None
    problem = _problem(proposed, deciding, demo_keys(events) if demo_allowed else {}, last_seq)
    if problem:
        raise Refused([f"{adoptable.words} not adopted: {problem}"])
    return ledger.append(
        kind,
        payload,
        actor=signer.identity,
        of_environment=adoptable.of_environment,
        since=events[-1].seq if events else 0,
        binding_kinds=(kind, "roles_adopted", ANNOUNCED),
    )


def ensure_adopted(
    ledger: Ledger,
    *,
    policy: GatePolicy,
    plan: ChangePlan,
    roles: RolesConfig,
    required: RequiredGates,
    environment: EnvironmentConfig,
    keys: Path,
) -> PolicyInForce:
    """Return the policy in force, adopting policy, plan and roles on first use where the environment allows it.

    Several processes may do so at the same moment, for one model or for several: each adoption is made once, and
    whoever comes second takes what is there.

    Parameters
    ----------
    ledger
        Of the model whose policy and plan they are; the roles are adopted for the environment.
    policy, plan, roles
        As they stand in the checkout; used on first adoption only.
    required
        The gates that the model requires.
    keys
        Folder of secret keys, for the demo approver.

    Raises
    ------
    Refused
        When roles, policy or plan are not in force and a person has to adopt them.
    """
    allowed = environment.demo_approver
    contents: dict[AdoptionKind, GatePolicy | ChangePlan | RolesConfig] = {
        "roles_adopted": roles,
        "policy_adopted": policy,
        "change_plan_adopted": plan,
    }
    now = everything_in_force(ledger.events(), demo_allowed=allowed)
    if now.missing:
        wanted = ", ".join(ADOPTABLE[kind].words for kind in now.missing)
        if not (environment.adopt_policy_on_first_use and allowed):
            raise Refused([f"not in force here: {wanted}; adopt them in this order, each with a signature"])
        signer = demo_signer(ledger, keys)
        for kind in now.missing:
            _adopt_unless_there(ledger, kind, contents[kind], signer, required)
        now = everything_in_force(ledger.events(), demo_allowed=allowed)
    if now.policy is None or now.missing:
        raise Refused(["what was adopted did not come into force: run the audit of the ledger"])
    return now.policy


def _adopt_unless_there(
    ledger: Ledger,
    kind: AdoptionKind,
    content: GatePolicy | ChangePlan | RolesConfig,
    signer: Signer,
    required: RequiredGates,
) -> None:
    """Adopt something for the first time, unless another process has done so by now or does so at this moment."""
    events = ledger.events()
    if kind not in everything_in_force(events).missing:
        return
    try:
        _adopt_after(events, ledger, kind, content, signer, required=required)
    except Conflict:
        if kind in everything_in_force(ledger.events()).missing:
            raise


def _effective(events: Iterable[Event], demo_allowed: bool) -> Iterator[tuple[Event, Any]]:
    """Yield each adoption that has an effect, with its content, in order; each is judged by the roles before it."""
    roles: RolesConfig | None = None
    announced: list[Event] = []
    last_seq = dict.fromkeys(ADOPTABLE, 0)
    for event in events:
        if event.kind == ANNOUNCED and demo_allowed:
            announced.append(event)
        if not is_adoption(event):
            continue
        problem = _problem(event, roles, demo_keys(announced), last_seq[event.kind])
        last_seq[event.kind] = event.seq
        if problem is None:
            content = ADOPTABLE[event.kind].model.model_validate(event.payload["content"])
            roles = content if isinstance(content, RolesConfig) else roles
            yield event, content


def _adoption(event: Event) -> Adoption:
    statement = event.payload["statement"]
    return Adoption(event.payload["digest"], event.seq, statement["signer"], event.at, statement["demo"])


def _problem(event: Event, roles: RolesConfig | None, announced: Mapping[str, str], last_seq: int) -> str | None:
    """Say why an adoption has no effect, or return None; ``roles`` are those in force before it.

    A statement names the adoption it follows, so that an old one cannot be replayed to bring back a looser
    policy.
    """
    adoptable = ADOPTABLE[event.kind]
    content = _parsed(event.payload.get("content"), adoptable.model)
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
    deciding = roles if roles is not None else content
    if statement.get("demo") is not False or not isinstance(deciding, RolesConfig):
        return "roles must be adopted first"
    person = deciding.people.get(signer)
    if person is None or not permitted(deciding, signer, adoptable.permission):
        return f"{signer} may not do this (permission {adoptable.permission})"
    if not person.public_key or not is_signed_by(event.payload, person.public_key):
        return f"the signature is not one of {signer}'s registered key"
    return None


def _parsed(content: Any, model: type[BaseModel]) -> BaseModel | None:
    try:
        return model.model_validate(content)
    except ValidationError:
        return None
