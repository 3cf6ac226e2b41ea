"""Scoring rows one at a time: with the artifact where a model is not compiled, and whether both ways agree.

What belongs here: what the platform does with ``RowScorer`` whatever the model. What does not: scoring in batches
(``scoring``), and how a model scores single rows (its part ``rows``).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from readmission_platform.models.contract import ModelContract, RowScore, RowScorer
from readmission_platform.models.scoring import Scorer

Row = Mapping[str, Any]


class ArtifactRowScorer:
    """Scores single rows as a batch of one: slow, with pandas, and right for every model."""

    def __init__(self, contract: ModelContract, model: Any) -> None:
        self._contract = contract
        self._explaining = Scorer(contract, model)
        self._silent = Scorer(replace(contract, explain=None), model)

    def score(self, row: Row, past: Sequence[Row], *, explain: bool = True) -> RowScore:
        """Score one row; see ``RowScorer``."""
        contract = self._contract
        carried = [name for name in contract.feed.columns if name != contract.feed.entity]
        rows = _frame([row], [*carried, "entity_key", contract.day])
        known = _frame(past, known_columns(contract))
        scorer = self._explaining if explain else self._silent
        scored = scorer.score(contract.feed.typed(rows), contract.feed.typed(known))
        return next(_answers(scored))


def known_columns(contract: ModelContract) -> list[str]:
    """Return the columns of what is known of an entity's rows; see ``DataPart.inputs_of``."""
    data = contract.data
    return [contract.row, "entity_key", *data.history_columns, *data.source_columns, contract.outcome, contract.day]


def rows_differ(contract: ModelContract, model: Any, scorer: RowScorer, rows: pd.DataFrame, known: pd.DataFrame) -> int:
    """Count the rows whose answer is not, bit for bit, that of the batch: risk, withholding, reasons or contributions.

    Parameters
    ----------
    rows
        Rows of the feed with ``entity_key`` in place of the entity, and the day.
    known
        What was known of their entities; see ``DataPart.inputs_of``.
    """
    batch = Scorer(contract, model)
    differing = 0
    # Rows of one entity that are scored at once may know of each other; each is to know what was known, and no more.
    for _, each in rows.groupby(rows.groupby("entity_key").cumcount()):
        together = _answers(batch.score(each, known))
        alone = answers(contract, scorer, each, known)
        differing += sum(one != other for one, other in zip(alone, together, strict=True))
    return differing


def answers(contract: ModelContract, scorer: RowScorer, rows: pd.DataFrame, known: pd.DataFrame) -> Iterator[RowScore]:
    """Score rows one after the other, each with what was known of its entity."""
    concerned = known[known["entity_key"].isin(rows["entity_key"])]
    pasts: dict[Any, list[Row]] = {}
    columns = [name for name in known_columns(contract) if name in concerned]
    for past in plain(concerned[columns]):
        pasts.setdefault(past["entity_key"], []).append(past)
    for row in plain(rows):
        yield scorer.score(row, pasts.get(row["entity_key"], []))


def plain(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as plain Python values, None where one is missing."""
    columns = {str(name): [None if missing else value for value, missing in
                           zip(values.tolist(), values.isna().tolist(), strict=True)]
               for name, values in rows.items()}  # fmt: skip
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _frame(rows: Sequence[Row], columns: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series([row.get(name) for row in rows], dtype=object) for name in columns})


def _answers(scored: pd.DataFrame) -> Iterator[RowScore]:
    for row in plain(scored):
        yield RowScore(row["risk"], row["withheld_because"], row["reasons"], row["contributions"])
