"""A day's predictions with reasons, those withheld among them, and the list that is made of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from readmission_platform.assets.daily.agreement import both_scored
from readmission_platform.config.files import model_config
from readmission_platform.governance.ledger.versions import version_records
from readmission_platform.lifecycle.versions.shadow import shadow_of
from readmission_platform.lifecycle.versions.shadow_days import days_in_the_shadow, shadow_days, shadow_rows
from readmission_platform.lifecycle.versions.version_facts import shadow_estimates
from readmission_platform.reports.work_list import JUDGE_BY_HAND, columns_of
from readmission_platform_tests.conftest import SHADOW_DAYS
from readmission_platform_tests.support.homes import MODEL, Home

ODD_DAY = "2024-02-29"
WITHOUT_PREDICTIONS = "2023-07-01"
# Nobody in the cohort was discharged so, although the code exists.
UNSEEN_DISPOSITION = "29"


def files(home: Home, day: str) -> Path:
    return home.path / "reports" / MODEL / "work_lists" / day


def predicted(home: Home, day: str) -> pd.DataFrame:
    return home.predictions().query("discharge_date == @day").reset_index(drop=True)


@pytest.fixture(scope="module")
def odd_home(lived_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home where a day has been scored on which four of 27 encounters cannot be scored soundly."""
    home = lived_home.copy(tmp_path_factory.mktemp("odd") / "home")
    landed = home.path / "landing/discharges"
    cells = pd.read_csv(landed / home.landed()[0] / "discharges.csv", dtype=str, keep_default_na=False)
    cells["encounter_id"] = (pd.to_numeric(cells["encounter_id"]) + 700_000_000).astype(str)
    cells.loc[[3, 7], "discharge_disposition_id"] = UNSEEN_DISPOSITION
    cells.loc[5, "number_emergency"] = "150"
    cells.loc[9, ["diag_1", "diag_2", "diag_3"]] = "?"
    (landed / ODD_DAY).mkdir()
    cells.to_csv(landed / ODD_DAY / "discharges.csv", index=False)
    outcome = home.command("score", "--date", ODD_DAY, "--json")
    assert outcome.code == 0, outcome.err
    account = home.counts(ODD_DAY)
    assert (account["accepted"], account["scored"], account["withheld"]) == (27, 23, 4)
    return home


@pytest.fixture(scope="module")
def odd(odd_home: Home) -> pd.DataFrame:
    return predicted(odd_home, ODD_DAY)


def last_event(home: Home, asset: str, day: str) -> Any:
    with home.instance() as instance:
        (record,) = instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[day]), limit=1
        ).records
    return record.asset_materialization


def test_every_scored_encounter_says_why_and_its_account_adds_up(lived_home: Home):
    rows = lived_home.predictions()
    assert set(rows["status"]) == {"scored"}
    assert (rows["reasons"] != "").mean() > 0.9
    for row in rows.sample(20, random_state=1).to_dict("records"):
        account = json.loads(row["contributions"])
        whole = account["baseline"] + account["other"] + sum(part["log_odds"] for part in account["parts"])
        assert whole == pytest.approx(np.log(row["risk"] / (1 - row["risk"])), abs=6e-5)


def test_withheld_encounters_have_a_reason_no_risk_and_no_rank(odd: pd.DataFrame):
    withheld = odd[odd["status"] == "withheld"]
    assert len(withheld) == 4
    assert withheld[["risk", "band", "rank", "reasons", "contributions"]].isna().all(axis=None)
    assert not withheld["flagged"].any()
    assert withheld["withheld_because"].str.contains("disposition|emergency visits|no diagnosis").all()
    scored = odd[odd["status"] == "scored"]
    assert list(scored["rank"]) == list(range(1, 24))
    assert int(odd["flagged"].sum()) == round(0.1 * 23)
    assert odd["encounter_id"].is_unique


def test_the_metadata_say_why_some_were_withheld_and_not_how_few_they_were(odd_home: Home):
    shown = last_event(odd_home, "daily_predictions", ODD_DAY).metadata
    assert {shown[name].value for name in ("scored", "withheld", "flagged")} == {"hidden"}
    reasons = {record.data["withheld because"]: record.data["encounters"]
               for record in shown["withheld because"].value.records}  # fmt: skip
    assert len(reasons) > 1
    assert set(reasons.values()) == {"hidden"}
    assert UNSEEN_DISPOSITION not in " ".join(reasons)


def test_every_day_in_production_has_its_list_in_three_forms(lived_home: Home):
    days = sorted(set(lived_home.predictions()["discharge_date"]))
    assert sorted(path.name for path in files(lived_home, "").glob("[!.]*")) == days
    for day in days:
        rows = pd.read_parquet(files(lived_home, day) / "work_list.parquet")
        assert list(rows.columns) == columns_of("encounter_id")
        expected = predicted(lived_home, day)
        assert list(rows["encounter_id"]) == list(expected["encounter_id"])
        assert list(rows["follow_up"] == "yes") == list(expected["flagged"])
        table = pd.read_csv(files(lived_home, day) / "work_list.csv")
        assert list(table["encounter_id"]) == list(rows["encounter_id"])
        assert str(rows["encounter_id"].iloc[0]) in (files(lived_home, day) / "work_list.html").read_text("utf-8")


def test_the_list_ends_with_those_to_judge_by_hand(odd_home: Home):
    rows = pd.read_parquet(files(odd_home, ODD_DAY) / "work_list.parquet")
    assert list(rows["status"]) == ["scored"] * 23 + [JUDGE_BY_HAND] * 4
    page = (files(odd_home, ODD_DAY) / "work_list.html").read_text("utf-8")
    assert "use your own judgement: 4 encounters" in page
    assert "Simulated date" not in page  # this day came as a file of its own
    replayed = files(odd_home, odd_home.landed()[-1]) / "work_list.html"
    assert "Simulated date" in replayed.read_text("utf-8")


def test_the_list_holds_no_race_gender_payer_or_name_of_a_patient(odd_home: Home, odd: pd.DataFrame):
    discharges = odd_home.lake.read("daily_discharges", where={"discharge_date": [ODD_DAY]})
    values = {*discharges["race"].dropna(), *discharges["gender"], *odd["entity_key"]}
    for file in files(odd_home, ODD_DAY).iterdir():
        content = file.read_bytes()
        assert not [value for value in values if value.encode() in content], file.name


def test_the_asset_says_what_opens_the_page_and_names_no_path_that_only_the_server_knows(odd_home: Home):
    shown = last_event(odd_home, "work_list", ODD_DAY).metadata
    assert f"worklist --model readmission_30d --date {ODD_DAY} --open" in str(shown["command that opens it"].value)
    assert not [name for name, value in shown.items() if str(odd_home.path) in str(value.value)]


def test_a_day_scored_again_gets_its_list_again(odd_home: Home, tmp_path: Path):
    home = odd_home.copy(tmp_path / "home")
    cells = pd.read_csv(home.path / "landing/discharges" / ODD_DAY / "discharges.csv", dtype=str, keep_default_na=False)
    mended = cells.assign(discharge_disposition_id=cells["discharge_disposition_id"].replace(UNSEEN_DISPOSITION, "1"))
    mended.to_csv(home.path / "landing/discharges" / ODD_DAY / "discharges.csv", index=False)
    assert home.command("score", "--date", ODD_DAY).code == 0
    account = home.counts(ODD_DAY)
    assert (account["scored"], account["withheld"]) == (25, 2)
    rows = pd.read_parquet(files(home, ODD_DAY) / "work_list.parquet")
    assert (rows["status"] == JUDGE_BY_HAND).sum() == 2


def test_a_day_without_predictions_is_skipped_and_leaves_no_folder(lived_home: Home, tmp_path: Path):
    home = lived_home.copy(tmp_path / "home")
    for assets in (("work_list",), ("daily_discharges", "daily_predictions", "work_list")):
        result = home.materialize(*assets, day=WITHOUT_PREDICTIONS)
        assert result.success
        assert not result.asset_materializations_for_node("work_list")
    assert not files(home, WITHOUT_PREDICTIONS).exists()


def test_a_withheld_encounter_can_be_traced_and_is_withheld_again(odd_home: Home, odd: pd.DataFrame):
    encounter = str(odd.loc[odd["status"] == "withheld", "encounter_id"].iloc[0])
    outcome = odd_home.command("trace", encounter, "--replay", "--json")
    assert outcome.code == 0, outcome.err
    (found,), (again,) = outcome.json["predictions"], outcome.json["replays"]
    assert (found["status"], found["risk"], found["rank"], found["contributions"]) == ("withheld", None, None, None)
    assert found["withheld_because"]
    assert again["identical"]
    assert "not scored" in odd_home.command("trace", encounter, "--replay").out


def test_a_trace_says_what_the_risk_is_made_of_and_no_value_of_the_patient(odd_home: Home, odd: pd.DataFrame):
    row = odd.iloc[0]
    found = odd_home.command("trace", str(row["encounter_id"]), "--json").json["predictions"][0]
    assert found["contributions"] == json.loads(row["contributions"])
    assert "log odds:" in odd_home.command("trace", str(row["encounter_id"])).out
    assert "reasons" not in found


# ------------------------------------------------------------------------------------------ the shadow


@pytest.fixture
def withheld_in_the_shadow(shadowed_home: Home, changing: Callable[[Home], Home]) -> tuple[Home, str]:
    """On the first of its days the version in staging withheld two encounters."""
    home = changing(shadowed_home)
    rows = home.lake.read("shadow_predictions", where={"model_version": ["2"]})
    day = rows["discharge_date"].iloc[0]
    rows = rows[rows["discharge_date"] == day].astype({"rank": "Int64"}).reset_index(drop=True)
    rows.loc[:1, ["risk", "rank", "band", "reasons", "contributions"]] = None
    rows.loc[:1, ["status", "withheld_because", "flagged"]] = ["withheld", "no diagnosis is recorded", False]
    home.lake.write("shadow_predictions", rows, partition=("discharge_date", [day]))
    return home, day


def test_a_withheld_encounter_does_not_make_a_day_in_the_shadow_incomplete(withheld_in_the_shadow: tuple[Home, str]):
    home, day = withheld_in_the_shadow
    with home.ledger() as ledger:
        challenger = version_records(*ledger.snapshot())["2"]
    assert days_in_the_shadow(home.lake, challenger) == SHADOW_DAYS
    estimates = shadow_estimates(shadow_days(home.lake, shadow_rows(home.lake, challenger)), 0.1)
    assert estimates["shadow_scored_share"]["value"] == 1
    mean = home.lake.read("shadow_predictions", where={"model_version": ["2"]})["risk"].mean()
    assert estimates["shadow_observed_expected_ratio"]["value"] == pytest.approx(mean / 0.1)
    with home.lived_in() as current:
        shown = shadow_of(home.lake, shadow_rows(home.lake, challenger), model_config(current, "readmission_30d"))
    assert {each["day"]: each["rows"] for each in shown["days"]}[day] == 25


def test_a_row_with_neither_a_risk_nor_a_reason_does(withheld_in_the_shadow: tuple[Home, str]):
    home, day = withheld_in_the_shadow
    rows = home.lake.read("shadow_predictions", where={"discharge_date": [day]})
    home.lake.write("shadow_predictions", rows.assign(status="scored", rank=rows["rank"].astype("Int64")),
                    partition=("discharge_date", [day]))  # fmt: skip
    with home.ledger() as ledger:
        assert days_in_the_shadow(home.lake, version_records(*ledger.snapshot())["2"]) == SHADOW_DAYS - 1


def test_versions_are_compared_on_what_both_scored(withheld_in_the_shadow: tuple[Home, str]):
    home, day = withheld_in_the_shadow
    pairs = both_scored(home.lake, home.lake.read("shadow_predictions", where={"discharge_date": [day]}), [day])
    assert len(pairs) == 25
    assert pairs[["shadow_risk", "production_risk"]].notna().all(axis=None)
