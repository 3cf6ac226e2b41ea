"""Cells: the groups of values by which two samples of a column are compared and shown.

What belongs here: from values to cells that are large enough to be judged and to be shown. What does not: the index
made of them (``stability``), and what counts as drift (``drift``).

A cell of 1 to 10 rows may not be shown, and chance decides much of it. So small cells are compared together with
others: neighbours where values are ordered, "others" where they are not. A population stability index over tenths of
the training data is the usual form of it (Siddiqi 2006); equally wide bins let one outlier hide a shift.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from readmission_platform.evaluation.disclosure import SMALLEST_SHOWN

Codes = NDArray[np.int64]

TENTHS = 10
# Fewer expected in a cell, and that nobody is in it says nothing (Cochran 1954).
LEAST_EXPECTED = 5
MISSING, OTHERS = "missing", "others"


@dataclass(frozen=True)
class Vocabulary:
    """What training knows of one column.

    Numbers have ``edges`` and are ``ordered``; cell 0 is missing, cell k + 1 lies above k of the edges. Categories have
    ``named`` ones (cells 2 and on), ``known`` ones, which training saw at all; cell 0 is missing, cell 1 is rare or
    unseen. ``missing`` is the share of missing values in training.
    """

    column: str
    ordered: bool
    missing: float
    edges: tuple[float, ...] = ()
    named: tuple[str, ...] = ()
    known: frozenset[str] = frozenset()

    def codes(self, values: pd.Series) -> Codes:
        """Return the cell of each value, shape (n,)."""
        if self.ordered:
            numbers = values.to_numpy(dtype=np.float64)
            above = np.searchsorted(np.array(self.edges), numbers, side="left") + 1
            return np.where(np.isfinite(numbers), above, 0).astype(np.int64)
        place = {name: position for position, name in enumerate(self.named, start=2)}
        codes = values.map(place).fillna(1).where(values.notna(), 0)
        return np.asarray(codes, dtype=np.int64)

    @property
    def cells(self) -> int:
        """How many cells there are."""
        return len(self.edges) + 2 if self.ordered else len(self.named) + 2

    def unseen(self, values: pd.Series) -> float:
        """Return the share of values that training never saw; 0 for numbers."""
        if self.ordered or values.empty:
            return 0.0
        return float((values.notna() & ~values.isin(self.known)).mean())


def vocabulary_of(values: pd.Series, *, rare_share: float) -> Vocabulary:
    """Learn a column's cells from training data.

    Parameters
    ----------
    values
        Numbers (float64) or categories (text); NaN or None where missing.
    rare_share
        Categories of a smaller share of the rows are not named.

    Raises
    ------
    ValueError
        When there are no values to learn from.
    """
    if values.empty:
        raise ValueError(f"{values.name}: no training data to compare with")
    name, missing = str(values.name), float(values.isna().mean())
    if pd.api.types.is_float_dtype(values):
        return Vocabulary(name, ordered=True, missing=missing, edges=_edges(values.to_numpy(dtype=np.float64)))
    shares = values.value_counts() / len(values)
    named = [str(category) for category, share in shares.items() if share >= rare_share]
    known = frozenset(map(str, shares.index))
    return Vocabulary(name, ordered=False, missing=missing, named=tuple(sorted(named)), known=known)


def _edges(numbers: "NDArray[np.float64]") -> tuple[float, ...]:
    finite = numbers[np.isfinite(numbers)]
    if not len(finite):
        return ()
    tenths = np.quantile(finite, np.linspace(0, 1, TENTHS + 1)[1:-1])
    # Nobody is above the largest value: an edge there would make a cell that training leaves empty.
    return tuple(float(edge) for edge in np.unique(tenths.round(4)) if edge < finite.max())


def compared_as(vocabulary: Vocabulary, reference: Codes, window: Codes) -> list[str]:
    """Return the label of each cell once small cells are put together, shape (cells,).

    No label stands for 1 to 10 rows of the window or of the reference, unless everything together is so few.
    An empty cell stands alone only if several rows were to be expected there: a value that vanished.

    Parameters
    ----------
    reference, window
        Cells of the rows of either.
    """
    counts = [_Counts(reference=int(ours), window=int(theirs)) for ours, theirs in zip(
        np.bincount(reference, minlength=vocabulary.cells), np.bincount(window, minlength=vocabulary.cells), strict=True
    )]  # fmt: skip
    ratio = len(window) / max(len(reference), 1)
    if vocabulary.ordered:
        return _neighbours_together(vocabulary.edges, counts, ratio)
    return _few_together(vocabulary.named, counts, ratio)


@dataclass(frozen=True)
class _Counts:
    reference: int
    window: int

    def __add__(self, other: "_Counts") -> "_Counts":
        return _Counts(self.reference + other.reference, self.window + other.window)

    def is_small(self, ratio: float) -> bool:
        """Tell whether the cell is too small to stand alone; an empty one is when few were to be expected."""
        if self.reference == self.window == 0:
            return False
        expected = self.reference * ratio
        few = 0 < self.window < SMALLEST_SHOWN or (self.window == 0 and expected < LEAST_EXPECTED)
        return few or 0 < self.reference < SMALLEST_SHOWN


def _neighbours_together(edges: Sequence[float], counts: Sequence[_Counts], ratio: float) -> list[str]:
    groups = [[cell] for cell, count in enumerate(counts) if count.reference or count.window]
    sums = [counts[group[0]] for group in groups]
    while len(groups) > 1 and any(total.is_small(ratio) for total in sums):
        small = next(position for position, total in enumerate(sums) if total.is_small(ratio))
        beside = [position for position in (small - 1, small + 1) if 0 <= position < len(groups)]
        first = min(small, min(beside, key=lambda position: (sums[position].window, sums[position].reference)))
        groups[first] += groups.pop(first + 1)
        sums[first] += sums.pop(first + 1)
    labels = [OTHERS] * len(counts)
    for group in groups:
        for cell in group:
            labels[cell] = _range(edges, group)
    return labels


def _range(edges: Sequence[float], group: Sequence[int]) -> str:
    """Name ordered cells: missing, up to 2, over 2 up to 5, over 5."""
    cells = [cell for cell in group if cell > 0]
    if not cells:
        return MISSING
    over = f"over {edges[cells[0] - 2]:g}" if cells[0] > 1 else ""
    upto = f"up to {edges[cells[-1] - 1]:g}" if cells[-1] <= len(edges) else ""
    text = f"{over} {upto}".strip() or "any"
    return f"{MISSING} or {text}" if len(cells) < len(group) else text


def _few_together(named: Sequence[str], counts: Sequence[_Counts], ratio: float) -> list[str]:
    # The rare and the unseen are never shown apart.
    together = {1} | {cell for cell, count in enumerate(counts) if count.is_small(ratio)}
    others = sorted(set(range(len(counts))) - together, key=lambda cell: (counts[cell].window, counts[cell].reference))
    total = sum((counts[cell] for cell in together), _Counts(0, 0))
    while others and total.is_small(ratio):
        cell = others.pop(0)
        together.add(cell)
        total += counts[cell]
    names = [MISSING, OTHERS, *named]
    return [OTHERS if cell in together else names[cell] for cell in range(len(counts))]
