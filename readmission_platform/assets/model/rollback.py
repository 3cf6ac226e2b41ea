"""Rollback: the job that takes production back to a formerly approved version.

What belongs here: the operation. What does not: the decision (``governance.promotion.rollback``).
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from pydantic import Field

from readmission_platform.assets.model.stages import align_and_announce, conditions_table
from readmission_platform.assets.model_assets import ModelAssets
from readmission_platform.assets.refusal import Refused
from readmission_platform.foundation import errors
from readmission_platform.foundation.steps import reached
from readmission_platform.governance.promotion.rollback import apply_rollback
from readmission_platform.lifecycle.versions.decisions import consider_rollback, rollback_request
from readmission_platform.lifecycle.workspace import Platform

ROLLBACK_OP = "roll_back_production"


class RollbackConfig(dg.Config):
    """Which version to go back to, and why."""

    # Empty instead of missing: the launchpad shows only fields that have a value.
    to_version: str = Field(default="", description="A version that was in production; default: the previous one.")
    reason: str = Field(default="", description="Why; required, and recorded in the ledger.")
    dry_run: bool = Field(default=False, description="Show every condition and change nothing.")


def rollback_job(model: ModelAssets) -> dg.JobDefinition:
    """Return the job that takes production back."""

    @dg.op(
        name=model.named(ROLLBACK_OP),
        description="Verify the former version's artifact, move the pointer in one transaction, align the registry.",
        out={"version": dg.Out(str, is_required=False, io_manager_key="memory")},
    )
    def roll_back(
        context: dg.OpExecutionContext, config: RollbackConfig, platform: dg.ResourceParam[Platform]
    ) -> Iterator[Any]:
        workspace = model.workspace(platform)
        with workspace.ledger() as ledger:
            request = rollback_request(config.to_version or None, config.reason, ledger=ledger, workspace=workspace)
            decision = consider_rollback(request, ledger=ledger, workspace=workspace)
            reached("rollback: decided")
            if decision.allowed and decision.target is not None:
                workspace.registry.check_holds(decision.target)
            context.add_output_metadata({"conditions": conditions_table(decision)}, output_name="version")
            try:
                apply_rollback(ledger, decision, dry_run=config.dry_run)
            except errors.Refused as refused:
                raise Refused(refused, decision) from None
            if config.dry_run:
                return
            reached("rollback: recorded in the ledger")
            yield from align_and_announce(model, ledger, workspace=workspace)
            context.log.info(f"production is back to version {decision.target}")
            yield dg.Output(str(decision.target), output_name="version")

    @dg.job(
        name=model.named("rollback_job"),
        description="Take production back to the version before, or to a named one that was in production. Needs a "
        "reason and no new approval, and is effective for the next prediction run. With dry_run it only shows every "
        "condition.",
        tags=model.job_tags("rollback"),
    )
    def job() -> None:
        roll_back()

    return job
