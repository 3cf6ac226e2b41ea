"""How much each feature adds to the risk of one row: exact Shapley values of the boosted trees.

What belongs here: path-dependent TreeSHAP values (Lundberg et al. 2020, doi 10.1038/s42256-019-0138-9, algorithm 1) of
``HistGradientBoostingClassifier``, in log odds of the calibrated risk. What does not: putting them into words
(``reasons``).

The value of a set of features is what the tree predicts when only these are known: at a split on another feature both
branches count, each by its share of the training rows. A leaf whose path asks d features is then a product of d
factors, and the Shapley value of feature i in it is the integral over t in [0, 1] of

    value * (o_i - r_i) * prod over j != i of (o_j t + r_j (1 - t)),

o_j being 1 where the row meets the path's conditions on feature j and r_j the share of training rows that do. A
Gauss-Legendre rule of d/2 points integrates this polynomial exactly. The o of a row are a pattern of d bits, so each
leaf has a table of 2^d lines, made once (``trees``); explaining a row means looking up its lines.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from readmission_platform.evaluation.estimates.calibration import clipped_log_odds
from readmission_platform.models.boosting.trees import Leaves, Splits, Tables

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingClassifier

    from readmission_platform.models.boosting.recalibrated import RecalibratedClassifier

# Rows worked on at a time: arrays of 10 MB with 150 trees of 24 leaves, which stay close to the processor.
CHUNK = 64


@dataclass(frozen=True)
class Contributions:
    """What each feature adds to the log odds of each row.

    ``baseline`` is the log odds of a row of which nothing is known; ``values`` has shape (rows, features),
    columns in the order of the encoder's ``feature_names()``.
    """

    baseline: float
    values: np.ndarray

    @property
    def log_odds(self) -> np.ndarray:
        """The log odds they add up to, shape (rows,)."""
        return np.asarray(self.baseline + self.values.sum(axis=1))


def calibrated(raw: Contributions, slope: float, intercept: float) -> Contributions:
    """Return the contributions to a risk whose log odds are corrected, from those to the raw log odds.

    The model clips risks next to 0 and 1; what goes beyond is taken from every feature alike.
    """
    reached = raw.log_odds
    kept = clipped_log_odds(reached)
    beyond = kept != reached
    shares = np.ones(len(reached))
    shares[beyond] = (kept[beyond] - raw.baseline) / (reached[beyond] - raw.baseline)
    return Contributions(slope * raw.baseline + intercept, slope * shares[:, None] * raw.values)


class Explainer:
    """Explains the risks of one calibrated model; making it takes a moment, so one serves for many rows."""

    def __init__(self, model: "RecalibratedClassifier") -> None:
        self._encode = model.classifier[0]
        self._trees = BoostingExplainer(model.classifier[-1])
        self._slope, self._intercept = model.slope, model.intercept

    def explain(self, inputs: pd.DataFrame) -> Contributions:
        """Return the contributions to the calibrated risk; baseline and values add up to its log odds."""
        encoded = np.empty((0, len(self._encode.feature_names()))) if inputs.empty else self._encode.transform(inputs)
        return calibrated(self._trees.explain(encoded), self._slope, self._intercept)


def order_of(boosting: "HistGradientBoostingClassifier") -> np.ndarray:
    """Return the columns in the order in which the trees number them: scikit-learn moves categories to the front."""
    categorical = boosting.is_categorical_
    if categorical is None:
        return np.arange(boosting.n_features_in_)
    return np.concatenate([np.flatnonzero(categorical), np.flatnonzero(~categorical)])


class BoostingExplainer:
    """Exact contributions to the raw log odds of a fitted binary histogram gradient boosting.

    Reads the trees as scikit-learn 1.9 keeps them (``_predictors``, ``_baseline_prediction``,
    ``_preprocess_X``), since it offers no public way to them.
    """

    def __init__(self, boosting: "HistGradientBoostingClassifier") -> None:
        self._boosting = boosting
        trees = [predictor for (predictor,) in boosting._predictors]
        self._splits = Splits([tree.nodes for tree in trees], [tree.raw_left_cat_bitsets for tree in trees])
        leaves = Leaves.of([tree.nodes for tree in trees], self._splits)
        self._baseline = float(boosting._baseline_prediction.ravel()[0]) + leaves.average
        self._tables = Tables(leaves.tabled) if leaves.tabled else None
        self._without_table = leaves.deepest
        self._order = order_of(boosting)

    def explain(self, matrix: np.ndarray) -> Contributions:
        """Return the contributions to the raw log odds.

        Parameters
        ----------
        matrix
            Encoded rows, shape (rows, features); NaN is missing.
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
