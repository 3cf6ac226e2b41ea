"""The folder that training works in: what is handed over to its processes, and what they leave. No pickle in it.

What belongs here: its files, each of them there whole or not at all. What does not: training, and who makes the folder.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp, mkstemp

import numpy as np

from readmission_platform.foundation.untrusted import read_json
from readmission_platform.foundation.values import Frozen, canonical_json
from readmission_platform.models.neural.encoding import Scale
from readmission_platform.models.neural.settings import NeuralConfig
from readmission_platform.models.tabular.columns import Columns

_TASK, _LATEST, _STATE = "task.json", "latest", "state.safetensors"


class Recipe(Frozen):
    """What is trained, one network a fold."""

    config: NeuralConfig
    seed: int
    folds: int
    numbers: list[str]
    texts: list[tuple[str, list[str]]]

    @property
    def columns(self) -> Columns:
        """The inputs."""
        return Columns(tuple(self.numbers), {name: tuple(texts) for name, texts in self.texts})


@dataclass(frozen=True)
class Rows:
    """Numbers (rows, numbers) and places of texts (rows, texts) as ``encoding`` has them, labels and folds (rows,)."""

    numbers: np.ndarray
    places: np.ndarray
    labels: np.ndarray
    folds: np.ndarray


@dataclass(frozen=True)
class Trained:
    """The network of one fold: its weights, and its own scores of the rows of that fold, in their order."""

    weights: dict[str, np.ndarray]
    scores: np.ndarray


@dataclass(frozen=True)
class Checkpoint:
    """Where training was: the fold, the steps done, and the tensors it goes on from."""

    fold: int
    step: int
    tensors: Mapping[str, np.ndarray]


class TaskFolder:
    """The files of one training."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def hand_over(self, recipe: Recipe, rows: Rows) -> None:
        """Write what is trained and on what; the recipe last, as a sign that all is there."""
        for name, values in vars(rows).items():
            np.save(self.path / f"{name}.npy", np.ascontiguousarray(values), allow_pickle=False)
        for fold in range(recipe.folds):
            scale = Scale.of(rows.numbers[rows.folds != fold])
            np.save(self.path / f"scale-{fold}.npy", np.stack([*vars(scale).values()]), allow_pickle=False)
        self._put(_TASK, canonical_json(recipe.model_dump(mode="json")).encode())

    @property
    def is_handed_over(self) -> bool:
        """Whether a training was written here, by this or an earlier process."""
        return (self.path / _TASK).exists()

    def recipe(self) -> Recipe:
        """Read what is trained."""
        return Recipe.model_validate(read_json((self.path / _TASK).read_bytes()))

    def rows(self) -> Rows:
        """Map the rows into memory: of the files only what is looked at is read."""
        return Rows(**{name: np.load(self.path / f"{name}.npy", mmap_mode="r", allow_pickle=False)
                       for name in Rows.__dataclass_fields__})  # fmt: skip

    def scale(self, fold: int) -> Scale:
        """Read the scale of the numbers that the network of a fold is trained on."""
        return Scale(*np.load(self.path / f"scale-{fold}.npy", allow_pickle=False))

    # ------------------------------------------------------------------------------------------------ what is done

    def is_done(self, fold: int) -> bool:
        """Whether the network of a fold is trained."""
        return self._of_fold(fold).exists()

    def keep(self, fold: int, trained: Trained) -> None:
        """Write the network of a fold; its checkpoints are not needed any more."""
        from safetensors.numpy import save

        self._put(self._of_fold(fold).name, save({**trained.weights, "scores": trained.scores}))
        self._remove_steps(but=None)

    def trained(self, fold: int) -> Trained:
        """Read the network of a fold."""
        from safetensors.numpy import load

        tensors = load(self._of_fold(fold).read_bytes())
        return Trained(scores=tensors.pop("scores"), weights=tensors)

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint into a folder of its own, and only then point to it."""
        from safetensors.numpy import save

        name = f"fold-{checkpoint.fold}-step-{checkpoint.step}"
        beside = Path(mkdtemp(dir=self.path, prefix=f".{name}-"))
        _write(beside / _STATE, save(dict(checkpoint.tensors)))
        shutil.rmtree(self.path / name, ignore_errors=True)
        beside.rename(self.path / name)
        self._put(_LATEST, canonical_json({"fold": checkpoint.fold, "step": checkpoint.step}).encode())
        self._remove_steps(but=name)

    def latest(self, fold: int) -> Checkpoint | None:
        """Read the checkpoint that training of a fold can go on from; None where it has to begin."""
        from safetensors.numpy import load

        pointer = self.path / _LATEST
        if not pointer.exists():
            return None
        found = read_json(pointer.read_bytes())
        if found["fold"] != fold:
            return None
        state = self.path / f"fold-{fold}-step-{found['step']}" / _STATE
        return Checkpoint(fold, found["step"], load(state.read_bytes()))

    def progress(self) -> str:
        """Return what differs once training has come further, whatever it is."""
        done = sorted(path.name for path in self.path.glob("fold-*.safetensors"))
        pointer = self.path / _LATEST
        return f"{done} {pointer.read_text(encoding='utf-8') if pointer.exists() else ''}"

    def _of_fold(self, fold: int) -> Path:
        return self.path / f"fold-{fold}.safetensors"

    def _remove_steps(self, *, but: str | None) -> None:
        for folder in [*self.path.glob("fold-*-step-*"), *self.path.glob(".fold-*-step-*")]:
            if folder.name != but:
                shutil.rmtree(folder, ignore_errors=True)

    def _put(self, name: str, content: bytes) -> None:
        handle, beside = mkstemp(dir=self.path, prefix=f".{name}-")
        os.close(handle)
        _write(Path(beside), content)
        Path(beside).replace(self.path / name)
        _sync_folder(self.path)


def _write(file: Path, content: bytes) -> None:
    """Write bytes that are on the disk when this returns: what is pointed to has to outlive the machine."""
    with file.open("wb") as writing:
        writing.write(content)
        writing.flush()
        os.fsync(writing.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
