"""One network a fold, recalibrated on out-of-fold scores: the model to ship, and the evidence about its recipe.

What belongs here: handing over, taking back, and the recalibration. What does not: training itself (``training``).
"""

import hashlib
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from readmission_platform.evaluation.estimates.recalibration import cross_fitted
from readmission_platform.foundation.values import canonical_json
from readmission_platform.models.contract import CrossValidated, Progress
from readmission_platform.models.neural import supervisor
from readmission_platform.models.neural.encoding import numbers_in, places_in
from readmission_platform.models.neural.model import NeuralModel, raw_risk
from readmission_platform.models.neural.settings import NeuralConfig
from readmission_platform.models.neural.task import Recipe, Rows, TaskFolder
from readmission_platform.models.tabular.columns import Columns

# Training computes in single precision, scoring in double precision. A hundredth of what a work list shows of a risk.
TOLERANCE = 1e-5


class ScoresDiffer(Exception):
    """What scores in production gives other risks than the network that was trained."""


def cross_validate(
    columns: Columns,
    config: NeuralConfig,
    inputs: pd.DataFrame,
    labels: np.ndarray,
    folds: np.ndarray,
    *,
    seed: int,
    progress: Progress = lambda done, total: None,
) -> CrossValidated:
    """Fit one network per fold on the other folds and score the fold with it, as it will score in production.

    Parameters
    ----------
    inputs
        One row each.
    labels
        0 or 1, shape (rows,).
    folds
        Fold of each row's entity, shape (rows,); 0 to k - 1, all present.
    progress
        Called with folds done and folds in total.

    Returns
    -------
    ``scores`` are calibrated probabilities, one per row, each from a network that saw neither that row nor any other of
    its entity; for their recalibration see ``cross_fitted``. ``model`` is the network of fold 0.

    Raises
    ------
    Unavailable
        When PyTorch is not installed, or the processes that train cannot.
    ScoresDiffer
        When NumPy gives a risk that is further than ``TOLERANCE`` from PyTorch's.
    """
    supervisor.check_installed()
    recipe = Recipe(config=config, seed=seed, folds=int(folds.max()) + 1, numbers=list(columns.numbers),
                    texts=[(name, list(texts)) for name, texts in columns.texts.items()])  # fmt: skip
    rows = Rows(numbers_in(inputs, columns), places_in(inputs, columns), labels.astype("int8"), folds.astype("int16"))
    raw = np.empty(len(inputs))
    with supervisor.task_folder(_name_of(recipe, rows)) as task:
        if not task.is_handed_over:
            task.hand_over(recipe, rows)
        supervisor.train(task, progress=progress)
        models = [_model_of(task, recipe, fold) for fold in range(recipe.folds)]
        for fold, model in enumerate(models):
            raw[folds == fold] = raw_risk(model, inputs[folds == fold])
            _check_alike(raw[folds == fold], task.trained(fold).scores)
    found = cross_fitted(raw, labels, folds)
    shipped = models[0]
    return CrossValidated(
        NeuralModel(**{**vars(shipped), "slope": found.slope, "intercept": found.intercept}), found.scores
    )


def _model_of(task: TaskFolder, recipe: Recipe, fold: int) -> NeuralModel:
    return NeuralModel(recipe.columns, recipe.config.hidden, task.scale(fold), task.trained(fold).weights,
                       f"PyTorch {version('torch')}")  # fmt: skip


def _check_alike(ours: np.ndarray, trained: np.ndarray) -> None:
    apart = float(np.nan_to_num(np.abs(ours - trained), nan=1.0).max(initial=0.0))
    if apart > TOLERANCE:
        raise ScoresDiffer(f"scoring differs from training by {apart:.1e} in a risk; {TOLERANCE:g} is accepted")


def _name_of(recipe: Recipe, rows: Rows) -> str:
    """Return a name that only the same training has: of recipe, rows and PyTorch."""
    told: dict[str, Any] = {"recipe": recipe.model_dump(mode="json"), "torch": version("torch")}
    digest = hashlib.sha256(canonical_json(told).encode())
    for values in vars(rows).values():
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()[:32]
