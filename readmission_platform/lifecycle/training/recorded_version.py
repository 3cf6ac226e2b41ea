"""What a recorded version was made from: data, split, settings, evidence and artifact, each digest verified.

What belongs here: finding and reading it again. What does not: making a second model of it (``reproduction``).
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from readmission_platform.foundation.errors import BadInput, GovernanceError, Unavailable
from readmission_platform.foundation.frames import frame_digest
from readmission_platform.foundation.pseudonyms import pseudonyms
from readmission_platform.governance.ledger.versions import VersionRecord
from readmission_platform.lifecycle.versions.version_facts import evidence_rows
from readmission_platform.lifecycle.workspace import Workspace
from readmission_platform.storage.lake import TableMissing
from readmission_platform.storage.tables import ModelLake


class NotReproducible(GovernanceError):
    """What the version was made from is not what the ledger recorded, so a second model would prove nothing."""

    exit_code = 3


@dataclass(frozen=True)
class Recorded:
    """What a version was made from, each digest verified, and what came of it.

    Attributes
    ----------
    features, folds
        Rows and folds in the order of training, shapes (rows, columns) and (rows,).
    scores
        Out-of-fold risks of the evidence rows in the same order, shape (rows,).
    artifact
        The stored model's bytes.
    """

    record: VersionRecord
    features: pd.DataFrame
    folds: np.ndarray
    scores: np.ndarray
    artifact: bytes


def gather(record: VersionRecord, workspace: Workspace) -> Recorded:
    """Read what a version was made from and what came of it, and verify the digest of each.

    Raises
    ------
    BadInput
        When it keeps the model of another version, which is the one that was made from data.
    Unavailable
        When the lake or the artifact is out of reach.
    NotReproducible
        When something is not as recorded.
    """
    if record.keeps_model_of:
        raise BadInput(f"version {record.version} keeps the model of version {record.keeps_model_of} and corrects its "
                       f"risks: ask for version {record.keeps_model_of}")  # fmt: skip
    lake = workspace.lake
    features, folds = _verified(lake, record.trained["data"]), _verified(lake, record.trained["split"])
    if not features[lake.row].equals(folds[lake.row]):
        raise NotReproducible("data and split are of different rows")
    rows = _verified_rows(lake, record).set_index("row_key")["score"]
    keys = pseudonyms(features[lake.row], workspace.pseudonym_key, purpose=lake.contract.words.row)
    if set(keys) != set(rows.index):
        raise NotReproducible("the evidence rows belong to other rows, or the secret of the pseudonyms is different")
    artifact = _artifact_bytes(record, workspace.registry.root)
    return Recorded(record, features, folds["fold"].to_numpy(), rows.loc[keys].to_numpy(), artifact)


def settings_of(record: VersionRecord) -> dict[str, Any]:
    """Return the settings that the version was trained with."""
    return dict(record.trained["recipe"]["settings"])


def _verified(lake: ModelLake, recorded: dict[str, Any]) -> pd.DataFrame:
    with _lake_in_reach():
        frame = lake.read(recorded["table"], version=recorded["table_version"])
    if frame_digest(frame) != recorded["digest"]:
        raise NotReproducible(
            f"version {recorded['table_version']} of {recorded['table']} is not what was recorded: it was changed"
        )
    return frame


def _verified_rows(lake: ModelLake, record: VersionRecord) -> pd.DataFrame:
    from readmission_platform.evaluation.estimates.rows import InvalidEvidence, digest_rows

    rows = evidence_rows(lake, record)
    if rows is None:
        raise Unavailable(f"the evidence rows of version {record.version} are not in the lake: restore them")
    try:
        same = digest_rows(rows, lake.contract.evidence) == record.evidence_digest
    except InvalidEvidence:
        same = False
    if not same:
        raise NotReproducible(f"the evidence rows of version {record.version} were changed")
    return rows


def _artifact_bytes(record: VersionRecord, root: Path) -> bytes:
    try:
        content = (root / str(record.artifact_path)).read_bytes()
    except OSError as error:
        raise Unavailable(f"the model file of version {record.version} cannot be read: restore it") from error
    if "sha256:" + hashlib.sha256(content).hexdigest() != record.artifact_digest:
        raise NotReproducible(f"the model file of version {record.version} was changed")
    return content


@contextmanager
def _lake_in_reach() -> Iterator[None]:
    """Turn what the lake says of tables that are gone into what it says of damaged ones: restore them."""
    try:
        yield
    except TableMissing as error:
        raise Unavailable(f"{error}: restore the lake from a backup") from error
