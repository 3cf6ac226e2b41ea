"""Promotion: what is live, and the one operation that changes it.

What belongs here: the projections ``staging_model`` and ``production_model``, and the promotion job. What does not: the
decision (``governance.promotion.decision``) and the facts it looks at (``lifecycle.versions.version_facts``).
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from pydantic import Field

from readmission_platform.assets.model.stages import (
    CHECK,
    CHECK_RULE,
    align_and_announce,
    conditions_table,
    live_table,
)
from readmission_platform.assets.model.validation import VALIDATION
from readmission_platform.assets.model_assets import ModelAssets
from readmission_platform.assets.presentation import PLATFORM_TEAM, check_result, nothing_to_check
from readmission_platform.assets.refusal import Refused
from readmission_platform.foundation import errors
from readmission_platform.foundation.steps import reached
from readmission_platform.governance.promotion.decision import Decision, PromotionRequest, apply
from readmission_platform.lifecycle.asking import signed
from readmission_platform.lifecycle.versions.approval import approve_as_demo
from readmission_platform.lifecycle.versions.decisions import chosen_version, consider
from readmission_platform.lifecycle.versions.reconciliation import MISSING
from readmission_platform.lifecycle.versions.stages import Stage, trusted_stages, trusted_version
from readmission_platform.lifecycle.versions.version_facts import digest_now
from readmission_platform.lifecycle.workspace import Platform, Workspace
from readmission_platform.storage.artifacts import ArtifactRefused

PROMOTION_OP = "promote_version"
STAGING, PRODUCTION = "staging_model", "production_model"


class PromotionConfig(dg.Config):
    """Which version to promote where."""

    # Empty instead of missing: the launchpad shows only fields that have a value.
    version: str = Field(default="", description="Number of the version to promote; if empty, see from_stage.")
    from_stage: Stage | None = Field(default=None, description="Promote the version that is now in this stage.")
    to_stage: Stage = Field(default=Stage.staging, description="staging or production.")
    replace: bool = Field(default=False, description="Acknowledge that the version now in production is replaced.")
    dry_run: bool = Field(default=False, description="Show every condition and change nothing.")
    demo_approval: bool = Field(
        default=False,
        description="Let the demo approver sign (environment local only; recorded as a demonstration).",
    )
    reason: str = Field(default="", description="Why; recorded in the ledger.")


def promotion_job(model: ModelAssets) -> dg.JobDefinition:
    """Return the job that moves a version into a stage."""

    @dg.op(
        name=model.named(PROMOTION_OP),
        description="Decide by policy and evidence, move the pointer in one transaction, bring the registry into line.",
        out={"stage": dg.Out(str, is_required=False, io_manager_key="memory")},
    )
    def promote(
        context: dg.OpExecutionContext, config: PromotionConfig, platform: dg.ResourceParam[Platform]
    ) -> Iterator[Any]:
        workspace = model.workspace(platform)
        with workspace.ledger() as ledger:
            asked = PromotionRequest(
                version=chosen_version(ledger, config.version or None, config.from_stage),
                to_stage=config.to_stage.value,
                actor=workspace.actor,
                replace=config.replace,
                reason=config.reason,
            )
            request = signed(asked, "version_promoted", ledger=ledger, workspace=workspace)

            def considered() -> Decision:
                return consider(request, ledger=ledger, workspace=workspace)

            decision = considered()
            # Nothing is claimed that cannot be shown: what the registry does not hold, or cannot be asked for, stays.
            workspace.registry.check_holds(request.version)
            reached("promotion: decided")
            if config.demo_approval and not config.dry_run and not decision.allowed:
                approve_as_demo(decision, ledger=ledger, workspace=workspace)
                reached("promotion: approved")
                decision = considered()
            context.add_output_metadata({"conditions": conditions_table(decision)}, output_name="stage")
            try:
                apply(ledger, decision, dry_run=config.dry_run)
            except errors.Refused as refused:
                raise Refused(refused, decision) from None
            if config.dry_run:
                return
            reached("promotion: recorded in the ledger")
            yield from align_and_announce(model, ledger, workspace=workspace)
            context.log.info(f"version {request.version} is in {request.to_stage}")
            yield dg.Output(request.to_stage, output_name="stage")

    @dg.job(
        name=model.named("promotion_job"),
        description="Move a version into staging or production. Launch it with the version and the stage; with dry_run "
        "it only shows every condition. It decides by the policy in force on recomputed evidence, never by recorded "
        "checks.",
        tags=model.job_tags("promotion"),
    )
    def job() -> None:
        promote()

    return job


def stage_assets(model: ModelAssets) -> list[dg.AssetsDefinition]:
    """Return the assets that show what is in staging and in production."""
    shown = "Materializing this promotes nothing: it shows the pointer, verifies the artifact and aligns the registry."

    def stage_asset(name: str, stage: Stage, follows: str, says: str) -> dg.AssetsDefinition:
        @model.asset(
            name, group="promotion", owners=[PLATFORM_TEAM], kinds={"mlflow"}, deps=[follows],
                blocking={CHECK: CHECK_RULE}, output_required=False, description=f"{says} {shown}",
    )  # fmt: skip
        def projection(platform: dg.ResourceParam[Platform]) -> Iterator[Any]:
            yield from _shown(stage.value, model.workspace(platform))

        return projection

    staging = "The version in staging by the ledger: it scores every day in shadow mode and appears on no work list."
    production = "The version in production by the ledger: its scores make the work list."
    return [
        stage_asset(STAGING, Stage.staging, VALIDATION, staging),
        stage_asset(PRODUCTION, Stage.production, STAGING, production),
    ]


def _shown(stage: str, workspace: Workspace) -> Iterator[Any]:
    """Show a stage: verify the artifact, align the alias, and emit the version as data version; nothing if empty."""
    registry = workspace.registry
    with workspace.ledger() as ledger:
        changed = registry.align_aliases(trusted_stages(ledger))
        if changed:
            aliases = {alias: list(versions) for alias, versions in changed.items()}
            ledger.append("alias_repaired", {"aliases": aliases}, actor=workspace.actor)
        record = trusted_version(stage, *ledger.snapshot())
        if record is None:
            yield nothing_to_check(CHECK, f"no version is in {stage}")
            return
        found = digest_now(registry.root, record)
        if found != record.artifact_digest:
            raise ArtifactRefused(f"the artifact of version {record.version} is missing or changed; do not use it")
        shown = registry.aliases().get(stage)
        action = "Somebody moved an alias by hand. The ledger decides; find out who did it." if shown else MISSING
        yield dg.MaterializeResult(
            data_version=dg.DataVersion(str(record.artifact_digest)),
            metadata={
                "live": live_table(ledger, stage),
                "model version": record.version,
            },
            tags={"model_version": record.version},
            check_results=[
                check_result(CHECK, shown == record.version, observed=f"{stage} is version {shown}", rule=CHECK_RULE,
                             action=action)
            ],
        )  # fmt: skip
