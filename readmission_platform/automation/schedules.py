"""Schedules: what happens by the clock."""

from zoneinfo import ZoneInfo

import dagster as dg

from readmission_platform.automation.jobs import scoring_job
from readmission_platform.config import EnvironmentConfig
from readmission_platform.resources.landing import Landing
from readmission_platform.resources.project import ProjectResource

HOUR = 6


def daily_scoring_schedule(rules: EnvironmentConfig) -> dg.ScheduleDefinition:
    """Return the schedule that scores yesterday's discharges every morning at six, in the hospital's time zone.

    A day without files is skipped with the reason: an interface that is late is no failure of this platform.
    """

    @dg.schedule(
        name="daily_scoring_schedule",
        job=scoring_job,
        cron_schedule=f"0 {HOUR} * * *",
        execution_timezone=rules.timezone,
        default_status=_status(rules.scoring_schedule_running),
        description=f"Score yesterday's discharges every day at {HOUR:02}:00 ({rules.timezone}).",
    )
    def schedule(context: dg.ScheduleEvaluationContext, project: ProjectResource) -> dg.RunRequest | dg.SkipReason:
        now = context.scheduled_execution_time.astimezone(ZoneInfo(rules.timezone))
        # Calendar arithmetic, not 24 hours: a day of the clock change has 23 or 25.
        yesterday = now.date().fromordinal(now.date().toordinal() - 1).isoformat()
        if yesterday not in Landing(project.settings.landing).days():
            return dg.SkipReason(f"no files in landing/discharges/{yesterday}")
        return dg.RunRequest(run_key=yesterday, partition_key=yesterday)

    return schedule


def _status(running: bool) -> dg.DefaultScheduleStatus:
    return dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED
