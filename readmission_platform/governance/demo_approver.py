"""The demo approver of the ``local`` environment: a key made on first use, announced in the ledger.

What belongs here: creating that key and reading its announcement. What does not: whether a demonstration
counts, which depends on the environment (``promotion``).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from readmission_platform.foundation.errors import BadInput
from readmission_platform.governance.ledger.chain import Event
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.signatures import create_key, load_key, public_key_text

DEMO_APPROVER = "demo-approver"
DEMO_ROLE = "clinical_approver"
DEMO_KEY_FILE = "demo-approver.pem"


@dataclass(frozen=True)
class Signer:
    """Somebody who signs: identity and private key; ``demo`` marks a demonstration."""

    identity: str
    key: Ed25519PrivateKey
    demo: bool = False


def demo_keys(events: Iterable[Event]) -> dict[str, str]:
    """Return the public keys of demo approvers by identity; the latest announcement counts."""
    keys: dict[str, str] = {}
    for event in events:
        if event.kind == "demo_approver_created" and event.payload.get("demo") is True:
            identity, key = event.payload.get("identity"), event.payload.get("public_key")
            if isinstance(identity, str) and isinstance(key, str):
                keys[identity] = key
    return keys


def demo_signer(ledger: Ledger, keys: Path) -> Signer:
    """Return the demo approver, creating and announcing the key when that has not happened yet.

    Parameters
    ----------
    keys
        Folder of secret keys.

    Raises
    ------
    BadInput
        When the key cannot be written or read.
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
    if demo_keys(ledger.events(kind="demo_approver_created")).get(DEMO_APPROVER) != public:
        payload = {"identity": DEMO_APPROVER, "public_key": public, "demo": True}
        ledger.append("demo_approver_created", payload, actor=DEMO_APPROVER)
    return Signer(DEMO_APPROVER, key, demo=True)
