"""Reading JSON lines: a file's bytes into objects, and flat objects into text cells.

What belongs here: one object per line (NDJSON), or one in the whole file, and rows made of flat ones. What does not:
packing (``landed_file``), records that are no rows yet (a feed's ``ResourceFormat``), and what a cell means
(``intake``). No error of a reader is passed on: such errors quote values.
"""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import pandas as pd

from readmission_platform.foundation.untrusted import refuse_constant, with_single_names
from readmission_platform.storage.delimited import LARGEST_CELLS, Damaged

NOT_JSON = "not_json"


class Lines(NamedTuple):
    """The object of each line that is not blank, or the code of why it is none; and whether the last is cut off."""

    objects: list[dict[str, Any] | str]
    cut_off: bool


class Flat(NamedTuple):
    """Rows as text cells under the keys of the objects, and the rows (from 1) that have none, with column and code."""

    cells: pd.DataFrame
    broken: dict[int, tuple[str, str]]


def read_json_lines(content: bytes, *, document: bool = False) -> Lines:
    """Read a file's content, numbers with a point as decimals: they keep their digits.

    Parameters
    ----------
    document
        Whether the whole may be one object over several lines.

    Raises
    ------
    Damaged
        When it is not UTF-8 by its first bytes, or blank.
    """
    content = content.removeprefix(b"\xef\xbb\xbf")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in content:
        raise Damaged("file_not_utf8")
    whole = _object(content) if document else NOT_JSON
    if not isinstance(whole, str):
        return Lines([whole], cut_off=False)
    lines = [line for line in content.split(b"\n") if line.strip()]
    if not lines:
        raise Damaged("file_empty")
    objects = [_object(line) for line in lines]
    return Lines(objects, cut_off=objects[-1] == NOT_JSON and not content.endswith((b"\n", b"\r")))


def flat_rows(objects: Sequence[dict[str, Any] | str]) -> Flat:
    """Make a row of each object; a key that an object lacks is a missing value.

    Raises
    ------
    Damaged
        When none is an object, or they hold too many cells.
    """
    named = dict.fromkeys(key for each in objects if not isinstance(each, str) for key in each)
    if not named:
        raise Damaged("file_unreadable")
    if len(objects) * len(named) > LARGEST_CELLS:
        raise Damaged("file_too_large")
    broken = {}
    for number, each in enumerate(objects, start=1):
        if isinstance(each, str):
            broken[number] = ("", each)
        elif any(isinstance(value, list | dict) for value in each.values()):
            broken[number] = ("", "nested_value")
        elif any(isinstance(value, str) and "\0" in value for value in each.values()):
            # To pandas a text ends there, so that this one would be taken for another row's.
            broken[number] = ("", NOT_JSON)
    rows = [[None] * len(named) if isinstance(each, str) or number in broken
            else [_text(each.get(key)) for key in named]
            for number, each in enumerate(objects, start=1)]  # fmt: skip
    return Flat(pd.DataFrame(rows, columns=pd.Index(list(named), dtype=object), dtype=object), broken)


def _object(line: bytes) -> dict[str, Any] | str:
    """Return the object that a line holds, or the code of why it holds none."""
    try:
        found = json.loads(
            line.decode("utf-8"),
            parse_float=Decimal,
            parse_constant=refuse_constant,
            object_pairs_hook=with_single_names,
        )
        # A half of a pair of characters can be escaped, and is no text.
        json.dumps(found, ensure_ascii=False, default=str).encode("utf-8")
    except (ValueError, RecursionError):  # of which those of JSON and of UTF-8 are kinds
        return NOT_JSON
    return found if isinstance(found, dict) else NOT_JSON


def _text(value: object) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None else str(value)
