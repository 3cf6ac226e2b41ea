"""Sensors of the landing zone: new files are taken in, and days that were missed are found and filled.

What belongs here: requesting runs for days. What does not: how far a day is (``lifecycle.days.progress``).
Both compare the content of the files with what the lake says was taken in, so a file that is late, replaced or
delivered during a downtime of any length is picked up, and one that was taken in already is not.
"""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import dagster as dg
from dagster._core.storage.dagster_run import IN_PROGRESS_RUN_STATUSES
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)

from readmission_platform.assets.feed.completeness import completeness
from readmission_platform.assets.model_assets import ModelAssets
from readmission_platform.automation.jobs import ModelJobs
from readmission_platform.automation.sensors import status_of
from readmission_platform.config.governance import EnvironmentConfig
from readmission_platform.foundation.counting import counted
from readmission_platform.lifecycle.days.progress import (
    DayState,
    Progress,
    abandoned,
    day_states,
    expected_days,
    hospital_day,
    known_days,
    strays,
    stretches,
)
from readmission_platform.lifecycle.workspace import Platform

SETTLED_SECONDS = 10
LANDING_SECONDS = 30
GAP_SECONDS = 600
# A day that cannot be filled is tried again in the next quarter of the day, not at every tick.
RETRY_HOURS = 6


def landing_sensor(model: ModelAssets, jobs: ModelJobs, rules: EnvironmentConfig) -> dg.SensorDefinition:
    """Return the sensor that has new and changed files taken in and scored."""

    @dg.sensor(
        name=model.named("landing_sensor"),
        job=jobs.scoring,
        minimum_interval_seconds=LANDING_SECONDS,
        default_status=status_of(rules.sensors_running),
        tags=model.tags,
        description=f"Requests the days whose files in landing/{model.contract.landing.rows} are new or have "
        f"changed, by content. Files that were written in the last {SETTLED_SECONDS} seconds are left to the next "
        "tick.",
    )
    def sensor(
        context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]
    ) -> dg.SensorResult | dg.SkipReason:
        workspace, now = model.workspace(platform), datetime.now(UTC)
        landing = workspace.landing
        looked_at = _looked_at(context.cursor, now=now)
        changed = {day: landing.changed_at(day) for day in known_days(landing, today=hospital_day(rules, now))}
        touched = {day: at for day, at in changed.items() if at > looked_at}
        busy = days_in_progress(context.instance, jobs.scoring.name)
        long_ago = now.timestamp() - SETTLED_SECONDS
        settled = sorted(day for day, at in touched.items() if at <= long_ago and day not in busy)
        states = [each for each in day_states(workspace, settled) if each.progress is Progress.to_take_in]
        unsettled = [at for day, at in touched.items() if day not in settled]
        if settled:
            # Files may still arrive with the time of one that was looked at, so what is unsettled is asked for again.
            context.update_cursor(str(min([max(touched[day] for day in settled), *(at - 1e-3 for at in unsettled)])))
        longest = workspace.monitoring.gaps.days_per_run
        requests = scoring_requests(states, job=jobs.scoring.name, prefix="landed", longest=longest)
        if not requests:
            return dg.SkipReason(f"no new files; being written or scored: {counted(len(unsettled), 'day')}")
        return dg.SensorResult(run_requests=requests)

    return sensor


def completeness_sensor(model: ModelAssets, jobs: ModelJobs, rules: EnvironmentConfig) -> dg.SensorDefinition:
    """Return the sensor that fills the days that are behind, and has the check look when that changes."""

    @dg.sensor(
        name=model.named("completeness_sensor"),
        jobs=[jobs.scoring, jobs.completeness],
        minimum_interval_seconds=GAP_SECONDS,
        default_status=status_of(rules.sensors_running),
        tags=model.tags,
        description=f"Checks whether every day up to yesterday is complete by {rules.complete_by_hour:02}:00 "
        f"({rules.timezone}), fills what was missed, however long the downtime, and reports days without files.",
    )
    def sensor(
        context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]
    ) -> dg.SensorResult | dg.SkipReason:
        workspace, now = model.workspace(platform), datetime.now(UTC)
        landing, gaps = workspace.landing, workspace.monitoring.gaps
        landed = known_days(landing, today=hospital_day(rules, now))
        days = expected_days(landed, rules, now=now, lookback=gaps.lookback_days)
        states = day_states(workspace, days)
        with workspace.ledger() as ledger:
            live = ledger.pointers()["production"].version
        fillable = {Progress.to_take_in} | ({Progress.to_score} if live else set())
        busy = days_in_progress(context.instance, jobs.scoring.name)
        behind = [state for state in states if state.progress in fillable and state.day not in busy]
        local = now.astimezone(ZoneInfo(rules.timezone))
        attempt = f"fill-{local.date()}-{local.hour // RETRY_HOURS}"
        requests = scoring_requests(behind, job=jobs.scoring.name, prefix=attempt, longest=gaps.days_per_run)
        stray, left = strays(workspace, today=hospital_day(rules, now)), abandoned(landing, now=now)
        counts = [*stray.items(), *((f"left {folder}", count) for folder, count in left.items())]
        seen = " ".join([_digest(states), *(f"{what}:{count}" for what, count in counts)])
        if seen != context.cursor and days:
            context.update_cursor(seen)
            requests.append(dg.RunRequest(run_key=f"complete-{now.timestamp():.0f}", job_name=jobs.completeness.name))
        if not requests:
            return dg.SkipReason(completeness(states, stray, left).description or "")
        return dg.SensorResult(run_requests=requests)

    return sensor


def _looked_at(cursor: str | None, *, now: datetime) -> float:
    """Return up to when files were looked at, in seconds since 1970.

    A cursor that is no moment up to now (it was damaged, another release wrote it, a clock was wrong) counts for none:
    everything is looked at again, which asks for nothing that was taken in.
    """
    try:
        moment = float(cursor or 0)
    except ValueError:
        return 0.0
    return moment if 0 <= moment <= now.timestamp() else 0.0


def scoring_requests(states: Sequence[DayState], *, job: str, prefix: str, longest: int) -> list[dg.RunRequest]:
    """Request one scoring run for each stretch of days that follow each other.

    The key holds the content of the files, and how often their days were taken in: the same files are asked for once
    per prefix, changed ones again, and so are files that come back after others.
    """
    by_day = {state.day: state for state in states}
    return [
        dg.RunRequest(
            run_key=f"{prefix}-{days[0]}-{days[-1]}-{_digest([by_day[day] for day in days])}",
            job_name=job,
            tags={ASSET_PARTITION_RANGE_START_TAG: days[0], ASSET_PARTITION_RANGE_END_TAG: days[-1]},
        )
        for days in stretches(sorted(by_day), longest=longest)
    ]


def days_in_progress(instance: dg.DagsterInstance, job: str) -> set[str]:
    """Return the days that a run of the scoring job is queued for or working on."""
    runs = instance.get_runs(dg.RunsFilter(job_name=job, statuses=list(IN_PROGRESS_RUN_STATUSES)))
    found: set[str] = set()
    for run in runs:
        if PARTITION_NAME_TAG in run.tags:
            found.add(run.tags[PARTITION_NAME_TAG])
        first, last = run.tags.get(ASSET_PARTITION_RANGE_START_TAG), run.tags.get(ASSET_PARTITION_RANGE_END_TAG)
        if first and last:
            found |= set(_calendar(first, last))
    return found


def _calendar(first: str, last: str) -> Iterator[str]:
    begin, end = (date.fromisoformat(day).toordinal() for day in (first, last))
    return (date.fromordinal(each).isoformat() for each in range(begin, end + 1))


def _digest(states: Sequence[DayState]) -> str:
    content = "\n".join(f"{each.day} {each.progress.value} {each.taken_in} {each.fingerprint}" for each in states)
    return hashlib.sha256(content.encode()).hexdigest()[:12]
