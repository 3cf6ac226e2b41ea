"""Accepting drift from the command line: what was measured is signed, shown wherever it counts, and taken back."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from readmission_platform.lifecycle.days.progress import hospital_day
from readmission_platform_tests.support.homes import Home

COLUMN, OTHER = "diag_1", "number_inpatient"


def later(home: Home, days: int) -> str:
    with home.workspace() as workspace:
        return (hospital_day(workspace.rules) + timedelta(days=days)).isoformat()


def drifted(home: Home, **scores: float) -> None:
    """Let the stored scores of the watched windows say that columns have drifted."""
    rows = home.lake.read("drift_report")
    for column, score in scores.items():
        rows.loc[(rows["column"] == column) & (rows["measure"] == "drift"), "score"] = score
    home.lake.write("drift_report", rows)


def drift_condition(home: Home) -> dict[str, Any]:
    found = home.command("promote", "--version", "2", "--replace", "--dry-run", "--json").json
    return next(item for item in found["conditions"] if item["name"] == "no_drift_alarm")


def accept(home: Home, *columns: str, days: int = 60, **options: str) -> Any:
    more = [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", value)]
    reason = ("--reason", "a new payer since spring")
    return home.command("drift", "accept", *columns, "--version", "2", "--until", later(home, days), *reason, *more)


@pytest.fixture
def home(shadowed_home: Home, changing: Callable[[Home], Home]) -> Home:
    """Version 2 waits in staging, and what it scored has drifted in two columns."""
    changed = changing(shadowed_home)
    drifted(changed, **{COLUMN: 0.9, OTHER: 0.3})
    return changed


def test_accepted_drift_lets_a_version_go_live_and_is_named_wherever_that_shows(home: Home):
    assert drift_condition(home)["blocks"]
    assert accept(home, COLUMN).code == 0
    assert f"window 1: {OTHER}" in drift_condition(home)["detail"]  # the other column still holds it back
    assert accept(home, OTHER).code == 0
    assert not drift_condition(home)["blocks"]

    said = f"{COLUMN} until {later(home, 60)} by demo-approver (demonstration)"
    assert home.command("review", "2").code == 0
    page = (home.path / "reports" / "readmission_30d" / "2" / "review.html").read_text(encoding="utf-8")
    assert "Accepted drift" in page
    assert home.command("approve", "--version", "2", "--reason", "reviewed").code == 0
    promoted = home.command("promote", "--version", "2", "--replace", "--reason", "refresh")
    assert promoted.code == 0, promoted.err
    assert any(said in each for each in home.command("timeline", "--json").json[-1]["drift_accepted"])
    assert home.command("audit", "verify").code == 0
    checks = {each["name"]: each["result"] for each in home.command("verify", "2", "--json").json["checks"]}
    assert checks["accepted_drift"] == "pass"
    found = home.command("monitor", "--json").json
    assert found["standing"] in ("Not everything has been judged yet", "Nothing has been judged yet")
    assert said in found["why"]
    result = home.materialize("drift_report")
    alarm = next(each for each in result.get_asset_check_evaluations() if each.check_name == "no_drift_alarm")
    assert alarm.passed
    assert f"Accepted: {said}" in str(alarm.description)


def test_further_drift_in_an_accepted_column_holds_a_version_back_again(home: Home):
    assert accept(home, COLUMN, OTHER).code == 0
    drifted(home, **{COLUMN: 1.09})
    assert not drift_condition(home)["blocks"]
    drifted(home, **{COLUMN: 1.11})
    assert f"window 1: {COLUMN}" in drift_condition(home)["detail"]


def test_taking_it_back_makes_the_drift_count_again(home: Home):
    assert accept(home, COLUMN, OTHER).code == 0
    event = home.command("drift", "list", "--json").json["accepted"][-1]["event"]
    assert home.command("drift", "withdraw", str(event)).code == 2  # without a reason
    assert home.command("drift", "withdraw", str(event), "--reason", "the contract ended").code == 0
    assert drift_condition(home)["blocks"]
    (listed,) = (each for each in home.command("drift", "list", "--json").json["accepted"] if each["event"] == event)
    assert not listed["counts"]
    assert (listed["withdrawn"]["by"], listed["withdrawn"]["reason"]) == ("tester", "the contract ended")
    told = home.command("drift", "list").out
    assert f"event {event} was withdrawn on " in told
    assert "by tester (event " in told
    assert "the contract ended" in told
    assert home.command("drift", "withdraw", str(event), "--reason", "again").code == 3


def test_what_is_accepted_already_is_named_and_the_same_again_is_refused(home: Home):
    assert accept(home, COLUMN, OTHER, days=60).code == 0
    before = home.kinds()
    again = accept(home, COLUMN, days=60)
    assert again.code == 3
    assert f"accepted already: {COLUMN}, {OTHER} until {later(home, 60)}" in again.err
    assert home.kinds() == before

    longer = accept(home, COLUMN, OTHER, days=80)
    assert longer.code == 0, longer.err
    listed = home.command("drift", "list", "--json").json["accepted"]
    assert [each["until"] for each in listed if COLUMN in str(each["columns"])] == [later(home, 80)]
    *_, earlier, last = home.command("drift", "list", "--all", "--json").json["accepted"]
    assert earlier["problems"] == [f"event {last['event']} took its place"]


@pytest.mark.parametrize("given", ["abc", "-1", "0", "1.5"])
def test_what_is_no_number_of_an_event_is_one_clear_line(home: Home, given: str):
    outcome = home.command("drift", "withdraw", "--reason", "typo", "--", given)
    assert outcome.code == 2
    assert outcome.err.splitlines() == [
        f"error: '{given}' is not an event number: give a whole number, 1 or more, as in the list"
    ]


def test_a_version_that_was_never_scored_and_a_home_without_one_in_a_stage_say_what_to_do(
    small_home: Home, changing: Callable[[Home], Home]
):
    home = changing(small_home)
    told = home.command("drift", "list")
    assert told.code == 0
    assert "no version is in production or in staging, so nothing is watched" in told.out
    outcome = home.command("drift", "accept", COLUMN, "--until", later(home, 30), "--reason", "seen")
    assert outcome.code == 2
    assert "`readmission promote`" in outcome.err
    never = home.command("drift", "accept", COLUMN, "--until", later(home, 30), "--reason", "x", "--version", "1")
    assert never.code == 3
    assert "nothing scored yet. Score more days (`readmission score`)" in never.err


@pytest.mark.parametrize(
    ("columns", "days", "code", "said"),
    [
        (("time_in_hospital",), 60, 3, "time_in_hospital has not drifted"),
        (("risk",), 60, 3, "predicted risks cannot be accepted"),
        ((COLUMN,), 95, 3, "at most 90 days ahead"),
        ((COLUMN,), -3, 2, "is over; name a day from"),
    ],
)
def test_what_may_not_be_accepted_is_refused_and_changes_nothing(
    home: Home, columns: tuple[str, ...], days: int, code: int, said: str
):
    before = home.kinds()
    outcome = accept(home, *columns, days=days)
    assert outcome.code == code
    assert said in outcome.err
    assert home.kinds() == before


def test_a_dry_run_and_a_stranger_s_key_change_nothing(home: Home, tmp_path: Path):
    before = home.kinds()
    until = ("--until", later(home, 30), "--reason", "seen", "--version", "2")
    assert home.command("drift", "accept", COLUMN, *until, "--dry-run").code == 0
    key = str(tmp_path / "mine.pem")
    assert home.command("keys", "create", key).code == 0
    outcome = home.command("drift", "accept", COLUMN, *until, "--key", key, "--approver", "a.stranger")
    assert outcome.code == 3
    assert "no registered key" in outcome.err
    assert home.command("drift", "accept", COLUMN, *until[2:], "--until", "soon").code == 2
    over = home.command("drift", "accept", COLUMN, *until[2:], "--until", "2020-01-01", "--dry-run")
    assert (over.code, over.out) == (2, "")
    assert over.err.startswith("error: --until: 2020-01-01 is over; name a day from ")
    assert len(over.err.splitlines()) == 1
    assert home.kinds() == before


def test_which_version_has_to_be_said_where_there_are_two(home: Home):
    outcome = home.command("drift", "accept", COLUMN, "--until", later(home, 30), "--reason", "seen")
    assert outcome.code == 2
    assert "say of which version" in outcome.err
