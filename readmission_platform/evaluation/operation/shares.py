"""Shares of categories over time, in stretches of days long enough that no category holds 1 to 10 people.

What belongs here: finding these stretches. What does not: hiding single cells (``disclosure``): a share over a day with
three people in it would be hidden day after day, while over a fortnight it can be shown.
"""

from datetime import date

import numpy as np
import pandas as pd

from readmission_platform.evaluation.disclosure import SMALLEST_SHOWN

PERIODS = (1, 7, 14, 28)


def shares(figure: str, counts: pd.DataFrame, *, cohort: str, of_one: int = 1) -> pd.DataFrame:
    """Return the shares, one row per stretch and category: ``figure``, days, ``cohort``, ``value``, ``n``.

    The shortest of 1, 7, 14 and 28 days will do, counted back from the newest day, else all days together. Where even
    those hold a small cell, the last two categories become one, and it starts anew. One category left is no share.

    Parameters
    ----------
    counts : by day (index, text) and category (columns, in their order).
    cohort : how a category becomes a cohort's name, e.g. ``"band: {}"``.
    of_one : how many of what is counted one person may have: so many times more make a small cell.
    """
    counts = counts[counts.sum(axis=1) > 0].sort_index()
    if counts.empty:
        return no_shares()
    smallest = (SMALLEST_SHOWN - 1) * of_one + 1
    days = np.array([date.fromisoformat(str(day)).toordinal() for day in counts.index])
    span = int(days[-1] - days[0]) + 1
    while counts.shape[1] > 1:
        for length in (*(each for each in PERIODS if each <= span), span):
            # The oldest stretch takes in what is left over, so that none is shorter than the others.
            stretch = np.minimum((days[-1] - days) // length, max(span // length - 1, 0))
            cells = counts.groupby(stretch).sum()
            if not ((cells > 0) & (cells < smallest)).to_numpy().any():
                return _shares_of(figure, cells, _ends(counts.index, stretch), cohort)
        last = [str(name) for name in counts.columns[-2:]]
        counts = counts.drop(columns=last).assign(**{" or ".join(last): counts[last].sum(axis=1)})
    return no_shares()


def _shares_of(figure: str, cells: pd.DataFrame, ends: pd.DataFrame, cohort: str) -> pd.DataFrame:
    totals = cells.sum(axis=1)
    long = cells.div(totals, axis=0).melt(ignore_index=False, var_name="category", value_name="value")
    return long.join(ends).assign(
        figure=figure, cohort=long["category"].map(cohort.format), n=totals.reindex(long.index)
    )


def _ends(days: pd.Index, stretch: np.ndarray) -> pd.DataFrame:
    text = pd.Series(days.astype(str), index=range(len(days)))
    grouped = text.groupby(stretch)
    return pd.DataFrame({"first_day": grouped.first(), "last_day": grouped.last()})


def no_shares() -> pd.DataFrame:
    """Return no rows, in the columns of ``shares``."""
    return pd.DataFrame({"figure": [], "first_day": [], "last_day": [], "cohort": [], "value": [], "n": []})
