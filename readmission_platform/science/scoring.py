"""Scoring discharges: the same inputs, the same history and the same pipeline as in training."""

import numpy as np
import pandas as pd

from readmission_platform.science.features import MODEL_INPUTS
from readmission_platform.science.history import history_as_of
from readmission_platform.science.model import RecalibratedClassifier, score


def model_inputs(encounters: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """Return ``MODEL_INPUTS`` for encounters, their history taken from the encounters known."""
    history = history_as_of(encounters, known)
    return pd.concat([encounters, history], axis=1)[MODEL_INPUTS]


def score_discharges(model: RecalibratedClassifier, discharges: pd.DataFrame, known: pd.DataFrame) -> np.ndarray:
    """Return the risk of each discharge, shape (discharges,).

    Parameters
    ----------
    discharges
        Columns of a discharge plus ``patient_key``; no outcome.
    known
        Every encounter known at that time; see ``history_as_of``.
    """
    return score(model, model_inputs(discharges, known))


def serving_parity(
    model: RecalibratedClassifier, encounters: pd.DataFrame, scores: np.ndarray, *, patients: int
) -> float:
    """Return the largest difference between training-time scores and scores through the daily path.

    Each patient's last encounter is presented as a discharge without its outcome, against the full table.

    Parameters
    ----------
    encounters
        Eligible development encounters, with outcomes.
    scores
        The model's scores of the same rows, NaN where the model was trained on them.
    patients
        How many patients to try, those with the longest history first: they have most to go wrong.
    """
    judged = encounters.assign(score=scores)
    last = judged.groupby("patient_key")["encounter_id"].transform("max") == judged["encounter_id"]
    length = judged.groupby("patient_key")["encounter_id"].transform("size")
    chosen = judged[last & judged["score"].notna()]
    chosen = chosen.loc[length[chosen.index].sort_values(ascending=False, kind="stable").index[:patients]]
    discharges = chosen.drop(columns=["score", "readmitted", "readmitted_30d"], errors="ignore")
    served = score_discharges(model, discharges, encounters)
    return float(np.abs(served - chosen["score"].to_numpy()).max())
