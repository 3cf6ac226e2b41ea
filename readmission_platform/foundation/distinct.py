"""Columns of few distinct values: each value is looked up once, however many rows have it.

What belongs here: columns as codes, and looking values up through them. What does not: what values mean.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd


def in_codes(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with its columns of text as categories, so that parts of it need not be coded again."""
    text = [
        name for name, values in frame.items() if values.dtype == object or isinstance(values.dtype, pd.StringDtype)
    ]
    return frame.assign(**{str(name): frame[name].astype("category") for name in text})


def codes_of(values: pd.Series) -> tuple[np.ndarray, pd.Index]:
    """Return a code per row, shape (rows,), -1 where the value is missing, and the distinct values by code.

    Of categories also values that no row has.
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        return values.cat.codes.to_numpy(), values.cat.categories
    codes, distinct = pd.factorize(values)
    return codes, pd.Index(distinct)


def looked_up(values: pd.Series, meaning: Callable[[pd.Index], np.ndarray], *, missing: Any) -> np.ndarray:
    """Return what the value of each row means, shape (rows,).

    Parameters
    ----------
    meaning
        Tells of distinct values, shape (values,), what each means.
    missing
        What a missing value means.
    """
    codes, distinct = codes_of(values)
    return np.asarray(np.append(meaning(distinct), missing)[codes])


def numbers_of(values: pd.Series, table: Mapping[Any, float]) -> np.ndarray:
    """Return the number of each row's value in a table, shape (rows,); NaN where it is missing or not in the table."""
    return looked_up(values, lambda each: np.array([table.get(value, np.nan) for value in each]), missing=np.nan)
