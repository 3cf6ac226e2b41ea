"""Why one row's risk is what it is: contributions, concepts and words for a single row.

What belongs here: going from contributions to words as ``boosting.explanation`` does for a batch. What does not: the
contributions (``shapley``), and the words (``boosting.reasons``).
"""

from collections.abc import Sequence

import numpy as np

from readmission_platform.models.boosting.concepts import Concept, Row
from readmission_platform.models.boosting.contributions import Contributions, calibrated
from readmission_platform.models.boosting.reasons import accounts, positions_of, reasons_of
from readmission_platform.models.boosting.rows.compiled import CompiledBoosting
from readmission_platform.models.boosting.rows.shapley import RowShapley
from readmission_platform.models.boosting.trees import Leaves, Splits


class RowReasons:
    """Explains the risks of one compiled model."""

    def __init__(self, compiled: CompiledBoosting, splits: Splits, concepts: Sequence[Concept]) -> None:
        leaves = Leaves.of(compiled.trees, splits)
        self._baseline = compiled.baseline + leaves.average
        self._shapley = RowShapley(leaves, splits=len(splits), features=len(compiled.features))
        self._order, self._correction = np.array(compiled.order), (compiled.slope, compiled.intercept)
        self._positions, self._concepts = positions_of(compiled.features, concepts), concepts

    def of(self, goes_left: np.ndarray, log_odds: np.ndarray, spoken_of: Row) -> tuple[str, str]:
        """Return reasons in words and contributions as JSON.

        Parameters
        ----------
        goes_left
            Which way the row goes at each split.
        log_odds
            Of its risk, shape (1,).
        spoken_of
            The inputs that reasons may speak of.
        """
        values = np.empty((1, len(self._order)))
        values[0, self._order] = self._shapley.contributions(goes_left)
        found = calibrated(Contributions(self._baseline, values), *self._correction)
        sums = np.array([self._by_concept(found.values[0].tolist())])
        (said,) = reasons_of(sums, [spoken_of], self._concepts)
        (account,) = accounts(sums, found.baseline, log_odds, self._concepts)
        return said, account

    def _by_concept(self, values: list[float]) -> list[float]:
        """Add up feature by feature, as ``by_concept`` does."""
        sums = [0.0] * len(self._concepts)
        for value, position in zip(values, self._positions, strict=True):
            sums[position] += value
        return sums
