"""The folder of a training, and processes that cannot train: without PyTorch, none of this trains anything."""

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from readmission_platform.foundation.errors import Unavailable
from readmission_platform.models.neural import supervisor
from readmission_platform.models.neural.task import Checkpoint, TaskFolder, Trained
from readmission_platform_tests.support.networks import ESTIMATOR, NETWORK, table

HandOver = Callable[..., TaskFolder]


def test_without_pytorch_training_says_in_one_line_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr("sys.path_importer_cache", {})
    with pytest.raises(Unavailable, match="`make pytorch`") as said:
        supervisor.check_installed()
    assert "\n" not in str(said.value)


def test_processes_that_end_in_the_same_place_again_and_again_are_given_up(
    handed_over: HandOver, tmp_path: Path
) -> None:
    task = handed_over(tmp_path)
    with pytest.raises(Unavailable, match="ended 4 times in the same place"):
        supervisor.train(task, module="readmission_platform.no_such_module")
    assert "No module named" in (tmp_path / "log").read_text(encoding="utf-8")


@pytest.mark.parametrize("whose", ["", "[rank1]: "])
def test_a_reason_names_the_error_and_no_value(tmp_path: Path, whose: str) -> None:
    said = ["Traceback (most recent call last):", '  File "x", line 1', "ValueError: 17 of a person", "SomeError: y"]
    (tmp_path / "log").write_text("\n".join(whose + line for line in said), encoding="utf-8")
    assert supervisor._error_in(tmp_path / "log") == "ValueError"


def test_a_checkpoint_that_was_not_finished_is_not_gone_on_from(handed_over: HandOver, tmp_path: Path) -> None:
    task = handed_over(tmp_path)
    assert task.latest(0) is None
    task.save(Checkpoint(0, 5, {"weight": np.arange(3.0)}))
    unfinished = tmp_path / "fold-0-step-10"
    unfinished.mkdir()
    (unfinished / "state.safetensors").write_bytes(b"half of")
    found = task.latest(0)
    assert found is not None
    assert found.step == 5
    assert found.tensors["weight"].tolist() == [0, 1, 2]
    task.save(Checkpoint(0, 10, {"weight": np.arange(4.0)}))
    assert [path.name for path in tmp_path.glob("fold-*")] == ["fold-0-step-10"]
    assert task.latest(1) is None, "a checkpoint of another fold"


def test_a_trained_network_is_there_whole_and_its_checkpoints_are_gone(handed_over: HandOver, tmp_path: Path) -> None:
    task = handed_over(tmp_path)
    task.save(Checkpoint(0, 5, {"weight": np.arange(3.0)}))
    before = task.progress()
    task.keep(0, Trained({"weight": np.arange(3.0)}, np.array([0.5])))
    assert task.is_done(0)
    assert task.progress() != before
    assert [path.name for path in tmp_path.glob("fold-*")] == ["fold-0.safetensors"]
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_nothing_that_is_handed_over_is_a_pickle(handed_over: HandOver, tmp_path: Path) -> None:
    task = handed_over(tmp_path)
    np.testing.assert_array_equal(task.rows().labels, table(len(task.rows().labels))[1])
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".npy"}
    np.save(tmp_path / "labels.npy", np.array([object()]), allow_pickle=True)
    with pytest.raises(ValueError, match="Python objects"):
        task.rows()


def test_a_folder_that_outlives_the_machine_is_found_again_until_its_training_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(supervisor.CHECKPOINTS, str(tmp_path))
    with suppress(KeyboardInterrupt), supervisor.task_folder("a-training") as task:
        assert task.path.stat().st_mode & 0o777 == 0o700
        (task.path / "kept").touch()
        raise KeyboardInterrupt
    with supervisor.task_folder("a-training") as task:
        assert (task.path / "kept").exists()
    assert not (tmp_path / "a-training").exists()
    monkeypatch.delenv(supervisor.CHECKPOINTS)
    with supervisor.task_folder("a-training") as task:
        assert not task.path.is_relative_to(tmp_path)
    assert not task.path.exists()


def test_one_process_is_run_without_torchrun_and_several_without_its_restarts(tmp_path: Path) -> None:
    assert "torch.distributed.run" not in supervisor.command_of(tmp_path, 1)
    several = supervisor.command_of(tmp_path, 3)
    assert several[several.index("--max-restarts") + 1] == "0"
    assert several[several.index("--nproc-per-node") + 1] == "3"


def test_settings_out_of_bounds_are_refused() -> None:
    for wrong in (
        {"processes": 0},
        {"units": 0},
        {"layers": 9},
        {"dropout": 1},
        {"precision": "float16"},
        {"epochz": 3},
    ):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            ESTIMATOR.settings.model_validate({"network": {**NETWORK, **wrong}})
