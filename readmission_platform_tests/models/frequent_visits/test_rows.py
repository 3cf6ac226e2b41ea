"""The past of a single enrolment: whatever is known, it is what the batch makes of it."""

from typing import Any

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from readmission_platform.models.frequent_visits.history import history_of
from readmission_platform.models.frequent_visits.rows import past_of

DAYS = [None, "2023-01-01", "2023-06-30", "2024-01-01", "2024-12-31", "2025-01-01"]


@st.composite
def enrolments(draw: Any, *, persons: str = "aab") -> dict[str, Any]:
    return {
        "person_year_id": draw(st.integers(1, 9)),
        "entity_key": draw(st.sampled_from(persons)),
        "contract_year": draw(st.integers(1, 6)),
        "start_date": draw(st.sampled_from(DAYS)),
        "frequent_visits": draw(st.sampled_from([None, 0, 1])),
    }


@settings(max_examples=150)
@given(
    enrolment=enrolments(persons="a"),
    known=st.lists(enrolments(), max_size=9, unique_by=lambda each: (each["person_year_id"], each["entity_key"])),
)
def test_one_enrolment_has_the_past_that_the_batch_gives_it(enrolment: dict[str, Any], known: list[dict[str, Any]]):
    asked = pd.DataFrame([enrolment]).drop(columns="frequent_visits")
    # A number is of one person: those of others are numbered apart.
    known = [each | {"person_year_id": each["person_year_id"] + 10 * (each["entity_key"] == "b")} for each in known]
    expected = history_of(asked, pd.DataFrame(known, columns=list(enrolment))).iloc[0].to_dict()
    found = past_of(enrolment, known)
    assert list(found) == list(expected)
    for name, value in found.items():
        assert pd.isna(expected[name]) if value is None else value == expected[name]


def year(number: int, contract_year: int, outcome: int | None, **more: Any) -> dict[str, Any]:
    return {"person_year_id": number, "entity_key": "a", "contract_year": contract_year, "frequent_visits": outcome,
            **more}  # fmt: skip


def test_of_an_enrolment_that_is_there_twice_the_first_row_counts():
    twice = [year(1, 1, 0), year(1, 1, 1), year(2, 2, 1)]
    assert past_of(year(3, 3, None), twice) == {"frequent_year_before": 1.0, "frequent_share_before": 0.5}


def test_a_year_that_was_delivered_counts_once_it_is_over():
    known = [year(1, 1, 1, start_date="2024-01-01")]
    too_soon, soon_enough = ({"start_date": day} for day in ("2024-12-30", "2024-12-31"))
    assert past_of(year(2, 2, None) | too_soon, known)["frequent_year_before"] is None
    assert past_of(year(2, 2, None) | soon_enough, known)["frequent_year_before"] == 1
