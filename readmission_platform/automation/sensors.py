"""Sensors: what happens because something else did.

The sensors look at the ledger, never at "latest materialization" or recorded checks: an asset whose gates failed is
still recorded as materialized, and anybody who reaches the webserver can report a passing check.
"""

from dataclasses import dataclass

import dagster as dg

from readmission_platform.assets.model.promotion import PromotionConfig, promotion_job
from readmission_platform.assets.model.stages import Stage, live_version
from readmission_platform.automation.jobs import projection_job
from readmission_platform.config.governance import EnvironmentConfig
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.versions import version_records
from readmission_platform.lifecycle.versions.reconciliation import differences, record_once
from readmission_platform.lifecycle.versions.version_facts import shadow_days
from readmission_platform.resources.lake import LakeResource
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
    for version in sorted(ledger.versions(), key=int, reverse=True):
        record = version_records(*ledger.snapshot(version=version))[version]
        if record.state == "candidate" and record.accepted:
            return version, max(event.seq for event in record.validations)
        if record.state != "rejected":
            return None
    return None


def production_promotion_sensor(rules: EnvironmentConfig) -> dg.SensorDefinition:
    """Return the sensor that promotes the version in staging once it has been approved and shadowed long enough."""

    @dg.sensor(
        name="production_promotion_sensor",
        job=promotion_job,
        minimum_interval_seconds=MINIMUM_SECONDS,
        default_status=_status(rules.sensors_running),
        description="Requests promotion to production for the version in staging when the approvals it needs have been "
        "given. The job decides: gates, shadow days and signatures are checked there.",
    )
    def sensor(project: ProjectResource, lake: LakeResource) -> dg.RunRequest | dg.SkipReason:
        with project.ledger() as ledger:
            approved = approved_in_staging(ledger, needed=rules.approvals_required)
            record = live_version(ledger, Stage.staging.value)
        if approved is None or record is None:
            return dg.SkipReason("no version in staging has the approvals it needs")
        days = shadow_days(lake.open(), record)
        if days < rules.shadow_days_required:
            return dg.SkipReason(f"version {approved.version}: {days} of {rules.shadow_days_required} shadow days")
        config = PromotionConfig(
            version=approved.version, to_stage=Stage.production, replace=approved.saw_incumbent, reason="approved"
        )
        return dg.RunRequest(
            run_key=f"production-{approved.version}-{approved.seq}-{days}",
            run_config=dg.RunConfig(ops={"promote_version": config}),
        )

    return sensor


@dataclass(frozen=True)
class ApprovedVersion:
    """The version in staging, the event of its last approval, and whether all approvals came after the incumbent.

    Whoever approves while another version is live has it replaced: that acknowledges the replacement.
    """

    version: str
    seq: int
    saw_incumbent: bool


def approved_in_staging(ledger: Ledger, *, needed: int) -> ApprovedVersion | None:
    """Return the version in staging if it has as many approvals as it needs, whether or not they count."""
    pointers = ledger.pointers()
    version = pointers[Stage.staging.value].version
    if version is None:
        return None
    given = [event.seq for event in ledger.events(kind="version_approved", version=version)]
    if len(given) < needed:
        return None
    incumbent = pointers[Stage.production.value]
    return ApprovedVersion(version, given[-1], incumbent.version is not None and min(given) > incumbent.seq)


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
