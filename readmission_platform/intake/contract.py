"""The contract of a delivered row: its columns and what each may hold, of one model's feed (checked by pandera).

What belongs here: the shape of a contract, reading rows out of text by it, and naming the rules that a row breaks. What
does not: the rule of one column (``rules``), the columns of any model (its package has them), and what happens to rows
that break the contract (``rows``).

Failures are reported by column and rule, never with the offending value: it is patient data.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import pandas as pd

from readmission_platform.intake import rules
from readmission_platform.intake.rules import CELL_REASONS, LARGEST_EXACT
from readmission_platform.intake.spellings import folded, is_missing, readings
from readmission_platform.intake.translation import Translator, translators

if TYPE_CHECKING:
    import pandera.pandas as pa

# As files of the platform have it.
MISSING_MARK = "?"
# Columns that the platform adds to rows.
RESERVED = frozenset({"entity_key", "row_key", "clock", "part", "fold", "home", "differing_columns"})
# Columns that stand beside the day while rows are taken in, in lines of the quarantine, and in accounts.
BESIDE_THE_DAY = frozenset(
    "file file_digest number row looked_at repeated identifier outcome fault column code how reason problem received "
    "accepted quarantined duplicate files files_quarantined".split()
)
DELIVER = "Have the source deliver a corrected file."


class Why(NamedTuple):
    """What a code of the quarantine means, and what to do about it."""

    reason: str
    action: str = DELIVER


class Pattern(NamedTuple):
    """A regular expression that the whole of a text has to match, and the code of one that does not.

    ``normal`` returns the one spelling of a text, which is what has to match; None where the text has none.
    ``translator`` reads codes of another system as texts of this one, before anything else is done with them.
    """

    expression: str
    code: str
    normal: Callable[[str], str | None] | None = None
    translator: Translator | None = None


class Excluded(NamedTuple):
    """Delivered rows that the model is not made for: which column says so, under which code, and which rows they are.

    ``rows`` is given rows as ``RowContract.parse_text`` returns them, so a column of numbers may still be text. It
    judges each row by itself.
    """

    column: str
    code: str
    rows: Callable[[pd.DataFrame], "pd.Series[bool]"]


class EventDay(NamedTuple):
    """The column in which a file of outcomes may say when the event was, instead of 0 or 1.

    The outcome is 1 for an event on the row's day or up to ``within_days`` after it, else 0.
    """

    column: str
    within_days: int


class RowWords(NamedTuple):
    """How messages about a delivery speak: of one row, of the rows of a day, and of what is still to happen to them.

    ``row`` is also part of a code, ``unknown_<row>``: one word.
    """

    row: str = "row"
    rows: str = "rows"
    events: str = "outcomes"


@dataclass(frozen=True)
class RowContract:
    """What a delivered row has to look like to be scored, and later trained on.

    Attributes
    ----------
    columns
        Columns of a file, in order, ``row`` and ``entity`` among them; neither ``day`` (the folder says it; a file may
        say it too) nor the outcome.
    row, entity, day, outcome
        Names of the columns that identify a row (a whole number) and whose row it is, and of those for the day and for
        the outcome (0 or 1) in files of outcomes.
    whole_numbers, numbers
        Lowest and highest value of each whole number and of each decimal number, both allowed.
    vocabularies
        Allowed texts by column. Case, blanks and typographic signs do not matter.
    spellings
        By column of a vocabulary: other words, and the text that each means.
    usual_texts
        By column without a rule: texts that are common, so that another spelling of one is read as it. Others stay.
    patterns
        Expression that the texts of a column have to match.
    nullable
        Columns that may miss a value. Columns with no rule hold short texts and may miss a value too, but for
        ``entity``.
    optional
        Columns that a file may leave out; all its values are then missing.
    reasons
        Codes that only this feed has, beside those of ``quarantine.codes``: of its patterns and of what it excludes.
    excluded
        Rows that are well-formed and nevertheless not scored.
    event
        How a file of outcomes may say when the event was; None where an outcome is no event.
    words
        How messages speak of rows.

    Raises
    ------
    ValueError
        When the parts contradict each other.
    """

    columns: tuple[str, ...]
    row: str
    entity: str
    day: str
    outcome: str
    whole_numbers: Mapping[str, tuple[int, int]]
    numbers: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    vocabularies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    spellings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    usual_texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    patterns: Mapping[str, Pattern] = field(default_factory=dict)
    nullable: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    reasons: Mapping[str, Why] = field(default_factory=dict)
    excluded: tuple[Excluded, ...] = ()
    event: EventDay | None = None
    words: RowWords = field(default_factory=RowWords)

    def __post_init__(self) -> None:
        wrong = "; ".join(_contradictions(self))
        if wrong:
            raise ValueError(f"the contract of rows contradicts itself: {wrong}")

    @property
    def exact(self) -> frozenset[str]:
        """The columns in which a number that was rounded is another one: identifiers and whole numbers."""
        return frozenset({self.row, self.entity, *self.whole_numbers})

    @property
    def required(self) -> tuple[str, ...]:
        """The columns that every file has to name."""
        return tuple(name for name in self.columns if name not in self.optional)

    def may_miss(self, column: str) -> bool:
        """Tell whether a cell of this column may be empty."""
        return column in self.nullable or (
            column in self.columns and column != self.entity and column not in _ruled(self)
        )

    def missing_columns(self, frame: pd.DataFrame) -> list[str]:
        """Return the required columns that a frame lacks, in order."""
        return [name for name in self.required if name not in frame.columns]

    def parse_text(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Turn a frame of text cells into the contract's types, and texts into the one spelling of their value.

        What ``spellings.MISSING`` lists is missing, but for a text that the list of its column has: ``None`` of a test
        that was not done. A cell of a column of numbers that is none stays as it is, for the contract to name its row;
        so does a text that has no spelling here.
        """
        parsed = {}
        for name in frame.columns:
            # A few texts describe any number of rows: read each once.
            places, texts = pd.factorize(frame[name].astype(object))
            read = np.array([*(self.read_text(name, text) for text in texts), None], dtype=object)
            number, sound = self._numbers(name, pd.Series(read, dtype=object))
            # Sound beside a broken cell, a number is the same number.
            read = np.where(sound & number.notna(), number.astype(object), read)
            parsed[name] = (
                number.take(places).astype(self._number_type(name))
                if bool(sound.take(places).all())
                else pd.Series(read[places], dtype=object)
            ).set_axis(frame.index)
        return pd.DataFrame(parsed, index=frame.index)

    def _numbers(self, name: str, cells: pd.Series) -> tuple[pd.Series, pd.Series]:
        """Return the numbers in cells, and which of the cells may stand in a column of them."""
        if name in self.whole_numbers:
            number = rules.whole_numbers(cells)
            sound = (number % 1 == 0) & number.between(-LARGEST_EXACT, LARGEST_EXACT)
        elif name in self.numbers:
            number = rules.decimals(cells)
            sound = number.notna()
        else:
            return cells, pd.Series(False, cells.index)
        return number, sound | (cells.isna() & self.may_miss(name))

    def read_text(self, name: str, text: object) -> object:
        """Return a cell in the one spelling of its value; None where it is missing."""
        if not isinstance(text, str):
            return text
        meant = self._readings.get(name, {}).get(folded(text))
        if meant is not None:
            return meant
        if is_missing(text):
            return None
        if name in self.whole_numbers or name in self.numbers:
            return text
        if name in self.patterns:
            normal = self.patterns[name].normal
            return text if normal is None else normal(text) or text
        return text if name in self.vocabularies else text.strip()

    @cached_property
    def _readings(self) -> dict[str, dict[str, str]]:
        """The text that each folded spelling means, by column."""
        listed = {**self.vocabularies, **self.usual_texts}
        return {name: readings(texts, self.spellings.get(name)) for name, texts in listed.items()}

    def typed(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return rows that keep the contract with their numbers as numbers, also where broken rows stood beside them.

        Whole numbers are int64 (float64 where they may be missing), decimal numbers float64.
        """
        names = [name for name in rows.columns if name in self.whole_numbers or name in self.numbers]
        return rows.assign(**{name: pd.to_numeric(rows[name]).astype(self._number_type(name)) for name in names})

    def _number_type(self, name: str) -> Literal["int64", "float64"]:
        return "int64" if name in self.whole_numbers and not self.may_miss(name) else "float64"

    def schema(self, columns: list[str] | None = None) -> "pa.DataFrameSchema":
        """Return the pandera schema of these of the columns; default: of all."""
        import pandera.pandas as pa

        names = list(self.columns) if columns is None else columns
        return pa.DataFrameSchema({name: _rule_of(self, name) for name in names}, strict=True)

    def broken_rules(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Check every row against the contract: those of its columns that the frame has.

        Returns
        -------
        One line per broken rule, by row and then in the order of the frame's columns: ``row`` (position in ``frame``,
        missing when the whole column is at fault), ``column``, ``code`` and ``reason``. Empty when all is well. Holds
        no values.
        """
        from pandera.errors import SchemaErrors

        nothing = pd.DataFrame({"row": pd.Series(dtype="Int64"), "column": [], "code": [], "reason": []})
        columns = [name for name in frame.columns if name in self.columns]
        if frame.empty:
            return nothing
        try:
            self.schema(columns).validate(frame[columns].reset_index(drop=True), lazy=True)
        except SchemaErrors as errors:
            cases = errors.failure_cases
            code = cases["check"].astype(str).replace({"not_nullable": "missing_value"})
            reasons = {**CELL_REASONS, **{name: why.reason for name, why in self.reasons.items()}}
            lines = pd.DataFrame({
                "row": cases["index"].astype("Int64"), "column": cases["column"].astype(str), "code": code,
                "reason": code.map(reasons).fillna(code),
            })  # fmt: skip
            order = lines["column"].map({name: place for place, name in enumerate(columns)})
            by_row = lines.assign(order=order).sort_values(["row", "order"], kind="stable").drop(columns="order")
            return by_row.drop_duplicates(ignore_index=True)
        return nothing


def _ruled(contract: RowContract) -> list[str]:
    """Return the columns that have a rule, once for each."""
    return [*contract.whole_numbers, *contract.numbers, *contract.vocabularies, *contract.patterns]


def _contradictions(contract: RowContract) -> list[str]:
    columns, ruled = set(contract.columns), _ruled(contract)
    spoken_of = {
        *ruled,
        *contract.nullable,
        *contract.optional,
        *contract.usual_texts,
        *(each.column for each in contract.excluded),
    }
    keys = (contract.row, contract.entity, contract.day, contract.outcome,
            *((contract.event.column,) if contract.event else ()))  # fmt: skip
    codes = {each.code for each in contract.patterns.values()} | {each.code for each in contract.excluded}
    far = [name for name, limits in contract.whole_numbers.items() if max(map(abs, limits)) > LARGEST_EXACT]
    meant = {text for name, words in contract.spellings.items() for text in words.values()
             if text not in contract.vocabularies.get(name, ())}  # fmt: skip
    found = {
        "columns named twice": _repeated(contract.columns),
        "columns with several rules": _repeated(ruled),
        "rules about other columns": spoken_of - columns,
        "spellings of texts that no list has": meant,
        "usual texts of columns with a rule": set(contract.usual_texts) & set(ruled),
        "missing among the columns": {contract.row, contract.entity} - columns,
        "two of row, entity, day, outcome and event": _repeated(keys),
        "may not be missing": {contract.row, contract.entity} & contract.nullable,
        "has to be a whole number": {contract.row} - set(contract.whole_numbers),
        "names that are the platform's": ({*columns, *keys} & RESERVED) | ({contract.day} & BESIDE_THE_DAY),
        "ranges that a float cannot hold": far,
        "has to be one word": set() if contract.words.row.isidentifier() else {contract.words.row},
        "codes without a reason": codes - set(contract.reasons),
        "codes that every feed has": set(contract.reasons) & set(CELL_REASONS),
        "left out, and may not be missing": {name for name in contract.optional if not contract.may_miss(name)},
        "translations may miss a value": set(translators(contract)) - contract.nullable,
    }
    return [f"{what}: {', '.join(sorted(names))}" for what, names in found.items() if names]


def _repeated(names: "tuple[str, ...] | list[str]") -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def _rule_of(contract: RowContract, name: str) -> "pa.Column":
    missing = contract.may_miss(name)
    if name in contract.whole_numbers:
        return rules.whole_number_column(contract.whole_numbers[name], nullable=missing)
    if name in contract.numbers:
        return rules.decimal_column(contract.numbers[name], nullable=missing)
    if name in contract.vocabularies:
        return rules.vocabulary_column(contract.vocabularies[name], nullable=missing)
    if name in contract.patterns:
        pattern = contract.patterns[name]
        return rules.pattern_column(pattern.expression, pattern.code, pattern.normal, nullable=missing)
    return rules.short_text_column(nullable=missing)
