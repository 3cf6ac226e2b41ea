"""`readmission quarantine`: what was set aside, what to do about it, and releasing rows on one's responsibility."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from readmission_platform.governance.demo_approver import Signer
from readmission_platform.lifecycle.installation import make_installation
from readmission_platform_tests.support.bad_deliveries import SECRET, clean_rows, csv
from readmission_platform_tests.support.homes import Home, Outcome
from readmission_platform_tests.support.scenario import KEYS, POLICY, STAFFED_ROLES, adopt, write_key

DAY = "2024-02-29"
CELLS = clean_rows(12)


def faulty() -> pd.DataFrame:
    """Rows 2 and 3 can be released, row 4 cannot, row 5 has one fault of either kind."""
    cells = CELLS.copy()
    cells.loc[1, "race"] = SECRET
    cells.loc[2, ["diag_1", "payer_code"]] = ["U99.9", SECRET * 20]
    cells.loc[3, "age"] = SECRET
    cells.loc[4, ["race", "num_medications"]] = SECRET
    return cells


@pytest.fixture(scope="module")
def set_aside(lived_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A day with a file whose rows 2 to 5 were set aside, and one that cannot be read."""
    home = lived_home.copy(tmp_path_factory.mktemp("quarantine") / "home")
    folder = home.path / "landing" / "discharges" / DAY
    folder.mkdir(parents=True)
    (folder / "ward[red].csv").write_bytes(csv(faulty()))
    (folder / "broken.csv").write_bytes(b"\xff\xfe" + SECRET.encode())
    assert home.command("score", "--date", DAY).code == 0
    return home


@pytest.fixture
def home(set_aside: Home, changing: Callable[[Home], Home]) -> Home:
    return changing(set_aside)


def digest(home: Home, file: str) -> str:
    return {each["file"]: each["file_digest"] for each in listed(home)}[file].removeprefix("sha256:")


def listed(home: Home, *options: str) -> list[dict]:
    return home.command("quarantine", "list", *options, "--json").json


def release(home: Home, *options: str, reason: str = "the registry had the codes wrong") -> Outcome:
    ward = digest(home, "ward[red].csv")[:10]
    outcome = home.command("quarantine", "release", "--date", DAY, "--file", ward, "--reason", reason, *options)
    assert SECRET not in outcome.out + outcome.err
    return outcome


def account(home: Home) -> dict:
    return home.lake.read("intake_accounting", where={"discharge_date": [DAY]}).to_dict("records")[0]


def test_the_list_names_day_file_and_code_and_counts_no_few_rows(set_aside: Home):
    assert [(each["date"], each["file"], each["code"], each["rows"]) for each in listed(set_aside)] == [
        (DAY, "broken.csv", "file_not_utf8", 0),
        (DAY, "ward[red].csv", "not_a_whole_number", None),
        (DAY, "ward[red].csv", "not_icd9", None),
        (DAY, "ward[red].csv", "unknown_code", None),
    ]
    text = set_aside.command("quarantine", "list").out
    assert "whole file" in text
    assert text.count("hidden") == 3
    assert digest(set_aside, "broken.csv")[:12] in text


def test_the_list_keeps_to_the_days_asked_for(set_aside: Home):
    assert listed(set_aside, "--from", DAY, "--to", DAY) == listed(set_aside)
    assert listed(set_aside, "--from", "2024-03-01") == []
    assert listed(set_aside, "--to", "2024-02-28") == []
    assert "nothing is in quarantine" in set_aside.command("quarantine", "list", "--from", "2024-03-01").out
    assert set_aside.command("quarantine", "list", "--from", "yesterday").code == 2


def test_a_home_without_any_discharges_has_an_empty_quarantine(tmp_path: Path):
    empty = Home.new(tmp_path / "home")
    assert listed(empty) == []
    assert "nothing" in empty.command("quarantine", "show", "--date", DAY).out
    assert (
        empty.command("quarantine", "release", "--date", DAY, "--file", "ab", "--row", "1", "--reason", "x").code == 2
    )


def test_a_day_shows_row_column_code_and_what_to_do_and_never_a_value(set_aside: Home):
    lines = set_aside.command("quarantine", "show", "--date", DAY, "--json").json
    assert [(each["row"], each["column"], each["code"], each["releasable"]) for each in lines] == [
        (0, "", "file_not_utf8", False),
        (2, "race", "unknown_code", True),
        (3, "payer_code", "unknown_code", True),
        (3, "diag_1", "not_icd9", True),
        (4, "age", "unknown_code", False),
        (5, "race", "unknown_code", True),
        (5, "num_medications", "not_a_whole_number", False),
    ]
    assert all(each["action"] for each in lines)
    text = set_aside.command("quarantine", "show", "--date", DAY).out
    assert "Have the source deliver" in text
    assert "ward[red].csv" in text
    assert SECRET not in text + str(lines)


def test_a_day_can_be_shown_for_one_file_by_the_beginning_of_its_digest(set_aside: Home):
    for prefix in (digest(set_aside, "broken.csv")[:8], "sha256:" + digest(set_aside, "broken.csv")):
        lines = set_aside.command("quarantine", "show", "--date", DAY, "--file", prefix, "--json").json
        assert [each["code"] for each in lines] == ["file_not_utf8"]
    unknown = set_aside.command("quarantine", "show", "--date", DAY, "--file", "0123456789")
    assert unknown.code == 2
    assert "no file in quarantine" in unknown.err


def test_released_rows_are_taken_in_and_scored_with_their_broken_cells_missing(home: Home):
    before = account(home)
    outcome = release(home, "--row", "2", "--row", "3", "--json")
    assert outcome.code == 0, outcome.err
    said = outcome.json
    assert said["rows"] == [2, 3]
    assert {key: said["day"][key] for key in ("received", "accepted", "quarantined", "duplicate", "revision")} == {
        "received": 12, "accepted": None, "quarantined": None, "duplicate": 0, "revision": before["revision"] + 1,
    }  # fmt: skip
    assert {key: account(home)[key] for key in ("received", "accepted", "quarantined", "duplicate")} == {
        "received": 12, "accepted": 10, "quarantined": 2, "duplicate": 0,
    }  # fmt: skip
    ids = CELLS["encounter_id"].astype("int64")
    accepted = home.lake.read("daily_discharges", where={"discharge_date": [DAY]}).set_index("encounter_id")
    assert pd.isna(accepted.loc[ids[1], "race"])
    assert accepted.loc[ids[2], ["diag_1", "payer_code"]].isna().all()
    assert accepted.loc[ids[2], "race"] == CELLS["race"][2]
    predicted = home.predictions().query("discharge_date == @DAY")
    assert sorted(predicted["encounter_id"]) == sorted(accepted.index)


def test_a_release_is_in_the_ledger_with_who_why_and_which_cells(home: Home):
    assert release(home, "--row", "2").code == 0
    with home.ledger() as ledger:
        (event,) = ledger.events(kind="quarantine_released")
        ledger.verify()
    assert event.actor == "tester"
    assert event.payload == {
        "day": DAY, "file_digest": "sha256:" + digest(home, "ward[red].csv"), "rows": [2], "codes": ["unknown_code"],
        "reason": "the registry had the codes wrong", "identity": "claimed",
        "cells": [{"row": 2, "column": "race", "code": "unknown_code"}],
    }  # fmt: skip


def test_a_release_holds_when_the_day_is_taken_in_again(home: Home):
    assert release(home, "--row", "2").code == 0
    released = account(home)
    assert home.command("score", "--date", DAY).code == 0
    assert account(home) == {**released, "times_taken_in": released["times_taken_in"] + 1}
    assert [each["row"] for each in home.command("quarantine", "show", "--date", DAY, "--json").json] == [
        0,
        3,
        3,
        4,
        5,
        5,
    ]


def test_a_correction_delivered_after_a_release_takes_the_place_of_the_released_row(home: Home):
    assert release(home, "--row", "2").code == 0
    (home.path / "landing/discharges" / DAY / "corrected.csv").write_bytes(csv(CELLS.iloc[[1]]))
    assert home.command("score", "--date", DAY).code == 0
    counts = home.counts(DAY)
    assert (counts["accepted"], counts["quarantined"], counts["duplicate"]) == (9, 3, 1)
    accepted = home.lake.read("daily_discharges", where={"discharge_date": [DAY]}).set_index("encounter_id")
    assert accepted.loc[int(CELLS["encounter_id"][1]), "race"] == CELLS["race"][1]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--row", "4"), "row 4: unknown_code in age cannot be overruled. Have the source deliver a corrected file"),
        (("--row", "2", "--row", "5"), "row 5: not_a_whole_number in num_medications"),
        (("--all-rows",), "row 4: unknown_code in age"),
    ],
)
def test_what_may_not_be_missing_is_refused_and_nothing_changes(home: Home, options: tuple[str, ...], said: str):
    before = account(home)
    outcome = release(home, *options)
    assert outcome.code == 3
    assert said in outcome.err
    assert account(home) == before
    assert home.kinds().count("quarantine_release_refused") == 1
    assert "quarantine_released" not in home.kinds()


def test_a_file_that_cannot_be_read_is_not_released(home: Home):
    broken = digest(home, "broken.csv")
    for rows in (("--row", "0"), ("--all-rows",)):
        outcome = home.command("quarantine", "release", "--date", DAY, "--file", broken, *rows, "--reason", "x")
        assert outcome.code == 3
        assert "the whole file" in outcome.err


def test_a_dry_run_shows_every_condition_and_changes_nothing(home: Home):
    before = home.kinds()
    possible, impossible = release(home, "--row", "2", "--dry-run"), release(home, "--row", "4", "--dry-run", "--json")
    assert possible.code == 0
    assert "can be released; nothing changed" in " ".join(possible.out.split())
    assert impossible.code == 3
    assert not impossible.json["allowed"]
    assert home.kinds() == before


@pytest.mark.parametrize(
    ("options", "reason", "said"),
    [
        (("--row", "1"), "x", "row 1 of this file is not in quarantine"),
        (("--row", "99"), "x", "row 99 of this file is not in quarantine"),
        ((), "x", "--row"),
        (("--row", "2", "--all-rows"), "x", "--row"),
        (("--row", "2"), " ", "--reason"),
    ],
)
def test_a_release_that_makes_no_sense_is_bad_input_in_one_line(
    set_aside: Home, options: tuple[str, ...], reason: str, said: str
):
    before = set_aside.kinds()
    outcome = release(set_aside, *options, reason=reason)
    assert outcome.code == 2
    assert said in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1
    assert set_aside.kinds() == before


def test_a_file_that_has_left_the_landing_zone_cannot_be_released(home: Home):
    prefix = digest(home, "ward[red].csv")
    (home.path / "landing/discharges" / DAY / "ward[red].csv").unlink()
    outcome = home.command("quarantine", "release", "--date", DAY, "--file", prefix, "--row", "2", "--reason", "x")
    assert outcome.code == 2
    assert "no longer in landing" in outcome.err


def test_in_production_a_release_takes_a_role_that_allows_it(home: Home, tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'production.db'}"
    production = home.having(READMISSION_ENVIRONMENT="production", READMISSION_LEDGER_URL=url)
    (home.path / "installation.json").unlink()
    with production.lived_in() as current:
        make_installation(current)
    with production.ledger() as ledger:
        adopt(ledger, "roles_adopted", STAFFED_ROLES, Signer("admin", KEYS["admin"]))
        adopt(ledger, "policy_adopted", POLICY, Signer("clinician", KEYS["clinician"]))
    for actor, code in (("admin", 3), ("ops", 0)):
        key = write_key(tmp_path / f"{actor}.pem", actor)
        acting = production.having(**{**production.variables, "READMISSION_ACTOR": actor})
        assert release(acting, "--row", "2", "--dry-run").code == 3
        outcome = release(acting, "--row", "2", "--dry-run", "--key", str(key))
        assert outcome.code == code, outcome.err
    assert "admin does not have the permission release" in release(
        production.having(**{**production.variables, "READMISSION_ACTOR": "admin"}), "--row", "2"
    ).err.replace("\n", " ")
