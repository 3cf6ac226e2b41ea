"""LACE and HOSPITAL, worked by hand from the published tables."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from readmission_platform.models.readmission_30d.clinical_scores import hospital, lace

QUIET: dict[str, Any] = {
    "time_in_hospital": 1,
    "admission_type_id": 3,  # elective
    "number_emergency": 0,
    "number_inpatient": 0,
    "num_procedures": 0,
    "medical_specialty": None,
    "diag_1": None,
    "diag_2": None,
    "diag_3": None,
}


def encounter(**changes: Any) -> pd.DataFrame:
    return pd.DataFrame([{**QUIET, **changes}]).astype(
        dict.fromkeys(("medical_specialty", "diag_1", "diag_2", "diag_3"), object)
    )


@pytest.mark.parametrize(
    ("days", "points"), [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (6, 4), (7, 5), (13, 5), (14, 7), (60, 7)]
)
def test_lace_counts_length_of_stay(days: int, points: int) -> None:
    assert lace(encounter(time_in_hospital=days)).tolist() == [points]


@pytest.mark.parametrize(("kind", "points"), [(1, 3), (2, 3), (7, 3), (3, 0), (4, 0), (5, 0), (6, 0), (8, 0)])
def test_lace_gives_three_points_for_an_acute_admission(kind: int, points: int) -> None:
    assert lace(encounter(admission_type_id=kind)).tolist() == [1 + points]


@pytest.mark.parametrize(("visits", "points"), [(0, 0), (1, 1), (4, 4), (5, 4), (40, 4)])
def test_lace_counts_at_most_four_emergency_visits(visits: int, points: int) -> None:
    assert lace(encounter(number_emergency=visits)).tolist() == [1 + points]


@pytest.mark.parametrize(
    ("diagnosis", "points"),
    [
        ("410.9", 1),  # myocardial infarction
        ("411", 0),  # other acute ischaemic disease is not counted
        ("412", 1),
        ("436", 1),
        ("440", 1),
        ("250.02", 1),
        ("250.4", 2),
        ("428", 2),
        ("429", 0),
        ("496", 2),
        ("585", 2),
        ("571.2", 2),
        ("162", 2),
        ("290.1", 3),
        ("714", 3),
        ("V42", 0),
        ("E878", 0),
    ],
)
def test_lace_weighs_a_comorbidity_as_published(diagnosis: str, points: int) -> None:
    assert lace(encounter(diag_2=diagnosis)).tolist() == [1 + points]


@pytest.mark.parametrize("diagnosis", ["42", "042", "572.2", "197"])
def test_lace_gives_five_points_for_four_and_more_of_comorbidity(diagnosis: str) -> None:
    assert lace(encounter(diag_3=diagnosis)).tolist() == [1 + 5]


def test_lace_counts_a_comorbidity_once_however_often_it_is_recorded() -> None:
    assert lace(encounter(diag_1="428", diag_2="428", diag_3="428")).tolist() == [1 + 2]


def test_lace_of_two_patients_worked_by_hand() -> None:
    # L 5 days 4, A emergency 3, C heart failure 2 + diabetes 1, E 2 visits 2.
    ward = encounter(
        time_in_hospital=5, admission_type_id=1, diag_1="428", diag_2="250", diag_3="401", number_emergency=2
    )
    # L 14 days 7, A 3, C metastases 6 + lung tumour 2 -> 5, E 9 visits 4: the highest score there is.
    worst = encounter(
        time_in_hospital=14, admission_type_id=2, diag_1="197", diag_2="162", diag_3="V10", number_emergency=9
    )
    assert lace(pd.concat([ward, worst], ignore_index=True)).tolist() == [12.0, 19.0]


@pytest.mark.parametrize(
    ("changes", "points"),
    [
        ({}, 0),
        ({"medical_specialty": "Oncology"}, 2),
        ({"medical_specialty": "Hematology/Oncology"}, 2),
        ({"medical_specialty": "Cardiology"}, 0),
        ({"num_procedures": 1}, 1),
        ({"num_procedures": 6}, 1),
        ({"admission_type_id": 1}, 1),
        ({"admission_type_id": 7}, 1),
        ({"number_inpatient": 1}, 2),
        ({"number_inpatient": 5}, 2),
        ({"number_inpatient": 6}, 5),
        ({"time_in_hospital": 4}, 0),
        ({"time_in_hospital": 5}, 2),
    ],
)
def test_hospital_gives_the_published_points(changes: dict[str, Any], points: int) -> None:
    assert hospital(encounter(**changes)).tolist() == [points]


def test_hospital_reaches_eleven_points_because_haemoglobin_and_sodium_are_not_recorded() -> None:
    worst = encounter(
        medical_specialty="Oncology",
        num_procedures=2,
        admission_type_id=1,
        number_inpatient=9,
        time_in_hospital=12,
    )
    assert hospital(worst).tolist() == [11.0]


def test_scores_are_one_finite_number_per_encounter() -> None:
    several = pd.concat([encounter(), encounter(diag_1="V45", medical_specialty=np.nan)], ignore_index=True)
    assert np.isfinite(lace(several)).all()
    assert np.isfinite(hospital(several)).all()
    assert lace(several).dtype == hospital(several).dtype == np.float64
