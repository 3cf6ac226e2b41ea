"""Rollback: ``rollback_job`` takes production back to a formerly approved version.

What belongs here: the operation. What does not: the decision (``governance.promotion.rollback``).
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from pydantic import Field

from readmission_platform.assets.model.stages import align_and_announce
from readmission_platform.foundation.steps import reached
from readmission_platform.governance.promotion.rollback import RollbackRequest, apply_rollback
from readmission_platform.lifecycle.versions.decisions import conditions_table, consider_rollback
from readmission_platform.resources.project import ProjectResource
from readmission_platform.resources.tracking import TrackingResource


class RollbackConfig(dg.Config):
    """Which version to go back to, and why."""

    to_version: str | None = Field(
        default=None, description="A version that was in production; default: the one before."
    )
    reason: str = Field(default="", description="Why; required, and recorded in the ledger.")
    dry_run: bool = Field(default=False, description="Show every condition and change nothing.")


@dg.op(
    description="Verify the former version's artifact, move the pointer in one transaction, align the registry.",
    out={"version": dg.Out(str, is_required=False, io_manager_key="memory")},
)
def roll_back_production(
    context: dg.OpExecutionContext, config: RollbackConfig, project: ProjectResource, tracking: TrackingResource
) -> Iterator[Any]:
    """Roll production back, or show what would be checked."""
    with project.ledger() as ledger:
        tracking.aliases(project.model.name)
        request = RollbackRequest(config.to_version, project.actor, config.reason)
        decision = consider_rollback(request, ledger=ledger, project=project, tracking=tracking)
        reached("rollback: decided")
        context.add_output_metadata({"conditions": conditions_table(decision)}, output_name="version")
        apply_rollback(ledger, decision, dry_run=config.dry_run)
        if config.dry_run:
            return
        reached("rollback: recorded in the ledger")
        yield from align_and_announce(ledger, tracking=tracking, project=project)
        context.log.info(f"production is back to version {decision.target}")
        yield dg.Output(str(decision.target), output_name="version")


@dg.job(
    description="Take production back to the version before, or to a named one that was in production. Needs a reason "
    "and no new approval, and is effective for the next prediction run. With dry_run it only shows every condition.",
    tags={"readmission/lifecycle": "rollback"},
)
def rollback_job() -> None:
    """Roll production back."""
    roll_back_production()
