"""Reproduction: a recorded version is fitted once more from what the ledger names, and its predictions compared.

What belongs here: the asset and the comparison. What does not: what was recorded (``recorded_version``),
fitting (``rebuilding``), and how the code of a commit is brought back (``recorded_code``).
"""

import hashlib
import platform
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
from pydantic import Field

from readmission_platform.assets.presentation import PLATFORM_TEAM, blocking_specs, check_result
from readmission_platform.foundation.errors import BadInput
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.versions import VersionRecord, version_records
from readmission_platform.lifecycle.training.rebuilding import Rebuilt, rebuild
from readmission_platform.lifecycle.training.recorded_code import is_running, rebuild_with, sources_of
from readmission_platform.lifecycle.training.recorded_version import Recorded, gather, settings_of
from readmission_platform.resources.lake import LakeResource
from readmission_platform.resources.project import ProjectResource
from readmission_platform.resources.tracking import TrackingResource
from readmission_platform.storage.skops_content import content_digest

REPRODUCED = "version_reproduced"
# Work lists show risks in tenths of a percent. A difference below half of that cannot move a shown risk by more than
# its last digit; anything larger is no rounding of another processor and wants an explanation.
TOLERANCE = 0.0005
CHECKS = {"predictions_reproduced": "The model, fitted once more as recorded, predicts what was recorded."}


class ReproductionConfig(dg.Config):
    """Which version to reproduce, and how."""

    version: str = Field(description="Version to reproduce.")
    tolerance: float = Field(
        default=TOLERANCE, ge=0, lt=1, description="Largest difference of a risk that is accepted."
    )
    with_this_code: bool = Field(default=False, description="Use the running code where it is not the recorded one.")
    keep: str | None = Field(default=None, description="New folder for the rebuilt model and both sets of scores.")


@dg.asset(
    group_name="validation",
    owners=[PLATFORM_TEAM],
    kinds={"scikitlearn"},
    code_version="1",
    pool="training",
    deps=["candidate_model"],
    check_specs=blocking_specs("reproduction", CHECKS),
)
def reproduction(
    context: dg.AssetExecutionContext,
    config: ReproductionConfig,
    project: ProjectResource,
    tracking: TrackingResource,
    lake: LakeResource,
) -> dg.MaterializeResult:
    """A recorded version, fitted once more from its recorded data, split, settings, seed and code.

    The out-of-fold risks are compared with the evidence rows, those of the test patients with the stored model's.
    On the same kind of machine they are identical; otherwise the largest difference is held against a tolerance. The
    result goes into the ledger. Launch reproduction_job with a version, or use `readmission reproduce VERSION`.
    """
    with project.ledger() as ledger:
        record = record_of(ledger, config.version)
    recorded = gather(record, lake.open(), tracking.root, project.pseudonym_key)
    rebuilt, code = _rebuilt(recorded, project, config.with_this_code, context.log.info)
    found = compared(recorded, rebuilt, tolerance=config.tolerance) | {
        "run_id": context.run.run_id,
        "code": {"recorded": record.code_version, **code},
        "platform": platform_facts(),
    }
    if config.keep is not None:
        keep(Path(config.keep), recorded, rebuilt)
    with project.ledger() as ledger:
        ledger.append(REPRODUCED, found, actor=project.actor, version=record.version)
    return dg.MaterializeResult(
        metadata={"model version": record.version, "result": found["result"].replace("_", " "),
                  "largest difference": found["largest_difference"], "tolerance": config.tolerance,
                  "artifact": found["artifact"], "code": found["code"], "platform": found["platform"]},
        tags={"model_version": record.version},
        check_results=[
            check_result("predictions_reproduced", found["result"] != "differs", observed=in_words(found),
                         rule=CHECKS["predictions_reproduced"],
                         action="Compare platform and code in the ledger; on the same machine and code, find out what "
                         "was left to chance. Until it is explained, this version's evidence stands on its record."),
        ],
    )  # fmt: skip


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
        "test_patients": (rebuilt.stored_scores, rebuilt.test_scores),
    }
    apart = {name: _largest(one, other) for name, (one, other) in parts.items()}
    largest = max(apart.values())
    result = "identical" if largest == 0 else "within_tolerance" if largest <= tolerance else "differs"
    return {
        "result": result,
        "largest_difference": largest,
        "tolerance": tolerance,
        "compared": {
            name: {"encounters": len(one), "largest_difference": apart[name]} for name, (one, _) in parts.items()
        },
        "artifact": {
            "recorded_digest": recorded.record.artifact_digest,
            # A skops file holds the minute of its making and addresses in memory, so its bytes are never the same.
            "same_bytes": hashlib.sha256(rebuilt.model).digest() == hashlib.sha256(recorded.artifact).digest(),
            "same_content": content_digest(rebuilt.model) == content_digest(recorded.artifact),
        },
        "data": {name: recorded.record.trained["data"][name] for name in ("table", "table_version", "digest")},
        "split_digest": recorded.record.split_digest,
        "seed": recorded.record.seed,
    }


def _largest(one: np.ndarray, other: np.ndarray) -> float:
    """Return the largest difference of two risks; what is no risk is as far apart as two risks can be."""
    return float(np.nan_to_num(np.abs(one - other), nan=1.0).max(initial=0.0))


def in_words(found: dict[str, Any]) -> str:
    """Say in one sentence how a reproduction ended."""
    counts = ", ".join(f"{part['encounters']:,} {name.replace('_', ' ')}" for name, part in found["compared"].items())
    if found["result"] == "identical":
        return f"identical: every risk is the same to the last bit ({counts})"
    within = "within" if found["result"] == "within_tolerance" else "beyond"
    return f"largest difference {found['largest_difference']:.2g}, {within} {found['tolerance']:g} ({counts})"


def platform_facts() -> dict[str, str]:
    """Return what else can make a difference: versions and the kind of machine."""
    from importlib.metadata import version

    return {
        "python": platform.python_version(),
        **{package: version(package) for package in ("numpy", "pandas", "scikit-learn", "scipy")},
        "system": platform.system(),
        "machine": platform.machine(),
    }


def keep(folder: Path, recorded: Recorded, rebuilt: Rebuilt) -> None:
    """Keep the rebuilt model and both sets of scores, by row number: no key of an encounter leaves the home.

    Raises
    ------
    BadInput
        When the folder is there already or cannot be written.
    """
    test = np.full(len(recorded.folds), np.nan)
    by_stored, by_rebuilt = test.copy(), test.copy()
    by_stored[recorded.folds == 0], by_rebuilt[recorded.folds == 0] = rebuilt.stored_scores, rebuilt.test_scores
    scores = pd.DataFrame({"fold": recorded.folds, "recorded": recorded.scores, "rebuilt": rebuilt.scores,
                           "stored_model": by_stored, "rebuilt_model": by_rebuilt})  # fmt: skip
    try:
        folder.mkdir(parents=True)
        (folder / "model.skops").write_bytes(rebuilt.model)
        scores.to_csv(folder / "scores.csv", index_label="row")
    except OSError as error:
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


def _rebuilt(
    recorded: Recorded, project: ProjectResource, with_this_code: bool, progress: Callable[[str], None]
) -> tuple[Rebuilt, dict[str, str]]:
    """Rebuild by the recorded code, or by the running one where that was asked for; says which it was."""
    record, running = recorded.record, project.code_version
    if record.seed is None:
        raise BadInput(f"the seed of version {record.version} was not recorded")
    if with_this_code or is_running(record.code_version, running):
        settings = settings_of(record, project.model)
        how = "recorded" if is_running(record.code_version, running) else "running"
        found = rebuild(
            recorded.features, recorded.folds, recorded.artifact, settings=settings, seed=record.seed, progress=progress
        )
        return found, {"used": running, "which": how}
    with tempfile.TemporaryDirectory(prefix="readmission-code-") as name:
        sources = sources_of(record.code_version, Path(name))
        progress(f"running the code of commit {record.code_version}; here it is {running}")
        found = rebuild_with(
            sources, recorded.features, recorded.folds, recorded.artifact,
            settings=settings_of(record, sources), seed=record.seed, progress=progress, scratch=project.settings.home,
        )  # fmt: skip
    return found, {"used": str(record.code_version), "which": "recorded"}
