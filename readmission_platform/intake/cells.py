"""In which coarse cell of each column a row lies: enough to see whether two groups of rows are of one kind.

What belongs here: cells that are fixed by a feed's contract alone, beforehand, whatever rows come. What does not:
counting them, and comparing counts (``evaluation.sequential.inputs``, ``evaluation.drift``, which chooses its own).
"""

import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from readmission_platform.intake.contract import RowContract

# Numbers: 0, 1, 2 to 3, 4 to 7 and so on, the last cell open.
_DOUBLINGS = 11
# Codes by their first sign: the ten digits, and every letter together.
_FIRST_SIGNS = 11
_TEXTS = 16


class Cells:
    """The cells of some columns of a feed; the last cell of each is for what is missing.

    Attributes
    ----------
    sizes
        How many cells each column has.
    """

    def __init__(self, feed: RowContract, columns: Iterable[str]) -> None:
        found = {name: _cells_of(feed, name) for name in columns if name in feed.columns}
        self.sizes: Mapping[str, int] = {name: size + 1 for name, (size, _) in found.items()}
        self._place = {name: place for name, (_, place) in found.items()}

    def of(self, row: Mapping[str, Any]) -> dict[str, int]:
        """Return the cell of each column, numbered from 0."""
        return {name: self.sizes[name] - 1 if row[name] is None else place(row[name])
                for name, place in self._place.items()}  # fmt: skip


def _cells_of(feed: RowContract, name: str) -> tuple[int, Callable[[Any], int]]:
    if name in feed.whole_numbers or name in feed.numbers:
        return _DOUBLINGS, lambda value: min(max(int(value), 0).bit_length(), _DOUBLINGS - 1)
    if name in feed.vocabularies:
        places = {text: place for place, text in enumerate(feed.vocabularies[name])}
        return len(places), places.__getitem__
    if name in feed.patterns:
        return _FIRST_SIGNS, lambda text: int(text[0]) if text[:1].isdecimal() else _FIRST_SIGNS - 1
    return _TEXTS, lambda text: zlib.crc32(str(text).encode()) % _TEXTS
