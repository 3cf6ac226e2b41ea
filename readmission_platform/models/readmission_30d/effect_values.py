"""The values an input is set to when its effect is drawn, and how each is said.

What belongs here: choosing values that occur, with how many encounters have them, and their words. What does not: the
risks at these values (``effects``) and hiding small cells (``evaluation.disclosure``).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from readmission_platform.encounters.icd9 import chapter
from readmission_platform.models.readmission_30d.concepts import ADMITTED_AS, CAME_FROM, CHAPTER_WORDS, DISCHARGED
from readmission_platform.models.readmission_30d.features import COUNTS, DIAGNOSES, ORDERED_VALUES

# A value of a smaller share of the encounters is put together with its neighbours, or left out.
LEAST_SHARE = 0.01
# A number with more values than this is cut into tenths of the encounters.
MOST_VALUES = 20
TENTHS = 10
MOST_CATEGORIES = 10
NOT_RECORDED = "not recorded"

_CODE_WORDS: Mapping[str, Mapping[int, str]] = {
    "discharge_disposition_id": DISCHARGED,
    "previous_disposition": DISCHARGED,
    "admission_type_id": ADMITTED_AS,
    "admission_source_id": CAME_FROM,
}
UNITS = {
    "age": "years",
    "time_in_hospital": "days",
    "previous_time_in_hospital": "days",
    "prior_mean_time_in_hospital": "days",
}
_NAMES = {
    "number_inpatient": "inpatient stays in the year before",
    "number_emergency": "emergency visits in the year before",
    "number_outpatient": "outpatient visits in the year before",
    "discharge_disposition_id": "discharge",
    "previous_disposition": "discharge of the stay before",
    "previous_outcome": "readmission after the stay before",
    "prior_encounters": "earlier stays on record",
    "prior_readmissions_30d": "earlier stays followed by a readmission within 30 days",
    "prior_max_number_inpatient": "most inpatient stays in the year before an earlier stay",
    "prior_mean_time_in_hospital": "mean length of earlier stays",
    "previous_time_in_hospital": "length of the stay before",
    "time_in_hospital": "length of stay",
    "num_medications": "medicines during the stay",
    "num_lab_procedures": "laboratory tests",
    "num_procedures": "procedures during the stay",
    "number_diagnoses": "diagnoses recorded",
    "admission_type_id": "admission type",
    "admission_source_id": "admission source",
    "payer_code": "payer",
    "medical_specialty": "admitting specialty",
    "diag_1": "first diagnosis",
    "diag_2": "second diagnosis",
    "diag_3": "third diagnosis",
    "A1Cresult": "A1C",
    "max_glu_serum": "serum glucose",
    "change": "change of treatment",
    "diabetesMed": "any diabetes medicine",
}


@dataclass(frozen=True)
class EffectValue:
    """A value to set an input to: as the data have it, as a number where it is one, in words, and who has it."""

    given: object
    number: float | None
    label: str
    encounters: int


def kind_of(column: str) -> Literal["number", "category"]:
    """Tell whether an input is drawn as a line over numbers or as one bar per category."""
    return "number" if column in COUNTS or column == "age" else "category"


def plain_name(column: str) -> str:
    """Return an input's name in plain words."""
    return _NAMES.get(column, column.replace("_", " "))


def effect_values(values: pd.Series) -> list[EffectValue]:
    """Return the values at which the effect of an input is worked out, in the order in which they are drawn.

    Numbers are ordered; what few encounters have is put together under its median. Categories come by how common
    they are, at most ten. A diagnosis stands for its chapter, by the chapter's most common code.

    Parameters
    ----------
    values
        The input in the encounters that are explained.
    """
    column = str(values.name)
    if column in DIAGNOSES:
        return _chapters(values)
    if kind_of(column) == "category":
        return _categories(values, column)
    texts = values.astype(object)
    numbers = values.map(ORDERED_VALUES["age"]) if column == "age" else pd.to_numeric(values, errors="coerce")
    known = numbers.dropna().to_numpy(dtype=np.float64)
    made = []
    for cell in _cells(known, LEAST_SHARE * len(values)):
        middle = float(np.sort(cell)[len(cell) // 2])
        given = next(iter(texts[numbers == middle]))
        made.append(EffectValue(given, middle, _range(cell), len(cell)))
    return made + _not_recorded(numbers.isna(), made)


def _cells(numbers: np.ndarray, least: float) -> list[np.ndarray]:
    """Cut numbers into runs of close values of so many encounters at least."""
    if not len(numbers):
        return []
    distinct = np.unique(numbers)
    ordered = np.sort(numbers)
    if len(distinct) > MOST_VALUES:
        distinct = np.unique(ordered[np.linspace(0, len(ordered) - 1, TENTHS, endpoint=False).astype(int)])
    runs = [run for run in np.split(ordered, np.searchsorted(ordered, distinct[1:])) if len(run)]
    joined: list[np.ndarray] = []
    waiting = np.empty(0)
    for run in runs:
        waiting = np.concatenate([waiting, run])
        if len(waiting) >= least:
            joined.append(waiting)
            waiting = np.empty(0)
    if len(waiting) and joined:
        joined[-1] = np.concatenate([joined[-1], waiting])
    return joined


def _range(cell: np.ndarray) -> str:
    low, high = float(cell.min()), float(cell.max())
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _categories(values: pd.Series, column: str) -> list[EffectValue]:
    made = [EffectValue(given, None, _said(column, given), n) for given, n in _common(values)]
    return made + _not_recorded(values.isna(), made)


def _common(values: pd.Series) -> list[tuple[Any, int]]:
    """Return the most common values with how many encounters have each, those of next to nobody left out."""
    counts = [(given, int(n)) for given, n in values.value_counts().items()]
    return [(given, n) for given, n in counts if n >= LEAST_SHARE * len(values)][:MOST_CATEGORIES]


def _chapters(values: pd.Series) -> list[EffectValue]:
    named = chapter(values)
    made = []
    for name, n in _common(named):
        code = str(values[named == name].value_counts().index[0])
        made.append(EffectValue(code, None, f"{CHAPTER_WORDS.get(str(name), str(name))} (as {code})", n))
    return made + _not_recorded(values.isna(), made)


def _not_recorded(missing: pd.Series, made: list[EffectValue]) -> list[EffectValue]:
    enough = int(missing.sum()) >= LEAST_SHARE * len(missing) and bool(missing.any()) and bool(made)
    return [EffectValue(None, None, NOT_RECORDED, int(missing.sum()))] if enough else []


def _said(column: str, value: Any) -> str:
    words = _CODE_WORDS.get(column)
    if words is not None:
        return words.get(int(value), f"{NOT_RECORDED} (code {int(value)})")
    return re.sub("(?<=[a-z])(?=[A-Z])", " ", str(value))
