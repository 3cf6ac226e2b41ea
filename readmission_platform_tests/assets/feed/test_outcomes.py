"""Taking in outcomes: when, what of them counts, and that none is lost."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pandas as pd
import pytest

from readmission_platform.encounters.contract import LANDING
from readmission_platform.lifecycle.days.outcomes import COUNTS, day_maturity, days_to_take_in, matured_rows
from readmission_platform.storage.landing import Landing
from readmission_platform_tests.support.homes import Home, files_below
from readmission_platform_tests.support.hospital import LONG_AGO, Hospital, days_ago, days_from

DAYS = days_from(LONG_AGO, 4)
FIRST = DAYS[0]
TODAY = datetime.now(UTC).date()
CHECK, FILES_CHECK, ROWS_CHECK = "every_outcome_accounted_for", "every_outcome_file_readable", "most_outcomes_accepted"
SECRET_VALUE = "pneumonia-of-J-Doe"


@pytest.fixture(scope="module")
def discharged_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    hospital = Hospital.at(tmp_path_factory.mktemp("discharged") / "home")
    hospital.go_on(DAYS)
    return hospital.home


@pytest.fixture
def hospital(discharged_home: Home, changing: Callable[[Home], Home]) -> Hospital:
    """A hospital with four days of discharges and no outcomes yet."""
    found = Hospital(changing(discharged_home))
    rows = discharged_home.lake.read("daily_discharges")
    rows["outcome"] = (rows["encounter_id"] % 9 == 0).astype("int8")
    found.days = {str(day): of_day.reset_index(drop=True) for day, of_day in rows.groupby("discharge_date")}
    return found


def take_in(hospital: Hospital, *options: str, code: int = 0) -> list[dict]:
    """Take in outcomes and return the accounts of their days, with the exact counts."""
    outcome = hospital.home.command("outcomes", *options, "--json")
    assert outcome.code == code, outcome.err
    days = [shown["date"] for shown in outcome.json]
    exact = hospital.home.lake.read("outcome_accounting", where={"discharge_date": days}).set_index("discharge_date")
    return [{**shown, **{name: int(exact.loc[shown["date"], name]) for name in COUNTS}} for shown in outcome.json]


def recorded(hospital: Hospital, day: str) -> dict[int, int]:
    rows = hospital.home.lake.read("matured_outcomes", where={"discharge_date": [day]})
    return dict(zip(rows["encounter_id"], rows["readmitted_30d"], strict=True))


def lines(hospital: Hospital, day: str) -> pd.DataFrame:
    return hospital.home.lake.read("quarantined_outcomes", where={"discharge_date": [day]})


def named(hospital: Hospital) -> dict[str, str]:
    """Return what the last run said of outcomes set aside, by check; "" where it passed."""
    found = {}
    with hospital.home.instance() as instance:
        for check in (FILES_CHECK, ROWS_CHECK):
            key = dg.AssetCheckKey(dg.AssetKey("matured_outcomes"), check)
            record = instance.event_log_storage.get_asset_check_execution_history(key, limit=1)[0]
            evaluation = record.event.dagster_event.asset_check_evaluation_data  # type: ignore[union-attr]
            found[check] = "" if evaluation.passed else str(evaluation.description)
    return found


def alerts(hospital: Hospital) -> dict[str, str]:
    """Return what the open alerts about outcomes set aside say, by check."""
    found = hospital.home.command("alerts", "list", "--json").json
    return {each["subject"].partition("/")[2]: each["what"] for each in found if each["rule"] == "outcomes_set_aside"}


def test_the_outcomes_of_a_range_are_taken_in_and_counted_by_day(hospital: Hospital):
    for day in DAYS[:3]:
        hospital.deliver(day, hospital.outcomes_of(day))
    accounts = take_in(hospital, "--from", DAYS[0], "--to", DAYS[3])
    assert [account["date"] for account in accounts] == DAYS[:3]
    assert accounts[0] == {"date": FIRST, "expected": 40, "received": 40, "accepted": 40, "quarantined": 0,
                           "duplicate": 0, "files": 1, "files_quarantined": 0, "coverage": 1.0}  # fmt: skip
    table = hospital.home.lake.read("matured_outcomes")
    assert list(table.columns) == ["discharge_date", "encounter_id", "entity_key", "readmitted_30d"]
    assert str(table["readmitted_30d"].dtype) == "int8"
    patients = hospital.days[FIRST].set_index("encounter_id")["entity_key"]
    of_first = table[table["discharge_date"] == FIRST].set_index("encounter_id")["entity_key"]
    assert of_first.sort_index().to_dict() == patients.sort_index().to_dict()
    # In one run, which shows on every day.
    with hospital.home.instance() as instance:
        records = instance.fetch_materializations(dg.AssetKey("matured_outcomes"), limit=10).records
    assert sorted(record.partition_key or "" for record in records) == DAYS[:3]
    assert len({record.run_id for record in records}) == 1


def test_what_cannot_be_used_is_set_aside_and_the_rest_counts(hospital: Hospital):
    cells = hospital.outcomes_of(FIRST).astype(object)
    conflicting = cells.head(1).assign(readmitted_30d=1 - cells["readmitted_30d"].iloc[0])
    unknown = pd.DataFrame({"encounter_id": [77], "readmitted_30d": [0]})
    cells.loc[1, "readmitted_30d"] = SECRET_VALUE
    hospital.deliver(FIRST, pd.concat([cells, conflicting, unknown, cells.tail(1)]))
    (account,) = take_in(hospital, "--date", FIRST)
    assert (account["received"], account["accepted"], account["quarantined"], account["duplicate"]) == (43, 38, 4, 1)
    shown = hospital.home.command("outcomes", "--date", FIRST, "--json").json[0]
    assert {name: shown[name] for name in ("received", "accepted", "quarantined", "duplicate", "coverage")} == {
        "received": None, "accepted": None, "quarantined": None, "duplicate": None, "coverage": None,
    }  # fmt: skip
    found = lines(hospital, FIRST)
    assert list(found.columns) == ["discharge_date", "file_digest", "file", "row", "column", "code", "reason"]
    assert found["code"].value_counts().to_dict() == {
        "conflicting_outcomes": 2, "not_0_or_1": 1, "unknown_encounter": 1
    }  # fmt: skip
    assert not [path for path in files_below(hospital.home.path) if path.is_relative_to(
        hospital.home.path / "dagster") and SECRET_VALUE.encode() in path.read_bytes()]  # fmt: skip


def test_a_correction_in_a_second_file_changes_that_outcome_alone_and_the_day_stays_matured(hospital: Hospital):
    cells = hospital.outcomes_of(FIRST)
    hospital.deliver(FIRST, cells)
    take_in(hospital, "--date", FIRST)
    before = recorded(hospital, FIRST)
    changed = cells.head(1).assign(readmitted_30d=1 - cells["readmitted_30d"].iloc[0], reason="chart review")
    changed.to_csv(hospital.home.path / "landing/outcomes" / FIRST / "a_correction.csv", index=False)
    (account,) = take_in(hospital, "--date", FIRST)
    assert (account["accepted"], account["duplicate"], account["coverage"]) == (40, 1, 1.0)
    number = int(changed["encounter_id"].iloc[0])
    assert recorded(hospital, FIRST) == before | {number: 1 - before[number]}
    (found,) = hospital.home.lake.read("corrected_outcomes").to_dict("records")
    assert (found["encounter_id"], found["correction_reason"]) == (number, "chart review")


def test_an_outcome_that_one_delivery_tells_in_two_ways_is_unknown_and_the_day_matures_all_the_same(hospital: Hospital):
    cells = hospital.outcomes_of(FIRST)
    torn = pd.concat([cells.head(3), cells.head(3).assign(readmitted_30d=1 - cells["readmitted_30d"].head(3))])
    hospital.deliver(FIRST, pd.concat([torn, cells.iloc[3:]]))
    take_in(hospital, "--date", FIRST)
    day = day_maturity(hospital.home.lake, today=TODAY, coverage=0.95).loc[FIRST]
    assert (day["known"], day["contradicted"], day["matured"]) == (37, 3, True)


def test_a_day_younger_than_thirty_days_is_refused_and_taken_in_when_it_is_old_enough(hospital: Hospital):
    young = days_ago(20)
    hospital.go_on([young])
    hospital.deliver(young, hospital.outcomes_of(young))
    (account,) = take_in(hospital, "--date", young, code=2)
    assert (account["received"], account["accepted"], account["quarantined"], account["coverage"]) == (40, 0, 40, 0.0)
    assert set(lines(hospital, young)["code"]) == {"not_matured"}
    assert recorded(hospital, young) == {}
    assert named(hospital) == {FILES_CHECK: "", ROWS_CHECK: ""}
    landing = Landing(hospital.home.path / "landing", LANDING)
    assert days_to_take_in(landing, hospital.home.lake, today=TODAY + timedelta(days=10)) == [young]


def test_the_age_of_a_day_is_counted_in_the_hospitals_time_zone(hospital: Hospital):
    there = datetime.now(ZoneInfo("America/New_York")).date()
    old, young = (date.fromordinal(there.toordinal() - age).isoformat() for age in (30, 29))
    hospital.go_on([old, young])
    for day in (old, young):
        hospital.deliver(day, hospital.outcomes_of(day))
    accounts = take_in(hospital, "--from", old, "--to", young, code=2)
    assert [account["accepted"] for account in accounts] == [40, 0]


def test_outcomes_of_a_day_without_discharges_are_of_unknown_rows(hospital: Hospital):
    hospital.deliver("2023-05-05", hospital.outcomes_of(FIRST))
    (account,) = take_in(hospital, "--date", "2023-05-05", code=2)
    assert (account["expected"], account["quarantined"], account["coverage"]) == (0, 40, None)


def test_before_anything_was_discharged_outcomes_are_of_unknown_rows(tmp_path: Path):
    hospital = Hospital(Home.new(tmp_path / "home"))
    hospital.deliver(FIRST, pd.DataFrame({"encounter_id": [1], "readmitted_30d": [0]}))
    assert take_in(hospital, "--date", FIRST, code=2)[0]["quarantined"] == 1


def test_an_unreadable_file_is_named_and_the_others_count(hospital: Hospital):
    hospital.deliver(FIRST, hospital.outcomes_of(FIRST))
    (hospital.home.path / "landing/outcomes" / FIRST / "broken.csv").write_bytes(b"\xff\xfe\x00not text")
    (account,) = take_in(hospital, "--date", FIRST)
    assert account["accepted"] == 40
    assert lines(hospital, FIRST)[["file", "row", "code"]].to_numpy().tolist() == [["broken.csv", 0, "file_not_utf8"]]


def test_outcomes_that_were_set_aside_are_told_raise_an_alert_and_are_listed_until_they_come_again(hospital: Hospital):
    for day in DAYS[:3]:
        hospital.deliver(day, hospital.outcomes_of(day))
    (hospital.home.path / "landing/outcomes" / FIRST / "broken[1].csv").write_bytes(b"\xff\xfe" + SECRET_VALUE.encode())
    hospital.deliver(DAYS[1], hospital.outcomes_of(DAYS[1]).assign(readmitted_30d=SECRET_VALUE))
    partly = hospital.home.command("outcomes", "--date", FIRST)
    assert partly.code == 0
    where = f"`readmission quarantine list --from {FIRST} --to {FIRST}` says why"
    assert partly.err.strip().splitlines()[-1] == f"set aside: 1 whole file; {where}"
    asked = hospital.home.command("outcomes", "--date", FIRST, "--json").json
    assert [(each["files"], each["files_quarantined"]) for each in asked] == [(2, 1)]
    wholly = hospital.home.command("outcomes", "--date", DAYS[1])
    assert wholly.code == 2
    assert f"no outcome of {DAYS[1]} was accepted; `readmission quarantine show --date {DAYS[1]}`" in wholly.err
    hospital.home.command("outcomes", "--date", DAYS[2])  # a sound day hides nothing of the others
    assert FIRST in alerts(hospital)[FILES_CHECK]
    assert DAYS[1] in alerts(hospital)[ROWS_CHECK]

    listed = hospital.home.command("quarantine", "list", "--json").json
    assert {each["kind"] for each in listed} == {each["folder"] for each in listed} == {"outcomes"}
    assert [(each["date"], each["file"], each["code"], each["rows"]) for each in listed] == [
        (FIRST, "broken[1].csv", "file_not_utf8", 0),
        (DAYS[1], "outcomes.csv", "not_0_or_1", 40),
    ]
    text = "".join(hospital.home.command("quarantine", *each).out for each in (["list"], ["show", "--date", FIRST]))
    assert "broken[1].csv in landing/outcomes/" in text
    shown = hospital.home.command("quarantine", "show", "--date", DAYS[1], "--json").json
    assert all(each["action"] and not each["releasable"] for each in shown)
    assert SECRET_VALUE not in text + str(shown) + str(alerts(hospital)) + wholly.out + wholly.err
    of_file = ("--file", shown[0]["file_digest"], "--all-rows", "--reason", "x")
    released = hospital.home.command("quarantine", "release", "--date", DAYS[1], *of_file)
    assert (released.code, "outcomes cannot be released" in released.err) == (2, True)

    (hospital.home.path / "landing/outcomes" / FIRST / "broken[1].csv").unlink()
    hospital.deliver(DAYS[1], hospital.outcomes_of(DAYS[1]))
    assert "set aside" not in hospital.home.command("outcomes", "--from", FIRST, "--to", DAYS[1]).err
    assert alerts(hospital) == {}
    assert hospital.home.command("quarantine", "list", "--json").json == []


def test_a_corrected_file_replaces_what_was_taken_in_and_taking_it_in_again_changes_nothing(hospital: Hospital):
    hospital.deliver(FIRST, hospital.outcomes_of(FIRST).assign(readmitted_30d=0))
    take_in(hospital, "--date", FIRST)
    hospital.deliver(FIRST, hospital.outcomes_of(FIRST))
    corrected = take_in(hospital, "--date", FIRST), recorded(hospital, FIRST)
    assert corrected[1] == dict(hospital.outcomes_of(FIRST).itertuples(index=False))
    assert (take_in(hospital, "--date", FIRST), recorded(hospital, FIRST)) == corrected


def test_a_run_over_a_range_keeps_the_outcomes_of_a_day_whose_file_is_gone(hospital: Hospital):
    for day in DAYS[:2]:
        hospital.deliver(day, hospital.outcomes_of(day))
    take_in(hospital, "--from", DAYS[0], "--to", DAYS[1])
    (hospital.home.path / "landing/outcomes" / FIRST / "outcomes.csv").unlink()
    from readmission_platform.config.environment import settings
    from readmission_platform.definitions import build_definitions

    with hospital.home.instance() as instance:
        job = build_definitions(settings()).resolve_job_def("outcomes_job")
        tags = {"dagster/asset_partition_range_start": DAYS[0], "dagster/asset_partition_range_end": DAYS[1]}
        assert job.execute_in_process(instance=instance, tags=tags).success
    assert len(recorded(hospital, FIRST)) == len(recorded(hospital, DAYS[1])) == 40


def test_a_day_without_files_is_skipped_with_the_reason(hospital: Hospital):
    result = hospital.home.materialize("matured_outcomes", day=FIRST)
    assert result.success
    assert not result.asset_materializations_for_node("matured_outcomes")
    found = {each.check_name: each.passed for each in result.get_asset_check_evaluations()}
    assert found == {CHECK: True, FILES_CHECK: True, ROWS_CHECK: True}
    outcome = hospital.home.command("outcomes", "--date", FIRST)
    assert outcome.code == 2
    assert f"no files in landing/outcomes for {FIRST}" in outcome.err


def test_a_day_that_has_not_begun_anywhere_is_refused_in_one_line(hospital: Hospital):
    hospital.deliver(days_ago(-2), hospital.outcomes_of(FIRST))
    outcome = hospital.home.command("outcomes", "--date", days_ago(-2))
    assert (outcome.code, len(outcome.err.strip().splitlines())) == (2, 1)


def test_days_are_taken_in_by_themselves_until_files_and_discharges_are_those_of_the_last_time(hospital: Hospital):
    lake, landing = hospital.home.lake, Landing(hospital.home.path / "landing", LANDING)
    for day in (FIRST, days_ago(3)):
        hospital.deliver(day, hospital.outcomes_of(FIRST))
    assert days_to_take_in(landing, lake, today=TODAY) == [FIRST]
    take_in(hospital, "--date", FIRST)
    assert days_to_take_in(landing, lake, today=TODAY) == []
    hospital.deliver(FIRST, hospital.outcomes_of(FIRST).head(3), name="more.csv")
    assert days_to_take_in(landing, lake, today=TODAY) == [FIRST]
    take_in(hospital, "--date", FIRST)
    late = lake.read("daily_discharges", where={"discharge_date": [FIRST]}).head(39)
    lake.write("daily_discharges", late, partition=("discharge_date", [FIRST]))
    assert days_to_take_in(landing, lake, today=TODAY) == [FIRST]


def test_a_day_has_matured_when_it_is_old_enough_and_nearly_all_of_its_outcomes_are_there(hospital: Hospital):
    young = days_ago(3)
    hospital.go_on([young])
    hospital.mature([DAYS[0], young])
    hospital.home.lake.write(
        "matured_outcomes", hospital.home.lake.read("matured_outcomes").head(37).assign(discharge_date=DAYS[1]),
        partition=("discharge_date", [DAYS[1]]),
    )  # fmt: skip
    found = day_maturity(hospital.home.lake, today=TODAY, coverage=0.95)
    # The rows of the second day name encounters of the first: they are nobody's outcome there.
    assert found["known"].to_dict() == {DAYS[0]: 40, DAYS[1]: 0, DAYS[2]: 0, DAYS[3]: 0, young: 40}
    assert found.index[found["matured"]].tolist() == [DAYS[0]]
    assert found.index[found["due"]].tolist() == DAYS
    matured = matured_rows(hospital.home.lake, today=TODAY, coverage=0.95)
    assert set(matured["discharge_date"]) == {DAYS[0]}
    assert {"gender", "entity_key", "readmitted_30d"} <= set(matured.columns)
