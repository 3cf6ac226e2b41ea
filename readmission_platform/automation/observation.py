"""Governance by observation: every finished run is observed once, and tracking, audit, metrics and alerts follow.

What belongs here: finding runs that nobody has observed, of any job and however they were started, and the sensor.
What does not: a line for any particular asset or job; that there is none is the point. Whoever defines an asset gets
all of it, and can leave none of it out.

Exactly once: the run's id is a primary key in the operations database, written in one transaction with its metrics,
the alerts it raises and the notices to be sent. Ledger and tracking follow from there and are made up for when they
were out of reach.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from readmission_platform.assets.monitoring.figures import latest_figures
from readmission_platform.automation.run_facts import FINISHED, awaits_retry, read_run
from readmission_platform.automation.run_records import audit_of, keep_audit, keep_tracking
from readmission_platform.automation.watching import (
    LEDGER,
    LEDGER_MARK,
    LIMITS_MARK,
    TRACKING,
    Figures,
    limits_due,
    seen_ticks,
    watch_ledger,
    watch_limits,
)
from readmission_platform.config.governance import EnvironmentConfig
from readmission_platform.foundation.errors import GovernanceError
from readmission_platform.governance.ledger.chain import utc_text
from readmission_platform.operations.alerts.channels import ATTEMPTS, senders
from readmission_platform.operations.alerts.outbox import Delivered, deliver
from readmission_platform.operations.alerts.records import Circumstances, apply_signals, settle
from readmission_platform.operations.alerts.rules import signal_of_service, signals_of_run, signals_of_ticks
from readmission_platform.operations.alerts.states import Change
from readmission_platform.operations.database import Operations, enter_run, moment
from readmission_platform.resources.lake import LakeResource
from readmission_platform.resources.project import ProjectResource
from readmission_platform.resources.tracking import TrackingResource

OBSERVED_AT_ONCE = 50
SECONDS = 30
RUNS_MARK = "runs"
# Clocks of machines differ, and a run's last change is committed a little after the time that it is given.
OVERLAP = timedelta(minutes=30)
# So long a run that Dagster promised to start again is left alone; then nobody did, and it is told of.
RETRY_WAIT = timedelta(minutes=10)


@dataclass(frozen=True)
class Observed:
    """What one look came to: runs observed, alerts changed, and how the deliveries went."""

    runs: int
    changes: Sequence[Change]
    deliveries: Sequence[Delivered]
    problems: Sequence[str] = ()

    def __str__(self) -> str:
        told = sum(change.notice is not None for change in self.changes)
        failed = [each.channel for each in self.deliveries if each.error]
        parts = [f"{self.runs} runs observed, {told} notices"]
        parts += [f"not delivered to {', '.join(failed)}"] if failed else []
        return "; ".join([*parts, *self.problems])


def circumstances(project: ProjectResource, operations: Operations, *, now: datetime) -> Circumstances:
    """Return what the notifications of this environment say of themselves."""
    config = project.alerts
    return Circumstances(
        config=config,
        environment=project.environment,
        model=project.model.name,
        ui_url=project.settings.ui_url,
        now=now,
        old_before=operations.created_at - timedelta(hours=config.old_hours),
    )


def take_in(
    instance: dg.DagsterInstance,
    operations: Operations,
    given: Circumstances,
    *,
    project: ProjectResource,
    run_ids: Sequence[str] | None = None,
) -> tuple[int, list[Change]]:
    """Observe finished runs that nobody has observed, the oldest first, a bounded number.

    Parameters
    ----------
    run_ids
        Only these; default: whichever there are.
    """
    mark = operations.mark(RUNS_MARK)
    waiting = operations.not_observed(_finished(instance, mark) if run_ids is None else run_ids)
    due = waiting[:OBSERVED_AT_ONCE]
    observed, changes = 0, []
    records = instance.get_run_records(dg.RunsFilter(run_ids=due, statuses=list(FINISHED))) if due else []
    for record in sorted(records, key=lambda each: each.end_time or each.update_timestamp.timestamp()):
        if awaits_retry(record) and record.update_timestamp + RETRY_WAIT > given.now:
            continue
        run, version = read_run(instance, record, actor=project.actor), project.code_version
        signals, quiet = signals_of_run(given.config, run), run.ended_at < given.old_before
        with operations.writing() as connection:
            if not enter_run(connection, run, code_version=version, quiet=quiet, audit=audit_of(run), now=given.now):
                break  # somebody else is at it; two who took turns would tell of the runs in another order
            changes += apply_signals(connection, signals, given)
        observed += 1
    if run_ids is None and waiting == due and (mark is None or moment(mark) + OVERLAP / 2 < given.now):
        operations.set_mark(RUNS_MARK, utc_text(given.now))
    return observed, changes


def _finished(instance: dg.DagsterInstance, mark: str | None) -> list[str]:
    """Return the finished runs that changed since a little before a look, the oldest first."""
    since = moment(mark) - OVERLAP if mark else None
    return list(reversed(instance.get_run_ids(dg.RunsFilter(statuses=list(FINISHED), updated_after=since))))


def observe(
    instance: dg.DagsterInstance,
    *,
    project: ProjectResource,
    tracking: TrackingResource,
    figures: Figures = dict,
    now: datetime | None = None,
) -> Observed:
    """Look at everything there is to be looked at, carry it over, and tell people; what the sensor does at each tick.

    Delivery and tracking that fail, and a ledger that cannot be used, are alerts themselves and end nothing.

    Raises
    ------
    GovernanceError
        When the operations database itself cannot be used.
    ConfigurationError
        When ``configs/alerts.yaml`` is wrong.
    """
    now = now or datetime.now(UTC)
    with project.operations() as operations:
        given = circumstances(project, operations, now=now)
        runs, changes = take_in(instance, operations, given, project=project)
        thoroughly = limits_due(operations, given)
        signals, looked_at = watch_ledger(operations, given, project=project, thoroughly=thoroughly)
        changes += settle(operations, [*signals_of_ticks(given.config, seen_ticks(instance)), *signals], given)
        if looked_at is not None:
            operations.set_mark(LEDGER_MARK, str(looked_at))
        problems = _keep_records(operations, project, tracking, given)
        for service, problem in problems.items():
            changes += settle(operations, signal_of_service(given.config, service, problem, now), given)
        told = deliver(operations, senders(given.config, project.settings), now=now)
        if thoroughly:
            # Last, so that figures that cannot be made keep nobody from hearing of the rest, and next time of this.
            changes += settle(operations, watch_limits(operations, given, project=project, figures=figures), given)
            operations.set_mark(LIMITS_MARK, utc_text(now))
            told += deliver(operations, senders(given.config, project.settings), now=now)
    return Observed(runs, changes, told, [problem for problem in problems.values() if problem])


def observe_launched(
    instance: dg.DagsterInstance,
    run_ids: Sequence[str],
    *,
    project: ProjectResource,
    tracking: TrackingResource,
    now: datetime | None = None,
) -> Observed:
    """Observe runs that were just launched from the command line; one that has not ended is left to the sensor.

    Raises
    ------
    GovernanceError
        When a database cannot be used; the sensor makes up for what is missing.
    ConfigurationError
        When ``configs/alerts.yaml`` is wrong.
    """
    now = now or datetime.now(UTC)
    with project.operations() as operations:
        given = circumstances(project, operations, now=now)
        runs, changes = take_in(instance, operations, given, project=project, run_ids=run_ids)
        # One attempt: whoever waits for the command is not to wait for a channel, and the sensor tries again.
        told = deliver(operations, senders(given.config, project.settings, attempts=ATTEMPTS - 1), now=now)
        keep_audit(operations, project, now=now, run_ids=run_ids)
        if "mlflow" in sys.modules:  # importing it takes seconds, which the sensor has
            keep_tracking(operations, tracking, now=now, run_ids=run_ids)
    return Observed(runs, changes, told)


def _keep_records(
    operations: Operations, project: ProjectResource, tracking: TrackingResource, given: Circumstances
) -> Mapping[str, str | None]:
    """Bring audit and tracking up to date; returns by service what stood in the way, None where it was done."""
    problems: dict[str, str | None] = {}
    try:
        if keep_audit(operations, project, now=given.now):
            problems[LEDGER] = None
    except GovernanceError as error:
        problems[LEDGER] = f"The ledger cannot be written ({type(error).__name__})."
    try:
        if keep_tracking(operations, tracking, now=given.now):
            problems[TRACKING] = None
    except GovernanceError as error:
        problems[TRACKING] = f"The tracking server cannot be reached ({type(error).__name__})."
    return problems


def observation_sensor(rules: EnvironmentConfig) -> dg.SensorDefinition:
    """Return the sensor that observes every finished run, and watches ticks, ledger and limits."""

    @dg.sensor(
        name="observation_sensor",
        minimum_interval_seconds=SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING if rules.sensors_running else dg.DefaultSensorStatus.STOPPED,
        description="Observes every finished run of whatever job, also those started by hand: durations and rows, the "
        "MLflow run, failures in the ledger, alerts by configs/alerts.yaml. Also watches sensors, schedules, the "
        "ledger and the limits. Starts no run.",
    )
    def sensor(
        context: dg.SensorEvaluationContext, project: ProjectResource, tracking: TrackingResource, lake: LakeResource
    ) -> dg.SkipReason:
        def figures() -> Mapping[str, float]:
            return latest_figures(project, lake.open())

        return dg.SkipReason(str(observe(context.instance, project=project, tracking=tracking, figures=figures)))

    return sensor
