"""What is there after one command has taken a model from data to daily predictions."""

import json
import re
import sqlite3
from collections import Counter
from pathlib import Path

import dagster as dg
import pytest

from readmission_platform.assets.model_assets import RUN_LIFECYCLE_TAG
from readmission_platform.governance.ledger.versions import version_records
from readmission_platform.governance.policy.adoptable import ADOPTABLE
from readmission_platform_tests.conftest import PRODUCTION_DAYS, SHADOW_DAYS
from readmission_platform_tests.support.homes import MODEL, Home, Outcome, files_below

# Neither the end of a fraction nor a part of a digest.
STANDS_ALONE = re.compile(rb"(?<![0-9A-Za-z.])[0-9]{8,}(?![0-9A-Za-z])")


@pytest.fixture(scope="module")
def report(whole_life: tuple[Home, Outcome]) -> dict:
    return whole_life[1].json


def test_the_version_is_in_production_and_staging_is_free_again(report: dict, lived_home: Home):
    assert report["stages"] == {"staging": None, "production": "1"} == lived_home.stages


def test_the_command_reports_quality_time_and_memory(report: dict):
    auroc = report["estimates"]["auroc"]
    assert 0.6 < auroc["low"] < auroc["value"] < auroc["high"] < 0.75
    assert report["seconds"]["wall"] > 0
    steps = {step for step, _ in report["seconds"]["steps"]}
    assert {"raw_encounters", "candidate_model", "daily_predictions"} <= steps
    assert report["peak_memory_mb"] > 0
    assert report["source"] == "synthetic"


def test_the_shadow_days_were_scored_by_the_version_in_staging_and_gave_no_work_list(report: dict, lived_home: Home):
    assert len(report["shadow_days"]) == SHADOW_DAYS
    shadow = lived_home.lake.read("shadow_predictions")
    assert sorted(set(shadow["discharge_date"])) == report["shadow_days"]
    assert set(shadow["model_version"]) == {"1"}
    assert not set(lived_home.predictions()["discharge_date"]) & set(report["shadow_days"])
    with lived_home.ledger() as ledger:
        moves = [(event.payload["to_stage"], event.payload["from_version"]) for event in ledger.events(version="1")
                 if event.kind == "version_promoted"]  # fmt: skip
    assert moves == [("staging", None), ("production", None)]


def test_every_production_day_was_scored_by_the_version_in_production(report: dict, lived_home: Home):
    days = [day["date"] for day in report["days"]]
    assert len(days) == PRODUCTION_DAYS
    assert [*report["shadow_days"], *days] == lived_home.landed()
    assert {day["version"] for day in report["days"]} == {"1"}
    predictions = lived_home.predictions()
    assert sorted(set(predictions["discharge_date"])) == days
    assert predictions["risk"].between(0, 1).all()


def test_every_received_row_is_accepted_quarantined_or_a_duplicate_and_every_accepted_one_is_scored(report: dict):
    for day in report["days"]:
        assert day["received"] == day["accepted"] + day["quarantined"] + day["duplicate"]
        assert day["scored"] == day["accepted"] > 0


def test_no_encounter_is_scored_twice(lived_home: Home):
    predictions = lived_home.predictions()
    assert not predictions["encounter_id"].duplicated().any()
    accepted = lived_home.lake.read("daily_discharges")
    accepted = accepted[accepted["discharge_date"].isin(predictions["discharge_date"])]
    assert sorted(accepted["encounter_id"]) == sorted(predictions["encounter_id"])


def test_the_work_list_is_the_flagged_tenth_of_the_day_by_descending_risk(report: dict, lived_home: Home):
    listed = report["work_list"]
    assert [row["rank"] for row in listed] == list(range(1, len(listed) + 1))
    assert [row["risk"] for row in listed] == sorted((row["risk"] for row in listed), reverse=True)
    day = lived_home.predictions().query("discharge_date == @listed[0]['discharge_date']")
    assert len(listed) == round(0.1 * len(day)) == int(day["flagged"].sum())
    assert day.loc[day["flagged"], "risk"].min() >= day.loc[~day["flagged"], "risk"].max()


def test_each_candidate_has_exactly_one_finished_mlflow_run(blocked_home: Home):
    blocked_home.aliases()  # the registry follows the copied home
    client = blocked_home.registry()
    experiment = client.get_experiment_by_name(MODEL)
    runs = {run.info.run_id: run.info.status for run in client.search_runs([experiment.experiment_id])}
    with blocked_home.ledger() as ledger:
        recorded = [event.payload["mlflow_run_id"] for event in ledger.events(kind="version_trained")]
    assert len(recorded) == 2
    assert runs == dict.fromkeys(recorded, "FINISHED")


def test_the_mlflow_run_names_the_dagster_run_that_made_it(lived_home: Home):
    with lived_home.ledger() as ledger:
        trained = ledger.events(kind="version_trained")[0].payload
    tags = lived_home.registry().get_run(trained["mlflow_run_id"]).data.tags
    assert tags["dagster_run_id"] == trained["run_id"]


def test_the_registry_shows_what_the_ledger_says(lived_home: Home, shadowed_home: Home):
    for home in (lived_home, shadowed_home):
        assert home.aliases() == {stage: version for stage, version in home.stages.items() if version}


def test_the_ledger_verifies_and_tells_the_story_in_order(lived_home: Home):
    with lived_home.ledger() as ledger:
        ledger.verify()
        kinds = [event.kind for event in ledger.events()]
    assert kinds == [
        "ledger_created",
        "version_reserved",
        "version_trained",
        "demo_approver_created",
        *ADOPTABLE,
        "version_validated",
        "version_promoted",
        "days_scored",
        "drift_accepted",
        "version_approved",
        "version_promoted",
        "days_scored",
    ]


def test_the_approval_says_that_it_is_a_demonstration_and_names_what_could_not_be_judged(lived_home: Home):
    with lived_home.ledger() as ledger:
        statement = ledger.events(kind="version_approved")[-1].payload["statement"]
        record = version_records(*ledger.snapshot())["1"]
    assert statement["demo"] is True
    assert statement["approver"] != record.trained_by
    assert statement["artifact_digest"] == record.artifact_digest
    assert set(statement["warnings"]) == {gate["gate"] for gate in record.gates if gate["result"] == "insufficient"}


def test_the_drift_of_the_first_window_was_accepted_as_a_demonstration_and_the_promotion_says_so(lived_home: Home):
    with lived_home.ledger() as ledger:
        statement = ledger.events(kind="drift_accepted")[-1].payload["statement"]
        promoted = ledger.events(kind="version_promoted")[-1].payload
    assert statement["demo"] is True
    assert statement["reason"].startswith("demonstration")
    (counted,) = promoted["drift_accepted"]
    assert (counted["by"], counted["demo"], counted["until"]) == ("demo-approver", True, statement["until"])


def test_every_run_succeeded_and_carries_its_part_of_the_life(lived_home: Home):
    with lived_home.instance() as instance:
        runs = instance.get_runs()
    assert {run.status for run in runs} == {dg.DagsterRunStatus.SUCCESS}
    assert Counter(run.job_name for run in runs) == {
        "training_job": 1, "promotion_job": 2, "replay_job": 1, "scoring_job": 2, "monitoring_job": 2
    }  # fmt: skip
    # The timeline of the UI leaves out runs of no code location.
    assert {run.remote_job_origin and run.remote_job_origin.location_name for run in runs} == {"readmission_platform"}
    parts = {run.tags[RUN_LIFECYCLE_TAG] for run in runs}
    assert parts == {"training", "promotion", "replay", "scoring", "monitoring"}


def test_plots_tables_and_counts_are_on_the_assets_pages(lived_home: Home):
    with lived_home.instance() as instance:

        def shown(asset: str) -> dict:
            event = instance.get_latest_materialization_event(dg.AssetKey(asset))
            assert event is not None, asset
            assert event.asset_materialization is not None
            return dict(event.asset_materialization.metadata)

        for plot in ("ROC curve", "precision and recall", "calibration", "decision curve"):
            assert "data:image/png;base64," in shown("validation_report")[plot].value, plot
        assert "permutation importance" in shown("candidate_model")
        assert "cohort flow" in shown("eligible_encounters")
        assert "missingness" in shown("raw_encounters")
        assert {"version", "scored", "withheld", "flagged", "mean risk"} <= set(shown("daily_predictions"))
        assert "live" in shown("production_model")
    document = json.loads((lived_home.path / "reports" / MODEL / "1" / "evidence.json").read_text("utf-8"))
    assert document["estimates"]["auroc"]["value"] == pytest.approx(0.67, abs=0.05)


def test_no_patient_number_is_in_logs_metadata_reports_registry_or_ledger(blocked_home: Home):
    numbers = blocked_home.lake.read("raw_encounters", columns=["patient_nbr"])["patient_nbr"].astype(str)
    # Short numbers turn up by chance; long ones that stand by themselves do not.
    patients = {number.encode() for number in numbers if len(number) >= 8}
    assert len(patients) > 1000

    def named_in(path: Path) -> bool:
        return not patients.isdisjoint(STANDS_ALONE.findall(path.read_bytes()))

    assert any(named_in(path) for path in files_below(blocked_home.path / "landing"))  # it finds what is there
    for name in ("mlflow.db", "ledger.db"):
        with sqlite3.connect(blocked_home.path / name) as database:
            database.execute("pragma wal_checkpoint(truncate)")
    places = [path for path in files_below(blocked_home.path)
              if path.relative_to(blocked_home.path).parts[0] not in {"lake", "landing"}]  # fmt: skip
    folders = {path.relative_to(blocked_home.path).parts[0] for path in places}
    assert folders >= {"dagster", "keys", "ledger.db", "mlartifacts", "mlflow.db", "reports"}
    assert not [str(path.relative_to(blocked_home.path)) for path in places if named_in(path)]


def test_only_what_was_received_and_the_raw_table_hold_patient_numbers(lived_home: Home):
    with_numbers = {
        table.name for table in lived_home.lake.root.iterdir()
        if not table.name.startswith(".") and "patient_nbr" in lived_home.lake.read(table.name).columns
    }  # fmt: skip
    assert with_numbers == {"raw_encounters"}
