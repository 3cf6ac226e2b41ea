"""The values an input is set to when its effect is drawn, with how many rows have each.

What belongs here: choosing values that occur, of numbers, categories and groups of categories. What does not: which
kind an input is and its words (the model), the risks at these values (``effects``) and hiding small cells
(``evaluation.disclosure``).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from readmission_platform.evaluation.disclosure import is_few

# A value of a smaller share of the rows is put together with its neighbours, or left out.
LEAST_SHARE = 0.01
# A number with more values than this is cut into tenths of the rows.
MOST_VALUES = 20
TENTHS = 10
MOST_CATEGORIES = 10
NOT_RECORDED = "not recorded"


@dataclass(frozen=True)
class EffectValue:
    """A value to set an input to: as the data have it, as a number where it is one, in words, and how many have it."""

    given: object
    number: float | None
    label: str
    rows: int


@dataclass(frozen=True)
class InputWords:
    """How the inputs of a model are named and drawn.

    Attributes
    ----------
    values
        Returns the values at which the effect of an input is worked out, in the order in which they are drawn.
    numbers
        Inputs drawn as a line over numbers; the others are drawn as one bar a category.
    names, units
        In plain words, where the name of the column is none, and the unit where there is one.
    """

    values: Callable[[pd.Series], list[EffectValue]]
    numbers: frozenset[str]
    names: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)

    def kind_of(self, column: str) -> Literal["number", "category"]:
        """Tell whether an input is drawn as a line over numbers or as one bar per category."""
        return "number" if column in self.numbers else "category"

    def plain_name(self, column: str) -> str:
        """Return an input's name in plain words."""
        return self.names.get(column, column.replace("_", " "))


def number_values(values: pd.Series, numbers: pd.Series) -> list[EffectValue]:
    """Return the values of an ordered input; what few rows have is put together under its median.

    Parameters
    ----------
    values
        The input as the data have it.
    numbers
        The same as numbers, missing where it is none.
    """
    texts = values.astype(object)
    known = numbers.dropna().to_numpy(dtype=np.float64)
    made = []
    cells = _cells(known, LEAST_SHARE * len(values))
    for place, cell in enumerate(cells):
        middle = float(np.sort(cell)[len(cell) // 2])
        given = next(iter(texts[numbers == middle]))
        made.append(EffectValue(given, middle, _range(cell, first=place == 0, last=place == len(cells) - 1), len(cell)))
    return made + _not_recorded(numbers.isna(), made)


def category_values(values: pd.Series, said: Callable[[Any], str]) -> list[EffectValue]:
    """Return the most common categories, at most ten; ``said`` puts one into words."""
    made = [EffectValue(given, None, said(given), n) for given, n in _common(values)]
    return made + _not_recorded(values.isna(), made)


def grouped_values(values: pd.Series, groups: pd.Series, said: Callable[[str, str], str]) -> list[EffectValue]:
    """Return the most common groups of categories, each set to by its own most common category.

    ``said`` puts a group and that category into words.
    """
    made = []
    for name, n in _common(groups):
        given = str(values[groups == name].value_counts().index[0])
        made.append(EffectValue(given, None, said(str(name), given), n))
    return made + _not_recorded(values.isna(), made)


def _cells(numbers: np.ndarray, least: float) -> list[np.ndarray]:
    """Cut numbers into runs of close values of so many rows at least."""
    if not len(numbers):
        return []
    distinct = np.unique(numbers)
    ordered = np.sort(numbers)
    if len(distinct) > MOST_VALUES:
        distinct = np.unique(ordered[np.linspace(0, len(ordered) - 1, TENTHS, endpoint=False).astype(int)])
    runs = [run for run in np.split(ordered, np.searchsorted(ordered, distinct[1:])) if len(run)]
    joined: list[np.ndarray] = []
    waiting = np.empty(0)
    for run in runs:
        waiting = np.concatenate([waiting, run])
        if len(waiting) >= least:
            joined.append(waiting)
            waiting = np.empty(0)
    if len(waiting) and joined:
        joined[-1] = np.concatenate([joined[-1], waiting])
    return joined


def _range(cell: np.ndarray, *, first: bool, last: bool) -> str:
    """Write a run of values; the lowest and the highest of all are named only if they are not those of few rows."""
    low, high = float(cell.min()), float(cell.max())
    if low == high:
        return f"{low:g}"
    if last and is_few((cell == high).sum()):
        return f"{low:g} or more"
    return f"up to {high:g}" if first and is_few((cell == low).sum()) else f"{low:g} to {high:g}"


def _common(values: pd.Series) -> list[tuple[Any, int]]:
    """Return the most common values with how many rows have each, those of next to nobody left out."""
    counts = [(given, int(n)) for given, n in values.value_counts().items()]
    return [(given, n) for given, n in counts if n >= LEAST_SHARE * len(values)][:MOST_CATEGORIES]


def _not_recorded(missing: pd.Series, made: list[EffectValue]) -> list[EffectValue]:
    enough = int(missing.sum()) >= LEAST_SHARE * len(missing) and bool(missing.any()) and bool(made)
    return [EffectValue(None, None, NOT_RECORDED, int(missing.sum()))] if enough else []
