"""The baseline every model has to beat: plain logistic regression on the same inputs.

What belongs here: its inputs, and honest out-of-fold risks. What does not: the shipped model (``model``) and comparing
the two (``evaluation``).

Categories are one-hot, missing among them; counts enter as standardised logarithms, a missing one as the mean. Risks
are taken as they come: logistic regression is calibrated without help, or else that shows.
"""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from readmission_platform.encounters.cohort import DRUG_COLUMNS
from readmission_platform.encounters.icd9 import chapter
from readmission_platform.models.readmission_30d.inputs import (
    CODE_LISTS,
    COUNTS,
    DIAGNOSES,
    LEARNT,
    NAMED_VALUES,
    ORDERED_VALUES,
)

# Values of fewer training encounters share a column.
RARE = 50
# An inverse strength at which regularisation only keeps rare values from running away.
STRENGTH = 0.1
ITERATIONS = 200


def logistic_scores(frame: pd.DataFrame, labels: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Return the risk of each encounter from a logistic regression that never saw its patient, shape (encounters,).

    Parameters
    ----------
    frame
        ``MODEL_INPUTS``, one row per encounter.
    labels
        0 or 1, shape (encounters,).
    folds
        Fold of each encounter's patient, shape (encounters,); 0 to k - 1, all present.
    """
    design = _Design(frame)
    scores = np.empty(len(frame))

    def fit_fold(fold: int) -> None:
        held_out = folds == fold
        training = design.learnt_from(~held_out)
        fitted = LogisticRegression(C=STRENGTH, max_iter=ITERATIONS).fit(training[~held_out], labels[~held_out])
        scores[held_out] = fitted.predict_proba(training[held_out])[:, 1]

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        list(pool.map(fit_fold, range(int(folds.max()) + 1)))
    return scores


class _Design:
    """The inputs as numbers and codes, made once; what is learnt from rows is learnt for each fold."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._numbers = np.log1p(frame[COUNTS].astype("float64").clip(lower=0))
        self._numbers["age"] = frame["age"].map(ORDERED_VALUES["age"]).astype("float64")
        columns = {name: frame[name] for name in [*CODE_LISTS, *NAMED_VALUES, *LEARNT, *DRUG_COLUMNS]}
        columns |= {name: frame[name] for name in ORDERED_VALUES if name not in DRUG_COLUMNS and name != "age"}
        columns |= {name: chapter(frame[name]) for name in DIAGNOSES}
        # Codes only name equal values; which of them get a column is decided within the fold.
        self._codes = [pd.factorize(values, use_na_sentinel=False)[0] for values in columns.values()]

    def learnt_from(self, rows: np.ndarray) -> sparse.csr_matrix:
        """Return the design of all encounters; means, spreads and rare values are those of ``rows``."""
        known = self._numbers[rows]
        centre, spread = known.mean(), known.std(ddof=0)
        # What is missing gets the mean; that it is missing is told by the categories of the same stay.
        scaled = ((self._numbers - centre) / spread.where(spread > 0, 1.0)).fillna(0.0)
        blocks = [_one_hot(codes, rows) for codes in self._codes]
        return sparse.hstack([sparse.csr_matrix(scaled.to_numpy()), *blocks], format="csr")


def _one_hot(codes: np.ndarray, rows: np.ndarray) -> sparse.csr_matrix:
    """Give each value that is common among ``rows`` a column, and the others one together; the commonest needs none."""
    counts = np.bincount(codes[rows], minlength=int(codes.max()) + 1)
    common = np.flatnonzero(counts >= RARE)
    place = np.full(len(counts), len(common))
    place[common] = np.arange(len(common))
    commonest = place[counts.argmax()]
    kept = place[codes] != commonest
    where = np.flatnonzero(kept)
    shape = (len(codes), len(common) + 1)
    return sparse.csr_matrix((np.ones(len(where)), (where, place[codes][kept])), shape=shape)
