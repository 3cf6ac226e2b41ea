"""How much each feature adds to one encounter's risk: exact Shapley values of the boosted trees.

What belongs here: path-dependent TreeSHAP values (Lundberg et al. 2020, doi 10.1038/s42256-019-0138-9, algorithm 1) of
``HistGradientBoostingClassifier``, in log odds of the calibrated risk. What does not: putting them into words
(``reasons``).

The value of a set of features is what the tree predicts when only these are known: at a split on another feature both
branches count, each by its share of the training encounters. A leaf whose path asks d features is then a product of d
factors, and the Shapley value of feature i in it is the integral over t in [0, 1] of

    value * (o_i - r_i) * prod over j != i of (o_j t + r_j (1 - t)),

o_j being 1 where the encounter meets the path's conditions on feature j and r_j the share of training encounters that
do. A Gauss-Legendre rule of d/2 points integrates this polynomial exactly. The o of an encounter are a pattern of d
bits, so each leaf has a table of 2^d rows, made once; explaining an encounter means looking up its rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier

from readmission_platform.models.readmission_30d.model import RecalibratedClassifier, clipped_log_odds

# So many entries fit into the tables (64 MB). What is shipped needs most of them; of a model that would need more, the
# deepest leaves get no table and are worked out for the patterns that occur.
TABLE_ENTRIES = 1 << 23
# Encounters worked on at a time: arrays of 10 MB with 150 trees of 24 leaves, which stay close to the processor.
CHUNK = 64


@dataclass(frozen=True)
class Contributions:
    """What each feature adds to the log odds of each encounter.

    ``baseline`` is the log odds of an encounter of which nothing is known; ``values`` has shape (encounters, features),
    columns in the order of the encoder's ``feature_names()``.
    """

    baseline: float
    values: np.ndarray

    @property
    def log_odds(self) -> np.ndarray:
        """The log odds they add up to, shape (encounters,)."""
        return np.asarray(self.baseline + self.values.sum(axis=1))


class Explainer:
    """Explains the risks of one calibrated model; making it takes a moment, so one serves for many encounters."""

    def __init__(self, model: RecalibratedClassifier) -> None:
        self._encode = model.classifier[0]
        self._trees = BoostingExplainer(model.classifier[-1])
        self._slope, self._intercept = model.slope, model.intercept

    def explain(self, frame: pd.DataFrame) -> Contributions:
        """Return the contributions to the calibrated risk; baseline and values add up to its log odds.

        Parameters
        ----------
        frame
            ``MODEL_INPUTS``, one row per encounter.
        """
        encoded = np.empty((0, len(self._encode.feature_names()))) if frame.empty else self._encode.transform(frame)
        raw = self._trees.explain(encoded)
        # The model clips risks next to 0 and 1; what goes beyond is taken from every feature alike.
        reached = raw.log_odds
        kept = clipped_log_odds(reached)
        beyond = kept != reached
        shares = np.ones(len(frame))
        shares[beyond] = (kept[beyond] - raw.baseline) / (reached[beyond] - raw.baseline)
        return Contributions(self._slope * raw.baseline + self._intercept, self._slope * shares[:, None] * raw.values)


class BoostingExplainer:
    """Exact contributions to the raw log odds of a fitted binary histogram gradient boosting.

    Reads the trees as scikit-learn 1.9 keeps them (``_predictors``, ``_baseline_prediction``,
    ``_preprocess_X``), since it offers no public way to them.
    """

    def __init__(self, boosting: HistGradientBoostingClassifier) -> None:
        self._boosting = boosting
        trees = [predictor for (predictor,) in boosting._predictors]
        self._splits = _Splits([tree.nodes for tree in trees], [tree.raw_left_cat_bitsets for tree in trees])
        leaves = [leaf for tree, first in zip(trees, self._splits.first_of_tree, strict=True)
                  for leaf in _leaves(tree.nodes, first)]  # fmt: skip
        self._baseline = float(boosting._baseline_prediction.ravel()[0]) + sum(
            leaf.value * leaf.share for leaf in leaves
        )
        # A leaf that asks nothing (of a tree without a split) says the same of everybody.
        asking = sorted((leaf for leaf in leaves if leaf.features.size), key=lambda leaf: leaf.features.size)
        entries = np.cumsum([leaf.features.size * 2.0**leaf.features.size for leaf in asking])
        fitting = int(np.searchsorted(entries, TABLE_ENTRIES, side="right"))
        self._tables = _Tables(asking[:fitting]) if fitting else None
        self._without_table = asking[fitting:]
        # With categorical features scikit-learn moves them to the front.
        categorical = boosting.is_categorical_
        self._order = (
            np.arange(boosting.n_features_in_)
            if categorical is None
            else np.concatenate([np.flatnonzero(categorical), np.flatnonzero(~categorical)])
        )

    def explain(self, matrix: np.ndarray) -> Contributions:
        """Return the contributions to the raw log odds.

        Parameters
        ----------
        matrix
            Encoded encounters, shape (encounters, features); NaN is missing.
        """
        values = np.zeros((len(matrix), len(self._order)))
        ours = self._boosting._preprocess_X(matrix, reset=False) if len(matrix) else matrix
        for start in range(0, len(matrix), CHUNK):
            rows = slice(start, start + CHUNK)
            goes_left = self._splits.goes_left(ours[rows])
            chunk = np.zeros((len(self._order), goes_left.shape[1]))
            if self._tables is not None:
                self._tables.add_to(chunk, goes_left)
            for leaf in self._without_table:
                leaf.add_to(chunk, goes_left)
            values[rows, self._order] = chunk.T
        return Contributions(self._baseline, values)


class _Splits:
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

    def goes_left(self, matrix: np.ndarray) -> np.ndarray:
        """Return whether each encounter goes left at each split, shape (splits, encounters).

        ``matrix`` is in scikit-learn's own column order, as its preprocessing returns it: categories that it does not
        know are NaN there.
        """
        values = np.ascontiguousarray(matrix.T)[self._feature]
        left = values <= self._threshold
        codes = np.nan_to_num(values[self._categorical]).astype(np.intp)
        left[self._categorical] = np.take_along_axis(self._left_codes, codes, axis=1)
        return np.where(np.isnan(values), self._missing_left, left)


@dataclass(frozen=True)
class _Leaf:
    """A leaf and its path, condition by condition, those on one feature together.

    ``features`` are the distinct features asked, ``ratios`` the share of training encounters that meet the conditions
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
        """Add this leaf's part to contributions of shape (features, encounters), without a table."""
        met = np.logical_and.reduceat(goes_left[self.splits] == self.left[:, None], self.starts, axis=0)
        patterns, which = np.unique(met.T, axis=0, return_inverse=True)
        contributions[self.features] += self.value * _shapley(self.ratios[None], patterns)[0][which.ravel()].T


def _leaves(nodes: np.ndarray, first: int) -> Iterator[_Leaf]:
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
        yield _Leaf(
            value=float(node["value"]),
            share=float(node["count"]) / float(nodes[0]["count"]),
            features=features,
            ratios=np.multiply.reduceat(shares, starts) if len(starts) else shares,
            splits=np.array([condition[1] for condition in ordered], dtype=np.intp),
            left=np.array([condition[2] for condition in ordered], dtype=bool),
            starts=starts,
        )


class _Tables:
    """The tables of many leaves in one, so that a few operations on whole arrays serve all of them.

    A *slot* is a feature of a leaf's path. The leaves come in the order of how many they have.
    """

    def __init__(self, leaves: list[_Leaf]) -> None:
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
        """Add these leaves' part to contributions of shape (features, encounters)."""
        met = np.logical_and.reduceat(goes_left[self._splits] == self._left, self._slot_starts, axis=0)
        patterns = np.add.reduceat(met * self._bits, self._leaf_starts, axis=0)
        entries = self._entries[self._offsets + patterns[self._leaf_of]]
        contributions[self._features] += np.add.reduceat(entries, self._feature_starts, axis=0)


def _entries(leaves: list[_Leaf], depth: int) -> Iterator[np.ndarray]:
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
        Share of training encounters that meet the conditions on each feature, shape (leaves, features).
    patterns
        Whether an encounter meets them, shape (patterns, features).

    Returns
    -------
    Shape (leaves, patterns, features).
    """
    leaves, features = ratios.shape
    points, weights = np.polynomial.legendre.leggauss((features + 1) // 2)
    integral = np.zeros((leaves, len(patterns), features))
    for point, weight in zip((points + 1) / 2, weights / 2, strict=True):
        factors = patterns * point + (ratios * (1 - point))[:, None, :]
        # Every factor is positive, since a leaf holds training encounters and the points lie inside (0, 1).
        integral += weight * factors.prod(axis=2, keepdims=True) / factors
    return np.asarray((patterns - ratios[:, None, :]) * integral)
