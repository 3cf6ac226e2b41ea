"""From the inputs of a table to the matrix that an estimator is fitted on.

What belongs here: the encoder used in training and in scoring. What does not: the estimator, and what is withheld.
"""

from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from readmission_platform.foundation.distinct import numbers_of
from readmission_platform.models.boosting.soundness import ranges_in


class TableEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # untyped bases
    """Turn inputs into a float matrix.

    Parameters
    ----------
    numbers
        Names of the inputs that are numbers.
    texts
        By name of the other inputs, the texts that occur.
    filled
        For estimators that take no missing values and know no categories: numbers are standardised, a missing one is
        the mean and says so in a column of its own, and each text has a column. Otherwise a missing number stays NaN,
        and a text is its place in the list, NaN where it is missing or not in it.

    Attributes
    ----------
    ranges_
        Lowest and highest value of each number that training saw, by name.
    means_, spreads_
        Of each number in training, by name.
    """

    def __init__(self, numbers: Sequence[str], texts: Mapping[str, Sequence[str]], filled: bool = False) -> None:
        self.numbers = numbers
        self.texts = texts
        self.filled = filled

    def fit(self, frame: pd.DataFrame, y: np.ndarray | None = None) -> Self:
        """Keep what was seen in a frame with the inputs."""
        self.ranges_ = ranges_in(frame, self.numbers)
        values = frame[list(self.numbers)].astype("float64")
        self.means_ = values.mean().fillna(0.0).to_dict()
        self.spreads_ = values.std(ddof=0).replace(0.0, 1.0).fillna(1.0).to_dict()
        return self

    def transform(self, frame: pd.DataFrame) -> np.ndarray:
        """Encode; shape (rows, features), dtype float64, columns as in ``feature_names()``."""
        check_is_fitted(self, "ranges_")
        columns: list[np.ndarray] = []
        for name in self.numbers:
            values = frame[name].to_numpy(dtype="float64", na_value=np.nan)
            if self.filled:
                missing = np.isnan(values)
                standard = (values - self.means_[name]) / self.spreads_[name]
                columns += [np.where(missing, 0.0, standard), missing.astype("float64")]
            else:
                columns.append(values)
        for name, texts in self.texts.items():
            places = numbers_of(frame[name], {text: float(place) for place, text in enumerate(texts)})
            columns += [(places == place).astype("float64") for place in range(len(texts))] if self.filled else [places]
        return np.column_stack(columns)

    def feature_names(self) -> list[str]:
        """Return the names of the output columns: those of the inputs, unless they are filled."""
        if not self.filled:
            return [*self.numbers, *self.texts]
        numbers = [each for name in self.numbers for each in (name, f"{name} missing")]
        return [*numbers, *(f"{name}={text}" for name, texts in self.texts.items() for text in texts)]
