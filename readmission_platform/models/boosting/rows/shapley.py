"""What each feature adds to the log odds of one row: the Shapley values of ``contributions``, for a single row.

What belongs here: working them out leaf by leaf, without the tables of the batch. What does not: the method
(``contributions``), and putting them into words (``reasons``).

A table has an entry for every pattern that a row may make at a leaf; one row makes one, so its entries are worked out
as it comes. The same operations on the same numbers, added in the same order, give the bits of the batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from readmission_platform.models.boosting.trees import Leaf, Leaves


@dataclass(frozen=True)
class _Group:
    """Leaves whose integrals take equally many points; a *slot* is a feature of a leaf's path.

    Attributes
    ----------
    ratios
        Share of training rows that meet the conditions of each slot, shape (slots, leaves).
    unmet
        Factor of each slot at each point if the row does not meet them, shape (slots, points, leaves). A leaf with a
        slot less than others has a factor of 1 there.
    points, weights
        Of the integral, shape (points, 1).
    values
        Of the leaves.
    """

    ratios: np.ndarray
    unmet: np.ndarray
    points: np.ndarray
    weights: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, leaves: Sequence[Leaf]) -> "_Group":
        count = len(leaves[0].features)
        points, weights = np.polynomial.legendre.leggauss((count + 1) // 2)
        places, weights = (points + 1) / 2, weights / 2
        ratios = np.full((2 * len(points), len(leaves)), np.nan)
        for place, leaf in enumerate(leaves):
            ratios[: len(leaf.ratios), place] = leaf.ratios
        unmet = ratios[:, None, :] * (1 - places)[:, None]
        return cls(ratios, np.where(np.isnan(unmet), 1.0, unmet), places[:, None], weights[:, None],
                   np.array([leaf.value for leaf in leaves]))  # fmt: skip

    @property
    def slots(self) -> int:
        """How many slots there are, with those that only fill up."""
        return self.ratios.size

    def entries(self, met: np.ndarray) -> np.ndarray:
        """Return what each slot adds, shape (slots * leaves,); ``met`` tells whether the row meets its conditions."""
        patterns = met.reshape(self.ratios.shape).astype(np.float64)
        factors = patterns[:, None, :] * self.points
        factors += self.unmet
        shares = np.multiply.reduce(factors, axis=0)
        shares *= self.weights
        np.divide(shares, factors, out=factors)
        integral = factors[:, 0]
        for point in range(1, len(self.weights)):
            integral += factors[:, point]
        patterns -= self.ratios
        patterns *= integral
        patterns *= self.values
        return patterns.ravel()


class RowShapley:
    """Works out what each feature adds for one row after the other; making it takes a moment."""

    def __init__(self, leaves: Leaves, *, splits: int, features: int) -> None:
        self._features = features
        every = [*leaves.tabled, *leaves.deepest]
        grouped: dict[int, list[int]] = {}
        for place, leaf in enumerate(every):
            grouped.setdefault((len(leaf.features) + 1) // 2, []).append(place)
        self._groups = [_Group.of([every[place] for place in places]) for places in grouped.values()]
        slot_of = _places(every, list(grouped.values()))
        self._first, self._further = _conditions(every, slot_of, splits, sum(group.slots for group in self._groups))

        tabled = len(leaves.tabled)
        asked = np.concatenate([leaf.features for leaf in leaves.tabled] or [np.empty(0, dtype=np.intp)])
        by_feature = np.argsort(asked, kind="stable")
        self._tabled = np.concatenate([*slot_of[:tabled], np.empty(0, dtype=np.intp)]).astype(np.intp)[by_feature]
        self._asked, self._starts = np.unique(asked[by_feature], return_index=True)
        self._deepest = [(leaf.features, places) for leaf, places in
                         zip(leaves.deepest, slot_of[tabled:], strict=True)]  # fmt: skip

    def contributions(self, goes_left: np.ndarray) -> np.ndarray:
        """Return what each feature adds, as the trees number them, for a row that goes this way at each split."""
        found = np.zeros(self._features)
        if not self._groups:
            return found
        ways = np.concatenate([goes_left, ~goes_left, [False]])
        met = ways.take(self._first)
        for slots, conditions in self._further:
            met[slots] &= ways[conditions]
        entries, start = [], 0
        for group in self._groups:
            entries.append(group.entries(met[start : start + group.slots]))
            start += group.slots
        every = np.concatenate(entries)
        if len(self._starts):
            found[self._asked] += np.add.reduceat(every.take(self._tabled), self._starts)
        for features, slots in self._deepest:
            found[features] += every[slots]
        return found


def _places(leaves: Sequence[Leaf], groups: Sequence[Sequence[int]]) -> list[np.ndarray]:
    """Return where the slots of each leaf are among those of all groups, slot after slot."""
    found: list[np.ndarray] = [np.empty(0, dtype=np.intp)] * len(leaves)
    start = 0
    for members in groups:
        for place, leaf in enumerate(members):
            found[leaf] = start + place + len(members) * np.arange(len(leaves[leaf].features))
        start += len(members) * 2 * ((len(leaves[members[0]].features) + 1) // 2)
    return found


def _conditions(
    leaves: Sequence[Leaf], slot_of: Sequence[np.ndarray], splits: int, slots: int
) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """Return the condition of each slot, and those of the slots that have a second one, a third, ...

    A condition is a place among the splits at which a row goes left, those at which it goes right, and False, which is
    the condition of what only fills up.
    """
    first = np.full(slots, 2 * splits, dtype=np.intp)
    further: list[tuple[list[int], list[int]]] = []
    for leaf, places in zip(leaves, slot_of, strict=True):
        conditions = np.where(leaf.left, leaf.splits, splits + leaf.splits)
        first[places] = conditions[leaf.starts]
        ends = [*leaf.starts[1:].tolist(), len(conditions)]
        for slot, start, end in zip(places.tolist(), leaf.starts.tolist(), ends, strict=True):
            for depth, condition in enumerate(conditions[start + 1 : end].tolist()):
                if depth == len(further):
                    further.append(([], []))
                further[depth][0].append(slot)
                further[depth][1].append(condition)
    return first, [(np.array(slots, dtype=np.intp), np.array(asked, dtype=np.intp)) for slots, asked in further]
