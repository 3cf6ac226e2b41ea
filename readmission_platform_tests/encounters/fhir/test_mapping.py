"""What each column is made from: the tables of the docs, line by line."""

import copy
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from readmission_platform.encounters.contract import ENCOUNTERS
from readmission_platform.encounters.fhir import terminology as terms
from readmission_platform_tests.support.bad_deliveries import clean_rows
from readmission_platform_tests.support.fhir import DAY, Resource, deliver, of, resources_of, typed

HL7, NUBC = "http://terminology.hl7.org/CodeSystem", "https://www.nubc.org/CodeSystem"
ROW = typed(
    clean_rows(1).assign(
        **dict.fromkeys(["num_lab_procedures", "num_procedures", "number_diagnoses"], "3"), num_medications="9",
        A1Cresult="None", max_glu_serum="None", diag_1="428", diag_2="250.02", diag_3="414", change="No",
        **{name: "No" for name in ENCOUNTERS.columns if ENCOUNTERS.vocabularies.get(name, ())[:2] == ("No", "Down")},
        diabetesMed="No",
    )
)  # fmt: skip


def accepted(resources: list[Resource], tmp_path: Path) -> pd.Series:
    intake = deliver(tmp_path, resources)
    assert intake.quarantined.empty, intake.quarantined.to_csv()
    return intake.accepted.iloc[0]


def changed(kind: str, **changes: Any) -> list[Resource]:
    resources = copy.deepcopy(resources_of(ROW))
    of(resources, kind)[0].update(changes)
    for name in [name for name, value in changes.items() if value is None]:
        del of(resources, kind)[0][name]
    return resources


def coded(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def linked(kind: str, **content: Any) -> Resource:
    """A resource that belongs to the discharge."""
    encounter = of(resources_of(ROW), "Encounter")[0]
    links = {"subject": encounter["subject"], "encounter": {"reference": f"Encounter/{encounter['id']}"}}
    return {"resourceType": kind, **links, **content}


ADMISSIONS = [
    ({"priority": coded(f"{HL7}/v3-ActPriority", "EM")}, "admission_type_id", 1),
    ({"priority": coded(f"{NUBC}/PriorityTypeOfAdmitOrVisit", "5")}, "admission_type_id", 7),
    ({"priority": None, "type": [coded("http://x.example", "99"), coded(terms.ADMISSION_TYPE, "3")]},
     "admission_type_id", 3),
    ({"priority": None}, "admission_type_id", 6),
    ({"hospitalization": {"admitSource": coded(f"{HL7}/admit-source", "emd")}}, "admission_source_id", 7),
    ({"hospitalization": {"admitSource": coded(f"{NUBC}/PointOfOrigin", "E")}}, "admission_source_id", 25),
    ({"hospitalization": None}, "admission_source_id", 17),
    ({"hospitalization": {"dischargeDisposition": coded(f"{HL7}/discharge-disposition", "snf")}},
     "discharge_disposition_id", 3),
    ({"hospitalization": {"dischargeDisposition": coded(f"{NUBC}/PatDischargeStatus", "62")}},
     "discharge_disposition_id", 22),
    ({"hospitalization": None}, "discharge_disposition_id", 18),
    ({"period": {"start": "2024-02-26T23:00:00-05:00", "end": f"{DAY}T01:00:00-05:00"}}, "time_in_hospital", 4),
    ({"period": {"start": f"{DAY}T01:00:00-05:00", "end": f"{DAY}T22:00:00-05:00"}}, "time_in_hospital", 1),
    ({"serviceType": {"text": "Internal Medicine"}}, "medical_specialty", "InternalMedicine"),
    ({"serviceType": None}, "medical_specialty", None),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "column", "value"), ADMISSIONS)
def test_the_encounter_tells_of_admission_and_discharge(
    changes: dict[str, Any], column: str, value: Any, tmp_path: Path
) -> None:
    assert accepted(changed("Encounter", **changes), tmp_path)[column] == value


def race(*codes: str, url: str = terms.US_CORE_RACE) -> dict[str, Any]:
    parts = [{"url": "ombCategory", "valueCoding": {"code": code}} for code in codes]
    return {"extension": [{"url": url, "extension": [*parts, {"url": "text", "valueString": "as told"}]}]}


PATIENTS = [
    (race("2106-3"), "race", "Caucasian"),
    (race("2054-5"), "race", "AfricanAmerican"),
    (race("1002-5"), "race", "Other"),
    (race("2106-3", "2028-9"), "race", "Other"),
    (race("UNK"), "race", None),
    (race("2135-2", url=terms.US_CORE_ETHNICITY), "race", "Hispanic"),
    (race("2186-5", url=terms.US_CORE_ETHNICITY), "race", None),
    ({"extension": None}, "race", None),
    ({"gender": "female"}, "gender", "Female"),
    ({"gender": "other"}, "gender", "Unknown/Invalid"),
    ({"birthDate": "1954"}, "age", "[60-70)"),
    ({"birthDate": "1945-07"}, "age", "[70-80)"),
]


@pytest.mark.parametrize(("changes", "column", "value"), PATIENTS)
def test_the_patient_tells_of_race_gender_and_age(
    changes: dict[str, Any], column: str, value: Any, tmp_path: Path
) -> None:
    if changes == {"birthDate": "1954"}:  # 69 or 70 in the year of the admission
        assert deliver(tmp_path, changed("Patient", **changes)).quarantined["code"].tolist() == ["missing_value"]
    else:
        assert accepted(changed("Patient", **changes), tmp_path)[column] == value


@pytest.mark.parametrize(("birthday", "band"), [("1954-02-28", "[60-70)"), ("1954-02-25", "[70-80)")])
def test_the_age_is_that_at_admission(birthday: str, band: str, tmp_path: Path) -> None:
    resources = changed("Encounter", period={"start": "2024-02-26", "end": DAY})
    of(resources, "Patient")[0]["birthDate"] = birthday
    assert accepted(resources, tmp_path)["age"] == band


def test_an_identifier_is_taken_by_its_system_then_by_its_type_then_as_the_only_one(tmp_path: Path) -> None:
    insured = {"type": {"coding": [{"code": "SS"}]}, "value": "1"}
    record = {"type": {"coding": [{"code": "MR"}]}, "value": "2"}
    own = {"system": terms.PATIENT_NUMBER, "value": "3"}
    former = {"use": "old", "value": "9"}
    found = []
    for number, listed in enumerate([[insured, record, own, former], [insured, record], [insured, {"value": " 4 "}]]):
        intake = accepted(changed("Patient", identifier=listed), tmp_path / str(number))
        found.append(intake["patient_nbr"])
    assert found == [3, 2, 4]


def earlier(kind: str, end: str, **content: Any) -> Resource:
    return {
        "resourceType": "Encounter", "id": f"{kind}-{end}", "status": "finished", "class": {"code": kind},
        "subject": of(resources_of(ROW), "Encounter")[0]["subject"], "period": {"start": end, "end": end}, **content,
    }  # fmt: skip


def test_visits_are_those_of_the_year_before_the_admission_in_the_delivery(tmp_path: Path) -> None:
    resources = changed("Encounter", extension=None, period={"start": "2024-02-26", "end": DAY})
    resources += [
        earlier("AMB", "2023-03-01"), earlier("AMB", "2023-02-20"), earlier("AMB", "2024-02-01"),
        earlier("EMER", "2024-02-25"), earlier("EMER", "2024-02-26"), earlier("IMP", "2023-12-24"),
        earlier("ACUTE", "2023-11-24"), earlier("IMP", "2023-10-01", status="cancelled"), earlier("HH", "2024-01-01"),
        earlier("IMP", "2023-09-01", partOf={"reference": "Encounter/IMP-2023-12-24"}),
    ]  # fmt: skip
    row = accepted(resources, tmp_path)
    assert row[["number_outpatient", "number_emergency", "number_inpatient"]].tolist() == [2, 1, 2]


def test_a_stay_that_is_not_over_is_no_row_and_neither_is_a_visit(tmp_path: Path) -> None:
    running = earlier("IMP", "2024-02-29", status="in-progress", period={"start": "2024-02-29"})
    assert accepted([*resources_of(ROW), running, earlier("AMB", DAY)], tmp_path)["encounter_id"] > 0


def test_what_belongs_to_a_part_of_a_stay_belongs_to_the_stay(tmp_path: Path) -> None:
    whole = of(resources_of(ROW), "Encounter")[0]
    ward = earlier("IMP", DAY, id="ward", partOf={"reference": f"Encounter/{whole['id']}"})
    on_the_ward = linked("Procedure", id="p", status="completed", encounter={"reference": "Encounter/ward"})
    assert accepted([*resources_of(ROW), ward, on_the_ward], tmp_path)["num_procedures"] == 4


def test_what_was_entered_in_error_or_not_done_does_not_count(tmp_path: Path) -> None:
    void = [
        linked("Procedure", id="a", status="not-done"), linked("Procedure", id="b", status="entered-in-error"),
        linked("MedicationRequest", id="c", status="cancelled", intent="order",
               medicationCodeableConcept={"text": "insulin"}),
        linked("MedicationRequest", id="e", status="active", intent="plan",
               medicationCodeableConcept={"text": "insulin"}),
        linked("MedicationRequest", id="f", status="active", intent="order", doNotPerform=True,
               medicationCodeableConcept={"text": "insulin"}),
        linked("Observation", id="d", status="entered-in-error", code=coded(terms.LOINC, "4548-4"),
               category=[coded(terms.CATEGORY, "laboratory")], valueQuantity={"value": 9, "code": "%"}),
    ]  # fmt: skip
    row = accepted([*resources_of(ROW), *void], tmp_path)
    assert row[["num_procedures", "num_lab_procedures", "num_medications"]].tolist() == [3, 3, 9]
    assert row[["A1Cresult", "insulin"]].tolist() == ["None", "No"]


RESULTS = [
    ("4548-4", [{"valueQuantity": {"value": 7.0, "code": "%"}}], "A1Cresult", "Norm"),
    ("4548-4", [{"valueQuantity": {"value": 7.1, "unit": "%"}}], "A1Cresult", ">7"),
    ("17856-6", [{"valueQuantity": {"value": 8.01, "code": "%"}}], "A1Cresult", ">8"),
    ("4548-4", [{"valueQuantity": {"value": 6.5, "code": "%"}}, {"valueQuantity": {"value": 9, "code": "%"}}],
     "A1Cresult", ">8"),
    ("4548-4", [{"valueString": "> 8 %"}], "A1Cresult", ">8"),
    ("4548-4", [{"interpretation": [{"coding": [{"code": "N"}]}]}], "A1Cresult", "Norm"),
    ("4548-4", [{"dataAbsentReason": {"text": "not enough"}}], "A1Cresult", "None"),
    ("4548-4", [{"valueQuantity": {"value": 64, "code": "mmol/mol"}}], "A1Cresult", ("A1Cresult", "unknown_code")),
    ("4548-4", [{"interpretation": [{"coding": [{"code": "H"}]}]}], "A1Cresult", ("A1Cresult", "unknown_code")),
    ("2345-7", [{"valueQuantity": {"value": 200, "code": "mg/dL"}}], "max_glu_serum", "Norm"),
    ("2345-7", [{"valueQuantity": {"value": 201, "code": "mg/dL"}}], "max_glu_serum", ">200"),
    ("14749-6", [{"valueQuantity": {"value": 17.0, "code": "mmol/L"}}], "max_glu_serum", ">300"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "results", "column", "value"), RESULTS)
def test_a_test_has_its_highest_result(
    code: str, results: list[dict[str, Any]], column: str, value: Any, tmp_path: Path
) -> None:
    done = [linked("Observation", id=f"r{number}", status="final", code=coded(terms.LOINC, code), **each)
            for number, each in enumerate(results)]  # fmt: skip
    intake = deliver(tmp_path, [*resources_of(ROW), *done])
    if isinstance(value, tuple):
        assert list(zip(intake.quarantined["column"], intake.quarantined["code"], strict=True)) == [value]
    else:
        assert intake.accepted[column].tolist() == [value]


def request(name: str, concept: dict[str, Any], dose: float | None = None, on: str | None = None, unit: str = "mg",
            ) -> Resource:  # fmt: skip
    said: dict[str, Any] = {"medicationCodeableConcept": concept} if "reference" not in concept else {
        "medicationReference": concept}  # fmt: skip
    said |= {} if on is None else {"authoredOn": on}
    said |= {} if dose is None else {
        "dosageInstruction": [{"doseAndRate": [{"doseQuantity": {"value": dose, "code": unit}}]}]}  # fmt: skip
    return linked("MedicationRequest", id=name, status="completed", intent="order", **said)


METFORMIN, GLYBURIDE = coded(terms.RXNORM, "6809"), coded(terms.RXNORM, "4815")
DRUGS: list[tuple[list[Resource], dict[str, str]]] = [
    ([request("a", METFORMIN)], {"metformin": "Steady"}),
    ([request("a", {"text": "Metformin hydrochloride 500 MG Oral Tablet"})], {"metformin": "Steady"}),
    ([request("a", {"coding": [{"system": terms.RXNORM, "code": "860975", "display": "metFORMIN 500 MG"}]})],
     {"metformin": "Steady"}),
    ([request("a", {"text": "Insulin Glargine 100 UNT/ML"})], {"insulin": "Steady"}),
    ([request("a", {"coding": [*METFORMIN["coding"], *GLYBURIDE["coding"]]})], {"glyburide-metformin": "Steady"}),
    ([request("a", {"text": "glyburide 2.5 MG / metformin 500 MG"})], {"glyburide-metformin": "Steady"}),
    ([request("a", METFORMIN, 500, "2024-02-27"), request("b", METFORMIN, 1000, "2024-02-29")], {"metformin": "Up"}),
    ([request("a", METFORMIN, 500, "2024-02-29"), request("b", METFORMIN, 1000, "2024-02-27")], {"metformin": "Down"}),
    ([request("a", METFORMIN, 500, "2024-02-27"), request("b", METFORMIN, 1, "2024-02-29", "g")],
     {"metformin": "Steady"}),
    ([request("a", METFORMIN, 500), request("b", METFORMIN, 1000)], {"metformin": "Steady"}),
    ([request("a", {"text": "aspirin"})], {}),
]  # fmt: skip


@pytest.mark.parametrize(("requests", "states"), DRUGS)
def test_requests_tell_of_drugs_and_their_doses(
    requests: list[Resource], states: dict[str, str], tmp_path: Path
) -> None:
    row = accepted([*resources_of(ROW), *requests], tmp_path)
    drugs = {name: row[name] for name in ENCOUNTERS.columns if row[name] in ("Steady", "Up", "Down")}
    assert drugs == states
    changes = "Ch" if set(states.values()) & {"Up", "Down"} else "No"
    assert (row["change"], row["diabetesMed"]) == (changes, "Yes" if states else "No")
    assert row["num_medications"] == 10


def test_a_medication_may_be_a_resource_of_its_own(tmp_path: Path) -> None:
    medication = {"resourceType": "Medication", "id": "m", "code": METFORMIN}
    lines = [*resources_of(ROW), medication, request("a", {"reference": "Medication/m"})]
    assert accepted(lines, tmp_path)["metformin"] == "Steady"


def diagnosis(name: str, *codings: tuple[str, str], **entry: Any) -> tuple[Resource, dict[str, Any]]:
    said = {"coding": [{"system": system, "code": code} for system, code in codings]}
    condition = {"resourceType": "Condition", "id": name, "code": said, "subject": {"reference": "Patient/x"}}
    return condition, {"condition": {"reference": f"Condition/{name}"}, **entry}


def role(code: str) -> dict[str, Any]:
    return {"use": coded(terms.DIAGNOSIS_ROLE, code)}


ICD9 = terms.ICD9[0]
DIAGNOSES = [
    ([diagnosis("a", (ICD9, "038.9"), rank=2), diagnosis("b", (ICD9, "4280"), rank=1)], ["428", "38.9", None, 2]),
    ([diagnosis("a", (ICD9, "428")), diagnosis("b", (ICD9, "250"))], ["428", "250", None, 2]),
    ([diagnosis("a", (ICD9, "428"), rank=1, **role("AD")), diagnosis("b", (ICD9, "250"), rank=1, **role("DD"))],
     ["250", None, None, 1]),
    ([diagnosis("a", (ICD9, "428"), rank=1, **role("billing")), diagnosis("b", (ICD9, "250"), rank=1, **role("DD"))],
     ["250", None, None, 2]),
    ([diagnosis("a", ("http://snomed.info/sct", "44054006"), (ICD9, "250"), rank=1)], ["250", None, None, 1]),
    ([diagnosis("a", ("http://snomed.info/sct", "44054006"), rank=1)], [None, None, None, 1]),
]  # fmt: skip


@pytest.mark.parametrize(("listed", "expected"), DIAGNOSES)
def test_diagnoses_are_taken_by_rank(
    listed: list[tuple[Resource, dict[str, Any]]], expected: list[Any], tmp_path: Path
) -> None:
    resources = changed("Encounter", diagnosis=[entry for _, entry in listed])
    row = accepted([*resources, *(condition for condition, _ in listed)], tmp_path)
    assert row[["diag_1", "diag_2", "diag_3", "number_diagnoses"]].tolist() == expected


def test_a_diagnosis_that_was_refuted_does_not_count(tmp_path: Path) -> None:
    listed = [diagnosis("a", (ICD9, "428"), rank=1), diagnosis("b", (ICD9, "250"), rank=2)]
    listed[0][0]["verificationStatus"] = {"coding": [{"code": "refuted"}]}
    resources = changed("Encounter", diagnosis=[entry for _, entry in listed])
    row = accepted([*resources, *(condition for condition, _ in listed)], tmp_path)
    assert row[["diag_1", "diag_2", "number_diagnoses"]].tolist() == [None, "250", 1]


def test_two_diagnoses_of_one_rank_and_role_are_set_aside(tmp_path: Path) -> None:
    listed = [diagnosis("a", (ICD9, "428"), rank=1), diagnosis("b", (ICD9, "250"), rank=1)]
    resources = changed("Encounter", diagnosis=[entry for _, entry in listed])
    intake = deliver(tmp_path, [*resources, *(condition for condition, _ in listed)])
    assert list(zip(intake.quarantined["column"], intake.quarantined["code"], strict=True)) == [
        ("diag_1", "resource_conflict")]  # fmt: skip


def test_conditions_that_no_rank_orders_are_counted_alone(tmp_path: Path) -> None:
    category = [coded("http://terminology.hl7.org/CodeSystem/condition-category", "encounter-diagnosis")]
    conditions = [linked("Condition", id=name, category=category, code=coded(ICD9, "428")) for name in "abcd"]
    row = accepted([*changed("Encounter", diagnosis=None), *conditions], tmp_path)
    assert row[["diag_1", "number_diagnoses"]].tolist() == [None, 4]


def test_the_payer_is_taken_from_the_one_active_coverage(tmp_path: Path) -> None:
    def coverage(name: str, payer: str, status: str = "active") -> Resource:
        beneficiary = of(resources_of(ROW), "Encounter")[0]["subject"]
        return {"resourceType": "Coverage", "id": name, "status": status, "type": coded(terms.PAYER, payer),
                "beneficiary": beneficiary, "payor": [{"display": "x"}]}  # fmt: skip

    bare = [each for each in resources_of(ROW) if each["resourceType"] != "Coverage"]
    found = [accepted([*bare, *added], tmp_path / str(number))["payer_code"] for number, added in enumerate([
        [coverage("a", "MC")], [coverage("a", "MC"), coverage("b", "MD", "cancelled")],
        [coverage("a", "MC"), coverage("b", "MD")], []])]  # fmt: skip
    assert found == ["MC", "MC", None, None]


def test_a_number_that_the_encounter_states_counts_more_than_what_is_there(tmp_path: Path) -> None:
    stated = [{"url": terms.extension_url(name), "valueInteger": 7} for name in ("number_inpatient", "num_procedures")]
    row = accepted(changed("Encounter", extension=stated), tmp_path)
    assert row[["number_inpatient", "num_procedures", "number_outpatient"]].tolist() == [7, 7, 0]


def test_every_table_leads_to_codes_that_the_contract_has() -> None:
    for column, systems in terms.CODES.items():
        lowest, highest = ENCOUNTERS.whole_numbers[column]
        assert all(lowest <= int(code) <= highest for codes in systems.values() for code in codes.values())
    assert set(terms.GENDERS.values()) <= set(ENCOUNTERS.vocabularies["gender"])
    assert set(terms.RACES.values()) <= set(ENCOUNTERS.vocabularies["race"])
