"""An attempt to tell whose row an evidence row is without the key: by where it stands among the others."""

from collections.abc import Iterator

import numpy as np
import pandas as pd


def orders(evidence: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the rows in each order that somebody who has only them could hope to be that of the source."""
    yield "as they come", evidence
    yield "by time", evidence.sort_values("clock", kind="stable")
    yield "by time and row", evidence.sort_values(["clock", "row_key"])
    yield "by row", evidence.sort_values("row_key")
    yield "by patient", evidence.sort_values(["entity_key", "clock", "row_key"])


def agreement(evidence: pd.DataFrame, source: pd.DataFrame, column: str) -> float:
    """Return how much more often than by chance a column agrees row by row: 1 is always, 0 as in a random order.

    Parameters
    ----------
    source
        The same rows in the order of the source, with the same column.
    """
    ours, theirs = evidence[column].astype(str).to_numpy(), source[column].astype(str).to_numpy()
    shares = pd.Series(theirs).value_counts(normalize=True)
    chance = float(np.square(shares).sum())
    return float(((ours == theirs).mean() - chance) / (1 - chance))
