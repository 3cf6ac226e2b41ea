"""The contract of outcome files: every row is accounted for, and nothing doubtful is used."""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readmission_platform.encounters.contract import ENCOUNTERS
from readmission_platform.intake.files import LandedFile
from readmission_platform.intake.outcomes import OutcomeIntake, has_matured, outcome_codes, take_in_outcomes

DAY = "2024-03-01"
NEXT_DAY = "2024-03-02"
DISCHARGED = pd.DataFrame({"discharge_date": DAY, "encounter_id": [1, 2, 3, 4]})

CELL = st.sampled_from(["1", "2", "3", "4", "4.0", "9", "0", "?", "", "x", "1e3", "-1", None])
OUTCOME = st.sampled_from(["0", "1", "1.0", "2", "yes", "", None])
FILES = st.lists(st.lists(st.tuples(CELL, OUTCOME), max_size=8), max_size=3)


def file_of(rows: Sequence[tuple[str | None, str | None]], name: str = "a.csv") -> LandedFile:
    cells = pd.DataFrame(rows, columns=["encounter_id", "readmitted_30d"], dtype=object)
    return LandedFile(name, f"sha256:{name}", cells)


def taken_in(*files: LandedFile, matured: bool = True) -> OutcomeIntake:
    return take_in_outcomes(
        {DAY: files}, ENCOUNTERS, maturity_days=30, known_rows=DISCHARGED, matured={DAY} if matured else set()
    )


def accepted(intake: OutcomeIntake) -> dict[int, int]:
    return dict(zip(intake.accepted["encounter_id"], intake.accepted["readmitted_30d"], strict=True))


def account(intake: OutcomeIntake) -> tuple[int, int, int, int]:
    (row,) = intake.accounts.to_dict("records")
    return row["received"], row["accepted"], row["quarantined"], row["duplicate"]


@settings(max_examples=60)
@given(files=FILES, matured=st.booleans())
def test_every_row_is_accepted_quarantined_or_a_duplicate(
    files: list[list[tuple[str | None, str | None]]], matured: bool
) -> None:
    intake = taken_in(*(file_of(rows, f"{number}.csv") for number, rows in enumerate(files)), matured=matured)
    received, kept, aside, repeated = account(intake)
    assert received == sum(map(len, files)) == kept + aside + repeated
    assert not intake.accepted["encounter_id"].duplicated().any()
    assert set(intake.accepted["encounter_id"]) <= {1, 2, 3, 4}
    assert set(intake.accepted["readmitted_30d"]) <= {0, 1}
    assert matured or intake.accepted.empty


@settings(max_examples=40)
@given(files=FILES, data=st.data())
def test_what_is_used_does_not_depend_on_the_order_of_the_rows(
    files: list[list[tuple[str | None, str | None]]], data: st.DataObject
) -> None:
    rows = [row for file in files for row in file]
    shuffled = data.draw(st.permutations(rows))
    assert accepted(taken_in(file_of(shuffled))) == accepted(taken_in(file_of(rows)))


def test_a_complete_file_is_accepted_as_it_is() -> None:
    intake = taken_in(file_of([("1", "0"), ("2", "1"), ("3", "0"), ("4", "0.0")]))
    assert accepted(intake) == {1: 0, 2: 1, 3: 0, 4: 0}
    assert str(intake.accepted["readmitted_30d"].dtype) == "int8"
    assert intake.quarantined.empty


@pytest.mark.parametrize(
    ("row", "column", "code"),
    [
        (("9", "1"), "encounter_id", "unknown_encounter"),
        (("x", "1"), "encounter_id", "not_a_whole_number"),
        (("1e3", "1"), "encounter_id", "not_a_whole_number"),
        (("", "1"), "encounter_id", "missing_value"),
        (("1", "2"), "readmitted_30d", "not_0_or_1"),
        (("1", "<30"), "readmitted_30d", "not_0_or_1"),
        (("1", "?"), "readmitted_30d", "missing_value"),
    ],
)
def test_a_row_that_cannot_be_used_is_set_aside_with_its_code(row: tuple[str, str], column: str, code: str) -> None:
    intake = taken_in(file_of([("2", "1"), row]))
    assert accepted(intake) == {2: 1}
    (line,) = intake.quarantined.to_dict("records")
    assert (line["row"], line["column"], line["code"], line["file"]) == (2, column, code, "a.csv")


def test_of_an_encounter_with_both_outcomes_neither_is_used_wherever_they_stand() -> None:
    intake = taken_in(file_of([("1", "0"), ("2", "1")], "a.csv"), file_of([("1", "1")], "b.csv"))
    assert accepted(intake) == {2: 1}
    assert account(intake) == (3, 1, 2, 0)
    assert set(intake.quarantined["code"]) == {"conflicting_outcomes"}


def test_the_same_outcome_again_is_a_duplicate() -> None:
    intake = taken_in(file_of([("1", "0"), ("1", "0")], "a.csv"), file_of([("1", "0.0")], "b.csv"))
    assert accepted(intake) == {1: 0}
    assert account(intake) == (3, 1, 0, 2)


def test_a_broken_outcome_beside_a_sound_one_contradicts_nothing() -> None:
    assert accepted(taken_in(file_of([("1", "5"), ("1", "1")]))) == {1: 1}


@pytest.mark.parametrize(("day", "matured"), [("2024-01-01", True), ("2024-01-02", False)])
def test_an_outcome_is_known_when_its_days_are_over_and_not_sooner(day: str, matured: bool) -> None:
    assert has_matured(day, date(2024, 1, 31), 30) is matured
    assert has_matured(day, date(2024, 1, 31), 31) is False


def test_reasons_speak_of_encounters_and_readmissions_as_the_contract_does() -> None:
    known = outcome_codes(ENCOUNTERS, maturity_days=30)
    reasons = {code: why.reason for code, why in known.items()}
    assert reasons["not_matured"] == "the day is less than 30 days old, so later readmissions would be missing"
    assert reasons["unknown_encounter"] == "not among the accepted discharges of the day"
    assert reasons["conflicting_outcomes"].startswith("the encounter has both outcomes")
    assert all(why.action for why in known.values())


def test_a_day_that_is_too_young_gives_nothing_and_every_row_says_why() -> None:
    intake = taken_in(file_of([("1", "0"), ("2", "1")]), matured=False)
    assert account(intake) == (2, 0, 2, 0)
    assert set(intake.quarantined["code"]) == {"not_matured"}


def test_an_encounter_of_another_day_is_unknown_on_this_one() -> None:
    elsewhere = pd.concat([DISCHARGED, DISCHARGED.assign(discharge_date=NEXT_DAY, encounter_id=[5, 6, 7, 8])])
    intake = take_in_outcomes(
        {DAY: [file_of([("5", "1")])]}, ENCOUNTERS, maturity_days=30, known_rows=elsewhere, matured={DAY}
    )
    assert list(intake.quarantined["code"]) == ["unknown_encounter"]


@pytest.mark.parametrize(
    ("header", "code", "column"),
    [
        (["encounter_id"], "column_missing", "readmitted_30d"),
        (["encounter_id", "readmitted_30d", "patient"], "column_unknown", "1 column"),
        (["encounter_id", "readmitted_30d", "readmitted_30d"], "column_repeated", "readmitted_30d"),
    ],
)
def test_every_row_below_a_wrong_header_is_set_aside(header: list[str], code: str, column: str) -> None:
    cells = pd.DataFrame([["1"] * len(header)] * 2, columns=header, dtype=object)
    intake = taken_in(LandedFile("a.csv", "sha256:a", cells), file_of([("2", "1")], "b.csv"))
    assert accepted(intake) == {2: 1}
    assert list(intake.quarantined["code"]) == [code, code]
    assert set(intake.quarantined["column"]) == {column}


def test_a_file_that_cannot_be_read_has_a_line_and_the_others_are_used() -> None:
    intake = taken_in(LandedFile("a.csv", "sha256:a", None, "file_truncated"), file_of([("2", "1")], "b.csv"))
    assert accepted(intake) == {2: 1}
    (line,) = intake.quarantined.to_dict("records")
    assert (line["row"], line["code"], line["reason"]) == (0, "file_truncated", "the file is cut off")


def test_an_uneven_row_is_set_aside() -> None:
    cells = pd.DataFrame([[None, None], ["2", "1"]], columns=["encounter_id", "readmitted_30d"], dtype=object)
    intake = taken_in(LandedFile("a.csv", "sha256:a", cells, ragged={1}))
    assert (accepted(intake), list(intake.quarantined["code"])) == ({2: 1}, ["ragged_row"])


def test_no_line_of_the_quarantine_holds_a_value() -> None:
    secret = "pneumonia-of-J-Doe"
    intake = taken_in(file_of([(secret, "1"), ("1", secret)]))
    assert not intake.quarantined.astype(str).apply(lambda column: column.str.contains(secret)).to_numpy().any()


def told(outcome: str, event: str | None = None) -> int | str:
    """Take in one outcome of ``DAY``, and return it or the code that it was set aside with."""
    cells = {"encounter_id": ["1"], "readmitted_30d": [outcome], "readmission_date": [event]}
    if event is None:
        del cells["readmission_date"]
    elif outcome == "no column":
        del cells["readmitted_30d"]
    intake = taken_in(LandedFile("a.csv", "sha256:a", pd.DataFrame(cells, dtype=object)))
    return accepted(intake).get(1, *intake.quarantined["code"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((text, 1) for text in ("1", "1.0", "1.00", " 1 ", "yes", "Yes", "Y", "true", "TRUE", "t")),
        *((text, 0) for text in ("0", "0.0", "0.00", "no", "NO", "n", "false", "False", "F")),
        *((text, "missing_value") for text in ("", "?", "NA", "nan", "None")),
        *((text, "not_0_or_1") for text in ("2", "-1", "1.000", "10", "1,0", "<30", ">30", "maybe", "2024-03-09")),
    ],
)
def test_an_outcome_is_read_as_people_and_programs_write_it(text: str, expected: int | str) -> None:
    assert told(text) == expected


@pytest.mark.parametrize(
    ("outcome", "event", "expected"),
    [
        ("no column", "2024-03-01", 1),
        ("no column", "2024-03-31", 1),
        ("no column", "2024-04-01", 0),
        ("no column", "2024-03-09 04:12", 1),
        ("no column", "2024-03-09T04:12:00Z", 1),
        ("no column", "", 0),
        ("no column", "NaT", 0),
        ("no column", "2024-02-29", "date_before_the_day"),
        ("no column", "03/09/2024", "not_a_date"),
        ("no column", "2024-03-32", "not_a_date"),
        ("no column", "20240309", "not_a_date"),
        ("1", "2024-03-09", 1),
        ("0", "2024-04-09", 0),
        ("1", "", 1),
        ("", "2024-03-09", 1),
        ("0", "2024-03-09", "outcome_contradicts_date"),
        ("1", "2024-04-09", "outcome_contradicts_date"),
        ("maybe", "2024-03-09", "not_0_or_1"),
    ],
)
def test_the_date_of_the_return_may_stand_for_the_outcome(outcome: str, event: str, expected: int | str) -> None:
    assert told(outcome, event) == expected


def correction(*rows: tuple[str, str], why: str | None = None, name: str = "b.csv", at: str = "2") -> LandedFile:
    cells = pd.DataFrame(rows, columns=["encounter_id", "readmitted_30d"], dtype=object)
    cells = cells if why is None else cells.assign(reason=why)
    return LandedFile(name, f"sha256:{name}", cells, modified_at=at)


@pytest.mark.parametrize("why", [None, "coded by mistake"])
def test_a_newer_delivery_corrects_an_outcome_and_its_reason_is_kept(why: str | None) -> None:
    first = file_of([("1", "0"), ("2", "1"), ("3", "0"), ("4", "0")])
    intake = taken_in(first, correction(("3", "1"), why=why))
    assert accepted(intake) == {1: 0, 2: 1, 3: 1, 4: 0}
    assert account(intake) == (5, 4, 0, 1)
    (found,) = intake.corrections.replace({np.nan: None}).to_dict("records")
    assert found == {"discharge_date": DAY, "encounter_id": 3, "older_file_digest": "sha256:a.csv",
                     "newer_file_digest": "sha256:b.csv", "correction_reason": why}  # fmt: skip


def test_contradictory_files_of_one_delivery_are_named_by_both_digests_and_cost_one_encounter() -> None:
    whole = [("1", "0"), ("2", "1"), ("3", "0"), ("4", "0")]
    intake = taken_in(file_of(whole), correction(("3", "1"), at=""))
    assert accepted(intake) == {1: 0, 2: 1, 4: 0}
    assert intake.accounts["contradicted"].tolist() == [1]
    assert len(intake.quarantined) == 2
    assert intake.quarantined["reason"].str.endswith(" (sha256:a.csv and sha256:b.csv)").all()
