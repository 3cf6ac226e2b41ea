"""The benchmark under public protocols, on a small synthetic cohort: other people's rules are kept.

The benchmark itself, on the published data, is `make benchmark ARCHIVE=path`.
"""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from readmission_platform.config.environment import settings
from readmission_platform.config.files import model_config
from readmission_platform.config.model import ModelConfig
from readmission_platform.encounters.history import HISTORY_COLUMNS
from readmission_platform.encounters.synthetic import generate
from readmission_platform_tests.benchmarks import public_protocols
from readmission_platform_tests.benchmarks.public import rules
from readmission_platform_tests.benchmarks.public.figures import figures, risks
from readmission_platform_tests.benchmarks.public.openml_folds import divisions
from readmission_platform_tests.benchmarks.public.rules import (
    EMERGENCY_ROOM,
    Protocol,
    same_rows,
    tabarena,
    tableshift,
)


@pytest.fixture(scope="module")
def raw() -> pd.DataFrame:
    return generate(encounters=2_500, seed=3)


@pytest.fixture(scope="module")
def quick() -> ModelConfig:
    shipped = model_config(settings(), "readmission_30d")
    return shipped.model_copy(
        update={"settings": {**shipped.settings, "boosting": {**shipped.settings["boosting"], "max_iter": 8}}}
    )


@pytest.fixture(scope="module")
def shift(raw: pd.DataFrame) -> Protocol:
    return tableshift(raw)


@pytest.fixture(scope="module")
def arena(raw: pd.DataFrame) -> Protocol:
    return tabarena(raw)


def test_tableshift_trains_on_no_admission_from_the_emergency_room_and_tests_on_them_apart(
    raw: pd.DataFrame, shift: Protocol
) -> None:
    source = raw[raw["race"].notna()]["admission_source_id"].to_numpy()
    fold = shift.folds[0]
    near, far = fold.tests["in distribution"], fold.tests["out of distribution"]
    assert not (source[np.concatenate([fold.train, near])] == EMERGENCY_ROOM).any()
    assert (source[far] == EMERGENCY_ROOM).all()
    assert not set(fold.train) & set(near)
    inside = (source != EMERGENCY_ROOM).sum()
    assert [len(fold.train), len(near)] == pytest.approx([0.8 * inside, 0.1 * inside], abs=2)
    assert len(far) == pytest.approx(0.9 * (source == EMERGENCY_ROOM).sum(), abs=2)
    assert shift.labels.mean() == pytest.approx((raw[raw["race"].notna()]["readmitted"] != "NO").mean())


def test_tabarena_has_one_encounter_per_patient_and_tests_each_once_in_a_repeat(
    raw: pd.DataFrame, arena: Protocol
) -> None:
    assert len(arena.labels) == raw["patient_nbr"].nunique() == len(set(arena.patients))
    assert len(arena.folds) == 9
    for repeat in range(3):
        tested = np.concatenate([fold.tests["nine folds"] for fold in arena.folds[3 * repeat : 3 * repeat + 3]])
        assert sorted(tested) == list(range(len(arena.labels)))
    assert all(not set(fold.train) & set(fold.tests["nine folds"]) for fold in arena.folds)


def test_what_the_rules_do_not_give_is_no_input(shift: Protocol, arena: Protocol) -> None:
    for protocol in (shift, arena):
        assert (protocol.inputs[HISTORY_COLUMNS].nunique() <= 1).all()
        assert not {"encounter_id", "patient_nbr", "readmitted"} & set(protocol.inputs.columns)
    assert shift.inputs["admission_source_id"].nunique() == 1
    assert arena.inputs["admission_source_id"].nunique() > 1


def test_openml_folds_are_those_of_its_server() -> None:
    # The server's own tests hold the digest of the file that it writes for task 59: the iris flowers, ten folds
    # (openml/EvaluationEngine, data/test/splits/task_splits_hashes.csv).
    header = ["@relation iris_splits", "", "@attribute type {TRAIN,TEST}",
              *(f"@attribute {name} numeric" for name in ("rowid", "repeat", "fold")), "", "@data"]  # fmt: skip
    rows = [
        f"{kind},{row},{each.repeat},{each.fold}"
        for each in divisions([0] * 50 + [1] * 50 + [2] * 50, folds=10, repeats=1)
        for kind, numbers in (("TRAIN", each.train), ("TEST", each.test))
        for row in numbers
    ]
    written = hashlib.md5("\n".join([*header, *rows]).encode(), usedforsecurity=False).hexdigest()
    assert written == "478a48e90ec98ea54c76425cebc992ea"


def test_openml_folds_of_unequal_sizes_test_every_row_once_and_keep_the_shares() -> None:
    classes = [number % 7 == 0 for number in range(200)]
    drawn = list(divisions(classes, folds=3, repeats=2))
    assert [(each.repeat, each.fold) for each in drawn] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert [len(each.test) for each in drawn] == [67, 67, 66] * 2
    for repeat in (drawn[:3], drawn[3:]):
        assert sorted(row for each in repeat for row in each.test) == list(range(200))
    for each in drawn:
        assert sorted(each.train + each.test) == list(range(200))
        assert sum(classes[row] for row in each.test) == pytest.approx(sum(classes) / 3, abs=1)
    assert {frozenset(each.test) for each in drawn[:3]} != {frozenset(each.test) for each in drawn[3:]}


def test_rows_that_are_not_the_published_ones_are_noticed(shift: Protocol) -> None:
    assert same_rows(shift) == {"in distribution": False, "out of distribution": False}


def test_a_figure_is_the_mean_over_folds_and_lies_in_its_interval(arena: Protocol, quick: ModelConfig) -> None:
    once = replace(arena, folds=arena.folds[:4])  # one repeat, and a fold of the next
    found = risks(once, quick, seed=1)
    expected = np.mean([
        roc_auc_score(arena.labels[fold.tests["nine folds"]], scores["nine folds"])
        for fold, scores in zip(once.folds, found, strict=True)
    ])  # fmt: skip
    first, figure = figures(once, quick, seed=1, replicates=40)
    assert figure.value == pytest.approx(expected)
    tested = arena.folds[0].tests["first fold"]
    assert first.value == pytest.approx(roc_auc_score(arena.labels[tested], found[0]["first fold"]))
    assert (first.test, first.n, first.patients) == ("first fold", len(tested), len(tested))
    assert figure.low < figure.value < figure.high
    assert figure.n == pytest.approx(4 / 3 * len(arena.labels), abs=2)
    assert figure.patients == len(arena.labels)


def test_accuracy_is_counted_over_the_test_rows_and_drawn_by_patient(shift: Protocol, quick: ModelConfig) -> None:
    found = risks(shift, quick, seed=1)[0]
    by_test = {each.test: each for each in figures(shift, quick, seed=1, replicates=40)}
    for test, rows in shift.folds[0].tests.items():
        right = (found[test] >= 0.5) == shift.labels[rows]
        assert by_test[test].value == pytest.approx(right.mean())
        assert by_test[test].n == len(rows) >= by_test[test].patients


def test_on_synthetic_encounters_the_command_measures_and_compares_with_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, quick: ModelConfig
) -> None:
    monkeypatch.setattr(public_protocols, "model_config", lambda *_: quick)
    monkeypatch.setattr(rules, "TABARENA_REPEATS", 1)
    assert public_protocols.main(["--encounters", "1000", "--replicates", "10", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert "synthetic" in result["origin"]
    assert [(each["protocol"], each["test"]) for each in result["figures"]] == [
        ("TableShift", "in distribution"), ("TableShift", "out of distribution"),
        ("TabArena", "first fold"), ("TabArena", "nine folds"),
    ]  # fmt: skip
    assert all(not each["published"] and each["asked"] is None for each in result["figures"])


def test_an_archive_that_is_not_there_is_one_clear_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert public_protocols.main(["--archive", str(tmp_path / "none.zip")]) == 2
    assert "cannot be read" in capsys.readouterr().err
