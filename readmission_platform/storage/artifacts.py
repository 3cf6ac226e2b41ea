"""Stored models: the digest of their bytes, and loading them only when bytes and types are the recorded ones.

What belongs here: reading artifacts. What does not: registering them (``resources.tracking``).
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from readmission_platform.foundation.errors import GovernanceError
from readmission_platform.models.contract import EstimatorPart


class ArtifactRefused(GovernanceError):
    """A stored model is missing, has been changed, or contains types we do not trust."""

    exit_code = 3


@dataclass(frozen=True)
class StoredFile:
    """A file below the artifact root, and the digest of its bytes."""

    path: str
    digest: str


@dataclass(frozen=True)
class StoredModel:
    """A registered version and its artifact: path below the artifact root, and the digest of its bytes.

    ``version`` is the ledger's number, ``registered_as`` the one that MLflow gave it, which may be another. ``rows``
    is what single rows are scored with, of a contract that compiles it.
    """

    version: str
    registered_as: str
    mlflow_run_id: str
    path: str
    digest: str
    rows: StoredFile | None = None


def artifact_digest(root: Path, path: str) -> str | None:
    """Return ``sha256:<hex>`` of an artifact's bytes as they are now, or None if there is none."""
    file = root / path
    if not file.is_file():
        return None
    return "sha256:" + hashlib.sha256(file.read_bytes()).hexdigest()


def verified_content(root: Path, path: str, *, digest: str) -> bytes:
    """Return the bytes of an artifact if they are the recorded ones.

    Raises
    ------
    ArtifactRefused
        When the file is missing or its bytes differ.
    """
    file = root / path
    if not file.is_file():
        raise ArtifactRefused(
            f"the model artifact {path} is missing; restore it from a backup or promote another version"
        )
    content = file.read_bytes()
    if "sha256:" + hashlib.sha256(content).hexdigest() != digest:
        raise ArtifactRefused(f"the model artifact {path} is not the one recorded in the ledger; it has been changed")
    return content


def load_artifact(estimator: EstimatorPart, root: Path, path: str, *, digest: str) -> Any:
    """Load a model whose bytes have this digest and whose types are all on the allow-list of its estimator.

    MLflow's own loader trusts the list stored beside the model, which whoever swaps the model swaps as well.

    Raises
    ------
    ArtifactRefused
        When the file is missing, its bytes differ, or it contains a type we do not trust.
    """
    content = verified_content(root, path, digest=digest)
    try:
        return estimator.load(content)
    except ValueError as error:
        raise ArtifactRefused(f"the model artifact {path} contains types that are not on the allow-list") from error
