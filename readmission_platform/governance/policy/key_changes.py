"""Rotating and revoking a signing key, and what became of every key.

What belongs here: recording a change of a key, and the history. What does not: whether a change counts (``keys``).
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from readmission_platform.config.governance import RolesConfig
from readmission_platform.foundation.errors import BadInput, Refused
from readmission_platform.governance.demo_approver import Signer
from readmission_platform.governance.ledger.chain import ENVIRONMENT, Event, utc_text
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.policy.adoption import adoptions_with_effect, roles_in_force
from readmission_platform.governance.policy.keys import (
    KEY_CHANGES,
    REVOKED,
    ROTATED,
    KeyStatement,
    change_problem,
)
from readmission_platform.governance.signatures import public_key_text, sign

_DECIDES = ("roles_adopted", *KEY_CHANGES)


@dataclass(frozen=True)
class KeyRecord:
    """A key of a person or a service: since when it counts, and until when it did.

    ``signed`` is how many events of the ledger carry its signature.
    """

    identity: str
    public_key: str
    since: str
    until: str | None
    state: Literal["in use", "rotated", "revoked", "replaced"]
    signed: int

    def age_days(self, now: datetime) -> int:
        """Return since how many whole days it has been in force."""
        return (now - datetime.fromisoformat(self.since)).days

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain JSON values."""
        return asdict(self)


def rotate_key(
    ledger: Ledger, signer: Signer, new_key: Ed25519PrivateKey, *, reason: str, dry_run: bool
) -> Event | None:
    """Replace the signer's key by a new one; parameters, result and errors are those of :func:`revoke_key`."""
    public = public_key_text(new_key)
    return _change(ledger, ROTATED, signer.identity, signer, reason, new=public, new_key=new_key, dry_run=dry_run)


def revoke_key(ledger: Ledger, identity: str, signer: Signer, *, reason: str, dry_run: bool) -> Event | None:
    """Revoke a key: one's own, or as an administrator anybody's.

    Parameters
    ----------
    ledger
        Of the environment, or of any model.
    dry_run
        Check everything and record nothing.

    Returns
    -------
    Event or None
        The recorded event; None for a dry run.

    Raises
    ------
    BadInput
        When there is no such person, or no key to change.
    Refused
        When the signer may not do this; nothing is recorded.
    Conflict
        When roles or keys changed at the same moment.
    """
    return _change(ledger, REVOKED, identity, signer, reason, new=None, new_key=None, dry_run=dry_run)


def key_history(events: Sequence[Event]) -> list[KeyRecord]:
    """Return every key that ever counted, by person and in the order in which it came into force.

    Parameters
    ----------
    events
        All events of the environment, with or without those of models; signatures are counted in these.
    """
    found: dict[tuple[str, str], list[Any]] = {}
    current: dict[str, str] = {}
    for event, content in adoptions_with_effect(events):
        if not isinstance(content, RolesConfig):
            continue
        now = {who: person.public_key for who, person in content.people.items() if person.public_key}
        ended = {REVOKED: "revoked", ROTATED: "rotated"}.get(event.kind, "replaced")
        for who, key in current.items():
            if now.get(who) != key:
                found[who, key][1:] = [event.at, ended]
        for who, key in now.items():
            if current.get(who) != key:
                found[who, key] = [event.at, None, "in use"]
        current = now
    used = _signatures(events)
    return [KeyRecord(who, key, since, until, state, used.get(key, 0))
            for (who, key), (since, until, state) in sorted(found.items())]  # fmt: skip


def _signatures(events: Iterable[Event]) -> dict[str, int]:
    counted: dict[str, int] = {}
    for event in events:
        request = event.payload.get("request")
        for signed in (event.payload, request if isinstance(request, dict) else {}):
            if "signature" in signed and isinstance(key := signed.get("public_key"), str):
                counted[key] = counted.get(key, 0) + 1
    return counted


def _change(
    ledger: Ledger, kind: Literal["key_rotated", "key_revoked"], identity: str, signer: Signer, reason: str, *,
    new: str | None, new_key: Ed25519PrivateKey | None, dry_run: bool,
) -> Event | None:  # fmt: skip
    events = ledger.events()
    roles = roles_in_force(events)
    person = roles.content.people.get(identity) if roles else None
    if roles is None or person is None:
        raise BadInput(f"there is no {identity!r} in the roles in force (`readmission keys list`)")
    if not person.public_key:
        raise BadInput(f"{identity} has no key: it was revoked, or the roles name none")
    last = max(event.seq for event in events if event.model == ENVIRONMENT and event.kind in _DECIDES)
    statement = KeyStatement(
        kind=kind, installation=ledger.binding.installation, identity=identity, public_key=person.public_key,
        new_public_key=new, reason=reason, signer=signer.identity, follows_seq=last, signed_at=utc_text(ledger.now()),
    ).model_dump()  # fmt: skip
    payload = sign(statement, signer.key)
    if new_key is not None:
        payload["new_signature"] = sign(statement, new_key)["signature"]
    retired = {each.public_key for each in key_history(events) if each.state in ("rotated", "revoked")}
    proposed = Event(0, ENVIRONMENT, "", kind, None, signer.identity, payload, "", "")
    problem = change_problem(
        proposed, roles.content, installation=ledger.binding.installation, retired=retired, last_seq=last
    )
    if problem:
        raise Refused([f"the key of {identity} stays as it is: {problem}"])
    if dry_run:
        return None
    return ledger.append(
        kind, payload, actor=signer.identity, of_environment=True, since=events[-1].seq, binding_kinds=_DECIDES
    )
