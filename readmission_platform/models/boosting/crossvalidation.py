"""One model a fold, recalibrated on out-of-fold scores: the model to ship, and the evidence about its recipe.

What belongs here: fitting by fold and the recalibration. What does not: the pipeline, which each model builds, and
judging the scores (``evaluation``).
"""

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from readmission_platform.evaluation.estimates.recalibration import cross_fitted
from readmission_platform.models.boosting.recalibrated import RecalibratedClassifier
from readmission_platform.models.contract import CrossValidated, Progress


def cross_validate(
    build: Callable[[], Pipeline],
    inputs: pd.DataFrame,
    labels: np.ndarray,
    folds: np.ndarray,
    *,
    fitted_with: Mapping[str, np.ndarray] | None = None,
    progress: Progress = lambda done, total: None,
) -> CrossValidated:
    """Fit one model per fold on the other folds and score the fold with it.

    The recalibration applied to fold k is fitted on the out-of-fold scores of all *other* folds, so its own scores have
    no part in it. Its labels have: the models that scored the other folds were trained on them. Two parameters on all
    rows leave no room for that to show.

    Parameters
    ----------
    build
        Returns the unfitted pipeline: an encoder, then the boosting. The same each time.
    inputs
        One row each.
    labels
        0 or 1, shape (rows,).
    folds
        Fold of each row's entity, shape (rows,); 0 to k - 1, all present.
    fitted_with
        What else ``fit`` of the pipeline is given, shape (rows,) each, by the name of its parameter.
    progress
        Called with folds done and folds in total.

    Returns
    -------
    ``scores`` are calibrated probabilities, one per row, each from a model that saw neither that row nor any other of
    its entity. ``model`` is the ``RecalibratedClassifier`` of fold 0, whose entities are its test entities.
    """
    count = int(folds.max()) + 1
    raw = np.empty(len(inputs))
    pipelines: dict[int, Pipeline] = {}

    def fit_fold(fold: int) -> None:
        held_out = folds == fold
        others = {name: values[~held_out] for name, values in (fitted_with or {}).items()}
        with threadpool_limits(1, user_api="openmp"):
            pipelines[fold] = build().fit(inputs[~held_out], labels[~held_out], **others)
            raw[held_out] = pipelines[fold].predict_proba(inputs[held_out])[:, 1]

    # A thread per fold and core, each fit on one core: OpenMP's own threads wait in busy loops and slow a fit
    # down tenfold when another process wants the second core.
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for done, _ in enumerate(pool.map(fit_fold, range(count)), start=1):
            progress(done, count)

    found = cross_fitted(raw, labels, folds)
    return CrossValidated(RecalibratedClassifier(pipelines[0], found.slope, found.intercept), found.scores)
