"""Scoring rows by the contract of their model: the same inputs, the same history and the same model as in training.

What belongs here: from rows and what was known of their entities to risks, reasons, and which are withheld. What does
not: where the rows come from and what becomes of the scores (``lifecycle.days.scoring``).
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pandas as pd

from readmission_platform.models.contract import ModelContract

SCORED: Final = "scored"
WITHHELD: Final = "withheld"
# What a scored row gets, besides being there.
SCORE_COLUMNS = ["risk", "status", "withheld_because", "reasons", "contributions"]
# Rows scored at a time, so that years of them need no more memory than a month.
BATCH = 10_000


def score_rows(contract: ModelContract, model: Any, rows: pd.DataFrame, known: pd.DataFrame) -> np.ndarray:
    """Return the risk of each row, shape (rows,).

    Parameters
    ----------
    rows
        Columns of the feed with ``entity_key`` in place of the entity; no outcome.
    known
        Every row known at that time; see ``DataPart.inputs_of``.
    """
    return contract.estimator.score(model, contract.data.inputs_of(rows, known))


class Scorer:
    """A model that is ready to score and explain; made once, it serves for any number of rows."""

    def __init__(self, contract: ModelContract, model: Any) -> None:
        self._contract, self._model = contract, model
        self._explain = None if contract.explain is None else contract.explain.explainer(model)

    def score(self, rows: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
        """Score rows of one or several days, their history taken from what was known by each one's day.

        Returns
        -------
        ``SCORE_COLUMNS`` in the order of ``rows``: the ``risk``, ``status`` (``scored`` or ``withheld``),
        ``withheld_because``, ``reasons`` in words and ``contributions`` as JSON. Risk, reasons and contributions of a
        withheld one are missing; reasons and contributions are, too, where the model explains nothing.
        """
        inputs = self._contract.data.inputs_of(rows, known)
        return pd.concat([_nothing(), *self._batches(inputs)], ignore_index=True)

    def _batches(self, inputs: pd.DataFrame) -> Iterator[pd.DataFrame]:
        estimator = self._contract.estimator
        for start in range(0, len(inputs), BATCH):
            batch = inputs.iloc[start : start + BATCH]
            risk = estimator.score(self._model, batch)
            because = pd.Series(estimator.unsound(self._model, batch, risk), dtype=object)
            sound = because.isna().to_numpy()
            scores = pd.DataFrame({"risk": np.where(sound, risk, np.nan), "status": np.where(sound, SCORED, WITHHELD),
                                   "withheld_because": because}).astype({"status": object})  # fmt: skip
            scores["reasons"] = scores["contributions"] = None
            if self._explain is not None:
                reasons, contributions = self._explain(batch[sound], risk[sound])
                scores.loc[sound, "reasons"] = np.array(reasons, dtype=object)
                scores.loc[sound, "contributions"] = np.array(contributions, dtype=object)
            yield scores


def _nothing() -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype="float64" if name == "risk" else object) for name in SCORE_COLUMNS})


def serving_parity(
    contract: ModelContract, model: Any, rows: pd.DataFrame, scores: np.ndarray, *, entities: int
) -> float:
    """Return the largest difference between training-time scores and scores through the daily path.

    Parameters
    ----------
    rows, scores, entities
        See :func:`as_if_delivered`.
    """
    chosen = as_if_delivered(contract, rows, scores, entities=entities)
    served = score_rows(contract, model, chosen, rows)
    return float(np.abs(served - pd.Series(scores, rows.index)[chosen.index].to_numpy()).max())


def as_if_delivered(contract: ModelContract, rows: pd.DataFrame, scores: np.ndarray, *, entities: int) -> pd.DataFrame:
    """Return the last row of some entities as it is delivered, to be scored against the full table.

    Parameters
    ----------
    rows
        Rows of the development part in the order of time, with outcomes.
    scores
        The model's scores of the same rows, NaN where the model was trained on them.
    entities
        How many entities to try, those with the longest history first: they have most to go wrong.
    """
    judged = pd.Series(scores, rows.index)
    last = ~rows["entity_key"].duplicated(keep="last")
    length = rows.groupby("entity_key")["entity_key"].transform("size")[last & judged.notna()]
    chosen = rows.loc[length.sort_values(ascending=False, kind="stable").index[:entities]]
    return chosen.drop(columns=[contract.outcome, *contract.data.source_columns], errors="ignore")
