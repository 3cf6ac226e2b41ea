"""The input columns of the model, by how they are read: what encoders, words, monitoring and checks agree on.

What belongs here: names of columns and of features, and their values. What does not: encoding them (``features``),
which needs scikit-learn; this module is imported wherever the contract is.
"""

from readmission_platform.encounters.cohort import SOURCE_COLUMNS
from readmission_platform.encounters.history import HISTORY_COLUMNS
from readmission_platform.encounters.icd9 import CHAPTERS

IDENTIFIERS = frozenset({"encounter_id", "patient_nbr", "discharge_date", "entity_key", "clock", "part", "fold"})
OUTCOMES = frozenset({"readmitted", "readmitted_30d"})

# What a discharge and its history must bring for scoring.
MODEL_INPUTS = [column for column in SOURCE_COLUMNS if column not in IDENTIFIERS | OUTCOMES] + HISTORY_COLUMNS

COUNTS = [
    "time_in_hospital",
    "num_lab_procedures",
    "num_procedures",
    "num_medications",
    "number_outpatient",
    "number_emergency",
    "number_inpatient",
    "number_diagnoses",
    "prior_encounters",
    "prior_readmissions_30d",
    "previous_time_in_hospital",
    "prior_mean_time_in_hospital",
    "prior_max_number_inpatient",
]

# Drugs given often enough to learn from; the others count in "drugs given" and "doses changed".
COMMON_DRUGS = "insulin metformin glipizide glyburide pioglitazone rosiglitazone glimepiride repaglinide".split()

ORDERED_VALUES = {
    "age": {f"[{decade}-{decade + 10})": decade + 5.0 for decade in range(0, 100, 10)},
    **{drug: {"No": 0.0, "Down": 1.0, "Steady": 2.0, "Up": 3.0} for drug in COMMON_DRUGS},
    "A1Cresult": {"None": 0.0, "Norm": 1.0, ">7": 2.0, ">8": 3.0},
    "max_glu_serum": {"None": 0.0, "Norm": 1.0, ">200": 2.0, ">300": 3.0},
    "change": {"No": 0.0, "Ch": 1.0},
    "diabetesMed": {"No": 0.0, "Yes": 1.0},
}

# Categories whose values are known beforehand. The identifiers of the source's code lists are codes already.
CODE_LISTS = ["admission_type_id", "discharge_disposition_id", "admission_source_id", "previous_disposition"]
NAMED_VALUES = {
    "race": ["AfricanAmerican", "Asian", "Caucasian", "Hispanic", "Other"],
    "gender": ["Female", "Male"],
    "previous_outcome": ["<30", ">30"],
}
CHAPTER_NAMES = list(dict.fromkeys([*(name for _, name in CHAPTERS), "supplementary", "external"]))
DIAGNOSES = ["diag_1", "diag_2", "diag_3"]
# Categories whose values only the data tell.
LEARNT = ["payer_code", "medical_specialty"]
# Target statistics and the column each is of. A diagnosis has two: of its code and of its category (250 of 250.83).
TARGET_STATISTICS = {
    **{f"{name}_rate": name for name in DIAGNOSES},
    **{f"{name}_category_rate": name for name in DIAGNOSES},
    **{f"{name}_rate": name for name in [*LEARNT, "discharge_disposition_id", "admission_source_id"]},
}
DERIVED = ["acute_visits", "drugs_given", "doses_changed"]
CATEGORIES = [*CODE_LISTS, *NAMED_VALUES, *(f"{diagnosis}_chapter" for diagnosis in DIAGNOSES), *LEARNT]


def feature_names(*, target_statistics: bool = True) -> list[str]:
    """Return the names of an encoder's output columns, in order."""
    return [*COUNTS, *DERIVED, *ORDERED_VALUES, *CATEGORIES, *(TARGET_STATISTICS if target_statistics else [])]
