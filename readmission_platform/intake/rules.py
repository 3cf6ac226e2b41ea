"""The rule of one column: reading its numbers out of text, and checking its cells (pandera).

What belongs here: what a cell of each kind may hold, and the code of one that does not. What does not: which column has
which rule (``contract``).

Cells are judged one by one rather than by the column's type, so that one bad cell costs one row.
"""

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from readmission_platform.foundation.distinct import looked_up

if TYPE_CHECKING:
    import pandera.pandas as pa

# Of texts that no list names; a longer one, or one over several lines, is no code.
LONGEST_TEXT = 100
# From 2**53 on a float skips numbers, so that two identifiers could become one.
LARGEST_EXACT = 2**53 - 1
# Zeros behind a point are those of a column with gaps (5.0) or with decimals (5.00). Three could also be thousands.
_WHOLE = re.compile(r"\s*([+-]?)([0-9]+)(?:\.(?:0{1,2}|0{4,}))?\s*")
# What can be wrong with one cell of any feed, by code.
CELL_REASONS = {
    "missing_value": "missing",
    "not_a_whole_number": "not a whole number",
    "not_a_number": "not a number",
    "out_of_range": "out of range",
    "unknown_code": "unknown code",
    "not_utf8": "letters that are not UTF-8, in a column without a list",
}


def whole_digits(text: str) -> str | None:
    """Return the sign and the digits of a text that is a whole number; None where it is none."""
    found = _WHOLE.fullmatch(text)
    # Without zeros in front: where there are many, the reader of numbers takes them for the number.
    return found[1] + (found[2].lstrip("0") or "0") if found else None


def whole_numbers(cells: pd.Series) -> pd.Series:
    """Read whole numbers; what is no number becomes NaN.

    Neither is a number with an exponent: spreadsheet programs write long ones so and round them, and a rounded
    identifier is another row's. Nor one with three zeros behind its point: where a comma is the decimal sign, ``1.000``
    is a thousand.
    """
    if cells.dtype != object:
        return pd.to_numeric(cells, errors="coerce")
    digits = [whole_digits(cell if isinstance(cell, str) else str(cell)) for cell in cells]
    return pd.to_numeric(pd.Series(digits, index=cells.index, dtype=object), errors="coerce")


def decimals(cells: pd.Series) -> pd.Series:
    """Read decimal numbers, with an exponent or without; what is none, or is infinite, becomes NaN."""
    number = pd.to_numeric(cells, errors="coerce").astype("float64")
    return number.where(np.isfinite(number))


def whole_number_column(limits: tuple[int, int], *, nullable: bool) -> "pa.Column":
    """Return the rule of whole numbers from the first limit to the second."""
    return _number_column(whole_numbers, _is_whole, "not_a_whole_number", limits, nullable=nullable)


def decimal_column(limits: tuple[float, float], *, nullable: bool) -> "pa.Column":
    """Return the rule of decimal numbers from the first limit to the second."""
    return _number_column(decimals, _is_decimal, "not_a_number", limits, nullable=nullable)


def vocabulary_column(texts: Sequence[str], *, nullable: bool) -> "pa.Column":
    """Return the rule of texts that are in a list."""
    import pandera.pandas as pa

    return pa.Column(object, pa.Check.isin(list(texts), error="unknown_code"), nullable=nullable)


def pattern_column(
    expression: str, code: str, normal: Callable[[str], str | None] | None = None, *, nullable: bool
) -> "pa.Column":
    """Return the rule of texts that match an expression from their beginning to their end, in their one spelling."""
    return _text_column(matching(expression, normal), code, nullable=nullable)


def matching(expression: str, normal: Callable[[str], str | None] | None = None) -> Callable[[str], bool]:
    """Return what tells whether a text, in its one spelling, matches an expression from its beginning to its end."""
    pattern = re.compile(expression)

    def is_sound(text: str) -> bool:
        spelt = normal(text) if normal is not None else text
        return spelt is not None and pattern.fullmatch(spelt) is not None

    return is_sound


def short_text_column(*, nullable: bool) -> "pa.Column":
    """Return the rule of texts that no list names: short, on one line."""
    return _text_column(is_short_text, "unknown_code", nullable=nullable)


def is_short_text(text: str) -> bool:
    """Tell whether a text that no list names may be a code."""
    return len(text) <= LONGEST_TEXT and text.isprintable()


def _number_column(
    read: Callable[[pd.Series], pd.Series],
    is_sound: Callable[[pd.Series], pd.Series],
    code: str,
    limits: tuple[float, float],
    *,
    nullable: bool,
) -> "pa.Column":
    import pandera.pandas as pa

    # What is no number at all is reported as that alone.
    inside = pa.Check(lambda cells: read(cells).between(*limits) | ~is_sound(cells), error="out_of_range")
    return pa.Column(None, [pa.Check(is_sound, error=code), inside], nullable=nullable)


def _text_column(is_sound: Callable[[str], bool], code: str, *, nullable: bool) -> "pa.Column":
    import pandera.pandas as pa

    def each_sound(cells: pd.Series) -> pd.Series:
        sound = looked_up(cells, lambda texts: np.array([isinstance(text, str) and is_sound(text) for text in texts],
                                                        dtype=bool), missing=False)  # fmt: skip
        return pd.Series(sound, cells.index)

    return pa.Column(object, pa.Check(each_sound, error=code), nullable=nullable)


def _is_whole(cells: pd.Series) -> pd.Series:
    return whole_numbers(cells) % 1 == 0


def _is_decimal(cells: pd.Series) -> pd.Series:
    return decimals(cells).notna()
