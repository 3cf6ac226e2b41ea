"""Intake: every row of a file is accepted, quarantined with a reason, or a duplicate."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readmission_platform.science.cohort import CANNOT_BE_READMITTED, DISCHARGE_COLUMNS, INTEGER_COLUMNS
from readmission_platform.science.encounter_contract import broken_rules
from readmission_platform.science.intake import Intake, no_discharges, take_in
from readmission_platform.science.synthetic import generate
from readmission_platform_tests.small_study import text_cells

SECRET = "Q7391-PATIENT"


def a_day(rows: int) -> pd.DataFrame:
    raw = generate(encounters=200, seed=6)
    return text_cells(raw[~raw["discharge_disposition_id"].isin(CANNOT_BE_READMITTED)].head(rows))


DAY = a_day(10)
BAD_CELLS = st.tuples(
    st.integers(0, len(DAY) - 1),
    st.sampled_from(DISCHARGE_COLUMNS),
    st.sampled_from(["", "?", "None", "-1", "5.0", "1e9", SECRET, "11", "V45", "[70-80)", "\n", "'; --"])
    | st.text(max_size=6),
)


def assert_accounted_for(intake: Intake, rows: int) -> None:
    assert intake.received == rows
    assert intake.received == len(intake.accepted) + intake.quarantined_rows + intake.duplicate


@settings(max_examples=25, deadline=None)
@given(
    bad=st.lists(BAD_CELLS, max_size=5),
    repeated=st.lists(st.integers(0, len(DAY) - 1), max_size=4),
    known=st.sets(st.integers(0, len(DAY) - 1), max_size=3),
)
def test_whatever_is_wrong_with_a_file_no_row_is_lost_and_none_is_taken_twice(
    bad: list[tuple[int, str, str]], repeated: list[int], known: set[int]
) -> None:
    cells = pd.concat([DAY, DAY.iloc[repeated]], ignore_index=True)
    for row, column, value in bad:
        cells.loc[row, column] = value
    already = {int(DAY["encounter_id"][row]) for row in known}
    intake = take_in(cells, already=already)
    assert_accounted_for(intake, len(cells))
    accepted = intake.accepted
    assert list(accepted.columns) == DISCHARGE_COLUMNS
    assert (accepted.dtypes[INTEGER_COLUMNS] == "int64").all()
    assert accepted["encounter_id"].is_unique
    assert not set(accepted["encounter_id"]) & already
    assert not set(accepted["discharge_disposition_id"]) & CANNOT_BE_READMITTED
    assert broken_rules(accepted).empty
    assert intake.quarantined["row"].between(1, len(cells)).all()
    assert SECRET not in intake.quarantined.to_csv()
    untouched = set(range(len(DAY))) - {row for row, _, _ in bad} - known
    assert {int(DAY["encounter_id"][row]) for row in untouched} <= set(accepted["encounter_id"])


def test_a_clean_file_is_accepted_whole_and_in_its_order() -> None:
    intake = take_in(DAY, already=())
    assert_accounted_for(intake, 10)
    assert intake.accepted["encounter_id"].tolist() == DAY["encounter_id"].astype("int64").tolist()
    assert intake.quarantined.empty


def test_who_died_or_went_to_hospice_is_quarantined_with_the_reason() -> None:
    cells = DAY.copy()
    cells.loc[range(2, 8), "discharge_disposition_id"] = [str(code) for code in sorted(CANNOT_BE_READMITTED)]
    intake = take_in(cells, already=())
    assert_accounted_for(intake, 10)
    assert intake.quarantined.to_dict("records") == [
        {"row": row, "column": "discharge_disposition_id", "reason": "cannot be readmitted"} for row in range(3, 9)
    ]


def test_a_row_with_several_faults_is_one_quarantined_row_with_several_lines() -> None:
    cells = DAY.copy()
    cells.loc[0, ["gender", "age"]] = SECRET
    intake = take_in(cells, already=())
    assert_accounted_for(intake, 10)
    assert intake.quarantined_rows == 1
    assert intake.quarantined["column"].tolist() == ["gender", "age"]
    assert intake.quarantined["row"].tolist() == [1, 1]


@pytest.mark.parametrize("column", ["gender", "encounter_id", "diag_3"])
def test_without_a_column_every_row_is_quarantined_and_the_column_named(column: str) -> None:
    intake = take_in(DAY.drop(columns=column), already=())
    assert_accounted_for(intake, 10)
    assert intake.quarantined_rows == 10
    assert set(intake.quarantined["column"]) == {column}
    assert set(intake.quarantined["reason"]) == {"column missing from the file"}
    pd.testing.assert_frame_equal(intake.accepted, no_discharges())


def test_with_an_unknown_column_every_row_is_quarantined_and_the_column_not_named() -> None:
    intake = take_in(DAY.assign(**{SECRET: "1"}), already=())
    assert_accounted_for(intake, 10)
    assert intake.quarantined_rows == 10
    assert SECRET not in intake.quarantined.to_csv()


def test_a_file_that_brings_outcomes_is_not_a_file_of_discharges() -> None:
    intake = take_in(DAY.assign(readmitted="<30"), already=())
    assert_accounted_for(intake, 10)
    assert intake.accepted.empty


def test_a_repeated_encounter_counts_once_within_a_file_and_not_again_in_a_later_one() -> None:
    cells = pd.concat([DAY, DAY.iloc[[0, 0, 5]]], ignore_index=True)
    first = take_in(cells, already=())
    assert_accounted_for(first, 13)
    assert (len(first.accepted), first.duplicate) == (10, 3)
    second = take_in(cells, already=set(first.accepted["encounter_id"]))
    assert_accounted_for(second, 13)
    assert (len(second.accepted), second.duplicate) == (0, 13)


def test_a_corrected_row_is_accepted_although_its_broken_twin_was_quarantined() -> None:
    cells = pd.concat([DAY.iloc[[0]].assign(age="about 70"), DAY.iloc[[0]]], ignore_index=True)
    intake = take_in(cells, already=())
    assert_accounted_for(intake, 2)
    assert (len(intake.accepted), intake.quarantined_rows, intake.duplicate) == (1, 1, 0)


def test_decimal_points_beside_a_broken_cell_of_the_column_stop_nothing() -> None:
    cells = DAY.copy()
    cells.loc[0, "num_medications"] = SECRET
    cells.loc[1, "num_medications"] = "5.0"
    intake = take_in(cells, already=())
    assert_accounted_for(intake, 10)
    assert intake.accepted["num_medications"].iloc[0] == 5


def test_the_order_of_the_columns_does_not_matter() -> None:
    backwards = take_in(DAY[DISCHARGE_COLUMNS[::-1]], already=())
    pd.testing.assert_frame_equal(backwards.accepted, take_in(DAY, already=()).accepted)


def test_a_file_with_a_header_and_no_rows_is_a_day_without_discharges() -> None:
    intake = take_in(DAY.iloc[:0], already=())
    assert_accounted_for(intake, 0)
    pd.testing.assert_frame_equal(intake.accepted, no_discharges())
