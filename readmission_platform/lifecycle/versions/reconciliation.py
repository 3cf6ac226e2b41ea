"""Reconciliation: where the registry or the artifacts differ from the ledger.

What belongs here: finding differences. What does not: repairing them; the projections do (``assets.model.promotion``),
and what cannot be repaired from the ledger is named with what to do.
"""

from dataclasses import asdict, dataclass
from typing import Any

from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.versions import version_records
from readmission_platform.lifecycle.versions.stages import Stage, pointer_problems
from readmission_platform.lifecycle.versions.version_facts import digest_now
from readmission_platform.lifecycle.workspace import Workspace

MISSING = "Restore mlflow.db from a backup, roll back to another version, or train a new one."
_IMPROPER = "The alias stays as it is. Roll back to a version that was properly promoted; find out who recorded this."


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

    An alias also differs after a crash between the ledger's transaction and the registry: the ledger decides, unless
    nothing properly made its pointer.

    Raises
    ------
    Unavailable
        When the ledger or the registry cannot be reached.
    """
    registry = workspace.registry
    aliases, registered = registry.aliases(), registry.registered()
    events, pointers = ledger.snapshot()
    problems, records = pointer_problems(events, pointers), version_records(events, pointers)
    found: list[Difference] = []
    for stage in (each.value for each in Stage):
        version = pointers[stage].version
        if stage in problems:
            found.append(Difference(stage, problems[stage], aliases.get(stage), version, False, _IMPROPER))
            continue
        if version is not None and version not in registered:
            found.append(Difference(stage, "version missing from the registry", None, version, False, MISSING))
        elif aliases.get(stage) != version:
            action = "The alias is set to the version in the ledger; find out who moved it."
            found.append(Difference(stage, "alias", aliases.get(stage), version, True, action))
        record = records[version] if version is not None else None
        digest = digest_now(registry.root, record) if record else None
        if record is not None and digest != record.artifact_digest:
            action = "Restore the artifact from a backup, or roll back; until then nothing is scored with it."
            found.append(Difference(stage, "artifact", digest, record.artifact_digest, False, action))
    return found
