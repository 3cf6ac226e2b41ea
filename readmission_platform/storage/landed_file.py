"""Reading one landed file: its bytes into text cells, or the code of why that cannot be done.

What belongs here: the formats (delimited text, JSON, both also packed, Parquet) and how they are damaged. What does
not: the dialects of text (``delimited``), lines of JSON (``json_lines``), finding files (``landing``) and judging rows
(``intake.rows``). No error of a reader is passed on: such errors quote values.
"""

import gzip
import hashlib
import io
import math
import os
import re
import stat
import zlib
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from readmission_platform.intake.files import JsonFile, LandedFile
from readmission_platform.storage.delimited import LARGEST_BYTES, LARGEST_CELLS, Damaged, read_delimited
from readmission_platform.storage.json_lines import flat_rows, read_json_lines

if TYPE_CHECKING:
    import pyarrow as pa

_DOCUMENTS = (".json", ".json.gz")
JSON_SUFFIXES = (".ndjson", ".ndjson.gz", ".jsonl", ".jsonl.gz", *_DOCUMENTS)
SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet", *JSON_SUFFIXES)
UNREADABLE, TOO_LARGE = "file_unreadable", "file_too_large"
_PARQUET, _GZIP = b"PAR1", b"\x1f\x8b"
_DAY_IN_NAME = re.compile(r"(?<![0-9])((?:19|20)[0-9]{2})([-_.]?)([0-9]{2})\2([0-9]{2})(?![0-9])")
# A day with a time of the day is when the file was written.
_MOMENT_IN_NAME = re.compile(
    r"(?<![0-9])((?:19|20)[0-9]{2})([-_.]?)([0-9]{2})\2([0-9]{2})"
    r"[T_ -]?(?:[01][0-9]|2[0-3])(?:[-_.:]?[0-5][0-9]){1,2}(?:[.,]?[0-9]{3})?Z?(?![0-9])"
)
# By the bits of a float: from which number on it skips whole numbers.
_SKIPS_FROM = {16: 2**11, 32: 2**24, 64: 2**53}
# How pandas calls the row labels that it adds to a Parquet file.
_ROW_LABELS = re.compile(r"__index_level_[0-9]+__")


def read_file(path: Path, name: str) -> LandedFile | JsonFile:
    """Read a file under the name it is shown by; whatever is wrong with it is said by its ``problem``.

    One of JSON is read into its objects: what they are, only a feed can tell.
    """
    lowered, digest = path.name.lower(), ""
    of_json = lowered.endswith(JSON_SUFFIXES)
    try:
        content, digest = _content_of(path)
        if len(content) > LARGEST_BYTES:
            raise Damaged(TOO_LARGE)
        if not content:
            raise Damaged("file_empty")
        if lowered.endswith(".parquet"):
            cells, rounded = _parquet(content)
            return LandedFile(name, digest, cells, rounded=rounded)
        text = _unpacked(content) if lowered.endswith(".gz") else content
        if of_json:
            lines = read_json_lines(text, document=lowered.endswith(_DOCUMENTS))
            return JsonFile(name, digest, lines.objects, cut_off=lines.cut_off)
        found = read_delimited(text)
    except OSError:
        return JsonFile(name, "", problem=UNREADABLE) if of_json else LandedFile(name, "", None, UNREADABLE)
    except Damaged as damage:
        if of_json:
            return JsonFile(name, digest, problem=damage.code)
        return LandedFile(name, digest, None, damage.code, line=damage.line)
    return LandedFile(name, digest, found.cells, ragged=found.ragged, cut_off=found.cut_off, foreign=found.foreign)


def _content_of(path: Path) -> tuple[bytes, str]:
    with _opened(path) as file:
        digest = _digest_of(file)
        file.seek(0)
        return file.read(LARGEST_BYTES + 1), digest


def as_rows(file: JsonFile) -> LandedFile:
    """Take the objects of a file for rows."""
    if file.name.lower().endswith(_DOCUMENTS) and file.problem != "day_mismatch":
        # Lines of rows have a name of their own: what this one holds may be anything.
        return LandedFile(file.name, file.digest, None, "file_not_understood")
    if file.problem is not None:
        return LandedFile(file.name, file.digest, None, file.problem)
    try:
        cells, broken = flat_rows(file.lines)
    except Damaged as damage:
        return LandedFile(file.name, file.digest, None, damage.code)
    return LandedFile(file.name, file.digest, cells, cut_off=file.cut_off, broken=broken, sparse=True)


def file_digest(path: Path) -> str:
    """Return ``sha256:<hex>`` of a file's bytes; empty where it cannot be read."""
    try:
        with _opened(path) as file:
            return _digest_of(file)
    except OSError:
        return ""


def _digest_of(file: io.BufferedReader) -> str:
    return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def _opened(path: Path) -> io.BufferedReader:
    """Open a regular file; whatever else has a name (a pipe would keep its reader waiting) cannot be read.

    Raises
    ------
    OSError
        When it cannot be opened, or is no regular file.
    """
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(f"{path} is no regular file")
    return file


def shown_name(path: Path) -> str:
    """Return a file's name as text that can be stored and printed, whatever bytes it is made of."""
    text = os.fsencode(path.name).decode("utf-8", "replace")
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def names_another_day(name: str, day: str) -> bool:
    """Tell whether a name holds dates, and none of them is the day.

    With a time of the day it is the moment of an export, which says nothing of the day, but that it was not later.
    """
    moments = _dates(_MOMENT_IN_NAME, name)
    named = _dates(_DAY_IN_NAME, _MOMENT_IN_NAME.sub("", name)) | {each for each in moments if each <= day}
    return bool(named) and day not in named


def _dates(pattern: re.Pattern[str], name: str) -> set[str]:
    found = set()
    for year, _, month, of_month in pattern.findall(name):
        try:
            found.add(date(int(year), int(month), int(of_month)).isoformat())
        except ValueError:  # digits that are no date
            continue
    return found


def _unpacked(content: bytes) -> bytes:
    if _GZIP.startswith(content):
        raise Damaged("file_truncated")
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as packed:
            unpacked = packed.read(LARGEST_BYTES + 1)
    except EOFError:
        raise Damaged("file_truncated") from None
    except (OSError, zlib.error):
        raise Damaged(UNREADABLE) from None
    if len(unpacked) > LARGEST_BYTES:
        raise Damaged(TOO_LARGE)
    return unpacked


def _parquet(content: bytes) -> tuple[pd.DataFrame, frozenset[str]]:
    """Return the cells, and the columns with numbers that their type cannot tell apart."""
    import pyarrow as pa
    from pyarrow import parquet

    if len(content) < 12 or not content.endswith(_PARQUET):
        whole = not content.startswith(_PARQUET[: len(content)])
        raise Damaged(UNREADABLE if whole else "file_truncated")
    try:
        file = parquet.ParquetFile(io.BytesIO(content), page_checksum_verification=True)
        held = file.metadata
        groups = range(held.num_row_groups)
        if (
            held.num_rows * held.num_columns > LARGEST_CELLS
            or sum(held.row_group(group).total_byte_size for group in groups) > LARGEST_BYTES
        ):
            raise Damaged(TOO_LARGE)
        # Texts stay in their dictionary until it is known how much room all of them take.
        texts = [column.path for column in map(held.schema.column, range(held.num_columns))
                 if column.physical_type == "BYTE_ARRAY"]  # fmt: skip
        table = parquet.ParquetFile(io.BytesIO(content), page_checksum_verification=True, read_dictionary=texts).read()
        if sum(_size(column) for column in table.columns) > LARGEST_BYTES:
            raise Damaged(TOO_LARGE)
        kept = [place for place, name in enumerate(table.column_names) if not _ROW_LABELS.fullmatch(name)]
        columns = {place: [_text(cell) for cell in table.column(place).to_pylist()] for place in kept}
        rounded = frozenset(table.column_names[place] for place in kept if _rounds(table.column(place)))
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError):
        raise Damaged(UNREADABLE) from None
    cells = pd.DataFrame(columns, index=range(table.num_rows), dtype=object)
    return cells.set_axis(pd.Index([table.column_names[place] for place in kept], dtype=object), axis=1), rounded


def _rounds(column: "pa.ChunkedArray") -> bool:
    """Tell whether a column of floats has a number from which on its type skips whole numbers."""
    import pyarrow as pa

    if not pa.types.is_floating(column.type):
        return False
    numbers = np.abs(column.to_numpy())
    return bool((numbers[np.isfinite(numbers)] >= _SKIPS_FROM[column.type.bit_width]).any())


def _size(column: "pa.ChunkedArray") -> int:
    """Return how many bytes the cells of a column take."""
    import pyarrow as pa
    from pyarrow import compute

    if not pa.types.is_dictionary(column.type):
        return int(column.nbytes)
    lengths = (compute.binary_length(part.dictionary).take(part.indices) for part in column.chunks)
    return sum(compute.sum(each).as_py() or 0 for each in lengths)


def _text(cell: object) -> str | None:
    # As in a CSV: the contract reads text, whatever type a file chose for a column. A missing number may be NaN.
    if isinstance(cell, Decimal) and cell == cell.to_integral_value():
        return str(int(cell))  # not "5.000", which could be thousands if it were text
    return None if cell is None or (isinstance(cell, float) and math.isnan(cell)) else str(cell)
