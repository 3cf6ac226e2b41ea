"""The monitoring page: one file for a head of quality, without a patient or a small number, and the other renderers."""

import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from prometheus_client.parser import text_string_to_metric_families

from readmission_platform.assets.monitoring.figures import figures_table
from readmission_platform.lifecycle.days.progress import hospital_day
from readmission_platform.lifecycle.days.replay import manifest_of
from readmission_platform.lifecycle.monitoring.page import monitor_of
from readmission_platform.reports.monitor import monitor_html, people, percent
from readmission_platform_tests.conftest import PRODUCTION_DAYS, SHADOW_DAYS
from readmission_platform_tests.support.homes import MODEL, Home
from readmission_platform_tests.support.monitored import MANY_QUARANTINED, days_of, last_day, monitored_home

NOW = last_day() + timedelta(days=1)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Two months of operation under two versions."""
    return monitored_home(tmp_path_factory.mktemp("monitored") / "home")


def values_of(home: Home) -> dict[str, Any]:
    with home.workspace() as workspace:
        return monitor_of(workspace, now=NOW)


@pytest.fixture(scope="module")
def values(home: Home) -> dict[str, Any]:
    return values_of(home)


@pytest.fixture(scope="module")
def page(values: dict[str, Any]) -> str:
    return monitor_html(values)


def text_of(page: str) -> str:
    plain = html.unescape(re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)))
    return re.sub(r"\s+", " ", plain)


def words_of(page: str) -> set[str]:
    return set(re.findall(r"\w+", text_of(page)))


def test_the_page_loads_nothing_from_anywhere(page: str):
    assert not re.search(r"https?://|<script|<link|@import|url\(", page)
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(sources) == 6
    assert all(source.startswith("data:image/svg+xml;base64,") for source in sources)
    assert "default-src 'none'" in page


def test_it_prints_with_whole_rows_and_repeated_headers(page: str):
    assert "@page" in page
    assert "table-header-group" in page
    assert "break-inside: avoid" in page


def test_the_first_thing_said_is_whether_all_is_well_and_what_is_not(page: str):
    said = text_of(page)
    assert "Not all is well" in said
    assert "The encounters have drifted from the training data (medical_specialty, payer_code)" in said
    assert said.index("Not all is well") < said.index("What arrived")


def test_simulated_dates_are_said_to_be_simulated(page: str, home: Home, tmp_path: Path):
    assert "The dates are simulated." in text_of(page)
    real = home.copy(tmp_path / "home")
    manifest_of(real.landing).unlink()
    assert "simulated" not in text_of(monitor_html(values_of(real)))


def test_no_encounter_patient_or_pseudonym_is_on_the_page(page: str, home: Home):
    rows = home.lake.read("daily_predictions", columns=["encounter_id", "entity_key"])
    assert not words_of(page) & set(rows["encounter_id"].astype(str))
    assert not words_of(page) & set(rows["entity_key"])


def test_no_count_of_one_to_ten_people_is_shown_or_can_be_worked_out(values: dict[str, Any], home: Home):
    accounts = home.lake.read("intake_accounting").set_index("discharge_date")
    few = accounts[accounts["quarantined"].between(1, 10)]
    assert len(few) > 3
    totals = values["totals"]
    assert totals["received"] == accounts["received"].sum()
    for name in ("accepted", "quarantined", "scored"):
        assert totals[name] is None or totals[name] >= 11
    rows = [row["observed"] for measure in values["performance"]["measures"] for row in measure["rows"]]
    assert all(row["n"] > 10 for row in rows)
    assert {group["cohort"] for group in values["performance"]["groups"]} == {"gender: Female", "gender: Male"}


def test_a_number_large_enough_is_drawn(values: dict[str, Any], home: Home, tmp_path: Path):
    calm = home.copy(tmp_path / "home")
    days = days_of(60)
    accounts = home.lake.read("intake_accounting")
    accounts.loc[accounts["discharge_date"] == days[MANY_QUARANTINED], ["accepted", "quarantined"]] = [30, 0]
    calm.lake.write("intake_accounting", accounts, partition=("discharge_date", days))
    assert values_of(calm)["pictures"]["volume"] != values["pictures"]["volume"]


def test_an_alert_about_a_figure_does_not_tell_its_value(page: str):
    said = text_of(page)
    assert "quarantined share is outside its limit" in said
    assert "0.0741" not in said


def test_performance_stands_beside_the_promise_apart_for_patients_seen_and_unseen(values: dict[str, Any], page: str):
    auroc = values["performance"]["measures"][0]
    assert auroc["name"] == "auroc"
    assert [row["cohort"] for row in auroc["rows"]] == ["everybody", "patients seen", "patients unseen"]
    assert [row["result"] for row in auroc["rows"]] == ["holds", "insufficient", ""]
    assert auroc["rows"][0]["promised"]["value"] == pytest.approx(0.665)
    said = text_of(page)
    assert "0.665 (0.655 to 0.675)" in said
    assert "the current version has no matured outcomes yet" in said
    assert "Estimates, until outcomes are known" in said


def test_performance_says_which_days_it_is_of(values: dict[str, Any], home: Home, page: str):
    judged = home.lake.read("live_performance", where={"period": ["judged"], "kind": ["measured"]})
    first, last = judged["first_day"].min(), judged["last_day"].max()
    said = text_of(page)
    assert f"Outcomes from {first} to {last}, version 1" in said
    assert "This is the period of live_performance : the latest 180 days whose outcomes have matured" in said
    assert f"By group, {first} to {last}" in said


def test_alerts_versions_and_runs_are_listed(values: dict[str, Any], page: str):
    assert [(alert["severity"], alert["open"]) for alert in values["alerts"]] == [
        ("critical", True), ("warning", True), ("warning", False),
    ]  # fmt: skip
    assert [stay["version"] for stay in values["versions"]] == ["1", "2"]
    assert [run["asset"] for run in values["runs"]["assets"]] == ["daily_predictions"]
    assert "Scoring took 100.0 ms per encounter" in text_of(page)


def test_what_the_service_answered_is_told_by_version_and_nothing_where_it_is_not_used(
    values: dict[str, Any], page: str, home: Home, tmp_path: Path
):
    first, second = values["service"]["versions"]
    assert [first["version"], second["version"]] == ["2", "1"]
    lines = home.lake.read("served_predictions")
    answered = lines[lines["status"] != "failed"].drop_duplicates("encounter_id")
    assert second["rows"] == (answered["model_version"] == "1").sum()
    assert first["last_day"] == values["service"]["newest"] == days_of(60)[-1]
    assert 0.05 < first["mean_risk"] < 0.2
    assert first["stability_index"] < 0.2
    said = text_of(page)
    assert f"The service last answered on {days_of(60)[-1]} (UTC)" in said
    # Of about 27 a day one to four are otherwise than listed, which is not for showing.
    assert first["as_listed_share"] in (None, 1.0)
    unused = home.copy(tmp_path / "home")
    shutil.rmtree(unused.path / "lake" / MODEL / "served_predictions")
    alone = values_of(unused)
    assert alone["service"] is None
    assert "Answers of the service" not in text_of(monitor_html(alone))


def test_what_people_wrote_cannot_become_markup(values: dict[str, Any]):
    alert = values["alerts"][0] | {"what": "<script>alert(1)</script>", "acknowledged": "<b>x</b>"}
    written = monitor_html(values | {"alerts": [alert]})
    assert "<script" not in written
    assert "&lt;script&gt;" in written
    assert "<b>x</b>" not in written


def test_page_ui_and_prometheus_show_the_same_numbers(values: dict[str, Any], home: Home):
    figures = values["figures"]
    ui = {(record.data["figure"], record.data["kind"]): record.data for record in figures_table(figures).value.records}
    text = home.command("monitor", "--prometheus", "-").out
    gauges = {(sample.name.removeprefix("readmission_"), sample.labels.get("kind"), sample.labels.get("version")):
              sample.value for family in text_string_to_metric_families(text) for sample in family.samples
              if sample.labels.get("cohort") == "all"}  # fmt: skip
    compared = 0
    for tile in values["headlines"]:
        row = tile["row"]
        if row is None or row["value"] is None:
            continue
        compared += 1
        assert ui[tile["figure"], "measured"]["value"] == pytest.approx(row["value"], rel=1e-3)
        assert gauges[tile["figure"], "measured", row["version"] or ""] == pytest.approx(row["value"])
    assert compared >= 4


def test_the_command_writes_the_page_and_prints_the_table_for_scripts(home: Home, tmp_path: Path):
    target = tmp_path / "pages" / "page.html"
    outcome = home.command("monitor", "--out", str(target), "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["page"] == str(target)
    assert outcome.json["standing"] == "Not all is well"
    assert {row["figure"] for row in outcome.json["figures"]} >= {"mean_risk", "live_auroc", "drift_alarm"}
    assert "NaN" not in outcome.out
    assert target.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert not [file for file in target.parent.iterdir() if file.name.startswith(".")]


def test_the_page_lies_among_the_reports_by_default(home: Home):
    outcome = home.command("monitor", "--days", "30")
    assert outcome.code == 0
    assert "Not all is well" in outcome.out
    assert (home.path / "reports" / MODEL / "monitor.html").is_file()


def test_prometheus_gets_a_file_that_is_replaced_as_a_whole(home: Home, tmp_path: Path):
    target = tmp_path / "readmission.prom"
    target.write_text("old", encoding="utf-8")
    assert home.command("monitor", "--prometheus", str(target)).code == 0
    names = {family.name for family in text_string_to_metric_families(target.read_text(encoding="utf-8"))}
    assert {"readmission_mean_risk", "readmission_drift_alarm", "readmission_newest_day_timestamp_seconds"} <= names
    assert [file.name for file in tmp_path.iterdir()] == ["readmission.prom"]


@pytest.mark.parametrize(
    "options",
    [
        ("--days", "0"),
        ("--days", "9999"),
        ("--prometheus", "-", "--json"),
        ("--prometheus", "FOLDER"),
        ("--out", "FOLDER"),
    ],
)
def test_what_cannot_be_done_is_bad_input_in_one_line(home: Home, options: tuple[str, ...], tmp_path: Path):
    (tmp_path / "folder").mkdir()
    outcome = home.command("monitor", *(option.replace("FOLDER", str(tmp_path / "folder")) for option in options))
    assert outcome.code == 2
    assert outcome.err.strip().count("\n") == 0
    assert [left.name for left in tmp_path.iterdir()] == ["folder"]


def test_after_the_first_weeks_it_says_what_is_not_known_yet(lived_home: Home, changing: Callable[[Home], Home]):
    home = changing(lived_home)
    outcome = home.command("monitor", "--json")
    assert outcome.code == 0, outcome.err
    written = Path(outcome.json["page"]).read_text(encoding="utf-8")
    said = text_of(written)
    assert outcome.json["standing"] == "Not everything has been judged yet"
    assert "no outcomes of this version have matured" in outcome.json["why"].lower()
    assert "drift is accepted" in outcome.json["why"]
    assert "The dates are simulated." in said
    assert "No drift alarm in the latest window of version 1" in said
    assert "has not been made" not in said  # the whole life ends with a look at it
    landed = home.landed()
    with home.workspace() as workspace:
        yesterday = hospital_day(workspace.rules) - timedelta(days=1)
    made_the_day_before = (yesterday - timedelta(days=1)).isoformat()
    assert landed[-1] in (yesterday.isoformat(), made_the_day_before)
    assert f"Monitoring, {landed[0]} to {yesterday}" in said
    received = [row["value"] for row in outcome.json["figures"] if row["figure"] == "rows_received"]
    assert len(received) == SHADOW_DAYS + PRODUCTION_DAYS
    rows = home.lake.read("daily_predictions", columns=["encounter_id", "entity_key"])
    assert not words_of(written) & {*rows["encounter_id"].astype(str), *rows["entity_key"]}


def test_an_empty_home_has_a_page_as_well(tmp_path: Path):
    home = Home.new(tmp_path / "home")
    outcome = home.command("monitor", "--json")
    assert outcome.code == 0, outcome.err
    said = text_of(Path(outcome.json["page"]).read_text(encoding="utf-8"))
    assert "No version is in production" in said
    assert said.count("Nothing yet:") == 5
    assert home.command("monitor", "--prometheus", "-").code == 0


def test_a_browser_draws_it(page: str, tmp_path: Path):
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium: install Debian's package chromium")
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    image = tmp_path / "page.png"
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1060,1800", "--hide-scrollbars",
        f"--screenshot={image}", (tmp_path / "page.html").as_uri(),
    ]  # fmt: skip
    subprocess.run(command, capture_output=True, timeout=180, check=True)
    from PIL import Image

    with Image.open(image) as picture:
        pixels = pd.Series(list(picture.convert("RGB").getdata()))
    # The colours of bars, drifted cells and the highest risk band: the pictures were loaded and drawn.
    for colour in ((143, 184, 222), (240, 138, 44), (91, 26, 14)):
        assert (pixels == colour).sum() > 100, colour


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "\N{EN DASH}"), (0, "0 %"), (0.0123, "1.2 %"), (0.1, "10 %"), (0.987, "99 %")]
)
def test_shares_are_written_in_percent(value: float | None, shown: str):
    assert percent(value) == shown


@pytest.mark.parametrize(("value", "shown"), [(None, "\N{EN DASH}"), (0, "0"), (3, "hidden"), (1234.0, "1,234")])
def test_people_are_counted_without_small_numbers(value: float | None, shown: str):
    assert people(value) == shown


def test_json_holds_nothing_that_json_cannot(home: Home):
    outcome = home.command("monitor", "--json")
    json.loads(outcome.out, parse_constant=lambda name: pytest.fail(name))
