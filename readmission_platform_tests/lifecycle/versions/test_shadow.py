"""The version in staging beside the one in production: compared, shown, and its days counted."""

from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest

from readmission_platform.assets.daily.agreement import AGREEMENT_CHECK, agreement_check, both_scored
from readmission_platform.config.files import model_config
from readmission_platform.config.model import ModelConfig
from readmission_platform.governance.ledger.versions import VersionRecord, version_records
from readmission_platform.lifecycle.versions.shadow import shadow_of
from readmission_platform.lifecycle.versions.shadow_days import (
    complete_days,
    days_in_the_shadow,
    shadow_days,
    shadow_rows,
)
from readmission_platform.lifecycle.versions.version_facts import shadow_estimates
from readmission_platform_tests.conftest import SHADOW_DAYS
from readmission_platform_tests.support.homes import Home


def record(home: Home, version: str) -> VersionRecord:
    with home.ledger() as ledger:
        return version_records(*ledger.snapshot())[version]


@pytest.fixture
def model(shadowed_home: Home) -> ModelConfig:
    with shadowed_home.lived_in() as current:
        return model_config(current, "readmission_30d")


def scored_in_the_shadow(home: Home) -> Any:
    return home.lake.read("shadow_predictions", where={"model_version": ["2"]})


def last_check(home: Home, name: str) -> Any:
    with home.instance() as instance:
        key = dg.AssetCheckKey(dg.AssetKey("shadow_predictions"), name)
        latest = instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
        assert latest.event is not None
        return latest.event.dagster_event.asset_check_evaluation_data


def test_the_check_compares_with_the_work_list_of_the_same_run(shadowed_home: Home):
    found = last_check(shadowed_home, AGREEMENT_CHECK)
    assert found.passed
    assert found.severity is dg.AssetCheckSeverity.WARN
    assert not found.blocking
    figures = {name: value.value for name, value in found.metadata.items()}
    assert figures["judged on"].startswith(f"{SHADOW_DAYS * 27} encounters")
    assert next(iter(sorted(figures))) == "finding"  # the UI sorts by name
    assert figures["rank correlation"] == pytest.approx(1)  # the same recipe, seed and data
    assert figures["psi"] == pytest.approx(0, abs=0.01)
    assert "rank correlation 1.000, at least 0.8" in figures["finding"]


def test_before_there_is_a_version_in_production_there_is_nothing_to_compare(lived_home: Home):
    with lived_home.instance() as instance:
        key = dg.AssetCheckKey(dg.AssetKey("shadow_predictions"), AGREEMENT_CHECK)
        records = instance.event_log_storage.get_asset_check_execution_history(key, limit=100)
    events = [entry.event.dagster_event for entry in records if entry.event and entry.event.dagster_event]
    found = [event.asset_check_evaluation_data for event in events
             if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION]  # fmt: skip
    assert len(found) == 2  # the days in the shadow, and those in production
    assert all(each.passed and "othing to" in (each.description or "") for each in found)


def test_versions_that_disagree_are_a_warning_that_says_by_how_much(shadowed_home: Home, model: ModelConfig):
    rows = scored_in_the_shadow(shadowed_home)
    turned = rows.assign(risk=0.9 - rows["risk"], flagged=~rows["flagged"])
    found = agreement_check(shadowed_home.lake, turned, sorted(set(rows["discharge_date"])), model)
    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.WARN
    for said in ("mean risk differs", "rank correlation -1.000", "0 % of the flagged in common"):
        assert said in str(found.description)


def test_a_single_day_is_shown_and_not_judged(shadowed_home: Home, model: ModelConfig):
    rows = scored_in_the_shadow(shadowed_home)
    day = rows["discharge_date"].iloc[0]
    one = rows[rows["discharge_date"] == day].assign(risk=0.9)
    found = agreement_check(shadowed_home.lake, one, [day], model)
    assert found.passed
    assert "Too few" in str(found.description)
    assert "mean difference" in (found.metadata or {})


def test_a_version_is_not_compared_with_itself(shadowed_home: Home):
    rows = scored_in_the_shadow(shadowed_home).assign(model_version="1")
    assert both_scored(shadowed_home.lake, rows, sorted(set(rows["discharge_date"]))).empty


def test_only_complete_days_count_as_days_in_the_shadow(shadowed_home: Home, changing: Callable[[Home], Home]):
    home = changing(shadowed_home)
    challenger = record(home, "2")
    assert days_in_the_shadow(home.lake, challenger) == SHADOW_DAYS
    rows = scored_in_the_shadow(home)
    day = rows["discharge_date"].iloc[0]
    home.lake.write("shadow_predictions", rows[rows["discharge_date"] == day].iloc[1:],
                    partition=("discharge_date", [day]))  # fmt: skip
    assert days_in_the_shadow(home.lake, challenger) == SHADOW_DAYS - 1
    days = shadow_days(home.lake, shadow_rows(home.lake, challenger))
    assert complete_days(days) == SHADOW_DAYS - 1
    estimates = shadow_estimates(days, 0.11)
    assert estimates["shadow_scored_share"]["value"] == pytest.approx(1 - 1 / (SHADOW_DAYS * 27))


def test_days_scored_by_other_bytes_do_not_count(shadowed_home: Home, changing: Callable[[Home], Home]):
    home = changing(shadowed_home)
    rows = scored_in_the_shadow(home)
    day = rows["discharge_date"].iloc[0]
    home.lake.write("shadow_predictions", rows[rows["discharge_date"] == day].assign(artifact_digest="sha256:other"),
                    partition=("discharge_date", [day]))  # fmt: skip
    assert days_in_the_shadow(home.lake, record(home, "2")) == SHADOW_DAYS - 1


def test_the_days_are_summarised_for_people_with_small_days_hidden(
    shadowed_home: Home, changing: Callable[[Home], Home], model: ModelConfig
):
    home = changing(shadowed_home)
    rows = scored_in_the_shadow(home)
    day = rows["discharge_date"].iloc[0]
    home.lake.write("shadow_predictions", rows[rows["discharge_date"] == day].head(10),
                    partition=("discharge_date", [day]))  # fmt: skip
    shown = shadow_of(home.lake, shadow_rows(home.lake, record(home, "2")), model)
    small = next(each for each in shown["days"] if each["day"] == day)
    assert (small["rows"], small["mean_risk"], small["rank_correlation"]) == (None, None, None)
    assert [each["rows"] for each in shown["days"] if each["day"] != day] == [27] * (SHADOW_DAYS - 1)
    assert shown["overall"]["rows"] == 27 * (SHADOW_DAYS - 1) + 10
