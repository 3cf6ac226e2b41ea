"""How the stages are shown: the table of a stage, and the projections' pages after a change.

What belongs here: showing. What does not: reading the pointers (``lifecycle.versions.stages``) and changing them.
"""

from collections.abc import Iterator

import dagster as dg

from readmission_platform.assets.model_assets import ModelAssets
from readmission_platform.assets.presentation import table
from readmission_platform.foundation.steps import reached
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.versions import version_records
from readmission_platform.governance.promotion.approved import approvers
from readmission_platform.governance.promotion.case import Judged
from readmission_platform.lifecycle.versions.stages import live_version, trusted_stages
from readmission_platform.lifecycle.workspace import Workspace

CHECK = "registry_shows_what_the_ledger_says"
CHECK_RULE = "The registry's alias names the version that the ledger holds in this stage."


def conditions_table(decision: Judged) -> dg.MetadataValue:
    """Show the conditions of a decision: the deployment checklist."""
    return table(
        {"condition": item.name, "result": item.result, "found": item.detail, "what to do": item.action}
        for item in decision.conditions
    )


def live_table(ledger: Ledger, stage: str) -> dg.MetadataValue:
    """Show which version is in a stage, since when, by whom, approved by whom, on which evidence."""
    events, pointers = ledger.snapshot()
    pointer = pointers[stage]
    if pointer.version is None:
        return dg.MetadataValue.text(f"no version is in {stage}")
    moved = next(event for event in events if event.seq == pointer.seq)
    approvals = approvers(events)
    record = version_records(events, pointers)[pointer.version]
    signed = [approvals[seq] for seq in moved.payload.get("approvals", []) if seq in approvals]
    by = f"{moved.actor} ({moved.payload.get('identity', 'claimed')})"
    return table([
        {"version": record.version, "since": moved.at, "by": by, "approved by": ", ".join(signed) or "-",
         "reason": moved.payload.get("reason", ""), "source": record.source, "artifact": record.artifact_digest,
         "evidence": record.evidence_digest, "ledger event": moved.seq}
    ])  # fmt: skip


def align_and_announce(
    model: ModelAssets, ledger: Ledger, *, workspace: Workspace
) -> Iterator[dg.AssetMaterialization | dg.AssetCheckEvaluation]:
    """Bring the registry's aliases into line after a move, and show the change on the projections' pages at once."""
    trusted = trusted_stages(ledger)
    workspace.registry.align_aliases(trusted)
    reached("stages: aliases aligned")
    shown = workspace.registry.aliases()
    for stage in trusted:
        record = live_version(ledger, stage)
        if record is None:
            continue
        yield dg.AssetMaterialization(
            model.key(f"{stage}_model"),
            metadata={
                "live": live_table(ledger, stage),
                "model version": record.version,
            },
            tags={"dagster/data_version": str(record.artifact_digest), "model_version": record.version},
        )
        yield dg.AssetCheckEvaluation(
            asset_key=model.key(f"{stage}_model"),
            check_name=CHECK,
            passed=shown.get(stage) == record.version,
            metadata={"rule": CHECK_RULE, "observed": f"{stage} is version {shown.get(stage)}"},
        )
