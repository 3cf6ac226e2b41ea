"""History: only the past counts, however the known encounters are arranged."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readmission_platform.encounters.cohort import eligible_encounters
from readmission_platform.encounters.history import HISTORY_COLUMNS, KNOWN_COLUMNS, history_as_of, history_of
from readmission_platform.encounters.synthetic import generate

Rows = list[dict[str, Any]]

ENCOUNTER = st.fixed_dictionaries(
    {
        "encounter_id": st.integers(1, 60),
        "entity_key": st.sampled_from(["a", "b", "c"]),
        "time_in_hospital": st.integers(1, 14),
        "number_inpatient": st.integers(0, 6),
        "discharge_disposition_id": st.integers(1, 30),
        "readmitted": st.sampled_from(["<30", ">30", "NO", None]),
    }
)
ENCOUNTERS = st.lists(ENCOUNTER, min_size=1, max_size=14, unique_by=lambda row: row["encounter_id"])


def frame_of(rows: Rows) -> pd.DataFrame:
    columns = [*KNOWN_COLUMNS, "readmitted"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(["readmitted", "previous_return"], object))


def past_in_plain_python(asked: Mapping[str, Any], rows: Rows) -> list[Any]:
    """The definition, without pandas: look at the patient's earlier encounters one by one."""
    past = [
        row
        for row in sorted(rows, key=lambda row: row["encounter_id"])
        if row["entity_key"] == asked["entity_key"] and row["encounter_id"] < asked["encounter_id"]
    ]
    if not past:
        return [0.0, 0.0, None, np.nan, np.nan, np.nan, np.nan]
    last = past[-1]
    return [
        float(len(past)),
        float(sum(row["readmitted"] == "<30" for row in past)),
        last["readmitted"] if last["readmitted"] in ("<30", ">30") else None,
        float(last["time_in_hospital"]),
        float(last["discharge_disposition_id"]),
        sum(row["time_in_hospital"] for row in past) / len(past),
        float(max(row["number_inpatient"] for row in past)),
    ]


def assert_same(described: pd.DataFrame, expected: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(described, expected, check_dtype=False)


@settings(max_examples=60)
@given(rows=ENCOUNTERS, data=st.data())
def test_history_is_what_looking_through_the_earlier_encounters_one_by_one_gives(
    rows: Rows, data: st.DataObject
) -> None:
    asked = data.draw(st.lists(st.sampled_from(rows), min_size=1, unique_by=lambda row: row["encounter_id"]))
    expected = pd.DataFrame([past_in_plain_python(row, rows) for row in asked], columns=HISTORY_COLUMNS)
    assert_same(history_as_of(frame_of(asked), frame_of(rows)), expected)


@settings(max_examples=40)
@given(rows=ENCOUNTERS, data=st.data())
def test_history_stays_the_same_when_the_future_is_deleted_and_the_rest_is_shuffled(
    rows: Rows, data: st.DataObject
) -> None:
    everything = history_as_of(frame_of(rows), frame_of(rows))
    position = data.draw(st.integers(0, len(rows) - 1))
    past = [row for row in rows if row["encounter_id"] < rows[position]["encounter_id"]]
    alone = history_as_of(frame_of([rows[position]]), frame_of(data.draw(st.permutations(past))))
    assert_same(alone, everything.iloc[[position]].reset_index(drop=True))


@settings(max_examples=25)
@given(rows=ENCOUNTERS, data=st.data())
def test_how_the_latest_encounter_ended_changes_nobodys_history(rows: Rows, data: st.DataObject) -> None:
    latest = max(rows, key=lambda row: row["encounter_id"])
    other = data.draw(st.sampled_from(["<30", ">30", "NO", None]))
    changed = [{**row, "readmitted": other} if row is latest else row for row in rows]
    assert_same(history_as_of(frame_of(changed), frame_of(changed)), history_as_of(frame_of(rows), frame_of(rows)))


def stays(*outcomes: str | None) -> Rows:
    return [
        {
            "encounter_id": number,
            "entity_key": "a",
            "time_in_hospital": number,
            "number_inpatient": 0,
            "discharge_disposition_id": 1,
            "readmitted": outcome,
        }
        for number, outcome in enumerate(outcomes, start=1)
    ]


@pytest.mark.parametrize(("recorded", "told"), [("<30", "<30"), (">30", ">30"), ("NO", None), (None, None)])
def test_a_previous_no_is_no_information_and_a_previous_return_is(recorded: str | None, told: str | None) -> None:
    described = history_as_of(frame_of(stays(recorded, None)[1:]), frame_of(stays(recorded, None)))
    assert described["previous_outcome"].tolist() == [told]


def test_a_discharge_whose_outcome_has_not_matured_counts_as_a_stay_without_an_outcome() -> None:
    discharges = frame_of(stays("<30", None, None)).drop(columns="readmitted")
    known = pd.concat([frame_of(stays("<30")), discharges.iloc[1:2]], ignore_index=True)
    described = history_as_of(discharges.iloc[2:], known).iloc[0]
    assert described["prior_encounters"] == 2
    assert described["prior_readmissions_30d"] == 1
    assert described["previous_outcome"] is None


def discharges(*days: str | None, outcomes: list[int | None]) -> pd.DataFrame:
    """Three stays of a patient: the first known from the start, the others from their day on."""
    rows = frame_of(stays("<30", None, None)).assign(discharge_date=list(days))
    return rows.assign(readmitted_30d=pd.Series(outcomes, dtype="float64"))


@pytest.mark.parametrize(("outcome", "told"), [(1, "<30"), (0, ">30")])
def test_how_a_daily_discharge_ended_is_history_from_the_day_it_matured(outcome: int, told: str) -> None:
    rows = discharges(None, "2024-01-01", "2024-01-31", outcomes=[None, outcome, None])
    described = history_of(rows.iloc[2:].drop(columns=["readmitted", "readmitted_30d"]), rows).iloc[0]
    assert described["previous_outcome"] == told
    assert described["prior_readmissions_30d"] == 1 + outcome


def test_what_was_told_before_it_matured_counts_neither_in_scoring_nor_in_training() -> None:
    rows = discharges(None, "2024-01-01", "2024-01-30", outcomes=[None, 1, 0]).assign(previous_return="NO")
    scored = history_of(rows.iloc[2:].drop(columns=["readmitted", "readmitted_30d"]), rows).iloc[0]
    assert scored["previous_outcome"] is None
    assert (scored["prior_encounters"], scored["prior_readmissions_30d"]) == (2, 1)
    assert history_of(rows, rows).iloc[2].equals(scored)


@pytest.mark.parametrize(
    ("left", "stay", "known"),
    [
        ("2024-01-09", 3, "<30"),  # came back on the 6th, after five days
        ("2024-02-03", 3, "<30"),  # after thirty days
        ("2024-02-04", 3, ">30"),  # after thirty-one
        ("2024-02-03", 2, ">30"),
        ("2024-01-01", 1, "<30"),  # back and discharged again on the day of the discharge
        ("2024-01-05", 9, None),  # stays that overlap are no return
    ],
)
def test_an_early_return_is_a_fact_at_the_next_admission_by_its_dates(left: str, stay: int, known: str | None) -> None:
    rows = discharges(None, "2024-01-01", left, outcomes=[None, None, None])
    rows.loc[2, "time_in_hospital"] = stay
    described = history_of(rows, rows).iloc[2]
    assert described["previous_outcome"] == known
    assert described["prior_readmissions_30d"] == 1 + (known == "<30")
    scored = history_of(rows.iloc[2:].drop(columns=["readmitted", "readmitted_30d"]), rows).iloc[0]
    assert scored.equals(described)


@pytest.mark.parametrize(
    ("told", "said", "known"),
    [
        (None, "<30", "<30"),
        (None, ">30", ">30"),
        (None, "NO", None),  # the source knows of none, and contradicts itself: nothing is taken from it
        (0, "<30", "<30"),
        (1, ">30", "<30"),  # back within 30 days somewhere else
        (0, None, ">30"),  # a return that was planned, say, and does not count
        (None, None, "<30"),  # by the dates
    ],
)
def test_what_was_told_of_a_return_and_what_an_admission_says_count_before_dates(
    told: int | None, said: str | None, known: str | None
) -> None:
    rows = discharges(None, "2024-01-01", "2024-02-02", outcomes=[None, told, None])
    rows["previous_return"] = [None, None, said]
    assert history_of(rows, rows).iloc[2]["previous_outcome"] == known


def test_the_second_of_two_stays_of_a_day_knows_how_the_first_ended() -> None:
    rows = discharges(None, "2024-01-05", "2024-01-05", outcomes=[None, None, None]).assign(time_in_hospital=1)
    described = history_of(rows.iloc[1:].drop(columns=["readmitted", "readmitted_30d"]), rows)
    assert described["previous_outcome"].tolist() == ["<30", "<30"]
    assert described["prior_readmissions_30d"].tolist() == [1, 2]


def test_replayed_patients_with_a_past_have_the_history_that_training_would_give_them() -> None:
    eligible = eligible_encounters(generate(encounters=3_000, seed=5), key=b"any", replay_share=0.3)
    trained = history_of(eligible, eligible)
    arrived = eligible[eligible["part"] == "replay"]
    days = [(date(2024, 1, 1) + timedelta(days=place // 27)).isoformat() for place in range(len(arrived))]
    arrived = arrived.assign(discharge_date=days)
    before = eligible[eligible["part"] == "development"].assign(discharge_date=None)
    known = pd.concat([before, arrived.assign(readmitted=None)], ignore_index=True)
    served = history_of(arrived.drop(columns=["readmitted", "readmitted_30d"]), known)
    assert (served["prior_encounters"] > 0).sum() > 200
    assert_same(served, trained.loc[served.index])


def test_what_was_known_from_the_start_knows_nothing_of_what_arrived_later() -> None:
    rows = discharges("2024-01-01", None, None, outcomes=[1, None, None])
    alone = history_of(rows.iloc[1:], rows.iloc[1:])
    assert_same(history_of(rows, rows).iloc[1:], alone)


def test_what_arrives_is_ordered_by_its_dates_also_when_a_new_series_of_numbers_starts_low() -> None:
    before = frame_of(stays("<30", ">30", "<30")).assign(encounter_id=[5001, 5002, 5003])
    arrived = frame_of(stays(None, None, None)).assign(encounter_id=[9000, 7, 3]).drop(columns="readmitted")
    arrived["discharge_date"] = ["2024-01-01", "2024-03-01", "2024-03-09"]
    known = pd.concat([before, arrived.assign(readmitted_30d=[1.0, None, None])], ignore_index=True)
    described = history_of(arrived, known)
    assert described["prior_encounters"].tolist() == [3, 4, 5]
    assert described["prior_readmissions_30d"].tolist() == [2, 3, 4]
    assert described["previous_outcome"].tolist() == ["<30", "<30", "<30"]
    assert described["previous_time_in_hospital"].tolist() == [3, 1, 2]


@settings(max_examples=60)
@given(rows=ENCOUNTERS, data=st.data())
def test_with_dates_any_numbers_give_the_history_that_numbers_in_order_of_time_would(
    rows: Rows, data: st.DataObject
) -> None:
    days = [f"2024-01-{data.draw(st.integers(1, 4)):02d}" for _ in rows]
    said = [data.draw(st.sampled_from(["<30", ">30", "NO"])) for _ in rows]
    frame = frame_of(rows).assign(discharge_date=days, previous_return=said).drop(columns="readmitted")
    in_time = frame.sort_values(["discharge_date", "encounter_id"], kind="stable")
    numbered = in_time.assign(encounter_id=range(1, len(frame) + 1)).drop(columns="discharge_date")
    ended = numbered.groupby("entity_key")["previous_return"].shift(-1)
    numbered = numbered.assign(readmitted=ended)
    assert_same(history_of(in_time, in_time), history_as_of(numbered, numbered))


def test_an_encounter_that_is_known_from_before_and_delivered_again_is_no_past_stay_of_itself() -> None:
    before = frame_of(stays(">30", "<30")).assign(discharge_date=None)
    again = before.iloc[[1]].assign(discharge_date="2024-01-01").drop(columns="readmitted")
    described = history_of(again, pd.concat([before, again], ignore_index=True))
    assert described["prior_encounters"].tolist() == [1]


def test_two_discharges_of_a_patient_on_one_day_know_of_each_other_only_backwards() -> None:
    discharges = frame_of(stays(None, None)).drop(columns="readmitted")
    described = history_as_of(discharges, discharges.iloc[:0].assign(readmitted=None))
    assert described["prior_encounters"].tolist() == [0, 1]


def test_a_stay_that_was_delivered_again_is_one_past_stay_with_the_outcome_known_first() -> None:
    again = frame_of(stays("<30")).assign(readmitted=None)
    known = pd.concat([frame_of(stays("<30")), again], ignore_index=True)
    described = history_as_of(frame_of(stays("<30", None)[1:]), known).iloc[0]
    assert described["prior_encounters"] == 1
    assert described["previous_outcome"] == "<30"


def test_rows_come_back_in_the_order_and_with_the_index_they_were_asked_in() -> None:
    asked = frame_of(stays("<30", ">30", "NO")).iloc[[2, 0, 1]].set_axis(["x", "y", "z"])
    described = history_as_of(asked, frame_of(stays("<30", ">30", "NO")))
    assert described["prior_encounters"].to_dict() == {"x": 2, "y": 0, "z": 1}
    assert list(described.columns) == HISTORY_COLUMNS


def test_with_nothing_known_and_no_outcomes_at_all_there_is_no_past() -> None:
    discharges = frame_of(stays(None)).drop(columns="readmitted")
    described = history_as_of(discharges, discharges.iloc[:0])
    assert described["prior_encounters"].tolist() == [0]
    assert described.drop(columns=["prior_encounters", "prior_readmissions_30d"]).isna().all(axis=None)
