"""The code that trained a version: whether it is the running one, and otherwise getting it out of git to run it.

What belongs here: finding the sources of a recorded commit and running the refit beside them. What does not: the refit
(``rebuilding``), and what is compared afterwards (``reproduction``).

The sources are exported with ``git archive``, not checked out as a worktree: nothing is written to the repository, so
a killed run leaves nothing behind in it, and a repository that may only be read is enough.
"""

import io
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from readmission_platform.config.environment import PROJECT_ROOT
from readmission_platform.foundation.errors import BadInput, GovernanceError
from readmission_platform.lifecycle.training import rebuilding
from readmission_platform.lifecycle.training.rebuilding import Rebuilt

_COMMIT = re.compile(r"^[0-9a-f]{40}$")
_INSTEAD = "with --with-this-code the running code is used instead"
_PARTS = ("readmission_platform", "configs")


class RebuildFailed(GovernanceError):
    """The recorded code ended without a model; the message says how."""


def is_running(recorded: str | None, running: str) -> bool:
    """Tell whether the recorded code is surely the running one: uncommitted changes have no name to know them by."""
    return recorded is not None and recorded == running and not running.endswith("-dirty")


def sources_of(recorded: str | None, target: Path, *, repository: Path = PROJECT_ROOT) -> Path:
    """Export the sources of a recorded commit into a folder and return it.

    Raises
    ------
    BadInput
        When the recorded code cannot be restored; the message says why and what can be done instead.
    """
    if recorded is None:
        raise BadInput(f"the code version was not recorded; {_INSTEAD}")
    if recorded.endswith("-dirty"):
        raise BadInput(f"it was trained from {recorded[:12]} with uncommitted changes, which were not kept; {_INSTEAD}")
    if not _COMMIT.match(recorded):
        raise BadInput(f"the recorded code version {recorded} is not a commit, so git cannot restore it; {_INSTEAD}")
    try:
        exported = subprocess.run(
            ["git", "-C", str(repository), "archive", "--format=zip", recorded, *_PARTS],
            capture_output=True,
            check=False,
        )
    except OSError as error:
        raise BadInput(f"git is needed to bring back commit {recorded[:12]} and cannot be run; {_INSTEAD}") from error
    if exported.returncode != 0:
        raise BadInput(f"this checkout does not have the recorded commit {recorded[:12]}: fetch it, or {_INSTEAD}")
    with zipfile.ZipFile(io.BytesIO(exported.stdout)) as archive:
        archive.extractall(target)
    return target


def rebuild_with(
    sources: Path,
    package: str,
    features: pd.DataFrame,
    folds: np.ndarray,
    stored: bytes,
    *,
    settings: Mapping[str, Any],
    seed: int,
    progress: Callable[[str], None],
    folder: Path,
) -> Rebuilt:
    """Rebuild with the package found in a folder, in a process of the same interpreter.

    Parameters
    ----------
    sources
        Folder that holds the package ``readmission_platform``, inside of ``folder``.
    folder
        Where the rows are handed over, and the model taken back; whoever made it removes it.

    Raises
    ------
    RebuildFailed
        When the process ended without a model, or other code than that of the folder was run.
    """
    rebuilding.hand_over(
        folder, features, folds, stored, {"package": package, "settings": dict(settings), "seed": seed}
    )
    # -P: the folder of the program, full of names like "features", is not to be looked in for modules.
    command = [sys.executable, "-P", str(Path(rebuilding.__file__)), "."]
    # Named from inside of it, because a home may have a colon in its path, which separates the parts of PYTHONPATH.
    environment = {**os.environ, "PYTHONPATH": str(sources.relative_to(folder))}
    with (folder / "errors").open("w+", encoding="utf-8") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=folder, env=environment
        )
        with process:
            first, *_ = [_told(line, progress) for line in process.stdout or ()] or [""]
        if process.returncode != 0:
            errors.seek(0)
            raise RebuildFailed(f"the recorded code ended without a model: {_kind(errors.read())}")
    if first != f"code of {sources.resolve() / 'readmission_platform'}":
        raise RebuildFailed("code other than the recorded one was run; nothing can be concluded")
    return rebuilding.take_back(folder)


def _told(line: str, progress: Callable[[str], None]) -> str:
    progress(line.strip())
    return line.strip()


def _kind(errors: str) -> str:
    """Return the last error's type and not its text, which may quote a value."""
    lines = [line for line in errors.splitlines() if line and not line[0].isspace()]
    return lines[-1].split(":")[0] if lines else "no reason given"
