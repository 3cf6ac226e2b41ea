"""FHIR resources made from discharges of the contract: how the reader is tried out, and the replay delivers.

What belongs here: the way back from ``mapping``. What does not: files (``storage.landing``). A column is written in
standard resources; where these cannot say it (the visits of the year before, of which the feed knows the number alone;
counts that contradict the rest of the row) the Encounter states it in an extension.
"""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pandas as pd

from readmission_platform.encounters.cohort import DRUG_COLUMNS, PREVIOUS_RETURN
from readmission_platform.encounters.fhir import terminology as terms
from readmission_platform.encounters.fhir.mapping import treatment
from readmission_platform.encounters.icd9 import normal_code

# A value of each result, below and above the limits.
_VALUES: dict[str, tuple[str, str, dict[str, float]]] = {
    "A1Cresult": ("4548-4", "%", {"Norm": 6.1, ">7": 7.4, ">8": 9.2}),
    "max_glu_serum": ("2345-7", "mg/dL", {"Norm": 118, ">200": 240, ">300": 355}),
}
_DOSES = {"Steady": (10,), "Up": (10, 20), "Down": (20, 10)}
_CODE = re.compile(r"[^\s]+(?:[\s][^\s]+)*")
_RACE_CODES = {"Caucasian": "2106-3", "AfricanAmerican": "2054-5", "Asian": "2028-9", "Other": "2131-1"}


def write_fhir(rows: pd.DataFrame, day: str) -> Iterator[dict[str, Any]]:
    """Yield the resources of discharges of a day, which keep the contract: for each Encounter what it refers to first.

    Patients whose facts differ between discharges are several Patient resources with the same number.
    """
    patients: dict[tuple[Any, ...], str] = {}
    stays: dict[str, int] = {}
    for record in rows.to_dict("records"):
        row = {str(name): None if pd.isna(value) else value for name, value in record.items()}
        facts = tuple(row[name] for name in ("patient_nbr", "race", "gender", "age", "payer_code"))
        if facts not in patients:
            count = sum(known[0] == facts[0] for known in patients)
            patients[facts] = f"p{row['patient_nbr']}" + (f"-{count}" if count else "")
            yield from _patient(row, patients[facts], day)
        number = str(row["encounter_id"])
        stays[number] = stays.get(number, 0) + 1
        name = f"e{number}" + (f"-{stays[number]}" if stays[number] > 1 else "")
        yield from _stay(row, name, patients[facts], day)


def _concept(system: str, text: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": text}]} if _CODE.fullmatch(text) else {"text": text}


def _patient(row: dict[str, Any], name: str, day: str) -> Iterator[dict[str, Any]]:
    decade = int(row["age"][1:].partition("-")[0])
    patient: dict[str, Any] = {
        "resourceType": "Patient",
        "id": name,
        "identifier": [{"system": terms.PATIENT_NUMBER, "value": str(row["patient_nbr"])}],
        "gender": next(code for code, gender in terms.GENDERS.items() if gender == row["gender"] and code != "other"),
        # On any day of this year and the last, the age is within the decade.
        "birthDate": f"{int(day[:4]) - decade - 5:04d}-01-01",
    }
    if row["race"] is not None:
        hispanic = row["race"] == "Hispanic"
        url = terms.US_CORE_ETHNICITY if hispanic else terms.US_CORE_RACE
        code = terms.HISPANIC if hispanic else _RACE_CODES[row["race"]]
        omb = {"url": "ombCategory", "valueCoding": {"system": terms.RACE_AND_ETHNICITY, "code": code}}
        patient["extension"] = [{"url": url, "extension": [omb, {"url": "text", "valueString": row["race"]}]}]
    yield patient
    if row["payer_code"] is not None:
        yield {
            "resourceType": "Coverage", "id": f"{name}-coverage", "status": "active",
            "type": _concept(terms.PAYER, row["payer_code"]), "beneficiary": {"reference": f"Patient/{name}"},
            "payor": [{"display": "payer"}],
        }  # fmt: skip


def _stay(row: dict[str, Any], name: str, patient: str, day: str) -> Iterator[dict[str, Any]]:
    encounter = _encounter(row, name, patient, day)
    links = {"subject": encounter["subject"], "encounter": {"reference": f"Encounter/{name}"}}
    conditions = [_condition(name, rank, row.get(f"diag_{rank}"), links["subject"]) for rank in _ranks(row)]
    if conditions:
        encounter["diagnosis"] = [
            {"condition": {"reference": f"Condition/{each['id']}"}, "rank": rank}
            for rank, each in zip(_ranks(row), conditions, strict=True)
        ]
    yield from conditions
    yield encounter
    for number in range(int(row["num_procedures"])):
        yield {"resourceType": "Procedure", "id": f"{name}-procedure-{number}", "status": "completed", **links,
               "code": {"text": f"procedure {number}"}}  # fmt: skip
    yield from _requests(row, name, links, begin=encounter["period"]["start"], end=day)
    yield from _observations(row, name, links)


def _encounter(row: dict[str, Any], name: str, patient: str, day: str) -> dict[str, Any]:
    begin = date.fromisoformat(day) - timedelta(days=int(row["time_in_hospital"]))
    derived = treatment({drug: row[drug] for drug in DRUG_COLUMNS})
    stated = [*terms.VISIT_COUNTS, *(column for column, value in derived.items() if value != row[column])]
    stated += ["num_medications"] if _taken(row) > int(row["num_medications"]) else []
    stated += [PREVIOUS_RETURN] if row.get(PREVIOUS_RETURN) is not None else []
    stated += ["number_diagnoses"] if len(_ranks(row)) != int(row["number_diagnoses"]) else []
    encounter: dict[str, Any] = {
        "resourceType": "Encounter",
        "id": name,
        "extension": [_extension(column, row[column]) for column in stated],
        "identifier": [{"system": terms.ENCOUNTER_NUMBER, "value": str(row["encounter_id"])}],
        "status": "finished",
        "class": {"system": terms.ACT_CODE, "code": "IMP"},
        "priority": _concept(terms.ADMISSION_TYPE, str(row["admission_type_id"])),
        "subject": {"reference": f"Patient/{patient}"},
        "period": {"start": begin.isoformat(), "end": day},
        "hospitalization": {
            "admitSource": _concept(terms.ADMISSION_SOURCE, str(row["admission_source_id"])),
            "dischargeDisposition": _concept(terms.DISPOSITION, str(row["discharge_disposition_id"])),
        },
    }
    if row["medical_specialty"] is not None:
        encounter["serviceType"] = _concept(terms.SPECIALTY, row["medical_specialty"])
    return encounter


def _extension(column: str, value: Any) -> dict[str, Any]:
    said = {"valueString": value} if isinstance(value, str) else {"valueInteger": int(value)}
    return {"url": terms.extension_url(column), **said}


def _ranks(row: dict[str, Any]) -> list[int]:
    """Return the ranks of the diagnoses: those that have a code, and as many others as the number says."""
    coded = [rank for rank in (1, 2, 3) if row[f"diag_{rank}"] is not None]
    return [*coded, *range(4, 4 + int(row["number_diagnoses"]) - len(coded))]


def _condition(stay: str, rank: int, code: str | None, subject: dict[str, str]) -> dict[str, Any]:
    system = terms.ICD10[0] if code is not None and normal_code(code) is None else terms.ICD9[0]
    said = {"text": "diagnosis without a code"} if code is None else {"coding": [{"system": system, "code": code}]}
    return {"resourceType": "Condition", "id": f"{stay}-diagnosis-{rank}", "code": said, "subject": subject}


def _taken(row: dict[str, Any]) -> int:
    return sum(row[drug] != "No" for drug in DRUG_COLUMNS)


def _requests(
    row: dict[str, Any], name: str, links: dict[str, Any], *, begin: str, end: str
) -> Iterator[dict[str, Any]]:
    for drug in DRUG_COLUMNS:
        concept = {"coding": [{"system": terms.RXNORM, "code": terms.INGREDIENTS[part][0], "display": part}
                              for part in drug.split("-") if terms.INGREDIENTS[part]], "text": drug}  # fmt: skip
        for number, dose in enumerate(_DOSES.get(row[drug], ())):
            yield _request(f"{name}-{drug}-{number}", links, {key: said for key, said in concept.items() if said}) | {
                "authoredOn": (begin, end)[number],
                "dosageInstruction": [
                    {"doseAndRate": [{"doseQuantity": {"value": dose, "system": terms.UCUM, "code": "mg"}}]}
                ],
            }
    for number in range(int(row["num_medications"]) - _taken(row)):
        yield _request(f"{name}-medication-{number}", links, {"text": f"medication {number}"})


def _request(name: str, links: dict[str, Any], concept: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "MedicationRequest", "id": name, "status": "completed", "intent": "order", **links,
            "medicationCodeableConcept": concept}  # fmt: skip


def _observations(row: dict[str, Any], name: str, links: dict[str, Any]) -> Iterator[dict[str, Any]]:
    laboratory = [{"coding": [{"system": terms.CATEGORY, "code": "laboratory"}]}]
    left = int(row["num_lab_procedures"])
    for column, (code, unit, values) in _VALUES.items():
        if row[column] not in values:
            continue
        result: dict[str, Any] = {
            "resourceType": "Observation", "id": f"{name}-{code}", "status": "final", **links,
            "code": {"coding": [{"system": terms.LOINC, "code": code}]},
            "valueQuantity": {"value": values[row[column]], "system": terms.UCUM, "code": unit},
        }  # fmt: skip
        yield result | ({"category": laboratory} if left else {})
        left -= bool(left)
    for number in range(left):
        yield {"resourceType": "Observation", "id": f"{name}-test-{number}", "status": "final", **links,
               "category": laboratory, "code": {"text": f"test {number}"}}  # fmt: skip
    if row["weight"] is not None:
        yield {"resourceType": "Observation", "id": f"{name}-weight", "status": "final", **links,
               "code": {"coding": [{"system": terms.LOINC, "code": terms.BODY_WEIGHT}]},
               "valueString": row["weight"]}  # fmt: skip
