"""Fixtures of this folder: networks that were trained, where PyTorch is installed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from readmission_platform.models.neural.encoding import numbers_in, places_in
from readmission_platform.models.neural.settings import NeuralConfig
from readmission_platform.models.neural.task import Recipe, Rows, TaskFolder
from readmission_platform_tests.support.extras import need
from readmission_platform_tests.support.networks import COLUMNS, FOLDS, NETWORK, table

ROWS = 601


@pytest.fixture(scope="session")
def pytorch() -> None:
    """PyTorch is installed."""
    need("torch", "PyTorch is")


@pytest.fixture(scope="session")
def handed_over() -> Callable[..., TaskFolder]:
    """Write a training into a folder: of a small table, in six or seven steps an epoch, a checkpoint after every fifth.

    The last batch of an epoch of fold 0 has one row, which two processes cannot share.
    """

    def hand_over(path: Path, **settings: Any) -> TaskFolder:
        inputs, labels, folds = table(ROWS)
        config = NeuralConfig(**{**NETWORK, "checkpoint_every": 5, **settings})
        recipe = Recipe(config=config, seed=4, folds=FOLDS, numbers=list(COLUMNS.numbers),
                        texts=[(name, list(texts)) for name, texts in COLUMNS.texts.items()])  # fmt: skip
        task = TaskFolder(path)
        task.hand_over(recipe, Rows(numbers_in(inputs, COLUMNS), places_in(inputs, COLUMNS), labels, folds))
        return task

    return hand_over
