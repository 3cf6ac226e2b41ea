"""From the resources of one discharge to the cells of the encounter contract.

What belongs here: how each column is read, as ``docs/deliveries.md`` tells. What does not: the tables of codes
(``terminology``), and which Encounters are discharges of the day (``reading``). Cells are text and are judged as those
of a CSV are; what the resources do not say is missing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from readmission_platform.encounters.cohort import DRUG_COLUMNS
from readmission_platform.encounters.fhir import terminology as terms
from readmission_platform.encounters.fhir.drugs import drug_columns, names_of, state_of
from readmission_platform.encounters.fhir.resources import Content

_YEAR = timedelta(days=365)
_VOID = frozenset({"entered-in-error", "cancelled", "not-done", "draft", "preparation", "registered"})
_NO_ORDERS, _NOT_FOUND = frozenset({"proposal", "plan", "option"}), frozenset({"refuted", "entered-in-error"})
# Diagnoses of other moments than the discharge, and which of several with the same rank counts.
_OTHER_ROLES, _ROLES = frozenset({"AD", "CC", "pre-op", "post-op"}), ("DD", "billing", "")


class Unclear(Exception):
    """A row that cannot be made of its resources: ``column`` (or element) and ``code`` (see the contract) say why."""

    def __init__(self, column: str, code: str) -> None:
        super().__init__(code)
        self.column = column
        self.code = code


@dataclass(frozen=True)
class Stay:
    """The resources of one discharge; ``earlier`` holds the patient's other Encounters.

    ``diagnoses`` are pairs of an entry of ``Encounter.diagnosis`` and its Condition, ``requests`` pairs of a
    MedicationRequest and the concept of its medication; ``conditions`` are those that name the Encounter.
    """

    encounter: Content
    patient: Content
    diagnoses: Sequence[tuple[Content, Content]] = ()
    conditions: Sequence[Content] = ()
    procedures: Sequence[Content] = ()
    requests: Sequence[tuple[Content, Content]] = ()
    observations: Sequence[Content] = ()
    coverages: Sequence[Content] = ()
    earlier: Sequence[Content] = ()


def cells_of(stay: Stay) -> dict[str, str | None]:
    """Return the cells of a discharge: every column of the contract, and its day.

    Raises
    ------
    Unclear
        When the resources contradict each other, or say what no table has.
    """
    encounter, patient = stay.encounter, stay.patient
    begin, end = period(encounter)
    drugs = dict.fromkeys(DRUG_COLUMNS, "No") | _drugs(stay)
    cells: dict[str, str | None] = {
        "encounter_id": number_of(encounter, terms.ENCOUNTER_NUMBER, terms.VISIT, "encounter_id"),
        "patient_nbr": number_of(patient, terms.PATIENT_NUMBER, terms.MEDICAL_RECORD, "patient_nbr"),
        "race": _race(patient),
        "gender": terms.GENDERS.get(patient.get("gender", "")),
        "age": _age_band(patient.get("birthDate"), begin),
        "weight": _weight(stay.observations),
        # The type may say what sort of an encounter it is, and nothing of the admission.
        "admission_type_id": _coded("admission_type_id", encounter.get("priority"), beside=encounter.get("type", [])),
        "admission_source_id": _coded("admission_source_id", _hospitalization(encounter).get("admitSource")),
        "discharge_disposition_id": _disposition(stay, end),
        "time_in_hospital": None if begin is None or end is None else str((end - begin).days or 1),
        "payer_code": _only_payer(stay.coverages),
        "medical_specialty": _text(encounter.get("serviceType"), terms.SPECIALTY),
        "discharge_date": None if end is None else end.isoformat(),
        **_visits(stay, begin),
        "num_lab_procedures": str(sum(map(_is_laboratory, _valid(stay.observations)))),
        "num_procedures": str(len(_valid(stay.procedures))),
        "num_medications": str(len({names_of(concept) for _, concept in _ordered(stay)})),
        **_diagnoses(stay),
        **{column: _result(column, stay.observations) for column in terms.TESTS},
        **drugs,
        **treatment(drugs),
    }
    return cells | {column: said for column in terms.STATED if (said := _stated(encounter, column)) is not None}


def number_of(resource: Content, system: str, kind: str, column: str) -> str | None:
    """Return a resource's number: by the project's system, else by the type, else the only one that has no type.

    Raises
    ------
    Unclear
        When that leaves several.
    """
    valid = [each for each in resource.get("identifier", []) if each.get("use") != "old" and "value" in each]
    own = [each for each in valid if each.get("system") == system]
    typed = [each for each in valid if kind in {coding.get("code") for coding in _codings(each.get("type"))}]
    found = {each["value"].strip() for each in own or typed or [each for each in valid if "type" not in each]}
    if len(found) > 1:
        raise Unclear(column, "identifier_unclear")
    return found.pop() if found else None


def period(encounter: Content) -> tuple[date | None, date | None]:
    """Return the days on which an Encounter began and ended, as written: a time counts by its own offset."""
    said = encounter.get("period", {})
    return _day(said.get("start")), _day(said.get("end"))


def _day(moment: Any) -> date | None:
    return date.fromisoformat(moment[:10]) if isinstance(moment, str) and len(moment) >= 10 else None


def treatment(drugs: dict[str, str]) -> dict[str, str]:
    """Return ``change`` and ``diabetesMed`` as they follow from the drugs: a new dose or a second drug is a change."""
    taken = [state for state in drugs.values() if state != "No"]
    changed = len(taken) > 1 or any(state != "Steady" for state in taken)
    return {"change": "Ch" if changed else "No", "diabetesMed": "Yes" if taken else "No"}


def _codings(concept: Any) -> list[Content]:
    return list((concept or {}).get("coding", []))


def _text(concept: Any, system: str) -> str | None:
    """Return a concept's code of a system, else its text, else how its first code is displayed."""
    codings = _codings(concept)
    own = [each["code"] for each in codings if each.get("system") == system and "code" in each]
    shown = [each["display"] for each in codings if "display" in each]
    return next(iter([*own, *([concept["text"]] if concept and "text" in concept else []), *shown]), None)


def _valid(resources: Iterable[Content]) -> list[Content]:
    return [each for each in resources if each.get("status") not in _VOID]


def _stated(encounter: Content, column: str) -> str | None:
    url = terms.extension_url(column)
    values = [each.get(kind) for each in encounter.get("extension", []) if each.get("url") == url
              for kind in ("valueInteger", "valueString", "valueCode") if kind in each]  # fmt: skip
    return str(values[0]) if values else None


def _hospitalization(encounter: Content) -> Content:
    found: Content = encounter.get("hospitalization", {})
    return found


# ---------------------------------------------------------------------------------------------------------- the patient


def _extension(resource: Content, url: str) -> list[Content]:
    return [part for each in resource.get("extension", []) if each.get("url") == url
            for part in each.get("extension", [])]  # fmt: skip


def _race(patient: Content) -> str | None:
    def categories(url: str) -> list[str]:
        parts = [each for each in _extension(patient, url) if each.get("url") == "ombCategory"]
        return [each.get("valueCoding", {}).get("code", "") for each in parts]

    # As in the source, which has one column for both.
    if terms.HISPANIC in categories(terms.US_CORE_ETHNICITY):
        return "Hispanic"
    races = {terms.RACES[code] for code in categories(terms.US_CORE_RACE) if code in terms.RACES}
    return terms.SEVERAL_RACES if len(races) > 1 else next(iter(races), None)


def _age_band(birth: Any, admission: date | None) -> str | None:
    """Return the decade of the age in whole years at admission; None where it is not known, or not to the decade."""
    if not isinstance(birth, str) or admission is None:
        return None
    year, month, day = ([int(part) for part in birth.split("-")] + [0, 0])[:3]
    # Of a birth date without day or month, the first and the last day that it may be.
    bands = {(admission.year - year - ((admission.month, admission.day) < born)) // 10
             for born in ((month or 1, day or 1), (month or 12, day or 31))}  # fmt: skip
    decade = 10 * bands.pop()
    return None if bands else f"[{decade}-{decade + 10})"


def _weight(observations: Iterable[Content]) -> str | None:
    # What is measured is not put into the source's bands, of which it is not sure which unit they have.
    said = [each["valueString"] for each in _valid(observations) if _is_test(each, (terms.BODY_WEIGHT,))
            and "valueString" in each]  # fmt: skip
    return said[0] if len(set(said)) == 1 else None


# -------------------------------------------------------------------------------------------------------- the encounter


def _coded(column: str, concept: Any, *, beside: Iterable[Any] = ()) -> str:
    """Return the source's code of what a concept says, or of what those ``beside`` it may say.

    Raises
    ------
    Unclear
        When the concept says something that no table has.
    """
    codings = [coding for each in (concept, *beside) for coding in _codings(each)]
    for system, codes in terms.CODES[column].items():
        for coding in codings:
            if coding.get("system") == system and coding.get("code") in codes:
                return codes[coding["code"]]
    if concept:
        raise Unclear(column, "unknown_code")
    return terms.SAID_NOTHING[column]


def _disposition(stay: Stay, end: date | None) -> str:
    said = _hospitalization(stay.encounter).get("dischargeDisposition")
    if not said:
        died = stay.patient.get("deceasedDateTime", "")
        if stay.patient.get("deceasedBoolean") or (died and end and died[:10] <= end.isoformat()):
            return terms.DIED
    return _coded("discharge_disposition_id", said)


def _only_payer(coverages: Iterable[Content]) -> str | None:
    said = {_text(each.get("type"), terms.PAYER) for each in coverages if each.get("status") == "active"} - {None}
    return said.pop() if len(said) == 1 else None


def _visits(stay: Stay, begin: date | None) -> dict[str, str | None]:
    """Count the patient's Encounters that ended in the year before the day of admission, by class."""
    counts = dict.fromkeys(terms.VISIT_COUNTS, 0)
    for each in stay.earlier:
        started, ended = period(each)
        last = ended or started
        counted = terms.CLASSES.get(each.get("class", {}).get("code", ""))
        if begin and last and counted and begin - _YEAR <= last < begin:
            counts[counted] += 1
    return {column: None if begin is None else str(count) for column, count in counts.items()}


# ------------------------------------------------------------------------------------------------ diagnoses and tests


def _diagnoses(stay: Stay) -> dict[str, str | None]:
    """Return the number of diagnoses and those of the first three ranks."""
    listed = [(entry, condition) for entry, condition in stay.diagnoses
              if _role(entry) not in _OTHER_ROLES and _is_found(condition)]  # fmt: skip
    others = [condition for condition in stay.conditions if _is_found(condition)]
    ranked: dict[int, dict[str, set[str | None]]] = {}
    for place, (entry, condition) in enumerate(listed, start=1):
        rank = entry.get("rank") if any("rank" in each for each, _ in listed) else place
        if rank in (1, 2, 3):
            role = _role(entry) if _role(entry) in _ROLES else ""
            ranked.setdefault(rank, {}).setdefault(role, set()).add(_diagnosis_code(condition))
    found: dict[str, str | None] = {}
    for rank in (1, 2, 3):
        codes = next((ranked[rank][role] for role in _ROLES if role in ranked.get(rank, {})), {None})
        if len(codes) > 1:
            raise Unclear(f"diag_{rank}", "resource_conflict")
        found[f"diag_{rank}"] = next(iter(codes))
    # Several roles may repeat a diagnosis.
    same = {str(entry.get("condition", {}).get("reference", place)) for place, (entry, _) in enumerate(listed)}
    number = len(same) or len(others)
    return found | {"number_diagnoses": str(number) if number else None}


def _is_found(condition: Content) -> bool:
    status = {coding.get("code") for coding in _codings(condition.get("verificationStatus"))}
    return not status & _NOT_FOUND


def _role(entry: Content) -> str:
    codes = [coding.get("code", "") for coding in _codings(entry.get("use"))]
    return codes[0] if codes else ""


def _diagnosis_code(condition: Content) -> str | None:
    """Return the code of ICD-9-CM, else of ICD-10-CM; codes of other systems mean nothing to the contract."""
    codings = _codings(condition.get("code"))
    return next((each["code"] for systems in (terms.ICD9, terms.ICD10) for each in codings
                 if each.get("system") in systems and "code" in each), None)  # fmt: skip


def _is_test(observation: Content, codes: Sequence[str]) -> bool:
    return any(each.get("system") == terms.LOINC and each.get("code") in codes
               for each in _codings(observation.get("code")))  # fmt: skip


def _is_laboratory(observation: Content) -> bool:
    codes = {coding.get("code") for each in observation.get("category", []) for coding in _codings(each)}
    return "laboratory" in codes


def _result(column: str, observations: Iterable[Content]) -> str:
    """Return the highest result of a test; where one is said in words, these, for the contract to read."""
    loinc, units, limits = terms.TESTS[column]
    done = [each for each in _valid(observations) if _is_test(each, loinc) and _has_result(each)]
    texts, values = [], []
    for each in done:
        quantity = each.get("valueQuantity", {})
        factor = units.get(quantity.get("code", quantity.get("unit", "")))
        if "value" in quantity and factor is not None:
            values.append(float(quantity["value"]) * factor)
        elif "valueString" in each:
            texts.append(each["valueString"])
        elif "valueCodeableConcept" in each:
            texts.append(_text(each["valueCodeableConcept"], "") or "")
        elif _interpretation(each) == "N" and not quantity:
            texts.append(terms.NORMAL)
        else:
            raise Unclear(column, "unknown_code")  # high, and by how much is not said; or in another unit
    said = [next((name for limit, name in limits if value > limit), terms.NORMAL) for value in values]
    by_height = [*(name for _, name in limits), terms.NORMAL]
    return min([*said, *texts], key=lambda text: by_height.index(text) if text in by_height else -1,
               default=terms.NOT_DONE)  # fmt: skip


def _has_result(observation: Content) -> bool:
    return any(name.startswith("value") for name in observation) or bool(_interpretation(observation))


def _interpretation(observation: Content) -> str:
    codes = [coding.get("code", "") for each in observation.get("interpretation", []) for coding in _codings(each)]
    return codes[0] if codes else ""


# -------------------------------------------------------------------------------------------------------------- drugs


def _ordered(stay: Stay) -> list[tuple[Content, Content]]:
    """Return the requests that were orders to give something."""
    return [(request, concept) for request, concept in stay.requests if request.get("status") not in _VOID
            and request.get("intent") not in _NO_ORDERS and not request.get("doNotPerform")]  # fmt: skip


def _drugs(stay: Stay) -> dict[str, str]:
    by_column: dict[str, list[Content]] = {}
    for request, concept in _ordered(stay):
        for column in drug_columns(concept):
            by_column.setdefault(column, []).append(request)
    return {column: state_of(requests) for column, requests in by_column.items()}
