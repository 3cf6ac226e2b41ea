"""A year lived through at once: outcomes arrive when they would have, and versions come by the ordinary rules."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from readmission_platform import demonstration
from readmission_platform_tests.support.homes import Home
from readmission_platform_tests.support.interruption import run_until

DAYS, MATURITY = 120, 30
YEAR = ("demo-year", "--days", str(DAYS), "--encounters", "36000", "--seed", "7", "--retrain-every", "20", "--json")


@pytest.mark.slow
def test_a_year_has_matured_performance_and_goes_on_where_it_was_interrupted(tmp_path: Path):
    home = Home.new(tmp_path / "home")
    assert run_until(home, "demonstration: bring the first version to production", *YEAR).code == -signal.SIGKILL
    assert home.stages["production"] == "1"
    delivered = home.landed()

    outcome = home.command(*YEAR)
    assert outcome.code == 0, outcome.err
    found = outcome.json
    assert found["simulated"] is True
    assert home.landed() == [*delivered, *[day for day in home.landed() if day not in delivered]]
    assert len(home.landed()) == DAYS
    assert (found["first_day"], found["last_day"]) == (home.landed()[0], home.landed()[-1])

    # No outcome of the last month is known yet, and all before it are.
    known = set(home.lake.read("matured_outcomes", columns=["discharge_date"])["discharge_date"])
    assert known == set(home.landed()[: DAYS - MATURITY + 1])
    with home.ledger() as ledger:
        trained = ledger.events(kind="version_trained")
    assert [event.payload["source"] for event in trained] == ["synthetic"] * len(trained)
    assert list(found["trained_on_day"]) == [event.version for event in trained]
    assert len(trained) == 2
    standing = {each["version"]: each["state"] for each in home.command("status", "--json").json["versions"]}
    assert standing["2"] in {"production", "rejected", "staging"}
    assert home.command("audit", "verify").code == 0
    assert "Performance" in Path(found["page"]).read_text(encoding="utf-8")

    # What is done stays done.
    kinds = home.kinds()
    again = home.command(*YEAR)
    assert again.json["trained_on_day"] == found["trained_on_day"]
    assert home.kinds() == kinds
    assert home.command("demo-year", "--days", "90").code == 2


def test_a_home_that_has_days_is_left_alone(lived_home: Home, changing: Callable[[Home], Home]):
    home = changing(lived_home)
    before = home.kinds()
    outcome = home.command("demo-year", "--days", "60")
    assert outcome.code == 3
    assert "a home of its own" in outcome.err
    assert home.kinds() == before
    assert not list(home.path.rglob(demonstration.PLAN_FILE))


def test_a_generated_source_lasts_for_the_days_asked_for():
    assert demonstration.encounters_for(365, 27) * demonstration.SHARE_REPLAYED > 365 * 27


@pytest.mark.parametrize("days", ["29", "400"])
def test_a_year_of_too_few_or_too_many_days_is_bad_input(tmp_path: Path, days: str):
    home = Home.new(tmp_path / "home")
    assert home.command("demo-year", "--days", days).code == 2
    assert not list(home.path.rglob(demonstration.PLAN_FILE))
