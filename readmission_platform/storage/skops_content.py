"""What a skops file holds, apart from how and when it was packed.

What belongs here: one digest of a stored model's content. What does not: the digest of its bytes, which decides what
may run (``tracking``).

Every object in such a file is numbered by its address in memory, and the archive keeps the minute in which each member
was written. So two files of the same model differ in nearly every byte.
"""

import hashlib
import io
import json
from typing import Any
from zipfile import ZipFile

_ADDRESS, _LOADER, _MEMBER = "__id__", "__loader__", "file"
_SEEN_BEFORE = "CachedNode"


def content_digest(content: bytes) -> str:
    """Return ``sha256:<hex>`` over types, values and arrays of a stored object.

    Which equal parts are one object in memory makes no difference.

    Raises
    ------
    zipfile.BadZipFile, KeyError, ValueError
        When the bytes are no skops file.
    """
    with ZipFile(io.BytesIO(content)) as archive:
        members = {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}
        schema = json.loads(archive.read("schema.json"))
    return "sha256:" + _digest(_plain(schema, members, {}))


def _plain(node: Any, members: dict[str, str], seen: dict[Any, str]) -> Any:
    """Put a digest for every object, whether it is written out or referred to, and for the name of every member."""
    if isinstance(node, list):
        return [_plain(each, members, seen) for each in node]
    if not isinstance(node, dict):
        return node
    address = node.get(_ADDRESS)
    if node.get(_LOADER) == _SEEN_BEFORE and address in seen:
        return seen[address]
    plain = {key: _plain(value, members, seen) for key, value in node.items() if key not in (_ADDRESS, _MEMBER)}
    if isinstance(node.get(_MEMBER), str):
        plain[_MEMBER] = members.get(node[_MEMBER], node[_MEMBER])
    if address is None:
        return plain
    return seen.setdefault(address, _digest(plain))


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
