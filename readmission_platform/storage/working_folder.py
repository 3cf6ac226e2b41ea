"""Folders that one process works in: gone afterwards, or put in place whole by renaming them.

What belongs here: making such a folder, and removing what killed processes left. What does not: what is made in it.

Whoever works in a folder holds a lock on it, which goes with the process. A folder that nobody holds was left behind.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from tempfile import mkdtemp


@contextmanager
def working_folder(parent: Path, name: str) -> Iterator[Path]:
    """Make a hidden folder of this process's own; it is removed at the end, unless it was renamed.

    What killed processes left of the same name is removed first.

    Raises
    ------
    OSError
        When no folder can be made there.
    """
    parent.mkdir(parents=True, exist_ok=True)
    _remove_left_behind(parent, name)
    folder, handle = _own(parent, name)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def _prefix(name: str) -> str:
    return f".{name}.unfinished-"


def _own(parent: Path, name: str) -> tuple[Path, int]:
    """Make a folder and lock it; one that somebody took for left behind before it was locked is made again."""
    while True:
        folder = Path(mkdtemp(dir=parent, prefix=_prefix(name)))
        with suppress(FileNotFoundError):
            handle = os.open(folder, os.O_RDONLY)
            # Where folders cannot be locked, as on some network file systems, nobody takes one for left behind either.
            with suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_SH)
            if folder.exists():
                return folder, handle
            os.close(handle)


def _remove_left_behind(parent: Path, name: str) -> None:
    for folder in parent.glob(f"{escape(_prefix(name))}*"):
        with suppress(OSError):  # somebody else removed it, or it is not ours to remove
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(handle)
