"""Keyed pseudonyms: what stands for an identifier wherever a person or a row has to be followed."""

import hashlib
import hmac
from collections.abc import Iterable


def pseudonyms(identifiers: Iterable[object], key: bytes, *, purpose: str) -> list[str]:
    """Return keyed pseudonyms (HMAC-SHA256, 32 hex digits) of identifiers.

    The purpose separates the pseudonyms of one kind of thing from those of another, so that equal numbers do not
    meet. Without the key they cannot be traced back by enumerating the (short) identifiers.
    """
    keyed = hmac.new(key, purpose.encode() + b"\0", hashlib.sha256)
    out = []
    for identifier in identifiers:
        each = keyed.copy()
        each.update(str(identifier).encode())
        out.append(each.hexdigest()[:32])
    return out


def pseudonym_of(identifier: object, key: bytes, *, purpose: str) -> str:
    """Return the pseudonym of one identifier, the same as among ``pseudonyms``."""
    return hmac.digest(key, purpose.encode() + b"\0" + str(identifier).encode(), "sha256").hex()[:32]
