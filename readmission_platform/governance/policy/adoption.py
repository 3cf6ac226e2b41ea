"""What is in force, from gate policy to roles: the content of signed ledger events, never a file.

What belongs here: adopting, and reading what is in force. What does not: applying either.

The first roles of an environment vouch for themselves: their signer must be among them and may administer.
Whoever sets up an environment therefore adopts roles before anybody else can write to its ledger.

These roles, and the promotion rules, hold for every model of the environment, also for one that is added later. A gate
policy or a change plan belongs to one model. The signed statement names what the adoption is for, a model or the
environment, and an adoption in another stream of the ledger has no effect.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from readmission_platform.config.governance import EnvironmentConfig, RolesConfig
from readmission_platform.foundation.errors import BadInput, Conflict, Refused
from readmission_platform.foundation.values import digest_of
from readmission_platform.governance.demo_approver import ANNOUNCED, Signer, demo_keys, demo_signer
from readmission_platform.governance.ledger.binding import CREATED, LOCAL, environment_of, installation_of
from readmission_platform.governance.ledger.chain import ENVIRONMENT, Event, utc_text
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.policy.adoptable import (
    ADOPTABLE,
    Adopted,
    AdoptionKind,
    Content,
    InForce,
    PlanInForce,
    PolicyInForce,
    RolesInForce,
    check_content,
    is_adoption,
)
from readmission_platform.governance.policy.keys import (
    KEY_CHANGES,
    administrators,
    change_problem,
    changed,
    is_key_change,
    retired_key,
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
    "announced_demo_keys",
    "counting_demo_keys",
    "demonstrations_count",
    "ensure_adopted",
    "everything_in_force",
    "in_force",
    "in_force_by",
    "in_force_of",
    "plan_in_force",
    "retired_keys",
    "roles_ever_in_force",
    "roles_in_force",
]


def everything_in_force(events: Iterable[Event]) -> InForce:
    """Return everything in force. Adoptions that are not properly signed have no effect.

    A demo approver's signature counts in a ledger of ``local`` only, and only until people have adopted roles.

    Parameters
    ----------
    events
        All events of one model and its environment, in order, as ``Ledger.events()`` returns them.
    """
    return in_force_of(_effective(events))


def in_force_of(adopted: Iterable[tuple[Event, Any]]) -> InForce:
    """Return what adoptions with an effect, in order, leave in force."""
    found: dict[str, Adopted[Any]] = {}
    for event, content in adopted:
        if is_key_change(event):  # the roles are those that were adopted, with another key
            found["roles_adopted"] = replace(found["roles_adopted"], content=content)
        else:
            found[event.kind] = _adopted(event, content)
    return InForce(*(found.get(kind) for kind in get_args(AdoptionKind)))


def in_force(events: Iterable[Event]) -> PolicyInForce | None:
    """Return the policy in force, or None."""
    return everything_in_force(events).policy


def plan_in_force(events: Iterable[Event]) -> PlanInForce | None:
    """Return the change plan in force, or None."""
    return everything_in_force(events).plan


def roles_in_force(events: Iterable[Event]) -> RolesInForce | None:
    """Return the roles in force, or None."""
    return everything_in_force(events).roles


def in_force_by(ledger: Ledger, kind: AdoptionKind) -> InForce:
    """Return what is in force by adoptions of one kind, and the roles; reads no more of a long ledger than it takes."""
    kinds = dict.fromkeys((CREATED, ANNOUNCED, "roles_adopted", *KEY_CHANGES, kind))
    events = [event for each in kinds for event in ledger.events(kind=each)]
    return everything_in_force(sorted(events, key=lambda event: event.seq))


def retired_keys(events: Iterable[Event]) -> set[str]:
    """Return every public key that was rotated or revoked."""
    return {event.payload["statement"]["public_key"] for event, _ in _effective(events) if is_key_change(event)}


def roles_ever_in_force(events: Iterable[Event]) -> list[RolesConfig]:
    """Return all roles that were ever in force, the latest last."""
    adopted = adoptions_with_effect(events)
    return [content for _, content in adopted if isinstance(content, RolesConfig)]


def adoptions_with_effect(events: Iterable[Event]) -> list[tuple[Event, Any]]:
    """Return each adoption that ever had an effect, with its content; of a changed key, the roles after it."""
    return list(_effective(events))


def announced_demo_keys(events: Sequence[Event]) -> dict[str, str]:
    """Return the public keys of demo approvers by identity; there are none in a ledger of another environment."""
    return demo_keys(events) if environment_of(events) == LOCAL else {}


def counting_demo_keys(events: Sequence[Event]) -> dict[str, str]:
    """Return the public keys of the demo approvers whose signatures count now: none once people have adopted roles."""
    return announced_demo_keys(events) if demonstrations_count(everything_in_force(events)) else {}


def demonstrations_count(now: InForce) -> bool:
    """Tell whether a demo approver's signature counts besides what is in force: until people have adopted roles."""
    return now.roles is None or now.roles.demo


def adopt(
    ledger: Ledger,
    kind: AdoptionKind,
    content: Content,
    signer: Signer,
    *,
    required: RequiredGates | None = None,
    asked_at: datetime | None = None,
) -> Event:
    """Put a policy, a change plan or roles into force with a signature.

    Parameters
    ----------
    ledger
        For a policy or a change plan, that of its model. Roles go to the environment from any model's ledger, or from
        the environment's own where there is no model yet.
    required
        As for :func:`check_content`.
    asked_at
        When the signer asked for it, if that was earlier: whoever signs has not seen what was adopted since.

    Raises
    ------
    BadInput
        When the content lacks something that is required of it, or belongs to a model and the ledger is that of the
        environment.
    Refused
        When the signer may not adopt it, or signs with another key than the registered one.
    Conflict
        When somebody else adopted something at the same moment that this adoption depends on, or the same kind of
        thing after this was asked for.
    """
    events = ledger.events()
    unseen = [event for event in events if event.kind == kind and is_adoption(event)
              and asked_at is not None and event.at > utc_text(asked_at)]  # fmt: skip
    if unseen:
        raise Conflict(f"Somebody was first: event {unseen[-1].seq} by {unseen[-1].actor} was adopted in the meantime. "
                       "Look at what is in force now, then decide again.")  # fmt: skip
    return _adopt_after(events, ledger, kind, content, signer, required=required)


def _adopt_after(
    events: Sequence[Event],
    ledger: Ledger,
    kind: AdoptionKind,
    content: Content,
    signer: Signer,
    *,
    required: RequiredGates | None,
) -> Event:
    """Adopt something provided that these events are still all that it depends on; raises as :func:`adopt` does."""
    adoptable = check_content(kind, content, required=required)
    if ledger.model == ENVIRONMENT and not adoptable.of_environment:
        raise BadInput(f"A {adoptable.words} belongs to a model, and no model is named.")
    stream = adoptable.stream(ledger.model)
    before = roles_in_force(events)
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
    deciding = before.content if before else None
    problem = _problem(proposed, deciding, counting_demo_keys(events), last_seq, retired_keys(events))
    if problem:
        raise Refused([f"{adoptable.words} not adopted: {problem}"])
    return ledger.append(
        kind,
        payload,
        actor=signer.identity,
        of_environment=adoptable.of_environment,
        since=events[-1].seq if events else 0,
        binding_kinds=(kind, "roles_adopted", *KEY_CHANGES, ANNOUNCED),
    )


def ensure_adopted(
    ledger: Ledger,
    *,
    contents: Mapping[AdoptionKind, Content],
    required: RequiredGates,
    environment: EnvironmentConfig,
    keys: Path,
) -> PolicyInForce:
    """Return the policy in force, adopting what is missing on first use where the environment allows it.

    Several processes may do so at the same moment, for one model or for several: each adoption is made once, and
    whoever comes second takes what is there.

    Parameters
    ----------
    ledger
        Of the model; roles and promotion rules are adopted for the environment.
    contents
        Everything that can be adopted, as it stands in the checkout; used on first adoption only.
    required
        The gates that the model requires.
    keys
        Folder of secret keys, for the demo approver.

    Raises
    ------
    Refused
        When something is not in force and a person has to adopt it.
    """
    allowed = environment.demo_approver
    now = everything_in_force(ledger.events())
    if now.missing:
        wanted = ", ".join(ADOPTABLE[kind].words for kind in now.missing)
        if not (environment.adopt_policy_on_first_use and allowed):
            raise Refused([f"not in force here: {wanted}; adopt them in this order, each with a signature "
                           "(`readmission policy adopt`, docs/runbook.md)"])  # fmt: skip
        signer = demo_signer(ledger, keys)
        for kind in now.missing:
            _adopt_unless_there(ledger, kind, contents[kind], signer, required)
        now = everything_in_force(ledger.events())
    if now.policy is None or now.missing:
        raise Refused(["what was adopted did not come into force: run the audit of the ledger"])
    return now.policy


def _adopt_unless_there(
    ledger: Ledger,
    kind: AdoptionKind,
    content: Content,
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


def _effective(events: Iterable[Event]) -> Iterator[tuple[Event, Any]]:
    """Yield each adoption that has an effect, with its content, in order; each is judged by the roles before it."""
    seen = list(events)
    roles: RolesConfig | None = None
    announced: list[Event] = []
    last_seq = dict.fromkeys(ADOPTABLE, 0)
    demo_counts = environment_of(seen) == LOCAL
    keys = _KeyLife(installation_of(seen))
    for event in seen:
        if event.kind == ANNOUNCED and demo_counts:
            announced.append(event)
        if is_key_change(event) and roles is not None and keys.takes(event, roles):
            roles = changed(roles, event)
            yield event, roles
        if not is_adoption(event):
            continue
        problem = _problem(event, roles, demo_keys(announced), last_seq[event.kind], keys.retired)
        last_seq[event.kind] = event.seq
        if problem is None:
            content = ADOPTABLE[event.kind].model.model_validate(event.payload["content"])
            if isinstance(content, RolesConfig):
                roles, keys.last_seq = content, event.seq
                if event.payload["statement"]["demo"] is False:  # from now on people decide
                    demo_counts, announced = False, []
            yield event, content


class _KeyLife:
    """The keys that were rotated or revoked so far, and the last event that decided about keys."""

    def __init__(self, installation: str | None) -> None:
        self.installation, self.last_seq = installation, 0
        self.retired: set[str] = set()

    def takes(self, event: Event, roles: RolesConfig) -> bool:
        """Take a change of a key in, if it has an effect; tell whether it has."""
        problem = change_problem(
            event, roles, installation=self.installation, retired=self.retired, last_seq=self.last_seq
        )
        if problem is None:
            self.retired.add(event.payload["statement"]["public_key"])
            self.last_seq = event.seq
        return problem is None


def _adopted(event: Event, content: Content) -> Adopted[Any]:
    statement = event.payload["statement"]
    return Adopted(content, event.payload["digest"], event.seq, statement["signer"], event.at, statement["demo"])


def _problem(
    event: Event,
    roles: RolesConfig | None,
    announced: Mapping[str, str],
    last_seq: int,
    retired: Collection[str],
) -> str | None:
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
    if isinstance(content, RolesConfig) and (whose := retired_key(content, retired)):
        return f"it gives {whose} a key that was rotated or revoked"
    if isinstance(content, RolesConfig) and statement.get("demo") is False and not administrators(content):
        return "nobody with a key could administer any more, and there would be no way back"
    return _signature_problem(event, content, roles, announced)


def _signature_problem(
    event: Event, content: BaseModel, roles: RolesConfig | None, announced: Mapping[str, str]
) -> str | None:
    """Say why an adoption is not signed by somebody who may adopt it, or return None."""
    adoptable, statement = ADOPTABLE[event.kind], event.payload["statement"]
    signer = statement.get("signer")
    if not isinstance(signer, str):
        return "it has no signer"
    if statement.get("demo") is True:
        key = announced.get(signer)
        return None if key and is_signed_by(event.payload, key) else f"{signer} is not a demo approver here"
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
