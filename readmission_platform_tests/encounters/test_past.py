"""The past of a single encounter: whatever is known, it is what the batch makes of it."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readmission_platform.encounters.history import HISTORY_COLUMNS, history_of
from readmission_platform.encounters.past import past_of

DAYS = [None, "2024-01-01", "2024-01-02", "2024-01-05", "2024-01-30", "2024-01-31", "2024-02-01", "2024-02-29",
        "2024-03-02", "2025-01-01"]  # fmt: skip


@st.composite
def stays(draw: Any, *, patients: str = "aab") -> dict[str, Any]:
    day = draw(st.sampled_from(DAYS))
    return {
        "encounter_id": draw(st.integers(1, 9)),
        "entity_key": draw(st.sampled_from(patients)),
        "time_in_hospital": draw(st.integers(1, 40)),
        "number_inpatient": draw(st.integers(0, 5)),
        "discharge_disposition_id": draw(st.integers(1, 30)),
        "previous_return": draw(st.sampled_from([None, "<30", ">30", "NO"])),
        "discharge_date": day,
        "readmitted": draw(st.sampled_from([None, "<30", ">30", "NO"])) if day is None else None,
        "readmitted_30d": draw(st.sampled_from([None, 0, 1])),
    }


def by_the_batch(encounter: dict[str, Any], known: list[dict[str, Any]]) -> dict[str, Any]:
    frame = pd.DataFrame(known, columns=list(encounter)).astype({"readmitted_30d": "float64"})
    asked = pd.DataFrame([encounter]).drop(columns=["readmitted", "readmitted_30d"])
    return history_of(asked, frame).iloc[0].to_dict()


def assert_same(encounter: dict[str, Any], known: list[dict[str, Any]]) -> dict[str, Any]:
    found, expected = past_of(encounter, known), by_the_batch(encounter, known)
    assert list(found) == HISTORY_COLUMNS
    for name, value in found.items():
        if value is None:
            assert pd.isna(expected[name]), name
        else:
            assert value == expected[name], name
            assert isinstance(value, str | float)
    return found


@settings(max_examples=150)
@given(encounter=stays(patients="a"), known=st.lists(stays(), max_size=9))
def test_one_encounter_has_the_past_that_the_batch_gives_it(encounter: dict[str, Any], known: list[dict[str, Any]]):
    assert_same(encounter, known)


@settings(max_examples=60)
@given(encounter=stays(patients="a"), known=st.lists(stays(), max_size=6), at=st.integers(0, 6))
def test_an_encounter_that_is_among_what_is_known_does_not_count_for_itself(
    encounter: dict[str, Any], known: list[dict[str, Any]], at: int
):
    others = [stay for stay in known if stay["encounter_id"] != encounter["encounter_id"]]
    beside = [*others[:at], encounter, *others[at:]]
    assert past_of(encounter, beside) == past_of(encounter, others)
    assert_same(encounter, beside)


def stay(number: int, day: str | None, **more: Any) -> dict[str, Any]:
    return {"encounter_id": number, "entity_key": "a", "time_in_hospital": 3, "number_inpatient": 0,
            "discharge_disposition_id": 1, "previous_return": None, "discharge_date": day, "readmitted": None,
            "readmitted_30d": None, **more}  # fmt: skip


def test_nobody_has_a_past_without_a_row():
    found = assert_same(stay(1, "2024-01-01"), [])
    assert found["prior_encounters"] == 0
    assert found["previous_outcome"] is None


@pytest.mark.parametrize(
    ("days", "outcome"), [(3 - 2, None), (3 - 1, "<30"), (3, "<30"), (33, "<30"), (34, ">30"), (60, ">30")]
)
def test_the_days_to_the_next_admission_tell_how_a_stay_ended(days: int, outcome: str | None):
    later = (np.datetime64("2024-01-10") + np.timedelta64(days, "D")).astype(str)
    found = assert_same(stay(2, str(later)), [stay(1, "2024-01-10")])
    assert found["previous_outcome"] == outcome


@pytest.mark.parametrize(
    ("later", "told", "said", "outcome"),
    [
        ("2024-01-30", 1, None, "<30"),  # 30 days are not over: the dates tell
        ("2024-01-31", 0, None, ">30"),  # they are
        ("2024-01-31", 1, ">30", "<30"),  # a return that matured stands before all
        ("2024-01-31", 0, "<30", "<30"),  # what the next admission says stands before none
        ("2024-01-30", 0, "NO", None),  # no information, and nothing else is asked
    ],
)
def test_what_was_told_counts_once_it_has_matured(later: str, told: int, said: str | None, outcome: str | None):
    found = assert_same(stay(2, later, previous_return=said), [stay(1, "2024-01-01", readmitted_30d=told)])
    assert found["previous_outcome"] == outcome


def test_of_a_stay_that_is_there_twice_the_first_row_counts_and_later_ones_do_not():
    twice = [stay(1, "2024-01-01", time_in_hospital=2), stay(1, "2024-01-01", time_in_hospital=9)]
    found = assert_same(stay(3, "2024-01-05"), [*twice, stay(4, "2024-01-05"), stay(2, "2024-01-06")])
    assert found["prior_encounters"] == 1
    assert found["previous_time_in_hospital"] == 2
