"""Stored models: the digest of their bytes, and loading them only when bytes and types are the recorded ones.

What belongs here: reading artifacts. What does not: registering them (``resources.tracking``).
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from readmission_platform.foundation.errors import GovernanceError

ARTIFACT_FILE = "model.skops"


class ArtifactRefused(GovernanceError):
    """A stored model is missing, has been changed, or contains types we do not trust."""

    exit_code = 3


@dataclass(frozen=True)
class StoredModel:
    """A registered version and its artifact: path below the artifact root, and the digest of its bytes."""

    version: str
    mlflow_run_id: str
    path: str
    digest: str


def artifact_digest(root: Path, path: str) -> str | None:
    """Return ``sha256:<hex>`` of an artifact's bytes as they are now, or None if there is none."""
    file = root / path
    if not file.is_file():
        return None
    return "sha256:" + hashlib.sha256(file.read_bytes()).hexdigest()


def load_artifact(root: Path, path: str, *, digest: str) -> Any:
    """Load a model whose bytes have this digest and whose types are all on our allow-list.

    MLflow's own loader trusts the list stored beside the model, which whoever swaps the model swaps as well.

    Raises
    ------
    ArtifactRefused
        When the file is missing, its bytes differ, or it contains a type we do not trust.
    """
    from readmission_platform.models.readmission_30d import CONTRACT

    file = root / path
    if not file.is_file():
        raise ArtifactRefused(
            f"the model artifact {path} is missing; restore it from a backup or promote another version"
        )
    content = file.read_bytes()
    if "sha256:" + hashlib.sha256(content).hexdigest() != digest:
        raise ArtifactRefused(f"the model artifact {path} is not the one recorded in the ledger; it has been changed")
    try:
        return CONTRACT.estimator.load(content)
    except ValueError as error:
        raise ArtifactRefused(f"the model artifact {path} contains types that are not on the allow-list") from error
