"""The encounter contract: broken cells are named by row, column and reason, and never by their value."""

import pandas as pd
import pytest

from readmission_platform.encounters.cohort import DISCHARGE_COLUMNS, DRUG_COLUMNS, SOURCE_COLUMNS
from readmission_platform.encounters.contract import (
    ENCOUNTERS,
    ENCOUNTERS_WITH_OUTCOME,
    NULLABLE,
    RANGES,
    VOCABULARIES,
)
from readmission_platform.encounters.synthetic import generate
from readmission_platform_tests.support.small_study import text_cells

SECRET = "Q7391-PATIENT"
NUMBERS = list(RANGES)


@pytest.fixture(scope="module")
def cells() -> pd.DataFrame:
    return text_cells(generate(encounters=200, seed=3)).head(6)


def lines_of(broken: pd.DataFrame) -> set[tuple[int, str, str]]:
    assert not broken["row"].isna().any()
    return set(zip(broken["row"], broken["column"], broken["reason"], strict=True))


def broken_by(cells: pd.DataFrame, values: dict[str, object], *, row: int = 2) -> set[tuple[int, str, str]]:
    """Return the lines about a row whose cells were replaced by these values."""
    changed = cells.copy()
    for column, value in values.items():
        changed.loc[row, column] = value
    return lines_of(ENCOUNTERS.broken_rules(ENCOUNTERS.parse_text(changed)))


def test_every_encounter_of_the_synthetic_cohort_keeps_the_contract() -> None:
    raw = generate(encounters=2_000, seed=4)
    assert ENCOUNTERS_WITH_OUTCOME.broken_rules(raw).empty
    assert ENCOUNTERS.broken_rules(ENCOUNTERS.parse_text(text_cells(raw))).empty


def test_text_becomes_what_it_was_before_it_was_text(cells: pd.DataFrame) -> None:
    raw = generate(encounters=200, seed=3).head(6)[DISCHARGE_COLUMNS]
    parsed = ENCOUNTERS.parse_text(cells)
    assert (parsed.dtypes[NUMBERS] == "int64").all()
    pd.testing.assert_frame_equal(parsed.fillna("-"), raw.astype(parsed.dtypes.to_dict()).fillna("-"))


@pytest.mark.parametrize("column", ["A1Cresult", "max_glu_serum"])
def test_a_test_that_was_not_done_is_the_value_none_and_not_a_missing_value(cells: pd.DataFrame, column: str) -> None:
    parsed = ENCOUNTERS.parse_text(cells.assign(**{column: "None"}))
    assert parsed[column].tolist() == ["None"] * 6
    assert ENCOUNTERS.broken_rules(parsed).empty


MARKS = [
    "?",
    "",
    " ",
    "NA",
    "N/A",
    "n/a",
    "nan",
    "NaN",
    "null",
    "NULL",
    "None",
    "-",
    "\u2013",
    "#N/A",
    "<NA>",
    "\\N",
    ".",
]


@pytest.mark.parametrize("mark", [*MARKS, None, float("nan")])
def test_what_may_be_missing_is_missing_however_it_is_written(cells: pd.DataFrame, mark: object) -> None:
    assert set(RANGES).isdisjoint(NULLABLE)
    marked = cells.assign(**{column: pd.Series([mark] * 6, dtype=object) for column in NULLABLE})
    parsed = ENCOUNTERS.parse_text(marked)
    assert parsed[sorted(NULLABLE)].to_numpy().tolist() == [[None] * len(NULLABLE)] * 6
    assert ENCOUNTERS.broken_rules(parsed).empty


@pytest.mark.parametrize("mark", [*MARKS, None])
def test_what_may_not_be_missing_is_named_when_it_is(cells: pd.DataFrame, mark: object) -> None:
    values = ("A1Cresult", "max_glu_serum") if mark == "None" else ()
    required = [name for name in DISCHARGE_COLUMNS if name not in {*NULLABLE, *values}]
    assert broken_by(cells, dict.fromkeys(required, mark)) == {(2, column, "missing") for column in required}


@pytest.mark.parametrize("value", ["-5", "99999999999999999999", "1.5", SECRET, "1e400", "0x10", "True"])
def test_a_number_that_is_out_of_range_or_not_whole_is_named(cells: pd.DataFrame, value: str) -> None:
    lines = broken_by(cells, dict.fromkeys(NUMBERS, value))
    assert {column for _, column, _ in lines} == set(NUMBERS)
    assert {row for row, _, _ in lines} == {2}
    assert {reason for _, _, reason in lines} <= {"not a whole number", "out of range"}
    assert len(lines) == len(NUMBERS)  # one fault each, not two


def test_an_encounter_that_a_spreadsheet_rounded_is_not_taken_for_another(cells: pd.DataFrame) -> None:
    for value in ("1.23457E+08", "2e5"):
        assert broken_by(cells, {"encounter_id": value}) == {(2, "encounter_id", "not a whole number")}


def test_a_number_too_large_to_be_exact_leaves_its_neighbours_alone(cells: pd.DataFrame) -> None:
    for value in ("9" * 20, "9" * 400, str(2**63), "-" + "9" * 18):
        assert {row for row, _, _ in broken_by(cells, {"encounter_id": value})} == {2}


def test_a_range_includes_its_ends_and_nothing_beyond(cells: pd.DataFrame) -> None:
    for end, step in ((0, -1), (1, 1)):
        ends: dict[str, object] = {name: str(limits[end]) for name, limits in RANGES.items()}
        beyond: dict[str, object] = {name: str(limits[end] + step) for name, limits in RANGES.items()}
        assert broken_by(cells, ends) == set()
        assert broken_by(cells, beyond) == {(2, name, "out of range") for name in RANGES}


def test_an_unknown_code_is_named(cells: pd.DataFrame) -> None:
    coded = list(VOCABULARIES)
    assert set(DRUG_COLUMNS) <= set(coded)
    assert broken_by(cells, dict.fromkeys(coded, SECRET)) == {(2, name, "unknown code") for name in coded}


def test_an_icd_9_code_is_accepted(cells: pd.DataFrame) -> None:
    assert broken_by(cells, {"diag_1": "428", "diag_2": "008", "diag_3": "250.83"}) == set()
    assert broken_by(cells, {"diag_1": "V57.8", "diag_2": "E878", "diag_3": "8"}) == set()


def test_what_is_no_code_is_named(cells: pd.DataFrame) -> None:
    codes = ["U99.9", "428012", "428.", ".5", "V", "diabetes", "250,83", "-428", "428.123", "4 28", "0", "٤٢٨"]
    many = cells.iloc[[0] * len(codes)].reset_index(drop=True).assign(diag_2=codes)
    expected = {(row, "diag_2", "neither an ICD-9-CM nor an ICD-10-CM code") for row in range(len(codes))}
    assert lines_of(ENCOUNTERS.broken_rules(ENCOUNTERS.parse_text(many))) == expected


@pytest.mark.parametrize("column", ["weight", "payer_code", "medical_specialty"])
def test_a_code_of_no_list_is_a_short_text_on_one_line(cells: pd.DataFrame, column: str) -> None:
    assert broken_by(cells, {column: "Obsterics&Gynecology-GynecologicOnco"}) == set()
    for value in ("x" * 101, "a\nb", "\x1b[31m"):
        assert broken_by(cells, {column: value}) == {(2, column, "unknown code")}


def test_lines_come_by_row_and_then_in_the_order_of_the_columns(cells: pd.DataFrame) -> None:
    changed = cells.copy()
    changed.loc[[1, 4], ["change", "race", "time_in_hospital"]] = SECRET
    lines = ENCOUNTERS.broken_rules(ENCOUNTERS.parse_text(changed))
    assert list(zip(lines["row"], lines["column"], strict=True)) == [
        (row, column) for row in (1, 4) for column in ("race", "time_in_hospital", "change")
    ]
    assert lines["code"].tolist() == ["unknown_code", "not_a_whole_number", "unknown_code"] * 2


def test_each_broken_cell_has_its_own_line(cells: pd.DataFrame) -> None:
    changed = cells.copy()
    changed.loc[0, "gender"] = SECRET
    changed.loc[4, ["gender", "age"]] = SECRET
    changed.loc[5, "time_in_hospital"] = "0"
    assert lines_of(ENCOUNTERS.broken_rules(ENCOUNTERS.parse_text(changed))) == {
        (0, "gender", "unknown code"),
        (4, "age", "unknown code"),
        (4, "gender", "unknown code"),
        (5, "time_in_hospital", "out of range"),
    }


def test_the_offending_value_appears_nowhere(
    cells: pd.DataFrame, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    broken = ENCOUNTERS.broken_rules(ENCOUNTERS.parse_text(cells.assign(**dict.fromkeys(DISCHARGE_COLUMNS, SECRET))))
    assert set(broken["column"]) >= set(DISCHARGE_COLUMNS) - {"weight", "payer_code", "medical_specialty"}
    printed = capsys.readouterr()
    assert SECRET not in broken.to_csv() + repr(broken.attrs) + printed.out + printed.err + caplog.text


def test_one_bad_number_costs_its_own_row_only(cells: pd.DataFrame) -> None:
    assert {row for row, _, _ in broken_by(cells, {"num_medications": "many"}, row=1)} == {1}


def test_a_whole_number_may_be_written_with_a_decimal_point(cells: pd.DataFrame) -> None:
    assert broken_by(cells, {"num_medications": "7.0", "num_procedures": " 2 "}) == set()


def test_missing_columns_are_listed_in_the_order_of_the_source() -> None:
    frame = pd.DataFrame(columns=[name for name in SOURCE_COLUMNS if name not in ("gender", "race", "readmitted")])
    assert ENCOUNTERS.missing_columns(frame) == ["race", "gender"]
    assert ENCOUNTERS_WITH_OUTCOME.missing_columns(frame) == ["race", "gender", "readmitted"]


def test_what_a_delivery_may_leave_out_is_not_missing_and_is_checked_where_it_is_there(cells: pd.DataFrame) -> None:
    assert ENCOUNTERS.missing_columns(cells) == []
    assert broken_by(cells.assign(previous_return="<30"), {"previous_return": SECRET}) == {
        (2, "previous_return", "unknown code")
    }
    assert broken_by(cells.assign(previous_return=None), {"previous_return": ">30"}) == set()


def test_a_frame_without_rows_breaks_no_rule(cells: pd.DataFrame) -> None:
    assert ENCOUNTERS.broken_rules(ENCOUNTERS.parse_text(cells.iloc[:0])).empty


def test_the_outcome_is_one_of_the_three_the_source_knows() -> None:
    assert ENCOUNTERS_WITH_OUTCOME.vocabularies["readmitted"] == ("NO", ">30", "<30")
    assert ENCOUNTERS.vocabularies == {**VOCABULARIES, "previous_return": ("NO", ">30", "<30")}
    raw = generate(encounters=200, seed=3).head(3)
    raw.loc[1, "readmitted"] = "no"
    assert ENCOUNTERS_WITH_OUTCOME.broken_rules(raw).to_dict("records") == [
        {"row": 1, "column": "readmitted", "code": "unknown_code", "reason": "unknown code"}
    ]
