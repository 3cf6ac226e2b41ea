"""Promotion: what is live, and the one operation that changes it.

What belongs here: the projections ``staging_model`` and ``production_model``, and ``promotion_job``.
What does not: the decision (``governance.promotion``) and the facts it looks at (``assets.facts``).
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

import dagster as dg
from pydantic import Field

from readmission_platform.assets.facts import version_facts
from readmission_platform.assets.presentation import (
    PLATFORM_TEAM,
    blocking_specs,
    check_result,
    nothing_to_check,
    table,
)
from readmission_platform.config import EnvironmentConfig
from readmission_platform.governance.adoption import in_force
from readmission_platform.governance.approvals import approval_statement, sign
from readmission_platform.governance.chain import Event
from readmission_platform.governance.demo_approver import DEMO_ROLE, demo_signer
from readmission_platform.governance.errors import BadInput, Refused
from readmission_platform.governance.ledger import Ledger
from readmission_platform.governance.promotion import Decision, PromotionRequest, apply, decide
from readmission_platform.governance.versions import VersionRecord, version_records
from readmission_platform.resources.lake import LakeResource
from readmission_platform.resources.project import ProjectResource
from readmission_platform.resources.tracking import ArtifactRefused, TrackingResource, artifact_digest

DEMO_APPROVAL_DAYS = 7
CHECK = "registry_shows_what_the_ledger_says"
CHECK_RULE = "The registry's alias names the version that the ledger holds in this stage."


class Stage(Enum):
    """The stages a version can be in."""

    staging = "staging"
    production = "production"


class PromotionConfig(dg.Config):
    """Which version to promote where."""

    version: str | None = Field(default=None, description="Version to promote; default: see from_stage.")
    from_stage: Stage | None = Field(default=None, description="Promote the version now in this stage.")
    to_stage: Stage = Field(default=Stage.staging, description="staging or production.")
    replace: bool = Field(default=False, description="Acknowledge that the version now in production is replaced.")
    dry_run: bool = Field(default=False, description="Show every condition and change nothing.")
    demo_approval: bool = Field(
        default=False,
        description="Let the demo approver sign (environment local only; recorded as a demonstration).",
    )
    reason: str = Field(default="", description="Why; recorded in the ledger.")


def consider(
    request: PromotionRequest,
    *,
    ledger: Ledger,
    project: ProjectResource,
    tracking: TrackingResource,
    lake: LakeResource,
) -> Decision:
    """Gather the facts about a version and decide; changes nothing.

    The one way to a decision: the job, the sensor and the command line all come through here.
    """
    project.policy_in_force(ledger)
    events, pointers = ledger.snapshot()
    records = version_records(events, pointers)
    if request.version not in records:
        raise BadInput(f"there is no version {request.version} of {ledger.model}; `readmission status` lists them")
    facts = version_facts(
        records[request.version],
        records=records,
        pointers=pointers,
        lake=lake.open(),
        artifact_root=tracking.root,
        model=project.model,
    )
    return decide(
        request,
        events=events,
        pointers=pointers,
        facts=facts,
        environment=project.environment_rules,
        environment_name=project.environment,
        now=datetime.now(UTC),
    )


def chosen_version(ledger: Ledger, version: str | None, from_stage: Stage | None) -> str:
    """Return the version asked for by number or by the stage it is in.

    Raises
    ------
    BadInput
        When neither or both are given, or the stage is empty.
    """
    if version is not None and from_stage is None:
        return version
    if from_stage is None or version is not None:
        raise BadInput("say which version: either its number or the stage it is in")
    found = ledger.pointers()[from_stage.value].version
    if found is None:
        raise BadInput(f"no version is in {from_stage.value}")
    return found


def approve_as_demo(decision: Decision, *, ledger: Ledger, project: ProjectResource) -> Event:
    """Let the demo approver sign for a version, naming every gate that could not be judged.

    Raises
    ------
    Refused
        Where demonstrations are not allowed.
    """
    rules: EnvironmentConfig = project.environment_rules
    if not (rules.demo_approver and project.environment == "local"):
        raise Refused([f"there is no demo approver in {project.environment}; somebody has to approve"])
    signer = demo_signer(ledger, project.settings.keys)
    events, pointers = ledger.snapshot()
    policy = in_force(events)
    if policy is None:
        raise Refused(["no gate policy is in force"])
    statement = approval_statement(
        version_records(events, pointers)[decision.request.version],
        policy_digest=policy.digest,
        approver=signer.identity,
        role=DEMO_ROLE,
        reason=decision.request.reason or "demonstration in a local environment",
        now=datetime.now(UTC),
        valid_for=timedelta(days=DEMO_APPROVAL_DAYS),
        warnings=sorted({gate.gate for gate in decision.gates if gate.result == "insufficient"}),
        demo=True,
    )
    return ledger.append(
        "version_approved",
        sign(statement, signer.key),
        actor=signer.identity,
        version=decision.request.version,
    )


@dg.op(
    description="Decide by policy and evidence, move the pointer in one transaction, bring the registry into line.",
    out={"stage": dg.Out(str, is_required=False, io_manager_key="memory")},
    pool="promotion",
)
def promote_version(
    context: dg.OpExecutionContext,
    config: PromotionConfig,
    project: ProjectResource,
    tracking: TrackingResource,
    lake: LakeResource,
) -> Iterator[Any]:
    """Promote one version, or show what would be checked."""
    with project.ledger() as ledger:
        request = PromotionRequest(
            version=chosen_version(ledger, config.version, config.from_stage),
            to_stage=config.to_stage.value,
            actor=project.actor,
            replace=config.replace,
            reason=config.reason,
        )

        def considered() -> Decision:
            return consider(request, ledger=ledger, project=project, tracking=tracking, lake=lake)

        decision = considered()
        if config.demo_approval and not config.dry_run and not decision.allowed:
            approve_as_demo(decision, ledger=ledger, project=project)
            decision = considered()
        context.add_output_metadata({"conditions": conditions_table(decision)}, output_name="stage")
        apply(ledger, decision, dry_run=config.dry_run)
        if config.dry_run:
            return
        changed = tracking.align_aliases(project.model.name, stage_versions(ledger))
        context.log.info(f"version {request.version} is in {request.to_stage}; {len(changed)} aliases aligned")
        shown = tracking.aliases(project.model.name)
        for stage in ("staging", "production"):
            record = live_version(ledger, stage)
            if record is None:
                continue
            # The projections' pages show the change at once, not only when they are next materialized.
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
        yield dg.Output(request.to_stage, output_name="stage")


@dg.job(
    description="Move a version into staging or production. Launch it with the version and the stage; with dry_run it "
    "only shows every condition. It decides by the policy in force on recomputed evidence, never by recorded checks.",
    tags={"readmission/lifecycle": "promotion"},
)
def promotion_job() -> None:
    """Promote one version."""
    promote_version()


def conditions_table(decision: Decision) -> dg.MetadataValue:
    """Show the conditions of a decision: the deployment checklist."""
    return table(
        {"condition": item.name, "result": item.result, "found": item.detail, "what to do": item.action}
        for item in decision.conditions
    )


def stage_versions(ledger: Ledger) -> dict[str, str | None]:
    """Return stage to version by the ledger's pointers."""
    return {stage: pointer.version for stage, pointer in ledger.pointers().items()}


def live_version(ledger: Ledger, stage: str) -> VersionRecord | None:
    """Return the version the ledger holds in a stage, or None."""
    events, pointers = ledger.snapshot()
    version = pointers[stage].version
    return version_records(events, pointers)[version] if version else None


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


def _project(stage: str, project: ProjectResource, tracking: TrackingResource) -> Iterator[Any]:
    """Show a stage: verify the artifact, align the alias, and emit the version as data version; nothing if empty."""
    with project.ledger() as ledger:
        wanted = stage_versions(ledger)
        changed = tracking.align_aliases(project.model.name, wanted)
        if changed:
            ledger.append("alias_repaired", {"aliases": {k: list(v) for k, v in changed.items()}}, actor=project.actor)
        record = live_version(ledger, stage)
        if record is None:
            yield nothing_to_check(CHECK, f"no version is in {stage}")
            return
        found = artifact_digest(tracking.root, record.artifact_path or "")
        if found != record.artifact_digest:
            raise ArtifactRefused(f"the artifact of version {record.version} is missing or changed; do not use it")
        shown = tracking.aliases(project.model.name).get(stage)
        yield dg.MaterializeResult(
            data_version=dg.DataVersion(str(record.artifact_digest)),
            metadata={"live": live_table(ledger, stage), "model version": record.version},
            tags={"model_version": record.version},
            check_results=[
                check_result(CHECK, shown == record.version, observed=f"{stage} is version {shown}", rule=CHECK_RULE,
                             action="Somebody moves aliases by hand: the ledger decides, find out who.")
            ],
        )  # fmt: skip


@dg.asset(
    group_name="promotion",
    owners=[PLATFORM_TEAM],
    kinds={"mlflow"},
    code_version="1",
    deps=["validation_report"],
    output_required=False,
    check_specs=blocking_specs("staging_model", {CHECK: CHECK_RULE}),
)
def staging_model(project: ProjectResource, tracking: TrackingResource) -> Iterator[Any]:
    """The version in staging, as the ledger says: it scores every day in the shadow and is on no work list.

    Materializing this promotes nothing: it shows the pointer, verifies the artifact and aligns the registry's alias.
    """
    yield from _project("staging", project, tracking)


@dg.asset(
    group_name="promotion",
    owners=[PLATFORM_TEAM],
    kinds={"mlflow"},
    code_version="1",
    deps=["staging_model"],
    output_required=False,
    check_specs=blocking_specs("production_model", {CHECK: CHECK_RULE}),
)
def production_model(project: ProjectResource, tracking: TrackingResource) -> Iterator[Any]:
    """The version in production, as the ledger says: its scores make the work list.

    Materializing this promotes nothing: it shows the pointer, verifies the artifact and aligns the registry's alias.
    """
    yield from _project("production", project, tracking)
