"""A classifier whose log odds are corrected by a slope and an intercept.

What belongs here: the classifier. What does not: where slope and intercept come from (``crossvalidation``, and
``evaluation.estimates.recalibration``).
"""

from typing import Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, ClassifierTags, Tags
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from readmission_platform.evaluation.estimates.recalibration import corrected


class RecalibratedClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # untyped bases
    """A fitted classifier whose log odds are corrected by a slope and an intercept (Platt 1999).

    Slope and intercept come from out-of-fold scores: each of a classifier that was not trained on its entity. The
    classifier is a pipeline of an encoder (first) and a histogram gradient boosting (last).
    """

    def __init__(self, classifier: Pipeline, slope: float = 1.0, intercept: float = 0.0) -> None:
        self.classifier = classifier
        self.slope = slope
        self.intercept = intercept

    @property
    def classes_(self) -> np.ndarray:
        """Class labels, 0 and 1."""
        return np.array([0, 1])

    def further(self, slope: float, intercept: float) -> "RecalibratedClassifier":
        """Return the same classifier with the log odds of these risks corrected once more."""
        return RecalibratedClassifier(self.classifier, slope * self.slope, slope * self.intercept + intercept)

    def fit(self, frame: pd.DataFrame, labels: np.ndarray) -> Self:
        """Fit the classifier; slope and intercept are given, not learnt here."""
        self.classifier.fit(frame, labels)
        return self

    def predict_proba(self, frame: pd.DataFrame) -> np.ndarray:
        """Return probabilities of shape (rows, 2)."""
        raw = self.classifier.predict_proba(frame)[:, 1]
        risk = corrected(raw, self.slope, self.intercept)
        return np.column_stack([1 - risk, risk])

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        """Return 1 where the outcome is more likely than not."""
        return (self.predict_proba(frame)[:, 1] >= 0.5).astype("int8")

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self.classifier[-1], "n_features_in_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags = ClassifierTags(multi_class=False)
        return tags


def score(model: RecalibratedClassifier, inputs: pd.DataFrame) -> np.ndarray:
    """Return calibrated probabilities, shape (rows,)."""
    if inputs.empty:
        return np.empty(0)
    with threadpool_limits(1, user_api="openmp"):
        return model.predict_proba(inputs)[:, 1]
