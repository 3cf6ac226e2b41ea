"""Groups and days out of the columns of a table: small functions that a model's package calls."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd


def bands(values: pd.Series, cuts: Sequence[float]) -> pd.Series:
    """Return the band of each number as text, None where it is missing: "below 40", "40 to 65", "65 and above".

    A number at a cut is in the band above it.
    """
    between = [f"{low:g} to {high:g}" for low, high in pairwise(cuts)]
    names = np.array([f"below {cuts[0]:g}", *between, f"{cuts[-1]:g} and above"], dtype=object)
    numbers = pd.to_numeric(values).to_numpy(dtype="float64", na_value=np.nan)
    found = names[np.searchsorted(np.array(cuts), numbers, side="right").clip(max=len(cuts))]
    found[np.isnan(numbers)] = None
    return pd.Series(found, values.index, dtype=object)


def listed(values: pd.Series, texts: Sequence[str]) -> pd.Series:
    """Return the texts that are in the list, None for others: they may be of a few people."""
    return values[values.isin(list(texts))].astype(object).reindex(values.index)


def days_since(earlier: pd.Series, later: pd.Series) -> pd.Series:
    """Return the days from one date to another (text YYYY-MM-DD), float64; NaN where one is missing."""
    parsed = [pd.to_datetime(dates, errors="coerce", format="%Y-%m-%d") for dates in (earlier, later)]
    return (parsed[1] - parsed[0]).dt.days.astype("float64")
