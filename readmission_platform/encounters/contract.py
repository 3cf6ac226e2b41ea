"""The encounter contract: what a row of the hospital's feed must look like to be trained on or scored.

What belongs here: types, ranges and code lists of the source's columns, and the folders of the feed. What does not:
reading and checking rows by a contract (``intake.contract``), and what happens to rows that break it (the asset of raw
encounters stops, the intake of discharges quarantines).
"""

from dataclasses import replace

import pandas as pd

from readmission_platform.encounters.cohort import (
    CANNOT_BE_READMITTED,
    DRUG_COLUMNS,
    FEED_COLUMNS,
    MATURITY_DAYS,
    PREVIOUS_RETURN,
    SOURCE_COLUMNS,
)
from readmission_platform.encounters.fhir.reading import is_resource, read_fhir
from readmission_platform.encounters.fhir.writing import write_fhir
from readmission_platform.encounters.icd9 import NORMAL_CODE, normal_code
from readmission_platform.encounters.icd10 import TO_ICD9
from readmission_platform.encounters.spellings import DECADES, SPELLINGS, USUAL_TEXTS
from readmission_platform.intake.contract import EventDay, Excluded, Pattern, RowContract, RowWords, Why
from readmission_platform.intake.rules import LARGEST_EXACT
from readmission_platform.intake.sources import LandingFolders, ResourceFormat

# Every model of this feed may read them.
FHIR = ResourceFormat("fhir", is_resource, read_fhir, write_fhir)
LANDING = LandingFolders(rows="discharges", outcomes="outcomes", shared=True, resources=FHIR)

# Lowest and highest value of each count, with room beyond what the source shows (IDS_mapping.csv for code
# lists).
RANGES = {
    "encounter_id": (1, LARGEST_EXACT),
    "patient_nbr": (1, LARGEST_EXACT),
    "admission_type_id": (1, 8),
    "discharge_disposition_id": (1, 30),
    "admission_source_id": (1, 26),
    "time_in_hospital": (1, 60),
    "num_lab_procedures": (0, 250),
    "num_procedures": (0, 30),
    "num_medications": (0, 150),
    "number_outpatient": (0, 200),
    "number_emergency": (0, 200),
    "number_inpatient": (0, 200),
    "number_diagnoses": (1, 40),
}

VOCABULARIES = {
    "race": ("AfricanAmerican", "Asian", "Caucasian", "Hispanic", "Other"),
    "gender": ("Female", "Male", "Unknown/Invalid"),
    "age": tuple(f"[{decade}-{decade + 10})" for decade in DECADES),
    # "None" is a value of a test: it was not done.
    "A1Cresult": ("None", "Norm", ">7", ">8"),
    "max_glu_serum": ("None", "Norm", ">200", ">300"),
    "change": ("No", "Ch"),
    "diabetesMed": ("No", "Yes"),
    **dict.fromkeys(DRUG_COLUMNS, ("No", "Down", "Steady", "Up")),
}
OUTCOMES = ("NO", ">30", "<30")
NULLABLE = frozenset({"race", "weight", "payer_code", "medical_specialty", "diag_1", "diag_2", "diag_3"})
_ICD9 = Pattern(NORMAL_CODE, "not_icd9", normal_code, TO_ICD9)
# Of deliveries of FHIR resources: of a row, but for the first, which is of the files.
FHIR_REASONS = {
    "no_encounter": Why("the day's resources are there, but none of them is an Encounter",
                        "Have the source deliver the Encounters; the day is then taken in again."),
    "delivery_incomplete": Why("another of the day's resource files cannot be fully read, and may refer to it",
                               "Have the source deliver that file again; the day is then taken in again."),
    "not_fhir": Why("not a valid resource of FHIR R4"),
    "resource_unknown": Why("of a type that does not exist in FHIR R4"),
    "meaning_changed": Why("an element that is unknown here changes the meaning of the resource",
                           "Have the source deliver it without modifier extensions and implicit rules."),
    "reference_dangling": Why("refers to a resource that is not in the day's files",
                              "Have the source deliver that resource too; the day is then taken in again."),
    "resource_conflict": Why("resources contradict each other",
                             "Ask the source which is right, and have only that one delivered."),
    "identifier_unclear": Why("several identifiers, and no rule says which of them to use",
                              "Have the source mark one, by its type (VN, MR) or by the system named in the docs."),
}  # fmt: skip


def _cannot_be_readmitted(encounters: pd.DataFrame) -> "pd.Series[bool]":
    return pd.to_numeric(encounters["discharge_disposition_id"], errors="coerce").isin(CANNOT_BE_READMITTED)


ENCOUNTERS = RowContract(
    columns=tuple(FEED_COLUMNS),
    row="encounter_id",
    entity="patient_nbr",
    day="discharge_date",
    outcome="readmitted_30d",
    whole_numbers=RANGES,
    vocabularies={**VOCABULARIES, PREVIOUS_RETURN: OUTCOMES},
    spellings=SPELLINGS,
    usual_texts=USUAL_TEXTS,
    patterns=dict.fromkeys(("diag_1", "diag_2", "diag_3"), _ICD9),
    nullable=NULLABLE | {PREVIOUS_RETURN},
    optional=frozenset({PREVIOUS_RETURN}),
    reasons={
        "not_icd9": Why("neither an ICD-9-CM nor an ICD-10-CM code"),
        **FHIR_REASONS,
        "cannot_be_readmitted": Why(
            "died or went to hospice, so cannot be readmitted",
            "Nothing: the model is not made for them. If the code is wrong, have the source correct it.",
        ),
    },
    excluded=(Excluded("discharge_disposition_id", "cannot_be_readmitted", _cannot_be_readmitted),),
    event=EventDay("readmission_date", within_days=MATURITY_DAYS),
    words=RowWords(row="encounter", rows="discharges", events="readmissions"),
)

# The source also says how each encounter ended.
ENCOUNTERS_WITH_OUTCOME = replace(
    ENCOUNTERS,
    columns=tuple(SOURCE_COLUMNS),
    vocabularies={**VOCABULARIES, "readmitted": OUTCOMES},
    nullable=NULLABLE,
    optional=frozenset(),
)
