"""Reproduction: what was recorded of a version beside what came of fitting it once more.

What belongs here: rebuilding by the right code, and the comparison. What does not: what was recorded
(``recorded_version``), fitting (``rebuilding``), and how the code of a commit is brought back (``recorded_code``).
"""

import io
import platform
import shutil
import zipfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from readmission_platform.foundation.errors import BadInput, Conflict
from readmission_platform.foundation.steps import reached
from readmission_platform.governance.ledger.chain import Event
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.versions import VersionRecord, version_records
from readmission_platform.lifecycle.training.rebuilding import Rebuilt, rebuild
from readmission_platform.lifecycle.training.recorded_code import is_running, rebuild_with, sources_of
from readmission_platform.lifecycle.training.recorded_version import Recorded, settings_of
from readmission_platform.lifecycle.workspace import Workspace
from readmission_platform.storage.skops_content import content_digest
from readmission_platform.storage.working_folder import working_folder

REPRODUCED = "version_reproduced"
# Work lists show risks in tenths of a percent. A difference below half of that cannot move a shown risk by more than
# its last digit; anything larger is no rounding of another processor and wants an explanation.
TOLERANCE = 0.0005


def record_of(ledger: Ledger, version: str) -> VersionRecord:
    """Return the record of a version.

    Raises
    ------
    BadInput
        When there is none.
    """
    records = version_records(*ledger.snapshot())
    if version not in records:
        raise BadInput(f"there is no version {version} of {ledger.model}; `readmission status` lists them")
    return records[version]


def compared(recorded: Recorded, rebuilt: Rebuilt, *, tolerance: float) -> dict[str, Any]:
    """Compare what was recorded with what was rebuilt; the largest absolute difference of a risk decides."""
    parts = {
        "out_of_fold": (recorded.scores, rebuilt.scores),
        "test_entities": (rebuilt.stored_scores, rebuilt.test_scores),
    }
    apart = {name: _largest(one, other) for name, (one, other) in parts.items()}
    largest = max(apart.values())
    result = "identical" if largest == 0 else "within_tolerance" if largest <= tolerance else "differs"
    return {
        "result": result,
        "largest_difference": largest,
        "tolerance": tolerance,
        "compared": {name: {"rows": len(one), "largest_difference": apart[name]} for name, (one, _) in parts.items()},
        "artifact": {
            "recorded_digest": recorded.record.artifact_digest,
            # A skops file holds the minute of its making and addresses in memory, so its bytes are never the same.
            "same_bytes": rebuilt.model == recorded.artifact,
            "same_content": rebuilt.model == recorded.artifact or _same_content(rebuilt.model, recorded.artifact),
        },
        "data": {name: recorded.record.trained["data"][name] for name in ("table", "table_version", "digest")},
        "split_digest": recorded.record.split_digest,
        "seed": recorded.record.seed,
    }


def _same_content(*artifacts: bytes) -> bool:
    """Compare skops files; of other kinds of files only those with the same bytes have the same content."""
    if not all(zipfile.is_zipfile(io.BytesIO(artifact)) for artifact in artifacts):
        return False
    return len({content_digest(artifact) for artifact in artifacts}) == 1


def _largest(one: np.ndarray, other: np.ndarray) -> float:
    """Return the largest difference of two risks; what is no risk is as far apart as two risks can be."""
    return float(np.nan_to_num(np.abs(one - other), nan=1.0).max(initial=0.0))


def in_words(found: dict[str, Any]) -> str:
    """Say in one sentence how a reproduction ended."""
    counts = ", ".join(f"{part['rows']:,} {name.replace('_', ' ')}" for name, part in found["compared"].items())
    if found["result"] == "identical":
        return f"identical: every risk is the same to the last bit ({counts})"
    within = "within" if found["result"] == "within_tolerance" else "beyond"
    return f"largest difference {found['largest_difference']:.2g}, {within} {found['tolerance']:g} ({counts})"


def platform_facts(packages: Sequence[str]) -> dict[str, str]:
    """Return what else can make a difference: versions of Python and of these packages, and the kind of machine."""
    from importlib.metadata import version

    return {
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
        "system": platform.system(),
        "machine": platform.machine(),
    }


def keep(folder: Path, recorded: Recorded, rebuilt: Rebuilt) -> None:
    """Keep the rebuilt model and both sets of scores, by row number: no key of a row leaves the home.

    The folder is there with both or not at all, whenever this is interrupted.

    Raises
    ------
    Conflict
        When somebody else made a folder of that name meanwhile.
    BadInput
        When it cannot be written.
    """
    test = np.full(len(recorded.folds), np.nan)
    by_stored, by_rebuilt = test.copy(), test.copy()
    by_stored[recorded.folds == 0], by_rebuilt[recorded.folds == 0] = rebuilt.stored_scores, rebuilt.test_scores
    scores = pd.DataFrame({"fold": recorded.folds, "recorded": recorded.scores, "rebuilt": rebuilt.scores,
                           "stored_model": by_stored, "rebuilt_model": by_rebuilt})  # fmt: skip
    try:
        # Beside its place, because only within one file system does a folder get its name in one step.
        with working_folder(folder.parent, folder.name) as beside:
            (beside / Path(str(recorded.record.artifact_path)).name).write_bytes(rebuilt.model)
            reached("reproduction: model written")
            scores.to_csv(beside / "scores.csv", index_label="row")
            reached("reproduction: scores written")
            beside.rename(folder)
            reached("reproduction: kept")
    except OSError as error:
        if folder.exists():
            raise Conflict(f"--keep: somebody else made {folder} in the meantime; name a new folder") from error
        raise BadInput(f"--keep: {folder} cannot be made ({error.strerror})") from error


def check_keepable(folder: Path) -> None:
    """Refuse a folder that is there already, before anything is computed.

    Raises
    ------
    BadInput
        When it is there.
    """
    if folder.exists():
        raise BadInput(f"--keep: there is a {folder} already; name a new folder")


def put_on_record(
    found: dict[str, Any], recorded: Recorded, rebuilt: Rebuilt, workspace: Workspace, *, keep_in: Path | None
) -> Event:
    """Keep what was rebuilt, if that was asked for, and then record how the version was reproduced.

    Raises
    ------
    GovernanceError
        When it cannot be kept or recorded. What the ledger does not know of is not kept.
    """
    with ExitStack() as undoing:
        if keep_in is not None:
            keep(keep_in, recorded, rebuilt)
            undoing.callback(shutil.rmtree, keep_in, ignore_errors=True)
        with workspace.ledger() as ledger:
            event = ledger.append(REPRODUCED, found, actor=workspace.actor, version=recorded.record.version)
            undoing.pop_all()
    return event


def rebuilt_by(
    recorded: Recorded, workspace: Workspace, *, with_this_code: bool, progress: Callable[[str], None]
) -> tuple[Rebuilt, dict[str, str]]:
    """Rebuild by the recorded code, or by the running one where that was asked for; says which it was."""
    record, running = recorded.record, workspace.code_version
    if record.seed is None:
        raise BadInput(f"the seed of version {record.version} was not recorded")
    package, settings = str(record.trained["model"]["contract"]), settings_of(record)
    # Made in either case, because making it removes what a killed rebuild left: rows of the training table.
    with working_folder(workspace.settings.home, "rebuilding") as folder:
        if with_this_code or is_running(record.code_version, running):
            how = "recorded" if is_running(record.code_version, running) else "running"
            found = rebuild(
                package, recorded.features, recorded.folds, recorded.artifact, settings=settings, seed=record.seed,
                progress=progress,
            )  # fmt: skip
            return found, {"used": running, "which": how}
        sources = sources_of(record.code_version, folder / "code")
        progress(f"running the code of commit {record.code_version}; here it is {running}")
        found = rebuild_with(
            sources, package, recorded.features, recorded.folds, recorded.artifact, settings=settings,
            seed=record.seed, progress=progress, folder=folder,
        )  # fmt: skip
        reached("reproduction: rebuilt by the recorded code")
        return found, {"used": str(record.code_version), "which": "recorded"}
