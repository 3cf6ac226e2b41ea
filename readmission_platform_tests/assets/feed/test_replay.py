"""The replay: the set-aside encounters, delivered day by day and never twice."""

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from readmission_platform.encounters.cohort import eligible_encounters
from readmission_platform.encounters.contract import ENCOUNTERS, LANDING
from readmission_platform.encounters.synthetic import generate
from readmission_platform.foundation.errors import BadInput
from readmission_platform.intake.rows import take_in
from readmission_platform.intake.sources import LandingFolders
from readmission_platform.lifecycle.days.replay import Replayed, replay
from readmission_platform.models.readmission_30d import CONTRACT
from readmission_platform.storage.landing import Landing
from readmission_platform.storage.tables import ModelLake

TODAY = date(2024, 5, 10)
PER_DAY = 5


@pytest.fixture(scope="module")
def eligible() -> pd.DataFrame:
    return eligible_encounters(generate(encounters=400, seed=12), key=b"key", replay_share=0.1)


@pytest.fixture
def lake(tmp_path: Path, eligible: pd.DataFrame) -> ModelLake:
    lake = ModelLake(tmp_path / "lake", CONTRACT)
    lake.write("raw_encounters", generate(encounters=400, seed=12))
    lake.write("eligible_encounters", eligible)
    return lake


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path / "landing", LANDING)


def deliver(
    lake: ModelLake,
    landing: Landing,
    days: int,
    *,
    start: date | None = None,
    outcomes: bool = False,
    today: date = TODAY,
    form: str = "csv",
) -> Replayed:
    return replay(lake, landing, days=days, start=start, today=today, per_day=PER_DAY, outcomes=outcomes, form=form)


def delivered(landing: Landing) -> list[int]:
    """Encounters of all days, in the order of the days."""
    found = []
    for day in landing.days():
        intake = take_in({day: landing.read_day(day)}, ENCOUNTERS)
        assert len(intake.accepted) == intake.files["received"].sum() == PER_DAY
        found += intake.accepted["encounter_id"].tolist()
    return found


def test_the_last_day_is_yesterday_and_the_days_hold_the_stream_in_its_order(
    lake: ModelLake, landing: Landing, eligible: pd.DataFrame
) -> None:
    result = deliver(lake, landing, 3)
    assert result.written == landing.days() == ["2024-05-07", "2024-05-08", "2024-05-09"]
    replayed = eligible.loc[eligible["part"] == "replay", "encounter_id"].tolist()
    assert delivered(landing) == replayed[: 3 * PER_DAY]


@pytest.mark.parametrize(("form", "name"), [("parquet", "discharges.parquet"), ("fhir", "discharges.ndjson")])
def test_the_stream_is_the_same_in_every_format(
    form: str, name: str, lake: ModelLake, landing: Landing, tmp_path: Path
) -> None:
    as_csv = Landing(tmp_path / "csv", LANDING)
    deliver(lake, as_csv, 2)
    deliver(lake, landing, 2, form=form, outcomes=True)
    for day in as_csv.days():
        assert [file.name for file in landing.read_day(day)] == [name]
        found, expected = (take_in({day: each.read_day(day)}, ENCOUNTERS).accepted for each in (landing, as_csv))
        pd.testing.assert_frame_equal(found, expected)


def test_a_format_that_the_feed_does_not_have_is_bad_input(lake: ModelLake, landing: Landing) -> None:
    with pytest.raises(BadInput, match="xlsx is none of csv, parquet, fhir"):
        deliver(lake, landing, 1, form="xlsx")
    assert landing.days() == []
    plain = Landing(landing.root, LandingFolders(rows="discharges", outcomes="outcomes"))
    with pytest.raises(BadInput, match="fhir is none of csv, parquet"):
        deliver(lake, plain, 1, form="fhir")


def test_a_file_of_discharges_holds_no_outcome(lake: ModelLake, landing: Landing) -> None:
    deliver(lake, landing, 1)
    cells = landing.read_day("2024-05-09")[0].cells
    assert cells is not None
    assert not {"readmitted", "readmitted_30d", "entity_key"} & set(cells.columns)


def test_delivering_the_same_days_again_changes_nothing(lake: ModelLake, landing: Landing) -> None:
    deliver(lake, landing, 2)
    before = [landing.read_day(day)[0].digest for day in landing.days()]
    again = deliver(lake, landing, 2)
    assert (again.written, again.present) == ([], landing.days())
    assert [landing.read_day(day)[0].digest for day in landing.days()] == before


def test_later_days_go_on_where_the_stream_was_left(lake: ModelLake, landing: Landing, eligible: pd.DataFrame) -> None:
    deliver(lake, landing, 2, start=date(2024, 5, 1))
    result = deliver(lake, landing, 3, start=date(2024, 5, 2))
    assert (result.written, result.present) == (["2024-05-03", "2024-05-04"], ["2024-05-02"])
    replayed = eligible.loc[eligible["part"] == "replay", "encounter_id"].tolist()
    assert delivered(landing) == replayed[: 4 * PER_DAY]


def test_outcomes_arrive_only_of_days_that_have_matured(
    lake: ModelLake, landing: Landing, eligible: pd.DataFrame
) -> None:
    result = deliver(lake, landing, 3, start=date(2024, 4, 9), outcomes=True)
    assert result.outcomes == landing.days("outcomes") == ["2024-04-09", "2024-04-10"]
    told = pd.read_csv(landing.root / "outcomes" / "2024-04-09" / "outcomes.csv")
    expected = eligible.loc[eligible["part"] == "replay", ["encounter_id", "readmitted_30d"]].head(PER_DAY)
    assert told.to_numpy().tolist() == expected.to_numpy().tolist()


@pytest.mark.parametrize(
    ("days", "start", "message"),
    [
        (0, None, "at least one day"),
        (1, TODAY, "before today"),
        (3, date(2024, 5, 8), "before today"),
        (8, None, "holds 7 more days"),
    ],
)
def test_what_cannot_be_delivered_is_refused_and_nothing_written(
    lake: ModelLake, landing: Landing, days: int, start: date | None, message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        deliver(lake, landing, days, start=start)
    assert landing.days() == []


@pytest.mark.parametrize(
    ("reached", "what_to_do"), [("2024-05-09", "can be delivered tomorrow"), ("2024-05-06", "ask for 3 days or fewer")]
)
def test_days_before_those_delivered_are_refused_and_it_is_said_what_can_be_had(
    lake: ModelLake, landing: Landing, reached: str, what_to_do: str
) -> None:
    deliver(lake, landing, 1, start=date.fromisoformat(reached))
    with pytest.raises(BadInput, match=f"has reached {reached} .*{what_to_do}"):
        deliver(lake, landing, 5)
    assert landing.days() == [reached]


def test_after_a_pause_the_days_since_can_be_delivered(lake: ModelLake, landing: Landing) -> None:
    deliver(lake, landing, 1, start=date(2024, 5, 6))
    deliver(lake, landing, 3)
    assert landing.days() == ["2024-05-06", "2024-05-07", "2024-05-08", "2024-05-09"]


def test_a_home_with_a_replay_of_other_data_is_left_as_it_is(
    lake: ModelLake, landing: Landing, eligible: pd.DataFrame
) -> None:
    deliver(lake, landing, 1, start=date(2024, 5, 1))
    lake.write("eligible_encounters", eligible.iloc[1:])
    with pytest.raises(BadInput, match="replay of other data"):
        deliver(lake, landing, 1)
    assert landing.days() == ["2024-05-01"]


def test_before_anything_was_ingested_there_is_nothing_to_replay(tmp_path: Path, landing: Landing) -> None:
    with pytest.raises(BadInput, match="nothing to replay yet"):
        deliver(ModelLake(tmp_path / "empty", CONTRACT), landing, 1)
