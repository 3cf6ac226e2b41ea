"""The model: gradient boosting behind one pipeline, recalibrated, with honest out-of-fold scores.

What belongs here: fitting, cross-validation by patient, and which types a stored artifact may contain.
What does not: judging the scores (``evaluation``) and storing artifacts (``resources.tracking``).
"""

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, ClassifierTags, Tags
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from readmission_platform.models.readmission_30d.features import EncounterEncoder, categorical_mask, monotone_directions

# What kind of model this is. A change plan names it: another kind needs a new review.
ALGORITHM = "gradient boosting, rising with utilisation, on encodings and target statistics, recalibrated (Platt)"

# Everything a stored model may contain beyond what skops trusts by itself. Loading refuses any other type.
TRUSTED_TYPES = (
    "functools.partial",  # of check_array, inside the boosting's own preprocessing
    "readmission_platform.models.readmission_30d.features.EncounterEncoder",
    "readmission_platform.models.readmission_30d.model.RecalibratedClassifier",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.utils.validation.check_array",
)

# Scores this close to 0 or 1 have no finite logit.
_CLIP = 1e-6


def logit(scores: np.ndarray) -> np.ndarray:
    """Return log odds of probabilities, clipped away from 0 and 1."""
    clipped = np.clip(scores, _CLIP, 1 - _CLIP)
    return np.asarray(np.log(clipped / (1 - clipped)))


def clipped_log_odds(log_odds: np.ndarray) -> np.ndarray:
    """Clip log odds to where ``logit`` clips probabilities."""
    furthest = float(logit(np.array(1.0)))
    return np.asarray(np.clip(log_odds, -furthest, furthest))


class RecalibratedClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # untyped bases
    """A fitted classifier whose log odds are corrected by a slope and an intercept (Platt 1999).

    Slope and intercept come from out-of-fold scores: each of a classifier that was not trained on its patient.
    """

    def __init__(self, classifier: Pipeline, slope: float = 1.0, intercept: float = 0.0) -> None:
        self.classifier = classifier
        self.slope = slope
        self.intercept = intercept

    @property
    def classes_(self) -> np.ndarray:
        """Class labels, 0 and 1."""
        return np.array([0, 1])

    def fit(self, frame: pd.DataFrame, labels: np.ndarray) -> Self:
        """Fit the classifier; slope and intercept are given, not learnt here."""
        self.classifier.fit(frame, labels)
        return self

    def predict_proba(self, frame: pd.DataFrame) -> np.ndarray:
        """Return probabilities of shape (encounters, 2)."""
        raw = self.classifier.predict_proba(frame)[:, 1]
        risk = 1 / (1 + np.exp(-(self.slope * logit(raw) + self.intercept)))
        return np.column_stack([1 - risk, risk])

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        """Return 1 where readmission is more likely than not."""
        return (self.predict_proba(frame)[:, 1] >= 0.5).astype("int8")

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self.classifier[-1], "n_features_in_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags = ClassifierTags(multi_class=False)
        return tags


def build_pipeline(boosting: Mapping[str, float], *, target_smoothing: float | None, seed: int) -> Pipeline:
    """Return the unfitted pipeline: encoder, then histogram gradient boosting with native categories.

    The risk may only rise with utilisation (``features.RISING``).

    Parameters
    ----------
    boosting
        Hyperparameters of ``HistGradientBoostingClassifier``.
    target_smoothing
        See ``EncounterEncoder``; None leaves the target statistics out.
    """
    statistics = target_smoothing is not None
    return Pipeline(
        [
            ("encode", EncounterEncoder(target_smoothing=target_smoothing, seed=seed)),
            (
                "boost",
                HistGradientBoostingClassifier(
                    **boosting,
                    categorical_features=categorical_mask(target_statistics=statistics),
                    monotonic_cst=monotone_directions(target_statistics=statistics),
                    early_stopping=False,
                    random_state=seed,
                ),
            ),
        ]
    )


@dataclass(frozen=True)
class CrossValidated:
    """The outcome of training: the artifact to ship and the evidence about it.

    ``scores`` are calibrated probabilities, one per encounter, each from a model that saw neither that
    encounter nor any other of its patient. ``model`` is the one for fold 0, whose patients are its test
    patients.
    """

    model: RecalibratedClassifier
    scores: np.ndarray


def cross_validate(
    frame: pd.DataFrame,
    labels: np.ndarray,
    folds: np.ndarray,
    *,
    boosting: Mapping[str, float],
    target_smoothing: float | None,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> CrossValidated:
    """Fit one model per fold on the other folds and score the fold with it.

    The recalibration applied to fold k is fitted on the out-of-fold scores of all *other* folds, so its own scores have
    no part in it. Its labels have: the models that scored the other folds were trained on them. Two parameters on all
    encounters leave no room for that to show.

    Parameters
    ----------
    frame
        ``MODEL_INPUTS``, one row per encounter.
    labels
        0 or 1, shape (encounters,).
    folds
        Fold of each encounter's patient, shape (encounters,); 0 to k - 1, all present.
    boosting, target_smoothing, seed
        As for ``build_pipeline``.
    progress
        Called with folds done and folds in total.
    """
    count = int(folds.max()) + 1
    raw = np.empty(len(frame))
    pipelines: dict[int, Pipeline] = {}

    def fit_fold(fold: int) -> None:
        held_out = folds == fold
        with threadpool_limits(1, user_api="openmp"):
            pipeline = build_pipeline(boosting, target_smoothing=target_smoothing, seed=seed)
            pipelines[fold] = pipeline.fit(frame[~held_out], labels[~held_out])
            raw[held_out] = pipelines[fold].predict_proba(frame[held_out])[:, 1]

    # A thread per fold and core, each fit on one core: OpenMP's own threads wait in busy loops and slow a fit
    # down tenfold when another process wants the second core.
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for done, _ in enumerate(pool.map(fit_fold, range(count)), start=1):
            progress(done, count)

    log_odds = logit(raw)
    scores = np.empty(len(frame))
    corrections = []
    # BLAS splits a sum by the number of its threads, which shows in the last bit: a version could not be reproduced
    # identically where that number is another.
    with threadpool_limits(1, user_api="blas"):
        for fold in range(count):
            held_out = folds == fold
            correction = LogisticRegression(C=np.inf).fit(log_odds[~held_out, None], labels[~held_out])
            scores[held_out] = correction.predict_proba(log_odds[held_out, None])[:, 1]
            corrections.append((float(correction.coef_[0, 0]), float(correction.intercept_[0])))
    slope, intercept = corrections[0]
    return CrossValidated(RecalibratedClassifier(pipelines[0], slope, intercept), scores)


def score(model: RecalibratedClassifier, frame: pd.DataFrame) -> np.ndarray:
    """Return the calibrated risk of readmission within 30 days, shape (encounters,)."""
    if frame.empty:
        return np.empty(0)
    with threadpool_limits(1, user_api="openmp"):
        return model.predict_proba(frame)[:, 1]
