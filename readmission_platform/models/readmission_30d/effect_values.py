"""The values an input is set to when its effect is drawn, and how each is said.

What belongs here: which inputs are numbers, groups or categories, and their words. What does not: choosing among the
values that occur (``boosting.effect_values``) and the risks at these values (``boosting.effects``).
"""

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd

from readmission_platform.encounters.icd9 import chapter
from readmission_platform.models.boosting.effect_values import (
    NOT_RECORDED,
    EffectValue,
    InputWords,
    category_values,
    grouped_values,
    number_values,
)
from readmission_platform.models.readmission_30d.concepts import ADMITTED_AS, CAME_FROM, CHAPTER_WORDS, DISCHARGED
from readmission_platform.models.readmission_30d.inputs import COUNTS, DIAGNOSES, ORDERED_VALUES

# Drawn as a line over numbers.
NUMBERS = frozenset({*COUNTS, "age"})
_CODE_WORDS: Mapping[str, Mapping[int, str]] = {
    "discharge_disposition_id": DISCHARGED,
    "previous_disposition": DISCHARGED,
    "admission_type_id": ADMITTED_AS,
    "admission_source_id": CAME_FROM,
}
_UNITS = {
    "age": "years",
    "time_in_hospital": "days",
    "previous_time_in_hospital": "days",
    "prior_mean_time_in_hospital": "days",
}
_NAMES = {
    "number_inpatient": "inpatient stays in the past year",
    "number_emergency": "emergency visits in the past year",
    "number_outpatient": "outpatient visits in the past year",
    "discharge_disposition_id": "discharge",
    "previous_disposition": "discharge of the previous stay",
    "previous_outcome": "readmission after the previous stay",
    "prior_encounters": "previous stays on record",
    "prior_readmissions_30d": "previous stays followed by a readmission within 30 days",
    "prior_max_number_inpatient": "most inpatient stays in the year before a previous stay",
    "prior_mean_time_in_hospital": "mean length of previous stays",
    "previous_time_in_hospital": "length of the previous stay",
    "time_in_hospital": "length of stay",
    "num_medications": "medicines during the stay",
    "num_lab_procedures": "laboratory tests",
    "num_procedures": "procedures during the stay",
    "number_diagnoses": "diagnoses recorded",
    "admission_type_id": "admission type",
    "admission_source_id": "admission source",
    "payer_code": "payer",
    "medical_specialty": "admitting specialty",
    "diag_1": "primary diagnosis",
    "diag_2": "second diagnosis",
    "diag_3": "third diagnosis",
    "A1Cresult": "A1C",
    "max_glu_serum": "serum glucose",
    "change": "change of treatment",
    "diabetesMed": "any diabetes medicine",
}


def effect_values(values: pd.Series) -> list[EffectValue]:
    """Return the values at which the effect of an input is worked out; a diagnosis stands for its chapter.

    Parameters
    ----------
    values
        The input in the encounters that are explained.
    """
    column = str(values.name)
    if column in DIAGNOSES:
        return grouped_values(values, chapter(values), _said_chapter)
    if column not in NUMBERS:
        return category_values(values, lambda given: _said(column, given))
    numbers = values.map(ORDERED_VALUES["age"]) if column == "age" else pd.to_numeric(values, errors="coerce")
    return number_values(values, numbers)


def _said_chapter(name: str, code: str) -> str:
    return f"{CHAPTER_WORDS.get(name, name)} (as {code})"


def _said(column: str, value: Any) -> str:
    words = _CODE_WORDS.get(column)
    if words is not None:
        return words.get(int(value), f"{NOT_RECORDED} (code {int(value)})")
    return re.sub("(?<=[a-z])(?=[A-Z])", " ", str(value))


WORDS = InputWords(values=effect_values, numbers=NUMBERS, names=_NAMES, units=_UNITS)
