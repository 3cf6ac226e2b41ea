"""`readmission trace`: from one prediction back to everything, and to the same risk again."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from readmission_platform.encounters.cohort import DISCHARGE_COLUMNS
from readmission_platform.foundation.counting import percent
from readmission_platform_tests.support.homes import Home

Changing = Callable[[Home], Home]


@pytest.fixture(scope="module")
def scored(lived_home: Home) -> pd.DataFrame:
    return lived_home.lake.read("daily_predictions").sort_values(["discharge_date", "rank"], ignore_index=True)


def test_a_prediction_leads_to_version_training_data_code_gates_and_approvals(lived_home: Home, scored: pd.DataFrame):
    row = scored.iloc[0]
    found = lived_home.command("trace", str(row["encounter_id"]), "--json").json
    (prediction,) = found["predictions"]
    for name in ("risk", "band", "rank", "flagged", "model_version", "scored_at", "run_id"):
        assert prediction[name] == row[name], name
    assert prediction["date"] == row["discharge_date"]
    version = found["versions"]["1"]
    with lived_home.ledger() as ledger:
        trained = ledger.events(kind="version_trained")[0].payload
        promoted = ledger.events(kind="version_promoted")[-1]
    assert version["training"]["dagster_run"] == trained["run_id"]
    assert version["training"]["mlflow_run"] == trained["mlflow_run_id"]
    assert version["data"]["digest"] == trained["data"]["digest"]
    assert version["code_version"] == trained["code_version"]
    assert {gate["gate"] for gate in version["gates"]} >= {"discrimination_auroc", "integrity_serving_parity"}
    assert [each["by"] for each in version["approvals"]] == ["demo-approver"]
    assert prediction["put_into_stage_by"]["event"] == promoted.seq


def test_every_risk_of_every_day_is_had_again_bit_by_bit(lived_home: Home, scored: pd.DataFrame):
    sample = scored.groupby("discharge_date").nth([0, 13, 26]).iloc[::4]
    assert len(sample) >= 8
    for encounter in sample["encounter_id"]:
        outcome = lived_home.command("trace", str(encounter), "--replay", "--json")
        assert outcome.code == 0
        (again,) = outcome.json["replays"]
        assert again["identical"]
        assert again["inputs_as_recorded"]
        assert again["replayed"] == again["recorded"]


def test_the_shadow_prediction_of_the_same_encounter_is_shown_and_replayed_too(shadowed_home: Home):
    encounter = shadowed_home.lake.read("shadow_predictions", where={"model_version": ["2"]})["encounter_id"].iloc[3]
    found = shadowed_home.command("trace", str(encounter), "--replay", "--json").json
    assert [(each["kind"], each["model_version"]) for each in found["predictions"]] == [
        ("production", "1"), ("shadow", "2")
    ]  # fmt: skip
    assert sorted(found["versions"]) == ["1", "2"]
    assert all(each["identical"] for each in found["replays"])


def test_a_later_delivery_does_not_change_what_is_replayed(lived_home: Home, changing: Changing):
    home = changing(lived_home)
    days = home.landed()
    first = home.predictions().query("discharge_date == @days[-1]").iloc[0]
    before = home.command("trace", str(first["encounter_id"]), "--replay", "--json").json
    folder = home.path / "landing" / "discharges" / days[-2]
    for file in folder.iterdir():
        cells = pd.read_csv(file, dtype=str, keep_default_na=False)
        cells.head(5).to_csv(file, index=False)
    home.materialize("daily_discharges", day=days[-2])
    after = home.command("trace", str(first["encounter_id"]), "--replay", "--json")
    assert after.code == 0
    assert after.json["replays"] == before["replays"]
    assert home.lake.open("daily_discharges").version() > before["predictions"][0]["delivered_version"]


def test_a_risk_edited_in_the_lake_is_found_out(lived_home: Home, changing: Changing):
    home = changing(lived_home)
    day = home.landed()[-1]
    rows = home.lake.read("daily_predictions", where={"discharge_date": [day]})
    encounter = int(rows["encounter_id"].iloc[0])
    rows.loc[rows["encounter_id"] == encounter, "risk"] = 0.01
    home.lake.write("daily_predictions", rows, partition=("discharge_date", [day]))
    home.record_predictions()  # as somebody may who reaches the ledger, too
    outcome = home.command("trace", str(encounter), "--replay", "--json")
    assert outcome.code == 1
    assert not outcome.json["replays"][0]["identical"]
    assert day in outcome.err


def test_a_swapped_model_file_is_not_used_to_replay(lived_home: Home, changing: Changing):
    home = changing(lived_home)
    with home.ledger() as ledger:
        path = ledger.events(kind="version_trained")[0].payload["artifact"]["path"]
    (home.path / "mlartifacts" / path).write_bytes(b"something else")
    outcome = home.command("trace", str(home.predictions()["encounter_id"].iloc[0]), "--replay")
    assert outcome.code == 3
    assert "changed" in outcome.err


@pytest.mark.parametrize("arguments", [("1",), ("1", "--date", "2020-01-02"), ("1", "--date", "yesterday")])
def test_an_unknown_encounter_or_date_is_one_line_and_exit_code_two(lived_home: Home, arguments: tuple[str, ...]):
    outcome = lived_home.command("trace", *arguments)
    assert outcome.code == 2
    assert len(outcome.err.strip().splitlines()) == 1


def test_neither_output_holds_a_column_of_the_discharge_or_a_pseudonym(lived_home: Home, scored: pd.DataFrame):
    row = scored.iloc[0]
    found = lived_home.command("trace", str(row["encounter_id"]), "--json")
    text = lived_home.command("trace", str(row["encounter_id"])).out
    raw = set(DISCHARGE_COLUMNS) - {"encounter_id"}
    assert not raw & set(found.json["predictions"][0])
    assert row["entity_key"] not in found.out + text
    assert str(row["discharge_date"]) in text


def test_scoring_a_day_again_reads_newer_tables_and_gives_the_same_risks(lived_home: Home, changing: Changing):
    home = changing(lived_home)
    day = home.landed()[-1]
    before = home.predictions()
    assert home.command("score", "--date", day).code == 0
    pd.testing.assert_frame_equal(home.predictions(), before)
    encounter = str(before.query("discharge_date == @day")["encounter_id"].iloc[0])
    assert home.command("trace", encounter, "--replay", "--json").json["replays"][0]["identical"]


def test_a_trace_says_which_codes_were_translated_as_the_day_was_then(lived_home: Home, changing: Changing):
    home = changing(lived_home)
    day = home.landed()[-1]
    (file,) = (home.path / "landing" / "discharges" / day).glob("*.csv")
    cells = pd.read_csv(file, dtype=str, keep_default_na=False)
    of_icd10 = cells.assign(diag_1="I50.9", diag_2="U07.1", diag_3="250.6")
    of_icd10.to_csv(file, index=False)
    assert home.command("score", "--date", day).code == 0
    encounter = str(home.predictions().query("discharge_date == @day")["encounter_id"].iloc[0])
    (prediction,) = home.command("trace", encounter, "--json").json["predictions"]
    assert [(each["column"], each["system"], each["how"]) for each in prediction["translated"]] == [
        ("diag_1", "ICD-10-CM", "one_of_many"), ("diag_2", "ICD-10-CM", "no_map"),
    ]  # fmt: skip
    text = home.command("trace", encounter).out
    assert "diag_1 came as ICD-10-CM and was translated by one of several codes, chosen by rule" in text
    assert "I50" not in text
    of_icd10.assign(diag_1="428.0").to_csv(file, index=False)
    home.materialize("daily_discharges", day=day)
    (unchanged,) = home.command("trace", encounter, "--json").json["predictions"]
    assert unchanged["translated"] == prediction["translated"]


def test_the_page_of_a_trace_says_what_the_terminal_says_and_leads_to_the_work_list(
    lived_home: Home, scored: pd.DataFrame, changing: Changing
):
    home, row = changing(lived_home), scored.iloc[-1]
    number, day = str(row["encounter_id"]), row["discharge_date"]
    assert home.command("worklist", "--date", day, "--format", "html-path").code == 0
    outcome = home.command("trace", number, "--page", "--replay")
    page = Path(outcome.out.strip())
    assert page == home.path / "reports" / "readmission_30d" / "traces" / f"{number}.html"
    assert (page.stat().st_mode & 0o777, page.parent.stat().st_mode & 0o777) == (0o640, 0o750)
    text = page.read_text(encoding="utf-8")
    terminal = home.command("trace", number).out
    assert f"risk {percent(row['risk'], 1)}" in text
    assert f"risk {percent(row['risk'], 1)}" in terminal
    assert "the same risk" in text
    for target in (f"readmission_30d/work_lists/{day}/work_list.html", "index.html"):
        assert f'href="../../{target}"' in text
    # It is about one person: only who asked for it knows of it.
    assert number not in (home.path / "reports" / "index.html").read_text(encoding="utf-8")
