"""Reconciliation: where the registry or the artifacts differ from the ledger.

What belongs here: finding differences. What does not: repairing them; the projections do (``assets.model.promotion``),
and what cannot be repaired from the ledger is named with what to do.
"""

from dataclasses import asdict, dataclass
from typing import Any

from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.lifecycle.versions.stages import Stage, live_version, stage_versions
from readmission_platform.lifecycle.workspace import Workspace
from readmission_platform.storage.artifacts import artifact_digest


@dataclass(frozen=True)
class Difference:
    """One difference: in which stage, what was found and what should be, and whether it repairs by itself."""

    stage: str
    what: str
    found: str | None
    wanted: str | None
    repairable: bool
    action: str

    def to_json(self) -> dict[str, Any]:
        """Return the difference as plain JSON values."""
        return asdict(self)


def record_once(ledger: Ledger, found: list[Difference], *, actor: str) -> None:
    """Record differences in the ledger, unless the last ones recorded are the same: a sensor looks every minute."""
    payload = {"differences": [each.to_json() for each in found]}
    earlier = ledger.events(kind="difference_found")
    repaired = ledger.events(kind="alias_repaired")
    since_repair = not repaired or (bool(earlier) and earlier[-1].seq > repaired[-1].seq)
    if not (earlier and since_repair and earlier[-1].payload == payload):
        ledger.append("difference_found", payload, actor=actor)


def differences(ledger: Ledger, *, workspace: Workspace) -> list[Difference]:
    """Compare aliases, registered versions and artifacts with the ledger's pointers.

    An alias also differs after a crash between the ledger's transaction and the registry: the ledger decides.

    Raises
    ------
    Unavailable
        When the ledger or the registry cannot be reached.
    """
    registry = workspace.registry
    aliases, registered, wanted = registry.aliases(), registry.versions(), stage_versions(ledger)
    found: list[Difference] = []
    for stage in (each.value for each in Stage):
        version = wanted[stage]
        if version is not None and version not in registered:
            action = "Restore mlflow.db from a backup, or roll back to another version."
            found.append(Difference(stage, "version missing from the registry", None, version, False, action))
        elif aliases.get(stage) != version:
            action = "The alias is set to what the ledger says; find out who moved it."
            found.append(Difference(stage, "alias", aliases.get(stage), version, True, action))
        record = live_version(ledger, stage)
        digest = artifact_digest(registry.root, record.artifact_path or "") if record else None
        if record is not None and digest != record.artifact_digest:
            action = "Restore the artifact from a backup, or roll back; until then nothing is scored with it."
            found.append(Difference(stage, "artifact", digest, record.artifact_digest, False, action))
    return found
