"""The landing zone: what hospitals deliver, well formed or not."""

from pathlib import Path

import pandas as pd
import pytest

from readmission_platform.resources.landing import Landing
from readmission_platform.science.cohort import CANNOT_BE_READMITTED, DISCHARGE_COLUMNS
from readmission_platform.science.intake import take_in
from readmission_platform.science.synthetic import generate

DAY = "2024-03-01"


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path / "landing")


@pytest.fixture(scope="module")
def discharges() -> pd.DataFrame:
    raw = generate(encounters=200, seed=8)
    alive = raw[~raw["discharge_disposition_id"].isin(CANNOT_BE_READMITTED)]
    return alive.head(12)[DISCHARGE_COLUMNS].reset_index(drop=True)


def put(landing: Landing, name: str, content: bytes, *, day: str = DAY) -> Path:
    folder = landing.root / "discharges" / day
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return folder / name


def test_an_empty_or_absent_landing_zone_has_no_days(landing: Landing) -> None:
    assert landing.days() == []
    assert landing.days("outcomes") == []
    assert landing.read_day(DAY) == []


def test_days_with_a_file_are_listed_in_order_and_anything_else_is_not_a_day(landing: Landing) -> None:
    for day in ("2024-03-02", "2023-12-31", "2024-03-01-old", "notes"):
        put(landing, "discharges.csv", b"a\n", day=day)
    put(landing, "readme.txt", b"no discharges", day="2024-03-03")
    put(landing, "discharges.part", b"half a fi", day="2024-03-04")
    assert landing.days() == ["2023-12-31", "2024-03-02"]
    assert landing.read_day("2024-03-04") == []


def test_what_was_written_is_taken_in_again_unchanged(landing: Landing, discharges: pd.DataFrame) -> None:
    landing.write_discharges(DAY, discharges)
    (file,) = landing.read_day(DAY)
    assert file.problem is None
    assert file.cells is not None
    intake = take_in(file.cells, already=())
    assert len(intake.accepted) == intake.received == len(discharges)
    expected = discharges.astype(intake.accepted.dtypes.to_dict())
    pd.testing.assert_frame_equal(intake.accepted.fillna("-"), expected.fillna("-"))


def test_csv_and_parquet_files_of_the_same_discharges_say_the_same(landing: Landing, discharges: pd.DataFrame) -> None:
    landing.write_discharges(DAY, discharges)
    # A file may choose its own types: numbers for diagnoses, floats for counts.
    typed = discharges.assign(
        diag_1=pd.Series([250.83, 428.0] * 6), num_medications=discharges["num_medications"].astype("float64")
    )
    as_text = discharges.assign(diag_1=["250.83", "428.0"] * 6)
    typed.to_parquet(put(landing, "later.parquet", b""))
    csv, parquet = landing.read_day(DAY)
    assert (csv.name, parquet.name) == ("discharges.csv", "later.parquet")
    assert parquet.cells is not None
    intake = take_in(parquet.cells, already=())
    assert intake.quarantined.empty
    expected = as_text.astype(intake.accepted.dtypes.to_dict())
    pd.testing.assert_frame_equal(intake.accepted.fillna("-"), expected.fillna("-"))


def test_the_digest_is_that_of_the_bytes(landing: Landing, discharges: pd.DataFrame) -> None:
    path = landing.write_discharges(DAY, discharges)
    before = landing.read_day(DAY)[0].digest
    assert landing.read_day(DAY)[0].digest == before
    path.write_bytes(path.read_bytes() + b"\n")
    assert landing.read_day(DAY)[0].digest != before


def test_a_test_not_done_is_read_as_the_text_none(landing: Landing) -> None:
    put(landing, "a.csv", b"A1Cresult,race\nNone,?\nNA,\n")
    cells = landing.read_day(DAY)[0].cells
    assert cells is not None
    assert cells.to_numpy().tolist() == [["None", "?"], ["NA", ""]]


def test_a_byte_order_mark_and_capital_suffixes_of_spreadsheet_programs_are_understood(landing: Landing) -> None:
    put(landing, "A.CSV", b"\xef\xbb\xbfencounter_id,race\r\n1,Other\r\n")
    cells = landing.read_day(DAY)[0].cells
    assert cells is not None
    assert cells.to_dict("records") == [{"encounter_id": "1", "race": "Other"}]


@pytest.mark.parametrize("rows", [b"1,2,3\n4,5,6\n", b"1,2\n4,5,6\n"])
def test_rows_longer_than_the_header_make_the_file_unreadable_instead_of_shifting_values(
    landing: Landing, rows: bytes
) -> None:
    put(landing, "a.csv", b"encounter_id,race\n" + rows)
    (file,) = landing.read_day(DAY)
    assert file.cells is None
    assert file.problem == "not a readable CSV file"


def test_rows_shorter_than_the_header_lack_their_last_values(landing: Landing) -> None:
    put(landing, "a.csv", b"encounter_id,race\n1\n2,Other\n")
    cells = landing.read_day(DAY)[0].cells
    assert cells is not None
    assert cells["race"].tolist() == ["", "Other"]


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.csv", b"", "not a readable CSV file"),
        ("a.csv", b'encounter_id,race\n1,"never closed\n', "not a readable CSV file"),
        ("a.csv", "encounter_id,race\n1,Köln\n".encode("latin-1"), "not UTF-8 text"),
        ("a.csv", b"\x00\x01\x02\xff\xfe", "not UTF-8 text"),
        ("a.parquet", b"", "not a readable Parquet file"),
        ("a.parquet", b"PAR1 and then nothing PAR1", "not a readable Parquet file"),
        ("a.parquet", b"encounter_id,race\n1,Other\n", "not a readable Parquet file"),
    ],
)
def test_a_file_that_cannot_be_read_is_reported_with_its_digest_and_stops_nothing(
    landing: Landing, name: str, content: bytes, problem: str
) -> None:
    put(landing, name, content)
    put(landing, "b.csv", b"encounter_id\n1\n")
    unreadable, readable = landing.read_day(DAY)
    assert (unreadable.cells, unreadable.problem) == (None, problem)
    assert unreadable.digest.startswith("sha256:")
    assert readable.cells is not None


def test_a_truncated_parquet_file_is_reported_wherever_it_was_cut(landing: Landing, discharges: pd.DataFrame) -> None:
    path = put(landing, "a.parquet", b"")
    discharges.to_parquet(path)
    whole = path.read_bytes()
    for length in range(0, len(whole), max(1, len(whole) // 12)):
        path.write_bytes(whole[:length])
        assert landing.read_day(DAY)[0].problem == "not a readable Parquet file"


def test_a_day_that_is_delivered_again_replaces_the_file_and_outcomes_are_kept_apart(
    landing: Landing, discharges: pd.DataFrame
) -> None:
    landing.write_discharges(DAY, discharges)
    landing.write_discharges(DAY, discharges.head(3))
    landing.write_outcomes(DAY, pd.DataFrame({"encounter_id": [1], "readmitted_30d": [0]}))
    (file,) = landing.read_day(DAY)
    assert file.cells is not None
    assert len(file.cells) == 3
    assert landing.days("outcomes") == [DAY]
    folders = [landing.root / kind / DAY for kind in ("discharges", "outcomes")]
    assert [path.name for folder in folders for path in folder.iterdir()] == ["discharges.csv", "outcomes.csv"]
