"""The demo approver of the ``local`` environment: a key made on first use, announced in the ledger.

What belongs here: creating that key and reading its announcement. What does not: whether a demonstration
counts, which depends on the environment (``promotion``).

The demo approver belongs to the environment and signs for each of its models: only an announcement in the
environment's stream of the ledger counts.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from readmission_platform.foundation.errors import BadInput, Conflict
from readmission_platform.governance.ledger.chain import ENVIRONMENT, Event
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.signatures import create_key, load_key, public_key_text

DEMO_APPROVER = "demo-approver"
DEMO_ROLE = "clinical_approver"
DEMO_KEY_FILE = "demo-approver.pem"
ANNOUNCED = "demo_approver_created"


@dataclass(frozen=True)
class Signer:
    """Somebody who signs: identity and private key; ``demo`` marks a demonstration."""

    identity: str
    key: Ed25519PrivateKey
    demo: bool = False


def demo_keys(events: Iterable[Event]) -> dict[str, str]:
    """Return the public keys of demo approvers by identity; the environment's latest announcement counts."""
    keys: dict[str, str] = {}
    for event in events:
        if (event.kind, event.model) == (ANNOUNCED, ENVIRONMENT) and event.payload.get("demo") is True:
            identity, key = event.payload.get("identity"), event.payload.get("public_key")
            if isinstance(identity, str) and isinstance(key, str):
                keys[identity] = key
    return keys


def demo_signer(ledger: Ledger, keys: Path) -> Signer:
    """Return the demo approver, creating and announcing the key when that has not happened yet.

    Parameters
    ----------
    ledger
        Of any model, or of the environment: the announcement holds for all of them.
    keys
        Folder of secret keys.

    Raises
    ------
    BadInput
        When the key cannot be written or read.
    Conflict
        When somebody announced another key at the same moment.
    """
    path = keys / DEMO_KEY_FILE
    if not path.exists():
        try:
            create_key(path)
        except BadInput:
            if not path.exists():  # otherwise another process was first, and its key is as good
                raise
    key = load_key(path)
    public = public_key_text(key)
    if not _is_announced(public, seen := ledger.events(kind=ANNOUNCED)):
        try:
            _announce(public, ledger, since=seen[-1].seq if seen else 0)
        except Conflict:
            if not _is_announced(public, ledger.events(kind=ANNOUNCED)):
                raise
    return Signer(DEMO_APPROVER, key, demo=True)


def _is_announced(public: str, events: Iterable[Event]) -> bool:
    return demo_keys(events).get(DEMO_APPROVER) == public


def _announce(public: str, ledger: Ledger, *, since: int) -> None:
    ledger.append(
        ANNOUNCED,
        {"identity": DEMO_APPROVER, "public_key": public, "demo": True},
        actor=DEMO_APPROVER,
        of_environment=True,
        since=since,
        binding_kinds=(ANNOUNCED,),
    )
