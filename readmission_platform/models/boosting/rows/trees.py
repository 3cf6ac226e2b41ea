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
    """The trees as flat lists: walking them is a few hundred steps, too few for arrays to be worth their cost."""

    def __init__(self, compiled: CompiledBoosting) -> None:
        self.splits = Splits(list(compiled.trees), list(compiled.bitsets))
        self._baseline = compiled.baseline
        self._left, self._right, self._roots, self._values = _flat(compiled.trees)
        known = [{code: float(place) for place, code in enumerate(codes)} for codes in compiled.categories]
        self._categories = list(zip(compiled.order[: len(known)], known, strict=True))
        self._numbers = compiled.order[len(known) :]

    def goes_left(self, encoded: Sequence[float]) -> np.ndarray:
        """Return whether a row, as its encoder gives it (NaN is missing), goes left at each split."""
        ordered = [codes.get(encoded[place], _NAN) for place, codes in self._categories]
        ordered += [encoded[place] for place in self._numbers]
        return self.splits.row_goes_left(np.array(ordered))

    def log_odds(self, goes_left: np.ndarray) -> float:
        """Return the raw log odds of a row that goes this way."""
        goes, left, right, values = goes_left.tolist(), self._left, self._right, self._values
        total = self._baseline
        for root in self._roots:
            node = root
            while node >= 0:
                node = left[node] if goes[node] else right[node]
            total += values[~node]
        return total


def _flat(trees: Sequence[np.ndarray]) -> tuple[list[int], list[int], list[int], list[float]]:
    """Number splits and leaves through all trees; a child that is a leaf is written as ``~leaf``, which is negative.

    Returns
    -------
    Left and right child of each split, the root of each tree, and the value of each leaf.
    """
    sizes = np.array([len(nodes) for nodes in trees])
    nodes, first = np.concatenate(trees), np.cumsum(sizes) - sizes
    split = nodes["is_leaf"] == 0
    number = np.where(split, np.cumsum(split) - 1, ~(np.cumsum(~split) - 1))
    beginning = np.repeat(first, sizes)[split]
    left, right = (number[nodes[side][split] + beginning].tolist() for side in ("left", "right"))
    return left, right, number[first].tolist(), nodes["value"][~split].tolist()
