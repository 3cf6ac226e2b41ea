"""One of the processes that train a network, killed at a step: ``python -m ... FOLDER``, as the trainer is run.

``KILLED_RANK`` says which of them, ``KILLED_AT`` at which step; each process writes the steps that it reaches into the
folder. It is killed once: the next one that comes there goes on.
"""

import os
import sys
from pathlib import Path

from readmission_platform.models.neural.training import main
from readmission_platform_tests.support.interruption import kill_oneself, listen

KILLED = "killed"


def steps_of(folder: Path, rank: int) -> list[str]:
    """Return the steps that a process and its successors reached."""
    return (folder / f"steps-{rank}").read_text(encoding="utf-8").splitlines()


def kill_once(folder: Path) -> None:
    if not (folder / KILLED).exists():
        (folder / KILLED).touch()
        kill_oneself()


if __name__ == "__main__":
    task = Path(sys.argv[1])
    rank = os.environ.get("RANK", "0")
    last = os.environ["KILLED_AT"] if rank == os.environ["KILLED_RANK"] else None
    listen(last, task / f"steps-{rank}", lambda: kill_once(task))
    main(task)
