"""Sensors: what happens because something else did.

The sensors look at the ledger, never at "latest materialization" or recorded checks: an asset whose gates failed is
still recorded as materialized, and anybody who reaches the webserver can report a passing check.
"""

import dagster as dg

from readmission_platform.assets.promotion import PromotionConfig, promotion_job
from readmission_platform.assets.reconciliation import differences, record_once
from readmission_platform.assets.stages import Stage
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
            found = differences(ledger, project=project, tracking=tracking)
            if found:
                record_once(ledger, found, actor="reconciliation_sensor")
        if not found:
            return dg.SkipReason("registry and artifacts are what the ledger says")
        for each in found:
            context.log.warning(f"{each.stage}: {each.what} differs from the ledger. {each.action}")
        if not any(each.repairable for each in found):
            return dg.SkipReason("what differs cannot be repaired from the ledger; see the log of this tick")
        # A new key for every tick that finds a difference: the same alias may be moved by hand more than once.
        return dg.RunRequest(run_key=f"repair-{context.last_tick_completion_time}")

    return sensor


def _status(running: bool) -> dg.DefaultSensorStatus:
    return dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED
