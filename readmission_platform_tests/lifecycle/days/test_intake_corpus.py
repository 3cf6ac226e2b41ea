"""Bad deliveries: each gets its code, costs nothing but itself, and shows nobody a value."""

from pathlib import Path

import pandas as pd
import pytest

from readmission_platform.encounters.contract import ENCOUNTERS, FHIR_REASONS, LANDING
from readmission_platform.intake.quarantine import codes
from readmission_platform.intake.rows import take_in
from readmission_platform.storage.landing import Landing
from readmission_platform_tests.support.bad_deliveries import BAD_FILES, ROWS, SECRET, BadFile, clean_rows, csv
from readmission_platform_tests.support.homes import Home, files_below

DAY = "2024-02-29"
CLEAN = clean_rows(ROWS)
GOOD = clean_rows(7, first=900_000_000)


def put(folder: Path, name: str, content: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def test_the_corpus_is_large_and_knows_every_code_that_a_delivery_can_get():
    assert len(BAD_FILES) > 90
    assert len({bad.file_name for bad in BAD_FILES}) == len(BAD_FILES)
    needs_more_than_a_file = {"file_repeated", "folder_unreadable"}  # see below, and test_landing
    # What can be wrong with resources, encounters/fhir/test_bad_resources.py knows.
    assert {bad.code for bad in BAD_FILES} == set(codes(ENCOUNTERS)) - needs_more_than_a_file - set(FHIR_REASONS)


@pytest.mark.parametrize("bad", BAD_FILES, ids=lambda bad: bad.name)
def test_a_bad_file_gets_its_code_and_costs_nothing_but_its_own_rows(bad: BadFile, tmp_path: Path):
    folder = tmp_path / "discharges" / DAY
    put(folder, bad.file_name, bad.make(CLEAN))
    put(folder, "good.csv", csv(GOOD))
    files = Landing(tmp_path, LANDING).read_day(DAY)
    taken = take_in({DAY: files}, ENCOUNTERS)
    lines = taken.quarantined
    assert bad.code in set(lines["code"])
    assert set(lines["file"]) == {bad.file_name}
    assert set(lines["row"]) == set(bad.aside if bad.aside is not None else [0])
    left = (
        set()
        if bad.aside is None
        else set(CLEAN["encounter_id"][[row - 1 for row in set(range(1, ROWS + 1)) - set(bad.aside)]])
    )
    assert set(taken.accepted["encounter_id"].astype(str)) == set(GOOD["encounter_id"]) | left
    account = taken.accounts.to_dict("records")[0]
    assert account["received"] == account["accepted"] + account["quarantined"] + account["duplicate"]
    assert account["received"] == len(GOOD) + (0 if bad.aside is None else ROWS)
    assert (account["files"], account["files_quarantined"]) == (2, int(bad.aside is None or 0 in bad.aside))
    assert SECRET not in lines.to_csv() + taken.files.to_csv() + taken.accepted.to_csv()


@pytest.fixture(scope="module")
def bad_day(lived_home: Home, tmp_path_factory: pytest.TempPathFactory):
    """A day on which every bad file of the corpus landed beside a good one, twice delivered; and how scoring went."""
    home = lived_home.copy(tmp_path_factory.mktemp("bad_day") / "home")
    folder = home.path / "landing" / "discharges" / DAY
    for place, bad in enumerate(BAD_FILES):
        put(folder, bad.file_name, bad.make(clean_rows(ROWS, first=810_000_000 + 10 * place)))
    put(folder, "good.csv", csv(GOOD))
    put(folder, "good_again.csv", csv(GOOD))
    return home, home.command("score", "--date", DAY, "--json")


@pytest.mark.slow
def test_a_day_on_which_everything_is_wrong_at_once_is_scored_as_far_as_it_is_right(bad_day):
    home, outcome = bad_day
    assert outcome.code == 0, outcome.err
    assert "Traceback" not in outcome.err
    right = sum(ROWS - len(set(bad.aside) - {0}) for bad in BAD_FILES if bad.aside is not None)
    account = {**outcome.json[0], **home.counts(DAY)}
    assert account["accepted"] == account["scored"] == len(GOOD) + right
    assert account["duplicate"] == len(GOOD)
    assert account["received"] == account["accepted"] + account["quarantined"] + account["duplicate"]
    assert account["files"] == len(BAD_FILES) + 2
    assert account["files_quarantined"] == sum(bad.aside is None or 0 in bad.aside for bad in BAD_FILES)
    assert set(GOOD["encounter_id"].astype("int64")) <= set(
        home.predictions().query("discharge_date == @DAY")["encounter_id"]
    )


@pytest.mark.slow
def test_of_that_day_every_file_is_in_quarantine_under_its_code(bad_day):
    home, _ = bad_day
    found = home.command("quarantine", "list", "--from", DAY, "--to", DAY, "--json").json
    assert {(bad.file_name, bad.code) for bad in BAD_FILES} <= {(each["file"], each["code"]) for each in found}
    assert ("good_again.csv", "file_repeated", 0) in {(each["file"], each["code"], each["rows"]) for each in found}


@pytest.mark.slow
def test_of_that_day_no_value_is_in_any_output_log_or_line(bad_day):
    home, outcome = bad_day
    shown = [home.command("quarantine", "list"), home.command("quarantine", "show", "--date", DAY),
             home.command("quarantine", "show", "--date", DAY, "--json"), outcome]  # fmt: skip
    assert not [each for each in shown if SECRET in each.out + each.err]
    kept = files_below(home.path / "dagster") + files_below(home.path / "reports") + [home.path / "ledger.db"]
    assert not [path for path in kept if SECRET.encode() in path.read_bytes()]
    for table in ("quarantined_rows", "intake_files", "intake_accounting", "daily_discharges"):
        assert SECRET not in home.lake.read(table, where={"discharge_date": [DAY]}).to_csv()
    assert any(
        SECRET.encode() in path.read_bytes() for path in files_below(home.path / "landing")
    )  # it finds what is there


def test_a_number_missing_in_all_rows_never_reaches_the_model(tmp_path: Path):
    folder = tmp_path / "discharges" / DAY
    for column in ("num_medications", "time_in_hospital", "number_inpatient"):
        put(folder, f"{column}.csv", csv(CLEAN.assign(**{column: "?"})))
        put(folder, f"{column}.parquet", b"")
        CLEAN.astype(object).assign(**{column: pd.Series([None] * ROWS, dtype=object)}).to_parquet(
            folder / f"{column}.parquet"
        )
        put(folder, f"{column}_gone.csv", csv(CLEAN.drop(columns=column)))
    taken = take_in({DAY: Landing(tmp_path, LANDING).read_day(DAY)}, ENCOUNTERS)
    assert taken.accepted.empty
    assert set(taken.quarantined["code"]) == {"missing_value", "column_missing"}
    assert taken.files["quarantined"].eq(ROWS).all()
