"""`readmission worklist`: the care team's list in the form that is asked for."""

import io
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from readmission_platform.reports.work_list import columns_of
from readmission_platform_tests.conftest import SHADOW_DAYS
from readmission_platform_tests.support.homes import MODEL, Home


def test_without_a_date_it_is_the_last_day_scored(lived_home: Home):
    found = lived_home.command("worklist", "--json").json
    assert found["date"] == lived_home.landed()[-1]
    assert (found["simulated"], found["source"], found["version"]) == (True, "synthetic", "1")
    assert [each["rank"] for each in found["rows"]] == list(range(1, 28))
    assert [list(each) for each in found["rows"]] == [columns_of("encounter_id")] * 27
    assert [each["follow_up"] for each in found["rows"]].count("yes") == 3


def test_both_ways_to_ask_for_json_give_the_same(lived_home: Home):
    day = lived_home.landed()[SHADOW_DAYS + 2]
    one, other = (
        lived_home.command("worklist", "--date", day, *option) for option in (["--json"], ["--format", "json"])
    )
    assert one.json == other.json
    assert one.json["date"] == day


def test_the_csv_is_the_one_in_the_reports(lived_home: Home):
    day = lived_home.landed()[-1]
    written = (lived_home.path / f"reports/{MODEL}/work_lists" / day / "work_list.csv").read_text("utf-8")
    outcome = lived_home.command("worklist", "--format", "csv")
    assert outcome.out == written
    assert list(pd.read_csv(io.StringIO(outcome.out)).columns) == columns_of("encounter_id")


def test_the_table_says_whom_to_follow_up_and_why(lived_home: Home):
    out = lived_home.command("worklist").out
    assert "simulated date" in out
    assert "synthetic data" in out
    assert "main reasons" in out
    assert out.count("yes") == 3


def test_it_says_where_the_page_is_and_makes_it_if_it_is_gone(lived_home: Home, changing: Callable[[Home], Home]):
    home = changing(lived_home)
    page = home.path / f"reports/{MODEL}/work_lists" / home.landed()[-1] / "work_list.html"
    content = page.read_bytes()
    page.unlink()
    assert home.command("worklist", "--format", "html-path").out.strip() == str(page)
    assert page.read_bytes() == content
    page.write_text("changed", encoding="utf-8")
    assert home.command("worklist", "--format", "html-path", "--json").json["page"] == str(page)
    assert page.read_bytes() == content


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--date", "2020-01-02"], "no file has been delivered for it; there are lists of 14 days, "),
        (["--date", "yesterday"], "not a date"),
        (["--date", "20260105"], "not a date"),
        (["--format", "pdf"], "choose table, csv, json, html-path"),
        (["--format", "csv", "--json"], "cannot be used together"),
    ],
)
def test_what_cannot_be_shown_is_one_line_and_exit_code_two(lived_home: Home, options: list[str], said: str):
    outcome = lived_home.command("worklist", *options)
    assert outcome.code == 2
    assert said in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1


def test_a_day_with_files_that_was_not_scored_names_the_command_that_scores_it(lived_home: Home):
    day = lived_home.landed()[0]
    assert lived_home.command("worklist", "--date", day).err == (
        f"error: {day} has not been scored; `readmission score --date {day}` scores it\n"
    )


def test_without_a_browser_it_says_in_one_line_where_the_page_is(
    lived_home: Home, changing: Callable[[Home], Home], tmp_path: Path
):
    home = changing(lived_home)
    page = home.path / f"reports/{MODEL}/work_lists" / home.landed()[-1] / "work_list.html"
    nowhere = home.having(PATH=str(tmp_path), BROWSER="", DISPLAY="", WAYLAND_DISPLAY="")
    for command in (("worklist", "--open"), ("pages", "--open")):
        outcome = nowhere.shell("readmission", *command)
        there = page if command[0] == "worklist" else home.path / "reports/index.html"
        assert (outcome.code, outcome.err) == (0, f"there is no browser here; the page is {there}\n")


def test_before_anything_was_scored_it_says_how(tmp_path: Path):
    outcome = Home.new(tmp_path / "home").command("worklist")
    assert outcome.code == 2
    assert "readmission score" in outcome.err


def test_a_day_that_was_emptied_has_an_empty_list_and_one_set_aside_has_none(
    lived_home: Home, changing: Callable[[Home], Home]
):
    home = changing(lived_home)
    day = home.landed()[-1]
    path = home.path / "landing/discharges" / day / "discharges.csv"
    whole = path.read_text("utf-8")
    path.write_text(whole.partition("\n")[0] + "\n", encoding="utf-8")
    emptied = home.command("score", "--date", day)
    assert emptied.code == 0
    assert f"the earlier list of {day} is withdrawn" in emptied.err
    assert day in next(each["what"] for each in home.command("alerts", "list", "--json").json
                       if each["subject"] == "daily_discharges/volume_as_usual")  # fmt: skip
    shown = home.command("worklist", "--date", day)
    assert shown.code == 0
    assert "nobody is on it, since its files hold no encounters (taken in " in shown.out
    assert "revision 2" in shown.out
    found = home.command("worklist", "--date", day, "--json").json
    assert (found["rows"], found["revision"], found["version"]) == ([], 2, None)
    assert home.command("worklist", "--date", day, "--format", "csv").out.split() == [
        ",".join(columns_of("encounter_id"))
    ]
    page = home.command("worklist", "--date", day, "--format", "html-path")
    assert (page.code, "nobody is on its list" in page.err) == (2, True)

    path.write_bytes(b"\xff\xfe not text")
    assert home.command("score", "--date", day).code == 2
    aside = home.command("worklist", "--date", day)
    assert aside.code == 2
    assert f"everything that was delivered was set aside; `readmission quarantine show --date {day}`" in aside.err
