"""What hospitals' interfaces deliver on a bad day: files with a name, a fault each, and the code they are to get.

Each file is made from a few clean rows of its own, so that all of them can land on one day. Wherever the fault can
carry a value, it carries ``SECRET``, which must turn up nowhere.
"""

import gzip
import io
import re
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from readmission_platform.encounters.cohort import CANNOT_BE_READMITTED
from readmission_platform.encounters.synthetic import generate
from readmission_platform_tests.support.small_study import text_cells

SECRET = "Q7391-PATIENT"
ROWS = 4
Cells = pd.DataFrame


@dataclass(frozen=True)
class BadFile:
    """A file, its code, which of its ``ROWS`` rows are set aside, its suffix.

    None stands for a file that cannot be read, 0 among the rows for a line about a file that can.
    """

    name: str
    make: Callable[[Cells], bytes]
    code: str
    aside: tuple[int, ...] | None
    suffix: str = ".csv"

    @property
    def file_name(self) -> str:
        return self.name.replace(" ", "_") + self.suffix


def clean_rows(count: int, *, first: int = 800_000_000) -> Cells:
    """Return clean text cells of as many patients; encounters and patients are numbered from ``first``."""
    raw = generate(encounters=max(200, 2 * count), seed=6)
    cells = text_cells(raw[~raw["discharge_disposition_id"].isin(CANNOT_BE_READMITTED)].head(count))
    numbers = [str(first + number) for number in range(count)]
    return cells.assign(encounter_id=numbers, patient_nbr=numbers)


def csv(cells: Cells) -> bytes:
    return cells.to_csv(index=False).encode()


def in_parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    parquet.write_table(table, sink)
    return sink.getvalue()


def as_table(cells: Cells) -> pa.Table:
    return pa.Table.from_pandas(cells, preserve_index=False)


def _lines(change: Callable[[list[str]], list[str]]) -> Callable[[Cells], bytes]:
    """Make a file whose lines were changed; the first is the header."""
    return lambda cells: ("\n".join(change(csv(cells).decode().splitlines())) + "\n").encode()


def _cell(column: str, value: str, *, row: int = 2) -> Callable[[Cells], bytes]:
    def make(cells: Cells) -> bytes:
        changed = cells.copy()
        changed.loc[row - 1, column] = value
        return csv(changed)

    return make


def _raw(content: bytes) -> Callable[[Cells], bytes]:
    return lambda cells: content


def _line(number: int, text: Callable[[str], str]) -> Callable[[Cells], bytes]:
    return _lines(lambda lines: [text(line) if place == number else line for place, line in enumerate(lines)])


def _renamed(old: str, new: str) -> Callable[[Cells], bytes]:
    return lambda cells: csv(cells.rename(columns={old: new}))


def _column(name: str, values: pa.Array) -> Callable[[Cells], bytes]:
    """Make a Parquet file with another column of this name."""

    def make(cells: Cells) -> bytes:
        table = as_table(cells)
        return in_parquet(table.set_column(table.column_names.index(name), name, values))

    return make


def _twice(cells: Cells) -> bytes:
    table = as_table(cells)
    return in_parquet(table.append_column("race", table.column("race")))


def _wrong_checksum(cells: Cells) -> bytes:
    packed = bytearray(gzip.compress(csv(cells), mtime=0))
    packed[-8] ^= 0xFF
    return bytes(packed)


def _conflicting(cells: Cells) -> bytes:
    other = cells.iloc[[1]].assign(time_in_hospital=str(int(cells["time_in_hospital"][1]) % 14 + 1))
    return csv(pd.concat([cells.iloc[:3], other]))


ALL = tuple(range(1, ROWS + 1))
_DIED, _HOSPICE = "11", "13"

# ------------------------------------------------------------------------------------------ files that cannot be read

UNREADABLE = [
    BadFile("no bytes", _raw(b""), "file_empty", None),
    BadFile("one line break", _raw(b"\n"), "file_empty", None),
    BadFile("byte order mark alone", _raw(b"\xef\xbb\xbf"), "file_empty", None),
    BadFile("blanks", _raw(b"  \r\n \t\r\n"), "file_empty", None),
    BadFile("no bytes gz", _raw(b""), "file_empty", None, ".csv.gz"),
    BadFile("nothing packed", _raw(gzip.compress(b"", mtime=0)), "file_empty", None, ".csv.gz"),
    BadFile("no bytes parquet", _raw(b""), "file_empty", None, ".parquet"),
    BadFile("text of eight bits that no encoding has", lambda cells: csv(cells) + b"K\x81ln" + SECRET.encode(),
            "file_not_utf8", None),
    BadFile("utf 16", lambda cells: csv(cells).decode().encode("utf-16"), "file_not_utf8", None),
    BadFile("utf 16 without mark", lambda cells: csv(cells).decode().encode("utf-16-le"), "file_not_utf8", None),
    BadFile("binary", _raw(bytes(range(256)) * 20), "file_not_utf8", None),
    BadFile("gzip called csv", lambda cells: gzip.compress(csv(cells), mtime=0), "file_not_utf8", None),
    BadFile("parquet called csv", lambda cells: in_parquet(as_table(cells)), "file_not_utf8", None),
    BadFile("spreadsheet called csv", _raw(b"PK\x03\x04\x14" + b"\x00" * 40), "file_not_utf8", None),
    BadFile("nul in a cell", _cell("race", "Oth\0er" + SECRET), "file_not_utf8", None),
    BadFile("gz cut in half", lambda cells: _half(gzip.compress(csv(cells), mtime=0)), "file_truncated", None,
            ".csv.gz"),
    BadFile("gz cut at its start", lambda cells: gzip.compress(csv(cells), mtime=0)[:5], "file_truncated", None,
            ".csv.gz"),
    BadFile("parquet cut in half", lambda cells: _half(in_parquet(as_table(cells))), "file_truncated", None,
            ".parquet"),
    BadFile("parquet mark alone", _raw(b"PAR1"), "file_truncated", None, ".parquet"),
    BadFile("csv called parquet", csv, "file_unreadable", None, ".parquet"),
    BadFile("parquet of zeros", _raw(b"PAR1" + b"\0" * 60 + b"PAR1"), "file_unreadable", None, ".parquet"),
    BadFile("csv called gz", csv, "file_unreadable", None, ".csv.gz"),
    BadFile("gz with a wrong checksum", _wrong_checksum, "file_unreadable", None, ".csv.gz"),
    BadFile("gz with something behind", lambda cells: gzip.compress(csv(cells), mtime=0) + SECRET.encode(),
            "file_unreadable", None, ".csv.gz"),
    BadFile("gz of millions of lines", _raw(gzip.compress(b"encounter_id\n" * 3_000_000, mtime=0)), "file_too_large",
            None, ".csv.gz"),
    BadFile("text behind a quoted cell", _line(2, lambda line: f'"{SECRET}"x,' + line), "file_unreadable", None),
    BadFile("rows between two quotation marks", _lines(lambda lines: [lines[0], _marked(lines[1], end=False), lines[2],
            _marked(lines[3], end=True), *lines[4:]]), "quotes_unclear", None),
    BadFile("commas and semicolons in the header", _line(0, lambda line: line.replace(",age,", ",age;")),
            "dialect_unclear", None),
    BadFile("backslashes that mend nothing", _line(2, lambda line: f'"a\\"b"{SECRET},' + line), "file_unreadable",
            None),
    BadFile("stray quotation mark", _lines(lambda lines: [lines[0], lines[1].replace(",Female,", ',"Female,', 1)
            .replace(",Male,", ',"Male,', 1), *lines[2:]]), "file_truncated", None),
    BadFile("workbook", _raw(b"PK\x03\x04" + SECRET.encode()), "file_not_understood", None, ".xlsx"),
    BadFile("records", _raw(f'[{{"a": "{SECRET}"}}]'.encode()), "file_not_understood", None, ".json"),
    BadFile("without an extension", csv, "file_not_understood", None, ""),
    BadFile("header of blanks", _line(0, lambda line: ",".join(" " for _ in line.split(","))), "file_unreadable", None),
    BadFile("discharges 1999-12-31", csv, "day_mismatch", None),
    BadFile("export 19991231 final", csv, "day_mismatch", None),
    BadFile("discharges 1999-12-31 gz", lambda cells: gzip.compress(csv(cells), mtime=0), "day_mismatch", None,
            ".csv.gz"),
]  # fmt: skip


def _marked(line: str, *, end: bool) -> str:
    """Put a stray quotation mark before a gender, or behind it."""
    return re.sub(r",(Female|Male),", r',\1",' if end else r',"\1,', line, count=1)


def _half(content: bytes) -> bytes:
    return content[: len(content) // 2]


# --------------------------------------------------------------------------------------------------- wrong headers

HEADERS = [
    BadFile("no header", _lines(lambda lines: [lines[1].replace("Caucasian", SECRET), *lines[1:]]), "column_missing",
            ALL),
    BadFile("no column age", lambda cells: csv(cells.drop(columns="age")), "column_missing", ALL),
    BadFile("no columns of drugs", lambda cells: csv(cells.drop(columns=["insulin", "metformin"])), "column_missing",
            ALL),
    BadFile("misspelt column", _renamed("gender", "sex" + SECRET), "column_missing", ALL),
    BadFile("column twice, once in capitals", lambda cells: csv(cells.assign(RACE="Other")), "column_repeated", ALL),
    BadFile("sep= of another separator", lambda cells: b"sep=;\n" + csv(cells), "column_missing", ALL),
    BadFile("no column parquet", lambda cells: in_parquet(as_table(cells.drop(columns="age"))), "column_missing", ALL,
            ".parquet"),
    BadFile("unknown column", lambda cells: csv(cells.assign(**{SECRET: SECRET})), "column_unknown", ALL),
    BadFile("outcomes", lambda cells: csv(cells.assign(readmitted="<30")), "column_unknown", ALL),
    BadFile("column without a name", lambda cells: csv(cells.assign(**{"": SECRET})), "column_unknown", ALL),
    BadFile("unknown column parquet", lambda cells: in_parquet(as_table(cells.assign(**{SECRET: SECRET}))),
            "column_unknown", ALL, ".parquet"),
    BadFile("column twice", lambda cells: csv(pd.concat([cells, cells[["race"]]], axis=1)), "column_repeated", ALL),
    BadFile("encounters in floats of 32 bits parquet", _column("encounter_id", pa.array([2.0**24 + 1] * ROWS,
            pa.float32())), "numbers_rounded", ALL, ".parquet"),
    BadFile("patients in floats of 32 bits parquet", _column("patient_nbr", pa.array([None, 5.0, 6.0, 8e8],
            pa.float32())), "numbers_rounded", ALL, ".parquet"),
    BadFile("encounters beyond what floats hold parquet", _column("encounter_id", pa.array([1.0, 2.0, 3.0, 2.0**53])),
            "numbers_rounded", ALL, ".parquet"),
    BadFile("column twice parquet", _twice, "column_repeated", ALL, ".parquet"),
    BadFile("page of an error", _raw(f"<html>\n<h1>502</h1>\n<p>{SECRET}</p>\n<hr>\n</html>\n".encode()),
            "column_missing", ALL),
    BadFile("json", _raw(f'[\n{{"a": "{SECRET}"}}\n1\n2\n]\n'.encode()), "column_missing", ALL),
]  # fmt: skip

# -------------------------------------------------------------------------------------------------------- wrong rows


def _json_line(change: Callable[[str], str]) -> Callable[[Cells], bytes]:
    """Write JSON lines, and change that of the second row."""

    def make(cells: Cells) -> bytes:
        first, second, *rest = cells.to_json(orient="records", lines=True).splitlines()
        return "\n".join([first, change(second), *rest, ""]).encode()

    return make


ROWS_AT_FAULT = [
    BadFile("row too long", _line(2, lambda line: f"{line},{SECRET}"), "ragged_row", (2,)),
    BadFile("row too short", _line(2, lambda line: line.rsplit(",", 1)[0]), "ragged_row", (2,)),
    BadFile("comma in a cell", _line(2, lambda line: line.replace(",", f",{SECRET},", 1)), "ragged_row", (2,)),
    BadFile("line of a total", _line(4, lambda line: f"rows: {SECRET}"), "ragged_row", (4,)),
    BadFile("cut in a row", lambda cells: csv(cells)[:-40], "file_truncated", (0, ROWS)),
    BadFile("cut in a quoted cell", lambda cells: csv(cells.head(ROWS - 1)) + b'9,"' + SECRET.encode(),
            "file_truncated", (0, ROWS)),
    BadFile("cell over two lines", _cell("payer_code", f"{SECRET}\nB"), "unknown_code", (2,)),
    BadFile("endless cell", _cell("payer_code", SECRET * 200_000), "unknown_code", (2,)),
    BadFile("latin 1 in a column with a list", lambda cells: csv(cells.assign(race=["Other", f"K\xf6ln{SECRET}",
            "Other", "Other"])).decode().encode("latin-1"), "unknown_code", (2,)),
    BadFile("latin 1 in a column without a list", lambda cells: csv(cells.assign(medical_specialty=["Surgeon",
            f"K\xf6ln{SECRET}", "Surgeon", "Surgeon"])).decode().encode("latin-1"), "not_utf8", (2,)),
    BadFile("nameless column with values at the end", lambda cells: csv(cells.assign(**{"": ["", SECRET, "", ""]})),
            "column_unknown", ALL),
    BadFile("trailing separator on one line", _line(2, lambda line: line + ","), "ragged_row", (2,)),
    BadFile("text for a number", _cell("num_medications", SECRET), "not_a_whole_number", (2,)),
    BadFile("fraction", _cell("time_in_hospital", "2.5"), "not_a_whole_number", (2,)),
    BadFile("encounter rounded by a spreadsheet", _cell("encounter_id", "8.00001E+08"), "not_a_whole_number", (2,)),
    BadFile("not a number", _cell("number_inpatient", "NaN"), "missing_value", (2,)),
    BadFile("infinite", _cell("number_inpatient", "inf"), "not_a_whole_number", (2,)),
    BadFile("thousands", _cell("num_lab_procedures", "1,000"), "not_a_whole_number", (2,)),
    BadFile("thousands or three decimals", _cell("num_lab_procedures", "1.000"), "not_a_whole_number", (2,)),
    BadFile("decimal comma", _cell("num_lab_procedures", "41,0"), "not_a_whole_number", (2,)),
    BadFile("exponent", _cell("num_lab_procedures", "4e1"), "not_a_whole_number", (2,)),
    BadFile("digits of another script", _cell("num_medications", "\u0661\u0662"), "not_a_whole_number", (2,)),
    BadFile("hexadecimal", _cell("num_medications", "0x10"), "not_a_whole_number", (2,)),
    BadFile("true", _cell("number_outpatient", "True"), "not_a_whole_number", (2,)),
    BadFile("negative", _cell("num_medications", "-3"), "out_of_range", (2,)),
    BadFile("no day in hospital", _cell("time_in_hospital", "0"), "out_of_range", (2,)),
    BadFile("a year in hospital", _cell("time_in_hospital", "365"), "out_of_range", (2,)),
    BadFile("disposition of no list", _cell("discharge_disposition_id", "31"), "out_of_range", (2,)),
    BadFile("encounter that a float would round", _cell("encounter_id", "9007199254740993.0"), "out_of_range", (2,)),
    BadFile("encounter of twenty digits", _cell("encounter_id", "9" * 20), "out_of_range", (2,)),
    BadFile("unknown gender", _cell("gender", SECRET), "unknown_code", (2,)),
    BadFile("unknown race", _cell("race", SECRET), "unknown_code", (2,)),
    BadFile("age in years", _cell("age", "72"), "unknown_code", (2,)),
    BadFile("age band closed at both ends", _cell("age", "[70-80]"), "unknown_code", (2,)),
    BadFile("age band that a spreadsheet took for a date", _cell("age", "20-Oct"), "unknown_code", (2,)),
    BadFile("yes where a drug has a state", _cell("insulin", "Yes"), "unknown_code", (2,)),
    BadFile("seven and more", _cell("A1Cresult", "\u22657"), "unknown_code", (2,)),
    BadFile("code of another column", _cell("A1Cresult", ">200"), "unknown_code", (2,)),
    BadFile("sql", _cell("race", f"'; DROP TABLE {SECRET}; --"), "unknown_code", (2,)),
    BadFile("essay", _cell("medical_specialty", SECRET * 30), "unknown_code", (2,)),
    BadFile("control character", _cell("payer_code", f"\x1b[31m{SECRET}"), "unknown_code", (2,)),
    BadFile("icd 10 of no category", _cell("diag_1", "U99.9"), "not_icd9", (2,)),
    BadFile("diagnosis in words", _cell("diag_2", SECRET), "not_icd9", (2,)),
    BadFile("icd 10 that looks like an external cause", _cell("diag_1", "E17.9"), "not_icd9", (2,)),
    BadFile("icd 10 of no category without its point", _cell("diag_1", "E179"), "not_icd9", (2,)),
    BadFile("diagnosis of six digits", _cell("diag_3", "250830"), "not_icd9", (2,)),
    BadFile("diagnosis with a decimal comma", _cell("diag_3", "250,83"), "not_icd9", (2,)),
    BadFile("diagnosis zero", _cell("diag_3", "000"), "not_icd9", (2,)),
    BadFile("diagnosis in digits of another script", _cell("diag_1", "\u0664\u0662\u0668"), "not_icd9", (2,)),
    BadFile("no encounter", _cell("encounter_id", "?"), "missing_value", (2,)),
    BadFile("no patient", _cell("patient_nbr", ""), "missing_value", (2,)),
    BadFile("no age", _cell("age", "?"), "missing_value", (2,)),
    BadFile("row of commas", _line(3, lambda line: "," * line.count(",")), "missing_value", (3,)),
    BadFile("number missing everywhere", lambda cells: csv(cells.assign(num_medications="?")), "missing_value", ALL),
    BadFile("number missing everywhere parquet", _column("num_medications", pa.nulls(ROWS)), "missing_value", ALL,
            ".parquet"),
    BadFile("died", _cell("discharge_disposition_id", _DIED), "cannot_be_readmitted", (2,)),
    BadFile("hospice", _cell("discharge_disposition_id", _HOSPICE), "cannot_be_readmitted", (2,)),
    BadFile("row of another day", lambda cells: _cell("discharge_date", "1999-12-31")(cells.assign(discharge_date="?")),
            "day_mismatch", (2,)),
    BadFile("day in another order", lambda cells: _cell("discharge_date", SECRET)(cells.assign(discharge_date="")),
            "day_mismatch", (2,)),
    BadFile("same encounter told twice", _conflicting, "conflicting_rows", (2, 4)),
    BadFile("truth for a number parquet", _column("num_medications", pa.array([True, False, True, True])),
            "not_a_whole_number", ALL, ".parquet"),
    BadFile("lists parquet", _column("gender", pa.array([[SECRET]] * ROWS)), "unknown_code", ALL, ".parquet"),
    BadFile("bytes parquet", _column("diag_1", pa.array([SECRET.encode()] * ROWS)), "not_icd9", ALL, ".parquet"),
    BadFile("dates parquet", _column("age", pa.array([0] * ROWS, pa.timestamp("ms"))), "unknown_code", ALL, ".parquet"),
    BadFile("line that is no JSON", _json_line(lambda line: line[:-1] + SECRET), "not_json", (2,), ".jsonl"),
    BadFile("list for a value", _json_line(lambda line: line.replace('"gender":"Female"', f'"gender":["{SECRET}"]')
            .replace('"gender":"Male"', f'"gender":["{SECRET}"]')), "nested_value", (2,), ".ndjson"),
    BadFile("code in gz", lambda cells: gzip.compress(_cell("race", SECRET)(cells), mtime=0), "unknown_code", (2,),
            ".csv.gz"),
]  # fmt: skip

BAD_FILES = [*UNREADABLE, *HEADERS, *ROWS_AT_FAULT]
