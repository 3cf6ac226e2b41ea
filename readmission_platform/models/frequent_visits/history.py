"""What is known of a person's earlier contract years when a new one begins: one function for training and for scoring.

The year before is over on the day the next one begins, so its outcome has just matured. That holds for the source's own
enrolments, which have no dates and were known from the start. A delivered enrolment has a day and knows only outcomes
that had matured by it: where simulated days follow each other faster than years, the year before is not known yet.
"""

from datetime import date, timedelta

import numpy as np
import pandas as pd

from readmission_platform.models.frequent_visits.feed import DAY, HISTORY_COLUMNS, MATURITY_DAYS, OUTCOME, ROW, YEAR


def history_of(enrolments: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """Describe the past of each enrolment.

    Parameters
    ----------
    enrolments
        ``entity_key`` and ``contract_year``; with ``start_date`` where they were delivered.
    known
        Of every enrolment known its number, ``entity_key``, ``contract_year`` and outcome; missing where it is not
        known. Those delivered have a ``start_date``. Of an enrolment that is there several times the first row counts.

    Returns
    -------
    ``HISTORY_COLUMNS`` with the index of ``enrolments``: whether there were frequent visits in the year before (1 or
    0), and in which share of all earlier years whose outcome is known. Both are missing where nothing is known.
    """
    asked = pd.DataFrame({
        "place": np.arange(len(enrolments)), "entity_key": enrolments["entity_key"].to_numpy(),
        "year": enrolments[YEAR].to_numpy(), "as_of": _days(enrolments),
    })  # fmt: skip
    past = known.drop_duplicates(ROW)
    seen = pd.DataFrame({
        "entity_key": past["entity_key"].to_numpy(), "seen_year": past[YEAR].to_numpy(),
        "outcome": past[OUTCOME].to_numpy(dtype="float64"), "matures": _maturity(_days(past)),
    })  # fmt: skip
    pairs = asked.merge(seen.dropna(subset="outcome"), on="entity_key")
    # Texts YYYY-MM-DD compare as days do. What has no day was known from the start, also to those who have none.
    pairs = pairs[(pairs["seen_year"] < pairs["year"]) & (pairs["matures"] <= pairs["as_of"])]
    before = pairs[pairs["seen_year"] == pairs["year"] - 1].drop_duplicates("place").set_index("place")["outcome"]
    described = pd.DataFrame({
        "frequent_year_before": before, "frequent_share_before": pairs.groupby("place")["outcome"].mean(),
    }).reindex(asked["place"]).astype("float64")  # fmt: skip
    return described.set_axis(enrolments.index)[list(HISTORY_COLUMNS)]


def _days(rows: pd.DataFrame) -> np.ndarray:
    """Return the day of each row as text, empty where it has none."""
    return rows[DAY].fillna("").to_numpy(dtype=object) if DAY in rows else np.full(len(rows), "", dtype=object)


def _maturity(days: np.ndarray) -> np.ndarray:
    """Return the day on which the outcome of each row is known, empty where it was from the start."""
    known = {day: (date.fromisoformat(day) + timedelta(days=MATURITY_DAYS)).isoformat() for day in set(days) if day}
    return np.array([known.get(day, "") for day in days], dtype=object)
