"""Rows as JSON lines: what is read as from a CSV, and what a line that cannot be read costs."""

import gzip
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from readmission_platform.encounters.contract import ENCOUNTERS, LANDING
from readmission_platform.intake.rows import Intake, take_in
from readmission_platform.storage.landing import Landing
from readmission_platform_tests.support.bad_deliveries import clean_rows

DAY, SECRET = "2024-03-01", "Q7391-PATIENT"
CELLS = clean_rows(4)
# As a program writes rows: numbers as numbers, nothing for what is missing.
RECORDS = [
    {name: int(text) if name in ENCOUNTERS.whole_numbers else text for name, text in row.items() if text != "?"}
    for row in CELLS.to_dict("records")
]


def ndjson(records: list[Any]) -> bytes:
    lines = (each if isinstance(each, str) else json.dumps(each) for each in records)
    return "".join(line + "\n" for line in lines).encode()


def deliver(root: Path, content: bytes, name: str = "d.jsonl") -> Intake:
    folder = root / "discharges" / DAY
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    intake = take_in({DAY: Landing(root, LANDING).read_day(DAY)}, ENCOUNTERS)
    assert SECRET not in intake.quarantined.to_csv()
    return intake


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    accepted = deliver(tmp_path_factory.mktemp("clean"), CELLS.to_csv(index=False).encode(), "d.csv").accepted
    assert len(accepted) == 4
    return accepted


WRITTEN = {
    "jsonl": (ndjson(RECORDS), "d.jsonl"),
    "ndjson": (ndjson(RECORDS), "d.ndjson"),
    "packed": (gzip.compress(ndjson(RECORDS), mtime=0), "d.ndjson.gz"),
    "every value a text": (CELLS.to_json(orient="records", lines=True).encode(), "d.jsonl"),
    "null for what is missing": (
        pd.DataFrame(RECORDS).astype(object).to_json(orient="records", lines=True).encode(), "d.jsonl"),
    "keys in another order": (ndjson([dict(reversed(each.items())) for each in RECORDS]), "d.jsonl"),
    "keys in another case": (ndjson([{key.upper(): value for key, value in each.items()} for each in RECORDS]),
                             "d.jsonl"),
    "a byte order mark and blank lines": (b"\xef\xbb\xbf\n" + ndjson(RECORDS) + b"\n\n", "d.jsonl"),
    "lines that end as on Windows": (ndjson(RECORDS).replace(b"\n", b"\r\n"), "d.jsonl"),
    "no break behind the last line": (ndjson(RECORDS)[:-1], "d.jsonl"),
    "numbers with a point": (ndjson([{**each, "num_medications": float(each["num_medications"])} for each in RECORDS]),
                             "d.jsonl"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN)
def test_json_lines_are_read_as_the_same_rows_of_a_csv(name: str, clean: pd.DataFrame, tmp_path: Path) -> None:
    content, file = WRITTEN[name]
    pd.testing.assert_frame_equal(deliver(tmp_path, content, file).accepted, clean)


def changed(**changes: Any) -> list[Any]:
    return [*RECORDS[:1], {**RECORDS[1], **changes}, *RECORDS[2:]]


BROKEN: dict[str, tuple[list[Any], str, str]] = {
    "no JSON": ([RECORDS[0], f"{{{SECRET}", *RECORDS[2:]], "", "not_json"),
    "a list": ([RECORDS[0], f'["{SECRET}"]', *RECORDS[2:]], "", "not_json"),
    "a key twice": ([RECORDS[0], json.dumps(RECORDS[1])[:-1] + f', "race": "{SECRET}"}}', *RECORDS[2:]], "",
                    "not_json"),
    "no number": (changed(num_medications=float("nan")), "", "not_json"),
    "a text with NUL": (changed(race="Asian\0" + SECRET), "", "not_json"),
    "a list for a value": (changed(race=[SECRET]), "", "nested_value"),
    "an object for a value": (changed(race={"text": SECRET}), "", "nested_value"),
    "a code that nobody knows": (changed(race=SECRET), "race", "unknown_code"),
    "a fraction": (changed(num_medications=2.5), "num_medications", "not_a_whole_number"),
    "an exponent": ([RECORDS[0], json.dumps({**RECORDS[1], "num_medications": 77}).replace("77", "4e1"),
                     *RECORDS[2:]], "num_medications", "not_a_whole_number"),
    "truth for a number": (changed(num_medications=True), "num_medications", "not_a_whole_number"),
    "a number beyond what a float can tell apart": (changed(encounter_id=2**53 + 1), "encounter_id", "out_of_range"),
    "the same with a point": ([RECORDS[0], json.dumps({**RECORDS[1], "encounter_id": 77}).replace(
        "77", f"{2**53 + 1}.0"), *RECORDS[2:]], "encounter_id", "out_of_range"),
    "no patient": (changed(patient_nbr=None), "patient_nbr", "missing_value"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_line_that_cannot_be_read_costs_its_row(name: str, clean: pd.DataFrame, tmp_path: Path) -> None:
    lines, column, code = BROKEN[name]
    intake = deliver(tmp_path, ndjson(lines))
    assert intake.quarantined[["row", "column", "code"]].to_numpy().tolist() == [[2, column, code]]
    pd.testing.assert_frame_equal(intake.accepted, clean.drop(index=1).reset_index(drop=True))


def test_a_file_that_ends_within_its_last_line_is_named(clean: pd.DataFrame, tmp_path: Path) -> None:
    intake = deliver(tmp_path, ndjson(RECORDS)[:-20])
    assert intake.quarantined[["row", "code"]].to_numpy().tolist() == [[0, "file_truncated"], [4, "not_json"]]
    pd.testing.assert_frame_equal(intake.accepted, clean.head(3))


def test_a_key_that_the_contract_does_not_have_is_an_unknown_column(tmp_path: Path) -> None:
    intake = deliver(tmp_path, ndjson(changed(**{SECRET: SECRET})))
    assert intake.quarantined["code"].tolist() == ["column_unknown"] * 4


@pytest.mark.parametrize(
    ("content", "name", "problem"),
    [
        (b"", "d.jsonl", "file_empty"),
        (b"\n \n", "d.jsonl", "file_empty"),
        (b"no\nlines\n", "d.jsonl", "file_unreadable"),
        (ndjson(RECORDS).decode().encode("utf-16"), "d.jsonl", "file_not_utf8"),
        (gzip.compress(ndjson(RECORDS), mtime=0)[:50], "d.jsonl.gz", "file_truncated"),
        (json.dumps(RECORDS).encode(), "d.json", "file_not_understood"),
        (ndjson(RECORDS), "d.json", "file_not_understood"),
    ],
)
def test_a_file_that_holds_no_rows_is_named(content: bytes, name: str, problem: str, tmp_path: Path) -> None:
    intake = deliver(tmp_path, content, name)
    assert intake.quarantined[["row", "code"]].to_numpy().tolist() == [[0, problem]]


def test_a_workbook_is_named_with_the_advice_to_export_text(tmp_path: Path) -> None:
    from readmission_platform.intake.quarantine import action_for

    intake = deliver(tmp_path, b"PK", "d.xlsx")
    assert intake.quarantined["code"].tolist() == ["file_not_understood"]
    assert "save as CSV" in action_for(ENCOUNTERS, "", "file_not_understood")


def test_outcomes_may_be_json_lines(tmp_path: Path) -> None:
    folder = tmp_path / "outcomes" / DAY
    folder.mkdir(parents=True)
    (folder / "o.ndjson").write_bytes(ndjson([{"encounter_id": 1, "readmitted_30d": 0}]))
    (file,) = Landing(tmp_path, LANDING).read_day(DAY, kind="outcomes")
    assert file.cells is not None
    assert file.cells.to_dict("records") == [{"encounter_id": "1", "readmitted_30d": "0"}]
