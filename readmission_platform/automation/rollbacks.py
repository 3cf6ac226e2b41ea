"""Automatic rollback: the sensor that has a version taken back whose days fail, where the environment allows it.

What belongs here: when a rollback is requested. What does not: what the days come to (``lifecycle.rollouts.days``), and
the decision, which is that of any rollback: the run decides again, as whoever acts here, on the record.
"""

import dagster as dg

from readmission_platform.assets.model.rollback import ROLLBACK_OP, RollbackConfig
from readmission_platform.assets.model_assets import ModelAssets
from readmission_platform.automation.jobs import ModelJobs
from readmission_platform.automation.sensors import status_of
from readmission_platform.config.governance import EnvironmentConfig
from readmission_platform.lifecycle.rollouts.days import former_version, judge_days
from readmission_platform.lifecycle.versions.stages import Stage, live_version
from readmission_platform.lifecycle.workspace import Platform

ROLLBACK_SECONDS = 120


def automatic_rollback_sensor(model: ModelAssets, jobs: ModelJobs, rules: EnvironmentConfig) -> dg.SensorDefinition:
    """Return the sensor that requests the rollback of a version whose days fail the limits of the environment."""
    policy = rules.rollouts.automatic_rollback

    @dg.sensor(
        name=model.named("automatic_rollback_sensor"),
        job=jobs.rollback,
        minimum_interval_seconds=ROLLBACK_SECONDS,
        default_status=status_of(rules.sensors_running and policy.allowed),
        tags=model.tags,
        description="Requests a rollback when the latest days of the version in production fail the limits of the "
        "environment: share withheld, rows not answered, risks shifted. Never without a version that was approved "
        "before, and never twice in a row: what a rollback has brought back stays.",
    )
    def sensor(platform: dg.ResourceParam[Platform]) -> dg.RunRequest | dg.SkipReason:
        if not policy.allowed:
            return dg.SkipReason("this environment does not allow it (automatic_rollback in its configuration)")
        workspace = model.workspace(platform)
        with workspace.ledger() as ledger:
            events, pointers = ledger.snapshot()
            record = live_version(ledger, Stage.production.value)
        pointer = pointers[Stage.production.value]
        before = former_version(pointer, events)
        if record is None or record.version != pointer.version or before is None:
            return dg.SkipReason("there is no promoted version in production with an approved one before it")
        since = next(event.at for event in events if event.seq == pointer.seq)
        found = judge_days(workspace.lake, record, before, since=since, limits=policy.limits)
        if found is None:
            return dg.SkipReason(f"version {record.version} has not scored enough rows to be judged")
        if not found.failed:
            return dg.SkipReason(f"version {record.version}: days {found.first_day} to {found.last_day} are fine")
        config = RollbackConfig(to_version=before, reason=found.reason)
        return dg.RunRequest(
            run_key=f"automatic-rollback-{record.version}-{pointer.seq}",
            run_config=dg.RunConfig(ops={model.named(ROLLBACK_OP): config}),
        )

    return sensor
