"""Scoring enrolments one at a time: history, encoding and what is withheld, without data frames.

What belongs here: the rules of ``history``, ``encoder`` and ``estimator`` on one enrolment's plain values. What does
not: trees and reasons (``boosting.rows``); both ways have to say the same of every enrolment.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Self

from readmission_platform.models.boosting.rows.encoding import FarBeyond, Inputs, RowEncoding, Unseen, number
from readmission_platform.models.boosting.rows.scorer import BoostingRows
from readmission_platform.models.frequent_visits.concepts import CONCEPTS
from readmission_platform.models.frequent_visits.estimator import CODES, NUMBERS
from readmission_platform.models.frequent_visits.feed import (
    DAY,
    INPUTS,
    MATURITY_DAYS,
    ORDERED,
    OUTCOME,
    ROW,
    YEAR,
)

Row = Mapping[str, Any]
_NAN = float("nan")
_PLACES = {name: {text: float(place) for place, text in enumerate(order)} for name, order in ORDERED.items()}


class EnrolmentEncoding(RowEncoding):
    """What ``encoder.EnrolmentEncoder`` has seen; pairs where the order counts."""

    ranges: list[tuple[str, tuple[float, float]]]
    seen: dict[str, list[int | float]]

    @classmethod
    def of(cls, encoder: Any) -> Self:
        """Write down what a fitted encoder has seen."""
        return cls(ranges=list(encoder.ranges_.items()), seen=encoder.seen_)

    def ready(self) -> "EnrolmentRowEncoder":
        """Make it ready for enrolments."""
        if not set(CODES) <= set(self.seen) or not {name for name, _ in self.ranges} <= set(INPUTS):
            raise ValueError("the compiled model's encoding contradicts itself")
        return EnrolmentRowEncoder(self)


class EnrolmentRowEncoder:
    """Encodes one enrolment after the other; see ``encoder.EnrolmentEncoder``."""

    def __init__(self, document: EnrolmentEncoding) -> None:
        self.features = INPUTS
        self._unseen = Unseen(document.seen, CODES)
        self._far_beyond = FarBeyond(document.ranges, NUMBERS)

    def encode(self, inputs: Inputs) -> list[float]:
        """Return the features of one enrolment; NaN is missing."""
        return [_PLACES[name].get(inputs[name], _NAN) if name in _PLACES else number(inputs[name]) for name in INPUTS]

    def unsound(self, inputs: Inputs) -> Iterator[str]:
        """Yield why an enrolment is withheld; see ``estimator``."""
        yield from self._unseen.found(inputs)
        yield from self._far_beyond.found(inputs)

    def spoken_of(self, inputs: Inputs) -> Inputs:
        """Return all inputs: the feed has no free text."""
        return inputs


def past_of(enrolment: Row, known: Sequence[Row]) -> dict[str, float | None]:
    """Describe the past of one enrolment from what was known of its person; see ``history.history_of``.

    Of those known: their number, ``entity_key``, ``contract_year``, outcome and ``start_date``, None or absent where
    there is none. What is not known is None.
    """
    year, person, as_of = enrolment[YEAR], enrolment["entity_key"], enrolment.get(DAY) or ""
    # Of an enrolment that is there several times the first row counts.
    first: dict[int, Row] = {}
    for row in known:
        first.setdefault(row[ROW], row)
    outcomes = [(row[YEAR], float(row[OUTCOME])) for row in first.values()
                if row["entity_key"] == person and row.get(OUTCOME) is not None and row[YEAR] < year
                and _matures(row.get(DAY)) <= as_of]  # fmt: skip
    before = [outcome for of_year, outcome in outcomes if of_year == year - 1]
    share = sum(outcome for _, outcome in outcomes) / len(outcomes) if outcomes else None
    return {"frequent_year_before": before[0] if before else None, "frequent_share_before": share}


def _matures(day: str | None) -> str:
    return (date.fromisoformat(day) + timedelta(days=MATURITY_DAYS)).isoformat() if day else ""


def inputs_of(row: Row, past: Sequence[Row]) -> dict[str, Any]:
    """Return the inputs of one enrolment, and what else its row has; see ``data.EnrolmentData.inputs_of``."""
    return {**row, **past_of(row, past)}


ROWS = BoostingRows(inputs_of, EnrolmentEncoding, CONCEPTS)
