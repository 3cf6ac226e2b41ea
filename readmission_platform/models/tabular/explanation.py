"""The explanation of a gradient boosting on one table: each input is a concept, said by its name and value."""

from collections.abc import Mapping

import pandas as pd

from readmission_platform.models.boosting.concepts import Concept, Row, Say, is_missing, never_said
from readmission_platform.models.boosting.effect_values import EffectValue, InputWords, category_values, number_values
from readmission_platform.models.boosting.explanation import BoostingExplanation
from readmission_platform.models.tabular.columns import Columns
from readmission_platform.models.tabular.groups import listed


def explanation_of(
    columns: Columns, *, names: Mapping[str, str] | None = None, unsaid: frozenset[str] = frozenset()
) -> BoostingExplanation:
    """Return the explanation of a model with these inputs.

    Parameters
    ----------
    names
        How inputs are called; the others by the name of their column.
    unsaid
        Inputs that count and are given to nobody as a reason.
    """
    called = {name: name.replace("_", " ") for name in columns.names} | dict(names or {})
    concepts = tuple(
        Concept(called[name], (name,), never_said if name in unsaid else _said(name, called[name], columns))
        for name in columns.names
    )
    words = InputWords(values=_Values(columns), numbers=frozenset(columns.numbers), names=called, units={})
    return BoostingExplanation(concepts, words, made_of={}, spoken_of=_Known(columns))


def _said(name: str, called: str, columns: Columns) -> Say:
    number = name in columns.numbers

    def say(row: Row) -> str | None:
        value = row[name]
        if is_missing(value):
            return None
        return f"{called} {value:g}" if number else f"{called}: {value}".replace(";", ",")  # which parts reasons

    return say


class _Values:
    """The values at which the effect of an input is worked out."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns

    def __call__(self, values: pd.Series) -> list[EffectValue]:
        if values.name in self._columns.numbers:
            return number_values(values, pd.to_numeric(values, errors="coerce"))
        return category_values(values, str)


class _Known:
    """Inputs in which a text that is not among those of its column is missing: it is repeated to nobody."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns

    def __call__(self, inputs: pd.DataFrame, _encoder: object) -> pd.DataFrame:
        return inputs.assign(**{name: listed(inputs[name], texts) for name, texts in self._columns.texts.items()})
