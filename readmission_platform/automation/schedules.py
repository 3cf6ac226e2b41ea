"""Schedules: what happens by the clock."""

from zoneinfo import ZoneInfo

import dagster as dg
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from readmission_platform.assets.model_assets import ModelAssets
from readmission_platform.automation.jobs import ModelJobs
from readmission_platform.config.governance import EnvironmentConfig
from readmission_platform.lifecycle.days.outcomes import days_to_take_in
from readmission_platform.lifecycle.days.progress import Progress, day_states, stretches
from readmission_platform.lifecycle.workspace import Platform

HOUR = 6
OUTCOMES_HOUR = 5
# Scoring a day takes a minute; what it leaves to do when it is late is done the next morning.
MONITORING_MINUTE = 30


def daily_scoring_schedule(model: ModelAssets, jobs: ModelJobs, rules: EnvironmentConfig) -> dg.ScheduleDefinition:
    """Return the schedule that scores yesterday's deliveries every morning at six, in the hospital's time zone.

    A day without files is skipped with the reason: an interface that is late is no failure of this platform. So is one
    that the landing sensor had scored already.
    """
    words, folder = model.words, model.contract.landing.rows

    @dg.schedule(
        name=model.named("daily_scoring_schedule"),
        job=jobs.scoring,
        cron_schedule=f"0 {HOUR} * * *",
        execution_timezone=rules.timezone,
        default_status=_status(rules.scoring_schedule_running),
        tags=model.tags,
        description=f"Score yesterday's {words.delivery} every day at {HOUR:02}:00 ({rules.timezone}).",
    )
    def schedule(
        context: dg.ScheduleEvaluationContext, platform: dg.ResourceParam[Platform]
    ) -> dg.RunRequest | dg.SkipReason:
        workspace = model.workspace(platform)
        now = context.scheduled_execution_time.astimezone(ZoneInfo(rules.timezone))
        # Calendar arithmetic, not 24 hours: a day of the clock change has 23 or 25.
        yesterday = now.date().fromordinal(now.date().toordinal() - 1).isoformat()
        progress = day_states(workspace, [yesterday])[0].progress
        if progress is Progress.no_file:
            return dg.SkipReason(f"no files in landing/{folder}/{yesterday}")
        if progress is Progress.nothing_accepted:
            return dg.SkipReason(f"everything of {yesterday} was set aside; `readmission quarantine list` says why")
        if progress is Progress.complete:
            return dg.SkipReason(f"{yesterday} is complete: its files were taken in and scored when they landed")
        return dg.RunRequest(run_key=yesterday, partition_key=yesterday)

    return schedule


def daily_outcomes_schedule(model: ModelAssets, jobs: ModelJobs, rules: EnvironmentConfig) -> dg.ScheduleDefinition:
    """Return the schedule that takes in outcomes every morning: of every day that is old enough and has new files."""
    folder, maturity = model.contract.landing.outcomes, model.contract.maturity_days

    @dg.schedule(
        name=model.named("daily_outcomes_schedule"),
        job=jobs.outcomes,
        cron_schedule=f"0 {OUTCOMES_HOUR} * * *",
        execution_timezone=rules.timezone,
        default_status=_status(rules.monitoring_schedule_running),
        tags=model.tags,
        description=f"Take in outcomes every day at {OUTCOMES_HOUR:02}:00 ({rules.timezone}): of the days that are "
        f"{maturity} and more days old and whose files in landing/{folder}, or whose rows, changed since the last "
        "time.",
    )
    def schedule(
        context: dg.ScheduleEvaluationContext, platform: dg.ResourceParam[Platform]
    ) -> list[dg.RunRequest] | dg.SkipReason:
        workspace = model.workspace(platform)
        today = context.scheduled_execution_time.astimezone(ZoneInfo(rules.timezone)).date()
        days = days_to_take_in(workspace.landing, workspace.lake, today=today)
        if not days:
            return dg.SkipReason(f"no day that is {maturity} days old has outcomes that were not taken in yet")
        return [
            dg.RunRequest(
                run_key=f"outcomes-{each[0]}-{each[-1]}-{today}",
                tags={ASSET_PARTITION_RANGE_START_TAG: each[0], ASSET_PARTITION_RANGE_END_TAG: each[-1]},
            )
            for each in stretches(days, longest=workspace.monitoring.gaps.days_per_run)
        ]

    return schedule


def monitoring_schedule(model: ModelAssets, jobs: ModelJobs, rules: EnvironmentConfig) -> dg.ScheduleDefinition:
    """Return the schedule that looks at drift and live performance every morning, half an hour after scoring."""

    @dg.schedule(
        name=model.named("monitoring_schedule"),
        job=jobs.monitoring,
        cron_schedule=f"{MONITORING_MINUTE} {HOUR} * * *",
        execution_timezone=rules.timezone,
        default_status=_status(rules.monitoring_schedule_running),
        tags=model.tags,
        description=f"Look at drift and live performance every day at {HOUR:02}:{MONITORING_MINUTE} "
        f"({rules.timezone}), after outcomes were taken in and the day was scored.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        return dg.RunRequest(run_key=f"monitoring-{context.scheduled_execution_time.date()}")

    return schedule


def _status(running: bool) -> dg.DefaultScheduleStatus:
    return dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED
