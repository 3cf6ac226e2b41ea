"""Why a row's risk is what it is, in a few plain words and in figures that add up.

What belongs here: choosing what is named for a row, and the account of all contributions. What does not: computing
contributions (``contributions``) and the words themselves (the concepts of a model).
"""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from readmission_platform.models.boosting.concepts import Concept

if TYPE_CHECKING:
    from readmission_platform.models.boosting.contributions import Contributions

REASONS = 3
PARTS = 8
DIGITS = 4
# Log odds. Of a risk of 11 % this is half a percentage point: what adds less explains nothing.
LEAST = 0.05
LOWERING = "speaks for a lower risk: "


def by_concept(found: "Contributions", features: Sequence[str], concepts: Sequence[Concept]) -> np.ndarray:
    """Add up the contributions of each concept's features, shape (rows, concepts).

    Parameters
    ----------
    features
        Names of the columns of the contributions, as the model's encoder has them; each belongs to one concept.
    """
    sums = np.zeros((len(found.values), len(concepts)))
    # Feature by feature: a product of matrices adds up in an order that depends on how many rows there are.
    for values, position in zip(found.values.T, positions_of(features, concepts), strict=True):
        sums[:, position] += values
    return sums


def positions_of(features: Sequence[str], concepts: Sequence[Concept]) -> list[int]:
    """Return the position of each feature's concept."""
    concept_of = {name: position for position, concept in enumerate(concepts) for name in concept.features}
    return [concept_of[name] for name in features]


def reasons(sums: np.ndarray, inputs: pd.DataFrame, concepts: Sequence[Concept]) -> list[str]:
    """Name what stands out in each row of a frame; see ``reasons_of``."""
    return reasons_of(sums, inputs.to_dict("records"), concepts)


def reasons_of(sums: np.ndarray, rows: Sequence[Mapping[Any, Any]], concepts: Sequence[Concept]) -> list[str]:
    """Name up to three concepts that raise the risk, largest first; if none does, the one that lowers it most.

    Parameters
    ----------
    sums
        As ``by_concept`` returns them.
    rows
        What the concepts speak of. Text of a file that the model does not know has to be missing.

    Returns
    -------
    One text per row, parts separated by "; ", empty when nothing stands out.
    """
    order = np.argsort(-sums, axis=1, kind="stable")
    return ["; ".join(_named(row, values, ranked, concepts))
            for row, values, ranked in zip(rows, sums.tolist(), order.tolist(), strict=True)]  # fmt: skip


def _named(
    row: Mapping[Any, Any], sums: Sequence[float], ranked: Sequence[int], concepts: Sequence[Concept]
) -> list[str]:
    said: dict[str, None] = {}
    for concept in (concepts[position] for position in ranked if sums[position] >= LEAST):
        text = concept.say(row)
        if text is not None:
            said[text] = None
        if len(said) == REASONS:
            break
    if not said:
        lowering = (concepts[position].say(row) for position in ranked[::-1] if sums[position] <= -LEAST)
        said.update((LOWERING + text, None) for text in list(filter(None, lowering))[:1])
    return list(said)


def accounts(sums: np.ndarray, baseline: float, log_odds: np.ndarray, concepts: Sequence[Concept]) -> list[str]:
    """Write the contributions of each row as JSON, in log odds rounded so that they add up exactly.

    Parameters
    ----------
    sums
        As ``by_concept`` returns them.
    baseline
        Log odds of a row of which nothing is known.
    log_odds
        Of the calibrated risk, shape (rows,).

    Returns
    -------
    ``baseline``, the ``parts`` of the eight concepts that add or take most, and ``other`` for the rest.
    """
    rounded = sums.round(DIGITS)
    order = np.argsort(-np.abs(rounded), axis=1, kind="stable")[:, :PARTS]
    base = round(baseline, DIGITS)
    written = []
    for values, ranked, total in zip(rounded.tolist(), order.tolist(), log_odds.tolist(), strict=True):
        parts = [{"feature": concepts[position].name, "log_odds": values[position]} for position in ranked]
        other = round(round(total, DIGITS) - base - sum(part["log_odds"] for part in parts), DIGITS)
        written.append(json.dumps({"baseline": base, "parts": parts, "other": other + 0.0}, allow_nan=False))
    return written
