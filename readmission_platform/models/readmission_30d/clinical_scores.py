"""LACE and HOSPITAL, as far as this source's columns allow: the scores a model has to beat.

Both are proxies, and say so wherever they are shown. LACE (van Walraven et al. 2010): length of stay is
exact, acuity comes from the admission type, comorbidity is undercounted because only three diagnoses are
recorded, and emergency visits cover twelve months instead of six. HOSPITAL (Donze et al. 2013): haemoglobin
and sodium are not recorded, so their two points cannot be given.
"""

import numpy as np
import pandas as pd

from readmission_platform.encounters.icd9 import numeric_code

EMERGENCY, URGENT, TRAUMA = 1, 2, 7

# Charlson groups as LACE weighs them: points and the ICD-9 ranges [start, end) of each.
_COMORBIDITIES: tuple[tuple[int, tuple[tuple[float, float], ...]], ...] = (
    (1, ((410, 411), (412, 413))),  # previous myocardial infarction
    (1, ((430, 439),)),  # cerebrovascular disease
    (1, ((440, 448),)),  # peripheral vascular disease
    (1, ((250, 250.4),)),  # diabetes without complications
    (2, ((428, 429),)),  # congestive heart failure
    (2, ((250.4, 251),)),  # diabetes with end-organ damage
    (2, ((490, 497), (500, 506))),  # chronic pulmonary disease
    (2, ((571, 572), (582, 587))),  # mild liver or renal disease
    (2, ((140, 196), (200, 209))),  # any tumour, lymphoma, leukaemia
    (3, ((290, 291),)),  # dementia
    (3, ((710, 711), (714, 715))),  # connective tissue disease
    (4, ((42, 43),)),  # AIDS
    (4, ((572, 573),)),  # moderate or severe liver disease
    (6, ((196, 200),)),  # metastatic solid tumour
)


def lace(frame: pd.DataFrame) -> np.ndarray:
    """Return the LACE proxy of each encounter, 0 to 19 points."""
    days = frame["time_in_hospital"].to_numpy()
    length = np.select([days < 1, days == 1, days == 2, days == 3, days <= 6, days <= 13], [0, 1, 2, 3, 4, 5], 7)
    acute = np.where(frame["admission_type_id"].isin([EMERGENCY, URGENT, TRAUMA]), 3, 0)
    charlson = _charlson_points(frame)
    comorbidity = np.where(charlson >= 4, 5, charlson)
    emergency = np.minimum(frame["number_emergency"].to_numpy(), 4)
    return np.asarray(length + acute + comorbidity + emergency, dtype="float64")


def hospital(frame: pd.DataFrame) -> np.ndarray:
    """Return the HOSPITAL proxy of each encounter, 0 to 11 points."""
    oncology = frame["medical_specialty"].fillna("").str.contains("Oncology").to_numpy()
    procedure = frame["num_procedures"].to_numpy() > 0
    urgent = frame["admission_type_id"].isin([EMERGENCY, URGENT, TRAUMA]).to_numpy()
    admissions = frame["number_inpatient"].to_numpy()
    admitted = np.select([admissions == 0, admissions <= 5], [0, 2], 5)
    long_stay = frame["time_in_hospital"].to_numpy() >= 5
    return np.asarray(2 * oncology + procedure + urgent + admitted + 2 * long_stay, dtype="float64")


def _charlson_points(frame: pd.DataFrame) -> np.ndarray:
    """Add up the points of the groups found among the three recorded diagnoses."""
    diagnoses = np.column_stack([numeric_code(frame[name]).to_numpy() for name in ("diag_1", "diag_2", "diag_3")])
    points = np.zeros(len(frame))
    for weight, ranges in _COMORBIDITIES:
        found = np.zeros(len(frame), dtype=bool)
        for start, end in ranges:
            found |= ((diagnoses >= start) & (diagnoses < end)).any(axis=1)
        points += weight * found
    return points
