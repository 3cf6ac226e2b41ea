"""A day of discharges: which version scores it, what is set aside, and that nobody is lost or scored twice."""

import shutil
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from readmission_platform import launcher as lifecycle
from readmission_platform.encounters.contract import LANDING
from readmission_platform.storage.landing import Landing
from readmission_platform_tests.conftest import SHADOW_DAYS
from readmission_platform_tests.support.homes import Home, files_below

OTHER_DAY = "2024-02-29"
WITHOUT_FILES = "2023-07-01"
SECRET_VALUE = "pneumonia-of-J-Doe"


def landed(home: Home, day: str) -> pd.DataFrame:
    """Return the cells of a day's file."""
    return pd.read_csv(home.path / "landing/discharges" / day / "discharges.csv", dtype=str, keep_default_na=False)


def deliver(home: Home, day: str, cells: pd.DataFrame, name: str = "discharges.csv") -> None:
    folder = home.path / "landing/discharges" / day
    folder.mkdir(parents=True, exist_ok=True)
    cells.to_csv(folder / name, index=False)


def renumbered(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the rows as other encounters of the same patients, later than all."""
    numbers = pd.to_numeric(cells["encounter_id"]) + 700_000_000
    return cells.assign(encounter_id=numbers.astype(str))


def score(home: Home, *options: str) -> list[dict]:
    """Score days and return their accounts, with the exact counts."""
    outcome = home.command("score", *options, "--json")
    assert outcome.code == 0, outcome.err
    return [{**shown, **home.counts(shown["date"])} for shown in outcome.json]


def risks(home: Home, day: str) -> pd.DataFrame:
    return home.predictions().query("discharge_date == @day").reset_index(drop=True)


@pytest.fixture
def home(lived_home: Home, changing: Callable[[Home], Home]) -> Home:
    return changing(lived_home)


@pytest.fixture
def after_succession(succeeded_home: Home, changing: Callable[[Home], Home]) -> Home:
    return changing(succeeded_home)


def test_what_is_known_of_patients_stays_when_somebody_trains_on_another_source(home: Home):
    days = home.landed()[SHADOW_DAYS:]
    of_source = home.lake.read("eligible_encounters")
    before = home.predictions().query("discharge_date in @days")
    home.lake.write("eligible_encounters", of_source.assign(entity_key="a patient of another source"))
    score(home, "--from", days[0], "--to", days[-1])
    after = home.predictions().query("discharge_date in @days")
    assert after.set_index("encounter_id")["risk"].to_dict() == before.set_index("encounter_id")["risk"].to_dict()


def test_a_day_scored_for_the_first_time_uses_the_version_now_in_production(after_succession: Home):
    first = after_succession.landed()[0]
    assert score(after_succession, "--date", first)[0]["version"] == "2"


def test_a_day_scored_again_keeps_its_version_after_another_went_live(after_succession: Home):
    day = after_succession.landed()[SHADOW_DAYS + 2]
    before = risks(after_succession, day)
    assert score(after_succession, "--date", day)[0]["version"] == "1"
    assert risks(after_succession, day).equals(before)


def test_a_range_across_the_succession_scores_each_day_with_its_own_version(after_succession: Home):
    days = after_succession.landed()[SHADOW_DAYS - 2 : SHADOW_DAYS + 2]
    found = score(after_succession, "--from", days[0], "--to", days[-1])
    assert {day["date"]: day["version"] for day in found} == dict(zip(days, ["2", "2", "1", "1"], strict=True))


def test_another_formerly_approved_version_scores_when_named_with_a_reason_and_stays_recorded(
    after_succession: Home,
):
    day = after_succession.landed()[SHADOW_DAYS + 2]
    assert score(after_succession, "--date", day, "--version", "2", "--reason", "compare")[0]["version"] == "2"
    assert score(after_succession, "--date", day)[0]["version"] == "2"
    assert score(after_succession, "--date", day, "--version", "1", "--reason", "back")[0]["version"] == "1"


def test_a_named_version_without_a_reason_is_refused(after_succession: Home):
    day = after_succession.landed()[SHADOW_DAYS + 2]
    before = after_succession.predictions()
    for reason in ([], ["--reason", "  "]):
        outcome = after_succession.command("score", "--date", day, "--version", "2", *reason)
        assert outcome.code == 2
        assert "reason" in outcome.err
    assert after_succession.predictions().equals(before)


def test_the_asset_itself_asks_for_the_reason_as_well(after_succession: Home):
    day = after_succession.landed()[SHADOW_DAYS + 2]
    result = after_succession.materialize("daily_predictions", day=day, ops={"daily_predictions": {"version": "2"}})
    assert not result.success
    assert set(risks(after_succession, day)["model_version"]) == {"1"}


def test_scoring_again_gives_the_same_risks_ranks_and_flags(home: Home):
    days = home.landed()[SHADOW_DAYS:][:3]
    before = home.predictions()
    score(home, "--from", days[0], "--to", days[-1])
    assert home.predictions().equals(before)


def test_a_day_without_a_file_is_skipped_and_not_failed(home: Home):
    before = home.predictions()
    result = home.materialize("daily_discharges", "daily_predictions", day=WITHOUT_FILES)
    assert result.success
    assert not result.asset_materializations_for_node("daily_discharges")
    assert not result.asset_materializations_for_node("daily_predictions")
    assert home.predictions().equals(before)


def test_the_command_says_that_a_day_has_no_files(home: Home):
    outcome = home.command("score", "--date", WITHOUT_FILES)
    assert outcome.code == 2
    assert f"no files in landing/discharges for {WITHOUT_FILES}" in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1


def test_broken_rows_are_set_aside_with_their_reason_and_the_rest_is_scored(home: Home):
    cells = renumbered(landed(home, home.landed()[0]))
    cells.loc[0, "time_in_hospital"] = "-3"
    cells.loc[1, "age"] = SECRET_VALUE
    cells.loc[2, "encounter_id"] = "?"
    deliver(home, OTHER_DAY, cells)
    account = score(home, "--date", OTHER_DAY)[0]
    assert account.items() >= {
        "date": OTHER_DAY, "received": 27, "accepted": 24, "quarantined": 3, "duplicate": 0, "scored": 24,
        "withheld": 0, "version": "1",
    }.items()  # fmt: skip
    (shown,) = home.command("score", "--date", OTHER_DAY, "--json").json
    assert {name: shown[name] for name in ("received", "accepted", "quarantined", "duplicate", "scored")} == {
        "received": 27, "accepted": None, "quarantined": None, "duplicate": 0, "scored": None,
    }  # fmt: skip
    lines = home.lake.read("quarantined_rows", where={"discharge_date": [OTHER_DAY]})
    assert set(lines["row"]) == {1, 2, 3}
    assert {"time_in_hospital", "age", "encounter_id"} <= set(lines["column"])
    assert lines["file_digest"].str.startswith("sha256:").all()


def test_a_value_of_a_broken_row_is_in_no_log_and_no_quarantine_line(home: Home):
    cells = renumbered(landed(home, home.landed()[0]))
    cells.loc[1, "age"] = SECRET_VALUE
    cells.loc[2, "race"] = SECRET_VALUE
    deliver(home, OTHER_DAY, cells)
    outcome = home.command("score", "--date", OTHER_DAY)
    assert SECRET_VALUE not in outcome.out + outcome.err
    assert not [path for path in files_below(home.path / "dagster") if SECRET_VALUE.encode() in path.read_bytes()]
    lines = home.lake.read("quarantined_rows", where={"discharge_date": [OTHER_DAY]})
    assert not lines.astype(str).apply(lambda column: column.str.contains(SECRET_VALUE)).to_numpy().any()


def test_a_file_delivered_twice_on_a_day_counts_as_duplicates(home: Home):
    day = home.landed()[SHADOW_DAYS + 2]
    before = risks(home, day)
    deliver(home, day, landed(home, day), name="again.csv")
    account = score(home, "--date", day)[0]
    assert (account["received"], account["accepted"], account["duplicate"], account["scored"]) == (54, 27, 27, 27)
    assert sorted(risks(home, day)["encounter_id"]) == sorted(before["encounter_id"])


def test_encounters_of_an_earlier_day_are_duplicates_on_a_later_one(home: Home):
    early, late = home.landed()[SHADOW_DAYS + 2], home.landed()[SHADOW_DAYS + 5]
    both = pd.concat([landed(home, late), landed(home, early)], ignore_index=True)
    deliver(home, late, both)
    account = score(home, "--date", late)[0]
    assert (account["received"], account["accepted"], account["duplicate"]) == (54, 27, 27)
    assert not home.predictions()["encounter_id"].duplicated().any()


def test_late_rows_join_their_day_and_everybody_is_ranked_once(home: Home):
    day = home.landed()[SHADOW_DAYS + 2]
    late = renumbered(landed(home, home.landed()[0])).head(4)
    deliver(home, day, late, name="late.csv")
    account = score(home, "--date", day)[0]
    assert (account["accepted"], account["scored"], account["version"]) == (31, 31, "1")
    assert list(risks(home, day)["rank"]) == list(range(1, 32))


def test_a_file_that_is_no_table_is_set_aside_and_the_day_goes_on(home: Home):
    day = home.landed()[SHADOW_DAYS + 2]
    (home.path / "landing/discharges" / day / "broken.csv").write_bytes(b"\xff\xfe\x00not text")
    account = score(home, "--date", day)[0]
    assert account["scored"] == 27
    lines = home.lake.read("quarantined_rows", where={"discharge_date": [day]})
    assert list(lines["reason"]) == ["not UTF-8 text"]


def test_what_lies_in_one_days_folder_keeps_no_other_day_from_being_scored_and_is_reported(home: Home):
    day, other = home.landed()[SHADOW_DAYS + 2], home.landed()[SHADOW_DAYS + 3]
    folder = home.path / "landing/discharges" / day
    (folder / "circle.csv").symlink_to(folder / "circle.csv")
    (home.path / "landing/discharges/2023-01-01").symlink_to("2023-01-01")
    assert score(home, "--date", other)[0]["scored"] == 27
    assert score(home, "--date", day)[0]["scored"] == 27
    assert home.command("score", "--date", "2023-01-01").code == 2
    assert account_of(home, "2023-01-01")["files_quarantined"] == 1
    lines = home.lake.read("quarantined_rows", where={"discharge_date": [day, "2023-01-01"]})
    assert sorted(zip(lines["file"], lines["code"], strict=True)) == [
        ("2023-01-01", "folder_unreadable"), ("circle.csv", "file_unreadable"),
    ]  # fmt: skip
    alerts = home.command("alerts", "list", "--json").json
    assert any("every_file_readable" in each["subject"] for each in alerts)


def account_of(home: Home, day: str) -> dict:
    return home.lake.read("intake_accounting", where={"discharge_date": [day]}).to_dict("records")[0]


def test_a_day_has_a_new_revision_when_its_encounters_change_and_only_then(home: Home):
    day = home.landed()[SHADOW_DAYS + 2]
    assert account_of(home, day)["revision"] == 1
    late = renumbered(landed(home, home.landed()[0])).head(4)
    before = account_of(home, day)
    deliver(home, day, late, name="a_late.csv")
    assert score(home, "--date", day)[0]["revision"] == 2
    changed = account_of(home, day)
    assert changed["files_digest"] != before["files_digest"]
    assert changed["delivered_version"] == home.lake.open("daily_discharges").version()
    folder = home.path / "landing/discharges" / day
    (folder / "a_late.csv").rename(folder / "z_late.csv")
    (folder / "empty.csv").write_text(",".join(late.columns) + "\n", encoding="utf-8")
    score(home, "--date", day)
    again = account_of(home, day)
    assert (again["revision"], again["files"], again["accepted_digest"]) == (2, 3, changed["accepted_digest"])
    assert again["delivered_version"] == changed["delivered_version"]
    (folder / "z_late.csv").unlink()
    assert score(home, "--date", day)[0]["revision"] == 3
    assert account_of(home, day)["accepted_digest"] == before["accepted_digest"]


def test_the_account_names_the_files_as_the_landing_zone_does(home: Home):
    day = home.landed()[SHADOW_DAYS + 2]
    assert account_of(home, day)["files_digest"] == Landing(home.path / "landing", LANDING).fingerprint(day)


def test_a_day_in_a_range_whose_files_have_gone_stays_as_it_was(home: Home):
    days = home.landed()[SHADOW_DAYS + 1 : SHADOW_DAYS + 4]
    before, account = risks(home, days[1]), account_of(home, days[1])
    shutil.rmtree(home.path / "landing/discharges" / days[1])
    with home.workspace() as current:
        lifecycle.score(lifecycle.Launcher(current), days)
    discharges = home.lake.read("daily_discharges", where={"discharge_date": days})
    assert set(before["encounter_id"]) <= set(discharges["encounter_id"])
    assert len(discharges) == 3 * 27
    assert account_of(home, days[1]) == account


def test_every_day_of_a_run_shows_its_own_account(lived_home: Home):
    with lived_home.instance() as instance:
        records = instance.fetch_materializations(dg.AssetKey("daily_discharges"), limit=100).records
    for record in records:
        shown = {name: entry.value for name, entry in record.asset_materialization.metadata.items()}  # type: ignore[union-attr]
        assert (shown["received"], shown["accepted"], shown["files"], shown["revision"]) == (27, 27, 1, 1)


def test_a_correction_as_a_second_file_keeps_the_patient_on_the_list_and_what_was_shown_before_traceable(home: Home):
    day = home.landed()[SHADOW_DAYS + 2]
    encounter = landed(home, day)["encounter_id"].iloc[0]
    (shown,) = home.command("trace", encounter, "--json").json["predictions"]
    deliver(home, day, landed(home, day).head(1).assign(number_inpatient="4"), name="a_late.csv")
    account = score(home, "--date", day)[0]
    assert (account["received"], account["accepted"], account["duplicate"]) == (28, 27, 1)
    found = home.command("trace", encounter, "--replay", "--json").json
    ((now,), (before,)) = found["predictions"], found["replaced"]
    assert now["risk"] != shown["risk"]
    assert {name: before[name] for name in shown} == shown
    assert before["replaced_at"] > now["scored_at"]
    assert [each["identical"] for each in found["replays"]] == [True, True]
    assert [(each["newer_file"], each["differing_columns"]) for each in found["corrections"]] == [
        ("a_late.csv", "number_inpatient")
    ]  # fmt: skip
    said = home.command("trace", encounter).out
    assert "shown before" in said
    assert "a_late.csv corrected number_inpatient of discharges.csv" in said
    score(home, "--date", day)  # again the same: nothing else was shown in between
    assert len(home.command("trace", encounter, "--json").json["replaced"]) == 1


def test_rows_of_one_file_that_contradict_each_other_take_the_encounter_off_the_list_until_the_source_says_which(
    home: Home,
):
    day = home.landed()[SHADOW_DAYS + 2]
    first = landed(home, day).head(1)
    late = pd.concat([first.assign(time_in_hospital=days) for days in ("58", "59")])
    deliver(home, day, late, name="late.csv")
    account = score(home, "--date", day)[0]
    assert (account["received"], account["accepted"], account["quarantined"]) == (29, 26, 3)
    lines = home.lake.read("quarantined_rows", where={"discharge_date": [day]})
    assert sorted(zip(lines["file"], lines["code"], strict=True)) == [
        ("discharges.csv", "conflicting_rows"), ("late.csv", "conflicting_rows"), ("late.csv", "conflicting_rows"),
    ]  # fmt: skip
    assert home.command("trace", first["encounter_id"].iloc[0], "--json").json["replaced"]
    (home.path / "landing/discharges" / day / "late.csv").unlink()
    assert score(home, "--date", day)[0]["accepted"] == 27


def test_files_in_other_formats_are_set_aside_and_said_to_be(home: Home):
    day = home.landed()[SHADOW_DAYS + 2]
    (home.path / "landing/discharges" / day / "more.xlsx").write_bytes(b"PK")
    result = home.materialize("daily_discharges", day=day)
    with home.instance() as instance:
        said = [record.user_message for record in instance.all_logs(result.run_id)]
    assert any("1 whole file" in message and "quarantine list" in message for message in said)
    lines = home.command("quarantine", "show", "--date", day, "--json").json
    assert [(line["file"], line["code"]) for line in lines] == [("more.xlsx", "file_not_understood")]


def test_a_day_with_a_header_and_no_rows_gives_an_empty_account(home: Home):
    deliver(home, OTHER_DAY, landed(home, home.landed()[0]).head(0))
    account = score(home, "--date", OTHER_DAY)[0]
    assert (account["received"], account["accepted"], account["scored"]) == (0, 0, 0)


def test_what_the_outcome_columns_of_a_file_say_never_reaches_a_score(home: Home):
    day = home.landed()[SHADOW_DAYS + 2]
    deliver(home, day, landed(home, day).assign(readmitted="<30"))
    outcome = home.command("score", "--date", day)
    assert (outcome.code, f"nothing of {day} was accepted" in outcome.err) == (2, True)
    assert account_of(home, day)["quarantined"] == account_of(home, day)["received"] == 27


def test_each_prediction_says_which_artifact_made_it_from_which_rows(lived_home: Home):
    with lived_home.ledger() as ledger:
        artifact = ledger.events(kind="version_trained")[0].payload["artifact"]["digest"]
    rows = lived_home.lake.read("daily_predictions")
    assert set(rows["artifact_digest"]) == {artifact}
    assert rows.groupby("discharge_date")["delivered_digest"].nunique().eq(1).all()
    with lived_home.instance() as instance:
        assert all(instance.get_run_by_id(run) is not None for run in set(rows["run_id"]))


def test_a_range_is_scored_in_one_run_that_shows_on_every_day(lived_home: Home):
    with lived_home.instance() as instance:
        events = instance.fetch_materializations(dg.AssetKey("daily_predictions"), limit=100).records
    days = {record.partition_key: record.run_id for record in events}
    landed = lived_home.landed()
    assert sorted(days) == landed
    assert len({days[day] for day in landed[SHADOW_DAYS:]}) == 1


@pytest.mark.slow
def test_dagsters_own_command_fills_a_range_in_one_run(trained_home: Home, tmp_path: Path):
    home = trained_home.copy(tmp_path / "home")
    days = home.landed()
    outcome = home.shell(
        "dagster", "asset", "materialize", "--select", "daily_discharges", "--partition-range",
        f"{days[0]}...{days[-1]}", "-m", "readmission_platform.definitions",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    with home.instance() as instance:
        records = instance.fetch_materializations(dg.AssetKey("daily_discharges"), limit=100).records
    assert sorted(record.partition_key or "" for record in records) == days
    assert len({record.run_id for record in records}) == 1
    assert len(home.lake.read("daily_discharges")) == 27 * len(days)


def put_live(home: Home, version: str, *, stage: str = "production") -> None:
    """Move a stage as anybody can who reaches the ledger: without validation, approval or decision."""
    with home.ledger() as ledger:
        ledger.move("version_promoted", {"to_stage": stage}, actor="somebody", version=version,
                    moves={stage: version}, expected=ledger.pointers())  # fmt: skip


@pytest.mark.parametrize("version", ["666", "2"])
def test_a_version_that_nothing_properly_put_into_production_scores_nothing(
    challenged_home: Home, changing: Callable[[Home], Home], version: str
):
    home = changing(challenged_home)
    before, first = home.predictions(), home.landed()[0]
    put_live(home, version)
    for options in (("--date", first), ("--date", first, "--version", version, "--reason", "it is live")):
        outcome = home.command("score", *options, "--json")
        assert outcome.code in (2, 3), outcome.err
        assert f"version {version}" in outcome.err
        assert len(outcome.err.strip().splitlines()) == 1
    assert home.predictions().equals(before)
    assert home.aliases().get("production") == "1"
    held = home.command("status", "--json").json["stages"]["production"]
    assert f"version {version} was not properly put into production" in held["problem"]
    shown = home.command("status")
    assert f"version {version} was not properly put into production" in " ".join(shown.out.split())
    assert home.command("audit", "verify").code == 1


def test_after_a_rollback_from_what_was_never_approved_days_are_scored_again(
    challenged_home: Home, changing: Callable[[Home], Home]
):
    home = changing(challenged_home)
    put_live(home, "2")
    assert home.command("reconcile").code == 5
    assert home.command("rollback", "--reason", "nobody approved it").code == 0
    assert score(home, "--date", home.landed()[0])[0]["version"] == "1"
    assert home.command("rollback", "--to-version", "2", "--reason", "back").code == 3
    assert home.command("audit", "verify").code == 0


def test_a_version_that_nothing_properly_put_into_staging_does_not_score_in_the_shadow(home: Home):
    put_live(home, "666", stage="staging")
    days = home.lake.read("shadow_predictions")
    outcome = home.command("score", "--date", home.landed()[SHADOW_DAYS + 2])
    assert outcome.code == 3
    assert "version 666 was not properly put into staging" in outcome.err
    assert home.lake.read("shadow_predictions").equals(days)
