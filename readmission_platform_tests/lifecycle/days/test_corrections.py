"""Corrections: whatever moves between days, in whatever order it is scored, nobody is lost and nobody is twice."""

from collections.abc import Callable

import pandas as pd
import pytest

from readmission_platform_tests.support.corrections import DAYS, Feed, tried
from readmission_platform_tests.support.homes import Home

# More: python -m readmission_platform_tests.benchmarks.corrections
LOSING = (134, 152)  # seeds of sequences after which somebody is lost, unless it is known who was left to whom
# In the last one a day takes a row from another of the same run.
SEQUENCES = (*range(25), *LOSING, 299)


def test_at_rest_every_encounter_is_on_exactly_one_list_whatever_was_corrected_and_in_whatever_order():
    assert {seed: found for seed in SEQUENCES if (found := tried(seed))} == {}


def test_without_what_was_left_to_another_day_encounters_are_lost(monkeypatch: pytest.MonkeyPatch):
    def by_files_alone(feed: Feed) -> list[str]:
        return [day for day in DAYS if feed.taken.get(day) != feed.revision[day]]

    monkeypatch.setattr(Feed, "due", by_files_alone)
    assert all("is lost" in str(tried(seed)) for seed in LOSING)


@pytest.mark.parametrize("earlier_first", [True, False])
def test_an_encounter_whose_discharge_day_is_corrected_moves_to_its_day_in_either_order(
    lived_home: Home, changing: Callable[[Home], Home], earlier_first: bool
):
    home = changing(lived_home)
    first, last = home.landed()[-3], home.landed()[-1]
    files = {day: next((home.path / "landing/discharges" / day).iterdir()) for day in (first, last)}
    cells = {day: pd.read_csv(path, dtype=str, keep_default_na=False) for day, path in files.items()}
    moved = cells[last].iloc[[0]]
    number = int(moved["encounter_id"].iloc[0])
    pd.concat([cells[first], moved.assign(discharge_date=first)] if "discharge_date" in moved else [cells[first], moved]
              ).to_csv(files[first], index=False)  # fmt: skip
    cells[last].iloc[1:].to_csv(files[last], index=False)
    for day in (first, last) if earlier_first else (last, first):
        done = home.command("score", "--date", day, "--json")
        assert done.code == 0, done.err
    rows = home.lake.read("daily_predictions", columns=["encounter_id", "discharge_date"])
    assert rows.loc[rows["encounter_id"] == number, "discharge_date"].tolist() == [first]
    listed = {day: home.command("worklist", "--date", day, "--json").json["rows"] for day in (first, last)}
    assert [day for day, each in listed.items() if number in {row["encounter_id"] for row in each}] == [first]
    assert home.command("trace", str(number), "--json").code == 0
