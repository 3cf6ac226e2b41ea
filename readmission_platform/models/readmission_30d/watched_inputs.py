"""Which inputs of a model are watched, and in what form encounters of two times can be compared.

What belongs here: from what the model relies on to columns of a discharge, and from columns to comparable values.
What does not: the comparison itself (``evaluation.drift.cells``, ``evaluation.drift.windows``).
"""

import math
from collections.abc import Mapping

import pandas as pd

from readmission_platform.encounters.cohort import DRUG_COLUMNS
from readmission_platform.encounters.icd9 import chapter
from readmission_platform.models.readmission_30d.features import (
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
_DERIVED_FROM = {
    "acute_visits": ["number_emergency", "number_inpatient"],
    "drugs_given": DRUG_COLUMNS,
    "doses_changed": DRUG_COLUMNS,
    **{f"{diagnosis}_chapter": [diagnosis] for diagnosis in DIAGNOSES},
    **{feature: [column] for feature, column in TARGET_STATISTICS.items()},
}
_NUMBERS = frozenset({*COUNTS, "age"})


def column_importance(losses: Mapping[str, float]) -> dict[str, float]:
    """Attribute what is lost without each feature to the input columns it is made of, largest first.

    A feature made of several columns counts for each with an equal share: which of them carries it is not known.

    Parameters
    ----------
    losses
        AUROC lost by feature of the encoder; gains (below 0, chance) count as nothing.
    """
    found: dict[str, float] = {}
    for feature, loss in losses.items():
        columns = _DERIVED_FROM.get(feature, [feature])
        for column in columns:
            found[column] = found.get(column, 0.0) + max(loss, 0.0) / len(columns)
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def watched_columns(losses: object, count: int) -> list[str]:
    """Return the input columns to watch: the most important ones, or all when it was not recorded which they are.

    Parameters
    ----------
    losses
        What the ledger recorded at training: AUROC lost by feature. Whatever else it holds counts as not recorded.
    """
    if not isinstance(losses, Mapping) or not losses or not all(_is_number(loss) for loss in losses.values()):
        return list(WATCHABLE)
    ranked = column_importance(losses)
    known = {*WATCHABLE, *DRUG_COLUMNS}
    return [column for column in ranked if column in known][:count]


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
        return pd.to_numeric(values, errors="coerce").astype("float64")
    if name in DIAGNOSES:
        return chapter(values)
    if name in CODE_LISTS:
        codes = pd.to_numeric(values, errors="coerce")
        return pd.Series([None if pd.isna(code) else f"code {code:g}" for code in codes], values.index, dtype=object)
    texts = [None if gone else str(value) for value, gone in zip(values, values.isna(), strict=True)]
    return pd.Series(texts, values.index, dtype=object)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
