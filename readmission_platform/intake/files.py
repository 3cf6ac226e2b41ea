"""Files as they landed, and the rows of those that can be looked at.

What belongs here: which files count at all (readable, with the right header, not taken in before), and numbering their
rows. What does not: reading bytes (``storage.landed_file``) and judging rows (``rows``, ``outcomes``).
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import pandas as pd

from readmission_platform.foundation.counting import counted
from readmission_platform.intake.contract import RowContract


@dataclass(frozen=True)
class LandedFile:
    """One file of a day as it landed.

    Attributes
    ----------
    name, digest
        Name, and ``sha256:<hex>`` of the bytes as delivered (empty when they cannot be read at all).
    cells
        Its cells as text, under the names of its header; None when it cannot be read.
    problem
        The code of what is wrong with the file as a whole (see ``quarantine.codes``).
    ragged
        Rows (1 is the first after the header) with more or fewer cells than the header; theirs are all None.
    rounded
        Columns with numbers that their type in the file cannot tell apart: some may have become others.
    line
        The line of the file that the problem is found on, where there is one.
    cut_off
        Whether it ends within its last row: that row is ragged, and later ones may be missing.
    foreign
        Whether its encoding had to be assumed: then only texts that a list has are believed.
    modified_at
        When it was changed last (UTC, ISO 8601); the parts of a folder are of one moment.
    broken
        Rows that its reader could not make cells of (theirs are all None), with column and code.
    numbers
        The number of each row in the file, where not every record of the file is a row; else they count from 1.
    sparse
        Whether its records name only what has a value: then a column that none names misses its values.
    """

    name: str
    digest: str
    cells: pd.DataFrame | None
    problem: str | None = None
    ragged: Collection[int] = field(default_factory=frozenset)
    rounded: Collection[str] = field(default_factory=frozenset)
    line: int | None = None
    cut_off: bool = False
    foreign: bool = False
    modified_at: str = field(default="", compare=False)
    broken: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    numbers: Sequence[int] | None = None
    sparse: bool = False

    @property
    def row_numbers(self) -> Sequence[int]:
        """The number of each of its rows, in order; none where it cannot be read."""
        if self.cells is None:
            return ()
        return range(1, len(self.cells) + 1) if self.numbers is None else self.numbers

    @property
    def faults(self) -> dict[int, tuple[str, str]]:
        """Column and code of the rows that have no cells, by their number."""
        return {**dict.fromkeys(self.ragged, ("", "ragged_row")), **self.broken}

    def under_names(self, names: Sequence[str]) -> "LandedFile":
        """Return the file with its columns under these names, where they differ in case, blanks or hyphens alone."""
        if self.cells is None or set(names) >= set(self.cells.columns):
            return self
        columns = contract_names(self.cells.columns, names)
        rounded = frozenset(columns.get(name, name) for name in self.rounded)
        return replace(self, cells=self.cells.rename(columns=columns), rounded=rounded)

    def with_columns(self, names: Sequence[str]) -> "LandedFile":
        """Return the file with these columns, if it is sparse, without values where it does not name them."""
        if self.cells is None or not self.sparse:
            return self
        return replace(self, cells=self.cells.assign(**{name: None for name in names if name not in self.cells}))


@dataclass(frozen=True)
class JsonFile:
    """One file of JSON as it landed: what the reader of a feed's own kind of records is given.

    Attributes
    ----------
    name, digest
        As of a ``LandedFile``.
    lines
        The object of each line, or the code of why it is none.
    problem
        The code of why there are no lines.
    cut_off
        Whether it ends within its last line.
    """

    name: str
    digest: str
    lines: Sequence[dict[str, Any] | str] = ()
    problem: str | None = None
    cut_off: bool = False


def contract_names(found: Iterable[str], names: Sequence[str]) -> dict[str, str]:
    """Return what each column that has none of these names is called, where it is one but for case, blanks, hyphens."""
    known = {_plain(name): name for name in names}
    return {name: known.get(_plain(name), name) for name in found if name not in names}


def _plain(name: str) -> str:
    # R writes a point for a hyphen, SQL an underscore.
    return re.sub(r"[-_. ]", "_", name.strip().casefold())


@dataclass(frozen=True)
class Arrived:
    """A file in its place among all of some days, and why none of its rows is looked at, if so: column(s) and code."""

    number: int
    day: str
    file: LandedFile
    fault: tuple[str, str] | None

    @property
    def rows(self) -> int:
        """How many rows it has, as far as it can be read."""
        return 0 if self.file.cells is None else len(self.file.cells)


class Place(NamedTuple):
    """Where a file lies: the day of its folder, and its name."""

    day: str
    name: str


class Delivered(NamedTuple):
    """When a file was delivered (UTC, ISO 8601): first as the platform saw it, then as the file says.

    Of two files the one that was taken in later is the newer, whatever their own times say; among files that were there
    at once their own times decide. Two of the same moment are one delivery.
    """

    first_taken_in: str
    modified_at: str


def delivered_at(
    files: Iterable[tuple[str, LandedFile]], before: Mapping[tuple[str, str], Delivered], now: str
) -> list[Delivered]:
    """Return when each file of a day was delivered.

    Parameters
    ----------
    before
        By day and digest, when a file that lay there before was taken in first.
    now
        When the others are (UTC, ISO 8601).
    """
    return [before.get((day, file.digest), Delivered(now, file.modified_at)) for day, file in files]


def ages(moments: Sequence[Delivered]) -> dict[int, int]:
    """Return for each place among the moments how many deliveries are newer."""
    newest_first = {moment: place for place, moment in enumerate(sorted(set(moments), reverse=True))}
    return {place: newest_first[moment] for place, moment in enumerate(moments)}


def sort_out(
    landed: Mapping[str, Sequence[LandedFile]], contract: RowContract, taken_before: Mapping[str, Place]
) -> Iterator[Arrived]:
    """Yield the files of some days in order, with the fault of those whose rows are not looked at.

    Parameters
    ----------
    taken_before
        The place from which the bytes with a digest were taken in before.
    """
    places: dict[str, list[Place]] = {}
    for day in sorted(landed):
        for file in landed[day]:
            places.setdefault(file.digest, []).append(Place(day, file.name))
    in_order = ((day, file) for day in sorted(landed) for file in landed[day])
    for number, (day, landed_file) in enumerate(in_order):
        file = landed_file.under_names([*contract.columns, contract.day]).with_columns(contract.columns)
        optional = [contract.day, *contract.optional]
        fault = unusable(file, contract.required, optional=optional, exact=contract.exact)
        if file.cells is not None and len(file.cells):
            same, before = places[file.digest], taken_before.get(file.digest)
            if contract.day in file.cells.columns:
                # It says the day of each row: it may hold several days, or have lain in the wrong folder before.
                same = [place for place in same if place.day == day]
                before = before if before and before.day == day else None
            if Place(day, file.name) != _original(same, before, landed):
                fault = ("", "file_repeated")
        yield Arrived(number, day, file, fault)


def _original(same: Sequence[Place], before: Place | None, days: Collection[str]) -> Place:
    """Return which of the places of the same bytes is the one that is taken in: where they were taken in first."""
    if before is None:
        return same[0]
    if before in same or before.day not in days:
        return before
    return next((place for place in same if place.day == before.day), same[0])


def unusable(
    file: LandedFile, wanted: Sequence[str], optional: Sequence[str] = (), *, exact: Collection[str]
) -> tuple[str, str] | None:
    """Return column(s) and code of what is wrong with a file as a whole; None when its rows can be looked at.

    Parameters
    ----------
    wanted, optional
        The columns that its header has to name, and those that it may name.
    exact
        The columns in which a number that was rounded is another one.
    """
    if file.cells is None:
        return f"line {file.line}" if file.line else "", file.problem or "file_unreadable"
    columns = file.cells.columns
    missing = [name for name in wanted if name not in columns]
    if missing:
        return ", ".join(missing), "column_missing"
    unknown = ~columns.isin([*wanted, *optional])
    if unknown.any():
        # Not named: a file without a header would have a patient's values for names.
        return counted(int(unknown.sum()), "column"), "column_unknown"
    if columns.has_duplicates:
        return ", ".join(columns[columns.duplicated()].unique()), "column_repeated"
    rounded = [name for name in columns if name in exact and name in file.rounded]
    if rounded:
        return ", ".join(rounded), "numbers_rounded"
    return None


def numbered_rows(arrived: Sequence[Arrived], contract: RowContract) -> pd.DataFrame:
    """Return every row of every readable file.

    Returns
    -------
    The contract's day, ``file`` (name), ``file_digest``, ``number`` (of the file), ``row`` (1 is the first after the
    header), ``looked_at`` (whether the file has no fault), ``repeated`` (whether the file was taken in before).
    """
    types: dict[str, Any] = {contract.day: object, "file": object, "file_digest": object, "number": "int64",
             "row": "int64", "looked_at": bool, "repeated": bool}  # fmt: skip
    parts = [pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in types.items()})]
    parts += [
        pd.DataFrame({
            contract.day: each.day, "file": each.file.name, "file_digest": each.file.digest, "number": each.number,
            "row": each.file.row_numbers, "looked_at": each.fault is None,
            "repeated": each.fault == ("", "file_repeated"),
        })
        for each in arrived if each.rows
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True).astype(types)


def whole_file_lines(arrived: Sequence[Arrived], contract: RowContract) -> pd.DataFrame:
    """Return the quarantine's lines about files as a whole.

    A file that cannot be read, was taken in before, ends within a row, or has a wrong header and no rows has one line,
    for row 0. Each row under a wrong header has a line of its own.
    """
    lines = [
        {contract.day: each.day, "file_digest": each.file.digest, "file": each.file.name, "row": 0, "column": "",
         "code": "file_truncated"}
        for each in arrived if each.file.cut_off and each.fault is None
    ]  # fmt: skip
    lines += [
        {contract.day: each.day, "file_digest": each.file.digest, "file": each.file.name, "row": row,
         "column": each.fault[0], "code": each.fault[1]}
        for each in arrived if each.fault is not None
        for row in (each.file.row_numbers if each.rows and each.fault[0] else [0])
    ]  # fmt: skip
    return pd.DataFrame(lines, columns=[contract.day, "file_digest", "file", "row", "column", "code"])
