"""Scoring rows of a table one at a time: encoding and what is withheld, without data frames.

What belongs here: the rules of ``encoder``, ``estimator`` and ``groups.days_since`` on one row's plain values, for
gradient boostings. What does not: trees and reasons (``boosting.rows``), and inputs of the model's own, which its
package makes of a single row as it does of many.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Self

from readmission_platform.models.boosting.explanation import BoostingExplanation
from readmission_platform.models.boosting.rows.encoding import FarBeyond, Inputs, RowEncoding, number
from readmission_platform.models.boosting.rows.scorer import BoostingRows

Row = Mapping[str, Any]
_NAN = float("nan")
# What pandas has as a date in nanoseconds; to it others are missing, such as 9999-12-31.
_FIRST_DAY, _LAST_DAY = date(1677, 9, 22), date(2262, 4, 11)


def table_rows(inputs_of: Callable[[Row, Sequence[Row]], Inputs], explanation: BoostingExplanation) -> BoostingRows:
    """Return how rows of a table are scored one at a time by a gradient boosting.

    Parameters
    ----------
    inputs_of
        Returns at least the inputs of one row, given what is known of its entity: the same as ``make_inputs`` of the
        data part, on plain values. None is a missing one.
    """
    return BoostingRows(inputs_of, TableEncoding, explanation.concepts)


def days_between(earlier: str | None, later: str | None) -> float | None:
    """Return the days from one date to another (text YYYY-MM-DD), None where one is missing or none."""
    days = [_day(text) for text in (earlier, later)]
    return float((days[1] - days[0]).days) if days[0] and days[1] else None


def _day(text: str | None) -> date | None:
    try:
        found = date.fromisoformat(text or "")
    except ValueError:
        return None
    return found if _FIRST_DAY <= found <= _LAST_DAY else None


class TableEncoding(RowEncoding):
    """What ``encoder.TableEncoder`` knows, of a gradient boosting; pairs where the order counts."""

    numbers: list[str]
    texts: list[tuple[str, list[str]]]
    ranges: list[tuple[str, tuple[float, float]]]

    @classmethod
    def of(cls, encoder: Any) -> Self:
        """Write down what a fitted encoder knows; raises ``TypeError`` for one of another kind of estimator."""
        if encoder.filled:
            raise TypeError("only gradient boostings are compiled: this model fills missing values")
        return cls(numbers=list(encoder.numbers), texts=[(name, list(texts)) for name, texts in encoder.texts.items()],
                   ranges=list(encoder.ranges_.items()))  # fmt: skip

    def ready(self) -> "TableRowEncoder":
        """Make it ready for rows."""
        if not {name for name, _ in self.ranges} <= set(self.numbers):
            raise ValueError("the compiled model's encoding contradicts itself")
        return TableRowEncoder(self)


class TableRowEncoder:
    """Encodes one row after the other; see ``encoder.TableEncoder``."""

    def __init__(self, document: TableEncoding) -> None:
        self.features = [*document.numbers, *(name for name, _ in document.texts)]
        self._numbers = document.numbers
        self._places = [(name, {text: float(place) for place, text in enumerate(texts)})
                        for name, texts in document.texts]  # fmt: skip
        self._far_beyond = FarBeyond(document.ranges, {})

    def encode(self, inputs: Inputs) -> list[float]:
        """Return the features of one row; NaN is missing."""
        return [
            *(number(inputs[name]) for name in self._numbers),
            *(places.get(inputs[name], _NAN) for name, places in self._places),
        ]

    def unsound(self, inputs: Inputs) -> Iterator[str]:
        """Yield why a row is withheld; see ``estimator``."""
        yield from self._far_beyond.found(inputs)

    def spoken_of(self, inputs: Inputs) -> Inputs:
        """Return inputs in which a text that is not in its list is missing; see ``explanation``."""
        unknown = {name: None for name, places in self._places if inputs[name] not in places}
        return {**inputs, **unknown}
