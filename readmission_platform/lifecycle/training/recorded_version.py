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
from pydantic import BaseModel, ConfigDict

from readmission_platform.config.files import read_yaml
from readmission_platform.config.model import ModelConfig
from readmission_platform.foundation.errors import BadInput, GovernanceError, Unavailable
from readmission_platform.foundation.frames import frame_digest
from readmission_platform.foundation.values import digest_of
from readmission_platform.governance.ledger.versions import VersionRecord
from readmission_platform.lifecycle.versions.version_facts import evidence_rows
from readmission_platform.models.readmission_30d.evidence import SCHEMA
from readmission_platform.storage.lake import Lake, TableMissing


class NotReproducible(GovernanceError):
    """What the version was made from is not what the ledger recorded, so a second model would prove nothing."""

    exit_code = 3


@dataclass(frozen=True)
class Recorded:
    """What a version was made from, each digest verified, and what came of it.

    Attributes
    ----------
    features, folds
        Rows and folds in the order of training, shapes (encounters, columns) and (encounters,).
    scores
        Out-of-fold risks of the evidence rows in the same order, shape (encounters,).
    artifact
        The stored model's bytes.
    """

    record: VersionRecord
    features: pd.DataFrame
    folds: np.ndarray
    scores: np.ndarray
    artifact: bytes


class _OlderSettings(BaseModel):
    """What a ``model.yaml`` of any time says of the recipe; the rest of the file is of no interest."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    boosting: dict[str, int | float]  # whole numbers stay whole: scikit-learn asks for a count of trees
    target_smoothing: float | None = None


def gather(record: VersionRecord, lake: Lake, artifacts: Path, key: bytes) -> Recorded:
    """Read what a version was made from and what came of it, and verify the digest of each.

    Parameters
    ----------
    artifacts
        Folder that artifact paths are relative to.
    key
        The secret that pseudonyms are keyed with: by it rows and encounters find each other.

    Raises
    ------
    BadInput
        When the ledger does not say from what it was made.
    Unavailable
        When the lake or the artifact is out of reach.
    NotReproducible
        When something is not as recorded.
    """
    from readmission_platform.foundation.pseudonyms import pseudonyms

    data, split = record.trained.get("data"), _split_of(record, lake)
    if not (isinstance(data, dict) and isinstance(data.get("table_version"), int)):
        raise BadInput(f"the data of version {record.version} were not recorded by table version")
    features, folds = _verified(lake, data), _verified(lake, split)
    if not features["encounter_id"].equals(folds["encounter_id"]):
        raise NotReproducible("data and split are of different encounters")
    rows = _verified_rows(lake, record).set_index("row_key")["score"]
    keys = pseudonyms(features["encounter_id"], key, purpose="encounter")
    if set(keys) != set(rows.index):
        raise NotReproducible("the evidence rows are of other encounters, or the secret of the pseudonyms is another")
    artifact = _artifact_bytes(record, artifacts)
    return Recorded(record, features, folds["fold"].to_numpy(), rows.loc[keys].to_numpy(), artifact)


def settings_of(record: VersionRecord, origin: ModelConfig | Path) -> dict[str, Any]:
    """Return the recorded settings; older versions recorded only a digest of the file they stood in.

    Parameters
    ----------
    origin
        Where older versions' settings are: the sources of the recorded commit, or the running configuration.

    Raises
    ------
    BadInput
        When the settings were not recorded and the running configuration is another one.
    """
    recorded = (record.trained.get("recipe") or {}).get("settings")
    if isinstance(recorded, dict):
        return recorded
    if isinstance(origin, Path):
        older = read_yaml(origin / "configs" / "model.yaml", _OlderSettings)
        return older.model_dump(exclude_none=True)
    if digest_of(origin) != record.trained.get("model_config"):
        raise BadInput(
            f"the settings of version {record.version} were not recorded, and configs/model.yaml is not that of its "
            "training: put that one back, or leave out --with-this-code"
        )
    return origin.fit_settings


def _split_of(record: VersionRecord, lake: Lake) -> dict[str, Any]:
    """Return where the split is; older versions recorded its digest alone, so it is looked for."""
    recorded = record.trained.get("split")
    if isinstance(recorded, dict):
        return recorded
    table = "patient_split"
    with _lake_in_reach():
        for number in range(lake.open(table).version(), -1, -1):
            if lake.commit_metadata(table, number).get("readmission.digest") == record.split_digest:
                return {"table": table, "table_version": number, "digest": record.split_digest}
    raise BadInput(f"the split of version {record.version} is not recorded, and no version of {table} has its digest")


def _verified(lake: Lake, recorded: dict[str, Any]) -> pd.DataFrame:
    with _lake_in_reach():
        frame = lake.read(recorded["table"], version=recorded["table_version"])
    if frame_digest(frame) != recorded["digest"]:
        raise NotReproducible(
            f"version {recorded['table_version']} of {recorded['table']} is not what was recorded: it was changed"
        )
    return frame


def _verified_rows(lake: Lake, record: VersionRecord) -> pd.DataFrame:
    from readmission_platform.evaluation.estimates.rows import InvalidEvidence, digest_rows

    rows = evidence_rows(lake, record)
    if rows is None:
        raise Unavailable(f"the evidence rows of version {record.version} are not in the lake: restore them")
    try:
        same = digest_rows(rows, SCHEMA) == record.evidence_digest
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
    """Turn what the lake says of tables that are gone or damaged into one kind of error."""
    from deltalake.exceptions import DeltaError
    from pyarrow import ArrowException

    try:
        yield
    except (TableMissing, OSError, ArrowException, DeltaError) as error:
        said = str(error) if isinstance(error, TableMissing) else f"a table cannot be read ({type(error).__name__})"
        raise Unavailable(f"{said}: restore the lake from a backup") from error
