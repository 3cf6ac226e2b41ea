"""One row read on its own: exactly what intake makes of the same row in a file, of every kind of contract."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from readmission_platform.encounters.contract import ENCOUNTERS
from readmission_platform.intake.contract import Excluded, Pattern, RowContract, Why
from readmission_platform.intake.files import LandedFile
from readmission_platform.intake.rows import take_in
from readmission_platform.intake.rules import LARGEST_EXACT
from readmission_platform.intake.single import RowReader
from readmission_platform.models.frequent_visits.feed import FEED as ENROLMENTS
from readmission_platform.models.tabular.source import day_text
from readmission_platform.storage.json_lines import flat_rows, read_json_lines
from readmission_platform_tests.support.bad_deliveries import SECRET

DAY = "2031-05-06"
# As the template for a model of one table makes it: an entity of text, dates, texts that are not all listed.
APPOINTMENTS = RowContract(
    columns=("visit_id", "mrn", "booked_for", "earlier_no_shows", "age", "distance", "clinic", "ward", "booked_on"),
    row="visit_id", entity="mrn", day="booked_day", outcome="no_show",
    whole_numbers={"visit_id": (0, LARGEST_EXACT), "earlier_no_shows": (0, 12), "age": (-5, 100)},
    numbers={"distance": (-1.5, 400.0)},
    vocabularies={"clinic": ("Cardiology", "Oncology", "ENT", "Dental")},
    usual_texts={"ward": ("North 1", "South")},
    patterns=dict.fromkeys(("booked_for", "booked_on"), Pattern(r"\d{4}-\d{2}-\d{2}", "not_a_date", day_text)),
    reasons={"not_a_date": Why("not a date (YYYY-MM-DD)"), "child": Why("children"), "far": Why("too far for one")},
    nullable=frozenset({"clinic", "booked_on", "age", "distance"}),
    excluded=(Excluded("age", "child", lambda rows: pd.to_numeric(rows["age"], errors="coerce") < 18),
              Excluded("distance", "far", lambda rows: (pd.to_numeric(rows["distance"], errors="coerce") > 300)
                       & (rows["clinic"] != "Oncology"))),
)  # fmt: skip
CONTRACTS = {"encounters": ENCOUNTERS, "enrolments": ENROLMENTS, "appointments": APPOINTMENTS}
SOUND: dict[str, dict[str, str]] = {
    "encounters": {**dict.fromkeys(ENCOUNTERS.columns, "No"), "diag_1": "428", "diag_2": "E11.9", "diag_3": "V45.81",
                   **{name: str(low + 1) for name, (low, _) in ENCOUNTERS.whole_numbers.items()},
                   **{name: texts[0] for name, texts in ENCOUNTERS.vocabularies.items()}},
    "enrolments": {**{name: str(high) for name, (_, high) in ENROLMENTS.whole_numbers.items()},
                   **dict.fromkeys(ENROLMENTS.numbers, "0.25"),
                   **{name: texts[0] for name, texts in ENROLMENTS.vocabularies.items()}},
    "appointments": {"visit_id": "7", "mrn": "M00017", "booked_for": "2031-05-06", "earlier_no_shows": "2",
                     "age": "44", "distance": "1.75", "clinic": "ENT", "ward": "North 1", "booked_on": "2031-04-06"},
}  # fmt: skip
ODD = [
    *("", " ", "?", "nan", "None", "NULL", "-", "inf", "-Infinity", "1e1", "1E-2", "2.5", "-1", "-0", "-0.0", "+7"),
    *(" 12 ", "12.0", "12.00", "1.000", "12.0000", "007", "0.30000000000000004", "123456789012345.678", ".5", "5."),
    *("9" * 15, "9" * 16, "9" * 17, "9" * 19, "9" * 20, "9" * 309, "9" * 400, "-" + "9" * 25, "0" * 30 + "5", "1_0"),
    *(str(LARGEST_EXACT), str(LARGEST_EXACT + 1), "1,5", "12\N{NO-BREAK SPACE}", "\N{FULLWIDTH DIGIT FIVE}"),
    *("no", "NO", "yes", "true", "1", "0", "F", "female", "70-80", "&gt;8", "\N{FULLWIDTH GREATER-THAN SIGN}8", "Up"),
    *("30 ", "11", "11.0", "013", "20", "0.9", "17", "18", "300.5", "40.6", "excellent", "cardiology", " Dental", "n1"),
    *("I10", "E8490", "E849", "E876", "U07.1", "A12.3", "v4581", "0389", "38.90", "250.00", "E17.0", "hello", "8"),
    *("2031-05-06", " 2031-05-06 ", "2031-5-6", "2031-05-06T10:00", SECRET, "a\nb", "x" * 100, "x" * 101),
    *("\N{LATIN SMALL LETTER A WITH DIAERESIS}rztin", "\N{ZERO WIDTH SPACE}", "\u2028", "[70\N{EN DASH}80)"),
]  # fmt: skip
TEXTS = (
    st.none()
    | st.sampled_from(ODD)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
    | st.integers().map(str)
    | st.floats().map(repr)
)


@cache
def reader(name: str) -> RowReader:
    return RowReader(CONTRACTS[name])


def plain(value: Any) -> Any:
    """A cell of a frame as a value of Python; None where it is missing."""
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return None
    return value.item() if isinstance(value, np.generic) else value


def by_intake(name: str, files: Mapping[str, LandedFile]) -> list[tuple[dict[str, Any] | None, list[tuple[str, ...]]]]:
    """What intake makes of the only row of the only file of each day, all of them taken in together."""
    contract = CONTRACTS[name]
    taken = take_in({day: [file] for day, file in files.items()}, contract)
    accepted = taken.accepted.to_dict("index").values()
    rows = {row[contract.day]: {column: plain(cell) for column, cell in row.items()} for row in accepted}
    lines: dict[str, list[tuple[str, ...]]] = {day: [] for day in files}
    for line in taken.quarantined.to_dict("records"):
        lines[line[contract.day]].append((line["column"], line["code"], line["reason"]))
    assert not [day for day in files if (day in rows) == bool(lines[day])]
    return [(rows.get(day), lines[day]) for day in files]


def days(count: int) -> list[str]:
    return [(date.fromisoformat(DAY) + timedelta(days=number)).isoformat() for number in range(count)]


def numbered(name: str, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows that, but for the first, each have a number of their own."""
    key = CONTRACTS[name].row
    return [{**row, key: row.get(key) if number == 0 else str(4_000_000 + number)} for number, row in enumerate(rows)]


def types_of(row: Mapping[str, Any] | None) -> dict[str, type] | None:
    return None if row is None else {name: type(value) for name, value in row.items()}


def assert_as_in_files(name: str, rows: Iterable[Mapping[str, str | None]]) -> None:
    """Assert that each row is read as intake reads it in a file of its own, beside others."""
    numbered_rows = numbered(name, rows)
    of_day = dict(zip(days(len(numbered_rows)), numbered_rows, strict=True))
    contract = CONTRACTS[name]
    files = {}
    for day, cells in of_day.items():
        columns = [*contract.columns, *([contract.day] if contract.day in cells else [])]
        frame = pd.DataFrame([[cells.get(column) for column in columns]], columns=columns, dtype=object)
        files[day] = LandedFile("a.csv", f"sha256:{day}", frame)
    for (day, cells), (row, faults) in zip(of_day.items(), by_intake(name, files), strict=True):
        read = reader(name).read(cells, day=day)
        assert (read.row, [*map(tuple, read.faults)]) == (row, faults)
        assert types_of(read.row) == types_of(row)
        assert list(read.row or ()) == list(row or ())
        assert SECRET not in str(read.faults)


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_sound_row_is_accepted(name: str) -> None:
    assert reader(name).read(SOUND[name], day=DAY).faults == ()
    assert_as_in_files(name, [SOUND[name]])


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_odd_text_is_read_in_every_column_as_in_a_file(name: str) -> None:
    columns = CONTRACTS[name].columns
    assert_as_in_files(name, [{column: ODD[(place + shift) % len(ODD)] for place, column in enumerate(columns)}
                              for shift in range(len(ODD))])  # fmt: skip


@pytest.mark.parametrize("name", CONTRACTS)
@settings(max_examples=25)
@given(data=st.data())
def test_a_row_is_accepted_or_refused_as_in_a_file_with_the_same_values_and_the_same_faults(
    name: str, data: st.DataObject
) -> None:
    contract = CONTRACTS[name]
    changes = st.dictionaries(st.sampled_from([*contract.columns, contract.day]), TEXTS, max_size=3)
    changed = data.draw(st.lists(changes, min_size=1, max_size=12))
    left_out = data.draw(st.sets(st.sampled_from(contract.columns), max_size=1))
    rows = [{column: text for column, text in {**SOUND[name], **each}.items() if column not in left_out}
            for each in changed]  # fmt: skip
    assert_as_in_files(name, rows)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(ODD)
    | st.text(max_size=4), lambda inner: st.lists(inner, max_size=2), max_leaves=2,
)  # fmt: skip


@pytest.mark.parametrize("name", CONTRACTS)
@settings(max_examples=25)
@given(data=st.data())
def test_values_of_json_are_read_as_from_a_file_of_json_lines(name: str, data: st.DataObject) -> None:
    contract = CONTRACTS[name]
    keys = st.sampled_from(contract.columns) | st.sampled_from(["AGE", " age", "Visit-ID", "diag 1", SECRET, ""])
    changed = data.draw(st.lists(st.dictionaries(keys, VALUES, max_size=3), min_size=1, max_size=8))
    rows = numbered(name, ({**SOUND[name], **each} for each in changed))
    lines = {day: json.dumps(row).encode() for day, row in zip(days(len(rows)), rows, strict=True)}
    files = {}
    for day, line in lines.items():
        cells, broken = flat_rows(read_json_lines(line).objects)
        files[day] = LandedFile("a.ndjson", f"sha256:{day}", cells, broken=broken, sparse=True)
    for (day, line), (row, faults) in zip(lines.items(), by_intake(name, files), strict=True):
        read = reader(name).read(json.loads(line, parse_float=Decimal), day=day)
        assert (read.row, types_of(read.row)) == (row, types_of(row))
        if any(fault.code == "nested_value" for fault in read.faults):
            # In a file it is the line that is at fault.
            assert {code for _, code, _ in faults} == {"nested_value"}
        else:
            assert [*map(tuple, read.faults)] == faults
        assert SECRET not in str(read.faults)


@example(value=float("nan"))
@example(value=float("-inf"))
@example(value=Decimal("sNaN"))
@example(value=Decimal("1e999999"))
@example(value="\ud800")
@example(value={"a": {"b": []}})
@example(value=b"7")
@given(value=VALUES)
def test_nothing_that_a_parser_of_json_returns_makes_reading_fail(value: Any) -> None:
    for name, contract in CONTRACTS.items():
        for column in (*contract.columns, contract.day):
            read = reader(name).read({**SOUND[name], column: value}, day=DAY)
            assert (read.row is None) == bool(read.faults)
            assert {fault.column for fault in read.faults} <= {column, *(each.column for each in contract.excluded)}


@pytest.mark.parametrize(
    ("value", "code"),
    [(True, "not_a_whole_number"), ([3], "nested_value"), ({"value": 3}, "nested_value"), (b"3", "nested_value"),
     (float("nan"), "not_json"), (float("inf"), "not_json"), ("\ud800", "not_json"),
     ("1\0", "not_json"), (10**400, "not_a_whole_number"), (10**30, "out_of_range"), (3.5, "not_a_whole_number"),
     (1e30, "not_a_whole_number"), (None, "missing_value"), ("3 days", "not_a_whole_number")],
)  # fmt: skip
def test_what_is_no_value_of_a_column_has_a_code(value: Any, code: str) -> None:
    read = reader("encounters").read({**SOUND["encounters"], "time_in_hospital": value}, day=DAY)
    assert read.row is None
    assert [(fault.column, fault.code) for fault in read.faults] == [("time_in_hospital", code)]


def test_a_number_with_more_digits_than_python_writes_has_a_code() -> None:
    for column in ENCOUNTERS.columns:
        read = reader("encounters").read({**SOUND["encounters"], column: 10**5000}, day=DAY)
        assert [(fault.column, fault.code) for fault in read.faults] == [(column, "not_json")]


@pytest.mark.parametrize("value", [3, 3.0, "3", "3.0", Decimal("3.00"), " 3 "])
def test_a_whole_number_may_be_a_number_or_text(value: Any) -> None:
    row = reader("encounters").read({**SOUND["encounters"], "time_in_hospital": value}, day=DAY).row
    assert row is not None
    assert (row["time_in_hospital"], type(row["time_in_hospital"])) == (3, int)


def test_names_that_a_contract_does_not_have_are_counted_and_not_repeated() -> None:
    read = reader("encounters").read({**SOUND["encounters"], SECRET: "1", "readmitted": "NO"}, day=DAY)
    assert [tuple(fault) for fault in read.faults] == [("2 columns", "column_unknown", "column not in the contract")]
    unnamed: Any = {**SOUND["encounters"], 7: "1"}
    assert reader("encounters").read(unnamed, day=DAY).faults[0].code == "column_unknown"


def test_a_name_may_be_written_in_another_way_but_not_come_twice() -> None:
    values = {name.upper().replace("_", " "): value for name, value in SOUND["encounters"].items()}
    assert reader("encounters").read(values, day=DAY) == reader("encounters").read(SOUND["encounters"], day=DAY)
    twice = reader("encounters").read({**SOUND["encounters"], "Age": "[70-80)"}, day=DAY)
    assert [(fault.column, fault.code) for fault in twice.faults] == [("age", "column_repeated")]


def test_a_code_in_doubt_is_read_by_the_other_codes_of_its_row() -> None:
    def diagnosis(**others: str) -> object:
        row = reader("encounters").read({**SOUND["encounters"], "diag_1": "E876", **others}, day=DAY).row
        assert row is not None
        return row["diag_1"]

    assert diagnosis(diag_2="428", diag_3="250") == "E876"[:4]
    assert diagnosis(diag_2="I50.9", diag_3="") == "276.8"
    assert diagnosis(diag_2="I50.9", diag_3="250") is None


def test_a_rule_of_exclusion_is_asked_once_for_each_text_of_its_column() -> None:
    asked: list[int] = []

    def young(rows: pd.DataFrame) -> "pd.Series[bool]":
        asked.append(len(rows))
        return pd.to_numeric(rows["age"], errors="coerce") < 18

    contract = replace(APPOINTMENTS, excluded=(Excluded("age", "child", young),))
    counting = RowReader(contract)
    before = len(asked)
    ages = [str(age) for age in range(10, 30)]
    for age in ages * 3:
        read = counting.read({**SOUND["appointments"], "age": age}, day=DAY)
        assert [fault.code for fault in read.faults] == (["child"] if int(age) < 18 else [])
    assert len(asked) - before == len(ages)


def test_a_sound_row_of_known_texts_is_read_without_a_data_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("encounters", "enrolments"):
        before = reader(name).read(SOUND[name], day=DAY)
        with monkeypatch.context() as patched:
            for made in ("DataFrame", "Series"):
                patched.setattr(pd, made, None)
            changed = {**SOUND[name], CONTRACTS[name].row: "78", CONTRACTS[name].entity: "79"}
            read = reader(name).read(changed, day=DAY)
        assert read.row is not None
        assert read.row.keys() == (before.row or {}).keys()


def test_rows_that_come_together_are_read_as_those_of_one_file() -> None:
    """Codes in doubt are told by all of them, and of two that contradict each other neither is accepted."""
    sound = SOUND["encounters"]
    rows = [{**sound, "encounter_id": "1", "diag_1": "E876", "diag_2": None, "diag_3": None},
            {**sound, "encounter_id": "2", "diag_1": "I50.9"}, {**sound, "encounter_id": "3"},
            {**sound, "encounter_id": "3.0"}, {**sound, "encounter_id": "2", "diag_1": "428"},
            {**sound, "encounter_id": "4", "age": SECRET}]  # fmt: skip
    frame = pd.DataFrame(rows, columns=list(ENCOUNTERS.columns), dtype=object)
    taken = take_in({DAY: [LandedFile("a.csv", "sha256:a", frame)]}, ENCOUNTERS)
    read = reader("encounters").read_all(rows, day=DAY)
    lines = taken.quarantined[["row", "column", "code", "reason"]].itertuples(index=False, name=None)
    assert [(number, *fault) for number, each in enumerate(read, start=1) for fault in each.faults] == list(lines)
    assert [each.row and each.row["encounter_id"] for each in read] == [1, None, 3, 3, None, None]
    assert read[0].row is not None
    assert (read[0].row["diag_1"], len(taken.accepted)) == (taken.accepted.loc[0, "diag_1"], 2)
