"""Corrections: whatever moves between days, in whatever order it is scored, nobody is lost and nobody is twice."""

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

import pandas as pd
import pytest

from readmission_platform.governance.ledger.versions import version_records
from readmission_platform.lifecycle.days.progress import Progress, day_states
from readmission_platform.lifecycle.days.scoring import delivered_now, score_days
from readmission_platform_tests.support.corrections import DAYS, Feed, tried
from readmission_platform_tests.support.forking import FORKING
from readmission_platform_tests.support.homes import Home

# More: python -m readmission_platform_tests.benchmarks.corrections
LOSING = (8, 11)  # seeds of sequences after which somebody is lost, unless it is known who was left to whom
RACING = (17, 44)  # and those after which a list is old, unless the version is read before the rows
SEQUENCES = (*range(20), *RACING)


def test_at_rest_every_encounter_is_on_exactly_one_list_whatever_was_corrected_and_in_whatever_order():
    assert {seed: found for seed in SEQUENCES if (found := tried(seed))} == {}


def test_without_what_was_left_to_another_day_encounters_are_lost(monkeypatch: pytest.MonkeyPatch):
    def by_files_alone(feed: Feed) -> list[str]:
        return [day for day in DAYS if feed.is_changed(day) or feed.is_old(day)]

    monkeypatch.setattr(Feed, "due", by_files_alone)
    assert all("is lost" in str(tried(seed)) for seed in LOSING)


def test_a_run_that_names_a_later_version_than_it_has_read_leaves_an_old_list(monkeypatch: pytest.MonkeyPatch):
    def run(feed: Feed, days: Sequence[str]) -> Iterator[None]:
        feed.take_in(days)
        yield
        rows = {day: dict(feed.accepted[day]) for day in days}
        yield
        for day in days:
            feed.listed[day], feed.listed_from[day] = rows[day], feed.version

    monkeypatch.setattr(Feed, "run", run)
    assert all(tried(seed) for seed in RACING)


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


def file_of(home: Home, day: str) -> Any:
    return next((home.path / "landing/discharges" / day).glob("*.csv"))


def cells_of(home: Home, day: str) -> pd.DataFrame:
    return pd.read_csv(file_of(home, day), dtype=str, keep_default_na=False)


def listed(home: Home) -> pd.Series:
    """Return the encounters of every work list, as they are handed out."""
    lists = [pd.read_csv(page) for page in (home.path / "reports").rglob("work_lists/2*/work_list.csv")]
    return pd.concat(lists)["encounter_id"]


def test_a_day_of_which_everybody_has_moved_has_no_list_any_more(lived_home: Home, changing: Callable[[Home], Home]):
    home = changing(lived_home)
    first, last = home.landed()[-3], home.landed()[-1]
    everybody = cells_of(home, last)
    pd.concat([cells_of(home, first), everybody]).to_csv(file_of(home, first), index=False)
    everybody.head(0).to_csv(file_of(home, last), index=False)
    home.command("score", "--date", last)
    home.command("score", "--date", first)
    rows = home.lake.read("daily_predictions", columns=["encounter_id", "discharge_date"])
    assert last not in set(rows["discharge_date"])
    assert set(everybody["encounter_id"].astype("int64")) <= set(rows["encounter_id"])
    assert not listed(home).duplicated().any()
    assert "nobody is on it" in home.command("worklist", "--date", last).out
    with home.workspace() as workspace:
        assert {each.progress for each in day_states(workspace, [first, last])} == {Progress.complete}


def test_a_day_that_was_taken_in_while_its_list_was_made_is_scored_again(
    lived_home: Home, changing: Callable[[Home], Home]
):
    home = changing(lived_home)
    day = home.landed()[-1]
    with home.workspace() as workspace:
        with workspace.ledger() as ledger:
            record = version_records(*ledger.snapshot())["1"]
        read = delivered_now(workspace.lake, [day])
        cells_of(home, day).iloc[1:].to_csv(file_of(home, day), index=False)
        home.materialize("daily_discharges", day=day)
        scored = score_days(read, {day: record}, run_id="run", workspace=workspace)
        workspace.lake.write("daily_predictions", scored, partition=("discharge_date", [day]))
        home.record_predictions()
        assert day_states(workspace, [day])[0].progress is Progress.to_score


def score_some(home: Home, seed: int, days: Sequence[str], runs: int) -> None:
    rng = Random(seed)
    for _ in range(runs):
        home.command("score", "--date", rng.choice(days))


@pytest.mark.slow
def test_with_several_at_work_while_files_are_corrected_everybody_ends_on_one_list(
    lived_home: Home, changing: Callable[[Home], Home]
):
    home = changing(lived_home)
    days, rng = home.landed()[-4:], Random(0)
    everybody = pd.concat([cells_of(home, day) for day in days])["encounter_id"].astype("int64")
    others = set(listed(home)) - set(everybody)
    writers = [FORKING.Process(target=score_some, args=(home, seed, days, 4)) for seed in (1, 2)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        giving, taking = rng.sample(days, 2)
        given = cells_of(home, giving)
        if len(given) > 3:
            pd.concat([cells_of(home, taking), given.head(3)]).to_csv(file_of(home, taking), index=False)
            given.iloc[3:].to_csv(file_of(home, giving), index=False)
        for writer in writers:
            writer.join(1)
    with home.workspace() as workspace:
        for _ in range(12):
            due = [each.day for each in day_states(workspace, days) if each.progress is not Progress.complete]
            if not due:
                break
            home.command("score", "--date", due[0])
    assert due == []
    found = listed(home)
    assert not found.duplicated().any()
    assert set(found) == {*others, *everybody}
