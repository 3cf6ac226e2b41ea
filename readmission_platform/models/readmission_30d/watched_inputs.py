"""Which inputs of a model are watched, and in what form encounters of two times can be compared.

What belongs here: from what the model relies on to columns of a discharge, and from columns to comparable values.
What does not: the comparison itself (``evaluation.drift.cells``, ``evaluation.drift.windows``).
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from readmission_platform.encounters.cohort import DRUG_COLUMNS
from readmission_platform.encounters.icd9 import chapter
from readmission_platform.encounters.icd10 import forth_and_back
from readmission_platform.models.boosting import watched_inputs as boosting
from readmission_platform.models.readmission_30d.inputs import (
    CODE_LISTS,
    COUNTS,
    DIAGNOSES,
    LEARNT,
    NAMED_VALUES,
    ORDERED_VALUES,
    TARGET_STATISTICS,
)

# What the encoder reads directly, in its order.
WATCHABLE = [*COUNTS, *ORDERED_VALUES, *CODE_LISTS, *NAMED_VALUES, *DIAGNOSES, *LEARNT]
# The columns of the features that are not columns themselves.
MADE_OF: Mapping[str, Sequence[str]] = {
    "acute_visits": ["number_emergency", "number_inpatient"],
    "drugs_given": DRUG_COLUMNS,
    "doses_changed": DRUG_COLUMNS,
    **{f"{diagnosis}_chapter": [diagnosis] for diagnosis in DIAGNOSES},
    **{feature: [column] for feature, column in TARGET_STATISTICS.items()},
}
_NUMBERS = frozenset({*COUNTS, "age"})


def column_importance(losses: Mapping[str, float]) -> dict[str, float]:
    """Attribute what is lost without each feature to the columns it is made of; see ``boosting.watched_inputs``."""
    return boosting.column_importance(losses, MADE_OF)


def watched_columns(losses: object, count: int) -> list[str]:
    """Return the columns to watch; see ``boosting.watched_inputs``."""
    return boosting.watched_columns(
        losses, count, watchable=WATCHABLE, inputs={*WATCHABLE, *DRUG_COLUMNS}, made_of=MADE_OF
    )


def comparable(frame: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Return the columns as ordered numbers (float64) or as categories (text), missing as NaN or None.

    Ages are numbers, diagnoses the names of their chapters, codes of the source's lists named as such.
    """
    return pd.DataFrame({column: _comparable(frame[column]) for column in columns}, index=frame.index)


def _comparable(values: pd.Series) -> pd.Series:
    name = str(values.name)
    if name == "age":
        values = values.map(ORDERED_VALUES["age"])
    if name in _NUMBERS:
        return boosting.as_numbers(values)
    if name in DIAGNOSES:
        return chapter(values)
    if name in CODE_LISTS:
        codes = pd.to_numeric(values, errors="coerce")
        return pd.Series([None if pd.isna(code) else f"code {code:g}" for code in codes], values.index, dtype=object)
    return boosting.as_categories(values)


def as_translated(inputs: pd.DataFrame, draws: np.ndarray) -> pd.DataFrame:
    """Return inputs with diagnoses that went forth to ICD-10-CM and back; see ``encounters.icd10.forth_and_back``."""
    # Each column by other draws, so that an encounter's three codes are not all written alike.
    return inputs.assign(**{name: forth_and_back(inputs[name], draws // (place + 1))
                            for place, name in enumerate(DIAGNOSES)})  # fmt: skip


class ReadmissionWatch:
    """The functions above as the contract asks for them."""

    def watched_columns(self, importance: object, count: int) -> list[str]:
        """Return the columns to watch; see the function of the same name."""
        return watched_columns(importance, count)

    def comparable(self, inputs: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
        """Return columns in comparable form; see the function of the same name."""
        return comparable(inputs, columns)

    def translated(self, inputs: pd.DataFrame, draws: np.ndarray) -> pd.DataFrame:
        """Return inputs as if their diagnoses had come in ICD-10-CM; see ``as_translated``."""
        return as_translated(inputs, draws)
