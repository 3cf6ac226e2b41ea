"""Training on what matured: discharges join the development part once, and nothing else changes by it."""

from collections.abc import Callable
from datetime import date

import pandas as pd
import pytest

from readmission_platform.encounters.cohort import eligible_encounters
from readmission_platform.encounters.history import HISTORY_COLUMNS
from readmission_platform.lifecycle.days.replay import manifest_of
from readmission_platform.lifecycle.days.scoring import InputVersions, known_rows
from readmission_platform.models.readmission_30d import CONTRACT
from readmission_platform.models.readmission_30d.inputs import MODEL_INPUTS
from readmission_platform.storage.tables import ModelLake
from readmission_platform_tests.support.homes import SECRET, Home
from readmission_platform_tests.support.hospital import days_from

DAYS = days_from(date(2024, 3, 1), 4)
SOURCE = {"rows": 1500, "seed": 5}
COUNT = 4 * 27


def ingest(home: Home, **config: object) -> pd.DataFrame:
    result = home.materialize("eligible_encounters", ops={"eligible_encounters": config} if config else None)
    assert result.success
    assert all(evaluation.passed for evaluation in result.get_asset_check_evaluations())
    return home.lake.read("eligible_encounters")


@pytest.fixture(scope="module")
def discharged_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Four days of the replay were discharged long ago; their outcomes have landed and were not taken in."""
    home = Home.new(tmp_path_factory.mktemp("discharged") / "home")
    assert home.materialize("raw_encounters", ops={"raw_encounters": SOURCE}).success
    ingest(home)
    assert home.command("replay", "--days", "4", "--start", DAYS[0], "--outcomes").code == 0
    assert home.command("score", "--from", DAYS[0], "--to", DAYS[-1]).code == 0
    return home


@pytest.fixture(scope="module")
def matured_home(discharged_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The outcomes of the four days were taken in, and the cohort was made again."""
    home = discharged_home.copy(tmp_path_factory.mktemp("matured") / "home")
    assert home.command("outcomes", "--from", DAYS[0], "--to", DAYS[-1]).code == 0
    ingest(home)
    return home


@pytest.fixture
def home(matured_home: Home, changing: Callable[[Home], Home]) -> Home:
    return changing(matured_home)


def newest(lake: ModelLake) -> InputVersions:
    return InputVersions.newest(lake, lake.open("eligible_encounters").version())


def filled(frame: pd.DataFrame) -> pd.DataFrame:
    """Missing is missing, however it is written."""
    return frame.astype(object).where(frame.notna(), "-")


def of_source(home: Home) -> pd.DataFrame:
    return eligible_encounters(home.lake.read("raw_encounters"), key=bytes.fromhex(SECRET), replay_share=0.1)


def test_without_outcomes_the_cohort_is_the_sources_and_has_one_empty_column_more(discharged_home: Home):
    found = discharged_home.lake.read("eligible_encounters")
    assert found["discharge_date"].isna().all()
    pd.testing.assert_frame_equal(found.drop(columns="discharge_date"), of_source(discharged_home))


def test_what_matured_is_learnt_from_once_with_its_outcome_and_its_date(matured_home: Home):
    found, source = matured_home.lake.read("eligible_encounters"), of_source(matured_home)
    assert found["encounter_id"].tolist() == source["encounter_id"].tolist()
    dated = found[found["discharge_date"].notna()]
    assert len(dated) == COUNT
    assert set(dated["part"]) == {"development"}
    assert set(dated["discharge_date"]) == set(DAYS)
    pd.testing.assert_series_equal(found["readmitted_30d"], source["readmitted_30d"])
    assert (found["part"] == "replay").sum() == (source["part"] == "replay").sum() - COUNT
    features = matured_home.materialize("encounter_features")
    assert features.success
    assert set(dated["encounter_id"]) <= set(matured_home.lake.read("encounter_features")["encounter_id"])


def test_the_flow_of_the_cohort_shows_it_as_a_step(home: Home):
    result = home.materialize("eligible_encounters")
    (shown,) = result.asset_materializations_for_node("eligible_encounters")
    flow = {record.data["step"]: record.data["encounters"] for record in shown.metadata["cohort flow"].records}
    assert flow["development (matured discharges)"] == COUNT
    assert flow["added: matured discharges that are not in the source"] == 0


def test_it_can_be_switched_off(home: Home):
    found = ingest(home, matured=False)
    assert found["discharge_date"].isna().all()
    pd.testing.assert_frame_equal(found.drop(columns="discharge_date"), of_source(home))


def test_a_day_without_nearly_all_of_its_outcomes_is_not_learnt_from(home: Home):
    only = home.lake.read("matured_outcomes", where={"discharge_date": [DAYS[0]]})
    home.lake.write("matured_outcomes", only[only["readmitted_30d"] == 1], partition=("discharge_date", [DAYS[0]]))
    found = ingest(home)
    assert set(found["discharge_date"].dropna()) == set(DAYS[1:])


def test_the_models_inputs_of_a_matured_discharge_are_those_it_was_scored_with(matured_home: Home):
    assert matured_home.materialize("encounter_features").success
    lake = matured_home.lake
    discharged = lake.read("daily_discharges")
    served = CONTRACT.data.inputs_of(discharged, known_rows(lake, discharged, newest(lake)))
    served.index = pd.Index(discharged["encounter_id"])
    trained = lake.read("encounter_features").set_index("encounter_id").loc[served.index, MODEL_INPUTS]
    assert (served["prior_encounters"] > 0).any()
    pd.testing.assert_frame_equal(trained[HISTORY_COLUMNS], served[HISTORY_COLUMNS], check_dtype=False)
    rest = [name for name in MODEL_INPUTS if name not in HISTORY_COLUMNS]
    pd.testing.assert_frame_equal(filled(trained[rest]), filled(served[rest]), check_dtype=False)


def test_what_scoring_knows_of_a_patient_does_not_change_when_discharges_mature(
    discharged_home: Home, matured_home: Home
):
    def known(home: Home) -> pd.DataFrame:
        discharged = home.lake.read("daily_discharges")
        found = known_rows(home.lake, discharged, newest(home.lake))
        found = found.drop(columns="readmitted_30d")  # which nobody knew before
        return found.sort_values(["encounter_id", "discharge_date"], ignore_index=True)[sorted(found.columns)]

    pd.testing.assert_frame_equal(known(matured_home), known(discharged_home))


def test_the_replay_goes_on_with_the_same_stream_after_a_retraining(home: Home):
    streamed = of_source(home).query("part == 'replay'")["encounter_id"].tolist()
    assert home.command("replay", "--days", "1", "--start", "2024-03-05", "--outcomes").code == 0
    landed = pd.read_csv(home.path / "landing/discharges/2024-03-05/discharges.csv")
    assert landed["encounter_id"].tolist() == streamed[COUNT : COUNT + 27]
    again = home.command("replay", "--days", "4", "--start", DAYS[0], "--outcomes", "--json")
    assert again.json["days"] == DAYS


def test_a_replay_of_another_source_is_not_learnt_from(home: Home):
    assert home.materialize("raw_encounters", ops={"raw_encounters": {**SOURCE, "seed": 6}}).success
    assert ingest(home)["discharge_date"].isna().all()
    outcome = home.command("replay", "--days", "1", "--start", "2024-03-05")
    assert (outcome.code, "replay of other data" in outcome.err) == (2, True)


def test_a_hospitals_own_discharges_are_learnt_from_whatever_the_source(home: Home):
    manifest_of(home.landing).unlink()
    assert home.materialize("raw_encounters", ops={"raw_encounters": {**SOURCE, "seed": 6}}).success
    found = ingest(home)
    # Encounters whose number the other source has in its development part count as its own.
    assert 0 < found["discharge_date"].notna().sum() <= COUNT
