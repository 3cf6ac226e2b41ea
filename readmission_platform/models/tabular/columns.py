"""The inputs of a model of one table: which are numbers, and which are texts of a list.

What belongs here: naming them. What does not: reading delivered rows (``intake.contract``), and encoding (each kind of
estimator has its own way).
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Columns:
    """Inputs by kind; an input is one or the other.

    Attributes
    ----------
    numbers
        Names of the inputs that are numbers, where a value may be missing.
    texts
        By name of the other inputs, the texts that occur. A text beyond them is taken as missing.
    """

    numbers: tuple[str, ...]
    texts: Mapping[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        """Refuse an input of two kinds, and a model without any."""
        both = sorted(set(self.numbers) & set(self.texts))
        if both:
            raise ValueError(f"{both[0]} is a number and a text")
        if not self.names:
            raise ValueError("a model needs at least one input")

    @property
    def names(self) -> tuple[str, ...]:
        """All inputs, in the order of the model's features."""
        return (*self.numbers, *self.texts)
