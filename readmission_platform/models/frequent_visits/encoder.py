"""From an enrolment to the numbers a tree model splits on, and the pipeline of this example.

What belongs here: the encoder used in training and in scoring, and the boosting behind it. What does not: fitting by
fold and recalibration (``boosting.crossvalidation``).
"""

from collections.abc import Mapping
from typing import Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from readmission_platform.foundation.distinct import numbers_of
from readmission_platform.models.boosting.soundness import ranges_in, seen_in
from readmission_platform.models.frequent_visits.feed import HISTORY_COLUMNS, INPUTS, ORDERED

NUMBERS = [name for name in INPUTS if name not in ORDERED]
# Whoever saw a physician often before is never given a lower risk for it.
RISING = HISTORY_COLUMNS


class EnrolmentEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # untyped bases
    """Turn ``INPUTS`` into a float matrix; texts become their place in order, unknown and missing values NaN.

    Nothing is learnt for that. Fitting keeps what was seen, which tells what the model can be asked about.

    Attributes
    ----------
    ranges_
        Lowest and highest value of each number, by name.
    seen_
        The rates of coinsurance, by name.
    """

    def fit(self, frame: pd.DataFrame, y: np.ndarray | None = None) -> Self:
        """Keep what was seen in a frame with the columns of ``INPUTS``."""
        self.ranges_ = ranges_in(frame, NUMBERS)
        self.seen_ = seen_in(frame, ["coinsurance"])
        return self

    def transform(self, frame: pd.DataFrame) -> np.ndarray:
        """Encode; shape (rows, features), dtype float64, columns as in ``feature_names()``."""
        check_is_fitted(self, "ranges_")
        places = {name: {text: float(place) for place, text in enumerate(order)} for name, order in ORDERED.items()}
        columns = [numbers_of(frame[name], places[name]) if name in places
                   else frame[name].to_numpy(dtype="float64", na_value=np.nan) for name in INPUTS]  # fmt: skip
        return np.column_stack(columns)

    def feature_names(self) -> list[str]:
        """Return the names of the output columns: those of the inputs."""
        return list(INPUTS)


def build_pipeline(boosting: Mapping[str, float], *, seed: int) -> Pipeline:
    """Return the unfitted pipeline: encoder, then histogram gradient boosting with these hyperparameters."""
    boost = HistGradientBoostingClassifier(
        **boosting,
        monotonic_cst=[int(name in RISING) for name in INPUTS],
        early_stopping=False,
        random_state=seed,
    )
    return Pipeline([("encode", EnrolmentEncoder()), ("boost", boost)])
