"""A logistic regression on the same inputs, which a model has to be worth its trouble against."""

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from readmission_platform.models.tabular.columns import Columns
from readmission_platform.models.tabular.encoder import TableEncoder


def logistic_scores(inputs: pd.DataFrame, labels: np.ndarray, folds: np.ndarray, columns: Columns) -> np.ndarray:
    """Return the risk of each row from a regression that never saw its entity, shape (rows,).

    Parameters
    ----------
    labels
        0 or 1, shape (rows,).
    folds
        Fold of each row's entity, shape (rows,); 0 to k - 1, all present.
    """
    encoder = TableEncoder(columns.numbers, columns.texts, filled=True)
    return out_of_fold(make_pipeline(encoder, LogisticRegression(max_iter=500)), inputs, labels, folds)


def out_of_fold(regression: Pipeline, inputs: pd.DataFrame, labels: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Return each row's risk from a fit, from the start, on the other folds, shape (rows,)."""
    scores = np.empty(len(inputs))
    for fold in range(int(folds.max()) + 1):
        held_out = folds == fold
        fitted = clone(regression).fit(inputs[~held_out], labels[~held_out])
        scores[held_out] = fitted.predict_proba(inputs[held_out])[:, 1]
    return scores
