"""Reading one landed file: its bytes into text cells, or the code of why that cannot be done.

What belongs here: the formats (CSV, gzip CSV, Parquet) and how they are damaged. What does not: finding files
(``landing``) and judging rows (``intake.rows``). No error of a reader is passed on: such errors quote values.
"""

import csv
import gzip
import hashlib
import io
import math
import os
import re
import zlib
from datetime import date
from pathlib import Path

import pandas as pd

from readmission_platform.intake.files import LandedFile

SUFFIXES = (".csv", ".csv.gz", ".parquet")
# What a file may hold when it is unpacked: a few thousand bytes of gzip can otherwise fill the memory.
LARGEST_BYTES = 2**30
_PARQUET, _GZIP = b"PAR1", b"\x1f\x8b"
_DAY_IN_NAME = re.compile(r"(?<![0-9])((?:19|20)[0-9]{2})([-_.]?)([0-9]{2})\2([0-9]{2})(?![0-9])")
# How pandas calls the row labels that it adds to a Parquet file.
_ROW_LABELS = re.compile(r"__index_level_[0-9]+__")


class _Damaged(Exception):
    """A file that cannot be read; ``code`` says why (see ``intake.quarantine``)."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def read_file(path: Path, day: str | None) -> LandedFile:
    """Read a file; whatever is wrong with it is said by its ``problem``: also when its name tells of another day."""
    name = shown_name(path)
    try:
        content = path.read_bytes()
    except OSError:
        return LandedFile(name, "", None, "file_unreadable")
    digest = content_digest(content)
    try:
        if day is not None and names_another_day(name, day):
            raise _Damaged("day_mismatch")
        if not content:
            raise _Damaged("file_empty")
        lowered = path.name.lower()
        if lowered.endswith(".parquet"):
            return LandedFile(name, digest, _parquet(content))
        cells, ragged = _csv(_unpacked(content) if lowered.endswith(".gz") else content)
    except _Damaged as damage:
        return LandedFile(name, digest, None, damage.code)
    return LandedFile(name, digest, cells, ragged=ragged)


def content_digest(content: bytes) -> str:
    """Return ``sha256:<hex>`` of a file's bytes."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def shown_name(path: Path) -> str:
    """Return a file's name as text that can be stored and printed, whatever bytes it is made of."""
    text = os.fsencode(path.name).decode("utf-8", "replace")
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def names_another_day(name: str, day: str) -> bool:
    """Tell whether a name holds dates, and none of them is the day."""
    named = set()
    for year, _, month, of_month in _DAY_IN_NAME.findall(name):
        try:
            named.add(date(int(year), int(month), int(of_month)).isoformat())
        except ValueError:  # digits that are no date
            continue
    return bool(named) and day not in named


def _unpacked(content: bytes) -> bytes:
    if _GZIP.startswith(content):
        raise _Damaged("file_truncated")
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as packed:
            unpacked = packed.read(LARGEST_BYTES + 1)
    except EOFError:
        raise _Damaged("file_truncated") from None
    except (OSError, zlib.error):
        raise _Damaged("file_unreadable") from None
    if len(unpacked) > LARGEST_BYTES:
        raise _Damaged("file_unreadable")
    return unpacked


def _csv(content: bytes) -> tuple[pd.DataFrame, frozenset[int]]:
    """Return the cells, and the rows whose number of cells is not that of the header.

    Not pandas' reader: it drops or shifts cells of such rows, or refuses the whole file. A cell over several lines
    makes the file unreadable, because a stray quotation mark looks the same and swallows whole rows. Blank lines count
    as nothing.
    """
    try:
        # Spreadsheet programs put a byte order mark before the header.
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _Damaged("file_not_utf8") from None
    if "\0" in text:  # UTF-16, or no text at all
        raise _Damaged("file_not_utf8")
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    records, at = [], 0
    try:
        for record in lines:
            if lines.line_num > at + 1:
                raise _Damaged("file_unreadable")
            at = lines.line_num
            if record:
                records.append(record)
    except csv.Error as error:
        raise _Damaged("file_truncated" if "unexpected end of data" in str(error) else "file_unreadable") from None
    if not records or not any(cell.strip() for cell in records[0]):
        raise _Damaged("file_empty" if not text.strip() else "file_unreadable")
    header, *rows = records
    if rows and len(rows[-1]) < len(header) and not text.endswith(("\n", "\r")):
        raise _Damaged("file_truncated")
    ragged = frozenset(number for number, row in enumerate(rows, start=1) if len(row) != len(header))
    even = [[None] * len(header) if number in ragged else row for number, row in enumerate(rows, start=1)]
    return pd.DataFrame(even, columns=pd.Index(header, dtype=object), dtype=object), ragged


def _parquet(content: bytes) -> pd.DataFrame:
    import pyarrow as pa
    from pyarrow import parquet

    if len(content) < 12 or not content.endswith(_PARQUET):
        whole = not content.startswith(_PARQUET[: len(content)])
        raise _Damaged("file_unreadable" if whole else "file_truncated")
    try:
        table = parquet.ParquetFile(io.BytesIO(content), page_checksum_verification=True).read()
        kept = [place for place, name in enumerate(table.column_names) if not _ROW_LABELS.fullmatch(name)]
        columns = {place: [_text(cell) for cell in table.column(place).to_pylist()] for place in kept}
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError):
        raise _Damaged("file_unreadable") from None
    cells = pd.DataFrame(columns, index=range(table.num_rows), dtype=object)
    return cells.set_axis(pd.Index([table.column_names[place] for place in kept], dtype=object), axis=1)


def _text(cell: object) -> str | None:
    # As in a CSV: the contract reads text, whatever type a file chose for a column. A missing number may be NaN.
    return None if cell is None or (isinstance(cell, float) and math.isnan(cell)) else str(cell)
