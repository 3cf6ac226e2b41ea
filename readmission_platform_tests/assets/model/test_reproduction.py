"""`readmission reproduce`: a version fitted once more predicts what was recorded, or it is said how it does not."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from readmission_platform.governance.ledger.versions import version_records
from readmission_platform.lifecycle.training.recorded_version import Recorded, gather
from readmission_platform_tests.lifecycle.versions.test_verification import artifact, flip, vandalise
from readmission_platform_tests.support.homes import Home, Outcome

Changing = Callable[[Home], Home]


def with_other_settings(home: Home, **changes: float) -> None:
    """Have the ledger say that the model was made with other settings than it was."""
    with home.ledger() as ledger:
        event = ledger.events(kind="version_trained")[0]
    event.payload["recipe"]["settings"]["boosting"] |= changes
    vandalise(home, "update events set payload = ? where seq = ?", json.dumps(event.payload), event.seq)


def recorded_of(home: Home, forgetting: str | None = None) -> Recorded:
    """Gather what version 1 was made from, as if the ledger did not know one thing."""
    with home.ledger() as ledger, home.workspace() as workspace:
        record = version_records(*ledger.snapshot())["1"]
        record.trained.pop(forgetting or "", None)
        return gather(record, workspace)


@pytest.fixture(scope="module")
def reproduced(trained_home: Home, tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Outcome, Path]:
    """A home in which version 1 was reproduced, what the command said, and what it kept."""
    folder = tmp_path_factory.mktemp("reproduced")
    home = trained_home.copy(folder / "home")
    outcome = home.command("reproduce", "1", "--with-this-code", "--keep", str(folder / "kept"), "--json")
    return home, outcome, folder / "kept"


@pytest.mark.slow
def test_on_the_same_machine_and_code_every_risk_is_the_same_to_the_last_bit(reproduced: tuple[Home, Outcome, Path]):
    _, outcome, _ = reproduced
    assert outcome.code == 0, outcome.err
    found = outcome.json
    assert (found["result"], found["largest_difference"]) == ("identical", 0)
    assert found["compared"]["out_of_fold"]["rows"] > found["compared"]["test_entities"]["rows"] > 1000
    assert found["artifact"]["same_content"]


@pytest.mark.slow
def test_a_reproduction_is_recorded_with_code_and_platform(reproduced: tuple[Home, Outcome, Path]):
    home, outcome, _ = reproduced
    with home.ledger() as ledger:
        ledger.verify()
        event = ledger.events(kind="version_reproduced", version="1")[-1]
    assert outcome.json == {"version": "1", "event": event.seq, **event.payload}
    assert set(event.payload["platform"]) >= {"python", "numpy", "scikit-learn", "machine"}
    assert event.payload["code"]["which"] in {"running", "recorded"}
    with home.instance() as instance:
        run = instance.get_run_by_id(event.payload["run_id"])
    assert run is not None
    assert run.job_name == "reproduction_job"


@pytest.mark.slow
def test_what_is_kept_is_the_model_and_scores_without_any_key(reproduced: tuple[Home, Outcome, Path]):
    home, outcome, kept = reproduced
    scores = pd.read_csv(kept / "scores.csv")
    assert list(scores) == ["row", "fold", "recorded", "rebuilt", "stored_model", "rebuilt_model"]
    assert (scores["recorded"] == scores["rebuilt"]).all()
    assert scores["stored_model"].count() == outcome.json["compared"]["test_entities"]["rows"]
    assert (kept / "model.skops").is_file()
    again = home.command("reproduce", "1", "--keep", str(kept))
    assert again.code == 2
    assert "already" in again.err


@pytest.mark.slow
def test_a_model_made_with_other_settings_than_recorded_does_not_reproduce(trained_home: Home, changing: Changing):
    home = changing(trained_home)
    with_other_settings(home, max_iter=3)
    outcome = home.command("reproduce", "1", "--with-this-code")
    assert outcome.code == 3
    assert "largest difference" in outcome.err
    assert "Traceback" not in outcome.err
    with home.ledger() as ledger:
        found = ledger.events(kind="version_reproduced")[-1].payload
    assert found["result"] == "differs"
    assert found["largest_difference"] > found["tolerance"]


@pytest.mark.parametrize(
    ("apart", "result"),
    [(0.0, "identical"), (2**-12, "within_tolerance"), (2**-11, "within_tolerance"), (2**-10, "differs")],
)
def test_the_largest_difference_is_held_against_the_tolerance(trained_home: Home, apart: float, result: str):
    from readmission_platform.lifecycle.training.rebuilding import Rebuilt
    from readmission_platform.lifecycle.training.reproduction import compared

    recorded = recorded_of(trained_home)
    shifted = recorded.scores.copy()
    shifted[7] = 0.25 + apart
    recorded.scores[7] = 0.25
    test = recorded.scores[recorded.folds == 0]
    rebuilt = Rebuilt(shifted, test, test, recorded.artifact)
    found = compared(recorded, rebuilt, tolerance=2**-11)
    assert (found["result"], found["largest_difference"]) == (result, apart)
    swapped = compared(recorded, Rebuilt(recorded.scores, test + apart, test, recorded.artifact), tolerance=2**-11)
    assert (swapped["result"] == "identical") == (apart == 0)


def test_a_risk_that_is_no_number_differs(trained_home: Home):
    from readmission_platform.lifecycle.training.rebuilding import Rebuilt
    from readmission_platform.lifecycle.training.reproduction import compared

    recorded = recorded_of(trained_home)
    broken, test = recorded.scores.copy(), recorded.scores[recorded.folds == 0]
    broken[3] = float("nan")
    found = compared(recorded, Rebuilt(broken, test, test, recorded.artifact), tolerance=0.5)
    assert found["result"] == "differs"
    json.dumps(found, allow_nan=False)


def test_an_unknown_version_is_bad_input(trained_home: Home):
    outcome = trained_home.command("reproduce", "77")
    assert outcome.code == 2
    assert len(outcome.err.strip().splitlines()) == 1


def test_data_that_are_gone_from_the_lake_are_out_of_reach(trained_home: Home, changing: Changing):
    home = changing(trained_home)
    shutil.rmtree(home.lake.root / "encounter_features")
    outcome = home.command("reproduce", "1", "--with-this-code")
    assert outcome.code == 5
    assert "encounter_features" in outcome.err


def test_data_that_were_changed_are_refused_because_a_second_model_would_prove_nothing(
    trained_home: Home, changing: Changing
):
    home = changing(trained_home)
    features = home.lake.read("encounter_features")
    shutil.rmtree(home.lake.root / "encounter_features")
    for rows in (features.iloc[:-1], features.assign(number_inpatient=0)):  # as many versions as there were, and more
        home.lake.write("encounter_features", rows)
    with home.ledger() as ledger:
        recorded = ledger.events(kind="version_trained")[0].payload["data"]["table_version"]
    outcome = home.command("reproduce", "1", "--with-this-code")
    assert recorded < 2
    assert outcome.code == 3
    assert "changed" in outcome.err


def test_a_changed_model_file_is_refused(trained_home: Home, changing: Changing):
    home = changing(trained_home)
    flip(artifact(home), 1000)
    outcome = home.command("reproduce", "1", "--with-this-code")
    assert outcome.code == 3
    assert "model file" in outcome.err


def test_training_does_not_reproduce_by_the_way(trained_home: Home):
    assert "version_reproduced" not in trained_home.kinds()
