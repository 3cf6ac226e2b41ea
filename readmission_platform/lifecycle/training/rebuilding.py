"""Fitting a recorded model once more, by whichever code is imported here: the running one or that of a recorded commit.

What belongs here: the refit and its scores, and a program around them that reads and writes one folder. What does not:
what is compared with what (``reproduction``), and how the code of a commit comes to be imported (``recorded_code``).

This file is run as a program beside the sources of *other* commits. So it relies on nothing of ours but the contract
of the model: its ``inputs`` and ``outcome``, and ``cross_validate``, ``score``, ``dump`` and ``load`` of its estimator.
"""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

FEATURES_FILE, FOLDS_FILE, TASK_FILE, STORED_FILE = "features.parquet", "folds.npy", "task.json", "stored.model"
MODEL_FILE = "rebuilt.model"
# What a program is asked for and answers, one array each; those of the test entities are in the order of the features.
_ARRAYS = ("scores", "test_scores", "stored_scores")


@dataclass(frozen=True)
class Rebuilt:
    """What came of fitting a recorded model once more.

    Attributes
    ----------
    scores
        Out-of-fold risks, shape (rows,).
    test_scores, stored_scores
        Risks of the test entities by the rebuilt model and by the stored artifact, shape (test rows,).
    model
        The rebuilt model as the bytes of its artifact.
    """

    scores: np.ndarray
    test_scores: np.ndarray
    stored_scores: np.ndarray
    model: bytes


def rebuild(
    package: str,
    features: pd.DataFrame,
    folds: np.ndarray,
    stored: bytes,
    *,
    settings: Mapping[str, Any],
    seed: int,
    progress: Callable[[str], None],
) -> Rebuilt:
    """Fit as the training did, and score with what comes of it and with what was stored.

    Parameters
    ----------
    package
        Package of the model's contract.
    features
        The recorded training table.
    folds
        Fold of each row, shape (rows,); fold 0 holds the test entities.
    stored
        The stored artifact, its digest verified: only its types are looked at again here.
    settings
        Recorded settings, handed on to ``cross_validate``.
    progress
        Called with one line as each fold is done.
    """
    contract = import_module(package).CONTRACT
    estimator, inputs = contract.estimator, features[list(contract.inputs)]
    fitted = estimator.cross_validate(
        inputs, features[contract.outcome].to_numpy(), folds, settings, entities=features["entity_key"].to_numpy(),
        seed=seed,
        progress=lambda done, total: progress(f"fold {done} of {total} fitted"),
    )  # fmt: skip
    test = inputs[folds == 0]
    there = estimator.load(stored)
    return Rebuilt(
        fitted.scores, estimator.score(fitted.model, test), estimator.score(there, test), estimator.dump(fitted.model)
    )


def hand_over(folder: Path, features: pd.DataFrame, folds: np.ndarray, stored: bytes, task: Mapping[str, Any]) -> None:
    """Write what :func:`main` reads."""
    features.to_parquet(folder / FEATURES_FILE)
    np.save(folder / FOLDS_FILE, folds)
    (folder / STORED_FILE).write_bytes(stored)
    (folder / TASK_FILE).write_text(json.dumps(dict(task)), encoding="utf-8")


def take_back(folder: Path) -> Rebuilt:
    """Read what :func:`main` wrote."""
    arrays = {name: np.load(folder / f"{name}.npy", allow_pickle=False) for name in _ARRAYS}
    return Rebuilt(**arrays, model=(folder / MODEL_FILE).read_bytes())


def main(folder: Path) -> None:
    """Rebuild from the files of a folder into files of it; says on standard output which code it is, then each fold."""
    import readmission_platform

    sys.stdout.write(f"code of {Path(str(readmission_platform.__file__)).parent}\n")
    task = json.loads((folder / TASK_FILE).read_text(encoding="utf-8"))
    found = rebuild(
        task["package"],
        pd.read_parquet(folder / FEATURES_FILE),
        np.load(folder / FOLDS_FILE, allow_pickle=False),
        (folder / STORED_FILE).read_bytes(),
        settings=task["settings"],
        seed=task["seed"],
        progress=lambda line: print(line, flush=True),
    )
    for name in _ARRAYS:
        np.save(folder / f"{name}.npy", getattr(found, name))
    (folder / MODEL_FILE).write_bytes(found.model)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
