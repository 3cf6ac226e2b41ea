"""A day that is unusual is named when it is taken in, and until it is delivered again or a week has passed."""

from collections.abc import Callable
from datetime import date, timedelta

import dagster as dg
import pandas as pd
import pytest

from readmission_platform.encounters.cohort import DISCHARGE_COLUMNS
from readmission_platform.lifecycle.days.progress import Progress, day_states
from readmission_platform.lifecycle.days.scoring import InputVersions, known_rows
from readmission_platform_tests.conftest import SHADOW_DAYS
from readmission_platform_tests.support.homes import Home

CHECKS = ("most_rows_accepted", "volume_as_usual", "numbers_continue", "rows_are_new")


@pytest.fixture
def home(lived_home: Home, changing: Callable[[Home], Home]) -> Home:
    return changing(lived_home)


def landed(home: Home, day: str) -> pd.DataFrame:
    path = home.path / "landing/discharges" / day / "discharges.csv"
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def deliver(home: Home, day: str, cells: pd.DataFrame) -> None:
    folder = home.path / "landing/discharges" / day
    folder.mkdir(parents=True, exist_ok=True)
    cells.to_csv(folder / "discharges.csv", index=False)


def after(day: str, days: int = 1) -> str:
    return (date.fromisoformat(day) + timedelta(days=days)).isoformat()


def renumbered(cells: pd.DataFrame, place: int = 1) -> pd.DataFrame:
    """Return the rows as other encounters, whose numbers go on from those of the cells."""
    numbers = pd.to_numeric(cells["encounter_id"]) + place
    return cells.assign(encounter_id=numbers.astype(str))


def named(home: Home, check: str) -> str:
    """Return what the last run said of a check, "" where it passed."""
    key = dg.AssetCheckKey(dg.AssetKey("daily_discharges"), check)
    with home.instance() as instance:
        record = instance.event_log_storage.get_asset_check_execution_history(key, limit=1)[0]
    evaluation = record.event.dagster_event.asset_check_evaluation_data  # type: ignore[union-attr]
    return "" if evaluation.passed else str(evaluation.description)


def open_alerts(home: Home) -> dict[str, str]:
    found = home.command("alerts", "list", "--json").json
    return {each["subject"].partition("/")[2]: each["what"] for each in found if each["rule"] == "delivery_unusual"}


def test_days_as_usual_pass_every_check(lived_home: Home):
    assert {check: named(lived_home, check) for check in CHECKS} == dict.fromkeys(CHECKS, "")


def test_a_cut_off_export_is_named_until_the_whole_file_comes(home: Home):
    last = home.landed()[-1]
    day, whole = after(last), renumbered(landed(home, last))
    deliver(home, day, whole.head(6))
    assert home.command("score", "--date", day).code == 0
    assert f"{day} (far fewer)" in named(home, "volume_as_usual")
    assert f"{day} (far fewer)" in open_alerts(home)["volume_as_usual"]
    deliver(home, after(day), renumbered(landed(home, last), 2))
    home.command("score", "--date", after(day))
    assert f"{day} (far fewer)" in named(home, "volume_as_usual")
    deliver(home, day, whole)
    home.command("score", "--date", day)
    assert named(home, "volume_as_usual") == ""
    assert open_alerts(home) == {}


def test_a_late_day_that_was_refused_as_a_whole_is_neither_complete_nor_passed_over(home: Home):
    day = home.landed()[SHADOW_DAYS + 2]
    deliver(home, day, landed(home, day).assign(age="about 70"))
    outcome = home.command("score", "--date", day)
    assert outcome.code == 2
    assert f"nothing of {day} was accepted" in " ".join(outcome.err.split())
    assert "Traceback" not in outcome.err
    with home.workspace() as workspace:
        assert day_states(workspace, [day])[0].progress is Progress.nothing_accepted
    assert f"{day} (all)" in open_alerts(home)["most_rows_accepted"]
    home.command("score", "--date", home.landed()[-1])  # another day, which is sound
    assert day in open_alerts(home)["most_rows_accepted"]


def test_encounters_that_were_trained_on_are_counted_when_they_arrive_as_a_new_day(home: Home):
    day = after(home.landed()[-1])
    raw = home.lake.read("raw_encounters")
    trained = home.lake.read("eligible_encounters", columns=["encounter_id", "part"])
    known = trained.loc[trained["part"] == "development", "encounter_id"].tail(27)
    deliver(home, day, raw.loc[raw["encounter_id"].isin(known), DISCHARGE_COLUMNS].fillna("?"))
    home.command("score", "--date", day)
    assert f"trained on: {day}" in named(home, "rows_are_new")
    assert day in open_alerts(home)["rows_are_new"]


def test_a_new_series_of_numbers_is_named_and_costs_nobody_the_past(home: Home):
    patients = home.lake.read("daily_discharges", columns=["entity_key", "encounter_id", "discharge_date"])
    last = home.landed()[-1]
    day, cells = after(last), landed(home, last)
    deliver(home, day, cells.assign(encounter_id=[str(1001 + place) for place in range(len(cells))]))
    home.command("score", "--date", day)
    assert day in named(home, "numbers_continue")
    with home.workspace() as workspace:
        rows = home.lake.read("daily_discharges", where={"discharge_date": [day]})
        cohort = int(home.lake.read("daily_predictions")["cohort_version"].iloc[0])
        known = known_rows(home.lake, rows, InputVersions.newest(home.lake, cohort))
        inputs = workspace.contract.data.inputs_of(rows, known)
    # All of them were discharged the day before, and some earlier still.
    assert (inputs["prior_encounters"] >= 1).all()
    stays = patients[patients["entity_key"].isin(rows["entity_key"])].groupby("entity_key").size()
    assert (inputs["prior_encounters"].to_numpy() >= rows["entity_key"].map(stays).to_numpy()).all()
