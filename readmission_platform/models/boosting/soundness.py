"""Rows that a model cannot score soundly: they are withheld and marked, never guessed.

What belongs here: rules on what a fitted encoder has seen, and putting them together. What does not: which of them a
model has, rows that break the row contract (``intake`` sets these aside before), and what becomes of a withheld row.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

# Trees say the same of every value beyond their outermost split. A value somewhat above the highest one seen may pass
# as that one; at half as much again it is a slip of the interface or somebody the model knows nothing about.
MARGIN_SHARE = 0.5
MARGIN_LEAST = 5.0

NO_RISK = "the model gives no risk"

# A reason, and whether it is so of each row, shape (rows,).
Rule = tuple[str, np.ndarray]


def seen_in(inputs: pd.DataFrame, columns: Sequence[str]) -> dict[str, list[int | float | str]]:
    """Return the values of each column, sorted: what an encoder keeps for ``unseen``."""
    return {name: sorted(inputs[name].dropna().unique().tolist()) for name in columns}


def ranges_in(inputs: pd.DataFrame, columns: Sequence[str]) -> dict[str, list[float]]:
    """Return lowest and highest value of each column that has any: what an encoder keeps for ``far_beyond``."""
    found = inputs[list(columns)].agg(["min", "max"])
    return {name: found[name].astype(float).tolist() for name in columns if found[name].notna().all()}


def unseen_text(said: str) -> str:
    """Say that a code, as it is called, was never seen."""
    return f"the {said} does not occur in the training data"


def furthest(high: float) -> float:
    """Return the number beyond which one is far beyond the highest one seen."""
    return high + max(MARGIN_LEAST, MARGIN_SHARE * high)


def far_beyond_text(name: str, words: Mapping[str, str]) -> str:
    """Say that a number, by the name of its column, is far beyond the highest one seen."""
    return f"the {words.get(name, name.replace('_', ' '))} is far beyond any in the training data"


def unseen(inputs: pd.DataFrame, seen: Mapping[str, Sequence[object]], words: Mapping[str, str]) -> Iterator[Rule]:
    """Find the rows with a code that training never saw, in each of the columns that have words."""
    for name, said in words.items():
        yield unseen_text(said), ~inputs[name].isin(seen[name]).to_numpy()


def far_beyond(inputs: pd.DataFrame, ranges: Mapping[str, Sequence[float]], words: Mapping[str, str]) -> Iterator[Rule]:
    """Find the rows with a number far beyond the highest one seen in training."""
    for name, (_, high) in ranges.items():
        yield far_beyond_text(name, words), (inputs[name] > furthest(high)).to_numpy()


def no_risk(risk: np.ndarray) -> Iterator[Rule]:
    """Find the rows whose risk, shape (rows,), is no number."""
    yield NO_RISK, ~np.isfinite(risk)


def withheld_because(rules: Iterable[Rule], rows: int) -> list[str | None]:
    """Say for each row why it is withheld, without any of its values; None where it is scored."""
    reasons: list[list[str]] = [[] for _ in range(rows)]
    for text, found in rules:
        for row in np.flatnonzero(found):
            reasons[row].append(text)
    return ["; ".join(texts) or None for texts in reasons]
