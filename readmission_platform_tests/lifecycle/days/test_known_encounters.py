"""What is known of the patients of a day: whatever has matured since, the same as on that day."""

from pathlib import Path

import pandas as pd
import pytest

from readmission_platform.lifecycle.days.scoring import InputVersions, known_rows
from readmission_platform.models.readmission_30d import CONTRACT
from readmission_platform.storage.tables import ModelLake


def stays(*numbers: int, patient: str = "a", **columns: object) -> pd.DataFrame:
    return pd.DataFrame({"encounter_id": numbers, "entity_key": patient, "time_in_hospital": 3, "number_inpatient": 0,
                         "discharge_disposition_id": 1, "previous_return": None, **columns})  # fmt: skip


@pytest.fixture
def lake(tmp_path: Path) -> ModelLake:
    """Two development encounters, one of the replay stream, and two days of discharges."""
    filled = ModelLake(tmp_path, CONTRACT)
    source = pd.concat([stays(1, part="development", readmitted="<30", readmitted_30d=1),
                        stays(2, part="development", readmitted="NO", readmitted_30d=0),
                        stays(3, part="replay", readmitted="<30", readmitted_30d=1)], ignore_index=True)  # fmt: skip
    filled.write("eligible_encounters", source)
    days = pd.concat([stays(3, discharge_date="2024-01-01"), stays(4, discharge_date="2024-01-02")], ignore_index=True)
    filled.write("daily_discharges", days, partition=("discharge_date", ["2024-01-01", "2024-01-02"]))
    return filled


def known(lake: ModelLake) -> pd.DataFrame:
    discharges = lake.read("daily_discharges")
    found = known_rows(lake, discharges, InputVersions.newest(lake, lake.open("eligible_encounters").version()))
    return found.sort_values("encounter_id", ignore_index=True)


def test_the_replay_stream_is_known_only_as_it_arrives(lake: ModelLake):
    found = known(lake)
    assert list(found["encounter_id"]) == [1, 2, 3, 4]
    assert list(found["discharge_date"].fillna("")) == ["", "", "2024-01-01", "2024-01-02"]
    assert list(found["readmitted"].fillna("")) == ["<30", "NO", "", ""]


def test_the_outcome_of_a_discharge_comes_along_once_it_was_delivered_and_those_of_the_source_always(lake: ModelLake):
    own = {1: 1.0, 2: 0.0}
    assert known(lake).set_index("encounter_id")["readmitted_30d"].dropna().to_dict() == own
    outcomes = pd.DataFrame({"discharge_date": "2024-01-01", "encounter_id": [3], "entity_key": "a",
                             "readmitted_30d": pd.array([1], "int8")})  # fmt: skip
    lake.write("matured_outcomes", outcomes, partition=("discharge_date", ["2024-01-01"]))
    assert known(lake).set_index("encounter_id")["readmitted_30d"].dropna().to_dict() == own | {3: 1.0}


def test_a_discharge_that_has_matured_is_still_known_from_its_day_on(lake: ModelLake):
    before = known(lake)
    eligible = lake.read("eligible_encounters").assign(discharge_date=[None, None, "2024-01-01"])
    matured = eligible.assign(part="development", readmitted=["<30", "NO", "<30"])
    lake.write("eligible_encounters", matured)
    pd.testing.assert_frame_equal(known(lake), before, check_dtype=False)


def test_nothing_is_known_of_other_patients(lake: ModelLake):
    other = stays(9, patient="b", readmitted="NO", readmitted_30d=0, part="development")
    lake.write("eligible_encounters", pd.concat([lake.read("eligible_encounters"), other]))
    assert 9 not in set(known(lake)["encounter_id"])
