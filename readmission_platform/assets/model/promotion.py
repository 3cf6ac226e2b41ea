"""Promotion: what is live, and the one operation that changes it.

What belongs here: the projections ``staging_model`` and ``production_model``, and ``promotion_job``. What does not: the
decision (``governance.promotion.decision``) and the facts it looks at (``lifecycle.versions.version_facts``).
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from pydantic import Field

from readmission_platform.assets.model.stages import (
    CHECK,
    CHECK_RULE,
    Stage,
    align_and_announce,
    live_table,
    live_version,
    stage_versions,
)
from readmission_platform.assets.presentation import PLATFORM_TEAM, blocking_specs, check_result, nothing_to_check
from readmission_platform.foundation.steps import reached
from readmission_platform.governance.promotion.decision import Decision, PromotionRequest, apply
from readmission_platform.lifecycle.versions.approval import approve_as_demo
from readmission_platform.lifecycle.versions.decisions import chosen_version, conditions_table, consider
from readmission_platform.resources.lake import LakeResource
from readmission_platform.resources.project import ProjectResource
from readmission_platform.resources.tracking import TrackingResource
from readmission_platform.storage.artifacts import ArtifactRefused, artifact_digest


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


@dg.op(
    description="Decide by policy and evidence, move the pointer in one transaction, bring the registry into line.",
    out={"stage": dg.Out(str, is_required=False, io_manager_key="memory")},
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

        # Nothing is claimed that cannot be shown: with the registry out of reach, nothing moves.
        tracking.aliases(project.model.name)
        decision = considered()
        reached("promotion: decided")
        if config.demo_approval and not config.dry_run and not decision.allowed:
            approve_as_demo(decision, ledger=ledger, project=project)
            reached("promotion: approved")
            decision = considered()
        context.add_output_metadata({"conditions": conditions_table(decision)}, output_name="stage")
        apply(ledger, decision, dry_run=config.dry_run)
        if config.dry_run:
            return
        reached("promotion: recorded in the ledger")
        yield from align_and_announce(ledger, tracking=tracking, project=project)
        context.log.info(f"version {request.version} is in {request.to_stage}")
        yield dg.Output(request.to_stage, output_name="stage")


@dg.job(
    description="Move a version into staging or production. Launch it with the version and the stage; with dry_run it "
    "only shows every condition. It decides by the policy in force on recomputed evidence, never by recorded checks.",
    tags={"readmission/lifecycle": "promotion"},
)
def promotion_job() -> None:
    """Promote one version."""
    promote_version()


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
