"""The predictions of a day are those that the ledger recorded, or nobody is shown them."""

import shutil
from collections.abc import Callable

import pandas as pd
import pytest

from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.lifecycle.days.progress import Progress, day_states
from readmission_platform.lifecycle.days.seals import SCORED, changed_days, day_digests
from readmission_platform.storage.tables import ModelLake
from readmission_platform_tests.conftest import SHADOW_DAYS
from readmission_platform_tests.support.homes import MODEL, Home

Changing = Callable[[Home], Home]
ROWS = pd.DataFrame({
    "day": ["a", "a", "b"], "row": [2, 1, 3], "risk": [0.25, None, 1.0], "rank": pd.array([1, None, 1], dtype="Int64"),
    "flagged": [True, False, True], "why": ["x", None, ""],
})  # fmt: skip


def digests(rows: pd.DataFrame) -> dict[str, str]:
    return day_digests(rows, day="day", row="row")


def test_the_digest_of_a_day_is_the_same_however_a_table_keeps_its_rows() -> None:
    before = digests(ROWS)
    assert digests(ROWS.iloc[::-1]) == before
    assert digests(ROWS.astype({"rank": "float64", "row": "int32", "why": "category"})) == before
    assert digests(ROWS.assign(new=None)[["new", *reversed(ROWS.columns)]]) == before
    assert digests(ROWS[ROWS["day"] == "b"]) == {"b": before["b"]}
    assert digests(ROWS.head(0)) == {}


@pytest.mark.parametrize(
    ("column", "value"),
    [("risk", 0.2500000001), ("risk", None), ("rank", 2), ("flagged", False), ("why", "y"), ("row", 5), ("day", "c")],
)
def test_any_other_value_gives_another_digest(column: str, value: object) -> None:
    rows = ROWS.astype({"risk": object, "why": object})
    rows.loc[0, column] = value
    assert digests(rows)["a"] != digests(ROWS)["a"]


def recorded(home: Home) -> list[dict]:
    with home.ledger() as ledger:
        return [event.payload for event in ledger.events(kind=SCORED)]


def edited(home: Home, table: str, day: str, **changes: object) -> None:
    """Change the first row of a day, as anybody can who reaches the lake."""
    lake = home.lake
    rows = lake.read(table, where={lake.day: [day]})
    for column, value in changes.items():
        rows.loc[0, column] = value
    lake.write(table, rows, partition=(lake.day, [day]))


def changed(home: Home, table: str = "daily_predictions") -> list[str]:
    lake: ModelLake = home.lake
    with home.ledger() as ledger:
        opened: Ledger = ledger
        return changed_days(lake, opened, table)


def progress(home: Home, day: str) -> Progress:
    with home.workspace() as workspace:
        return day_states(workspace, [day])[0].progress


@pytest.fixture
def home(lived_home: Home, changing: Changing) -> Home:
    return changing(lived_home)


def test_a_run_records_all_its_days_in_one_event_for_each_table(lived_home: Home):
    found = recorded(lived_home)
    assert [each["table"] for each in found] == ["shadow_predictions", "daily_predictions"]
    assert [sorted(each["days"]) for each in found] == [
        lived_home.landed()[:SHADOW_DAYS],
        lived_home.landed()[SHADOW_DAYS:],
    ]
    assert changed(lived_home) == changed(lived_home, "shadow_predictions") == []


def test_a_risk_edited_in_the_lake_is_shown_by_nobody_until_the_day_is_scored_again(home: Home):
    day, other = home.landed()[SHADOW_DAYS + 2], home.landed()[SHADOW_DAYS + 3]
    edited(home, "daily_predictions", day, risk=0.01)
    assert changed(home) == [day]
    row = str(home.lake.read("daily_predictions", where={"discharge_date": [day]})["encounter_id"].iloc[0])
    for command in (
        ("worklist", "--date", day),
        ("worklist", "--date", day, "--json"),
        ("worklist", "--date", day, "--format", "csv"),
        ("worklist", "--date", day, "--format", "html-path"),
        ("trace", row),
    ):
        outcome = home.command(*command)
        assert (outcome.code, outcome.out) == (1, ""), command
        assert f"daily_predictions of {day} is not what the ledger recorded" in outcome.err
        assert len(outcome.err.strip().splitlines()) == 1
    assert home.command("worklist", "--date", other).code == 0
    for asset in ("work_list", "live_performance", "drift_report", "monitoring_figures"):
        assert not home.materialize(asset, day=day if asset == "work_list" else None).success, asset
    assert progress(home, day) is Progress.to_score
    assert home.command("score", "--date", day).code == 0
    assert changed(home) == []
    assert progress(home, day) is Progress.complete
    assert home.command("worklist", "--date", day).code == 0


def test_rows_that_were_taken_away_or_brought_in_are_noticed_too(home: Home):
    gone, fewer, strange = home.landed()[SHADOW_DAYS + 2], home.landed()[SHADOW_DAYS + 3], "2023-01-01"
    lake = home.lake
    rows = lake.read("daily_predictions", where={lake.day: [fewer]})
    lake.write("daily_predictions", rows.iloc[1:], partition=(lake.day, [fewer]))
    lake.write("daily_predictions", rows.head(0), partition=(lake.day, [gone]))
    lake.write("daily_predictions", rows.assign(**{lake.day: strange}), partition=(lake.day, [strange]))
    assert changed(home) == [strange, gone, fewer]


def test_a_shadow_that_was_edited_makes_its_day_incomplete(home: Home):
    day = home.landed()[0]
    assert progress(home, day) is Progress.complete
    edited(home, "shadow_predictions", day, risk=0.01)
    assert progress(home, day) is Progress.to_score
    assert not home.materialize("drift_report").success


def test_a_day_whose_work_list_is_missing_or_of_other_predictions_is_not_complete(home: Home):
    day = home.landed()[SHADOW_DAYS + 2]
    lists = home.path / f"reports/{MODEL}/work_lists"
    assert progress(home, day) is Progress.complete
    (lists / day / "work_list.csv").unlink()
    assert progress(home, day) is Progress.to_score
    assert home.command("score", "--date", day).code == 0
    assert progress(home, day) is Progress.complete
    (lists / day).unlink()
    shutil.copytree(lists / home.landed()[SHADOW_DAYS + 3], lists / day)
    assert progress(home, day) is Progress.to_score
    assert home.command("score", "--date", day).code == 0
    assert progress(home, day) is Progress.complete
