"""The landing zone: what hospitals deliver, well formed or not."""

import gzip
import hashlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from readmission_platform.encounters.cohort import CANNOT_BE_READMITTED, DISCHARGE_COLUMNS
from readmission_platform.encounters.contract import ENCOUNTERS, LANDING
from readmission_platform.encounters.synthetic import generate
from readmission_platform.intake.quarantine import codes
from readmission_platform.intake.rows import take_in
from readmission_platform.intake.sources import LandingFolders
from readmission_platform.storage import landed_file
from readmission_platform.storage.landing import Kind, LandedFile, Landing, fingerprint_of
from readmission_platform_tests.support.bad_deliveries import as_table, clean_rows, csv, in_parquet
from readmission_platform_tests.support.fhir import discharges as fhir_discharges

DAY = "2024-03-01"


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path / "landing", LANDING)


@pytest.fixture(scope="module")
def discharges() -> pd.DataFrame:
    raw = generate(encounters=200, seed=8)
    alive = raw[~raw["discharge_disposition_id"].isin(CANNOT_BE_READMITTED)]
    return alive.head(12)[DISCHARGE_COLUMNS].reset_index(drop=True)


def untimed(files: list[LandedFile]) -> list[LandedFile]:
    """The files but for when they were changed."""
    assert all(file.modified_at for file in files)
    return [replace(file, modified_at="") for file in files]


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
    put(landing, "discharges.part", b"half a fi", day="2024-03-04")
    assert landing.days() == ["2023-12-31", "2024-03-02"]
    assert landing.read_day("2024-03-04") == []


def test_what_was_written_is_taken_in_again_unchanged(landing: Landing, discharges: pd.DataFrame) -> None:
    landing.write_rows(DAY, discharges)
    (file,) = landing.read_day(DAY)
    assert file.problem is None
    assert file.cells is not None
    accepted = take_in({DAY: [file]}, ENCOUNTERS).accepted[DISCHARGE_COLUMNS]
    expected = discharges.astype(accepted.dtypes.to_dict())
    pd.testing.assert_frame_equal(accepted.fillna("-"), expected.fillna("-"))


def test_csv_and_parquet_files_of_the_same_discharges_say_the_same(landing: Landing, discharges: pd.DataFrame) -> None:
    landing.write_rows(DAY, discharges)
    # A file may choose its own types: numbers for diagnoses, floats for counts.
    typed = discharges.assign(
        diag_1=pd.Series([250.83, 428.0] * 6), num_medications=discharges["num_medications"].astype("float64")
    )
    as_text = discharges.assign(diag_1=["250.83", "428"] * 6)
    typed.to_parquet(put(landing, "later.parquet", b""))
    csv, parquet = landing.read_day(DAY)
    assert (csv.name, parquet.name) == ("discharges.csv", "later.parquet")
    intake = take_in({DAY: [parquet]}, ENCOUNTERS)
    assert intake.quarantined.empty
    accepted = intake.accepted[DISCHARGE_COLUMNS]
    expected = as_text.astype(accepted.dtypes.to_dict())
    pd.testing.assert_frame_equal(accepted.fillna("-"), expected.fillna("-"))


def test_the_digest_is_that_of_the_bytes(landing: Landing, discharges: pd.DataFrame) -> None:
    path = landing.write_rows(DAY, discharges)
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


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_may_end_as_on_any_system_and_blank_ones_are_no_rows(landing: Landing, end: str) -> None:
    put(landing, "a.csv", end.join(["encounter_id,race", "", "1,Other", "", "2,Asian", "", ""]).encode())
    (file,) = landing.read_day(DAY)
    assert file.cells is not None
    assert file.cells.to_numpy().tolist() == [["1", "Other"], ["2", "Asian"]]
    assert not file.ragged


def test_a_row_with_more_or_fewer_cells_is_ragged_and_shifts_nothing(landing: Landing) -> None:
    put(landing, "a.csv", b"encounter_id,race\n1,2,3\n4,Other\n5\n6,Asian\n")
    (file,) = landing.read_day(DAY)
    assert file.cells is not None
    assert file.cells.to_numpy().tolist() == [[None, None], ["4", "Other"], [None, None], ["6", "Asian"]]
    assert set(file.ragged) == {1, 3}


def test_a_last_row_that_is_whole_needs_no_line_break(landing: Landing) -> None:
    put(landing, "a.csv", b"encounter_id,race\n1,Other")
    assert landing.read_day(DAY)[0].problem is None


def test_quoted_cells_hold_commas_and_quotation_marks(landing: Landing) -> None:
    put(landing, "a.csv", b'encounter_id,race\n"1","a, ""b"""\n')
    cells = landing.read_day(DAY)[0].cells
    assert cells is not None
    assert cells.to_numpy().tolist() == [["1", 'a, "b"']]


def test_a_cell_over_several_lines_gives_the_file_up_because_rows_may_have_been_swallowed(landing: Landing) -> None:
    # A stray mark in row 1 and another in row 3 make one well-formed row of three.
    put(landing, "a.csv", b'encounter_id,race\n1,"Other\n2,Asian\n3,Asian"\n4,Asian\n')
    (file,) = landing.read_day(DAY)
    assert (file.problem, file.line) == ("quotes_unclear", 2)


def test_a_packed_file_says_what_the_file_says_and_has_a_digest_of_its_own(
    landing: Landing, discharges: pd.DataFrame
) -> None:
    path = landing.write_rows(DAY, discharges)
    put(landing, "PACKED.CSV.GZ", gzip.compress(path.read_bytes()))
    packed, plain = landing.read_day(DAY)
    assert packed.cells is not None
    assert packed.cells.equals(plain.cells)
    assert packed.digest != plain.digest


def test_a_packed_file_that_would_fill_the_memory_is_not_unpacked(
    landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landed_file, "LARGEST_BYTES", 10_000)
    put(landing, "a.csv.gz", gzip.compress(b"a\n" + b"1\n" * 5_000))
    assert landing.read_day(DAY)[0].problem == "file_too_large"


LONG = "x" * 2**20
TOO_LARGE: dict[str, Callable[[], bytes]] = {
    "lines.csv": lambda: b"a\n" * 3_000_000,
    "cells.csv": lambda: b"," * 3_000_000,
    "bytes.csv": lambda: b"a\n" + b"x" * 65 * 2**20,
    "lines.csv.gz": lambda: gzip.compress(b"a\r" * 3_000_000),
    "bytes.csv.gz": lambda: gzip.compress(b"a\n" + b"x" * 2**29, compresslevel=1),
    "rows.parquet": lambda: in_parquet(pa.table({"encounter_id": pa.nulls(3_000_000, pa.int64())})),
    "bytes.parquet": lambda: in_parquet(pa.table({"a": [LONG[:-2] + f"{number:02}" for number in range(70)]})),
    # The text is stored once.
    "text.parquet": lambda: in_parquet(
        pa.table({"a": pa.DictionaryArray.from_arrays(pa.array([0] * 4_000, pa.int32()), [LONG])})
    ),
}


@pytest.mark.parametrize("name", list(TOO_LARGE))
def test_a_file_that_holds_more_than_a_day_can_is_set_aside_before_its_content_takes_room(
    landing: Landing, name: str
) -> None:
    path = put(landing, name, TOO_LARGE[name]())
    report = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    loaded = "import pandas, pyarrow.parquet; from readmission_platform.storage.landed_file import read_file"
    program = f"{loaded}; {report}; print(read_file(__import__('pathlib').Path({str(path)!r}), 'a').problem); {report}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    before, problem, after = done.stdout.split()
    assert problem == "file_too_large"
    assert int(after) - int(before) < 400_000  # kilobytes


def test_a_large_day_is_read(landing: Landing) -> None:
    rows = pd.DataFrame({f"column {number}": range(20_000) for number in range(50)})
    put(landing, "a.csv", csv(rows))
    rows.to_parquet(put(landing, "b.parquet", b""))
    for file in landing.read_day(DAY):
        assert file.cells is not None
        assert file.cells.shape == rows.shape


def test_row_labels_that_pandas_adds_to_a_parquet_file_are_no_column(
    landing: Landing, discharges: pd.DataFrame
) -> None:
    discharges.iloc[::2].to_parquet(put(landing, "a.parquet", b""))
    discharges.set_index("encounter_id").to_parquet(put(landing, "b.parquet", b""))
    for file in landing.read_day(DAY):
        assert file.cells is not None
        assert set(file.cells.columns) == set(DISCHARGE_COLUMNS)


def test_a_truncated_parquet_file_is_reported_wherever_it_was_cut(landing: Landing, discharges: pd.DataFrame) -> None:
    whole = in_parquet(as_table(discharges))
    path = put(landing, "a.parquet", b"")
    for length in range(1, len(whole), len(whole) // 12):
        path.write_bytes(whole[:length])
        assert landing.read_day(DAY)[0].problem == "file_truncated"


def test_a_truncated_packed_file_is_reported_wherever_it_was_cut(landing: Landing, discharges: pd.DataFrame) -> None:
    whole = gzip.compress(csv(discharges))
    path = put(landing, "a.csv.gz", b"")
    for length in range(1, len(whole), 97):
        path.write_bytes(whole[:length])
        assert landing.read_day(DAY)[0].problem == "file_truncated"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("discharges_2024-03-01.csv", None),
        ("discharges_20240301.csv", None),
        ("discharges_2024.03.01_exported_2024.03.02.csv", None),
        ("discharges_20240301T0600.csv", None),
        ("ward_12345678_20249999.csv", None),
        ("id120240302.csv", None),
        ("discharges_20240302T050000.csv", None),
        ("discharges_2024-03-02_0500.csv", None),
        ("discharges_20240302050000.csv", None),
        ("discharges_2024-02-29T2300.csv", "day_mismatch"),
        ("discharges_20240229_20240302T050000.csv", "day_mismatch"),
        ("discharges_2024-03-02T2577.csv", "day_mismatch"),
        ("discharges_2024-03-02.csv", "day_mismatch"),
        ("20240229.csv", "day_mismatch"),
    ],
)
def test_a_date_in_the_name_has_to_be_the_day_of_the_folder(landing: Landing, name: str, problem: str | None) -> None:
    put(landing, name, b"encounter_id\n1\n")
    assert landing.read_day(DAY)[0].problem == problem


# ------------------------------------------------------------------------------------------------ which files there are


def test_hidden_and_unfinished_files_are_not_read(landing: Landing) -> None:
    for name in (".hidden.csv", "._a.csv", "a.csv.part", "b.part", "c.csv.tmp", "c.TMP", "d.csv.filepart", "_SUCCESS"):
        put(landing, name, b"encounter_id\n1\n")
    (landing.root / "discharges" / DAY / "_temporary").mkdir()
    assert landing.read_day(DAY) == []
    assert landing.days() == []
    assert (landing.fingerprint(DAY), landing.changed_at(DAY)) == ("", 0.0)


@pytest.mark.parametrize("name", ["notes.txt", "d.xlsx", "e.gz", "f.json", "discharges", "a.csv.zip", "folder"])
def test_an_entry_of_another_kind_is_named_as_not_understood_and_makes_a_day(landing: Landing, name: str) -> None:
    path = put(landing, name, b"encounter_id\n1\n")
    if name == "folder":
        path.unlink()
        path.mkdir()
        (path / "a.csv").write_bytes(b"encounter_id\n1\n")
    assert landing.days() == [DAY]
    (file,) = landing.read_day(DAY)
    assert (file.name, file.cells, file.problem) == (name, None, "file_not_understood")
    assert landing.fingerprint(DAY) == fingerprint_of([(file.name, file.digest)])
    before = landing.fingerprint(DAY)
    put(landing, "own.csv", b"encounter_id\n1\n")
    assert [each.problem for each in landing.read_day(DAY) if each.name == "own.csv"] == [None]
    assert landing.fingerprint(DAY) != before


SPARK = {
    "discharges.parquet": ".snappy.parquet",
    "discharges.csv": ".csv",
    "out": ".csv",
    "discharges_20240301": ".csv",
}


@pytest.mark.parametrize("name", list(SPARK))
def test_a_folder_that_spark_has_finished_is_read_part_by_part(landing: Landing, name: str) -> None:
    folder = landing.root / "discharges" / DAY / name
    (folder / "_temporary").mkdir(parents=True)
    for number in range(2):
        rows = clean_rows(3, first=800_000_000 + 10 * number)
        content = csv(rows) if SPARK[name] == ".csv" else in_parquet(as_table(rows))
        (folder / f"part-0000{number}-19991231-c000{SPARK[name]}").write_bytes(content)
        (folder / f".part-0000{number}-c000.crc").write_bytes(b"crc")
    unfinished = landing.read_day(DAY)
    assert [file.cells for file in unfinished] == [None]
    assert unfinished[0].problem in ("file_unreadable", "file_not_understood")
    before = landing.fingerprint(DAY)
    (folder / "_SUCCESS").write_bytes(b"")
    files = landing.read_day(DAY)
    assert [file.name for file in files] == [f"{name}/part-0000{n}-19991231-c000{SPARK[name]}" for n in range(2)]
    assert len(take_in({DAY: files}, ENCOUNTERS).accepted) == 6
    assert landing.days() == [DAY]
    assert landing.fingerprint(DAY) not in ("", before)
    assert landing.fingerprint(DAY) == fingerprint_of((file.name, file.digest) for file in files)
    os.utime(folder / files[1].name.partition("/")[2], (4e9, 4e9))
    assert landing.changed_at(DAY) == 4e9


@pytest.mark.parametrize("kind", ["rows", "outcomes"])
def test_nothing_outside_the_landing_zone_is_read_through_a_link(landing: Landing, tmp_path: Path, kind: Kind) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "secret.csv").write_bytes(b"encounter_id\n1\n")
    folder = landing.folder(kind) / DAY
    folder.mkdir(parents=True)
    (folder / "secret.csv").symlink_to(elsewhere / "secret.csv")
    (folder / "broken.csv").symlink_to(elsewhere / "gone.csv")
    (landing.folder(kind) / "2024-03-02").symlink_to(elsewhere)
    aside = [LandedFile(name, "", None, "file_unreadable") for name in ("broken.csv", "secret.csv")]
    assert untimed(landing.read_day(DAY, kind)) == aside
    day = landing.read_day("2024-03-02", kind)
    assert untimed(day) == [LandedFile("2024-03-02", "", None, "folder_unreadable")]
    assert landing.read_day("../../elsewhere", kind) == landing.read_day("..", kind) == []
    (folder / "own.csv").write_bytes(b"encounter_id\n1\n")
    (folder / "inside.csv").symlink_to(folder / "own.csv")
    read = [file.name for file in landing.read_day(DAY, kind) if file.cells is not None]
    assert read == ["inside.csv", "own.csv"]


def in_a_circle(path: Path) -> None:
    path.symlink_to(path)


def to_nothing(path: Path) -> None:
    path.symlink_to(path.with_name("gone"))


def to_elsewhere(path: Path) -> None:
    path.symlink_to("/dev/zero")


def folder(path: Path) -> None:
    path.mkdir()
    (path / "inside.csv").write_bytes(b"encounter_id\n1\n")


def pipe(path: Path) -> None:
    os.mkfifo(path)


def socket_file(path: Path) -> None:
    os.mknod(path, stat.S_IFSOCK | 0o600)


STRANGE = [in_a_circle, to_nothing, to_elsewhere, folder, pipe, socket_file]


@pytest.mark.parametrize("kind", ["rows", "outcomes"])
@pytest.mark.parametrize("make", STRANGE)
@pytest.mark.parametrize("name", ["strange.csv", "Grippe\udcfc.csv.gz", "x" * 247 + ".parquet", "a\nb.csv"])
def test_whatever_has_the_name_of_a_file_is_set_aside_alone(
    landing: Landing, kind: Kind, make: Callable[[Path], None], name: str
) -> None:
    of_day, other = landing.folder(kind) / DAY, landing.folder(kind) / "2024-03-02"
    for each in (of_day, other):
        each.mkdir(parents=True)
        (each / "own.csv").write_bytes(b"encounter_id\n1\n")
    make(of_day / name)
    assert landing.days(kind) == [DAY, "2024-03-02"]
    problems = {file.name: file.problem for file in landing.read_day(DAY, kind)}
    assert problems == {"own.csv": None, landed_file.shown_name(of_day / name): "file_unreadable"}
    assert [file.problem for file in landing.read_day("2024-03-02", kind)] == [None]
    for day in landing.days(kind):
        assert landing.fingerprint(day, kind).startswith("sha256:")
        assert landing.changed_at(day, kind) > 0


@pytest.mark.parametrize("make", [each for each in STRANGE if each is not folder])
def test_whatever_has_the_name_of_a_day_is_a_day_that_cannot_be_read(
    landing: Landing, make: Callable[[Path], None]
) -> None:
    put(landing, "own.csv", b"encounter_id\n1\n", day="2024-03-02")
    make(landing.root / "discharges" / DAY)
    assert landing.days() == [DAY, "2024-03-02"]
    assert untimed(landing.read_day(DAY)) == [LandedFile(DAY, "", None, "folder_unreadable")]
    assert landing.fingerprint(DAY).startswith("sha256:")
    assert landing.changed_at(DAY) > 0
    assert [file.problem for file in landing.read_day("2024-03-02")] == [None]


def test_a_landing_zone_that_is_itself_a_link_is_read(landing: Landing, tmp_path: Path) -> None:
    put(landing, "a.csv", b"encounter_id\n1\n")
    (tmp_path / "mounted").symlink_to(landing.root)
    assert Landing(tmp_path / "mounted", LANDING).days() == [DAY]


def test_a_folder_of_no_date_is_no_day(landing: Landing) -> None:
    for day in ("2024-02-30", "2024-13-01", "20240301", "٢٠٢٤-03-01"):
        put(landing, "a.csv", b"encounter_id\n1\n", day=day)
    assert landing.days() == []


def test_outcomes_are_read_like_discharges(landing: Landing) -> None:
    landing.write_outcomes(DAY, pd.DataFrame({"encounter_id": [1], "readmitted_30d": [0]}))
    (file,) = landing.read_day(DAY, kind="outcomes")
    assert file.cells is not None
    assert file.cells.to_dict("records") == [{"encounter_id": "1", "readmitted_30d": "0"}]
    assert landing.fingerprint(DAY, "outcomes")
    assert landing.changed_at(DAY, "outcomes") > 0
    assert landing.read_day(DAY) == []


def test_a_name_of_any_bytes_is_told_as_printable_text(landing: Landing) -> None:
    put(landing, ".x", b"")  # makes the folder
    for name in (b"K\xf6ln.csv", b"red\x1b[31m.csv", b"two\nlines.csv"):
        (landing.root / "discharges" / DAY / os.fsdecode(name)).write_bytes(b"encounter_id\n1\n")
    names = [file.name for file in landing.read_day(DAY)]
    assert sorted(names) == ["K\ufffdln.csv", "red\ufffd[31m.csv", "two\ufffdlines.csv"]
    assert landing.fingerprint(DAY) == fingerprint_of((file.name, file.digest) for file in landing.read_day(DAY))


# ------------------------------------------------------------------------------------------------- whether they changed


def replace(folder: Path) -> None:
    (folder / "a.csv").write_bytes(b"encounter_id\n2\n")


def add(folder: Path) -> None:
    (folder / "b.csv").write_bytes(b"encounter_id\n1\n")


def rename(folder: Path) -> None:
    (folder / "a.csv").rename(folder / "b.csv")


def remove(folder: Path) -> None:
    (folder / "z.csv").unlink()


@pytest.mark.parametrize("change", [replace, add, rename, remove])
def test_the_fingerprint_and_the_time_tell_that_files_changed(landing: Landing, change: Callable[[Path], None]) -> None:
    for name in ("a.csv", "z.csv"):
        put(landing, name, b"encounter_id\n1\n")
    folder = landing.root / "discharges" / DAY
    for path in (*folder.iterdir(), folder):
        os.utime(path, (1_000_000, 1_000_000))
    before = landing.fingerprint(DAY)
    assert before == landing.fingerprint(DAY)
    assert before.startswith("sha256:")
    assert landing.changed_at(DAY) == 1_000_000
    change(folder)
    assert landing.fingerprint(DAY) != before
    assert landing.changed_at(DAY) > 1_000_000


def test_a_file_that_is_still_being_written_does_not_change_the_fingerprint(landing: Landing) -> None:
    put(landing, "a.csv", b"encounter_id\n1\n")
    before = landing.fingerprint(DAY)
    put(landing, "b.csv.part", b"encounter_id\n1\n")
    assert landing.fingerprint(DAY) == before


# ---------------------------------------------------------------------------------------------------- whatever arrives

WHOLE = clean_rows(5)
FORMATS: dict[str, bytes] = {
    ".csv": csv(WHOLE),
    ".csv.gz": gzip.compress(csv(WHOLE), mtime=0),
    ".parquet": in_parquet(as_table(WHOLE)),
    ".jsonl": WHOLE.to_json(orient="records", lines=True).encode(),
    ".ndjson": "".join(json.dumps(each) + "\n" for each in fhir_discharges(2)).encode(),
}
fuzz = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def reads_or_says_why(landing: Landing, suffix: str, content: bytes) -> LandedFile:
    put(landing, f"a{suffix}", content)
    (file,) = landing.read_day(DAY)
    assert file.digest == "sha256:" + hashlib.sha256(content).hexdigest()
    assert (file.cells is None) == (file.problem is not None)
    assert file.problem is None or file.problem in codes(ENCOUNTERS)
    intake = take_in({DAY: [file]}, ENCOUNTERS)
    account = intake.accounts.to_dict("records")[0]
    assert account["received"] == account["accepted"] + account["quarantined"] + account["duplicate"]
    return file


@fuzz
@given(
    content=st.binary(max_size=400),
    suffix=st.sampled_from(list(FORMATS)),
    mark=st.sampled_from([b"", b"PAR1", b"\x1f\x8b"]),
)
def test_any_bytes_are_read_or_reported(tmp_path: Path, content: bytes, suffix: str, mark: bytes) -> None:
    landing = Landing(tmp_path / "landing", LANDING)
    for path in (landing.root / "discharges" / DAY).glob("*"):
        path.unlink()
    reads_or_says_why(landing, suffix, mark + content + (mark if suffix == ".parquet" else b""))


@fuzz
@given(
    suffix=st.sampled_from(list(FORMATS)),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4),
    cut=st.floats(0, 1) | st.just(1.0),
)
def test_a_damaged_file_is_read_or_reported(
    tmp_path: Path, suffix: str, changes: list[tuple[float, int]], cut: float
) -> None:
    landing = Landing(tmp_path / "landing", LANDING)
    for path in (landing.root / "discharges" / DAY).glob("*"):
        path.unlink()
    content = bytearray(FORMATS[suffix])
    for place, byte in changes:
        content[int(place * len(content))] = byte
    reads_or_says_why(landing, suffix, bytes(content[: round(cut * len(content))]))


def test_a_day_that_is_delivered_again_replaces_the_file_and_outcomes_are_kept_apart(
    landing: Landing, discharges: pd.DataFrame
) -> None:
    landing.write_rows(DAY, discharges)
    landing.write_rows(DAY, discharges.head(3))
    landing.write_outcomes(DAY, pd.DataFrame({"encounter_id": [1], "readmitted_30d": [0]}))
    (file,) = landing.read_day(DAY)
    assert file.cells is not None
    assert len(file.cells) == 3
    assert landing.days("outcomes") == [DAY]
    folders = [landing.root / kind / DAY for kind in ("discharges", "outcomes")]
    assert [path.name for folder in folders for path in folder.iterdir()] == ["discharges.csv", "outcomes.csv"]


def test_each_model_has_its_own_folders_below_the_landing_zone(tmp_path: Path) -> None:
    stays = Landing(tmp_path, LandingFolders(rows="stays", outcomes="deaths"))
    stays.write_rows(DAY, pd.DataFrame({"stay": [1], "lactate": [None]}))
    stays.write_outcomes(DAY, pd.DataFrame({"stay": [1], "died": [0]}))
    assert (stays.days(), stays.days("outcomes")) == ([DAY], [DAY])
    assert (tmp_path / "stays" / DAY / "stays.csv").read_text(encoding="utf-8") == "stay,lactate\n1,?\n"
    assert [file.name for file in stays.read_day(DAY, "outcomes")] == ["deaths.csv"]
    assert stays.folder("outcomes") == tmp_path / "deaths"
    assert Landing(tmp_path, LANDING).days() == []


def test_an_outcomes_file_may_be_named_by_the_day_it_was_sent_on(tmp_path: Path):
    folder = tmp_path / "outcomes" / "2026-01-05"
    folder.mkdir(parents=True)
    (folder / "outcomes_2026-02-06.csv").write_text("encounter_id,readmitted_30d\n1,0\n", encoding="utf-8")
    file = Landing(tmp_path, LANDING).read_day("2026-01-05", kind="outcomes")[0]
    assert file.problem is None
    assert len(pd.DataFrame(file.cells)) == 1
