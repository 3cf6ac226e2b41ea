"""What a clinician sees as one thing among the model's features, and how it is said of an encounter.

What belongs here: the concepts, the features of each, and their words, among them our short names of the source's code
lists (IDS_mapping.csv). What does not: which of them are named for an encounter (``boosting.reasons``).

Race, gender and payer are concepts without words: they count in the sums and are never given as a reason.
"""

import re
from typing import Any

from readmission_platform.encounters.cohort import DRUG_COLUMNS
from readmission_platform.encounters.icd9 import chapter_of
from readmission_platform.models.boosting.concepts import Concept, Row, counted, is_missing, named, never_said
from readmission_platform.models.readmission_30d.inputs import COMMON_DRUGS

DISCHARGED = {
    1: "discharged home",
    2: "transferred to another short-term hospital",
    3: "discharged to a skilled nursing facility",
    4: "discharged to an intermediate care facility",
    5: "transferred to another kind of inpatient care",
    6: "discharged home with home health care",
    7: "left against medical advice",
    8: "discharged home with intravenous therapy",
    9: "admitted here as an inpatient",
    10: "newborn transferred to another hospital",
    12: "expected back as an outpatient",
    15: "transferred to a swing bed",
    16: "referred elsewhere as an outpatient",
    17: "referred here as an outpatient",
    22: "discharged to rehabilitation",
    23: "discharged to a long-term care hospital",
    24: "discharged to a nursing facility (Medicaid)",
    27: "transferred to a federal facility",
    28: "discharged to psychiatric care",
    29: "transferred to a critical access hospital",
    30: "transferred to another kind of facility",
}
ADMITTED_AS = {
    1: "emergency admission",
    2: "urgent admission",
    3: "elective admission",
    4: "newborn",
    7: "trauma admission",
}
CAME_FROM = {
    1: "referred by a physician",
    2: "referred by a clinic",
    3: "referred by the health plan",
    4: "came from another hospital",
    5: "came from a skilled nursing facility",
    6: "came from another health care facility",
    7: "came through the emergency department",
    8: "came through court or law enforcement",
    10: "came from a critical access hospital",
    11: "normal delivery",
    12: "premature delivery",
    13: "sick newborn",
    14: "born outside the hospital",
    18: "came from another home health agency",
    19: "came back from the same home health agency",
    22: "came from another unit of this hospital",
    23: "born in this hospital",
    24: "born outside this hospital",
    25: "came from ambulatory surgery",
    26: "came from hospice",
}
CHAPTER_WORDS = {
    "infectious": "infection",
    "neoplasms": "neoplasm",
    "mental": "mental health",
    "nervous": "nervous system",
    "symptoms": "symptoms and signs",
    "injury": "injury or poisoning",
    "supplementary": "other contact with health care (V code)",
    "external": "external cause (E code)",
}
NO_EARLIER_STAY = "no previous stay on record"


def _acute(row: Row) -> str:
    stays, visits = int(row["number_inpatient"]), int(row["number_emergency"])
    if not stays and not visits:
        return "no inpatient stay or emergency visit in the past year"
    both = [counted(stays, "inpatient stay")] * bool(stays) + [counted(visits, "emergency visit")] * bool(visits)
    return f"{' and '.join(both)} in the past year"


def _earlier_stays(row: Row) -> str:
    if not row["prior_encounters"]:
        return NO_EARLIER_STAY
    said = f"{counted(row['prior_encounters'], 'previous stay')} on record"
    most = row["prior_max_number_inpatient"]
    if is_missing(most) or not most:
        return said
    which = "itself" if row["prior_encounters"] == 1 else "one of them"
    return f"{said}, {which} preceded by {counted(most, 'inpatient stay')} within a year"


def _earlier_readmissions(row: Row) -> str:
    if row["prior_readmissions_30d"]:
        return f"readmitted within 30 days of {counted(row['prior_readmissions_30d'], 'previous stay')}"
    if row["previous_outcome"] == ">30":
        return "readmitted more than 30 days after the previous stay"
    return "no recorded readmission within 30 days"


def _earlier_lengths(row: Row) -> str:
    if is_missing(row["previous_time_in_hospital"]):
        return NO_EARLIER_STAY
    last, mean = counted(row["previous_time_in_hospital"], "day"), row["prior_mean_time_in_hospital"]
    said = f"previous stay of {last}"
    return f"{said}, {mean:.1f} on average over all previous stays" if row["prior_encounters"] > 1 else said


def _earlier_discharge(row: Row) -> str | None:
    if not row["prior_encounters"]:
        return NO_EARLIER_STAY
    said = DISCHARGED.get(row["previous_disposition"])
    return f"after the previous stay: {said}" if said else None


def _chapter(code: Any) -> str | None:
    found = None if is_missing(code) else chapter_of(str(code))
    return None if found is None else CHAPTER_WORDS.get(found, found)


def _first_diagnosis(row: Row) -> str | None:
    found = _chapter(row["diag_1"])
    return f"primary diagnosis: {found}" if found else None


def _further_diagnoses(row: Row) -> str | None:
    found = list(dict.fromkeys(filter(None, (_chapter(row["diag_2"]), _chapter(row["diag_3"])))))
    return f"secondary diagnoses: {', '.join(found)}" if found else None


def _age(row: Row) -> str | None:
    if is_missing(row["age"]):
        return None
    first = int(str(row["age"]).strip("[)").split("-")[0])
    return f"age {first} to {first + 9}"


def _diabetes_medicines(row: Row) -> str:
    doses = [row[name] for name in DRUG_COLUMNS]
    changed = sum(dose in ("Down", "Up") for dose in doses)
    given = changed + doses.count("Steady")
    said = counted(given, "diabetes medicine")
    if changed:
        return f"{said}, {counted(changed, 'dose')} changed"
    return f"{said}, treatment changed" if row["change"] == "Ch" else said


_INSULIN = {"No": "no insulin", "Down": "insulin dose lowered", "Steady": "on insulin, dose unchanged",
            "Up": "insulin dose raised"}  # fmt: skip
_A1C = {"None": "A1C not measured", "Norm": "A1C normal", ">7": "A1C above 7 %", ">8": "A1C above 8 %"}
_GLUCOSE = {"None": "serum glucose not measured", "Norm": "serum glucose normal",
            ">200": "serum glucose above 200 mg/dL", ">300": "serum glucose above 300 mg/dL"}  # fmt: skip


def _specialty(row: Row) -> str | None:
    value = row["medical_specialty"]
    if is_missing(value):
        return None
    return f"admitting specialty: {re.sub('(?<=[a-z])(?=[A-Z])', ' ', str(value))}"


CONCEPTS = (
    Concept("inpatient stays and emergency visits", ("number_inpatient", "number_emergency", "acute_visits"), _acute),
    Concept("outpatient visits", ("number_outpatient",),
            lambda row: f"{counted(row['number_outpatient'], 'outpatient visit')} in the past year"),
    Concept("previous stays", ("prior_encounters", "prior_max_number_inpatient"), _earlier_stays),
    Concept("earlier readmissions", ("prior_readmissions_30d", "previous_outcome"), _earlier_readmissions),
    Concept("length of previous stays", ("previous_time_in_hospital", "prior_mean_time_in_hospital"), _earlier_lengths),
    Concept("discharge of the previous stay", ("previous_disposition",), _earlier_discharge),
    Concept("discharge", ("discharge_disposition_id", "discharge_disposition_id_rate"),
            named("discharge_disposition_id", DISCHARGED)),
    Concept("admission type", ("admission_type_id",), named("admission_type_id", ADMITTED_AS)),
    Concept("admission source", ("admission_source_id", "admission_source_id_rate"),
            named("admission_source_id", CAME_FROM)),
    Concept("length of stay", ("time_in_hospital",), lambda row: f"stay of {counted(row['time_in_hospital'], 'day')}"),
    Concept("primary diagnosis", ("diag_1_chapter", "diag_1_rate", "diag_1_category_rate"), _first_diagnosis),
    Concept("secondary diagnoses", ("diag_2_chapter", "diag_2_rate", "diag_2_category_rate",
                                  "diag_3_chapter", "diag_3_rate", "diag_3_category_rate"), _further_diagnoses),
    Concept("number of diagnoses", ("number_diagnoses",),
            lambda row: f"{counted(row['number_diagnoses'], 'diagnosis', 'diagnoses')} recorded"),
    Concept("age", ("age",), _age),
    Concept("medicines", ("num_medications",),
            lambda row: f"{counted(row['num_medications'], 'medicine')} during the stay"),
    Concept("insulin", ("insulin",), named("insulin", _INSULIN)),
    Concept("diabetes medicines", ("drugs_given", "doses_changed", "change", "diabetesMed",
                                   *(drug for drug in COMMON_DRUGS if drug != "insulin")), _diabetes_medicines),
    Concept("A1C", ("A1Cresult",), named("A1Cresult", _A1C)),
    Concept("glucose", ("max_glu_serum",), named("max_glu_serum", _GLUCOSE)),
    Concept("laboratory tests", ("num_lab_procedures",),
            lambda row: counted(row["num_lab_procedures"], "laboratory test")),
    Concept("procedures", ("num_procedures",),
            lambda row: f"{counted(row['num_procedures'], 'procedure')} during the stay"),
    Concept("specialty", ("medical_specialty", "medical_specialty_rate"), _specialty),
    Concept("race", ("race",), never_said),
    Concept("gender", ("gender",), never_said),
    Concept("payer", ("payer_code", "payer_code_rate"), never_said),
)  # fmt: skip
