"""What was computed from evidence rows when a version was judged, kept so that pages need not compute it again.

What belongs here: the files, and whether one is what the ledger says; and the comparison with the version then in
production, which the ledger holds itself. What does not: computing (``version_facts``).
A decision computes anew; whatever is shown may be read from here, as long as the digest in the ledger vouches for it.
A file that is gone or was changed costs time and nothing else.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from readmission_platform.foundation.values import canonical_json, digest_of
from readmission_platform.governance.ledger.versions import VersionRecord
from readmission_platform.lifecycle.workspace import Workspace
from readmission_platform.storage.home import replace_file

# In the payload of ``version_validated``: the digest of the figures, and of the code and settings that made them.
FIGURES, FIGURES_MADE_BY = "figures", "figures_made_by"
# The digest of the evidence rows that the version was compared with, where one was in production.
COMPARED_WITH = "compared_with"
_OWNER_ONLY = 0o600


def keep_figures(document: Mapping[str, Any], evidence_digest: str, workspace: Workspace) -> dict[str, str]:
    """Write the figures of evidence rows and return what the ledger should say of them."""
    replace_file(_file(evidence_digest, workspace), canonical_json(dict(document)).encode(), mode=_OWNER_ONLY)
    return {FIGURES: digest_of(dict(document)), FIGURES_MADE_BY: _made_by(workspace)}


def kept_figures(record: VersionRecord, workspace: Workspace) -> dict[str, Any] | None:
    """Return a version's figures; None unless they are there, as recorded, and by today's code and settings."""
    said = record.validated_payload or {}
    if not record.evidence_digest or FIGURES not in said or said[FIGURES_MADE_BY] != _made_by(workspace):
        return None
    try:
        document: dict[str, Any] = json.loads(_file(record.evidence_digest, workspace).read_bytes())
    except (OSError, ValueError):
        return None
    return document if digest_of(document) == said[FIGURES] else None


def kept_comparison(record: VersionRecord, workspace: Workspace) -> tuple[str, dict[str, Any]] | None:
    """Return the digest of the evidence that a version was compared with when it was judged, and the estimates.

    None where nothing was in production, or other code or settings made them.
    """
    said = record.validated_payload or {}
    if COMPARED_WITH not in said or said.get(FIGURES_MADE_BY) != _made_by(workspace):
        return None
    estimates = {name: each for name, each in said["estimates"].items() if name.startswith("champion_")}
    return said[COMPARED_WITH], estimates


def _made_by(workspace: Workspace) -> str:
    return digest_of({"code": workspace.code_version, "settings": workspace.config.model_dump(mode="json")})


def _file(evidence_digest: str, workspace: Workspace) -> Path:
    return workspace.settings.home / "cache" / "figures" / workspace.name / f"{evidence_digest.rpartition(':')[2]}.json"
