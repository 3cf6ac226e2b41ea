"""Who is studied, in which order, and what has matured since: for rows that come from one table.

What belongs here: rules that need no more of a row than when it was. What does not: history, and inputs (``data``).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd


def with_clock(frame: pd.DataFrame) -> pd.DataFrame:
    """Return rows in the order of time with their place on the ``clock``, from 0 to below 1."""
    return frame.assign(clock=np.arange(len(frame)) / max(len(frame), 1))


def divided(frame: pd.DataFrame, replay_share: float) -> pd.DataFrame:
    """Return rows in the order of time with ``clock`` and ``part``: the latest ``replay_share`` is ``replay``."""
    replayed = int(len(frame) * replay_share)
    return with_clock(frame.assign(part=["development"] * (len(frame) - replayed) + ["replay"] * replayed))


def with_matured(
    cohort: pd.DataFrame, matured: pd.DataFrame, *, row: str, day: str, outcome: str, order: Sequence[str]
) -> pd.DataFrame:
    """Add delivered rows whose outcome is known to the development part: after the source's own, day by day.

    Parameters
    ----------
    cohort
        Rows in the order of time, with ``clock`` and ``part``.
    matured
        Accepted rows with ``entity_key``, ``day`` (text) and the outcome (0 or 1).
    order
        Columns that order the rows of a day.
    """
    source = cohort.assign(**{day: pd.Series(None, index=cohort.index, dtype=object)})
    known = cohort.loc[cohort["part"] == "development", row]
    fresh = matured[~matured[row].isin(known)]
    if fresh.empty:
        return source
    fresh = fresh.sort_values([day, *order], kind="stable")
    added = fresh.assign(part="development", clock=0.0)
    added[outcome] = fresh[outcome].astype("int8")
    kept = source[~source[row].isin(fresh[row])]
    development = kept["part"] == "development"
    frame = pd.concat([kept[development], added[list(source.columns)], kept[~development]], ignore_index=True)
    return with_clock(frame)
