"""The folds that OpenML's server draws for a task, drawn again here: the same rows without the network.

A task's division is a function of its rows' classes alone: the server seeds Java's ``Random`` with 0, shuffles the
rows, brings those of a class together, deals them out to the folds and goes on from there for the next repeat
(openml/EvaluationEngine, ``CrossValidationSplitsGenerator``; Weka, ``Instances.randomize`` and ``stratify``). What
belongs here: that function. What does not: the rows, their order and classes (``rules``).
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

SEED = 0
# Java's Random is a linear congruential generator of 48 bits (java.util.Random).
_MULTIPLIER, _INCREMENT, _MODULUS = 0x5DEECE66D, 0xB, 1 << 48


@dataclass(frozen=True)
class Division:
    """Row numbers of one fold of one repeat, in the order in which OpenML writes them."""

    repeat: int
    fold: int
    train: list[int]
    test: list[int]


def divisions(classes: Sequence[Hashable], *, folds: int, repeats: int) -> Iterator[Division]:
    """Divide rows of the given classes (n,) as OpenML does: every fold of the first repeat, then of the second."""
    below, rows = _random_below(SEED), list(range(len(classes)))
    for repeat in range(repeats):
        _shuffle(rows, below)
        _bring_classes_together(rows, classes)
        rows = [row for first in range(folds) for row in rows[first::folds]]
        larger = len(rows) % folds
        for fold in range(folds):
            size = len(rows) // folds + (fold < larger)
            begin = fold * (len(rows) // folds) + min(fold, larger)
            end = begin + size
            yield Division(repeat, fold, rows[:begin] + rows[end:], rows[begin:end])


def _random_below(seed: int) -> Callable[[int], int]:
    state = (seed ^ _MULTIPLIER) % _MODULUS

    def bits() -> int:
        nonlocal state
        state = (state * _MULTIPLIER + _INCREMENT) % _MODULUS
        return state >> 17

    def below(bound: int) -> int:
        if bound & -bound == bound:
            return (bound * bits()) >> 31
        # The last, incomplete stretch of numbers would favour the low ones: Java draws again.
        while (drawn := bits()) - drawn % bound + bound > 1 << 31:
            pass
        return drawn % bound

    return below


def _shuffle(rows: list[int], below: Callable[[int], int]) -> None:
    for last in range(len(rows) - 1, 0, -1):
        other = below(last + 1)
        rows[last], rows[other] = rows[other], rows[last]


def _bring_classes_together(rows: list[int], classes: Sequence[Hashable]) -> None:
    """Sort by class in the order of appearance, by Weka's exchanges: which rows they move decides the folds."""
    index = 1
    while index < len(rows):
        wanted = classes[rows[index - 1]]
        for other in range(index, len(rows)):
            if classes[rows[other]] == wanted:
                rows[index], rows[other] = rows[other], rows[index]
                index += 1
        index += 1
