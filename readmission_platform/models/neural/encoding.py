"""From inputs to what a network sees: standardised numbers, whether they are missing, and the place of each text.

What belongs here: the encoding used in training and in scoring. What does not: the network (``model``, ``network``).
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from readmission_platform.foundation.distinct import numbers_of
from readmission_platform.models.tabular.columns import Columns


def numbers_in(inputs: pd.DataFrame, columns: Columns) -> np.ndarray:
    """Return the numbers as they are, shape (rows, numbers), float64; NaN where one is missing."""
    found = np.empty((len(inputs), len(columns.numbers)))
    for place, name in enumerate(columns.numbers):
        found[:, place] = inputs[name].to_numpy(dtype="float64", na_value=np.nan)
    return found


def places_in(inputs: pd.DataFrame, columns: Columns) -> np.ndarray:
    """Return the place of each text in its list from 1, or 0 if missing or unknown; shape (rows, texts), int32."""
    found = np.empty((len(inputs), len(columns.texts)), dtype="int32")
    for column, (name, texts) in enumerate(columns.texts.items()):
        table = {text: float(place) for place, text in enumerate(texts, start=1)}
        found[:, column] = np.nan_to_num(numbers_of(inputs[name], table), nan=0.0)
    return found


@dataclass(frozen=True)
class Scale:
    """What training saw of the numbers; shape (numbers,) each, float64.

    A number outside of ``low`` to ``high`` counts as the nearer of them: what a network makes of a value beyond all
    that it learnt from is anybody's guess. Of a column without any value they are infinite.
    """

    mean: np.ndarray
    deviation: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, numbers: np.ndarray) -> Self:
        """Measure numbers of shape (rows, numbers), NaN where missing."""
        there = ~np.isnan(numbers)
        count = np.maximum(there.sum(axis=0), 1)
        mean = np.where(there, numbers, 0.0).sum(axis=0) / count
        deviation = np.sqrt((np.where(there, numbers - mean, 0.0) ** 2).sum(axis=0) / count)
        return cls(
            mean,
            np.where(deviation > 0, deviation, 1.0),
            np.where(there, numbers, np.inf).min(axis=0, initial=np.inf),
            np.where(there, numbers, -np.inf).max(axis=0, initial=-np.inf),
        )

    def standardised(self, numbers: np.ndarray) -> np.ndarray:
        """Return shape (rows, 2 * numbers): the numbers in standard deviations, 0 if missing; then 1 if missing."""
        missing = np.isnan(numbers)
        within = np.minimum(np.maximum(numbers, self.low), self.high)
        # A column that had no value in training has no scale: it stays at the mean, as if it were missing.
        known = ~missing & np.isfinite(self.low)
        shown = np.where(known, (np.where(known, within, 0.0) - self.mean) / self.deviation, 0.0)
        return np.hstack([shown, missing.astype("float64")])
