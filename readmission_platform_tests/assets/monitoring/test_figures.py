"""The table of figures of a home: what its tables, ledger and observations come to, and what is missing where."""

import re
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from readmission_platform.assets.monitoring.figures import HEADLINES
from readmission_platform.config.environment import PROJECT_ROOT
from readmission_platform.evaluation.operation.catalogue import CATALOGUE
from readmission_platform.evaluation.operation.figures import COLUMNS
from readmission_platform.lifecycle.days.replay import manifest_of
from readmission_platform.lifecycle.monitoring.figure_sources import DRIFT, SCORES, VOLUMES, why_absent
from readmission_platform.lifecycle.monitoring.figures import figures, latest_figures
from readmission_platform_tests.support.homes import Home
from readmission_platform_tests.support.monitored import DAYS, days_of, last_day, monitored_home

NOW = last_day() + timedelta(days=1)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return monitored_home(tmp_path_factory.mktemp("monitored") / "home")


@pytest.fixture(scope="module")
def table(home: Home) -> pd.DataFrame:
    return figures_of(home)


def figures_of(home: Home, *, days: int = 90, now: datetime = NOW) -> pd.DataFrame:
    with home.workspace() as workspace:
        return figures(workspace, days=days, now=now)


def latest_of(home: Home) -> dict[str, float]:
    with home.workspace() as workspace:
        return latest_figures(workspace, now=NOW)


def test_every_figure_is_in_the_catalogue_and_every_part_is_there(table: pd.DataFrame):
    assert list(table.columns) == COLUMNS
    assert set(table["figure"]) <= set(CATALOGUE)
    # No file ever landed here, no code came in another system, and on two measures there are no limits.
    assert set(CATALOGUE) - set(table["figure"]) == {"days_incomplete", "code_share", "worse_brier", "worse_accuracy"}
    assert table["value"].notna().all()
    assert (table["unit"] != "").all()


def test_days_come_back_as_they_were_counted(home: Home, table: pd.DataFrame):
    accounts = home.lake.read("intake_accounting").sort_values("discharge_date")
    received = table[table["figure"] == "rows_received"]
    assert received["first_day"].tolist() == accounts["discharge_date"].tolist() == days_of(DAYS)
    assert received["value"].tolist() == accounts["received"].tolist()
    predicted = home.lake.read("daily_predictions")
    scored = table[table["figure"] == "rows_scored"]
    assert scored["value"].sum() == predicted["risk"].notna().sum()
    assert table.loc[table["figure"] == "rows_withheld", "value"].sum() == predicted["risk"].isna().sum()


def test_only_the_days_asked_for_are_in_it(home: Home):
    table = figures_of(home, days=20)
    daily = table[table["figure"].str.startswith("rows_")]
    assert sorted(set(daily["first_day"])) == days_of(20)
    assert figures_of(home, days=20, now=NOW + timedelta(days=200))["figure"].tolist() == ["alerts_open"]


def test_a_cohort_of_9_people_is_in_no_figure(table: pd.DataFrame):
    assert "gender: Female" in set(table["cohort"])
    assert "race: Asian" not in set(table["cohort"])


def test_versions_stand_where_they_scored_when_dates_are_simulated_and_else_where_the_ledger_says(
    home: Home, table: pd.DataFrame, tmp_path: Path
):
    days = days_of(DAYS)
    stays = table[table["figure"] == "version_in_production"]
    switch = days[2 * DAYS // 3]
    assert stays["version"].tolist() == ["1", "2"]
    assert stays["first_day"].tolist() == [days[0], switch]
    copied = home.copy(tmp_path / "home")
    manifest_of(copied.landing).unlink()
    # In this ledger both were promoted a moment ago, which is after the last of the days.
    assert "version_in_production" not in set(figures_of(copied)["figure"])
    later = figures_of(copied, now=NOW + timedelta(days=5))
    today = NOW.date().isoformat()
    assert later.loc[later["figure"] == "version_in_production", "version"].tolist()[-1] == "2"
    assert later.loc[later["figure"] == "version_in_production", "first_day"].min() >= today


def test_alert_rules_get_the_newest_value_over_everybody(home: Home):
    found = latest_of(home)
    assert found["drifted_share"] == pytest.approx(0.4)
    assert found["alerts_open"] == 2
    assert 0.8 < found["live_accuracy"] < 0.9
    assert {"quarantined_share", "scoring_milliseconds", "mean_risk", "matured_coverage"} <= set(found)
    assert all(isinstance(value, float) for value in found.values())


def test_every_figure_that_an_alert_rule_names_exists(home: Home):
    text = (PROJECT_ROOT / "configs" / "alerts.yaml").read_text(encoding="utf-8")
    named = set(re.findall(r"^ +figure: (\w+)$", text, flags=re.MULTILINE))
    of_the_platform = {"disk_used_share", "run_error_share"}
    assert named - of_the_platform <= set(CATALOGUE)


def test_a_home_in_which_nothing_happened_has_no_figures_but_that_no_alert_is_open(tmp_path: Path):
    home = Home.new(tmp_path / "home")
    found = figures_of(home)
    assert list(zip(found["figure"], found["value"], strict=True)) == [("alerts_open", 0.0)]


def test_a_missing_table_says_what_makes_it(tmp_path: Path):
    home = Home.new(tmp_path / "home")
    with home.workspace() as workspace:
        assert why_absent(workspace, DRIFT) == "drift_report has not been made; monitoring_job makes it"
        assert why_absent(workspace, SCORES) == "daily_predictions has not been made; scoring_job makes it"
        assert why_absent(workspace, VOLUMES) is not None


def test_the_asset_stores_the_table_and_shows_headlines_that_the_ui_plots(home: Home, tmp_path: Path):
    copied = home.copy(tmp_path / "home")
    result = copied.materialize("monitoring_figures")
    assert result.success
    metadata = result.asset_materializations_for_node("monitoring_figures")[0].metadata
    table = metadata["newest figures"]
    assert isinstance(table, dg.TableMetadataValue)
    shown = {record.data["figure"]: record.data for record in table.records}
    numbers = {name: metadata[name].value for name in HEADLINES if name in metadata}
    assert {"rows_received", "mean_risk", "drifted_share"} <= set(numbers)
    for name, value in numbers.items():
        assert value == pytest.approx(shown[name]["value"], rel=1e-3)
    assert metadata["dates"].value == "simulated"
    stored = copied.lake.read("monitoring_figures")
    assert list(stored.columns) == COLUMNS
    assert set(stored["figure"]) <= set(CATALOGUE)
    # A day's few quarantined rows are in the stored table and not in the one that is shown.
    assert not any(0 < record["value"] < 11 for name, record in shown.items() if name.startswith("rows_"))


def test_the_documentation_lists_every_figure_as_the_catalogue_has_it():
    lines = (PROJECT_ROOT / "docs" / "figures.md").read_text(encoding="utf-8").splitlines()
    listed = [line for line in lines if line.startswith("| `") and line.count("|") == 5]
    assert listed == [
        f"| `{figure.name}` | {figure.unit} | {figure.meaning} | {figure.source} |" for figure in CATALOGUE.values()
    ]
