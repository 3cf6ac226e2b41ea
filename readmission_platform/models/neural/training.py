"""What ``torchrun`` runs: each process trains its share of every step, and goes on from the latest checkpoint.

    python -m torch.distributed.run --nproc-per-node 2 ... -m readmission_platform.models.neural.training FOLDER

What belongs here: everything that needs PyTorch. What does not: starting these processes (``supervisor``).

The order of the rows is drawn from seed, fold and epoch, what is left out from seed, fold and step, and the learning
rate follows from the step. So a step is the same whoever does it, however many share it, and after a resumption.
"""

import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from dagster_pipes import DAGSTER_PIPES_CONTEXT_ENV_VAR, open_dagster_pipes

from readmission_platform.foundation.steps import reached
from readmission_platform.models.neural.model import shapes_of
from readmission_platform.models.neural.settings import NeuralConfig
from readmission_platform.models.neural.task import Checkpoint, Recipe, Rows, TaskFolder, Trained

# A process whose fellow has died is told by torchrun; this is for when torchrun cannot.
_PATIENCE = timedelta(minutes=10)
# Of the optimiser, as its authors have them.
_FADING, _LEAST_SPREAD = (0.9, 0.999), 1e-8
# Rows scored at a time.
_BLOCK = 65_536
# What is drawn: each kind from a sequence of its own.
_WEIGHTS, _ORDER, _LEFT_OUT = range(3)


@dataclass(frozen=True)
class Process:
    """One of the processes that share a training, and where it computes."""

    rank: int
    count: int
    device: str

    @classmethod
    def join(cls) -> "Process":
        """Join the others, as torchrun's environment says; without it this one is alone."""
        import torch

        # A second thread would change how sums are rounded, and cores are for processes.
        torch.set_num_threads(1)
        rank, count, local, beside = (int(os.environ.get(name, default)) for name, default in
                                      (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"),
                                       ("LOCAL_WORLD_SIZE", "1")))  # fmt: skip
        on_gpu = torch.cuda.device_count() >= beside and torch.cuda.is_available()
        if on_gpu:
            torch.cuda.set_device(local)
            # On a CPU everything used here is; asking for it would import PyTorch's compiler, two seconds.
            torch.use_deterministic_algorithms(True)
        if count > 1:
            torch.distributed.init_process_group("nccl" if on_gpu else "gloo", timeout=_PATIENCE)
        return cls(rank, count, f"cuda:{local}" if on_gpu else "cpu")

    def leave(self) -> None:
        """Take leave of the others."""
        import torch

        if self.count > 1:
            torch.distributed.destroy_process_group()

    def share(self, batch: np.ndarray) -> np.ndarray:
        """Return this process's part of a batch."""
        return np.array_split(batch, self.count)[self.rank]


@dataclass(frozen=True)
class Share:
    """One process's part of a step: its rows and their place in the batch, and how many rows the batch has."""

    rows: np.ndarray
    places: np.ndarray
    of: int


def main(folder: Path) -> None:
    """Train the network of every fold that is not trained yet, into the folder."""
    task = TaskFolder(folder)
    recipe, rows, process = task.recipe(), task.rows(), Process.join()
    with _telling_dagster(process) as tell:
        for fold in range(recipe.folds):
            if not task.is_done(fold):
                FoldTraining(task, recipe, rows, process, fold).run()
            tell(f"fold {fold + 1} of {recipe.folds} trained")
    process.leave()


@contextmanager
def _telling_dagster(process: Process) -> Iterator[Callable[[str], object]]:
    """Give what tells Dagster a line, where it started this through Pipes; one of the processes speaks for all."""
    if process.rank != 0 or DAGSTER_PIPES_CONTEXT_ENV_VAR not in os.environ:
        yield lambda line: None
        return
    with open_dagster_pipes() as pipes:
        yield pipes.log.info


class FoldTraining:
    """Training of one fold's network, in one process."""

    def __init__(self, task: TaskFolder, recipe: Recipe, rows: Rows, process: Process, fold: int) -> None:
        self.task, self.recipe, self.config, self.process, self.fold = task, recipe, recipe.config, process, fold
        self.rows, self.scale = rows, task.scale(fold)
        self.training_rows = np.flatnonzero(np.asarray(rows.folds) != fold)
        self.network = network_of(self._first_weights(), self.config).to(process.device)
        self.optimiser = AdamW(dict(self.network.named_weights()), self.config.weight_decay)
        self.starter = os.getppid()
        self._ordered: tuple[int, np.ndarray] = (-1, self.training_rows)

    def run(self) -> None:
        """Train from the latest checkpoint, or from the beginning."""
        import torch

        start = self._resume()
        # Joined after every process has read where it goes on from: before that none can do a step.
        shared: Any = self.network
        if self.process.count > 1:
            shared = torch.nn.parallel.DistributedDataParallel(self.network)
        steps = self._steps()
        for step in range(start, steps):
            self._check_wanted()
            self._do(shared, step, steps)
            if (step + 1) % self.config.checkpoint_every == 0 and step + 1 < steps:
                self._save(step + 1)
            reached(f"neural: fold {self.fold}, step {step + 1}")
        if self.process.rank == 0:
            self.task.keep(self.fold, Trained(self._weights(), self._held_out_scores()))
        reached(f"neural: fold {self.fold} trained")

    # ------------------------------------------------------------------------------------------------------- steps

    def _steps(self) -> int:
        return self.config.epochs * math.ceil(len(self.training_rows) / self.config.batch_rows)

    def _share(self, step: int) -> Share:
        """Return which rows of a step are this process's."""
        size = self.config.batch_rows
        epoch, batch = divmod(step, math.ceil(len(self.training_rows) / size))
        if self._ordered[0] != epoch:
            self._ordered = (epoch, self._drawn(_ORDER, epoch).permutation(self.training_rows))
        chosen = self._ordered[1][batch * size : (batch + 1) * size]
        places = self.process.share(np.arange(len(chosen)))
        return Share(chosen[places], places, len(chosen))

    def _do(self, shared: Any, step: int, steps: int) -> None:
        import torch

        share = self._share(step)
        seen = self._seen(share.rows)
        labels = torch.from_numpy(np.asarray(self.rows.labels[share.rows], dtype="float32")).to(self.process.device)
        self.network.zero_grad(set_to_none=True)
        on_gpu = self.process.device != "cpu"
        with torch.autocast("cuda", torch.bfloat16, enabled=on_gpu and self.config.precision == "bfloat16"):
            log_odds = shared(*seen, self._kept(share, step))
        # The processes' gradients are averaged, and each has the sum over its rows: so the mean is that of the batch.
        loss = torch.nn.functional.binary_cross_entropy_with_logits(log_odds.float(), labels, reduction="sum")
        (loss * (self.process.count / share.of)).backward()
        self.optimiser.step(step + 1, self.config.learning_rate * 0.5 * (1 + math.cos(math.pi * step / steps)))

    def _seen(self, rows: np.ndarray) -> tuple[Any, Any]:
        """Return what the network sees of rows: standardised numbers, and places of texts."""
        import torch

        numbers = self.scale.standardised(np.asarray(self.rows.numbers[rows])).astype("float32")
        places = np.asarray(self.rows.places[rows]).astype("int64")
        return torch.from_numpy(numbers).to(self.process.device), torch.from_numpy(places).to(self.process.device)

    def _kept(self, share: Share, step: int) -> list[Any]:
        """Return for each hidden layer which units are kept, and by how much they count; nothing where all are.

        Drawn for the whole batch, so that it makes no difference who has which rows.
        """
        import torch

        if not self.config.dropout:
            return []
        drawing, kept = self._drawn(_LEFT_OUT, step), 1 - self.config.dropout
        masks = [(drawing.random((share.of, units)) < kept)[share.places] / kept for units in self.config.hidden]
        return [torch.from_numpy(mask.astype("float32")).to(self.process.device) for mask in masks]

    def _drawn(self, *what: int) -> np.random.Generator:
        return np.random.default_rng([self.recipe.seed, self.fold, *what])

    def _check_wanted(self) -> None:
        """End when whoever started this process is gone: nobody would take what comes of it."""
        if os.getppid() != self.starter:
            raise SystemExit("the process that started this one is gone")

    # ------------------------------------------------------------------------------------------- weights and files

    def _first_weights(self) -> dict[str, np.ndarray]:
        """Draw the first weights: He et al. 2015.

        What a text or a missing number adds begins at nothing, and stays there where training has none.
        """
        drawing = self._drawn(_WEIGHTS)
        columns, found = self.recipe.columns, {}
        for name, shape in shapes_of(columns, self.config.hidden).items():
            drawn = drawing.standard_normal(shape) * math.sqrt(2 / shape[-1])
            found[name] = (drawn if name.endswith(".weight") else np.zeros(shape)).astype("float32")
        numbers = len(columns.numbers)
        found["layer.0.weight"][:, numbers : 2 * numbers] = 0
        return found

    def _resume(self) -> int:
        """Take up the latest checkpoint of this fold; returns how many steps are done."""
        import torch

        found = self.task.latest(self.fold)
        if found is None:
            return 0
        with torch.no_grad():
            for name, tensor in self._state().items():
                tensor.copy_(torch.from_numpy(found.tensors[name]))
        reached(f"neural: fold {self.fold} resumed at step {found.step}")
        return found.step

    def _save(self, step: int) -> None:
        if self.process.rank == 0:
            tensors = {name: _on_cpu(tensor) for name, tensor in self._state().items()}
            self.task.save(Checkpoint(self.fold, step, tensors))

    def _state(self) -> dict[str, Any]:
        """Return the tensors that a step changes, by name."""
        return {**dict(self.network.named_weights()), **self.optimiser.state()}

    def _weights(self) -> dict[str, np.ndarray]:
        return {name: _on_cpu(parameter) for name, parameter in self.network.named_weights()}

    def _held_out_scores(self) -> np.ndarray:
        """Score the rows of this fold as PyTorch does, to be compared with what scores in production."""
        import torch

        held_out = np.flatnonzero(np.asarray(self.rows.folds) == self.fold)
        with torch.no_grad():
            found = [torch.sigmoid(self.network(*self._seen(held_out[start : start + _BLOCK]), []).double())
                     for start in range(0, len(held_out), _BLOCK)]  # fmt: skip
        return np.concatenate([_on_cpu(part) for part in found]) if found else np.empty(0)


class AdamW:
    """The optimiser of Loshchilov and Hutter 2019, as ``torch.optim.AdamW`` is by default.

    PyTorch's own imports its compiler, which takes longer than training a small network, and numbers steps by itself.

    Attributes
    ----------
    means, squares
        Running means of each weight's gradient and of its square, by the name of the weight.
    """

    def __init__(self, weights: Mapping[str, Any], decay: float) -> None:
        import torch

        self._weights, self._decay = weights, decay
        self.means = {name: torch.zeros_like(weight) for name, weight in weights.items()}
        self.squares = {name: torch.zeros_like(weight) for name, weight in weights.items()}

    def state(self) -> dict[str, Any]:
        """Return what the next step depends on besides weights and gradients, by name."""
        return {f"{kind}.{name}": tensor for kind in ("means", "squares")
                for name, tensor in getattr(self, kind).items()}  # fmt: skip

    def step(self, number: int, rate: float) -> None:
        """Do a step, numbered from 1, at a learning rate."""
        import torch

        with torch.no_grad():
            for name, weight in self._weights.items():
                mean, square = self.means[name], self.squares[name]
                mean.lerp_(weight.grad, 1 - _FADING[0])
                square.mul_(_FADING[1]).addcmul_(weight.grad, weight.grad, value=1 - _FADING[1])
                spread = square.sqrt().div_(math.sqrt(1 - _FADING[1] ** number)).add_(_LEAST_SPREAD)
                weight.mul_(1 - rate * self._decay).addcdiv_(mean, spread, value=-rate / (1 - _FADING[0] ** number))


def network_of(first: Mapping[str, np.ndarray], config: NeuralConfig) -> Any:
    """Return a network with these weights, a ``torch.nn.Module`` of standardised numbers and places of texts."""
    import torch

    class Network(torch.nn.Module):  # type: ignore[misc]  # PyTorch need not be installed to check types
        def __init__(self) -> None:
            super().__init__()
            # PyTorch's names of parameters have no dots.
            self.held = torch.nn.ParameterDict(
                {name.replace(".", "_"): torch.nn.Parameter(torch.from_numpy(first[name].copy())) for name in first}
            )

        def named_weights(self) -> Iterator[tuple[str, Any]]:
            return ((name, self.held[name.replace(".", "_")]) for name in first)

        def forward(self, numbers: Any, places: Any, kept: list[Any]) -> Any:
            held = self.held
            texts = [torch.nn.functional.embedding(places[:, column], held[f"text_{column}"])
                     for column in range(places.shape[1])]  # fmt: skip
            seen = torch.cat([numbers, *texts], dim=1)
            for layer in range(len(config.hidden) + 1):
                seen = torch.nn.functional.linear(seen, held[f"layer_{layer}_weight"], held[f"layer_{layer}_bias"])
                if layer < len(config.hidden):
                    seen = torch.relu(seen)
                    seen = seen * kept[layer] if kept else seen
            return seen[:, 0]

    return Network()


def _on_cpu(tensor: Any) -> np.ndarray:
    return np.array(tensor.detach().cpu().numpy())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
