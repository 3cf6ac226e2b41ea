"""What a model adds to score single rows: its encoder as a document, and what is withheld.

What belongs here: the shapes of both, and the rules of ``boosting.soundness`` for one row. What does not: the encoding
of any model (its package has it).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, Self

from readmission_platform.foundation.values import Frozen
from readmission_platform.models.boosting.soundness import far_beyond_text, furthest, unseen_text

Inputs = Mapping[str, Any]


class RowEncoder(Protocol):
    """A fitted encoder, for one row: plain values by the name of the input, None where one is missing."""

    @property
    def features(self) -> Sequence[str]:
        """Names of what ``encode`` returns."""
        ...

    def encode(self, inputs: Inputs) -> list[float]:
        """Return what the fitted encoder makes of the row; NaN is missing."""
        ...

    def unsound(self, inputs: Inputs) -> Iterator[str]:
        """Yield why the row cannot be scored soundly, without any of its values, in the order of the batch."""
        ...

    def spoken_of(self, inputs: Inputs) -> Inputs:
        """Return the inputs that reasons may speak of: text that the model does not know is missing."""
        ...


class RowEncoding(Frozen, ABC):
    """What a fitted encoder has learnt, as a document."""

    @classmethod
    @abstractmethod
    def of(cls, encoder: Any) -> Self:
        """Write down what a fitted encoder has learnt."""

    @abstractmethod
    def ready(self) -> RowEncoder:
        """Make it ready for rows; raises ``ValueError`` where the document contradicts itself."""


class Unseen:
    """Finds codes that training never saw; see ``soundness.unseen``."""

    def __init__(self, seen: Mapping[str, Sequence[Any]], words: Mapping[str, str]) -> None:
        self._rules = [(name, frozenset(seen[name]), unseen_text(said)) for name, said in words.items()]

    def found(self, inputs: Inputs) -> Iterator[str]:
        """Yield what is so of a row; a code that is missing was never seen either."""
        for name, seen, text in self._rules:
            if inputs[name] not in seen:
                yield text


class FarBeyond:
    """Finds numbers far beyond the highest one seen; see ``soundness.far_beyond``."""

    def __init__(self, ranges: Sequence[tuple[str, tuple[float, float]]], words: Mapping[str, str]) -> None:
        self._rules = [(name, furthest(high), far_beyond_text(name, words)) for name, (_, high) in ranges]

    def found(self, inputs: Inputs) -> Iterator[str]:
        """Yield what is so of a row."""
        for name, limit, text in self._rules:
            value = inputs[name]
            if value is not None and value > limit:
                yield text


def number(value: float | None) -> float:
    """Return a value as the trees take it, NaN where it is missing."""
    return float("nan") if value is None else float(value)
