"""A day's delivery of FHIR resources, as the rows of its discharges.

What belongs here: which Encounters are discharges of the day, which resources belong to each, and what becomes of those
that cannot be used. What does not: the cells of a discharge (``mapping``).

The files of a day are one delivery: an Encounter in one of them, its Patient in another. The rows are the discharges,
each in the file that has its Encounter, under the number of that resource in the file. A resource that cannot be used
is a row too, set aside; so is the discharge that it belongs to, as far as it says to which.
"""

from collections.abc import Mapping, Sequence
from datetime import date

import pandas as pd

from readmission_platform.encounters.cohort import FEED_COLUMNS
from readmission_platform.encounters.fhir import terminology as terms
from readmission_platform.encounters.fhir.mapping import Stay, Unclear, cells_of, number_of, period
from readmission_platform.encounters.fhir.resources import (
    CONDITION,
    COVERAGE,
    ENCOUNTER,
    MEDICATION,
    OBSERVATION,
    PATIENT,
    PROCEDURE,
    REQUEST,
    USED,
    Content,
    Resource,
    Resources,
    contained,
    resources_of,
)
from readmission_platform.intake.files import JsonFile, LandedFile

DAY = "discharge_date"
_NEVER = frozenset({"cancelled", "entered-in-error"})
_PLANNED = frozenset({"planned", "arrived", "triaged"})
# Types that say with "encounter" to which one they belong; a Condition may name one of years ago.
_OF_ENCOUNTERS = (CONDITION, PROCEDURE, REQUEST, OBSERVATION)

Place = tuple[int, int]
Row = dict[str, str | None] | tuple[str, str]


def is_resource(record: Mapping[str, object]) -> bool:
    """Tell whether a record of JSON is meant as a resource."""
    return "resourceType" in record


def read_fhir(files: Sequence[JsonFile], day: str) -> list[LandedFile]:
    """Return the files of a day with the discharges as rows of text cells, in the contract's columns and its day."""
    found = resources_of(files)
    if not any(each.type == ENCOUNTER for each in found):
        return [LandedFile(file.name, file.digest, None, file.problem or "no_encounter") for file in files]
    rows: dict[Place, Row] = {(each.file, each.number): each.fault for each in found if each.fault}
    delivery = _Delivery(found)
    incomplete = any(file.problem or file.cut_off for file in files)
    for discharge in delivery.discharges(date.fromisoformat(day)):
        rows[discharge.file, discharge.number] = (
            ("", "delivery_incomplete") if incomplete else delivery.row_of(discharge)
        )
    rows |= delivery.strays()
    return [_landed(place, file, {number: row for (at, number), row in rows.items() if at == place})
            for place, file in enumerate(files)]  # fmt: skip


def _landed(place: int, file: JsonFile, rows: Mapping[int, Row]) -> LandedFile:
    if file.problem is not None:
        return LandedFile(file.name, file.digest, None, file.problem)
    columns = [*FEED_COLUMNS, DAY]
    numbers = sorted(rows)
    made = [row if isinstance(row, dict) else {} for row in (rows[number] for number in numbers)]
    cells = pd.DataFrame(
        [[row.get(name) for name in columns] for row in made], columns=pd.Index(columns, dtype=object), dtype=object
    )
    broken = {number: row for number, row in rows.items() if isinstance(row, tuple)}
    return LandedFile(file.name, file.digest, cells, cut_off=file.cut_off, broken=broken, numbers=tuple(numbers))


class _Delivery:
    """The resources of a day, and which belong together."""

    def __init__(self, found: Sequence[Resource]) -> None:
        self.sound = [each for each in found if each.fault is None and each.type in USED]
        self.resources = Resources(self.sound)
        self.encounters = [each for each in self.sound if each.type == ENCOUNTER]
        self.unsound_encounters = {each.key for each in found if each.fault and each.type == ENCOUNTER}
        self.unsound: dict[str, tuple[str, str]] = {}
        for each in found:
            if each.fault and each.type in _OF_ENCOUNTERS:
                self.unsound.setdefault(self._stay(each.content), each.fault)
        self.of_stay: dict[str, list[Resource]] = {}
        for kind in _OF_ENCOUNTERS:
            for each in self.resources.of_type(kind):
                self.of_stay.setdefault(self._stay(each.content), []).append(each)
        self.coverages: dict[str, list[Resource]] = {}
        for each in self.resources.of_type(COVERAGE):
            self.coverages.setdefault(self.resources.key(each.content.get("beneficiary"), PATIENT), []).append(each)
        self.by_patient: dict[str, list[Resource]] = {}
        for each in self.resources.of_type(ENCOUNTER):
            self.by_patient.setdefault(self._person(each.content), []).append(each)

    def discharges(self, day: date) -> list[Resource]:
        """Return the inpatient Encounters that are rows of the day.

        Those that ended, and are no part of another one. One that ended earlier is the history of a patient who was
        discharged on the day; of anybody else it is a discharge that does not belong here, for the contract to say so.
        """
        ended = [each for each in self.encounters if _has_ended(each.content) and not each.content.get("partOf")]
        today = {self._person(each.content) for each in ended if period(each.content)[1] == day}
        early = {id(each) for each in ended if (end := period(each.content)[1]) is not None and end < day}
        return [each for each in ended if id(each) not in early or self._person(each.content) not in today]

    def row_of(self, discharge: Resource) -> Row:
        """Return the cells of a discharge, or element and code of why it has none."""
        try:
            _assert_known(discharge.content)
            return cells_of(self._stay_of(discharge))
        except Unclear as why:
            return why.column, why.code

    def strays(self) -> dict[Place, Row]:
        """Return a row for each Encounter that others say they belong to and that the delivery lacks."""
        known = {"", *self.unsound_encounters, *(each.key for each in self.encounters)}
        rows: dict[Place, Row] = {}
        for each in self.sound:
            key = self._stay(each.content) if each.type in (PROCEDURE, REQUEST, OBSERVATION) else ""
            if key not in known:
                known.add(key)
                rows[each.file, each.number] = (f"{each.type}.encounter", "reference_dangling")
        return rows

    def _stay(self, content: Content) -> str:
        """Return the key of the Encounter that a resource belongs to; of a part of an Encounter that of the whole."""
        key = self.resources.key(content.get("encounter"), ENCOUNTER)
        seen = {key}
        while (found := self.resources.find(key)) is not None and found.content.get("partOf"):
            key = self.resources.key(found.content["partOf"], ENCOUNTER)
            if key in seen:
                break
            seen.add(key)
        return key

    def _person(self, encounter: Content) -> str:
        """Return what tells one patient from another: the number, else the key of the Patient."""
        key = self.resources.key(encounter.get("subject"), PATIENT)
        found = self.resources.find(key)
        patient = contained(encounter, encounter.get("subject"), PATIENT) or (found.content if found else {})
        try:
            return number_of(patient, terms.PATIENT_NUMBER, terms.MEDICAL_RECORD, "") or key
        except Unclear:
            return key

    def _stay_of(self, discharge: Resource) -> Stay:
        encounter = discharge.content
        patient_key = self.resources.key(encounter.get("subject"), PATIENT)
        patient = self._patient(encounter)
        of_stay = self.of_stay.get(discharge.key, []) if discharge.key else []
        if discharge.key in self.unsound and discharge.key:
            raise Unclear(*self.unsound[discharge.key])
        for each in of_stay:
            if each.key in self.resources.contradicted:
                raise Unclear(each.type, "resource_conflict")
            subject = self.resources.key(each.content.get("subject"), PATIENT)
            if subject and patient_key and subject != patient_key:
                raise Unclear(f"{each.type}.subject", "resource_conflict")
        by_type = {kind: [each for each in of_stay if each.type == kind] for kind in _OF_ENCOUNTERS}
        return Stay(
            encounter=encounter,
            patient=patient,
            diagnoses=[(entry, self._target(encounter, entry.get("condition"), CONDITION, "Encounter.diagnosis"))
                       for entry in encounter.get("diagnosis", [])],
            conditions=[each.content for each in by_type[CONDITION] if _is_of_the_stay(each.content)],
            procedures=[each.content for each in by_type[PROCEDURE]],
            requests=[(each.content, self._medication(each.content)) for each in by_type[REQUEST]],
            observations=[each.content for each in by_type[OBSERVATION]],
            coverages=[each.content for each in self.coverages.get(patient_key, [])] if patient_key else [],
            earlier=[each.content for each in self.by_patient.get(self._person(encounter), [])
                     if each.key != discharge.key and each.content.get("status") not in _NEVER | _PLANNED
                     and not each.content.get("partOf")],
        )  # fmt: skip

    def _patient(self, encounter: Content) -> Content:
        if not encounter.get("subject"):
            raise Unclear("patient_nbr", "missing_value")
        return self._target(encounter, encounter["subject"], PATIENT, "Encounter.subject")

    def _medication(self, request: Content) -> Content:
        """Return the concept of the medication of a request."""
        if "medicationCodeableConcept" in request:
            found: Content = request["medicationCodeableConcept"]
            return found
        element = f"{REQUEST}.medicationReference"
        medication = self._target(request, request.get("medicationReference"), MEDICATION, element)
        concept: Content = medication.get("code", {})
        return concept

    def _target(self, owner: Content, reference: object, kind: str, element: str) -> Content:
        """Return what a reference leads to.

        Raises
        ------
        Unclear
            When the delivery does not have it, or has it in two ways.
        """
        inside = contained(owner, reference, kind)
        if inside is not None:
            return inside
        key = self.resources.key(reference, kind)
        found = self.resources.find(key) if key else None
        if found is None:
            raise Unclear(element, "reference_dangling")
        if key in self.resources.contradicted:
            raise Unclear(element, "resource_conflict")
        return found.content


def _has_ended(encounter: Content) -> bool:
    """Tell whether it may be a discharge: an inpatient Encounter, or of a class that is not known, that has ended."""
    kind, status = encounter.get("class", {}), encounter.get("status")
    other = kind.get("system", terms.ACT_CODE) == terms.ACT_CODE and kind.get("code") in terms.CLASSES
    inpatient = not other or terms.CLASSES[kind["code"]] == "number_inpatient"
    return inpatient and status not in _NEVER and (status == "finished" or "end" in encounter.get("period", {}))


def _assert_known(encounter: Content) -> None:
    kind = encounter.get("class", {})
    if kind.get("code") not in terms.CLASSES or kind.get("system", terms.ACT_CODE) != terms.ACT_CODE:
        raise Unclear("Encounter.class", "unknown_code")
    if encounter.get("status") != "finished":
        raise Unclear("Encounter.status", "unknown_code")


def _is_of_the_stay(condition: Content) -> bool:
    codes = {coding.get("code") for each in condition.get("category", []) for coding in each.get("coding", [])}
    return "encounter-diagnosis" in codes
