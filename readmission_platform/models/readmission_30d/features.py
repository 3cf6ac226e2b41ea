"""From an encounter and its history to the numbers a tree model splits on.

What belongs here: the one encoder used in training and in scoring. What does not: the input columns (``inputs``),
history itself (``encounters.history``) and the model (``model``).

Categories become ordinal codes that gradient boosting treats as categories natively; one-hot columns reach
the same AUROC at twenty times the fitting time. Those with many values get a second column beside that, their target
statistic: the share of readmissions among the training encounters of the same value, shrunk towards the share of all
(Micci-Barreca 2001, doi 10.1145/507533.507538). It is learnt from labels, so it is learnt inside the fold, and of a
training encounter from other patients only.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any, Self, TypeAlias

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import TargetEncoder
from sklearn.utils.validation import check_is_fitted

from readmission_platform.encounters.cohort import DRUG_COLUMNS
from readmission_platform.encounters.icd9 import as_recorded, category_of, chapter_of
from readmission_platform.foundation.distinct import codes_of, looked_up, numbers_of
from readmission_platform.models.boosting.soundness import ranges_in, seen_in
from readmission_platform.models.readmission_30d.inputs import (
    CATEGORIES,
    CHAPTER_NAMES,
    CODE_LISTS,
    COUNTS,
    DIAGNOSES,
    LEARNT,
    NAMED_VALUES,
    ORDERED_VALUES,
    TARGET_STATISTICS,
    feature_names,
)

# More of these never lowers the risk the model gives, whatever a handful of encounters may say: it would be wrong as
# medicine, and nobody could defend it at a bedside.
RISING = ["number_inpatient", "number_emergency", "number_outpatient", "acute_visits", "prior_readmissions_30d"]
# Values with a code of their own, of each learnt category: the boosting takes few more.
_MOST_VALUES = 200
# Parts of the training patients, each given statistics of the others.
_CROSS_FITS = 5

# Tells of distinct values, shape (values,), what each counts as.
Meaning: TypeAlias = Callable[[pd.Index], np.ndarray]


def categorical_mask(*, target_statistics: bool = True) -> list[bool]:
    """Tell for each output column whether it holds category codes."""
    return [name in CATEGORIES for name in feature_names(target_statistics=target_statistics)]


def monotone_directions(*, target_statistics: bool = True) -> list[int]:
    """Tell for each output column whether the risk may only rise with it (1) or is free (0)."""
    return [int(name in RISING) for name in feature_names(target_statistics=target_statistics)]


class EncounterEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # untyped bases
    """Turn ``MODEL_INPUTS`` into a float matrix; unknown and missing values become NaN.

    Of payers and specialties an unknown value is one of the rare ones: which these were is not kept.

    Fitting learns which payers and specialties exist, and the target statistics. Values of fewer than ``min_frequency``
    encounters share a code and a statistic, so that a handful of patients cannot shape a split of their own, nor be
    found in a stored model.

    What was seen is kept beside that. The encoding does not use it; it tells what the model can be asked about
    (``soundness``).

    Parameters
    ----------
    target_smoothing
        How many encounters of the average risk are counted into each target statistic; None leaves these out.
    seed
        Of the division of the training patients for their own target statistics.

    Attributes
    ----------
    learnt_
        The payers and specialties that have a code of their own, by name. No other is kept: a few patients could be
        found by theirs.
    common_, statistics_
        The values that have target statistics of their own, by feature, and the encoder of these, where there are any.
    ranges_
        Lowest and highest value of each count, by name.
    seen_
        The codes and names of each code list and named category, by name.
    """

    def __init__(self, min_frequency: int = 20, target_smoothing: float | None = None, seed: int = 0) -> None:
        self.min_frequency = min_frequency
        self.target_smoothing = target_smoothing
        self.seed = seed

    def fit(self, frame: pd.DataFrame, y: np.ndarray | None = None) -> Self:
        """Learn from a frame with the columns of ``MODEL_INPUTS`` and, for target statistics, labels of 0 and 1."""
        self._learn_values(frame)
        if self.target_smoothing is not None:
            self.statistics_ = self._target_encoder().fit(self._statistics_codes(frame), y)
        return self

    def fit_transform(
        self, frame: pd.DataFrame, y: np.ndarray | None = None, *, entities: Sequence[str] | None = None
    ) -> np.ndarray:
        """Fit, and encode the same encounters: no label enters the target statistics of its own patient.

        Parameters
        ----------
        entities
            Whose encounter each is; only needed for target statistics. Nothing of them is kept.
        """
        self._learn_values(frame)
        if self.target_smoothing is None:
            return self.transform(frame)
        if entities is None:
            raise ValueError("target statistics are learnt from other patients: say whose encounters these are")
        parts = _parts_by_patient(np.asarray(entities), np.asarray(y), seed=self.seed)
        self.statistics_ = self._target_encoder(parts)
        statistics = self.statistics_.fit_transform(self._statistics_codes(frame), y)
        self.statistics_.set_params(cv=_CROSS_FITS)  # a fitted encoder does not keep who was in which part
        return self._matrix(frame, statistics)

    def transform(self, frame: pd.DataFrame) -> np.ndarray:
        """Encode; shape (encounters, features), dtype float64, columns as in ``feature_names()``."""
        check_is_fitted(self, "learnt_")
        if self.target_smoothing is None:
            return self._matrix(frame)
        return self._matrix(frame, self.statistics_.transform(self._statistics_codes(frame)))

    def feature_names(self) -> list[str]:
        """Return the names of this encoder's output columns, in order."""
        return feature_names(target_statistics=self.target_smoothing is not None)

    def _learn_values(self, frame: pd.DataFrame) -> None:
        self.learnt_ = {name: sorted(self._common(frame[name])[:_MOST_VALUES]) for name in LEARNT}
        if self.target_smoothing is not None:
            self.common_ = {name: sorted(self._common(frame[column], _statistics_meaning(name)))
                            for name, column in TARGET_STATISTICS.items()}  # fmt: skip
        self.ranges_ = ranges_in(frame, COUNTS)
        self.seen_ = seen_in(frame, [*CODE_LISTS, *NAMED_VALUES])

    def _matrix(self, frame: pd.DataFrame, statistics: np.ndarray | None = None) -> np.ndarray:
        learnt = (looked_up(frame[name], partial(_places, common=values), missing=np.nan)
                  for name, values in self.learnt_.items())  # fmt: skip
        matrix = np.empty((len(frame), len(self.feature_names())))
        # Filled column by column: a list of them beside it would take as much memory again.
        for place, column in enumerate(
            chain(_fixed_columns(frame), learnt, () if statistics is None else statistics.T)
        ):
            matrix[:, place] = column
        return matrix

    def _common(self, values: pd.Series, meaning: Meaning | None = None) -> list[Any]:
        """Return what the values of enough encounters mean, the most common first."""
        codes, distinct = codes_of(values)
        each = pd.Series(np.bincount(codes[codes >= 0], minlength=len(distinct)))
        counts = each.groupby(np.asarray(distinct if meaning is None else meaning(distinct))).sum()
        counts = counts.sort_values(ascending=False, kind="stable")
        return list(counts.index[counts >= self.min_frequency])

    def _statistics_codes(self, frame: pd.DataFrame) -> np.ndarray:
        """Number the values that have statistics of their own; missing is one more, and all others are one more."""

        def numbered(name: str, distinct: pd.Index) -> np.ndarray:
            return _places(_statistics_meaning(name)(distinct), self.common_[name])

        codes = [looked_up(frame[TARGET_STATISTICS[name]], partial(numbered, name), missing=len(common))
                 for name, common in self.common_.items()]  # fmt: skip
        return np.column_stack(codes)

    def _target_encoder(self, parts: list[tuple[np.ndarray, np.ndarray]] | int = _CROSS_FITS) -> TargetEncoder:
        return TargetEncoder(target_type="binary", smooth=self.target_smoothing, cv=parts)


def _parts_by_patient(entities: np.ndarray, labels: np.ndarray, *, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Divide the patients into parts with equal shares of those ever readmitted.

    Returns
    -------
    For each part, the rows of all other patients and those of its own.
    """
    patients, distinct = pd.factorize(entities)
    ever = np.zeros(len(distinct), dtype=bool)
    ever[patients[labels == 1]] = True
    parts = StratifiedKFold(_CROSS_FITS, shuffle=True, random_state=seed).split(np.zeros(len(ever)), ever)
    own = (np.isin(patients, part) for _, part in parts)
    return [(np.flatnonzero(~rows), np.flatnonzero(rows)) for rows in own]


def _fixed_columns(frame: pd.DataFrame) -> Iterator[np.ndarray]:
    """Encode everything but the learnt categories, a column each; nothing here depends on other rows."""
    yield from frame[COUNTS].to_numpy(dtype="float64").T
    yield (frame["number_emergency"] + frame["number_inpatient"]).to_numpy(dtype="float64")
    for told in (_given, _changed):
        yield np.sum([looked_up(frame[drug], told, missing=0.0) for drug in DRUG_COLUMNS], axis=0)
    for name, order in ORDERED_VALUES.items():
        yield numbers_of(frame[name], order)
    yield from frame[CODE_LISTS].to_numpy(dtype="float64", na_value=np.nan).T
    for name, vocabulary in NAMED_VALUES.items():
        yield numbers_of(frame[name], _codes(vocabulary))
    for name in DIAGNOSES:
        yield looked_up(frame[name], _chapter_codes, missing=np.nan)


def _given(doses: pd.Index) -> np.ndarray:
    return np.asarray(doses != "No", dtype="float64")


def _changed(doses: pd.Index) -> np.ndarray:
    return doses.isin(["Up", "Down"]).astype("float64")


def _codes(vocabulary: Sequence[str]) -> dict[str, float]:
    return {value: float(code) for code, value in enumerate(vocabulary)}


def _chapter_codes(diagnoses: pd.Index) -> np.ndarray:
    codes = _codes(CHAPTER_NAMES)
    return np.array([codes.get(chapter_of(code) or "", np.nan) for code in diagnoses])


def _statistics_meaning(name: str) -> Meaning:
    """Return what tells of distinct values which of them have a statistic together."""
    if TARGET_STATISTICS[name] not in DIAGNOSES:
        return np.asarray
    coded = category_of if name.endswith("_category_rate") else as_recorded
    return lambda codes: np.array([coded(code) for code in codes], dtype=object)


def _places(values: Sequence[Any] | np.ndarray | pd.Index, common: list[Any]) -> np.ndarray:
    """Return each value's place among the common ones; those that are none of them come after the missing ones."""
    places = pd.Index(common, dtype=object).get_indexer(pd.Index(values, dtype=object))
    return np.where(places < 0, len(common) + 1, places)
