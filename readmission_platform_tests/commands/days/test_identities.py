"""Two numbers that turn out to be one person: joined by a recorded step, parted by another, traceable throughout."""

from collections.abc import Callable
from datetime import date, timedelta

import pandas as pd
import pytest

from readmission_platform.lifecycle.days.identities import known_identities
from readmission_platform.lifecycle.days.scoring import InputVersions, known_rows
from readmission_platform_tests.support.homes import Home


@pytest.fixture
def home(lived_home: Home, changing: Callable[[Home], Home]) -> Home:
    return changing(lived_home)


def cells_of(home: Home, day: str) -> pd.DataFrame:
    path = home.path / "landing/discharges" / day / "discharges.csv"
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def renamed(home: Home) -> tuple[str, str, str, str]:
    """Deliver a patient of the last day again the day after, under a number that nobody has had.

    Returns the day, the encounter, the new number and the known one.
    """
    last = home.landed()[-1]
    day = (date.fromisoformat(last) + timedelta(days=1)).isoformat()
    before = cells_of(home, last)
    number = int(before["encounter_id"].astype("int64").max()) + 1
    others = before.assign(encounter_id=[str(number + place) for place in range(len(before))])
    known = str(others["patient_nbr"].iloc[0])
    others.loc[0, "patient_nbr"] = "999999999999"
    folder = home.path / "landing/discharges" / day
    folder.mkdir()
    others.to_csv(folder / "discharges.csv", index=False)
    assert home.command("score", "--date", day).code == 0
    return day, str(number), "999999999999", known


def past_of(home: Home, day: str, encounter: str) -> int:
    """Return how many earlier stays a scoring of now would know."""
    with home.workspace() as workspace, home.ledger() as ledger:
        rows = home.lake.read("daily_discharges", where={"discharge_date": [day]})
        read = InputVersions.newest(
            home.lake, home.lake.open("eligible_encounters").version(), known_identities(ledger)
        )
        named = rows.assign(entity_key=read.identities.named(rows["entity_key"]))
        inputs = workspace.contract.data.inputs_of(named, known_rows(home.lake, rows, read))
    return int(inputs.loc[rows["encounter_id"] == int(encounter), "prior_encounters"].iloc[0])


def test_a_joined_patient_has_one_past_from_the_next_scoring_on_and_two_again_when_parted(home: Home):
    day, encounter, new, known = renamed(home)
    (shown,) = home.command("trace", encounter, "--json").json["predictions"]
    assert past_of(home, day, encounter) == 0
    joined = home.command("identities", "merge", new, known, "--reason", "same person, two admissions", "--json")
    assert joined.code == 0, joined.err
    event = joined.json["event"]
    assert past_of(home, day, encounter) > 0
    # What was shown before stays what it was, and is had again from who was known then.
    again = home.command("trace", encounter, "--replay", "--json")
    assert again.code == 0
    assert [each["identical"] for each in again.json["replays"]] == [True]
    home.command("score", "--date", day)
    found = home.command("trace", encounter, "--replay", "--json").json
    (now,) = found["predictions"]
    assert now["risk"] != shown["risk"]
    assert now["identities_event"] == event
    assert [each["risk"] for each in found["replaced"]] == [shown["risk"]]
    assert [each["identical"] for each in found["replays"]] == [True, True]
    assert home.command("identities", "list", "--json").json[0]["parted"] is False
    assert home.command("identities", "part", str(event), "--reason", "two persons after all").code == 0
    assert past_of(home, day, encounter) == 0
    assert home.command("identities", "list", "--json").json[0]["parted"] is True


def test_neither_the_ledger_nor_any_output_holds_a_number(home: Home):
    _, _, new, known = renamed(home)
    outcome = home.command("identities", "merge", new, known, "--reason", "chart review")
    listed = home.command("identities", "list")
    with home.ledger() as ledger:
        (event,) = ledger.events(kind="identities_merged")
    for text in (outcome.out, outcome.err, listed.out, str(event.payload)):
        assert new not in text
        assert known not in text
    assert event.model == "*"
    assert "chart review" in listed.out


def test_a_dry_run_shows_the_conditions_and_changes_nothing(home: Home):
    _, _, new, known = renamed(home)
    before = home.kinds()
    outcome = home.command("identities", "merge", new, known, "--dry-run")
    assert outcome.code == 0
    assert "nothing changed" in outcome.out
    assert home.kinds() == before


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("merge", "x", "y", "--reason", "r"), 2, "not a patient number"),
        (("merge", "1", "2", "--reason", "r"), 2, "nothing is known of a patient"),
        (("merge", "1", "2"), 2, "--reason"),
    ],
)
def test_bad_input_is_one_line_and_its_code(lived_home: Home, arguments: tuple[str, ...], code: int, said: str):
    outcome = lived_home.command("identities", *arguments)
    assert outcome.code == code
    assert said in " ".join(outcome.err.split())


def test_what_was_not_joined_cannot_be_parted(home: Home):
    outcome = home.command("identities", "part", "3", "--reason", "r")
    assert outcome.code == 3
    assert "has joined nobody" in " ".join(outcome.err.split())


def test_what_is_no_number_of_an_event_is_one_clear_line(home: Home):
    outcome = home.command("identities", "part", "abc", "--reason", "typo")
    assert outcome.code == 2
    assert outcome.err.startswith("error: 'abc' is not an event number")
    assert len(outcome.err.splitlines()) == 1


def test_a_person_is_not_joined_with_itself_however_long_the_chain(home: Home):
    _, _, new, known = renamed(home)
    same = home.command("identities", "merge", known, known, "--reason", "r")
    assert (same.code, "the two numbers are the same" in same.err) == (3, True)
    event = home.command("identities", "merge", new, known, "--reason", "r", "--json").json["event"]
    for pair in ((new, known), (known, new)):
        refused = home.command("identities", "merge", *pair, "--reason", "again, or the other way round")
        assert refused.code == 3
        assert f"they are already merged (event {event})" in refused.err
        assert len(refused.err.strip().splitlines()) == 1
    with home.ledger() as ledger:
        assert len(ledger.events(kind="identities_merged")) == 1


def test_training_learns_from_one_past_too(home: Home):
    _, _, new, known = renamed(home)
    cohort = home.lake.read("eligible_encounters")
    raw = home.lake.read("raw_encounters")
    other = next(number for number in raw["patient_nbr"].astype(str) if number not in (new, known))
    assert home.command("identities", "merge", other, known, "--reason", "r").code == 0
    home.materialize("eligible_encounters")
    joined = home.lake.read("eligible_encounters")
    assert joined["entity_key"].nunique() == cohort["entity_key"].nunique() - 1
