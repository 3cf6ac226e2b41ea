"""Ed25519 keys, and signatures over canonical JSON.

What belongs here: cryptography. What does not: whose key it is and what a statement means (``approvals``,
``adoption``).
"""

import base64
import binascii
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from readmission_platform.foundation.errors import BadInput
from readmission_platform.foundation.values import canonical_json


def create_key(path: Path) -> str:
    """Create a private key (PEM, readable by its owner only) and return its public half in base64.

    The file appears complete or not at all, so that a second process never reads half a key.

    Raises
    ------
    BadInput
        When the file exists already (it is left alone) or cannot be written.
    """
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".key-")  # mkstemp gives 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(pem)
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, path)
        finally:
            Path(temporary).unlink()
    except FileExistsError as error:
        raise BadInput(f"There is a key at {path} already; it was left as it is.") from error
    except OSError as error:
        raise BadInput(f"No key can be written to {path} ({error.strerror}).") from error
    return public_key_text(key)


def load_key(path: Path) -> Ed25519PrivateKey:
    """Read a private key.

    Raises
    ------
    BadInput
        When there is none, or the file holds something else.
    """
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise BadInput(f"The key {path} cannot be read ({error.strerror}).") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadInput(f"The file {path} holds no usable private key.") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise BadInput(f"The file {path} holds another kind of key; Ed25519 is needed.")
    return key


def public_key_text(key: Ed25519PrivateKey) -> str:
    """Return the public half of a key, raw, in base64, as ``configs/roles.yaml`` holds it."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def sign(statement: Mapping[str, Any], private_key: Ed25519PrivateKey) -> dict[str, Any]:
    """Sign a statement; returns ``{"statement", "signature", "public_key"}``.

    Raises
    ------
    BadInput
        When the statement is not plain JSON.
    """
    try:
        message = canonical_json(dict(statement)).encode()
    except (TypeError, ValueError) as error:
        raise BadInput(f"Only plain JSON can be signed ({type(error).__name__}).") from error
    return {
        "statement": dict(statement),
        "signature": base64.b64encode(private_key.sign(message)).decode(),
        "public_key": public_key_text(private_key),
    }


def is_signed_by(signed: Mapping[str, Any], public_key: str) -> bool:
    """Tell whether the statement was signed with the private half of this key, and says so itself."""
    if signed.get("public_key") != public_key:
        return False
    try:
        message = canonical_json(signed["statement"]).encode()
        signature = base64.b64decode(signed["signature"], validate=True)
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
        key.verify(signature, message)
    except (KeyError, TypeError, ValueError, binascii.Error, InvalidSignature):
        return False
    return True
