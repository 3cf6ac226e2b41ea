"""Reasons: what a clinician reads, and the account that adds up."""

import json
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest

from readmission_platform.encounters.cohort import CANNOT_BE_READMITTED, DRUG_COLUMNS
from readmission_platform.evaluation.estimates.calibration import logit
from readmission_platform.models.boosting.contributions import Contributions, Explainer
from readmission_platform.models.boosting.reasons import LEAST, LOWERING, by_concept, reasons
from readmission_platform.models.boosting.recalibrated import score
from readmission_platform.models.readmission_30d.concepts import ADMITTED_AS, CAME_FROM, CONCEPTS, DISCHARGED
from readmission_platform.models.readmission_30d.explanation import EXPLANATION, known_specialties_only
from readmission_platform.models.readmission_30d.features import EncounterEncoder
from readmission_platform.models.readmission_30d.inputs import feature_names
from readmission_platform_tests.support.small_study import SmallStudy

NAMES = [concept.name for concept in CONCEPTS]
UNNAMED = {"race", "gender", "payer"}


@pytest.fixture(scope="module")
def encoder(small_study: SmallStudy) -> EncounterEncoder:
    fitted: EncounterEncoder = small_study.fitted.model.classifier[0]
    return fitted


def row(**values: Any) -> dict[str, Any]:
    usual = {
        "number_inpatient": 0, "number_emergency": 0, "number_outpatient": 0, "prior_encounters": 0,
        "prior_readmissions_30d": 0, "previous_outcome": None, "previous_time_in_hospital": np.nan,
        "prior_mean_time_in_hospital": np.nan, "prior_max_number_inpatient": np.nan, "previous_disposition": np.nan,
        "discharge_disposition_id": 1, "admission_type_id": 1, "admission_source_id": 7, "time_in_hospital": 5,
        "diag_1": "428", "diag_2": "250.02", "diag_3": None, "number_diagnoses": 9, "age": "[70-80)",
        "num_medications": 22, "change": "No", "diabetesMed": "No", "A1Cresult": "None", "max_glu_serum": "None",
        "num_lab_procedures": 55, "num_procedures": 0, "medical_specialty": "InternalMedicine", "race": "Asian",
        "gender": "Female", "payer_code": "MC", **dict.fromkeys(DRUG_COLUMNS, "No"),
    }  # fmt: skip
    return usual | values


def said(name: str, **values: Any) -> str | None:
    return CONCEPTS[NAMES.index(name)].say(row(**values))


def adding(**log_odds: float) -> Contributions:
    """Contributions of one encounter, by feature."""
    values = np.zeros((1, len(feature_names())))
    for name, value in log_odds.items():
        values[0, feature_names().index(name)] = value
    return Contributions(-2.0, values)


def named(encoder: EncounterEncoder, found: Contributions, **values: Any) -> str:
    sums = by_concept(found, encoder.feature_names(), CONCEPTS)
    return reasons(sums, known_specialties_only(pd.DataFrame([row(**values)]), encoder), CONCEPTS)[0]


def test_every_feature_belongs_to_exactly_one_concept() -> None:
    assert Counter(name for concept in CONCEPTS for name in concept.features) == Counter(feature_names())
    assert len(set(NAMES)) == len(NAMES)


WORDS = [
    ("inpatient stays and emergency visits", {"number_inpatient": 4}, "4 inpatient stays in the past year"),
    ("inpatient stays and emergency visits", {"number_emergency": 1}, "1 emergency visit in the past year"),
    ("inpatient stays and emergency visits", {"number_inpatient": 1, "number_emergency": 2},
     "1 inpatient stay and 2 emergency visits in the past year"),
    ("inpatient stays and emergency visits", {}, "no inpatient stay or emergency visit in the past year"),
    ("outpatient visits", {"number_outpatient": 3}, "3 outpatient visits in the past year"),
    ("outpatient visits", {}, "no outpatient visit in the past year"),
    ("previous stays", {}, "no previous stay on record"),
    ("previous stays", {"prior_encounters": 2.0, "prior_max_number_inpatient": 0.0}, "2 previous stays on record"),
    ("previous stays", {"prior_encounters": 1.0, "prior_max_number_inpatient": 3.0},
     "1 previous stay on record, itself preceded by 3 inpatient stays within a year"),
    ("earlier readmissions", {"prior_readmissions_30d": 2.0}, "readmitted within 30 days of 2 previous stays"),
    ("earlier readmissions", {"previous_outcome": ">30"}, "readmitted more than 30 days after the previous stay"),
    ("length of previous stays", {"prior_encounters": 1.0, "previous_time_in_hospital": 6.0,
                                 "prior_mean_time_in_hospital": 6.0}, "previous stay of 6 days"),
    ("discharge of the previous stay", {"prior_encounters": 1.0, "previous_disposition": 3.0},
     "after the previous stay: discharged to a skilled nursing facility"),
    ("discharge of the previous stay", {"prior_encounters": 1.0, "previous_disposition": 18.0}, None),
    ("discharge", {"discharge_disposition_id": 7}, "left against medical advice"),
    ("discharge", {"discharge_disposition_id": 3}, "discharged to a skilled nursing facility"),
    ("discharge", {"discharge_disposition_id": 18}, None),
    ("admission type", {}, "emergency admission"),
    ("admission source", {"admission_source_id": 5}, "came from a skilled nursing facility"),
    ("length of stay", {"time_in_hospital": 1}, "stay of 1 day"),
    ("primary diagnosis", {}, "primary diagnosis: circulatory"),
    ("primary diagnosis", {"diag_1": None}, None),
    ("secondary diagnoses", {}, "secondary diagnoses: diabetes"),
    ("secondary diagnoses", {"diag_3": "491"}, "secondary diagnoses: diabetes, respiratory"),
    ("secondary diagnoses", {"diag_2": "V45", "diag_3": "V58"},
     "secondary diagnoses: other contact with health care (V code)"),
    ("number of diagnoses", {}, "9 diagnoses recorded"),
    ("age", {}, "age 70 to 79"),
    ("age", {"age": "[0-10)"}, "age 0 to 9"),
    ("medicines", {}, "22 medicines during the stay"),
    ("insulin", {"insulin": "Up"}, "insulin dose raised"),
    ("diabetes medicines", {"insulin": "Down", "metformin": "Steady"}, "2 diabetes medicines, 1 dose changed"),
    ("diabetes medicines", {"metformin": "Steady", "change": "Ch"}, "1 diabetes medicine, treatment changed"),
    ("diabetes medicines", {}, "no diabetes medicine"),
    ("A1C", {"A1Cresult": ">8"}, "A1C above 8 %"),
    ("glucose", {"max_glu_serum": "Norm"}, "serum glucose normal"),
    ("laboratory tests", {}, "55 laboratory tests"),
    ("procedures", {"num_procedures": 2}, "2 procedures during the stay"),
    ("specialty", {}, "admitting specialty: Internal Medicine"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "values", "words"), WORDS)
def test_what_is_so_is_said_in_plain_words(name: str, values: dict[str, Any], words: str | None) -> None:
    assert said(name, **values) == words


def test_every_code_with_a_meaning_has_a_short_name() -> None:
    without_meaning = {"disposition": {18, 25, 26}, "type": {5, 6, 8}, "source": {9, 15, 16, 17, 20, 21}}
    assert set(DISCHARGED) == set(range(1, 31)) - CANNOT_BE_READMITTED - without_meaning["disposition"]
    assert set(ADMITTED_AS) == set(range(1, 9)) - without_meaning["type"]
    assert set(CAME_FROM) == set(range(1, 27)) - without_meaning["source"]


def test_the_largest_three_that_raise_the_risk_are_named_in_order(encoder: EncounterEncoder) -> None:
    found = adding(number_inpatient=0.2, acute_visits=0.2, age=0.1, discharge_disposition_id=0.5,
                   num_medications=0.08, time_in_hospital=-0.9)  # fmt: skip
    assert named(encoder, found, number_inpatient=4) == (
        "discharged home; 4 inpatient stays in the past year; age 70 to 79"
    )


def test_what_adds_next_to_nothing_is_not_named(encoder: EncounterEncoder) -> None:
    assert named(encoder, adding(age=LEAST, num_medications=LEAST - 0.001)) == "age 70 to 79"
    assert named(encoder, adding(age=0.01, num_medications=-0.01)) == ""


def test_when_nothing_raises_the_risk_the_one_that_lowers_it_most_is_named_as_such(encoder: EncounterEncoder) -> None:
    found = adding(age=-0.1, discharge_disposition_id=-0.3, num_medications=0.01)
    assert named(encoder, found) == f"{LOWERING}discharged home"


def test_what_is_not_recorded_gives_way_to_the_next(encoder: EncounterEncoder) -> None:
    found = adding(diag_1_chapter=0.5, age=0.1)
    assert named(encoder, found, diag_1=None) == "age 70 to 79"


def test_race_gender_and_payer_are_never_named_however_much_they_count(encoder: EncounterEncoder) -> None:
    assert named(encoder, adding(race=2.0, gender=1.0, payer_code=1.5)) == ""
    assert named(encoder, adding(race=-2.0, age=-0.2)) == f"{LOWERING}age 70 to 79"
    for name in UNNAMED:
        assert said(name) is None


def test_two_concepts_that_say_the_same_are_said_once(encoder: EncounterEncoder) -> None:
    found = adding(prior_encounters=0.3, previous_time_in_hospital=0.2, age=0.1)
    assert named(encoder, found) == "no previous stay on record; age 70 to 79"


def test_text_of_a_file_that_the_model_does_not_know_gets_into_no_reason(encoder: EncounterEncoder) -> None:
    known = next(name for name in encoder.learnt_["medical_specialty"] if name == "InternalMedicine")
    found = adding(medical_specialty=0.5)
    assert named(encoder, found, medical_specialty=known) == "admitting specialty: Internal Medicine"
    assert named(encoder, found, medical_specialty="=J. Doe, room 7") == ""


def test_the_reasons_of_real_encounters_are_short_and_hold_no_unexpected_value(small_study: SmallStudy) -> None:
    model, some = small_study.fitted.model, small_study.inputs.head(400)
    texts, _ = EXPLANATION.explainer(model)(some, score(model, some))
    assert all(text.count("; ") <= 2 for text in texts)
    assert sum(text != "" for text in texts) > 350
    assert not any(word in text for text in texts for word in ("nan", "None", "_", "Caucasian", "Female"))


def test_the_account_adds_up_to_the_log_odds_of_the_risk(small_study: SmallStudy) -> None:
    model, some = small_study.fitted.model, small_study.inputs.head(200)
    found, log_odds = Explainer(model).explain(some), logit(score(model, some))
    _, accounts = EXPLANATION.explainer(model)(some, score(model, some))
    for text, total, sums in zip(accounts, log_odds, by_concept(found, feature_names(), CONCEPTS), strict=True):
        account = json.loads(text)
        assert set(account) == {"baseline", "parts", "other"}
        whole = account["baseline"] + account["other"] + sum(part["log_odds"] for part in account["parts"])
        assert whole == pytest.approx(total, abs=6e-5)
        parts = {part["feature"]: part["log_odds"] for part in account["parts"]}
        assert len(parts) == 8
        assert set(parts) <= set(NAMES)
        left_out = np.abs([sums[position] for position, name in enumerate(NAMES) if name not in parts]).max()
        assert left_out <= min(abs(value) for value in parts.values()) + 1e-4


def test_nobody_gives_no_reasons(small_study: SmallStudy) -> None:
    model, nobody = small_study.fitted.model, small_study.inputs.head(0)
    assert EXPLANATION.explainer(model)(nobody, np.empty(0)) == ([], [])
