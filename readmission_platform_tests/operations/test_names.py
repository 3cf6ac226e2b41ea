"""To which model a name of Dagster's belongs."""

import pytest

from readmission_platform.operations.names import ModelNames, Named

NAMES = ModelNames(
    {"readmission_30d": "", "visits_model": "visits", "night_model": "visits_at_night"},
    shared=frozenset({"observation_sensor"}),
)


@pytest.mark.parametrize(
    ("key", "name", "model"),
    [
        ("daily_predictions", "daily_predictions", "readmission_30d"),
        ("visits/daily_predictions", "daily_predictions", "visits_model"),
        ("visits_at_night/daily_predictions", "daily_predictions", "night_model"),
        ("visits_per_day", "visits_per_day", "readmission_30d"),  # no key of the other: there is no slash
        ("visits/of_ward/7", "of_ward/7", "visits_model"),
    ],
)
def test_an_asset_belongs_to_the_model_whose_prefix_its_key_begins_with(key: str, name: str, model: str):
    assert NAMES.of_asset(key) == Named(key, name, model)


@pytest.mark.parametrize(
    ("key", "name", "model"),
    [
        ("landing_sensor", "landing_sensor", "readmission_30d"),
        ("visits_landing_sensor", "landing_sensor", "visits_model"),
        ("visits_at_night_landing_sensor", "landing_sensor", "night_model"),
        ("observation_sensor", "observation_sensor", None),
    ],
)
def test_a_sensor_belongs_to_the_model_with_the_longest_prefix_unless_it_is_shared(
    key: str, name: str, model: str | None
):
    assert NAMES.of_instigator(key) == Named(key, name, model)


def test_a_job_belongs_to_the_model_it_is_said_to_and_loses_the_prefix_of_that_one_only():
    assert NAMES.of_job("visits_scoring_job", "visits_model").name == "scoring_job"
    assert NAMES.of_job("visits_scoring_job", "readmission_30d").name == "visits_scoring_job"
    assert NAMES.of_job("__ASSET_JOB", None) == Named("__ASSET_JOB", "__ASSET_JOB", None)


def test_without_a_model_that_has_no_prefix_other_names_belong_to_none():
    names = ModelNames({"visits_model": "visits"})
    assert names.of_asset("daily_predictions") == Named("daily_predictions", "daily_predictions", None)
    assert names.of_asset("visits/daily_predictions").model == "visits_model"
