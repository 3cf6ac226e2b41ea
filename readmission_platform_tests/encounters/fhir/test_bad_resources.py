"""Resources that cannot be used: each costs the row it is about, or has the files named, and no value is printed."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readmission_platform.encounters.contract import ENCOUNTERS, FHIR_REASONS, LANDING
from readmission_platform.encounters.fhir.reading import read_fhir
from readmission_platform.intake.files import JsonFile
from readmission_platform.intake.quarantine import codes
from readmission_platform.intake.rows import take_in
from readmission_platform.storage.landing import Landing
from readmission_platform_tests.support.fhir import (
    DAY,
    SECRET,
    Resource,
    assert_as_in_a_file,
    bundle,
    deliver,
    discharges,
    ndjson,
    of,
    put,
    side_by_side,
)

CLEAN = discharges(3)
Lines = list[Resource | str]


def second(kind: str, **changes: Any) -> Callable[[list[Resource]], Lines]:
    """Change the resource of the second discharge that is of a kind; None takes the element away."""

    def change(resources: list[Resource]) -> Lines:
        encounter = of(resources, "Encounter")[1]
        mine = [each for each in of(resources, kind) if each is encounter or each["id"].startswith(encounter["id"])
                or encounter["subject"]["reference"] == f"{kind}/{each['id']}"]  # fmt: skip
        mine[0] |= changes
        for name in [name for name, value in changes.items() if value is None]:
            del mine[0][name]
        return list(resources)

    return change


def without(kind: str) -> Callable[[list[Resource]], Lines]:
    """Leave out a resource of the second discharge."""

    def change(resources: list[Resource]) -> Lines:
        encounter = of(resources, "Encounter")[1]
        names = (encounter["id"], encounter["subject"]["reference"].partition("/")[2])
        gone = next(each for each in of(resources, kind) if each["id"].startswith(names))
        return [each for each in resources if each is not gone]

    return change


def also(*lines: Resource | str) -> Callable[[list[Resource]], Lines]:
    return lambda resources: [*resources, *lines]


def _twice(kind: str, **changes: Any) -> Callable[[list[Resource]], Lines]:
    def change(resources: list[Resource]) -> Lines:
        changed = second(kind, **changes)(copy.deepcopy(resources))
        return [*resources, *(each for each in changed if each not in resources)]

    return change


def _with_medication(reference: str) -> Callable[[list[Resource]], Lines]:
    return second("MedicationRequest", medicationCodeableConcept=None, medicationReference={"reference": reference})


# By name: what is done to the resources of three discharges, columns and codes of what is set aside, and how many rows
# are left.
BAD: dict[str, tuple[Callable[[list[Resource]], Lines], list[tuple[str, str]], int]] = {
    "a line that is no JSON": (also(f'{{"resourceType": "Observation", {SECRET}'), [("", "not_json")], 3),
    "a line that is a list": (also(f'["{SECRET}"]'), [("", "not_json")], 3),
    "a line with a key twice": (also(f'{{"resourceType": "Patient", "id": "1", "id": "{SECRET}"}}'),
                                [("", "not_json")], 3),
    "a number that JSON does not have": (also('{"resourceType": "Patient", "multipleBirthInteger": NaN}'),
                                         [("", "not_json")], 3),
    "half a character": (also('{"resourceType": "Patient", "language": "\\ud800"}'), [("", "not_json")], 3),
    "a type that FHIR does not have": (also({"resourceType": SECRET, "id": "1"}),
                                       [("resourceType", "resource_unknown")], 3),
    "a type that is a data type": (also({"resourceType": "Coding"}), [("resourceType", "resource_unknown")], 3),
    "no type": (also({"id": SECRET}), [("resourceType", "resource_unknown")], 3),
    "a type that is no text": (also({"resourceType": [SECRET]}), [("resourceType", "resource_unknown")], 3),
    "a Bundle of no entries": (also({"resourceType": "Bundle", "type": "collection", "entry": SECRET}),
                               [("Bundle.entry", "not_fhir")], 3),
    "a Bundle with an entry that is none": (also({"resourceType": "Bundle", "type": "batch", "entry": [SECRET]}),
                                            [("Bundle.entry", "not_fhir")], 3),
    "an element that FHIR does not have": (second("Patient", **{SECRET: SECRET}),
                                           [("Patient", "not_fhir"), ("Encounter.subject", "reference_dangling")], 2),
    "an invalid date of birth": (second("Patient", birthDate=SECRET),
                                 [("Patient.birthDate", "not_fhir"), ("Encounter.subject", "reference_dangling")], 2),
    "an invalid Encounter": (second("Encounter", status=None), [("Encounter.status", "not_fhir")], 2),
    "an invalid period": (second("Encounter", period={"start": SECRET}), [("Encounter.period.start", "not_fhir")], 2),
    "an invalid Observation": (second("Observation", valueQuantity={"value": SECRET}),
                               [("Observation.valueQuantity.value", "not_fhir")] * 2, 2),
    "an invalid Condition": (second("Condition", code=SECRET),
                             [("Condition.code", "not_fhir"), ("Encounter.diagnosis", "reference_dangling")], 2),
    "a modifier extension": (second("Condition", modifierExtension=[{"url": "http://x.example", "valueCode": "not"}]),
                             [("Condition.modifierExtension", "meaning_changed"),
                              ("Encounter.diagnosis", "reference_dangling")], 2),
    "implicit rules": (second("Encounter", implicitRules="http://x.example/rules"),
                       [("Encounter.implicitRules", "meaning_changed")], 2),
    "elements within elements within elements": (
        also('{"resourceType": "Patient", "extension": [' + '{"url": "u", "extension": [' * 400
             + f'{{"url": "{SECRET}", "valueString": "{SECRET}"}}' + "]}" * 400 + "]}"),
        [("", "not_fhir")], 3),
    "an Encounter without a subject": (second("Encounter", subject=None), [("patient_nbr", "missing_value")], 2),
    "a subject that is a Group": (second("Encounter", subject={"reference": "Group/1"}),
                                  [("Encounter.subject", "reference_dangling")], 2),
    "a subject by identifier alone": (second("Encounter", subject={"identifier": {"value": SECRET}}),
                                      [("Encounter.subject", "reference_dangling")], 2),
    "a subject that is not there": (without("Patient"), [("Encounter.subject", "reference_dangling")], 2),
    "a contained subject that is not there": (second("Encounter", subject={"reference": "#p"}),
                                              [("Encounter.subject", "reference_dangling")], 2),
    "a diagnosis that is not there": (without("Condition"), [("Encounter.diagnosis", "reference_dangling")], 2),
    "a medication that is not there": (_with_medication("Medication/1"),
                                       [("MedicationRequest.medicationReference", "reference_dangling")], 2),
    "an Encounter that is not there": (without("Encounter"),
                                       [("MedicationRequest.encounter", "reference_dangling")], 2),
    "a Patient told in two ways": (_twice("Patient", gender="unknown"),
                                   [("Encounter.subject", "resource_conflict")], 2),
    "an Observation told in two ways": (_twice("Observation", status="amended"),
                                        [("Observation", "resource_conflict")], 2),
    "an Observation of another patient": (second("Observation", subject={"reference": "Patient/other"}),
                                          [("Observation.subject", "resource_conflict")], 2),
    "several numbers of the encounter": (second("Encounter", identifier=[{"value": "1"}, {"value": "2"}]),
                                         [("encounter_id", "identifier_unclear")], 2),
    "several numbers of the patient": (second("Patient", identifier=[{"value": "1"}, {"value": "2"}]),
                                       [("patient_nbr", "identifier_unclear")], 2),
    "no number of the encounter": (second("Encounter", identifier=None), [("encounter_id", "missing_value")], 2),
    "a number with letters": (second("Encounter", identifier=[{"value": SECRET}]),
                              [("encounter_id", "not_a_whole_number")], 2),
    "an identifier of another kind": (
        second("Patient", identifier=[{"type": {"coding": [{"code": "SS"}]}, "value": "123"}]),
        [("patient_nbr", "missing_value")], 2),
    "no date of birth": (second("Patient", birthDate=None), [("age", "missing_value")], 2),
    "born after the admission": (second("Patient", birthDate="2030-01-01"), [("age", "unknown_code")], 2),
    "no gender": (second("Patient", gender=None), [("gender", "missing_value")], 2),
    "no admission": (second("Encounter", period={"end": DAY}),
                     [("age", "missing_value"), ("time_in_hospital", "missing_value")], 2),
    "admitted after the discharge": (second("Encounter", period={"start": "2024-03-05", "end": DAY}),
                                     [("time_in_hospital", "out_of_range")], 2),
    "finished without an end": (second("Encounter", period={"start": "2024-02-27"}),
                                [("time_in_hospital", "missing_value")], 2),
    "discharged the day after": (second("Encounter", period={"start": "2024-02-27", "end": "2024-03-02"}),
                                 [("discharge_date", "day_mismatch")], 2),
    "discharged the day before": (second("Encounter", period={"start": "2024-02-27", "end": "2024-02-29T23:59:59Z"}),
                                  [("discharge_date", "day_mismatch")], 2),
    "a class of another system": (second("Encounter", **{"class": {"system": "http://x.example", "code": "IMP"}}),
                                  [("Encounter.class", "unknown_code")], 2),
    "a class that nobody knows": (second("Encounter", **{"class": {"code": "ward"}}),
                                  [("Encounter.class", "unknown_code")], 2),
    "in progress with an end": (second("Encounter", status="in-progress"), [("Encounter.status", "unknown_code")], 2),
    "an admission type of another system": (
        second("Encounter", priority={"coding": [{"system": "http://x.example", "code": "1"}]}),
        [("admission_type_id", "unknown_code")], 2),
    "a disposition in words": (second("Encounter", hospitalization={"dischargeDisposition": {"text": SECRET}}),
                               [("discharge_disposition_id", "unknown_code")], 2),
    "died": (second("Encounter", hospitalization={"dischargeDisposition": {"coding": [
        {"system": "http://terminology.hl7.org/CodeSystem/discharge-disposition", "code": "exp"}]}}),
        [("discharge_disposition_id", "cannot_be_readmitted")], 2),
    "died by the Patient": (lambda each: second("Encounter", hospitalization=None)(
        second("Patient", deceasedBoolean=True)(each)),
        [("discharge_disposition_id", "cannot_be_readmitted")], 2),
    "no diagnoses": (second("Encounter", diagnosis=None), [("number_diagnoses", "missing_value")], 2),
    "a stated number that is none": (
        second("Encounter", extension=[{"url": "https://readmission.example/fhir/StructureDefinition/number-inpatient",
                                        "valueString": SECRET}]),
        [("number_inpatient", "not_a_whole_number")], 2),
    "the same encounter told twice": (lambda each: [*each, {**of(each, "Encounter")[1], "id": "other",
                                                            "hospitalization": {}}],
                                      [("encounter_id", "conflicting_rows")] * 2, 2),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_resource_that_cannot_be_used_costs_its_row_alone(name: str, tmp_path: Path) -> None:
    change, expected, accepted = BAD[name]
    intake = deliver(tmp_path, change(copy.deepcopy(CLEAN)))
    aside = intake.quarantined
    assert sorted(zip(aside["column"], aside["code"], strict=True)) == sorted(expected)
    assert len(intake.accepted) == accepted
    assert aside["reason"].notna().all()
    assert set(aside["code"]) <= codes(ENCOUNTERS).keys()


@pytest.mark.parametrize("name", BAD)
def test_a_bundle_in_a_request_is_judged_as_in_a_file(name: str) -> None:
    change, _, _ = BAD[name]
    resources = [each for each in change(copy.deepcopy(CLEAN)) if isinstance(each, dict)]
    read = assert_as_in_a_file(bundle(resources))
    assert SECRET not in str([each.read.faults for each in read])


@pytest.mark.parametrize("record", [{}, {"resourceType": "Bundle"}, {"resourceType": "Bundle", "entry": 7},
                                    {"resourceType": SECRET}, of(CLEAN, "Patient")[0]], ids=str)  # fmt: skip
def test_a_record_without_an_encounter_has_no_row_and_says_so(record: Resource) -> None:
    (told,) = assert_as_in_a_file(record)
    assert (told.number, told.read.row, told.read.faults[0].code) == (0, None, "no_encounter")


def test_every_code_of_resources_is_tried_out() -> None:
    of_files = {"no_encounter", "delivery_incomplete"}  # see below
    assert {code for _, expected, _ in BAD.values() for _, code in expected} >= set(FHIR_REASONS) - of_files


def test_rows_are_numbered_as_the_resources_of_their_file(tmp_path: Path) -> None:
    lines: Lines = [*copy.deepcopy(CLEAN), "broken"]
    encounters = [number for number, each in enumerate(CLEAN, start=1) if each["resourceType"] == "Encounter"]
    lines[encounters[1] - 1] = second("Encounter", identifier=None)(copy.deepcopy(CLEAN))[encounters[1] - 1]
    aside = deliver(tmp_path, lines).quarantined
    assert aside["row"].tolist() == [encounters[1], len(lines)]


def test_resources_in_bundles_are_numbered_one_by_one(tmp_path: Path) -> None:
    changed = second("Encounter", identifier=None)(copy.deepcopy(CLEAN))
    place = changed.index(of([each for each in changed if isinstance(each, dict)], "Encounter")[1])
    resources = [each for each in changed if isinstance(each, dict)]
    aside = deliver(tmp_path, [bundle(resources[:5]), bundle(resources[5:])]).quarantined
    assert aside["row"].tolist() == [place + 1]


def test_the_discharge_that_a_broken_line_belonged_to_is_named_by_what_refers_to_it(tmp_path: Path) -> None:
    lines: Lines = list(CLEAN)
    place = CLEAN.index(of(CLEAN, "Encounter")[0])
    lines[place] = json.dumps(CLEAN[place])[:-20] + "}"
    intake = deliver(tmp_path, lines)
    assert [(line.column, line.code) for line in intake.quarantined.itertuples()] == [
        ("", "not_json"), ("MedicationRequest.encounter", "reference_dangling")]  # fmt: skip
    assert len(intake.accepted) == 2


# ------------------------------------------------------------------------------------------------------- whole files


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"", "file_empty"), (b"\x1f\x8b\x08\x00", "file_truncated"), ("x".encode("utf-16"), "file_not_utf8")],
)
def test_a_discharge_is_not_taken_in_while_another_file_of_its_day_cannot_be_read(
    content: bytes, problem: str, tmp_path: Path
) -> None:
    name = "Observation.ndjson.gz" if content.startswith(b"\x1f") else "Observation.ndjson"
    files = {**side_by_side(CLEAN), "Observation.ndjson": b"{}"}
    del files["Observation.ndjson"]
    intake = deliver(tmp_path, {**files, name: content})
    told = intake.quarantined
    assert set(zip(told["file"], told["code"], strict=True)) == {
        (name, problem), ("Encounter.ndjson", "delivery_incomplete")}  # fmt: skip
    assert (len(told), len(intake.accepted)) == (4, 0)
    assert len(deliver(tmp_path, {name: side_by_side(CLEAN, "{}")["Observation"]} if name.endswith("n") else {
        **files, name: side_by_side(CLEAN, "{}.gz")["Observation.gz"]}).accepted) == 3  # fmt: skip


def test_a_file_that_is_cut_off_keeps_the_day_waiting_for_the_whole(tmp_path: Path) -> None:
    files = side_by_side(CLEAN)
    whole = files["Observation.ndjson"]
    intake = deliver(tmp_path, {**files, "Observation.ndjson": whole[: len(whole) // 2]})
    told = intake.quarantined[["file", "row", "code"]].to_numpy().tolist()
    assert ["Observation.ndjson", 0, "file_truncated"] in told
    assert [code for file, _, code in told if file == "Encounter.ndjson"] == ["delivery_incomplete"] * 3
    assert intake.accepted.empty
    assert len(deliver(tmp_path, files).accepted) == 3


def test_a_file_that_names_another_day_keeps_the_day_waiting(tmp_path: Path) -> None:
    files = side_by_side(CLEAN, "{}_20240301.ndjson")
    files["Observation_20240229.ndjson"] = files.pop("Observation_20240301.ndjson")
    told = deliver(tmp_path, files).quarantined
    assert set(told["code"]) == {"day_mismatch", "delivery_incomplete"}


def test_resources_without_an_encounter_are_named_until_it_comes(tmp_path: Path) -> None:
    files = side_by_side(CLEAN)
    encounters = files.pop("Encounter.ndjson")
    intake = deliver(tmp_path, files)
    assert set(intake.quarantined["code"]) == {"no_encounter"}
    assert intake.accounts.loc[0, ["received", "files", "files_quarantined"]].tolist() == [0, 6, 6]
    assert len(deliver(tmp_path, {"Encounter.ndjson": encounters}).accepted) == 3


def test_files_without_rows_count_as_files_and_every_file_changes_the_fingerprint(tmp_path: Path) -> None:
    files = side_by_side(CLEAN)
    landing = put(tmp_path, files)
    before = landing.fingerprint(DAY)
    read = landing.read_day(DAY)
    assert {each.name: None if each.cells is None else len(each.cells) for each in read} == {
        name: 3 if name.startswith("Encounter") else 0 for name in files
    }
    put(tmp_path, {"Patient.ndjson": files["Patient.ndjson"] + b"\n"})
    assert landing.fingerprint(DAY) != before


def test_another_feed_does_not_read_resources_as_rows(tmp_path: Path) -> None:
    put(tmp_path, {"Encounter.ndjson": ndjson(of(CLEAN, "Encounter"))})
    plain = Landing(tmp_path, type(LANDING)(rows="discharges", outcomes="outcomes"))
    told = take_in({DAY: plain.read_day(DAY)}, ENCOUNTERS).quarantined
    assert set(told["code"]) == {"column_unknown"}


# -------------------------------------------------------------------------------------------------- whatever it may be

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", SECRET, "2024", "Patient/1", "#p", "IMP", "%"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(
        st.sampled_from(["coding", "code", "value", "reference", "extension", "url", "id", SECRET]), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip


def _places(found: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ()
    return [path, *(place for key, value in inner for place in _places(value, (*path, key)))]


ONE = [each for each in discharges(1) if not each["id"].rpartition("-")[2].isdigit() or each["id"].endswith("-1")]
of(ONE, "Encounter")[0]["contained"] = [{**of(ONE, "Patient")[0], "id": "p"}]
ANYWHERE = _places(ONE)[1:]


@settings(max_examples=200, deadline=None)
@given(changes=st.lists(st.tuples(st.sampled_from(ANYWHERE), _JSON), min_size=1, max_size=3))
def test_whatever_an_element_holds_it_is_a_row_or_set_aside_and_never_printed(
    changes: list[tuple[tuple[Any, ...], Any]],
) -> None:
    resources: Any = copy.deepcopy(ONE)
    for (*path, last), value in changes:
        inner = resources
        try:
            for key in path:
                inner = inner[key]
            inner[last] = value
        except (KeyError, IndexError, TypeError):  # a change before took the place away
            continue
    lines = [each if isinstance(each, dict) else "not_json" for each in resources]
    intake = take_in({DAY: read_fhir([JsonFile("a.ndjson", "sha256:a", lines)], DAY)}, ENCOUNTERS)
    counts = intake.files.iloc[0]
    assert counts["received"] == counts[["accepted", "quarantined", "duplicate"]].sum()
    assert SECRET not in intake.quarantined.to_csv()
    assert isinstance(intake.accepted, pd.DataFrame)
    assert_as_in_a_file(bundle([each for each in resources if isinstance(each, dict)]))
