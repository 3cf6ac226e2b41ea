"""Which encounters a model cannot score soundly: they are withheld and marked, never guessed.

What belongs here: the rules of this model. What does not: rows that break the encounter contract
(``intake`` sets these aside before) and what becomes of a withheld encounter (``lifecycle.days.scoring``).

Withheld is an encounter with a code of a code list that training never saw, a count far beyond the highest one seen,
none of its three diagnoses, or a risk that is no number. A payer or specialty that training never saw is no reason: the
model has learnt from encounters without them.
"""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from readmission_platform.models.boosting import soundness as boosting
from readmission_platform.models.boosting.soundness import far_beyond, no_risk, unseen
from readmission_platform.models.readmission_30d.inputs import DIAGNOSES

if TYPE_CHECKING:
    from readmission_platform.models.readmission_30d.features import EncounterEncoder

# Codes that decide where a patient comes from and goes to. To trees a new one is "missing", and which way missing goes
# was learnt from encounters to which something else had happened.
CODES = {
    "admission_type_id": "admission type",
    "discharge_disposition_id": "discharge disposition",
    "admission_source_id": "admission source",
}
COUNT_WORDS = {
    "time_in_hospital": "length of stay",
    "num_lab_procedures": "number of laboratory tests",
    "num_procedures": "number of procedures",
    "num_medications": "number of medicines",
    "number_outpatient": "number of outpatient visits",
    "number_emergency": "number of emergency visits",
    "number_inpatient": "number of inpatient stays",
    "prior_encounters": "number of previous stays",
    "prior_readmissions_30d": "number of earlier readmissions",
    "previous_time_in_hospital": "length of the previous stay",
    "prior_mean_time_in_hospital": "mean length of previous stays",
    "prior_max_number_inpatient": "number of inpatient stays before a previous stay",
}
NO_DIAGNOSIS = "no diagnosis is recorded"


def withheld_because(encoder: "EncounterEncoder", inputs: pd.DataFrame, risk: np.ndarray) -> list[str | None]:
    """Say for each encounter why it is withheld, without any of its values; None where it is scored.

    Parameters
    ----------
    encoder
        As fitted with the model.
    inputs
        ``MODEL_INPUTS``, one row per encounter.
    risk
        What the model says, shape (encounters,).
    """
    rules = [
        *unseen(inputs, encoder.seen_, CODES),
        *far_beyond(inputs, encoder.ranges_, COUNT_WORDS),
        (NO_DIAGNOSIS, inputs[DIAGNOSES].isna().all(axis=1).to_numpy()),
        *no_risk(risk),
    ]
    return boosting.withheld_because(rules, len(inputs))
