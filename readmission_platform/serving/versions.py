"""A version that answers: its artifact verified, its compiled form loaded, warm, and giving what it gave at training.

What belongs here: from a record of the ledger to something that scores. What does not: which version that is
(``following``), and scoring itself (``models``).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from readmission_platform.governance.ledger.versions import VersionRecord
from readmission_platform.lifecycle.workspace import Workspace
from readmission_platform.models.contract import RowScorer
from readmission_platform.models.probes import probe_risks
from readmission_platform.models.single_rows import ArtifactRowScorer
from readmission_platform.storage.artifacts import ArtifactRefused, load_artifact, verified_content

# Risks of the probes may differ by so much from those at training: another processor rounds exponentials otherwise.
SAME = 1e-12


@dataclass(frozen=True)
class ReadyVersion:
    """A version that is ready to answer.

    ``compiled`` is false where its contract compiles nothing and rows are scored with the artifact itself.
    """

    version: str
    artifact_digest: str
    cohort_version: int
    scorer: RowScorer
    compiled: bool
    auroc: float | None


def load_version(workspace: Workspace, record: VersionRecord) -> ReadyVersion:
    """Load a version and have it answer its probes.

    Raises
    ------
    ArtifactRefused
        When a stored file is missing or is not the one that the ledger recorded, or the probes' risks are others than
        at training.
    """
    contract, root = workspace.contract, workspace.registry.root
    path, digest = str(record.artifact_path), str(record.artifact_digest)
    rows = record.rows
    if contract.rows is None or rows is None:
        scorer: RowScorer = ArtifactRowScorer(contract, load_artifact(contract.estimator, root, path, digest=digest))
        compiled = False
    else:
        verified_content(root, path, digest=digest)
        content = verified_content(root, str(rows["path"]), digest=str(rows["digest"]))
        try:
            scorer = contract.rows.load(content)
        except ValueError as error:
            raise ArtifactRefused(f"what version {record.version} scores single rows with cannot be read") from error
        compiled = True
        check_probes(probe_risks(contract, scorer), rows["probes"], version=record.version)
    return ReadyVersion(
        record.version, digest, record.cohort_version, scorer, compiled, (record.auroc or {}).get("value")
    )


def check_probes(found: Sequence[float | None], recorded: Sequence[float | None], *, version: str) -> None:
    """Refuse a version whose probes have other risks than at training."""
    same = len(found) == len(recorded) and all(
        (one is None) == (other is None) and (one is None or math.isclose(one, float(other or 0), abs_tol=SAME))
        for one, other in zip(found, recorded, strict=False)
    )
    if not same:
        raise ArtifactRefused(f"version {version} gives other risks here than when it was trained")
