"""Recalibration: the model of a version is kept, its risks follow what has matured, and nothing else moves by it."""

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from readmission_platform.config.environment import Settings
from readmission_platform.config.files import change_plan_config
from readmission_platform.evaluation.estimates.calibration import logit
from readmission_platform.evaluation.estimates.recalibration import corrected
from readmission_platform.governance.ledger.versions import VersionRecord, version_records
from readmission_platform.governance.policy.change_plan import outside_of
from readmission_platform.lifecycle.versions.version_facts import evidence_rows
from readmission_platform.storage.artifacts import load_artifact
from readmission_platform_tests.support.homes import MODEL, Home, Outcome
from readmission_platform_tests.support.hospital import days_from

pytestmark = pytest.mark.slow
DAYS = days_from(date(2024, 3, 1), 45)


def records(home: Home) -> dict[str, VersionRecord]:
    with home.ledger() as ledger:
        return version_records(*ledger.snapshot())


@pytest.fixture(scope="module")
def matured_home(trained_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Version 1 is a candidate; the outcomes of 45 days that it was not trained on have matured."""
    home = trained_home.copy(tmp_path_factory.mktemp("matured") / "home")
    shutil.rmtree(home.path / "landing")
    for command in (
        ("replay", "--days", str(len(DAYS)), "--start", DAYS[0], "--outcomes"),
        ("score", "--from", DAYS[0], "--to", DAYS[-1]),
        ("outcomes", "--from", DAYS[0], "--to", DAYS[-1]),
    ):
        outcome = home.command(*command)
        assert outcome.code == 0, outcome.err
    return home


@pytest.fixture(scope="module")
def recalibration(matured_home: Home, tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Outcome]:
    """Version 2 has the model of version 1; and what the command printed."""
    home = matured_home.copy(tmp_path_factory.mktemp("recalibrated") / "home")
    return home, home.command("recalibrate", "--version", "1", "--json")


@pytest.fixture(scope="module")
def recalibrated_home(recalibration: tuple[Home, Outcome]) -> Home:
    return recalibration[0]


def test_it_is_a_candidate_that_passed_every_gate_and_whose_change_the_plan_knows(
    recalibration: tuple[Home, Outcome],
) -> None:
    home, outcome = recalibration
    assert outcome.code == 0, outcome.err
    assert outcome.json["state"] == "candidate"
    assert outcome.json["failed_gates"] == []
    record = records(home)["2"]
    assert record.accepted
    assert record.keeps_model_of == "1"
    assert set(home.stages.values()) == {None}
    trained = {**record.trained, "source": "synthetic"}
    assert not [said for said in outside_of(change_plan_config(Settings(), MODEL), trained) if "recalibration" in said]


def test_every_risk_is_that_of_the_version_before_corrected_by_one_slope_and_intercept(
    recalibrated_home: Home,
) -> None:
    found = records(recalibrated_home)
    made = found["2"].trained["recalibrated"]
    rows = recalibrated_home.lake.read("encounter_features").head(400)
    with recalibrated_home.workspace() as workspace:
        estimator = workspace.contract.estimator
        risks = [
            estimator.score(
                load_artifact(estimator, workspace.registry.root, str(each.artifact_path), digest=each.artifact_digest),
                rows[list(workspace.contract.inputs)],
            )
            for each in found.values()
        ]
    np.testing.assert_allclose(risks[1], corrected(risks[0], made["slope"], made["intercept"]), rtol=0, atol=1e-12)


def test_the_evidence_is_that_of_before_and_what_has_matured_and_only_the_latest_rows_are_corrected(
    recalibrated_home: Home,
) -> None:
    found = records(recalibrated_home)
    made = found["2"].trained["recalibrated"]
    before, after = (evidence_rows(recalibrated_home.lake, found[version]) for version in ("1", "2"))
    assert before is not None
    assert after is not None
    assert len(after) - len(before) == made["matured"] == 45 * 27
    both = before.merge(after, on="row_key", suffixes=("", "_after"))
    assert len(both) == len(before)
    assert (both["label"] == both["label_after"]).all()
    assert (both["fold"] == both["fold_after"]).all()
    changed = both["score"] != both["score_after"]
    assert changed.sum() == made["rows"] - made["matured"]
    # Within a fold the ranks of those corrected are as they were.
    for _, of_fold in both[changed].groupby("fold"):
        slope, intercept = np.polyfit(logit(of_fold["score"].to_numpy()), logit(of_fold["score_after"].to_numpy()), 1)
        again = corrected(of_fold["score"].to_numpy(), slope, intercept)
        np.testing.assert_allclose(again, of_fold["score_after"], rtol=0, atol=1e-9)


def test_calibration_of_the_latest_rows_is_right_afterwards_on_outcomes_that_had_no_part_in_it(
    recalibrated_home: Home,
) -> None:
    latest = records(recalibrated_home)["2"].trained["recalibrated"]["figures"]["latest"]
    for measure in ("observed_expected", "calibration_slope"):
        before, after = latest[measure]
        assert abs(after["value"] - 1) < 0.03
        assert after["low"] < after["value"] < after["high"]
        assert before["value"] != after["value"]


def test_a_dry_run_says_what_would_change_and_registers_nothing(matured_home: Home) -> None:
    before = matured_home.kinds()
    said = matured_home.command("recalibrate", "--version", "1", "--dry-run", "--json")
    assert said.code == 0, said.err
    assert set(said.json["figures"]) == {"latest", "matured"}
    assert matured_home.kinds() == before
    assert "Nothing was registered" in matured_home.command("recalibrate", "--version", "1", "--dry-run").out


def test_before_enough_has_matured_it_is_refused_in_one_line_and_nothing_is_registered(trained_home: Home) -> None:
    before = trained_home.kinds()
    refused = trained_home.command("recalibrate", "--version", "1")
    assert refused.code == 3
    assert "refused: fewer than 100 readmissions have matured" in refused.err
    assert "Warning" not in refused.err
    assert trained_home.kinds() == before


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [((), 3, "no version is in production"), (("--version", "9"), 2, "there is no version 9")],
)
def test_without_a_version_to_keep_the_model_of_it_is_refused(
    matured_home: Home, asked: tuple[str, ...], code: int, said: str
) -> None:
    refused = matured_home.command("recalibrate", *asked, "--dry-run")
    assert refused.code == code
    assert said in refused.err


def test_recalibrating_what_is_recalibrated_keeps_the_model_that_was_fitted(
    recalibrated_home: Home, changing: Callable[[Home], Home]
) -> None:
    home = changing(recalibrated_home)
    assert home.command("recalibrate", "--version", "2").code == 0
    found = records(home)
    assert found["3"].keeps_model_of == "1"
    assert found["3"].trained["recalibrated"] == found["2"].trained["recalibrated"]


def test_what_was_fitted_is_reproduced_and_not_what_keeps_its_model(recalibrated_home: Home) -> None:
    refused = recalibrated_home.command("reproduce", "2")
    assert refused.code == 2
    assert "keeps the model of version 1" in refused.err


def test_card_and_review_page_say_what_went_into_it_and_whose_model_it_keeps(
    recalibrated_home: Home, tmp_path: Path
) -> None:
    for command in ("card", "review"):
        assert recalibrated_home.command(command, "2", "--out", str(tmp_path / f"{command}.html")).code == 0
    card, page = ((tmp_path / f"{name}.html").read_text(encoding="utf-8") for name in ("card", "review"))
    assert "The model of version 1 is kept" in card
    assert "Nothing was calibrated or refitted" not in card
    made = records(recalibrated_home)["2"].trained["recalibrated"]
    assert f"for the correction the latest {made['rows']:,} rows, {made['matured']:,} matured since" in page
    assert "of version 1; what matured since by the same rule" in page


def test_the_evidence_page_shows_calibration_before_and_after(recalibrated_home: Home) -> None:
    assert recalibrated_home.command("report", "2").code == 0
    pages = list((recalibrated_home.path / "reports" / MODEL / "2").glob("*.html"))
    assert any("keeps the model of version 1" in page.read_text(encoding="utf-8") for page in pages)
    assert recalibrated_home.command("verify", "2").code == 0
