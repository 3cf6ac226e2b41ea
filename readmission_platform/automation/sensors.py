"""Sensors: what happens because something else did.

The sensors look at the ledger, never at "latest materialization" or recorded checks: an asset whose gates failed is
still recorded as materialized, and anybody who reaches the webserver can report a passing check.
"""

from dataclasses import dataclass

import dagster as dg

from readmission_platform.assets.model.promotion import PROMOTION_OP, PromotionConfig
from readmission_platform.assets.model_assets import ModelAssets
from readmission_platform.automation.jobs import ModelJobs
from readmission_platform.config.governance import EnvironmentConfig
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.versions import version_records
from readmission_platform.governance.promotion.drift_statement import ACCEPTED
from readmission_platform.governance.rollouts.state import rollout_of, rollouts_of
from readmission_platform.lifecycle.monitoring.windows import drift_facts
from readmission_platform.lifecycle.versions.approval import waits_for_rollout
from readmission_platform.lifecycle.versions.reconciliation import differences, record_once
from readmission_platform.lifecycle.versions.shadow_days import days_in_the_shadow
from readmission_platform.lifecycle.versions.stages import Stage, live_version
from readmission_platform.lifecycle.workspace import Platform

MINIMUM_SECONDS = 30


def status_of(running: bool) -> dg.DefaultSensorStatus:
    """Return the default status of a sensor."""
    return dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED


def staging_promotion_sensor(model: ModelAssets, jobs: ModelJobs, rules: EnvironmentConfig) -> dg.SensorDefinition:
    """Return the sensor that promotes the newest accepted candidate to staging."""

    @dg.sensor(
        name=model.named("staging_promotion_sensor"),
        job=jobs.promotion,
        minimum_interval_seconds=MINIMUM_SECONDS,
        default_status=status_of(rules.sensors_running),
        tags=model.tags,
        description="Requests promotion to staging for a candidate that passed every candidate gate. The job decides "
        "again, on recomputed evidence.",
    )
    def sensor(platform: dg.ResourceParam[Platform]) -> dg.RunRequest | dg.SkipReason:
        with model.workspace(platform).ledger() as ledger:
            waiting, open_one = waiting_for_staging(ledger), rollout_of(ledger.events())
        if open_one is not None:
            return dg.SkipReason(f"version {open_one.candidate_version} is being rolled out; staging is its place")
        if waiting is None:
            return dg.SkipReason("no accepted candidate is newer than the version in staging")
        version, seq = waiting
        config = PromotionConfig(version=version, to_stage=Stage.staging, reason="every candidate gate passed")
        return _promotion(model, config, f"staging-{version}-{seq}")

    return sensor


def _promotion(model: ModelAssets, config: PromotionConfig, run_key: str) -> dg.RunRequest:
    return dg.RunRequest(run_key=run_key, run_config=dg.RunConfig(ops={model.named(PROMOTION_OP): config}))


def waiting_for_staging(ledger: Ledger) -> tuple[str, int] | None:
    """Return the newest accepted candidate and the ledger's event that accepted it, or None."""
    for version in sorted(ledger.versions(), key=int, reverse=True):
        record = version_records(*ledger.snapshot(version=version))[version]
        if record.state == "candidate" and record.accepted:
            return version, max(event.seq for event in record.validations)
        if record.state != "rejected":
            return None
    return None


def production_promotion_sensor(model: ModelAssets, jobs: ModelJobs, rules: EnvironmentConfig) -> dg.SensorDefinition:
    """Return the sensor that promotes the version in staging once it has been approved and shadowed long enough."""

    @dg.sensor(
        name=model.named("production_promotion_sensor"),
        job=jobs.promotion,
        minimum_interval_seconds=MINIMUM_SECONDS,
        default_status=status_of(rules.sensors_running),
        tags=model.tags,
        description="Requests promotion to production for the version in staging when the approvals it needs have been "
        "given. The job decides: gates, shadow days and signatures are checked there.",
    )
    def sensor(platform: dg.ResourceParam[Platform]) -> dg.RunRequest | dg.SkipReason:
        workspace = model.workspace(platform)
        with workspace.ledger() as ledger:
            if waits_for_rollout(ledger, rules.rollouts):
                return dg.SkipReason("an approved version waits here for its roll-out: readmission rollout start")
            if (open_one := rollout_of(ledger.events())) is not None:
                return dg.SkipReason(f"version {open_one.candidate_version} is being rolled out")
            asked = workspace.promotion_rules
            approved = approved_in_staging(ledger, needed=asked.approvals_required)
            given_up = aborted_since(ledger, approved)
            record = live_version(ledger, Stage.staging.value)
            accepted = max((event.seq for event in ledger.events(kind=ACCEPTED)), default=0)
        if approved is None or record is None:
            return dg.SkipReason("no version in staging has the approvals it needs")
        if given_up is not None:
            return dg.SkipReason(f"the roll-out of version {approved.version} was given up in event {given_up}: "
                                 "promote it by hand, or approve it anew")  # fmt: skip
        days = days_in_the_shadow(workspace.lake, record)
        if days < asked.shadow_days_required:
            return dg.SkipReason(f"version {approved.version}: {days} of {asked.shadow_days_required} shadow days")
        drift = drift_facts(workspace.lake, record, workspace.monitoring.drift)
        if drift.closed == 0 or drift.unjudged:
            why = "no window of rows is full" if drift.closed == 0 else "the latest windows are not judged"
            return dg.SkipReason(f"version {approved.version}: {why}")
        config = PromotionConfig(
            version=approved.version, to_stage=Stage.production, replace=approved.saw_incumbent, reason="approved"
        )
        # Drift that was accepted since the last refusal is a reason to ask again.
        return _promotion(model, config, f"production-{approved.version}-{approved.seq}-{days}-{accepted}")

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


def aborted_since(ledger: Ledger, approved: ApprovedVersion | None) -> int | None:
    """Return the event that ended the last roll-out of an approved version without success after its last approval."""
    if approved is None:
        return None
    own = [each for each in rollouts_of(ledger.events()) if each.candidate_version == approved.version]
    given_up = bool(own) and own[-1].status in {"aborted", "rolled_back"} and own[-1].last_event > approved.seq
    return own[-1].last_event if given_up else None


def reconciliation_sensor(model: ModelAssets, jobs: ModelJobs, rules: EnvironmentConfig) -> dg.SensorDefinition:
    """Return the sensor that has the registry's aliases repaired when they differ from the ledger."""
    name = model.named("reconciliation_sensor")

    @dg.sensor(
        name=name,
        job=jobs.projection,
        minimum_interval_seconds=4 * MINIMUM_SECONDS,
        default_status=status_of(rules.sensors_running),
        tags=model.tags,
        description="Compares the registry's aliases with the ledger and has differences repaired; the ledger decides.",
    )
    def sensor(
        context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]
    ) -> dg.RunRequest | dg.SkipReason:
        workspace = model.workspace(platform)
        with workspace.ledger() as ledger:
            found = differences(ledger, workspace=workspace)
            if found:
                record_once(ledger, found, actor=name)
        if not found:
            return dg.SkipReason("registry and artifacts agree with the ledger")
        for each in found:
            context.log.warning(f"{each.stage}: {each.what} differs from the ledger. {each.action}")
        if not any(each.repairable for each in found):
            return dg.SkipReason("some differences cannot be repaired from the ledger; see the log of this tick")
        # A new key for every tick that finds a difference: the same alias may be moved by hand more than once.
        return dg.RunRequest(run_key=f"repair-{context.last_tick_completion_time}")

    return sensor
