"""What the codes of FHIR resources mean in the terms of the encounter contract.

What belongs here: systems of codes and tables from their codes to the source's. What does not: finding the codes in
resources (``mapping``). Tables hold only what is plain; ``docs/deliveries.md`` shows them.

Sources: IDS_mapping.csv of the source; HL7 Terminology (admit-source, discharge-disposition, v3-ActPriority); the UB-04
codes of the National Uniform Billing Committee; US Core; LOINC; RxNorm ingredients.
"""

from collections.abc import Mapping

from readmission_platform.encounters.cohort import DRUG_COLUMNS, PREVIOUS_RETURN

# Of the project's own systems and extensions. It is a name, and nothing lies there.
BASE = "https://readmission.example/fhir"
_HL7 = "http://terminology.hl7.org/CodeSystem"
_NUBC = "https://www.nubc.org/CodeSystem"

ENCOUNTER_NUMBER, PATIENT_NUMBER = f"{BASE}/identifier/encounter", f"{BASE}/identifier/patient"
# Types of identifiers (v2-0203): visit number, medical record number.
VISIT, MEDICAL_RECORD = "VN", "MR"

ADMISSION_TYPE, ADMISSION_SOURCE = f"{BASE}/CodeSystem/admission-type", f"{BASE}/CodeSystem/admission-source"
DISPOSITION, PAYER = f"{BASE}/CodeSystem/discharge-disposition", f"{BASE}/CodeSystem/payer"
SPECIALTY = f"{BASE}/CodeSystem/medical-specialty"
ACT_CODE, CATEGORY = f"{_HL7}/v3-ActCode", f"{_HL7}/observation-category"
DIAGNOSIS_ROLE = f"{_HL7}/diagnosis-role"
ICD9 = ("http://hl7.org/fhir/sid/icd-9-cm", "urn:oid:2.16.840.1.113883.6.103")
ICD10 = ("http://hl7.org/fhir/sid/icd-10-cm", "urn:oid:2.16.840.1.113883.6.90")
LOINC, RXNORM, UCUM = "http://loinc.org", "http://www.nlm.nih.gov/research/umls/rxnorm", "http://unitsofmeasure.org"
US_CORE_RACE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race"
US_CORE_ETHNICITY = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-ethnicity"
RACE_AND_ETHNICITY = "urn:oid:2.16.840.1.113883.6.238"


def _itself(highest: int) -> dict[str, str]:
    return {str(code): str(code) for code in range(1, highest + 1)}


# By column: the source's code of what a resource says nothing of, and that of each code of each system.
SAID_NOTHING = {"admission_type_id": "6", "admission_source_id": "17", "discharge_disposition_id": "18"}
CODES: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "admission_type_id": {
        ADMISSION_TYPE: _itself(8),
        f"{_HL7}/v3-ActPriority": {"EM": "1", "UR": "2", "EL": "3"},
        f"{_NUBC}/PriorityTypeOfAdmitOrVisit": {"1": "1", "2": "2", "3": "3", "4": "4", "5": "7", "9": "5"},
    },
    "admission_source_id": {
        ADMISSION_SOURCE: _itself(26),
        f"{_HL7}/admit-source": {
            "hosp-trans": "4", "emd": "7", "outp": "2", "born": "23", "gp": "1", "mp": "1", "nursing": "5",
            "psych": "6", "rehab": "6", "other": "20",
        },
        f"{_NUBC}/PointOfOrigin": {
            "1": "1", "2": "2", "4": "4", "5": "5", "6": "6", "7": "7", "8": "8", "9": "9", "D": "22", "E": "25",
            "F": "26",
        },
    },
    "discharge_disposition_id": {
        DISPOSITION: _itself(30),
        f"{_HL7}/discharge-disposition": {
            "home": "1", "alt-home": "1", "other-hcf": "5", "hosp": "14", "aadvice": "7", "exp": "11", "psy": "28",
            "rehab": "22", "snf": "3", "long": "25", "oth": "25",
        },
        f"{_NUBC}/PatDischargeStatus": {
            **{f"{code:02d}": str(code) for code in range(1, 10)}, "20": "11", "30": "12", "40": "19", "41": "20",
            "42": "21", "43": "27", "50": "13", "51": "14", "61": "15", "62": "22", "63": "23", "64": "24", "65": "28",
            "66": "29", "70": "30",
        },
    },
}  # fmt: skip
DIED = "11"

# Classes of encounters (v3-ActCode), and as which visits they count in the year before; None: as none.
CLASSES = {
    "AMB": "number_outpatient", "EMER": "number_emergency", "IMP": "number_inpatient", "ACUTE": "number_inpatient",
    "NONAC": "number_inpatient", "FLD": None, "HH": None, "OBSENC": None, "PRENC": None, "SS": None, "VR": None,
}  # fmt: skip
VISIT_COUNTS = ("number_outpatient", "number_emergency", "number_inpatient")
# What the Encounter may state in an extension of ours, which then counts.
STATED = (*VISIT_COUNTS, "num_lab_procedures", "num_procedures", "num_medications", "number_diagnoses", "change",
          "diabetesMed", PREVIOUS_RETURN)  # fmt: skip

GENDERS = {"male": "Male", "female": "Female", "other": "Unknown/Invalid", "unknown": "Unknown/Invalid"}
RACES = {
    "2106-3": "Caucasian", "2054-5": "AfricanAmerican", "2028-9": "Asian", "1002-5": "Other", "2076-8": "Other",
    "2131-1": "Other",
}  # fmt: skip
HISPANIC, OTHER_RACE, SEVERAL_RACES = "2135-2", "2131-1", "Other"

# By column: the tests (LOINC), what their values are multiplied with by unit (UCUM), and the limits, highest first.
TESTS = {
    "A1Cresult": (("4548-4", "4549-2", "17855-8", "17856-6"), {"%": 1.0}, ((8, ">8"), (7, ">7"))),
    "max_glu_serum": (
        ("2345-7", "1558-6", "14749-6"), {"mg/dL": 1.0, "mmol/L": 18.016}, ((300, ">300"), (200, ">200")),
    ),
}  # fmt: skip
NORMAL, NOT_DONE = "Norm", "None"
BODY_WEIGHT = "29463-7"

# By ingredient: its codes in RxNorm. The source's other two, examide and citoglipton, have none.
INGREDIENTS = {
    "metformin": ("6809",), "repaglinide": ("73044",), "nateglinide": ("274332",), "chlorpropamide": ("2404",),
    "glimepiride": ("25789",), "acetohexamide": ("173",), "glipizide": ("4821",), "glyburide": ("4815",),
    "tolbutamide": ("10635",), "pioglitazone": ("33738",), "rosiglitazone": ("84108",), "acarbose": ("16681",),
    "miglitol": ("30009",), "troglitazone": ("72610",), "tolazamide": ("10633",), "examide": (), "citoglipton": (),
    # Insulin; lispro, aspart, glargine, detemir, glulisine.
    "insulin": ("5856", "86009", "51428", "274783", "139825", "400008"),
}  # fmt: skip
COMBINATIONS = {frozenset(name.split("-")): name for name in DRUG_COLUMNS if "-" in name}


def extension_url(column: str) -> str:
    """Return the URL of the extension in which an Encounter states a column of ``STATED``."""
    return f"{BASE}/StructureDefinition/{column.replace('_', '-')}"
