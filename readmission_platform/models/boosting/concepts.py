"""What people see as one thing among a model's features, and how it is said of a row.

What belongs here: the shape of a concept, and the words for counts. What does not: the concepts of a model, and which
of them are named for a row (``reasons``).

The words say what is so, never that it causes anything; of what is not recorded nothing is said. A concept without
words counts in the sums and is never given as a reason.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

Row = Mapping[str, Any]
Say = Callable[[Row], str | None]


@dataclass(frozen=True)
class Concept:
    """A thing that people see as one: its features, and how to say what is so of a row."""

    name: str
    features: tuple[str, ...]
    say: Say


def is_missing(value: Any) -> bool:
    """Tell whether a value is not recorded."""
    return not isinstance(value, str | int) and (value is None or bool(pd.isna(value)))


def counted(value: Any, one: str, many: str | None = None) -> str:
    """Say how many: "no visit", "1 visit", "3 visits"."""
    number = int(value)
    return f"{number or 'no'} {one if number <= 1 else many or one + 's'}"


def named(column: str, names: Mapping[Any, str]) -> Say:
    """Return how a value of a column is said; of one without a name nothing is."""
    return lambda row: names.get(row[column])


def never_said(_row: Row) -> None:
    """Say nothing: the concept counts and is never given as a reason."""
