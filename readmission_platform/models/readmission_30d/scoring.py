"""Scoring discharges: the same inputs, the same history and the same pipeline as in training.

What belongs here: from discharges and what was known of their patients to risks, reasons, and which are withheld.
What does not: where the rows come from and what becomes of the scores (``lifecycle.days.scoring``).
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from readmission_platform.encounters.history import history_of
from readmission_platform.models.readmission_30d.contributions import Explainer
from readmission_platform.models.readmission_30d.features import MODEL_INPUTS
from readmission_platform.models.readmission_30d.model import RecalibratedClassifier, logit, score
from readmission_platform.models.readmission_30d.reasons import accounts, reasons
from readmission_platform.models.readmission_30d.soundness import withheld_because

SCORED, WITHHELD = "scored", "withheld"
# What a scored discharge gets, besides being there.
SCORE_COLUMNS = ["risk", "status", "withheld_because", "reasons", "contributions"]
# Encounters scored at a time, so that years of them need no more memory than a month.
BATCH = 10_000


def model_inputs(encounters: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """Return ``MODEL_INPUTS`` for encounters, their history taken from the encounters known (see ``history_of``)."""
    history = history_of(encounters, known)
    return pd.concat([encounters, history], axis=1)[MODEL_INPUTS]


def score_discharges(model: RecalibratedClassifier, discharges: pd.DataFrame, known: pd.DataFrame) -> np.ndarray:
    """Return the risk of each discharge, shape (discharges,).

    Parameters
    ----------
    discharges
        Columns of a discharge plus ``entity_key``; no outcome.
    known
        Every encounter known at that time; see ``history_of``.
    """
    return score(model, model_inputs(discharges, known))


class Scorer:
    """A model that is ready to score and explain; made once, it serves for any number of discharges."""

    def __init__(self, model: RecalibratedClassifier) -> None:
        self._model = model
        self._explainer = Explainer(model)

    def score(self, discharges: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
        """Score discharges of one or several days, their history taken from what was known by each one's day.

        Returns
        -------
        ``SCORE_COLUMNS`` in the order of ``discharges``: the ``risk``, ``status`` (``scored`` or ``withheld``),
        ``withheld_because``, ``reasons`` in words and ``contributions`` as JSON. Risk, reasons and contributions of a
        withheld one are missing.
        """
        return pd.concat([_nothing(), *self._batches(model_inputs(discharges, known))], ignore_index=True)

    def _batches(self, inputs: pd.DataFrame) -> Iterator[pd.DataFrame]:
        encoder = self._model.classifier[0]
        for start in range(0, len(inputs), BATCH):
            batch = inputs.iloc[start : start + BATCH]
            risk = score(self._model, batch)
            because = pd.Series(withheld_because(encoder, batch, risk), dtype=object)
            sound = because.isna().to_numpy()
            found = self._explainer.explain(batch[sound])
            scores = pd.DataFrame({"risk": np.where(sound, risk, np.nan), "status": np.where(sound, SCORED, WITHHELD),
                                   "withheld_because": because}).astype({"status": object})  # fmt: skip
            scores["reasons"] = scores["contributions"] = None
            scores.loc[sound, "reasons"] = np.array(reasons(found, batch[sound], encoder), dtype=object)
            scores.loc[sound, "contributions"] = np.array(
                accounts(found, encoder.feature_names(), logit(risk[sound])), dtype=object
            )
            yield scores


def _nothing() -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype="float64" if name == "risk" else object) for name in SCORE_COLUMNS})


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
    last = judged.groupby("entity_key")["encounter_id"].transform("max") == judged["encounter_id"]
    length = judged.groupby("entity_key")["encounter_id"].transform("size")
    chosen = judged[last & judged["score"].notna()]
    chosen = chosen.loc[length[chosen.index].sort_values(ascending=False, kind="stable").index[:patients]]
    discharges = chosen.drop(columns=["score", "readmitted", "readmitted_30d"], errors="ignore")
    served = score_discharges(model, discharges, encounters)
    return float(np.abs(served - chosen["score"].to_numpy()).max())
