"""Training in real processes: as many as one likes, and killed ones are made up for."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from readmission_platform.models.contract import CrossValidated
from readmission_platform.models.neural import supervisor
from readmission_platform.models.neural.model import NeuralModel, raw_risk
from readmission_platform.models.neural.task import TaskFolder
from readmission_platform.models.neural.training import AdamW
from readmission_platform_tests.support.killed_rank import KILLED, steps_of
from readmission_platform_tests.support.networks import COLUMNS, ESTIMATOR, FOLDS, NETWORK, table

# Sums over two processes are rounded otherwise than sums over one; it came to 8e-8 at most.
TOLERANCE = 1e-6
# Dropout as well, which must not depend on who has which rows either.
SETTINGS = {"dropout": 0.2}

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("pytorch")]

HandOver = Callable[..., TaskFolder]


@pytest.fixture(scope="module")
def by_two(handed_over: HandOver, tmp_path_factory: pytest.TempPathFactory) -> TaskFolder:
    """What two processes trained that nobody disturbed."""
    task = handed_over(tmp_path_factory.mktemp("two"), processes=2, **SETTINGS)
    supervisor.train(task)
    return task


def model_of(task: TaskFolder, fold: int) -> NeuralModel:
    return NeuralModel(COLUMNS, (6, 6), task.scale(fold), task.trained(fold).weights, "PyTorch")


def test_two_processes_train_the_network_that_one_trains(
    by_two: TaskFolder, handed_over: HandOver, tmp_path: Path
) -> None:
    alone = handed_over(tmp_path, processes=1, **SETTINGS)
    told: list[tuple[int, int]] = []
    supervisor.train(alone, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]
    for fold in range(FOLDS):
        one, two = alone.trained(fold), by_two.trained(fold)
        np.testing.assert_allclose(one.scores, two.scores, rtol=0, atol=TOLERANCE)
        for name, weight in one.weights.items():
            np.testing.assert_allclose(weight, two.weights[name], rtol=0, atol=TOLERANCE, err_msg=name)


def test_scoring_without_pytorch_gives_the_scores_of_training(by_two: TaskFolder) -> None:
    inputs, _, folds = table(len(by_two.rows().labels))
    for fold in range(FOLDS):
        risk = raw_risk(model_of(by_two, fold), inputs[folds == fold])
        np.testing.assert_allclose(risk, by_two.trained(fold).scores, rtol=0, atol=TOLERANCE)
        assert np.ptp(risk) > 0.05


def test_a_process_killed_in_the_middle_of_an_epoch_is_made_up_for_bit_by_bit(
    by_two: TaskFolder, handed_over: HandOver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KILLED_RANK", "1")
    monkeypatch.setenv("KILLED_AT", "neural: fold 1, step 9")
    task = handed_over(tmp_path, processes=2, **SETTINGS)
    supervisor.train(task, module="readmission_platform_tests.support.killed_rank")
    assert (tmp_path / KILLED).exists()
    steps = steps_of(tmp_path, 1)
    after = steps[steps.index("neural: fold 1, step 9") + 1 :]
    assert after[:2] == ["neural: fold 1 resumed at step 5", "neural: fold 1, step 6"]
    for fold in range(FOLDS):
        resumed, undisturbed = task.trained(fold), by_two.trained(fold)
        assert {name: weight.tobytes() for name, weight in resumed.weights.items()} == {
            name: weight.tobytes() for name, weight in undisturbed.weights.items()
        }
        assert np.array_equal(resumed.scores, undisturbed.scores)
    assert not list(tmp_path.glob("*step-*")), "checkpoints of what is trained are left"


def test_the_optimiser_does_what_that_of_pytorch_does() -> None:
    import torch

    drawing = torch.Generator().manual_seed(1)
    ours, theirs = (torch.nn.Parameter(torch.linspace(-1, 1, 12).reshape(3, 4)) for _ in range(2))
    optimiser = AdamW({"weight": ours}, 0.1)
    reference = torch.optim.AdamW([theirs], lr=0.01, weight_decay=0.1)
    for number in range(1, 30):
        ours.grad = torch.randn(3, 4, generator=drawing)
        theirs.grad = ours.grad.clone()
        optimiser.step(number, 0.01)
        reference.step()
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-6)


def test_training_goes_on_where_the_machine_was_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = "from readmission_platform_tests.models.neural.test_training import trained_for_long\ntrained_for_long()"
    undisturbed = trained_for_long()
    monkeypatch.setenv(supervisor.CHECKPOINTS, str(tmp_path))
    machine = subprocess.Popen([sys.executable, "-c", program], start_new_session=True)
    while not list(tmp_path.glob("*/latest")):
        assert machine.poll() is None, "it ended before it could be killed"
        time.sleep(0.02)
    os.killpg(machine.pid, signal.SIGKILL)
    machine.wait()
    (left,) = (path for path in tmp_path.iterdir() if path.is_dir())
    resumed = trained_for_long()
    assert not left.exists(), "another folder was trained in"
    np.testing.assert_array_equal(resumed.scores, undisturbed.scores)
    assert ESTIMATOR.dump(resumed.model) == ESTIMATOR.dump(undisturbed.model)


def trained_for_long() -> CrossValidated:
    """Train long enough to be killed at it, with few checkpoints after the first."""
    inputs, labels, folds = table(300)
    settings = {"network": {**NETWORK, "epochs": 150, "checkpoint_every": 100}}
    return ESTIMATOR.cross_validate(inputs, labels, folds, settings, entities=np.arange(300), seed=2)
