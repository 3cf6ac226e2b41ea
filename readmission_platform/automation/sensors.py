"""Sensors: what happens because something else did.

The sensors look at the ledger, never at "latest materialization" or recorded checks: an asset whose gates failed is
still recorded as materialized, and anybody who reaches the webserver can report a passing check.
"""

import dagster as dg

from readmission_platform.assets.promotion import PromotionConfig, Stage, promotion_job, stage_versions
from readmission_platform.automation.jobs import projection_job
from readmission_platform.config import EnvironmentConfig
from readmission_platform.governance.ledger import Ledger
from readmission_platform.governance.versions import version_records
from readmission_platform.resources.project import ProjectResource
from readmission_platform.resources.tracking import TrackingResource

MINIMUM_SECONDS = 30


def staging_promotion_sensor(rules: EnvironmentConfig) -> dg.SensorDefinition:
    """Return the sensor that promotes the newest accepted candidate to staging."""

    @dg.sensor(
        name="staging_promotion_sensor",
        job=promotion_job,
        minimum_interval_seconds=MINIMUM_SECONDS,
        default_status=_status(rules.sensors_running),
        description="Requests promotion to staging for a candidate that passed every candidate gate. The job decides "
        "again, on recomputed evidence.",
    )
    def sensor(project: ProjectResource) -> dg.RunRequest | dg.SkipReason:
        with project.ledger() as ledger:
            waiting = waiting_for_staging(ledger)
        if waiting is None:
            return dg.SkipReason("no accepted candidate is newer than the version in staging")
        version, seq = waiting
        config = PromotionConfig(version=version, to_stage=Stage.staging, reason="every candidate gate passed")
        return dg.RunRequest(
            run_key=f"staging-{version}-{seq}", run_config=dg.RunConfig(ops={"promote_version": config})
        )

    return sensor


def waiting_for_staging(ledger: Ledger) -> tuple[str, int] | None:
    """Return the newest accepted candidate and the ledger's event that accepted it, or None."""
    events, pointers = ledger.snapshot()
    records = version_records(events, pointers)
    newest = max((int(version) for version, record in records.items() if record.state != "rejected"), default=None)
    if newest is None or records[str(newest)].state != "candidate" or not records[str(newest)].accepted:
        return None
    return str(newest), max(event.seq for event in records[str(newest)].validations)


def reconciliation_sensor(rules: EnvironmentConfig) -> dg.SensorDefinition:
    """Return the sensor that has the registry's aliases repaired when they differ from the ledger."""

    @dg.sensor(
        name="reconciliation_sensor",
        job=projection_job,
        minimum_interval_seconds=4 * MINIMUM_SECONDS,
        default_status=_status(rules.sensors_running),
        description="Compares the registry's aliases with the ledger and has them repaired; the ledger decides.",
    )
    def sensor(
        context: dg.SensorEvaluationContext, project: ProjectResource, tracking: TrackingResource
    ) -> dg.RunRequest | dg.SkipReason:
        with project.ledger() as ledger:
            wanted = {stage: version for stage, version in stage_versions(ledger).items() if version}
            last = ledger.events()[-1:]
        if not last:
            return dg.SkipReason("the ledger is empty")
        shown = tracking.aliases(project.model.name)
        found = {stage: shown[stage] for stage in ("staging", "production") if stage in shown}
        if found == wanted:
            return dg.SkipReason("the registry shows what the ledger says")
        # A new key for every tick that finds a difference: the same alias may be moved by hand more than once.
        return dg.RunRequest(run_key=f"repair-{last[0].seq}-{context.cursor or 0}-{context.last_tick_completion_time}")

    return sensor


def _status(running: bool) -> dg.DefaultSensorStatus:
    return dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED
