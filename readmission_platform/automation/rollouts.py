"""Roll-outs: the sensor that takes the steps of a signed plan, and takes a candidate back that turns out worse.

What belongs here: when to look, and what Dagster is told. What does not: what a look decides
(``lifecycle.rollouts.driving``).

The sensor writes the steps itself instead of requesting a run: a candidate that is worse is not to wait for a queue.
Only the promotion at the end is a run, of the promotion job, which decides for itself like any other.
"""

import dagster as dg

from readmission_platform.assets.model.promotion import PROMOTION_OP, PromotionConfig
from readmission_platform.assets.model.rollout import ROLLOUT, shown
from readmission_platform.assets.model_assets import ModelAssets
from readmission_platform.automation.jobs import ModelJobs
from readmission_platform.automation.sensors import MINIMUM_SECONDS, status_of
from readmission_platform.config.governance import EnvironmentConfig
from readmission_platform.foundation.errors import Conflict
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.promotion.drift_statement import ACCEPTED
from readmission_platform.governance.rollouts.state import RolloutState, rollout_of
from readmission_platform.lifecycle.rollouts.driving import look, remember, take
from readmission_platform.lifecycle.versions.stages import Stage
from readmission_platform.lifecycle.workspace import Platform


def rollout_sensor(model: ModelAssets, jobs: ModelJobs, rules: EnvironmentConfig) -> dg.SensorDefinition:
    """Return the sensor that drives the roll-out that is open."""

    @dg.sensor(
        name=model.named("rollout_sensor"),
        job=jobs.promotion,
        minimum_interval_seconds=MINIMUM_SECONDS,
        default_status=status_of(rules.sensors_running),
        tags=model.tags,
        description="Compares the arms of the roll-out that is open and takes the next step of its plan: on when all "
        "is fine, a pause when the figures allow no verdict, back when the candidate is worse. When every step held, "
        "it requests the promotion, which decides again.",
    )
    def sensor(
        context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]
    ) -> dg.SensorResult | dg.SkipReason:
        workspace = model.workspace(platform)
        with workspace.ledger() as ledger, platform.operations() as operations:
            outlook = look(ledger, workspace, operations)
            if outlook is None:
                return dg.SkipReason("no roll-out is open")
            remember(outlook, workspace, operations)
            try:
                event = take(outlook, ledger=ledger, workspace=workspace)
            except Conflict:
                return dg.SkipReason("the roll-out changed at this moment; looking again at the next tick")
            after = rollout_of(ledger.events())
            request = _promotion(model, after, ledger) if after is not None and after.status == "completed" else None
            if event is None and request is None:
                return dg.SkipReason(outlook.why)
            changed = []
            if event is not None:
                context.log.info(f"event {event.seq}: {event.kind.replace('_', ' ')}. {outlook.why}")
                now = look(ledger, workspace, operations)
                changed = [dg.AssetMaterialization(model.key(ROLLOUT), metadata=shown(now, ledger))]
        return dg.SensorResult(run_requests=[request] if request else [], asset_events=changed)

    return sensor


def _promotion(model: ModelAssets, state: RolloutState, ledger: Ledger) -> dg.RunRequest:
    """Request the promotion of a candidate whose roll-out held; again when there is a new approval or acceptance."""
    approved = ledger.events(kind="version_approved", version=state.candidate_version)
    latest = max((event.seq for event in [*approved, *ledger.events(kind=ACCEPTED)]), default=0)
    config = PromotionConfig(
        version=state.candidate_version,
        to_stage=Stage.production,
        replace=True,
        reason=f"its roll-out (event {state.plan_event}) held at every step",
    )
    return dg.RunRequest(
        run_key=f"rollout-{state.plan_event}-{state.last_event}-{latest}",
        run_config=dg.RunConfig(ops={model.named(PROMOTION_OP): config}),
    )
