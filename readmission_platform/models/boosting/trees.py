"""The trees of a fitted boosting as leaves and their paths, and the Shapley values of one leaf.

What belongs here: splits, leaves, and tables of what each leaf adds. What does not: adding up the leaves of a model
(``contributions``, which also has the method).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

# So many entries fit into the tables (64 MB). What is shipped needs most of them; of a model that would need more, the
# deepest leaves get no table and are worked out for the patterns that occur.
TABLE_ENTRIES = 1 << 23


class Splits:
    """All splits of all trees, numbered tree after tree, and who goes left at each."""

    def __init__(self, trees: list[np.ndarray], bitsets: list[np.ndarray]) -> None:
        """Take the nodes of each tree, and its bitsets of the categories that go left (8 words of 32 bits each)."""
        splits = [nodes[nodes["is_leaf"] == 0] for nodes in trees]
        self.first_of_tree = np.cumsum([0, *(len(each) for each in splits)])[:-1]
        every = np.concatenate(splits)
        self._feature = every["feature_idx"].astype(np.intp)
        self._threshold = every["num_threshold"][:, None]
        self._missing_left = every["missing_go_to_left"].astype(bool)[:, None]
        self._categorical = np.flatnonzero(every["is_categorical"])
        words = [bitset[each["bitset_idx"][each["is_categorical"] == 1]]
                 for each, bitset in zip(splits, bitsets, strict=True)]  # fmt: skip
        lowest_first = np.ascontiguousarray(np.concatenate(words), dtype="<u4").view(np.uint8)
        self._left_codes = np.unpackbits(lowest_first, axis=1, bitorder="little").astype(bool)
        self._first_code = np.arange(len(self._left_codes)) * self._left_codes.shape[1]

    def __len__(self) -> int:
        return len(self._feature)

    def goes_left(self, matrix: np.ndarray) -> np.ndarray:
        """Return whether each row goes left at each split, shape (splits, rows).

        ``matrix`` is in scikit-learn's own column order, as its preprocessing returns it: categories that it does not
        know are NaN there.
        """
        values = np.ascontiguousarray(matrix.T)[self._feature]
        left = values <= self._threshold
        codes = np.nan_to_num(values[self._categorical]).astype(np.intp)
        left[self._categorical] = np.take_along_axis(self._left_codes, codes, axis=1)
        return np.where(np.isnan(values), self._missing_left, left)

    def row_goes_left(self, row: np.ndarray) -> np.ndarray:
        """Return whether one row, shape (features,), goes left at each split, shape (splits,); see ``goes_left``."""
        values = row[self._feature]
        missing = np.isnan(values)
        left = values <= self._threshold[:, 0]
        codes = np.where(missing, 0.0, values)[self._categorical].astype(np.intp)
        left[self._categorical] = self._left_codes.ravel()[self._first_code + codes]
        return np.where(missing, self._missing_left[:, 0], left)


@dataclass(frozen=True)
class Leaf:
    """A leaf and its path, condition by condition, those on one feature together.

    ``features`` are the distinct features asked, ``ratios`` the share of training rows that meet the conditions
    on each; ``splits`` and ``left`` give the conditions feature by feature, beginning at ``starts``.
    """

    value: float
    share: float
    features: np.ndarray
    ratios: np.ndarray
    splits: np.ndarray
    left: np.ndarray
    starts: np.ndarray

    def add_to(self, contributions: np.ndarray, goes_left: np.ndarray) -> None:
        """Add this leaf's part to contributions of shape (features, rows), without a table."""
        met = np.logical_and.reduceat(goes_left[self.splits] == self.left[:, None], self.starts, axis=0)
        patterns, which = np.unique(met.T, axis=0, return_inverse=True)
        contributions[self.features] += self.value * _shapley(self.ratios[None], patterns)[0][which.ravel()].T


def leaves_of(nodes: np.ndarray, first: int) -> Iterator[Leaf]:
    """Yield the leaves of a tree; ``first`` is the number of its first split among those of all trees."""
    split = first + np.cumsum(nodes["is_leaf"] == 0) - 1
    paths: list[tuple[int, tuple[tuple[int, int, bool, float], ...]]] = [(0, ())]
    while paths:
        number, path = paths.pop()
        node = nodes[number]
        if not node["is_leaf"]:
            for child, left in ((int(node["left"]), True), (int(node["right"]), False)):
                ratio = float(nodes[child]["count"]) / float(node["count"])
                paths.append((child, (*path, (int(node["feature_idx"]), int(split[number]), left, ratio))))
            continue
        ordered = sorted(path, key=lambda condition: condition[0])
        asked = np.array([condition[0] for condition in ordered], dtype=np.intp)
        features, starts = np.unique(asked, return_index=True)
        shares = np.array([condition[3] for condition in ordered])
        yield Leaf(
            value=float(node["value"]),
            share=float(node["count"]) / float(nodes[0]["count"]),
            features=features,
            ratios=np.multiply.reduceat(shares, starts) if len(starts) else shares,
            splits=np.array([condition[1] for condition in ordered], dtype=np.intp),
            left=np.array([condition[2] for condition in ordered], dtype=bool),
            starts=starts,
        )


@dataclass(frozen=True)
class Leaves:
    """The leaves of all trees in the order in which their parts are added up: those that ask fewest features first.

    ``average`` is what the trees say together of a row of which nothing is known. Leaves are ``tabled`` as far as their
    tables find room; then come the ``deepest``. One that asks nothing is neither: it says the same of every row.
    """

    average: float
    tabled: list[Leaf]
    deepest: list[Leaf]

    @classmethod
    def of(cls, trees: Sequence[np.ndarray], splits: Splits) -> Self:
        """Take the leaves out of the nodes of each tree."""
        leaves = [leaf for nodes, first in zip(trees, splits.first_of_tree, strict=True)
                  for leaf in leaves_of(nodes, first)]  # fmt: skip
        asking = sorted((leaf for leaf in leaves if leaf.features.size), key=lambda leaf: leaf.features.size)
        entries = np.cumsum([leaf.features.size * 2.0**leaf.features.size for leaf in asking])
        fitting = int(np.searchsorted(entries, TABLE_ENTRIES, side="right"))
        return cls(sum(leaf.value * leaf.share for leaf in leaves), asking[:fitting], asking[fitting:])


class Tables:
    """The tables of many leaves in one, so that a few operations on whole arrays serve all of them.

    A *slot* is a feature of a leaf's path. The leaves come in the order of how many they have.
    """

    def __init__(self, leaves: list[Leaf]) -> None:
        slots = np.array([len(leaf.features) for leaf in leaves])
        conditions = np.array([len(leaf.splits) for leaf in leaves])
        self._splits = np.concatenate([leaf.splits for leaf in leaves])
        self._left = np.concatenate([leaf.left for leaf in leaves])[:, None]
        before = np.repeat(np.cumsum(conditions) - conditions, slots)
        self._slot_starts = np.concatenate([leaf.starts for leaf in leaves]) + before
        self._leaf_starts = np.cumsum(slots) - slots
        within = np.arange(slots.sum()) - np.repeat(self._leaf_starts, slots)
        self._bits = (1 << within).astype(np.int32)[:, None]

        self._entries = np.concatenate([part for depth in np.unique(slots) for part in _entries(leaves, depth)])
        features = np.concatenate([leaf.features for leaf in leaves])
        by_feature = np.argsort(features, kind="stable")
        lengths = np.repeat(1 << slots, slots)
        self._offsets = (np.cumsum(lengths) - lengths)[by_feature].astype(np.int32)[:, None]
        self._leaf_of = np.repeat(np.arange(len(leaves)), slots)[by_feature]
        self._features, self._feature_starts = np.unique(features[by_feature], return_index=True)

    def add_to(self, contributions: np.ndarray, goes_left: np.ndarray) -> None:
        """Add these leaves' part to contributions of shape (features, rows)."""
        met = np.logical_and.reduceat(goes_left[self._splits] == self._left, self._slot_starts, axis=0)
        patterns = np.add.reduceat(met * self._bits, self._leaf_starts, axis=0)
        entries = self._entries[self._offsets + patterns[self._leaf_of]]
        contributions[self._features] += np.add.reduceat(entries, self._feature_starts, axis=0)


def _entries(leaves: list[Leaf], depth: int) -> Iterator[np.ndarray]:
    """Yield the table of each leaf that asks ``depth`` features: slot after slot, 2^depth patterns each."""
    alike = [leaf for leaf in leaves if len(leaf.features) == depth]
    patterns = (np.arange(1 << depth)[:, None] >> np.arange(depth)) & 1
    # Some leaves at a time: in a deep model they are many, and their tables long.
    together = max(1, (1 << 18) >> depth)
    for start in range(0, len(alike), together):
        some = alike[start : start + together]
        weights = _shapley(np.array([leaf.ratios for leaf in some]), patterns.astype(bool))
        yield (np.array([leaf.value for leaf in some])[:, None, None] * weights.transpose(0, 2, 1)).ravel()


def _shapley(ratios: np.ndarray, patterns: np.ndarray) -> np.ndarray:
    """Return the Shapley values of a leaf of value 1.

    Parameters
    ----------
    ratios
        Share of training rows that meet the conditions on each feature, shape (leaves, features).
    patterns
        Whether a row meets them, shape (patterns, features).

    Returns
    -------
    Shape (leaves, patterns, features).
    """
    leaves, features = ratios.shape
    points, weights = np.polynomial.legendre.leggauss((features + 1) // 2)
    integral = np.zeros((leaves, len(patterns), features))
    for point, weight in zip((points + 1) / 2, weights / 2, strict=True):
        factors = patterns * point + (ratios * (1 - point))[:, None, :]
        # Every factor is positive, since a leaf holds training rows and the points lie inside (0, 1).
        integral += weight * factors.prod(axis=2, keepdims=True) / factors
    return np.asarray((patterns - ratios[:, None, :]) * integral)
