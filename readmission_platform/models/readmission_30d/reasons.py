"""Why an encounter's risk is what it is, in a few plain words and in figures that add up.

What belongs here: choosing what is named for an encounter, and the account of all contributions. What does not:
computing contributions (``contributions``) and the words themselves (``concepts``).
"""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from readmission_platform.models.readmission_30d.concepts import CONCEPTS
from readmission_platform.models.readmission_30d.contributions import Contributions
from readmission_platform.models.readmission_30d.features import LEARNT, EncounterEncoder

REASONS = 3
PARTS = 8
DIGITS = 4
# Log odds. Of a risk of 11 % this is half a percentage point: what adds less explains nothing.
LEAST = 0.05
LOWERING = "speaks for a lower risk: "


def by_concept(found: Contributions, features: Sequence[str]) -> np.ndarray:
    """Add up the contributions of each concept's features, shape (encounters, concepts).

    Parameters
    ----------
    features
        Names of the columns of the contributions, as the model's encoder has them.
    """
    concept_of = {name: position for position, concept in enumerate(CONCEPTS) for name in concept.features}
    member = np.zeros((len(features), len(CONCEPTS)))
    member[np.arange(len(features)), [concept_of[name] for name in features]] = 1
    return np.asarray(found.values @ member)


def reasons(found: Contributions, frame: pd.DataFrame, encoder: EncounterEncoder) -> list[str]:
    """Name up to three concepts that raise the risk, largest first; if none does, the one that lowers it most.

    Parameters
    ----------
    frame
        ``MODEL_INPUTS``, one row per encounter.
    encoder
        The model's. A specialty is named only if the model knows it: other text of a file gets into no reason.

    Returns
    -------
    One text per encounter, parts separated by "; ", empty when nothing stands out.
    """
    sums = by_concept(found, encoder.feature_names())
    unknown = ~frame["medical_specialty"].isin(_known_specialties(encoder))
    known = frame.assign(medical_specialty=frame["medical_specialty"].mask(unknown))
    order = np.argsort(-sums, axis=1, kind="stable")
    return ["; ".join(_named(row, values, ranked))
            for row, values, ranked in zip(known.to_dict("records"), sums, order, strict=True)]  # fmt: skip


def _named(row: dict[Any, Any], sums: np.ndarray, ranked: np.ndarray) -> list[str]:
    said: dict[str, None] = {}
    for concept in (CONCEPTS[position] for position in ranked if sums[position] >= LEAST):
        text = concept.say(row)
        if text is not None:
            said[text] = None
        if len(said) == REASONS:
            break
    if not said:
        lowering = (CONCEPTS[position].say(row) for position in ranked[::-1] if sums[position] <= -LEAST)
        said.update((LOWERING + text, None) for text in list(filter(None, lowering))[:1])
    return list(said)


def accounts(found: Contributions, features: Sequence[str], log_odds: np.ndarray) -> list[str]:
    """Write the contributions of each encounter as JSON, in log odds rounded so that they add up exactly.

    Parameters
    ----------
    features
        As for ``by_concept``.
    log_odds
        Of the calibrated risk, shape (encounters,).

    Returns
    -------
    ``baseline``, the ``parts`` of the eight concepts that add or take most, and ``other`` for the rest.
    """
    sums = by_concept(found, features).round(DIGITS)
    order = np.argsort(-np.abs(sums), axis=1, kind="stable")[:, :PARTS]
    baseline = round(found.baseline, DIGITS)
    written = []
    for values, ranked, total in zip(sums.tolist(), order.tolist(), log_odds.tolist(), strict=True):
        parts = [{"feature": CONCEPTS[position].name, "log_odds": values[position]} for position in ranked]
        other = round(round(total, DIGITS) - baseline - sum(part["log_odds"] for part in parts), DIGITS)
        written.append(json.dumps({"baseline": baseline, "parts": parts, "other": other + 0.0}, allow_nan=False))
    return written


def _known_specialties(encoder: EncounterEncoder) -> set[str]:
    column = LEARNT.index("medical_specialty")
    rare = encoder.learnt_.infrequent_categories_[column]
    return set(encoder.learnt_.categories_[column]) - set(() if rare is None else rare)
