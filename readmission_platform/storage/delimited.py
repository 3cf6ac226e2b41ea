"""Reading delimited text into cells, in whatever dialect a system writes it.

What belongs here: encodings, separators, quotation marks, line breaks, and columns that say nothing. What does not:
packing and Parquet (``landed_file``), the names of columns and what a cell means (``intake``).

A dialect is understood where there is no doubt about it. Where there is, the file is refused with the line. No error of
a reader is passed on: such errors quote values.
"""

import csv
import io
import re
import unicodedata
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

# What a file may hold, unpacked: a few thousand bytes can otherwise fill the memory. The largest hospitals discharge a
# few hundred people a day; this is room for 40,000 rows of 50 cells, which take a few hundred megabytes of memory.
LARGEST_BYTES, LARGEST_CELLS = 64 * 2**20, 2_000_000
SEPARATORS = (",", ";", "\t", "|")
# As Excel says it in a first line of its own.
_SEPARATOR_LINE = re.compile(r'"?sep=([,;\t|])"?(?:\r\n|\r|\n)', re.IGNORECASE)
# How pandas calls a column without a name when it reads one.
_WITHOUT_NAME = re.compile(r"\s*(?:Unnamed: [0-9]+)?\s*")
# MySQL's mark of a missing value, which its escapes would turn into the letter N.
_NO_VALUE = re.compile(r"(?<![^,;\t|\r\n])\\N(?![^,;\t|\r\n])")

# A cell is at most as long as a file: a long one costs its row. The limit is the process's; the default is 128 KB.
csv.field_size_limit(LARGEST_BYTES)


class Damaged(Exception):
    """A file that cannot be read; ``code`` says why (see ``intake.quarantine``), ``line`` where (1 is the first)."""

    def __init__(self, code: str, line: int | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.line = line


@dataclass(frozen=True)
class Delimited:
    """The cells of a file, and what else is to be said of it.

    Attributes
    ----------
    cells
        As text, under the names of the header.
    ragged
        Rows (1 is the first after the header) with more or fewer cells than the header; theirs are all None.
    cut_off
        Whether the file ends within its last row.
    foreign
        Whether it is not UTF-8 and was read as Windows-1252 (which has what Latin-1 has).
    """

    cells: pd.DataFrame
    ragged: frozenset[int]
    cut_off: bool
    foreign: bool


class _Records(NamedTuple):
    """Records that are not blank, the line each begins and ends on, and whether the last one is cut off."""

    records: list[list[str]]
    lines: list[tuple[int, int]]
    cut_off: bool


def read_delimited(content: bytes) -> Delimited:
    """Read a file's content.

    Not with pandas' reader: it drops or shifts cells of uneven rows, or refuses the whole file. Blank lines count as
    nothing, and neither do repetitions of the header.

    Raises
    ------
    Damaged
        When the file cannot be read, or could be read in several ways.
    """
    # Before there is an object for each cell; a separator inside a cell counts as well.
    breaks = content.count(b"\n") + content.count(b"\r")
    if max(content.count(separator.encode()) for separator in SEPARATORS) + breaks > LARGEST_CELLS:
        raise Damaged("file_too_large")
    text, foreign = _decoded(content)
    if foreign and not text.splitlines()[0].isascii():  # of another encoding too, or no text
        raise Damaged("file_not_utf8")
    if not text.strip():
        raise Damaged("file_empty")
    said = _SEPARATOR_LINE.match(text)
    before = 1 if said else 0
    text = text[said.end() :] if said else text
    separator = said[1] if said else _separator(text)
    try:
        found = _records(text, separator)
    except Damaged as damage:
        raise Damaged(damage.code, damage.line + before if damage.line else None) from None
    if not found.records or not any(cell.strip() for cell in found.records[0]):
        raise Damaged("file_unreadable")
    header, *rows = found.records
    _assert_no_row_swallowed(found, separator, before)
    # A line with a number is no header, but the first row of a file without one.
    if not any(cell.strip().isdigit() for cell in header):
        rows = [row for row in rows if row != header]
    short = bool(rows) and len(rows[-1]) < len(header) and not text.endswith(("\n", "\r"))
    names, rows = _without_labels(*_without_trailing(header, rows))
    ragged = frozenset(number for number, row in enumerate(rows, start=1) if len(row) != len(names))
    even = [[None] * len(names) if number in ragged else row for number, row in enumerate(rows, start=1)]
    cells = pd.DataFrame(even, columns=pd.Index(names, dtype=object), dtype=object)
    return Delimited(cells, ragged, found.cut_off or (short and len(rows) in ragged), foreign)


def _decoded(content: bytes) -> tuple[str, bool]:
    """Return the text, and whether its encoding is one that had to be assumed."""
    try:
        # Spreadsheet programs put a byte order mark before the header.
        text, foreign = content.decode("utf-8-sig"), False
    except UnicodeDecodeError:
        try:
            text, foreign = content.decode("cp1252"), True
        except UnicodeDecodeError:
            raise Damaged("file_not_utf8") from None
    # UTF-16, or no text at all.
    if "\0" in text or (foreign and any(unicodedata.category(each) == "Cc" for each in set(text) - set("\t\r\n"))):
        raise Damaged("file_not_utf8")
    return text, foreign


def _separator(text: str) -> str:
    """Return the one separator that the header has; a comma where it has none."""
    for number, line in enumerate(io.StringIO(text, newline=""), start=1):
        if line.strip():
            found = [each for each in SEPARATORS if len(next(csv.reader([line], delimiter=each), [])) > 1]
            if len(found) > 1:
                raise Damaged("dialect_unclear", number)
            return found[0] if found else ","
    return ","


def _records(text: str, separator: str) -> _Records:
    """Split into records; where quotation marks are not doubled but escaped by a backslash, by that."""
    try:
        return _split(text, separator)
    except Damaged:
        if '\\"' not in text:
            raise
        escaped = _split(_NO_VALUE.sub("", text), separator, escape="\\")
        if any(len(record) != len(escaped.records[0]) for record in escaped.records):
            raise
        return escaped


def _split(text: str, separator: str, escape: str | None = None) -> _Records:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, escapechar=escape, strict=True)
    records: list[list[str]] = []
    lines: list[tuple[int, int]] = []
    at = 0
    try:
        for record in reader:
            if record:
                records.append(record)
                lines.append((at + 1, reader.line_num))
            at = reader.line_num
    except csv.Error as error:
        if "unexpected end of data" not in str(error):
            raise Damaged("file_unreadable", at + 1) from None
        # A mark that was opened lines ago may have swallowed rows; on the last line it is that line that is cut.
        if reader.line_num > at + 1 or not records:
            raise Damaged("file_truncated", at + 1) from None
        return _Records([*records, [""]], [*lines, (at + 1, at + 1)], cut_off=True)
    return _Records(records, lines, cut_off=False)


def _assert_no_row_swallowed(found: _Records, separator: str, before: int) -> None:
    """Refuse a cell over several lines that may be rows between two stray quotation marks.

    A record with such a cell has as many cells as the header only if the cell has swallowed all separators of a row.
    """
    width = len(found.records[0])
    for record, (first, last) in zip(found.records, found.lines, strict=True):
        if last == first:
            continue
        over_lines = [cell for cell in record if "\n" in cell or "\r" in cell]
        swallowed = any(cell.count(separator) >= width - 1 for cell in over_lines)
        if swallowed or len(record) != width:
            raise Damaged("quotes_unclear", first + before)


def _without_trailing(header: list[str], rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """Leave out columns at the end that have neither a name nor a value: a separator that ends every line."""
    width = len(header)
    while width > 1 and _WITHOUT_NAME.fullmatch(header[width - 1]):
        width -= 1
    lengths = {len(row) for row in rows}
    # The header may have the separator at its end and the rows not, or the other way round.
    ends = {len(header)} if width < len(header) else {width + 1} if lengths == {width + 1} else set()
    if lengths == {width}:
        return header[:width], rows
    if not ends or any(cell.strip() for row in rows if len(row) in ends for cell in row[width:]):
        return header, rows
    return header[:width], [row[:width] if len(row) in ends else [] for row in rows]


def _without_labels(header: list[str], rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """Leave out the labels of rows before the first column with a name, as pandas and R write them."""
    if len(header) > 1 and _WITHOUT_NAME.fullmatch(header[0]):
        return header[1:], [row[1:] if len(row) == len(header) else [] for row in rows]
    # R leaves out the name and its separator: then the rows count from 1.
    counted = len(rows) > 1 and all(row[:1] == [str(number)] for number, row in enumerate(rows, start=1))
    if counted and {len(row) for row in rows} == {len(header) + 1}:
        return header, [row[1:] for row in rows]
    return header, rows
