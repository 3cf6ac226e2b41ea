"""The cohort: who is in it, and in which part."""

import pandas as pd
import pytest

from readmission_platform.encounters.cohort import (
    CANNOT_BE_READMITTED,
    DISCHARGE_COLUMNS,
    SOURCE_COLUMNS,
    cohort_flow,
    eligible_encounters,
    subgroups,
    with_matured,
)
from readmission_platform.encounters.synthetic import generate

KEY = b"one key"


@pytest.fixture(scope="module")
def raw() -> pd.DataFrame:
    return generate(encounters=3_000, seed=5)


@pytest.fixture(scope="module")
def eligible(raw: pd.DataFrame) -> pd.DataFrame:
    return eligible_encounters(raw, key=KEY, replay_share=0.1)


def test_the_source_has_fifty_columns_and_a_discharge_lacks_only_the_outcome() -> None:
    assert len(SOURCE_COLUMNS) == len(set(SOURCE_COLUMNS)) == 50
    assert set(SOURCE_COLUMNS) - set(DISCHARGE_COLUMNS) == {"readmitted"}


def test_who_died_or_went_to_hospice_is_not_in_the_cohort_and_everybody_else_is(
    raw: pd.DataFrame, eligible: pd.DataFrame
) -> None:
    assert frozenset({11, 13, 14, 19, 20, 21}) == CANNOT_BE_READMITTED
    excluded = raw["discharge_disposition_id"].isin([11, 13, 14, 19, 20, 21])
    assert excluded.any()
    assert sorted(eligible["encounter_id"]) == sorted(raw.loc[~excluded, "encounter_id"])


def test_the_outcome_is_readmission_within_30_days_and_nothing_else(raw: pd.DataFrame, eligible: pd.DataFrame) -> None:
    outcome = eligible.set_index("encounter_id")["readmitted_30d"]
    recorded = raw.set_index("encounter_id")["readmitted"].loc[outcome.index]
    assert set(recorded[outcome == 1]) == {"<30"}
    assert set(recorded[outcome == 0]) == {"NO", ">30"}


def test_the_cohort_is_in_the_order_of_the_clock_and_does_not_depend_on_the_order_of_the_file(
    raw: pd.DataFrame, eligible: pd.DataFrame
) -> None:
    assert eligible["encounter_id"].is_monotonic_increasing
    assert eligible["clock"].is_monotonic_increasing
    assert eligible["clock"].between(0, 1, inclusive="left").all()
    shuffled = raw.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(eligible_encounters(shuffled, key=KEY, replay_share=0.1), eligible)


def test_the_replay_stream_is_the_last_tenth_of_the_clock(eligible: pd.DataFrame) -> None:
    replayed = eligible["part"] == "replay"
    assert replayed.sum() == int(len(eligible) * 0.1)
    assert eligible.loc[replayed, "encounter_id"].min() > eligible.loc[~replayed, "encounter_id"].max()


def test_no_patient_number_is_left_but_the_patients_stay_apart(raw: pd.DataFrame, eligible: pd.DataFrame) -> None:
    assert "patient_nbr" not in eligible.columns
    patients = raw.set_index("encounter_id")["patient_nbr"].loc[eligible["encounter_id"]]
    assert eligible["entity_key"].nunique() == patients.nunique()
    pairs = set(zip(eligible["entity_key"], patients, strict=True))
    assert len(pairs) == patients.nunique()


def test_the_flow_of_the_cohort_adds_up(raw: pd.DataFrame, eligible: pd.DataFrame) -> None:
    flow = cohort_flow(raw, eligible)
    excluded = flow["excluded: died in hospital"] + flow["excluded: discharged to hospice"]
    assert flow["encounters in the source"] - excluded == flow["eligible encounters"] == len(eligible)
    parts = flow["development (first part of the proxy clock)"] + flow["replay stream (set aside)"]
    assert parts == flow["eligible encounters"]
    assert flow["eligible patients"] == eligible["entity_key"].nunique()


def as_discharges(rows: pd.DataFrame, day: str = "2024-01-01") -> pd.DataFrame:
    """Rows of the cohort as they come back: accepted as daily discharges, with the outcome that matured."""
    kept = rows.drop(columns=["clock", "part", "readmitted", "readmitted_30d"])
    return kept.assign(discharge_date=day, readmitted_30d=rows["readmitted_30d"])


@pytest.fixture(scope="module")
def replayed(eligible: pd.DataFrame) -> pd.DataFrame:
    return eligible[eligible["part"] == "replay"]


def test_with_nothing_matured_the_cohort_is_as_it_was_but_for_the_empty_date(eligible: pd.DataFrame) -> None:
    same = with_matured(eligible, as_discharges(eligible).head(0))
    pd.testing.assert_frame_equal(same.drop(columns="discharge_date"), eligible)
    assert same["discharge_date"].isna().all()


def test_what_matured_of_the_replay_becomes_development_once_and_the_rest_stays(
    eligible: pd.DataFrame, replayed: pd.DataFrame
) -> None:
    matured = replayed.head(50)
    joined = with_matured(eligible, as_discharges(matured))
    assert joined["encounter_id"].tolist() == eligible["encounter_id"].tolist()
    dated = joined["discharge_date"].notna()
    assert joined.loc[dated, "encounter_id"].tolist() == matured["encounter_id"].tolist()
    assert set(joined.loc[dated, "part"]) == {"development"}
    assert (joined["part"] == "replay").sum() == len(replayed) - 50
    pd.testing.assert_series_equal(joined["readmitted_30d"], eligible["readmitted_30d"])
    untouched = joined[~dated].drop(columns="discharge_date")
    pd.testing.assert_frame_equal(untouched, eligible[~dated])


def test_of_a_matured_discharge_nothing_is_known_beyond_thirty_days(
    eligible: pd.DataFrame, replayed: pd.DataFrame
) -> None:
    joined = with_matured(eligible, as_discharges(replayed))
    dated = joined[joined["discharge_date"].notna()]
    assert set(dated.loc[dated["readmitted_30d"] == 1, "readmitted"]) == {"<30"}
    assert dated.loc[dated["readmitted_30d"] == 0, "readmitted"].isna().all()


def test_a_discharge_that_no_source_has_is_added_in_the_order_of_the_clock(
    eligible: pd.DataFrame, replayed: pd.DataFrame
) -> None:
    others = as_discharges(replayed.head(20)).assign(encounter_id=lambda rows: rows["encounter_id"] + 10**9)
    joined = with_matured(eligible, others)
    assert len(joined) == len(eligible) + 20
    assert joined["encounter_id"].is_monotonic_increasing
    assert joined["clock"].is_monotonic_increasing
    assert joined["clock"].between(0, 1, inclusive="left").all()
    assert (joined["part"] == "replay").sum() == len(replayed)


def test_a_discharge_that_the_source_has_developed_on_is_not_taken_twice(eligible: pd.DataFrame) -> None:
    again = eligible[eligible["part"] == "development"].head(10)
    joined = with_matured(eligible, as_discharges(again))
    pd.testing.assert_frame_equal(joined.drop(columns="discharge_date"), eligible)


def test_matured_discharges_are_a_step_of_their_own_in_the_flow(
    raw: pd.DataFrame, eligible: pd.DataFrame, replayed: pd.DataFrame
) -> None:
    new = as_discharges(replayed.tail(5)).assign(encounter_id=lambda rows: rows["encounter_id"] + 10**9)
    matured = pd.concat([as_discharges(replayed.head(50)), new])
    flow = cohort_flow(raw, with_matured(eligible, matured))
    assert flow["development (matured discharges)"] == 55
    assert flow["added: matured discharges that are not in the source"] == 5
    assert flow["replay stream (set aside)"] == len(replayed) - 50
    assert flow["eligible encounters"] == len(eligible) + 5


def test_subgroups_are_gender_race_and_age_in_three_bands() -> None:
    rows = pd.DataFrame({"gender": ["Female", "Unknown/Invalid", "Male"], "race": ["Asian", None, "Other"],
                         "age": ["[40-50)", "[50-60)", "[70-80)"]})  # fmt: skip
    found = subgroups(rows)
    assert found["gender"].isna().tolist() == [False, True, False]
    assert found["age_band"].tolist() == ["<50", "50-70", "70+"]
