"""Reading what somebody else wrote: JSON within bounds, and text that may be printed.

What belongs here: bounds that hold whatever the content means. What does not: what the content has to be.
"""

import json
import math
from collections.abc import Iterator
from typing import Any
from unicodedata import category

# Far more than anything that is written here needs, far less than what exhausts a stack or a machine integer.
MAX_DEPTH = 40
MAX_WHOLE = 2**63 - 1
# Unicode's categories of controls, invisible formatting, surrogates, and separators of lines and paragraphs.
_NOT_PRINTED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def read_json(content: bytes | str) -> Any:
    """Read JSON as RFC 8259 defines it, in UTF-8, each name once, numbers finite, nested at most ``MAX_DEPTH`` deep.

    Raises
    ------
    ValueError
        When it is anything else; the message says what.
    """
    text = content if isinstance(content, str) else content.decode("utf-8")
    try:
        value = json.loads(text, parse_constant=refuse_constant, object_pairs_hook=with_single_names)
    except RecursionError as error:
        raise ValueError(f"nested more than {MAX_DEPTH} deep") from error
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for each in level for inner in _inside(each)]
        if not level:
            return value
    raise ValueError(f"nested more than {MAX_DEPTH} deep")


def is_printable(text: str) -> bool:
    """Tell whether text holds no character that a terminal acts on, that is not seen, or that cannot be encoded."""
    return not any(category(letter) in _NOT_PRINTED for letter in text)


def printable(text: str) -> str:
    """Return text with every character that is not printable written as its escape."""
    return "".join(letter if is_printable(letter) else ascii(letter)[1:-1] for letter in text)


def _inside(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value
        yield from value.values()
    elif isinstance(value, list):
        yield from value
    elif isinstance(value, str):
        value.encode()  # a lone half of a surrogate pair cannot be written again
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number is too large")
    elif isinstance(value, int) and abs(value) > MAX_WHOLE:
        raise ValueError("a whole number is too large")


def refuse_constant(name: str) -> None:
    """Refuse NaN and infinities, which ``json`` would read; for its ``parse_constant``."""
    raise ValueError(f"{name} is not JSON")


def with_single_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object in which no name occurs twice, else raise ValueError; for ``object_pairs_hook``."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name occurs twice")
    return found
