"""What is known of every entity, held in memory so that one past is found in microseconds.

What belongs here: holding and looking up. What does not: which rows are known (``lifecycle.days.scoring``), and what of
a past counts on which day (the model's history).
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd


class KnownRows:
    """The known rows of all entities, by entity.

    Columns are lists beside each other, with one object for equal values: a dictionary a row would take ten times as
    much memory.

    Parameters
    ----------
    known
        As ``lifecycle.days.scoring.known_rows`` returns it.
    """

    def __init__(self, known: pd.DataFrame) -> None:
        ordered = known.sort_values("entity_key", kind="stable", ignore_index=True)
        self._names = list(ordered.columns)
        self._columns = [_plain(ordered[name]) for name in self._names]
        first = ordered.groupby("entity_key", sort=False).size()
        ends = first.cumsum()
        self._places: Mapping[str, tuple[int, int]] = dict(
            zip(first.index.tolist(), zip((ends - first).tolist(), ends.tolist(), strict=True), strict=True)
        )

    def of(self, entity_key: str) -> list[dict[str, Any]]:
        """Return what is known of an entity, in the order in which it was recorded; None where a value is missing."""
        start, end = self._places.get(entity_key, (0, 0))
        return [dict(zip(self._names, values, strict=True))
                for values in zip(*(column[start:end] for column in self._columns), strict=True)]  # fmt: skip

    def __len__(self) -> int:
        return len(self._places)


def _plain(values: pd.Series) -> list[Any]:
    """Return values as plain Python, equal ones as one object, None where one is missing."""
    codes, distinct = pd.factorize(values)
    objects = [*distinct.tolist(), None]
    return [objects[code] for code in codes.tolist()]
