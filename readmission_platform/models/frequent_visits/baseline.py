"""A logistic regression on the same inputs, which the model has to be worth its trouble against.

Numbers are standardised, a missing one is the mean and says so in a column of its own; texts are one column a value.
"""

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from readmission_platform.models.frequent_visits.encoder import NUMBERS
from readmission_platform.models.frequent_visits.feed import ORDERED
from readmission_platform.models.tabular.baseline import out_of_fold


def logistic_scores(inputs: pd.DataFrame, labels: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Return the risk of each enrolment from a regression that never saw its person, shape (rows,).

    Parameters
    ----------
    labels
        0 or 1, shape (rows,).
    folds
        Fold of each row's person, shape (rows,); 0 to k - 1, all present.
    """
    design = make_column_transformer(
        (make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()), NUMBERS),
        (OneHotEncoder(handle_unknown="ignore"), list(ORDERED)),
    )
    return out_of_fold(make_pipeline(design, LogisticRegression(max_iter=500)), inputs, labels, folds)
