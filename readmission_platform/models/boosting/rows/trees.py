"""The trees of a compiled boosting, asked about one row.

What belongs here: which way a row goes, and the sum of the leaves it reaches. What does not: the risk that follows
(``scorer``), and what each feature adds to it (``shapley``).

The leaves are added tree after tree, as scikit-learn does, so that the sum has the same bits.
"""

from collections.abc import Sequence

import numpy as np

from readmission_platform.models.boosting.rows.compiled import CompiledBoosting
from readmission_platform.models.boosting.trees import Splits

_NAN = float("nan")


class RowTrees:
    """The trees as one array of nodes, which a row walks through in all trees at once.

    Splits come first, numbered through all trees as ``Splits`` has them, then the leaves, and last a leaf for the
    baseline, which is the first thing to be added up.
    """

    def __init__(self, compiled: CompiledBoosting) -> None:
        self.splits = Splits(list(compiled.trees), list(compiled.bitsets))
        sizes = np.array([len(nodes) for nodes in compiled.trees])
        nodes, first = np.concatenate(compiled.trees), np.cumsum(sizes) - sizes
        split = nodes["is_leaf"] == 0
        number = np.where(split, np.cumsum(split) - 1, len(self.splits) + np.cumsum(~split) - 1)
        beginning = np.repeat(first, sizes)[split]
        self._left, self._right = (number[nodes[side][split] + beginning] for side in ("left", "right"))
        self._leaves = np.arange(len(self.splits), len(nodes) + 1)
        self._roots = np.array([len(nodes), *number[first]])
        self._values = np.concatenate([np.zeros(len(self.splits)), nodes["value"][~split], [compiled.baseline]])
        self._steps = _deepest(self._left, self._right, self._roots[1:])
        known = [{code: float(place) for place, code in enumerate(codes)} for codes in compiled.categories]
        self._categories = list(zip(compiled.order[: len(known)], known, strict=True))
        self._numbers = compiled.order[len(known) :]

    def goes_left(self, encoded: Sequence[float]) -> np.ndarray:
        """Return whether a row, as its encoder gives it (NaN is missing), goes left at each split."""
        ordered = [codes.get(encoded[place], _NAN) for place, codes in self._categories]
        ordered += [encoded[place] for place in self._numbers]
        return self.splits.row_goes_left(np.array(ordered))

    def log_odds(self, goes_left: np.ndarray) -> float:
        """Return the raw log odds of a row that goes this way at each split."""
        following = np.concatenate([np.where(goes_left, self._left, self._right), self._leaves])
        reached = self._roots
        for _ in range(self._steps):
            reached = following[reached]
        # A running sum adds one after the other; a sum would add in another order.
        return float(np.add.accumulate(self._values[reached])[-1])


def _deepest(left: np.ndarray, right: np.ndarray, roots: np.ndarray) -> int:
    """Return how many splits the longest path has."""
    steps, level = 0, roots[roots < len(left)]
    while len(level):
        below = np.concatenate([left[level], right[level]])
        steps, level = steps + 1, below[below < len(left)]
    return steps
