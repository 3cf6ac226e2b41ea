"""Reading one row that came as JSON by a contract: what intake makes of it in a file, without data frames.

What belongs here: one row read on its own. What does not: the rules themselves (``contract``, ``rules``, ``spellings``,
``translation``), rows of files (``rows``), and parsing JSON (whoever was sent it).

A row is read as if it were the only line of a file of JSON lines. So a name that is left out is a missing value; names
may differ in case, blanks and hyphens; a name that the contract does not have, or that is there twice, is a fault of
the row. Values are read as the text that a file would have: ``3`` and ``3.0`` as these, true and false as ``true`` and
``false``, which some lists have and no number is. What a value of JSON cannot be has a code too: a list or an object
(``nested_value``), and a number or a text that is not JSON at all (``not_json``: NaN, infinities, more digits than are
read, half of a surrogate pair, the character NUL). Of such a row nothing else is looked at.

Numbers with a point are best parsed as ``Decimal``, which keeps their digits as a file does; of a float the shortest
text counts that gives it, so that ``1.000`` is 1 and not in doubt with a thousand.

Codes of another system are translated by what else the row says, as those of a file are by the file.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from math import isfinite
from typing import NamedTuple, TypeVar

import pandas as pd

from readmission_platform.foundation.counting import counted
from readmission_platform.intake import rules
from readmission_platform.intake.contract import Excluded, RowContract
from readmission_platform.intake.files import contract_names
from readmission_platform.intake.quarantine import codes
from readmission_platform.intake.rules import LONGEST_TEXT
from readmission_platform.intake.spellings import is_missing
from readmission_platform.intake.translation import Translator, translators

# Texts of a column that are read once: enough for every code in use. Longer ones are not kept, whoever sends them.
_REMEMBERED = 4096
# Up to so many characters the reader of columns reads a number as Python does; of longer ones it rounds some otherwise
# (pandas' to_numeric), so that it is asked itself.
_WHOLE_ALIKE, _DECIMAL_ALIKE = 18, 15
_PLAIN_DECIMAL = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?", re.ASCII)
_TIME_OF_DAY = re.compile(r"[T ].*")


class Fault(NamedTuple):
    """Why a row is not accepted: the column (empty or in words where it is of none), its code and what that means."""

    column: str
    code: str
    reason: str


class ReadRow(NamedTuple):
    """A row in the contract's columns and its day, or why there is none; ``faults`` are in the order of the quarantine.

    Values are those of a row of intake: int where a whole number may not be missing, else float, or str; None where
    one is missing.
    """

    row: dict[str, object] | None
    faults: tuple[Fault, ...]


class _Cell(NamedTuple):
    """What a cell is read as, and the code of what is wrong with it."""

    value: object
    code: str | None


class _NoCell(Exception):
    """A value of JSON that no cell of a file could be, with its code."""


_Reader = Callable[[str], _Cell]
_Read = TypeVar("_Read")
_MISSING, _MISSED = _Cell(None, None), _Cell(None, "missing_value")


class RowReader:
    """Reads single rows by a contract; made once, safe to use from several threads."""

    def __init__(self, contract: RowContract) -> None:
        self._contract = contract
        self._names = (*contract.columns, contract.day)
        self._known = frozenset(self._names)
        self._reasons = {code: why.reason for code, why in codes(contract).items()}
        self._columns = [(name, _reader_of(contract, name), _MISSING if contract.may_miss(name) else _MISSED)
                         for name in contract.columns]  # fmt: skip
        self._translators: dict[int, tuple[Translator, list[str]]] = {}
        for name, translator in translators(contract).items():
            self._translators.setdefault(id(translator), (translator, []))[1].append(name)
        for translator, _ in self._translators.values():
            translator.load()
        self._excluded = [(rule, _judge_of(contract, rule)) for rule in contract.excluded]

    def read(self, values: Mapping[str, object], *, day: str) -> ReadRow:
        """Read a row.

        Parameters
        ----------
        values
            Values of JSON by column; the contract's day may be among them.
        day
            The day that the row is of (YYYY-MM-DD).
        """
        cells = self._cells(values)
        if isinstance(cells, ReadRow):
            return cells
        self._translate([cells])
        return self._judged(cells, day)

    def read_all(self, rows: Iterable[Mapping[str, object]], *, day: str) -> list[ReadRow]:
        """Read rows that came together, as those of one file; each row names its own columns.

        Codes of another system are told by all the rows. Of rows with the same identifier that contradict each other
        none is accepted.
        """
        all_cells = [self._cells(values) for values in rows]
        self._translate([cells for cells in all_cells if not isinstance(cells, ReadRow)])
        found = [cells if isinstance(cells, ReadRow) else self._judged(cells, day) for cells in all_cells]
        versions: dict[object, list[dict[str, object]]] = {}
        for each in found:
            if each.row is not None:
                versions.setdefault(each.row[self._contract.row], []).append(each.row)
        contradicted = {key for key, same in versions.items() if any(row != same[0] for row in same)}
        conflict = self.refused(self._contract.row, "conflicting_rows")
        return [conflict if each.row is not None and each.row[self._contract.row] in contradicted else each
                for each in found]  # fmt: skip

    def refused(self, column: str, code: str) -> ReadRow:
        """Return a row that is not accepted for one code of the contract."""
        return self._refused([(column, code)])

    def _cells(self, values: Mapping[str, object]) -> dict[str, str | None] | ReadRow:
        """Return the cells that a file would have, by the contract's names, its day too; else why there are none."""
        named, fault = self._under_names(values) if not values.keys() <= self._known else (values, None)
        if fault is not None:
            return self._refused([fault])
        cells, refused = self._texts(named)
        return self._refused(refused) if refused else cells

    def _translate(self, rows: Sequence[dict[str, str | None]]) -> None:
        for translator, names in self._translators.values():
            texts = {text for cells in rows for name in names
                     if (text := cells[name]) is not None and not is_missing(text)}  # fmt: skip
            found = translator.read(texts) if texts else {}
            if found:
                for cells in rows:
                    cells |= {name: found[text].text for name in names if (text := cells[name]) in found and text}

    def _judged(self, cells: Mapping[str, str | None], day: str) -> ReadRow:
        row: dict[str, object] = {}
        faults = []
        for name, read, missing in self._columns:
            text = cells[name]
            row[name], code = missing if text is None else read(text)
            if code is not None:
                faults.append((name, code))
        faults += [(rule.column, rule.code) for rule, is_excluded in self._excluded if is_excluded(cells)]
        said = cells[self._contract.day]
        if said is not None and said != day and _is_another_day(said, day):
            faults.append((self._contract.day, "day_mismatch"))
        if faults:
            return self._refused(faults)
        row[self._contract.day] = day
        return ReadRow(row, ())

    def _refused(self, faults: list[tuple[str, str]]) -> ReadRow:
        return ReadRow(None, tuple(Fault(column, code, self._reasons[code]) for column, code in faults))

    def _under_names(self, values: Mapping[str, object]) -> tuple[Mapping[str, object], tuple[str, str] | None]:
        """Return values under the contract's names; column(s) and code where they are not its columns."""
        names = contract_names(map(str, values), self._names)
        called = [names.get(name, name) for name in values]
        unknown = sum(name not in self._known for name in called)
        if unknown:
            # Not named: who sends values for names would see a patient's.
            return {}, (counted(unknown, "column"), "column_unknown")
        under: dict[str, object] = {}
        repeated = []
        for name, value in zip(called, values.values(), strict=True):
            if name in under:
                repeated.append(name)
            under[name] = value
        if repeated:
            return {}, (", ".join(dict.fromkeys(repeated)), "column_repeated")
        return under, None

    def _texts(self, values: Mapping[str, object]) -> tuple[dict[str, str | None], list[tuple[str, str]]]:
        """Return the cells that a file would have, and what cannot be one: column and code."""
        cells: dict[str, str | None] = {}
        refused = []
        for name in self._names:
            value = values.get(name)
            if value is None or (type(value) is str and value.isascii() and "\0" not in value):
                cells[name] = value
                continue
            try:
                cells[name] = text_of(value)
            except _NoCell as why:
                refused.append((name, str(why)))
        return cells, refused


def text_of(value: object) -> str | None:
    """Return the text that a cell of a file would have for a value of JSON.

    Raises
    ------
    _NoCell
        When there is none; its text is the code.
    """
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float | Decimal):
        raise _NoCell("nested_value")
    if not (value.is_finite() if isinstance(value, Decimal) else isinstance(value, str | int) or isfinite(value)):
        raise _NoCell("not_json")
    try:
        if isinstance(value, str):
            value.encode("utf-8")
            if "\0" in value:
                raise _NoCell("not_json")
        return str(value)  # of a number with thousands of digits Python makes no text
    except ValueError:
        raise _NoCell("not_json") from None


def _is_another_day(said: str, day: str) -> bool:
    """Tell whether a row names another day; it may add a time of day, and may say that it does not know."""
    return not is_missing(said) and _TIME_OF_DAY.sub("", said.strip()) != day


# ------------------------------------------------------------------------------------------------------- one column


def _reader_of(contract: RowContract, name: str) -> _Reader:
    missing = _MISSING if contract.may_miss(name) else _MISSED
    if name in contract.whole_numbers:
        return _whole_number_reader(contract.whole_numbers[name], missing)
    if name in contract.numbers:
        return _decimal_reader(contract.numbers[name], missing)
    is_sound, code = _text_rule(contract, name)

    def read(text: str) -> _Cell:
        value = contract.read_text(name, text)
        if not isinstance(value, str):
            return missing
        return _Cell(value, None if is_sound(value) else code)

    # Who a row is of comes with nearly every row anew.
    return read if name == contract.entity else _remembering(read)


def _text_rule(contract: RowContract, name: str) -> tuple[Callable[[str], bool], str]:
    """Return what tells whether a text is sound, and the code of one that is not."""
    if name in contract.vocabularies:
        return frozenset(contract.vocabularies[name]).__contains__, "unknown_code"
    if name in contract.patterns:
        pattern = contract.patterns[name]
        return rules.matching(pattern.expression, pattern.normal), pattern.code
    return rules.is_short_text, "unknown_code"


def _whole_number_reader(limits: tuple[int, int], missing: _Cell) -> _Reader:
    low, high = limits
    # As in a column: one that may miss a value holds floats.
    kind = float if missing is _MISSING else int

    def read(text: str) -> _Cell:
        digits = rules.whole_digits(text)
        if digits is None:
            return missing if is_missing(text) else _Cell(None, "not_a_whole_number")
        number = int(digits) if len(digits) <= _WHOLE_ALIKE else _in_a_column(rules.whole_numbers, text)
        if not isfinite(number):
            return _Cell(None, "not_a_whole_number")
        return _Cell(kind(number), None) if low <= number <= high else _Cell(None, "out_of_range")

    return read


def _decimal_reader(limits: tuple[float, float], missing: _Cell) -> _Reader:
    low, high = limits

    def read(text: str) -> _Cell:
        if len(text) <= _DECIMAL_ALIKE and _PLAIN_DECIMAL.fullmatch(text):
            # A whole number is read as one: it has no zero below zero.
            number = float(text) if "." in text else float(int(text))
        elif is_missing(text):
            return missing
        else:
            number = float(_in_a_column(rules.decimals, text))
        if not isfinite(number):
            return _Cell(None, "not_a_number")
        return _Cell(number, None) if low <= number <= high else _Cell(None, "out_of_range")

    return read


def _in_a_column(read: Callable[[pd.Series], pd.Series], text: str) -> float:
    """Return a number as it is read in a column of it alone (see ``RowContract.parse_text``)."""
    number: float = read(pd.Series([text, None], dtype=object)).iloc[0].item()
    return number


def _remembering(read: Callable[[str], _Read]) -> Callable[[str], _Read]:
    known = lru_cache(maxsize=_REMEMBERED)(read)
    return lambda text: known(text) if len(text) <= LONGEST_TEXT else read(text)


# ------------------------------------------------------------------------------------------------------ excluded rows


def _judge_of(contract: RowContract, rule: Excluded) -> Callable[[Mapping[str, str | None]], bool]:
    """Return what tells of the cells of a row whether the rule excludes it.

    The rule is asked once for each text of its column. One that looks at other columns too is asked about each row.
    """

    def judged(cells: Mapping[str, str | None]) -> bool:
        frame = contract.parse_text(pd.DataFrame({name: [text] for name, text in cells.items()}, dtype=object))
        return bool(rule.rows(frame).iloc[0])

    try:
        rule.rows(contract.parse_text(pd.DataFrame({rule.column: []}, dtype=object)))
    except (KeyError, AttributeError):
        return lambda cells: judged({name: cells[name] for name in contract.columns})
    of_text = _remembering(lambda text: judged({rule.column: text}))
    of_none = judged({rule.column: None})
    return lambda cells: of_none if (text := cells[rule.column]) is None else of_text(text)
