"""Shares over time never tell a count of 1 to 10 people, and leave no day out."""

from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from readmission_platform.evaluation.disclosure import SMALLEST_SHOWN
from readmission_platform.evaluation.operation.shares import shares

NAMES = ["low", "medium", "high", "very_high"]


def counts_of(days: dict[int, list[int]]) -> pd.DataFrame:
    index = [(date(2026, 1, 1) + timedelta(days=offset)).isoformat() for offset in days]
    return pd.DataFrame(list(days.values()), index=index, columns=NAMES)


@settings(max_examples=60)
@given(
    st.dictionaries(st.integers(0, 100), st.lists(st.integers(0, 40), min_size=4, max_size=4), max_size=40),
    st.integers(1, 4),
)
def test_no_stretch_holds_1_to_10_and_every_day_is_in_one(days: dict[int, list[int]], of_one: int):
    counts = counts_of(dict(sorted(days.items())))
    found = shares("risk_band_share", counts, cohort="band: {}", of_one=of_one)
    if found.empty:
        return
    people = np.ceil((found["value"] * found["n"]).round() / of_one)
    assert not ((people > 0) & (people < SMALLEST_SHOWN)).any()
    stretches = found.groupby(["first_day", "last_day"]).agg(value=("value", "sum"), n=("n", "first"))
    assert (stretches["value"].sub(1).abs() < 1e-9).all()
    assert stretches["n"].sum() == counts.to_numpy().sum()
    ends = sorted(stretches.index)
    assert all(before[1] < after[0] for before, after in pairwise(ends))


def test_a_large_hospital_gets_them_by_day():
    found = shares("risk_band_share", counts_of({day: [500, 300, 80, 20] for day in range(30)}), cohort="band: {}")
    assert (found["first_day"] == found["last_day"]).all()
    assert len(found) == 30 * 4


def test_a_small_one_gets_them_by_fortnight_and_the_oldest_takes_in_what_is_left_over():
    found = shares("risk_band_share", counts_of({day: [13, 9, 3, 1] for day in range(31)}), cohort="band: {}")
    assert found.groupby("first_day")["n"].first().tolist() == [17 * 26, 14 * 26]


def test_bands_that_stay_small_are_shown_as_one():
    found = shares("risk_band_share", counts_of({day: [20, 5, 1, 0] for day in range(5)}), cohort="band: {}")
    assert list(found["cohort"]) == ["band: low", "band: medium or high or very_high"]
    assert shares("risk_band_share", counts_of({0: [20, 1, 0, 0]}), cohort="{}").empty
