"""Drift monitoring in a home: windows judged once, judged again when they change, and what that means for promotion."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest
import yaml

from readmission_platform.assets.monitoring.drift_results import ALARM_CHECK, JUDGED_CHECK
from readmission_platform.config.environment import PROJECT_ROOT
from readmission_platform.config.files import monitoring_config
from readmission_platform.config.monitoring import DriftConfig
from readmission_platform.encounters.icd9 import normal_code
from readmission_platform.encounters.icd10 import forth
from readmission_platform.governance.ledger.versions import VersionRecord, version_records
from readmission_platform.lifecycle.monitoring.comparable import training_references
from readmission_platform.lifecycle.monitoring.windows import columns_of, drift_facts, scored_by, windows_for
from readmission_platform.lifecycle.versions.version_facts import EvidenceMissing
from readmission_platform.models.readmission_30d.watched_inputs import WATCHABLE
from readmission_platform_tests.conftest import PRODUCTION_DAYS, SHADOW_DAYS
from readmission_platform_tests.support.homes import MODEL, Home

CONTRACT = "version window first_day last_day rows column measure score limit drifted".split()
A_DAY = 27
DAYS = SHADOW_DAYS + PRODUCTION_DAYS
FULL_WINDOWS, REST = 2, DAYS * A_DAY - 2 * 216


def record_of(home: Home, version: str = "1") -> VersionRecord:
    with home.ledger() as ledger:
        return version_records(*ledger.snapshot())[version]


def config_of(home: Home) -> DriftConfig:
    with home.lived_in() as current:
        return monitoring_config(current, "readmission_30d").drift


def looked_at(home: Home) -> dict[str, dg.AssetCheckEvaluation]:
    """Materialize the report; returns its check results by name."""
    result = home.materialize("drift_report")
    return {each.check_name: each for each in result.get_asset_check_evaluations()}


def stored(home: Home, version: str = "1") -> pd.DataFrame:
    return home.lake.read("drift_report", where={"version": [version]})


def rewritten(home: Home, rows: pd.DataFrame) -> None:
    """Do what somebody with access to the lake could do."""
    home.lake.write("drift_report", rows)


def table_version(home: Home) -> int:
    return int(home.lake.open("drift_report").version())


@pytest.fixture(scope="module")
def judged(lived_home: Home, tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, dict[str, Any]]:
    """The home after its first monitoring run, and the checks of that run."""
    home = lived_home.copy(tmp_path_factory.mktemp("judged") / "home")
    return home, looked_at(home)


@pytest.fixture(scope="module")
def judged_home(judged: tuple[Home, dict[str, Any]]) -> Home:
    return judged[0]


def test_training_records_what_the_version_relies_on(lived_home: Home):
    importance = record_of(lived_home).trained["importance"]
    assert "number_inpatient" in importance
    assert all(isinstance(loss, float) for loss in importance.values())
    assert "number_inpatient" in columns_of(lived_home.lake, record_of(lived_home), config_of(lived_home))


def test_a_version_that_did_not_record_it_is_watched_in_every_column(lived_home: Home):
    record = record_of(lived_home)
    older = replace(record, trained={key: value for key, value in record.trained.items() if key != "importance"})
    assert columns_of(lived_home.lake, older, config_of(lived_home)) == WATCHABLE


def test_the_windows_of_a_version_hold_its_shadow_days_and_its_production_days(lived_home: Home):
    record, config = record_of(lived_home), config_of(lived_home)
    scored = scored_by(lived_home.lake, record)
    assert len(scored) == scored["row"].nunique() == DAYS * A_DAY
    windows, waiting = windows_for(scored, record, config)
    assert [(each.number, each.rows) for each in windows] == [(1, 216), (2, 216)]
    assert windows[0].first_day == lived_home.landed()[0]
    assert waiting == REST


def test_every_window_is_judged_in_every_watched_column(judged_home: Home):
    rows, config = stored(judged_home), config_of(judged_home)
    assert list(rows.columns)[: len(CONTRACT)] == CONTRACT
    assert sorted(set(rows["window"])) == [1, 2]
    watched = columns_of(judged_home.lake, record_of(judged_home), config)
    assert len(watched) == config.columns
    for _, window in rows.groupby("window"):
        drift = window[window["measure"] == "drift"]
        assert set(drift["column"]) == {*watched, "risk"}
        assert drift["score"].notna().all()
        assert (drift.loc[drift["column"] != "risk", "limit"] == config.column_score).all()
    assert (rows["drifted"] == (rows["score"] >= rows["limit"])).all()


def test_the_check_warns_and_never_blocks(judged: tuple[Home, dict[str, Any]]):
    _, checks = judged
    assert checks[ALARM_CHECK].severity is dg.AssetCheckSeverity.WARN
    assert not checks[ALARM_CHECK].blocking
    assert "Version 1 in production" in str(checks[ALARM_CHECK].description)
    assert checks[JUDGED_CHECK].passed


def test_evidentlys_page_of_the_latest_window_lies_among_the_reports(judged_home: Home):
    windows, _ = windows_for(scored_by(judged_home.lake, record_of(judged_home)), record_of(judged_home),
                             config_of(judged_home))  # fmt: skip
    folder = judged_home.path / "reports" / MODEL / "1" / "drift"
    assert sorted(path.name for path in folder.iterdir()) == [
        f"{window.first_day}_{window.last_day}.html" for window in windows
    ]
    text = (folder / f"{windows[-1].first_day}_{windows[-1].last_day}.html").read_text(encoding="utf-8")
    patients = judged_home.lake.read("daily_discharges", columns=["entity_key"])["entity_key"]
    assert not any(key in text for key in patients)


def test_a_window_judged_once_is_not_judged_again(judged_home: Home, changing: Callable[[Home], Home]):
    home = changing(judged_home)
    before = table_version(home)
    assert looked_at(home)[JUDGED_CHECK].passed
    assert table_version(home) == before


def test_a_window_that_late_data_changed_is_judged_again_and_only_that_one(
    judged_home: Home, changing: Callable[[Home], Home]
):
    home = changing(judged_home)
    before = stored(home)
    day = windows_for(scored_by(home.lake, record_of(home)), record_of(home), config_of(home))[0][1].last_day
    predictions = home.lake.read("daily_predictions", where={"discharge_date": [day]})
    late = predictions.assign(delivered_digest="sha256:another")
    home.lake.write("daily_predictions", late, partition=("discharge_date", [day]))
    home.record_predictions()
    assert drift_facts(home.lake, record_of(home), config_of(home)).unjudged == 1
    looked_at(home)
    assert drift_facts(home.lake, record_of(home), config_of(home)).unjudged == 0
    after = stored(home)
    was, runs = ({rows["window"].iloc[0]: set(rows["run_id"]) for _, rows in each.groupby("window")}
                 for each in (before, after))  # fmt: skip
    assert runs[1] == was[1]
    assert runs[2] != was[2]
    assert len(after) == len(before)


def judged_in_the_shadow(home: Home) -> Home:
    """Turn a home back to when only the first window had been judged, before the version went live."""
    rewritten(home, home.lake.read("drift_report").query("window == 1"))
    return home


def test_until_they_are_judged_full_windows_count_as_not_judged(
    lived_home: Home, judged_home: Home, changing: Callable[[Home], Home]
):
    home = judged_in_the_shadow(changing(lived_home))
    before = drift_facts(home.lake, record_of(home), config_of(home))
    assert (before.closed, before.unjudged, before.collecting) == (FULL_WINDOWS, FULL_WINDOWS - 1, REST)
    after = drift_facts(judged_home.lake, record_of(judged_home), config_of(judged_home))
    assert (after.closed, after.unjudged) == (FULL_WINDOWS, 0)


def test_the_limits_in_force_are_applied_to_stored_scores_whatever_was_recorded(
    judged_home: Home, changing: Callable[[Home], Home]
):
    home = changing(judged_home)
    rewritten(home, home.lake.read("drift_report").assign(drifted=False, limit=99.0))
    strict = config_of(home).model_copy(update={"column_score": 1e-9})
    facts = drift_facts(home.lake, record_of(home), strict)
    assert facts.drifted == (1, 2)
    assert "number_inpatient" in facts.columns


def test_a_comparison_made_in_another_way_does_not_count(judged_home: Home):
    other = config_of(judged_home).model_copy(update={"rare_category_share": 0.03})
    assert drift_facts(judged_home.lake, record_of(judged_home), other).unjudged == FULL_WINDOWS


def test_a_column_taken_out_of_the_report_makes_its_windows_unjudged(
    judged_home: Home, changing: Callable[[Home], Home]
):
    home = changing(judged_home)
    rows = home.lake.read("drift_report")
    rewritten(home, rows[rows["column"] != "number_inpatient"])
    assert drift_facts(home.lake, record_of(home), config_of(home)).unjudged == FULL_WINDOWS


def in_icd10(home: Home, days: list[str]) -> None:
    """Deliver days anew with every diagnosis in ICD-10-CM."""
    for day in days:
        for file in (home.path / "landing" / "discharges" / day).glob("*.csv"):
            cells = pd.read_csv(file, dtype=str, keep_default_na=False)
            for place, name in enumerate(["diag_1", "diag_2", "diag_3"], start=1):
                numbers = cells["encounter_id"].astype("int64") * 7 * place
                cells[name] = [written(code, number) for code, number in zip(cells[name], numbers, strict=True)]
            cells.to_csv(file, index=False)


def written(code: str, number: int) -> str:
    normal = normal_code(code)
    return code if normal is None else forth(normal, number) or "U07.1"


@pytest.mark.slow
def test_translation_alone_is_no_drift(judged_home: Home, changing: Callable[[Home], Home]):
    home = changing(judged_home)
    in_icd10(home, home.landed())
    assert home.command("score", "--from", home.landed()[0], "--to", home.landed()[-1]).code == 0
    assert looked_at(home)[JUDGED_CHECK].passed
    before, after = (stored(each).set_index(["window", "column", "measure"]) for each in (judged_home, home))
    assert set(after["digest"]).isdisjoint(before["digest"])  # they were judged again
    assert not (after["drifted"] & ~before["drifted"].reindex(after.index)).any()
    assert after.index.get_level_values("column").str.startswith("diag_").any()


def test_as_large_a_share_of_the_reference_is_translated_as_of_the_window(lived_home: Home):
    record = record_of(lived_home)
    reference = training_references(lived_home.lake, record, ["diag_1", "age"], config_of(lived_home))
    native, half, whole = (reference(share) for share in (0.01, 0.5, 1.0))
    assert native is reference(0.0)
    changed = [float((each.cells["diag_1"] != native.cells["diag_1"]).mean()) for each in (half, whole)]
    assert 0 < changed[0] < changed[1] < 0.1
    assert (half.cells["diag_1"] == native.cells["diag_1"])[whole.cells["diag_1"] == native.cells["diag_1"]].all()
    assert (whole.cells["age"] == native.cells["age"]).all()


@pytest.mark.parametrize("changed", ["data_version", "evidence"])
def test_training_data_that_are_not_the_recorded_ones_are_not_compared_with(lived_home: Home, changed: str):
    record, config = record_of(lived_home), config_of(lived_home)
    value = {"data_version": "sha256:other", "evidence": {**record.evidence, "digest": "sha256:other"}}[changed]
    with pytest.raises(EvidenceMissing):
        training_references(lived_home.lake, replace(record, **{changed: value}), ["age"], config)


def test_a_version_that_cannot_be_compared_is_named_and_fails_the_run(
    lived_home: Home, changing: Callable[[Home], Home]
):
    home = judged_in_the_shadow(changing(lived_home))
    shutil.rmtree(home.lake.root / "model_evidence" / "version=1")
    result = home.materialize("drift_report")
    checks = {each.check_name: each for each in result.get_asset_check_evaluations()}
    assert not result.success
    assert not checks[JUDGED_CHECK].passed
    assert "evidence rows of version 1" in str(checks[JUDGED_CHECK].metadata["observed"].value)
    assert "window 2" in str(checks[JUDGED_CHECK].metadata["observed"].value)
    assert set(home.lake.read("drift_report")["window"]) == {1}


def test_before_anything_is_staged_there_is_nothing_to_look_at(trained_home: Home, changing: Callable[[Home], Home]):
    home = changing(trained_home)
    checks = looked_at(home)
    assert all("Nothing to check" in str(each.description) for each in checks.values())
    assert len(checks) == 2
    assert not home.lake.exists("drift_report")


def with_drift(home: Home, folder: Path, **changes: Any) -> Home:
    """Return a home with other drift settings in force."""
    shutil.copytree(PROJECT_ROOT / "configs", folder)
    file = folder / "models" / MODEL / "monitoring.yaml"
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    content["drift"] |= changes
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    changed = home.having(READMISSION_CONFIGS=str(folder))
    adopted = changed.command("policy", "adopt", "--monitoring")
    assert adopted.code == 0, adopted.err
    return changed


def condition(home: Home) -> dict[str, Any]:
    ask = ("promote", "--version", "2", "--to-stage", "production", "--replace", "--dry-run", "--json")
    found = home.command(*ask).json
    return next(item for item in found["conditions"] if item["name"] == "no_drift_alarm")


@pytest.mark.slow
def test_a_version_with_full_windows_waits_for_monitoring_and_is_held_back_by_its_alarm(
    shadowed_home: Home, changing: Callable[[Home], Home], tmp_path: Path
):
    home = changing(shadowed_home)
    assert condition(home)["detail"].startswith(
        "0 of the latest 1 windows drifted; the alarm starts at 1; accepted drift: "
    )

    days = home.landed()
    assert home.command("score", "--from", days[0], "--to", days[-1]).code == 0
    waiting = condition(home)
    assert waiting["blocks"]
    assert "monitoring_job" in waiting["action"]

    quiet = with_drift(home, tmp_path / "quiet", column_score=9.0, risk_score=9.0, missing_difference=1.0)
    checks = looked_at(quiet)
    assert checks[ALARM_CHECK].passed
    assert "Version 2 in staging: 0 of the latest 2 windows drifted" in str(checks[ALARM_CHECK].description)
    assert not condition(quiet)["blocks"]

    strict = with_drift(home, tmp_path / "strict", column_score=1e-9)
    held = condition(strict)
    assert held["blocks"]
    assert "2 of the latest 2 windows drifted" in held["detail"]
    checks = looked_at(strict)
    assert not checks[ALARM_CHECK].passed
    assert "Version 2 in staging now sees encounters unlike those it was trained on" in str(
        checks[ALARM_CHECK].description
    )
