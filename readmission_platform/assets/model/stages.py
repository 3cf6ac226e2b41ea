"""The stages as the ledger holds them, and how they are shown.

What belongs here: reading the pointers, and telling the projections' pages of a change. What does not: changing them.
"""

from collections.abc import Iterator
from enum import Enum

import dagster as dg

from readmission_platform.assets.presentation import table
from readmission_platform.foundation.steps import reached
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.versions import VersionRecord, version_records
from readmission_platform.resources.project import ProjectResource
from readmission_platform.resources.tracking import TrackingResource

CHECK = "registry_shows_what_the_ledger_says"
CHECK_RULE = "The registry's alias names the version that the ledger holds in this stage."


class Stage(Enum):
    """The stages a version can be in."""

    staging = "staging"
    production = "production"


def stage_versions(ledger: Ledger) -> dict[str, str | None]:
    """Return stage to version by the ledger's pointers."""
    return {stage: pointer.version for stage, pointer in ledger.pointers().items()}


def live_version(ledger: Ledger, stage: str) -> VersionRecord | None:
    """Return the version the ledger holds in a stage, or None."""
    version = ledger.pointers()[stage].version
    return version_records(*ledger.snapshot(version=version))[version] if version else None


def live_table(ledger: Ledger, stage: str) -> dg.MetadataValue:
    """Show which version is in a stage, since when, by whom, approved by whom, on which evidence."""
    events, pointers = ledger.snapshot()
    pointer = pointers[stage]
    if pointer.version is None:
        return dg.MetadataValue.text(f"no version is in {stage}")
    moved = next(event for event in events if event.seq == pointer.seq)
    approvals = {event.seq: event.actor for event in events if event.kind == "version_approved"}
    record = version_records(events, pointers)[pointer.version]
    signed = [approvals[seq] for seq in moved.payload.get("approvals", []) if seq in approvals]
    return table([
        {"version": record.version, "since": moved.at, "by": moved.actor, "approved by": ", ".join(signed) or "-",
         "reason": moved.payload.get("reason", ""), "source": record.source, "artifact": record.artifact_digest,
         "evidence": record.evidence_digest, "ledger event": moved.seq}
    ])  # fmt: skip


def align_and_announce(
    ledger: Ledger, *, tracking: TrackingResource, project: ProjectResource
) -> Iterator[dg.AssetMaterialization | dg.AssetCheckEvaluation]:
    """Bring the registry's aliases into line after a move, and show the change on the projections' pages at once."""
    tracking.align_aliases(project.model.name, stage_versions(ledger))
    reached("stages: aliases aligned")
    shown = tracking.aliases(project.model.name)
    for stage in (each.value for each in Stage):
        record = live_version(ledger, stage)
        if record is None:
            continue
        yield dg.AssetMaterialization(
            f"{stage}_model",
            metadata={"live": live_table(ledger, stage), "model version": record.version},
            tags={"dagster/data_version": str(record.artifact_digest), "model_version": record.version},
        )
        yield dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey(f"{stage}_model"),
            check_name=CHECK,
            passed=shown.get(stage) == record.version,
            metadata={"rule": CHECK_RULE, "observed": f"{stage} is version {shown.get(stage)}"},
        )
