"""Live performance: judged on matured outcomes alone, against what validation promised."""

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from readmission_platform.config.environment import PROJECT_ROOT
from readmission_platform.foundation.pseudonyms import pseudonyms
from readmission_platform_tests.support.homes import MODEL, SECRET, Home
from readmission_platform_tests.support.hospital import Hospital, days_ago, days_from
from readmission_platform_tests.support.scenario import Scenario

# 100 days of 40 encounters from the first of January: all of them old enough.
DAYS = days_from(date(2024, 1, 1), 100)
COLUMNS = [
    *("version", "period", "first_day", "last_day", "cohort", "measure", "kind", "value", "low", "high", "n"),
    *("positives", "promised", "promised_low", "promised_high", "result"),
]
CHECKS = ["every_row_counts_once", "live_calibration", "live_discrimination", "live_use", "outcomes_complete"]
# What the made-up risks of a hospital can do: they are calibrated, and better than those of the real data.
PROMISED = {"auroc": {"value": 0.7, "low": 0.69, "high": 0.71, "n": 9000, "positives": 1000}}


def configs_with(folder: Path, name: str, old: str, new: str) -> str:
    """Return the shipped configuration with one line changed."""
    configs = folder / "configs"
    shutil.copytree(PROJECT_ROOT / "configs", configs)
    file = configs / "models" / MODEL / name
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")
    return str(configs)


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    """A hundred days scored by version 1, and no outcome known; intervals from few replicates, which is quick."""
    folder = tmp_path_factory.mktemp("scored")
    hospital = Hospital.at(folder / "home", **PROMISED)
    hospital.go_on(DAYS)
    quick = configs_with(folder, "model.yaml", "bootstrap_replicates: 500", "bootstrap_replicates: 60")
    return Hospital(hospital.home.having(READMISSION_CONFIGS=quick), hospital.days)


@pytest.fixture
def hospital(scored: Hospital, changing: Callable[[Home], Home]) -> Hospital:
    return Hospital(changing(scored.home), {day: rows.copy() for day, rows in scored.days.items()})


@pytest.fixture(scope="module")
def matured(scored: Hospital, tmp_path_factory: pytest.TempPathFactory) -> tuple[Hospital, dg.ExecuteInProcessResult]:
    """All hundred days have matured and were judged; and how that went."""
    found = Hospital(scored.home.copy(tmp_path_factory.mktemp("matured") / "home"), scored.days)
    found.mature()
    return found, judge(found)


def judge(hospital: Hospital) -> dg.ExecuteInProcessResult:
    result = hospital.home.materialize("live_performance")
    assert result.success
    return result


def table_of(hospital: Hospital) -> pd.DataFrame:
    return hospital.home.lake.read("live_performance")


def checks_of(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {evaluation.check_name: evaluation for evaluation in result.get_asset_check_evaluations()}


def said(result: dg.ExecuteInProcessResult, name: str) -> str:
    return checks_of(result)[name].description or ""


def row(table: pd.DataFrame, **where: str) -> dict[str, Any]:
    found = table
    for column, value in ({"period": "judged", "kind": "measured", "cohort": "all"} | where).items():
        found = found[found[column] == value]
    (only,) = found.to_dict("records")
    return only


def test_before_anything_matured_there_is_an_estimate_and_nothing_is_judged(hospital: Hospital):
    result = judge(hospital)
    table = table_of(hospital)
    assert list(table.columns) == COLUMNS
    assert set(table["kind"]) == {"estimate"}
    assert set(table["result"]) == {""}
    evaluations = checks_of(result)
    assert sorted(evaluations) == CHECKS
    for name in ("live_discrimination", "live_calibration", "live_use"):
        assert evaluations[name].passed
        assert said(result, name).startswith("Nothing has matured")
    assert "estimate" in said(result, "live_discrimination")
    assert not {"observed_expected", "calibration_slope"} & set(table["measure"])
    # All of these days are old enough: what is missing are their outcomes.
    assert not evaluations["outcomes_complete"].passed
    assert evaluations["outcomes_complete"].severity is dg.AssetCheckSeverity.WARN
    assert DAYS[0] in said(result, "outcomes_complete")


def test_matured_outcomes_of_a_model_that_keeps_its_promise_hold(matured: tuple[Hospital, Any]):
    hospital, result = matured
    assert all(evaluation.passed for evaluation in checks_of(result).values())
    table = table_of(hospital)
    auroc = row(table, measure="auroc")
    assert (auroc["result"], auroc["n"], auroc["first_day"], auroc["last_day"]) == ("holds", 4000, DAYS[0], DAYS[-1])
    assert (auroc["promised"], auroc["promised_low"], auroc["promised_high"]) == (0.7, 0.69, 0.71)
    assert auroc["low"] < auroc["value"] < auroc["high"]
    labels = pd.concat(hospital.days.values())
    assert auroc["positives"] == labels["outcome"].sum()
    flagged = row(table, measure="recall_at_flag")
    assert flagged["value"] == pytest.approx(labels.loc[labels["flagged"], "outcome"].sum() / labels["outcome"].sum())


def test_patients_seen_in_training_and_unseen_ones_are_reported_apart(matured: tuple[Hospital, Any]):
    hospital = matured[0]
    table, rows = table_of(hospital), pd.concat(hospital.days.values())
    # Version 1 was fitted on p0 to p99; p100 to p119 were its test patients.
    seen = rows["entity_key"].str[1:].astype(int) < 100
    assert row(table, measure="auroc", cohort="seen")["n"] == seen.sum()
    assert row(table, measure="auroc", cohort="unseen")["n"] == (~seen).sum()
    assert row(table, measure="auroc", cohort="seen")["result"] == ""


def test_subgroups_have_their_promise_and_are_shown_without_a_verdict(matured: tuple[Hospital, Any]):
    hospital = matured[0]
    found = row(table_of(hospital), measure="observed_expected", cohort="gender: Female")
    assert (found["promised"], found["result"]) == (1.01, "")
    cohorts = set(table_of(hospital)["cohort"])
    assert {"race: Caucasian", "age: <50", "age: 50-70", "age: 70+"} <= cohorts


@pytest.mark.parametrize(
    ("change", "failing", "measure"),
    [
        (lambda rows: np.random.default_rng(len(rows)).permutation(rows["outcome"]), "live_discrimination", "auroc"),
        (lambda rows: np.where(rows.index % 9 == 0, 1, rows["outcome"]), "live_calibration", "observed_expected"),
        (lambda rows: np.where(rows["flagged"], 0, rows["outcome"]), "live_use", "recall_at_flag"),
    ],
)
def test_a_version_that_got_worse_is_a_warning_with_observation_limit_promise_and_advice(
    hospital: Hospital, change: Any, failing: str, measure: str
):
    hospital.change_outcomes(change)
    hospital.mature()
    evaluation = checks_of(judge(hospital))[failing]
    assert not evaluation.passed
    assert evaluation.severity is dg.AssetCheckSeverity.WARN
    worse = row(table_of(hospital), measure=measure)
    assert worse["result"] == "worse"
    for part in (measure, f"{worse['value']:.3f}", "limit", "promised", "readmission rollback"):
        assert part in (evaluation.description or "")


def test_a_day_without_nearly_all_of_its_outcomes_has_not_matured(hospital: Hospital):
    hospital.mature()
    # What comes first is not like the rest: here only who came back has been reported.
    partial = hospital.home.lake.read("matured_outcomes", where={"discharge_date": [DAYS[-1]]})
    hospital.home.lake.write(
        "matured_outcomes", partial[partial["readmitted_30d"] == 1], partition=("discharge_date", [DAYS[-1]])
    )
    result = judge(hospital)
    assert row(table_of(hospital), measure="auroc")["last_day"] == DAYS[-2]
    assert DAYS[-1] in said(result, "outcomes_complete")
    assert "99 of 100 days" in said(result, "outcomes_complete")


def test_the_latest_matured_days_are_judged_and_no_more(hospital: Hospital):
    more = days_from(date(2024, 4, 10), 100)
    hospital.go_on(more)
    hospital.mature()
    judge(hospital)
    found = row(table_of(hospital), measure="brier")
    assert (found["first_day"], found["last_day"], found["n"]) == (DAYS[20], more[-1], 180 * 40)


def test_few_readmissions_are_shown_and_not_judged(hospital: Hospital):
    hospital.mature(DAYS[:6])
    result = judge(hospital)
    found = row(table_of(hospital), measure="auroc")
    assert found["result"] == "insufficient"
    assert 10 < found["positives"] < 50
    assert checks_of(result)["live_discrimination"].passed
    assert "fewer than 50 readmissions" in said(result, "live_discrimination")


def test_without_any_readmission_nothing_is_judged_and_no_figure_is_made_up(hospital: Hospital):
    hospital.change_outcomes(lambda rows: 0)
    hospital.mature()
    result = judge(hospital)
    found = row(table_of(hospital), measure="auroc")
    assert found["result"] == "insufficient"
    assert pd.isna(found["value"])
    assert checks_of(result)["live_discrimination"].passed


def test_a_cohort_of_few_people_is_named_and_nothing_of_it_is_shown(hospital: Hospital):
    discharged = hospital.home.lake.read("daily_discharges")
    rare = discharged.index[discharged["discharge_date"] == DAYS[0]][:4]
    discharged.loc[rare, "race"] = "Asian"
    hospital.home.lake.write("daily_discharges", discharged, partition=("discharge_date", DAYS))
    hospital.mature()
    judge(hospital)
    found = row(table_of(hospital), measure="observed_expected", cohort="race: Asian")
    assert found["result"] == "insufficient"
    assert all(pd.isna(found[name]) for name in ("value", "low", "high", "n", "positives"))


def test_withheld_predictions_are_left_out_and_counted(hospital: Hospital):
    hospital.mature()
    rows = pd.concat(hospital.days.values())
    withheld = rows["encounter_id"] % 40 == 0
    status = np.where(withheld, "withheld", "scored")
    risk = rows["risk"].mask(withheld)
    hospital.write_predictions(rows.assign(status=status, risk=risk, flagged=rows["flagged"] & ~withheld))
    result = judge(hospital)
    assert row(table_of(hospital), measure="auroc")["n"] == 3900
    (shown,) = result.asset_materializations_for_node("live_performance")
    assert "100 withheld predictions" in str(shown.metadata["left out"].value)


def test_a_version_is_not_judged_on_encounters_it_was_trained_on(hospital: Hospital):
    hospital.mature()
    learnt = hospital.days[DAYS[0]]
    keys = pseudonyms(learnt["encounter_id"], bytes.fromhex(SECRET), purpose="encounter")
    hospital.learn(learnt["entity_key"], keys)
    result = judge(hospital)
    assert row(table_of(hospital), measure="auroc")["n"] == 4000 - 40
    (shown,) = result.asset_materializations_for_node("live_performance")
    assert "40 of encounters that the version had been trained on" in str(shown.metadata["left out"].value)


def test_a_version_that_has_scored_nothing_yet_is_not_judged(hospital: Hospital):
    with hospital.home.ledger() as ledger:
        scenario = Scenario(ledger)
        scenario.train("2")
        scenario.stage("2", "production")
    result = judge(hospital)
    assert all(checks_of(result)[name].passed for name in ("live_discrimination", "live_calibration", "live_use"))
    assert "judged" not in set(table_of(hospital)["period"])


def test_a_month_keeps_the_estimate_it_had_beside_what_came_of_it(hospital: Hospital):
    judge(hospital)
    before = row(table_of(hospital), period="2024-01", kind="estimate", measure="auroc")
    hospital.mature()
    # The list of a day is scored again meanwhile: what had been shown beforehand stays.
    day = hospital.days[DAYS[0]]
    hospital.write_predictions(day.assign(risk=0.5))
    result = judge(hospital)
    table = table_of(hospital)
    assert row(table, period="2024-01", kind="estimate", measure="auroc") == pytest.approx(before, nan_ok=True)
    realised = row(table, period="2024-01", measure="auroc")
    assert (realised["kind"], realised["n"], realised["result"]) == ("measured", 31 * 40, "")
    (shown,) = result.asset_materializations_for_node("live_performance")
    months = [record.data for record in shown.metadata["months"].records]
    january = next(each for each in months if (each["month"], each["measure"]) == ("2024-01", "auroc"))
    assert january["difference"] == pytest.approx(realised["value"] - before["value"], abs=1e-3)


def test_a_month_that_is_not_over_has_an_estimate_only(hospital: Hospital):
    recent = [days_ago(age) for age in (40, 20, 10)]
    hospital.go_on(recent)
    hospital.mature([*DAYS, recent[0]])
    judge(hospital)
    table = table_of(hospital)
    youngest = table[table["period"] == recent[-1][:7]]
    assert set(youngest["kind"]) == {"estimate"}
    assert set(table.loc[table["period"] == "2024-02", "kind"]) == {"estimate", "measured"}


def test_another_version_is_judged_on_its_own_days_only(hospital: Hospital):
    later = days_from(date(2024, 4, 10), 10)
    hospital.go_on(later, version="2")
    hospital.mature()
    judge(hospital)
    table = table_of(hospital)
    assert row(table, measure="auroc")["last_day"] == DAYS[-1]
    assert set(table.loc[table["version"] == "2", "period"]) == {"2024-04"}


def test_a_limit_on_what_is_not_measured_is_refused(hospital: Hospital, tmp_path: Path):
    configs = configs_with(tmp_path, "monitoring.yaml", "recall_at_flag:", "recall_at_15:")
    result = hospital.watch_by(str(configs)).materialize("live_performance")
    assert not result.success
    assert "recall_at_15" in str(result.get_step_failure_events()[0].event_specific_data)


def test_without_a_version_in_production_it_is_skipped(tmp_path_factory: pytest.TempPathFactory):
    result = Home.new(tmp_path_factory.mktemp("empty") / "home").materialize("live_performance")
    assert result.success
    assert not result.asset_materializations_for_node("live_performance")
    assert sorted(checks_of(result)) == CHECKS


def test_no_patient_is_named_anywhere(matured: tuple[Hospital, Any]):
    hospital, result = matured
    (shown,) = result.asset_materializations_for_node("live_performance")
    assert not {"entity_key", "encounter_id"} & set(table_of(hospital).columns)
    texts = {name: value for name, value in shown.metadata.items() if name not in ("trend", "calibration")}
    assert "p100" not in str(texts)


def test_every_month_is_measured_and_drawn(matured: tuple[Hospital, Any]):
    hospital, result = matured
    table = table_of(hospital)
    measured = table[(table["kind"] == "measured") & (table["cohort"] == "all") & (table["measure"] == "auroc")]
    assert measured["period"].tolist() == ["judged", "2024-01", "2024-02", "2024-03", "2024-04"]
    (shown,) = result.asset_materializations_for_node("live_performance")
    assert {"trend", "calibration", "months", "subgroups", "measured against promise"} <= set(shown.metadata)
