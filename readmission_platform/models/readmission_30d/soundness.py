"""Which encounters a model cannot score soundly: they are withheld and marked, never guessed.

What belongs here: the rules, on what the fitted encoder has seen. What does not: rows that break the encounter contract
(``intake`` sets these aside before) and what becomes of a withheld encounter (``lifecycle.days.scoring``).

Withheld is an encounter with a code of a code list that training never saw, a count far beyond the highest one seen,
none of its three diagnoses, or a risk that is no number. A payer or specialty that training never saw is no reason: the
model has learnt from encounters without them.
"""

import numpy as np
import pandas as pd

from readmission_platform.models.readmission_30d.features import DIAGNOSES, EncounterEncoder

# Codes that decide where a patient comes from and goes to. To trees a new one is "missing", and which way missing goes
# was learnt from encounters to which something else had happened.
CODES = {
    "admission_type_id": "admission type",
    "discharge_disposition_id": "discharge disposition",
    "admission_source_id": "admission source",
}
# Trees say the same of every value beyond their outermost split. A value somewhat above the highest one seen may pass
# as that one; at half as much again it is a slip of the interface or a patient the model knows nothing about.
MARGIN_SHARE = 0.5
MARGIN_LEAST = 5.0

NO_DIAGNOSIS = "no diagnosis is recorded"
NO_RISK = "the model gives no risk"


def withheld_because(encoder: EncounterEncoder, frame: pd.DataFrame, risk: np.ndarray) -> list[str | None]:
    """Say for each encounter why it is withheld, without any of its values; None where it is scored.

    Parameters
    ----------
    encoder
        As fitted with the model. One from before it kept what it saw allows only for the last rule.
    frame
        ``MODEL_INPUTS``, one row per encounter.
    risk
        What the model says, shape (encounters,).
    """
    found: list[tuple[str, np.ndarray]] = []
    if hasattr(encoder, "ranges_"):
        for name, words in CODES.items():
            new = ~frame[name].isin(encoder.seen_[name]).to_numpy()
            found.append((f"the {words} is one that the training data do not have", new))
        for name, (_, high) in encoder.ranges_.items():
            beyond = (frame[name] > high + max(MARGIN_LEAST, MARGIN_SHARE * high)).to_numpy()
            found.append((f"the {_words(name)} is far beyond any in the training data", beyond))
        found.append((NO_DIAGNOSIS, frame[DIAGNOSES].isna().all(axis=1).to_numpy()))
    found.append((NO_RISK, ~np.isfinite(risk)))
    reasons: list[list[str]] = [[] for _ in range(len(frame))]
    for text, rows in found:
        for row in np.flatnonzero(rows):
            reasons[row].append(text)
    return ["; ".join(texts) or None for texts in reasons]


def _words(name: str) -> str:
    return _COUNT_WORDS.get(name, name.replace("_", " "))


_COUNT_WORDS = {
    "time_in_hospital": "length of stay",
    "num_lab_procedures": "number of laboratory tests",
    "num_procedures": "number of procedures",
    "num_medications": "number of medicines",
    "number_outpatient": "number of outpatient visits",
    "number_emergency": "number of emergency visits",
    "number_inpatient": "number of inpatient stays",
    "prior_encounters": "number of earlier stays",
    "prior_readmissions_30d": "number of earlier readmissions",
    "previous_time_in_hospital": "length of the stay before",
    "prior_mean_time_in_hospital": "mean length of earlier stays",
    "prior_max_number_inpatient": "number of inpatient stays before an earlier stay",
}
