"""Scoring discharges: the same inputs, the same history and the same pipeline as in training.

What belongs here: from discharges and what was known of their patients to risks, reasons, and which are withheld.
What does not: where the rows come from and what becomes of the scores (``assets.scoring``).
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from readmission_platform.science.contributions import Explainer
from readmission_platform.science.features import MODEL_INPUTS
from readmission_platform.science.history import KNOWN_COLUMNS, history_as_of
from readmission_platform.science.model import RecalibratedClassifier, logit, score
from readmission_platform.science.reasons import accounts, reasons
from readmission_platform.science.soundness import withheld_because

DAY = "discharge_date"
SCORED, WITHHELD = "scored", "withheld"
# What a scored discharge gets, besides being there.
SCORE_COLUMNS = ["risk", "status", "withheld_because", "reasons", "contributions"]
# Encounters scored at a time, so that years of them need no more memory than a month.
BATCH = 10_000


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


def history_by_day(discharges: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """Describe the past of discharges of several days, each from what was known by its day.

    The same as ``history_as_of`` day by day, in one pass: what is known of a patient on a day is described as a patient
    of its own. An encounter that arrives later than its number says is not known before it arrives.

    Parameters
    ----------
    discharges
        Columns of a discharge plus ``patient_key`` and ``discharge_date`` (text).
    known
        As for ``history_as_of``, with ``discharge_date``: the day an encounter arrived, missing where it was known from
        the start.
    """
    of_day = discharges[KNOWN_COLUMNS].assign(as_of=discharges[DAY])
    views = of_day[["patient_key", "as_of"]].drop_duplicates()
    seen = known.assign(place=np.arange(len(known))).merge(views, on="patient_key")
    # In the order of what is known, since the first row of an encounter counts.
    seen = seen[seen[DAY].fillna("") <= seen["as_of"]].sort_values("place", kind="stable")
    both = pd.concat([seen[["as_of", *KNOWN_COLUMNS[:2]]], of_day[["as_of", *KNOWN_COLUMNS[:2]]]], ignore_index=True)
    renamed = pd.DataFrame({
        "encounter_id": both.groupby(["as_of", "encounter_id"]).ngroup(),  # in order of the numbers, within a day
        "patient_key": both.groupby(["as_of", "patient_key"]).ngroup(),
    }).to_numpy()  # fmt: skip
    past = seen.drop(columns=["place", "as_of"])
    past[KNOWN_COLUMNS[:2]] = renamed[: len(seen)]
    of_day[KNOWN_COLUMNS[:2]] = renamed[len(seen) :]
    return history_as_of(of_day, past)


def inputs_by_day(discharges: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """Return ``MODEL_INPUTS`` for discharges of several days; see ``history_by_day``."""
    frame = discharges.reset_index(drop=True)
    return pd.concat([frame, history_by_day(frame, known)], axis=1)[MODEL_INPUTS]


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
        return pd.concat([_nothing(), *self._batches(inputs_by_day(discharges, known))], ignore_index=True)

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
            scores.loc[sound, "contributions"] = np.array(accounts(found, logit(risk[sound])), dtype=object)
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
    last = judged.groupby("patient_key")["encounter_id"].transform("max") == judged["encounter_id"]
    length = judged.groupby("patient_key")["encounter_id"].transform("size")
    chosen = judged[last & judged["score"].notna()]
    chosen = chosen.loc[length[chosen.index].sort_values(ascending=False, kind="stable").index[:patients]]
    discharges = chosen.drop(columns=["score", "readmitted", "readmitted_30d"], errors="ignore")
    served = score_discharges(model, discharges, encounters)
    return float(np.abs(served - chosen["score"].to_numpy()).max())
