"""Validation: the gates.

What belongs here: ``validation_report``, which judges a version on its stored evidence, records the verdict in the
ledger, and reports every gate as a blocking check. What does not: metrics (``evaluation``) and limits
(``configs/gates.yaml``, applied by ``governance.policy.gates``).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg
from pydantic import Field

from readmission_platform.assets.model.evidence_metadata import report_metadata
from readmission_platform.assets.presentation import PLATFORM_TEAM, plain, table
from readmission_platform.config.governance import AdditionalGates
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.versions import VersionRecord, version_records
from readmission_platform.governance.policy.gates import GateResult, evaluate_gates, verdict
from readmission_platform.governance.policy.required import required_gates
from readmission_platform.governance.promotion.decision import limit_set_of
from readmission_platform.lifecycle.versions.evidence_document import evidence_document, write_document
from readmission_platform.lifecycle.versions.version_facts import EvidenceMissing, evidence_rows, version_facts
from readmission_platform.models.readmission_30d.evidence import SCHEMA
from readmission_platform.resources.lake import LakeResource
from readmission_platform.resources.project import ProjectResource
from readmission_platform.resources.tracking import TrackingResource

REQUIRED = required_gates(SCHEMA)
JUDGED = REQUIRED.names("candidate", "staging")
OTHER_GATES = "other_gates"


class ValidationConfig(dg.Config):
    """Which version to judge, and limits beyond the policy."""

    version: str | None = Field(default=None, description="Version to judge; default: the one trained in this run.")
    additional_gates: dict[str, dict[str, Any]] = Field(
        default={},
        description="Limits by gate name, evaluated in addition to the policy: they can only tighten.",
    )


def _specs() -> list[dg.AssetCheckSpec]:
    judged = "Judged by the gate policy in force; the result shows rule, observation, interval, limit and what to do."
    others = "Every gate that the policy has beyond the required ones. " + judged
    return [
        dg.AssetCheckSpec(name, asset="validation_report", blocking=True, description=description)
        for name, description in [*((name, judged) for name in JUDGED), (OTHER_GATES, others)]
    ]


@dg.asset(
    group_name="validation",
    owners=[PLATFORM_TEAM],
    kinds={"python"},
    code_version="1",
    deps=["candidate_model"],
    check_specs=_specs(),
    output_required=True,
)
def validation_report(
    context: dg.AssetExecutionContext,
    config: ValidationConfig,
    project: ProjectResource,
    tracking: TrackingResource,
    lake: LakeResource,
) -> Iterator[dg.MaterializeResult]:
    """The evidence about a version, judged by the gates of the policy in force.

    Metrics with 95 % intervals (bootstrap over patients) are computed from the version's stored out-of-fold rows.
    The verdict, accepted or rejected, goes into the ledger; then each gate is reported as a check. A failing gate
    fails this run, and the version can never be promoted. To try again, train a new version.
    """
    model = project.model
    with project.ledger() as ledger:
        policy = project.policy_in_force(ledger)
        record, records, pointers = _asked_for(ledger, config.version, context.run.run_id)
        rows = evidence_rows(lake.open(), record)
        facts = version_facts(
            record,
            records=records,
            pointers=pointers,
            lake=lake.open(),
            artifact_root=tracking.root,
            model=model,
        )
        if rows is None or facts.evidence_digest is None:
            raise EvidenceMissing(f"the evidence rows of version {record.version} are gone; train it again")
        if facts.estimates is None or facts.evidence_digest != record.evidence_digest:
            raise EvidenceMissing(f"the evidence rows of version {record.version} were changed; train it again")
        limit_set = limit_set_of(record.source)
        if limit_set is None:
            raise EvidenceMissing(f"version {record.version} was trained on an unknown source; train it again")
        additional = AdditionalGates.model_validate({"gates": config.additional_gates})
        results = evaluate_gates(
            facts.estimates,
            policy.policy,
            required=REQUIRED,
            limit_set=limit_set,
            stages=("candidate", "staging"),
            additional=additional,
        )
        judged = verdict(results)
        ledger.append(
            "version_validated",
            {
                "verdict": judged,
                "gates": [result.to_json() for result in results],
                "policy_digest": policy.digest,
                "additional_gates": config.additional_gates and additional.model_dump(mode="json"),
                "estimates": facts.estimates,
                "run_id": context.run.run_id,
            },
            actor=project.actor,
            version=record.version,
        )
        events, pointers = ledger.snapshot()
    document = evidence_document(record.version, events=events, pointers=pointers, project=project, lake=lake.open())
    report = write_document(document, project)
    yield dg.MaterializeResult(
        data_version=dg.DataVersion(facts.evidence_digest),
        metadata={"gates": gate_table(results), **report_metadata(document, report)},
        check_results=list(gate_checks(results)),
    )


def _asked_for(ledger: Ledger, version: str | None, run_id: str) -> tuple[VersionRecord, dict[str, VersionRecord], Any]:
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


def gate_checks(results: Sequence[GateResult]) -> Iterator[dg.AssetCheckResult]:
    """Yield one check result per required gate, and one for all others.

    A gate asked for twice (in the policy and in addition) shows its worse result.
    """
    for name in JUDGED:
        yield _check(name, [result for result in results if result.gate == name])
    yield _check(OTHER_GATES, [result for result in results if result.gate not in JUDGED])


def _check(name: str, results: Sequence[GateResult]) -> dg.AssetCheckResult:
    failed = [result for result in results if result.blocks]
    unsure = [result for result in results if result.result == "insufficient"]
    missing = not results and name != OTHER_GATES
    if failed:
        shown = failed[0]
        description = f"{shown.rule} Observed {_figure(shown)}, limit {shown.limit}. {shown.action}"
    elif unsure:
        description = f"Cannot be judged: {unsure[0].rule} {unsure[0].detail}"
    elif missing:
        description = "The policy in force has no such gate, which every policy needs."
    else:
        description = results[0].rule if results else "No gate of this kind."
    return dg.AssetCheckResult(
        check_name=name,
        passed=not (failed or unsure or missing),
        severity=dg.AssetCheckSeverity.ERROR if failed or missing else dg.AssetCheckSeverity.WARN,
        description=description,
        metadata=_check_metadata((failed or unsure or list(results))[:1], results),
    )


def _check_metadata(shown: Sequence[GateResult], results: Sequence[GateResult]) -> dict[str, Any]:
    """Show one gate as figures, which the UI also plots over time, and several as a table."""
    metadata: dict[str, Any] = {"all gates": gate_table(results)} if len(results) > 1 else {}
    for result in shown:
        figures = {"observed": result.observed, "low": result.low, "high": result.high, "n": result.n}
        metadata |= {key: plain(value) for key, value in figures.items() if value is not None}
        metadata |= {"limit": result.limit, "metric": result.metric, "what to do if it fails": result.action}
    return metadata


def gate_table(results: Sequence[GateResult]) -> dg.MetadataValue:
    """Show gates with result, observation, interval, limit and size."""
    return table(
        {
            "gate": result.gate + (" (additional)" if result.additional else ""),
            "result": result.result,
            "observed": result.observed,
            "low": result.low,
            "high": result.high,
            "limit": result.limit,
            "n": result.n,
        }
        for result in results
    )


def _figure(result: GateResult) -> str:
    if result.observed is None:
        return "nothing"
    interval = f" ({result.low:.4f} to {result.high:.4f})" if result.low is not None and result.high is not None else ""
    return f"{result.observed:.4f}{interval}"
