"""Retraining: a training that starts by itself, because of an alarm or because it is Sunday.

Where risks no longer mean what they say while the model still ranks as well as it should, a recalibration is tried
first: it changes least. If that did not help, the next alarm trains.

What belongs here: when a training or a recalibration is requested, and with which data. What does not: what becomes of
the version; it is a candidate like any other, and only the staging sensor and the gates take it further.

Neither starts a training while another one runs, nor while a version in staging still collects its days in the shadow:
a newer candidate would take its place and the days would start again, so that with one training a week and fourteen
days in the shadow no version would ever get through.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from readmission_platform.assets.feed.ingestion import source_of
from readmission_platform.assets.model_assets import ModelAssets
from readmission_platform.automation.jobs import ModelJobs
from readmission_platform.automation.sensors import status_of
from readmission_platform.config.governance import EnvironmentConfig
from readmission_platform.config.monitoring import MonitoringConfig, RetrainingConfig
from readmission_platform.governance.ledger.chain import Event
from readmission_platform.governance.ledger.versions import RECALIBRATED, VersionRecord
from readmission_platform.governance.promotion.drift_acceptances import Acceptance, counting
from readmission_platform.lifecycle.monitoring.live_verdicts import matured_events, worse_measures
from readmission_platform.lifecycle.monitoring.windows import drift_facts
from readmission_platform.lifecycle.versions.shadow_days import days_in_the_shadow
from readmission_platform.lifecycle.versions.stages import Stage, live_version
from readmission_platform.lifecycle.workspace import Platform
from readmission_platform.storage.tables import ModelLake

WHY_TAG, MEASURES_TAG, REPLACES_TAG = (
    f"readmission/retraining_{name}" for name in ("because", "measures", "of_version")
)
MINIMUM_SECONDS = 600
# Measures that slope and intercept can mend. The Brier score falls with either, and discrimination is judged apart.
CALIBRATION = frozenset({"observed_expected", "calibration_slope", "brier", "brier_skill"})


def retraining_sensor(model: ModelAssets, jobs: ModelJobs, rules: EnvironmentConfig) -> dg.SensorDefinition:
    """Return the sensor that has a version trained when the one in production drifted or got worse."""

    @dg.sensor(
        name=model.named("retraining_sensor"),
        jobs=[jobs.training, jobs.recalibration],
        minimum_interval_seconds=MINIMUM_SECONDS,
        default_status=status_of(rules.retraining_running),
        tags=model.tags,
        description="Requests a training when drift_report has an alarm for the version in production or "
        "live_performance found it worse than its limits, unless something was trained within the cool-down. When only "
        "calibration is worse, it requests a recalibration first. Promotes nothing: the result is a candidate.",
    )
    def sensor(
        context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]
    ) -> dg.RunRequest | dg.SkipReason:
        workspace, now = model.workspace(platform), datetime.now(UTC)
        lake, monitoring = workspace.lake, workspace.monitoring
        with workspace.ledger() as ledger:
            record = live_version(ledger, Stage.production.value)
            waiting = live_version(ledger, Stage.staging.value)
            trained = ledger.events(kind="version_trained")
            accepted = counting(ledger.events(), record.version, now=ledger.now()) if record else []
        if record is None:
            return dg.SkipReason("no version is in production")
        because, measures = confirmed(lake, record, monitoring, accepted)
        if not because:
            return dg.SkipReason(f"version {record.version} has no drift alarm and is not worse on matured outcomes")
        held_back = (
            cooling_down(trained, monitoring.retraining, now=now)
            or busy(context.instance, jobs.training.name)
            or busy(context.instance, jobs.recalibration.name)
            or collecting(lake, waiting, needed=workspace.promotion_rules.shadow_days_required)
        )
        if held_back:
            return dg.SkipReason(f"version {record.version}: {because.replace('_', ' ')}; {held_back}")
        tags = {WHY_TAG: because, **({MEASURES_TAG: ".".join(measures)} if measures else {})}
        # A run that failed before there was a version may be requested again, but not before tomorrow.
        day = now.astimezone(ZoneInfo(rules.timezone)).date()
        key = f"retraining-{record.version}-{trained[-1].seq}-{day}"
        if because == "performance" and calls_for_recalibration(lake, record, measures, trained, monitoring):
            return dg.RunRequest(
                run_key=key, job_name=jobs.recalibration.name, tags={**tags, REPLACES_TAG: record.version}
            )
        return request(context.instance, model, jobs, record, run_key=key, tags=tags)

    return sensor


def regular_training_schedule(
    model: ModelAssets, jobs: ModelJobs, rules: EnvironmentConfig, monitoring: MonitoringConfig
) -> dg.ScheduleDefinition:
    """Return the schedule of the regular training, which takes in the outcomes that have matured meanwhile."""

    @dg.schedule(
        name=model.named("regular_training_schedule"),
        job=jobs.training,
        cron_schedule=monitoring.retraining.regularly,
        execution_timezone=rules.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING
        if rules.retraining_running
        else dg.DefaultScheduleStatus.STOPPED,
        tags=model.tags,
        description=f"Trains a candidate regularly (cron {monitoring.retraining.regularly}, {rules.timezone}) on the "
        "source of the version in production and on what has matured since. Promotes nothing.",
    )
    def schedule(
        context: dg.ScheduleEvaluationContext, platform: dg.ResourceParam[Platform]
    ) -> dg.RunRequest | dg.SkipReason:
        workspace = model.workspace(platform)
        with workspace.ledger() as ledger:
            record = live_version(ledger, Stage.production.value)
            waiting = live_version(ledger, Stage.staging.value)
        if record is None:
            return dg.SkipReason("no version is in production; train the first one with `readmission train`")
        held_back = busy(context.instance, jobs.training.name) or collecting(
            workspace.lake, waiting, needed=workspace.promotion_rules.shadow_days_required
        )
        if held_back:
            return dg.SkipReason(held_back)
        day = context.scheduled_execution_time.astimezone(ZoneInfo(rules.timezone)).date()
        return request(context.instance, model, jobs, record, run_key=f"regular-{day}", tags={WHY_TAG: "schedule"})

    return schedule


def confirmed(
    lake: ModelLake, record: VersionRecord, monitoring: MonitoringConfig, accepted: Sequence[Acceptance] = ()
) -> tuple[str, Sequence[str]]:
    """Say what calls for a training: ``drift``, ``performance``, both or nothing; and the measures that got worse.

    Drift that was ``accepted`` calls for none by itself; the regular training goes on.
    """
    drift = drift_facts(lake, record, monitoring.drift, accepted)
    measures = worse_measures(lake, record.version)
    found = {"drift": len(drift.drifted) >= drift.alarm_windows, "performance": bool(measures)}
    return "_and_".join(name for name, calls in found.items() if calls), measures


def calls_for_recalibration(
    lake: ModelLake,
    record: VersionRecord,
    measures: Sequence[str],
    trained: Sequence[Event],
    monitoring: MonitoringConfig,
) -> bool:
    """Tell whether only calibration got worse, enough events have matured, and no recalibration was tried before."""
    if (
        not set(measures) <= CALIBRATION
        or matured_events(lake, record.version) < monitoring.recalibration.min_positives
    ):
        return False
    since = next(place for place, event in enumerate(trained) if event.version == record.version)
    return not any(RECALIBRATED in event.payload for event in trained[since + 1 :])


def cooling_down(trained: Sequence[Event], settings: RetrainingConfig, *, now: datetime) -> str | None:
    """Say that the last training is too recent for another one, or return None.

    A drift alarm lasts until another version is live; without the cool-down it would start a training every day.
    """
    last = max((datetime.fromisoformat(event.at) for event in trained), default=None)
    if last is None or now - last >= timedelta(days=settings.cool_down_days):
        return None
    return f"the last training was on {last.date()}, and the cool-down is {settings.cool_down_days} days"


def busy(instance: dg.DagsterInstance, job: str) -> str | None:
    """Say that a training is under way, or return None."""
    runs = instance.get_runs(filters=dg.RunsFilter(job_name=job, statuses=list(NOT_FINISHED_STATUSES)), limit=1)
    return f"a training run is under way (run {runs[0].run_id})" if runs else None


def collecting(lake: ModelLake, waiting: VersionRecord | None, *, needed: int) -> str | None:
    """Say that the version in staging still collects days in the shadow, or return None."""
    days = days_in_the_shadow(lake, waiting) if waiting else needed
    if waiting is None or days >= needed:
        return None
    return (f"version {waiting.version} in staging has {days} of {needed} shadow days, which would start over "
            "with a newer candidate")  # fmt: skip


def request(
    instance: dg.DagsterInstance,
    model: ModelAssets,
    jobs: ModelJobs,
    record: VersionRecord,
    *,
    run_key: str,
    tags: Mapping[str, str],
) -> dg.RunRequest | dg.SkipReason:
    """Request a training on the source that the version in production was trained on."""
    op = model.op(model.names.raw)
    source = source_of(instance, record, op)
    if source is None:
        return dg.SkipReason(
            f"the run that trained version {record.version} does not say its source; start {jobs.training.name}"
        )
    return dg.RunRequest(
        run_key=run_key,
        run_config={"ops": {op: {"config": source}}},
        job_name=jobs.training.name,
        tags={**tags, REPLACES_TAG: record.version},
    )
