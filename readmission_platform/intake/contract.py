"""The contract of a delivered row: its columns and what each may hold, of one model's feed.

What belongs here: the shape of a contract. What does not: the columns of any model (its package has them), and what
happens to rows that break the contract (``rows``).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import pandas as pd


class Why(NamedTuple):
    """What a code of the quarantine means, and what to do about it."""

    reason: str
    action: str


class Pattern(NamedTuple):
    """A regular expression that a text has to match, and the code of one that does not."""

    expression: str
    code: str


class Excluded(NamedTuple):
    """Delivered rows that the model is not made for: which column says so, under which code, and which rows they are."""

    column: str
    code: str
    rows: Callable[[pd.DataFrame], "pd.Series[bool]"]


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
        Lowest and highest value of each whole number and of each decimal number.
    vocabularies
        Allowed texts by column.
    patterns
        Expression that the texts of a column have to match.
    nullable
        Columns that may miss a value. Columns with no rule hold short texts and may miss a value too.
    reasons
        Codes that only this feed has, beside those of ``quarantine.CODES``.
    excluded
        Rows that are well-formed and nevertheless not scored.
    """

    columns: tuple[str, ...]
    row: str
    entity: str
    day: str
    outcome: str
    whole_numbers: Mapping[str, tuple[int, int]]
    numbers: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    vocabularies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    patterns: Mapping[str, Pattern] = field(default_factory=dict)
    nullable: frozenset[str] = frozenset()
    reasons: Mapping[str, Why] = field(default_factory=dict)
    excluded: tuple[Excluded, ...] = ()
