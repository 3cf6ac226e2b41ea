"""History of a person's contract years: what is known when a new one begins."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readmission_platform.models.frequent_visits.feed import HISTORY_COLUMNS
from readmission_platform.models.frequent_visits.history import history_of


def year(number: int, contract_year: int, outcome: float | None = None, *, person: str = "a", **more: Any) -> dict:
    return {"person_year_id": number, "entity_key": person, "contract_year": contract_year,
            "frequent_visits": outcome, **more}  # fmt: skip


def described(asked: dict, *known: dict) -> tuple[float, float]:
    frame = pd.DataFrame(known or [year(99, 9, person="nobody")])
    found = history_of(pd.DataFrame([asked]).drop(columns="frequent_visits"), frame)
    return tuple(found.iloc[0][list(HISTORY_COLUMNS)])


def test_a_first_year_has_no_past() -> None:
    assert np.isnan(described(year(1, 1))).all()
    assert np.isnan(described(year(1, 1), year(1, 1, 1), year(2, 2, 1))).all()


def test_the_year_before_has_just_matured_when_the_next_begins() -> None:
    assert described(year(2, 2), year(1, 1, 1)) == (1, 1)
    assert described(year(3, 3), year(1, 1, 1), year(2, 2, 0)) == (0, 0.5)


def test_a_year_that_is_not_on_record_is_not_the_one_before() -> None:
    before, share = described(year(3, 3), year(1, 1, 1))
    assert np.isnan(before)
    assert share == 1


def test_neither_the_year_itself_nor_a_later_one_nor_another_person_counts() -> None:
    known = [year(1, 1, 0), year(2, 2, 1), year(3, 3, 1), year(4, 1, 1, person="b")]
    assert described(year(2, 2), *known) == (0, 0)


def test_of_a_year_that_was_delivered_again_the_first_row_counts() -> None:
    assert described(year(2, 2), year(1, 1, 1), year(1, 1, 0)) == (1, 1)


def test_a_year_whose_outcome_is_not_known_counts_for_nothing() -> None:
    before, share = described(year(3, 3), year(1, 1, 1), year(2, 2, None))
    assert np.isnan(before)
    assert share == 1


@pytest.mark.parametrize(("day", "known"), [("2024-12-30", False), ("2024-12-31", True), ("2025-06-01", True)])
def test_a_delivered_enrolment_knows_an_outcome_once_the_year_is_over(day: str, known: bool) -> None:
    # 365 days after 1 January of a leap year it is 31 December.
    delivered = year(1, 1, 1, start_date="2024-01-01")
    before, share = described(year(2, 2, start_date=day), delivered)
    assert (not np.isnan(before)) == (not np.isnan(share)) == known


def test_what_the_source_has_was_known_from_the_start() -> None:
    own, delivered = year(1, 1, 1, start_date=None), year(2, 2, 0, start_date="2024-01-01")
    before, share = described(year(3, 3, start_date="2024-02-01"), own, delivered)
    assert np.isnan(before)
    assert share == 1


def test_an_enrolment_of_the_source_knows_nothing_of_delivered_ones() -> None:
    delivered = year(1, 1, 1, start_date="2020-01-01")
    assert np.isnan(described(year(2, 2, start_date=None), delivered)).all()


YEARS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(1, 5), st.sampled_from([0.0, 1.0, None])),
    min_size=1, max_size=12, unique_by=lambda each: each[:2],
)  # fmt: skip


@settings(max_examples=60)
@given(rows=YEARS, order=st.randoms(use_true_random=False))
def test_whatever_the_years_history_is_what_one_would_count_by_hand(rows: list, order: Any) -> None:
    frame = pd.DataFrame([year(place, number, outcome, person=person)
                          for place, (person, number, outcome) in enumerate(rows, start=1)])  # fmt: skip
    shuffled = list(range(len(frame)))
    order.shuffle(shuffled)
    found = history_of(frame.iloc[shuffled], frame)
    assert list(found.index) == shuffled
    for place, (person, number, _) in enumerate(rows):
        earlier = {n: outcome for who, n, outcome in rows if who == person and n < number and outcome is not None}
        before, share = found.loc[place]
        assert np.array_equal(before, earlier.get(number - 1, np.nan), equal_nan=True)
        assert share == pytest.approx(np.mean([*earlier.values()]) if earlier else np.nan, nan_ok=True)
