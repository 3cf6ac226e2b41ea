"""A rebuild that is killed, is one of two, or cannot be recorded: nothing is taken for a result that is none."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from readmission_platform_tests.support.forking import FORKING
from readmission_platform_tests.support.homes import Home
from readmission_platform_tests.support.interruption import meanwhile, run_until

pytestmark = pytest.mark.slow

REPRODUCE = ("reproduce", "1", "--with-this-code", "--json")
KEPT = ["model.skops", "scores.csv"]


@pytest.fixture
def home(small_home: Home, changing: Callable[[Home], Home]) -> Home:
    return changing(small_home)


def recorded(home: Home) -> int:
    return home.kinds().count("version_reproduced")


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_kill_at_any_step_leaves_all_that_was_to_be_kept_or_nothing_and_records_only_what_is_there(
    home: Home, tmp_path: Path
):
    whole, kept = tmp_path / "results" / "whole", tmp_path / "results" / "kept"
    undisturbed = run_until(home, None, *REPRODUCE, "--keep", str(whole))
    assert undisturbed.code == 0
    steps = [step for step in undisturbed.steps if "reproduc" in step]
    assert len(steps) == 5
    for step in steps:
        before = recorded(home)
        assert run_until(home, step, *REPRODUCE, "--keep", str(kept)).code == -9, f"not killed at {step!r}"
        if kept.exists():
            assert names_in(kept) == KEPT
            pd.testing.assert_frame_equal(*(pd.read_csv(each / "scores.csv") for each in (kept, whole)))
            shutil.rmtree(kept)
        else:
            assert recorded(home) == before, "what is not there was recorded"
    assert run_until(home, None, *REPRODUCE, "--keep", str(kept)).code == 0
    assert names_in(whole) == names_in(kept) == KEPT
    assert names_in(kept.parent) == ["kept", "whole"], "what killed rebuilds left is still there"


def test_a_rebuild_reports_its_own_result_though_another_one_is_recorded_meanwhile(home: Home):
    def record_another() -> None:
        with home.ledger() as ledger:
            ledger.append("version_reproduced", {"run_id": "another", "result": "differs"}, actor="b", version="1")

    with meanwhile("ledger: version_reproduced committed", record_another):
        outcome = home.command(*REPRODUCE)
    assert outcome.code == 0, outcome.err
    assert outcome.json["result"] == "identical"


def test_a_training_reports_its_own_version_though_another_one_is_trained_meanwhile(home: Home):
    """The same kind of fault: a command that shows what it finds newest in the ledger."""

    def record_another() -> None:
        with home.ledger() as ledger:
            trained = ledger.events(kind="version_trained")[-1]
            ledger.append("version_trained", trained.payload | {"run_id": "another"}, actor="b", version="77")

    with meanwhile("ledger: version_trained committed", record_another):
        outcome = home.command("train", "--encounters", "2500", "--seed", "5", "--json")
    assert outcome.json["version"] == "2"


def test_two_rebuilds_at_once_each_report_and_keep_their_own(home: Home, tmp_path: Path):
    tolerances = {"a": 0.25, "b": 0.125}
    results = FORKING.Queue()
    racers = [
        FORKING.Process(target=_reproduce, args=(home, name, tolerance, tmp_path / name, results))
        for name, tolerance in tolerances.items()
    ]
    for racer in racers:
        racer.start()
    found = dict(results.get(timeout=120) for _ in racers)
    for racer in racers:
        racer.join(60)
    assert found == {name: (0, tolerance) for name, tolerance in tolerances.items()}
    assert all(names_in(tmp_path / name) == KEPT for name in tolerances)
    assert recorded(home) == 2


def _reproduce(home: Home, name: str, tolerance: float, kept: Path, results: Any) -> None:
    outcome = home.command(*REPRODUCE, "--tolerance", str(tolerance), "--keep", str(kept))
    results.put((name, (outcome.code, outcome.json["tolerance"] if outcome.out else outcome.err)))


def test_of_two_that_keep_in_one_place_the_second_is_told_that_somebody_was_first_and_records_nothing(
    home: Home, tmp_path: Path
):
    kept = tmp_path / "kept"

    def keep_there_first() -> None:
        kept.mkdir()
        (kept / "scores.csv").write_text("somebody else's")

    with meanwhile("reproduction: scores written", keep_there_first):
        outcome = home.command(*REPRODUCE, "--keep", str(kept))
    assert outcome.code == 4
    assert "somebody else" in outcome.err
    assert (kept / "scores.csv").read_text() == "somebody else's"
    assert recorded(home) == 0


def test_what_cannot_be_recorded_is_not_kept(home: Home, tmp_path: Path):
    kept, ledger = tmp_path / "kept", home.path / "ledger.db"
    with meanwhile("reproduction: kept", lambda: ledger.rename(tmp_path / "elsewhere.db")):
        outcome = home.command(*REPRODUCE, "--keep", str(kept))
    shutil.move(tmp_path / "elsewhere.db", ledger)
    assert outcome.code == 5
    assert not kept.exists()
    assert recorded(home) == 0
