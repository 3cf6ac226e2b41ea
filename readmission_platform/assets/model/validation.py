"""Validation: the gates.

What belongs here: ``validation_report``, which judges a version on its stored evidence, records the verdict in the
ledger, and reports every gate as a blocking check. What does not: metrics (``evaluation``) and limits (``gates.yaml``
of the model, applied by ``governance.policy.gates``).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
from pydantic import Field

from readmission_platform.assets.model.evidence_metadata import report_metadata
from readmission_platform.assets.model.gate_results import OTHER_GATES, gate_checks, gate_table, verdict_text
from readmission_platform.assets.model.recalibration import RECALIBRATED_MODEL
from readmission_platform.assets.model.training import CANDIDATE
from readmission_platform.assets.model_assets import ModelAssets
from readmission_platform.assets.presentation import PLATFORM_TEAM
from readmission_platform.config.governance import AdditionalGates
from readmission_platform.governance.ledger.chain import Pointer
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.versions import VersionRecord, version_records
from readmission_platform.governance.policy.closest import closest_gate
from readmission_platform.governance.policy.gates import GateResult, evaluate_gates, verdict
from readmission_platform.governance.policy.required import required_gates
from readmission_platform.governance.promotion.permission import CLAIMED
from readmission_platform.lifecycle.asking import check_may
from readmission_platform.lifecycle.versions.evidence_document import document_from, write_document
from readmission_platform.lifecycle.versions.kept_figures import COMPARED_WITH, keep_figures
from readmission_platform.lifecycle.versions.version_facts import Evidence, EvidenceMissing, gather
from readmission_platform.lifecycle.workspace import Platform, Workspace
from readmission_platform.reports.pictures.glance import glance_markdown

VALIDATION = "validation_report"


class ValidationConfig(dg.Config):
    """Which version to judge, and limits beyond the policy."""

    version: str | None = Field(default=None, description="Version to judge; default: the one trained in this run.")
    additional_gates: dict[str, dict[str, Any]] = Field(
        default={},
        description="Limits by gate name, evaluated in addition to the policy: they can only tighten.",
    )


def judged_gates(model: ModelAssets) -> tuple[str, ...]:
    """Return the required gates that a version is judged by when it has been trained."""
    return required_gates(model.contract.evidence).names("candidate", "staging")


def validation_asset(model: ModelAssets) -> dg.AssetsDefinition:
    """Return the asset that judges a version."""
    judged = (
        "Judged by the gate policy in force; the result shows rule, observed value, interval, limit and what to do."
    )
    names = judged_gates(model)
    rules = {**dict.fromkeys(names, judged), OTHER_GATES: f"All other gates of the policy. {judged}"}

    @model.asset(
            VALIDATION, group="validation", owners=[PLATFORM_TEAM], kinds={"python"},
            deps=[CANDIDATE, RECALIBRATED_MODEL], blocking=rules,
            output_required=True,
            description="The evidence about a version, judged by the gates of the policy in force. Metrics with 95 % "
            f"intervals (bootstrap over {model.words.entities}) are computed from the version's stored out-of-fold "
            "rows. The verdict, accepted or rejected, goes into the ledger; then each gate is reported as a check. A "
            "failing gate fails this run, and the version can never be promoted. To try again, train a new version.",
    )  # fmt: skip
    def validation_report(
        context: dg.AssetExecutionContext, config: ValidationConfig, platform: dg.ResourceParam[Platform]
    ) -> Iterator[dg.MaterializeResult]:
        workspace = model.workspace(platform)
        additional = AdditionalGates.model_validate({"gates": config.additional_gates})
        with workspace.ledger() as ledger:
            workspace.policy_in_force(ledger)
            record, evidence, results, closest = _judged(
                ledger, config.version, context.run.run_id, additional, workspace
            )
            events, pointers = ledger.snapshot()
        record = version_records(events, pointers)[record.version]
        document = document_from(record, evidence.document, events=events)
        yield dg.MaterializeResult(
            data_version=dg.DataVersion(evidence.digest),
            metadata={
                # Short Markdown is shown as it is; longer waits for a click, and all that is below for scrolling.
                "verdict": dg.MetadataValue.md(verdict_text(results, closest)),
                "at a glance": dg.MetadataValue.md(glance_markdown(document["curves"])),
                "gates": gate_table(results),
                **report_metadata(document, write_document(document, workspace)),
            },
            check_results=list(gate_checks(results, names)),
        )

    return validation_report


def _judged(
    ledger: Ledger, version: str | None, run_id: str, additional: AdditionalGates, workspace: Workspace
) -> tuple[VersionRecord, Evidence, list[GateResult], GateResult | None]:
    """Judge a version and record the verdict; the last of what is returned is the gate that it passed most closely."""
    policy = workspace.policy_in_force(ledger)
    check_may("validate", ledger=ledger, workspace=workspace)
    record, records, pointers = _asked_for(ledger, version, run_id)
    facts, evidence, _ = gather(record, records=records, pointers=pointers, workspace=workspace)
    if evidence is None or facts.estimates is None:
        was = "are gone" if facts.evidence_digest is None else "were changed"
        raise EvidenceMissing(f"the evidence rows of version {record.version} {was}; train it again")
    if facts.limit_set is None:
        raise EvidenceMissing(f"no limits are known for the source of version {record.version}; train it again")
    results = evaluate_gates(
        facts.estimates,
        policy.content,
        required=workspace.required,
        limit_set=facts.limit_set,
        stages=("candidate", "staging"),
        additional=additional,
    )
    ledger.append(
        "version_validated",
        {
            "verdict": verdict(results),
            "gates": [result.to_json() for result in results],
            "policy_digest": policy.digest,
            "additional_gates": additional.model_dump(mode="json") if additional.gates else {},
            "estimates": facts.estimates,
            **keep_figures(evidence.document, evidence.digest, workspace),
            **({COMPARED_WITH: records[facts.champion_version].evidence_digest} if facts.champion_version else {}),
            "run_id": run_id,
            **CLAIMED,
        },
        actor=workspace.actor,
        version=record.version,
    )
    return record, evidence, results, closest_gate(results, policy.content, facts.limit_set)


def _asked_for(
    ledger: Ledger, version: str | None, run_id: str
) -> tuple[VersionRecord, dict[str, VersionRecord], Mapping[str, Pointer]]:
    """Return the version asked for, else the one trained in this run, else the newest."""
    events, pointers = ledger.snapshot()
    records = version_records(events, pointers)
    trained = [record for record in records.values() if record.run_id == run_id]
    if version is not None and version not in records:
        raise EvidenceMissing(f"there is no version {version} of {ledger.model}")
    if version is None and not records:
        raise EvidenceMissing("no version has been trained yet; materialize candidate_model")
    chosen = records[version] if version else (trained or list(records.values()))[-1]
    return chosen, records, pointers
