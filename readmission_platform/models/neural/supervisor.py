"""Starting the processes that train, watching them, and starting them again when one was killed.

What belongs here: the processes, and the folder that they work in. What does not: what they do (``training``).

``torchrun`` could start its processes again by itself, and now and then hangs when it does. So it is told not to, ends
when a process dies, and is started again from here: training goes on from its latest checkpoint.
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from readmission_platform.foundation.errors import Unavailable
from readmission_platform.models.contract import Progress
from readmission_platform.models.neural.task import TaskFolder

# A folder that outlives the machine, where training is to go on after the machine was taken away (a spot node).
CHECKPOINTS = "READMISSION_CHECKPOINTS"
TRAINING = "readmission_platform.models.neural.training"
# Starts without any progress in between, after which another one would end as these did.
TRIES = 4
_LOOK_EVERY = 0.1
_GRACE = 30.0
# The last line of a traceback; PyTorch puts before it whose it is.
_ERROR = re.compile(r"^(?:\[rank\d+\]: )?([\w.]*(?:Error|Exception|Exit))\b", re.MULTILINE)
# Where the package lies, so that the processes run the same code as this one.
_SOURCES = Path(__file__).resolve().parents[3]


def check_installed() -> None:
    """Make sure that networks can be trained here; raises ``Unavailable`` where they cannot."""
    if find_spec("torch") is None:
        raise Unavailable('training a network needs PyTorch: run `make pytorch`, or pip install "torch>=2.9"; '
                          "scoring with one does not")  # fmt: skip


@contextmanager
def task_folder(name: str) -> Iterator[TaskFolder]:
    """Give a folder for a training, removed once that is done.

    Where ``READMISSION_CHECKPOINTS`` names a folder, it lies there under its name, which has to follow from what is
    trained: after a kill the next one that trains the same finds it. One at a time has it, others wait.
    """
    kept = os.environ.get(CHECKPOINTS)
    if not kept:
        with TemporaryDirectory(prefix="readmission-neural-") as temporary:
            yield TaskFolder(Path(temporary))
        return
    folder = Path(kept) / name
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (Path(kept) / f".{name}.lock").open("w") as lock:
        # Inherited by the processes: a folder in which they still work, though their supervisor died, is not free.
        os.set_inheritable(lock.fileno(), True)
        with suppress(OSError):  # some network file systems cannot lock; there two trainings would write the same
            fcntl.flock(lock, fcntl.LOCK_EX)
        folder.mkdir(mode=0o700, exist_ok=True)
        yield TaskFolder(folder)
        shutil.rmtree(folder, ignore_errors=True)


def train(task: TaskFolder, *, module: str = TRAINING, progress: Progress = lambda done, total: None) -> None:
    """Train every network of a folder.

    Parameters
    ----------
    module
        What the processes run, with the folder as argument.
    progress
        Called with folds done and folds in total.

    Raises
    ------
    Unavailable
        When the processes ended ``TRIES`` times in a row without having come any further.
    """
    recipe, tries = task.recipe(), 0
    told = _Told(task, recipe.folds, progress)
    while tries < TRIES:
        before = task.progress()
        code = _run(command_of(task.path, recipe.config.processes, module), task.path / "log", told.look)
        told.look()
        if code == 0:
            return
        tries = 1 if task.progress() != before else tries + 1
    raise Unavailable(f"training a network ended {TRIES} times in the same place ({_error_in(task.path / 'log')}); "
                      f"where {CHECKPOINTS} names a folder, what it said stays there")  # fmt: skip


def command_of(folder: Path, processes: int, module: str = TRAINING) -> list[str]:
    """Return the command that trains in a folder on this machine."""
    # One process has nobody to find.
    launcher = [] if processes == 1 else ["-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1",
                                          "--nproc-per-node", str(processes), "--max-restarts", "0"]  # fmt: skip
    return [sys.executable, *launcher, "-m", module, str(folder.resolve())]


class _Told:
    """Tells how many folds are done, each number once and in order."""

    def __init__(self, task: TaskFolder, folds: int, progress: Progress) -> None:
        self._task, self._folds, self._progress, self._done = task, folds, progress, 0

    def look(self) -> None:
        while self._done < self._folds and self._task.is_done(self._done):
            self._done += 1
            self._progress(self._done, self._folds)


def _run(command: list[str], log: Path, look: Callable[[], None]) -> int:
    """Run a command until it ends, and end it when this process is told to end; returns its exit code."""
    # What started this process through Pipes does not hear of its processes.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DAGSTER_PIPES_")}
    environment = {**inherited, "OMP_NUM_THREADS": "1", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    with log.open("wb") as said:
        # The folder with the package is the working folder, because Python looks there first; a path in PYTHONPATH
        # may not have a colon.
        process = subprocess.Popen(
            command, cwd=_SOURCES, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said, close_fds=False
        )
        try:
            while process.poll() is None:
                look()
                time.sleep(_LOOK_EVERY)
        finally:
            _end(process)
    return process.returncode


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command that still runs: torchrun ends its processes when it is asked to, not when it is killed."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _error_in(log: Path) -> str:
    """Return the type of the first error, not its text, which may quote a value."""
    said = _ERROR.search(log.read_text(encoding="utf-8", errors="replace"))
    return said[1] if said else "no reason given, as when the system ends a process for want of memory"
