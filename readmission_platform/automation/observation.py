"""The observer: every finished run is observed once; tracking, audit, metrics and alerts follow from that.

What belongs here: finding runs that have not been observed, of any job and any model, however they were started, and
the sensor. What does not: a line for any particular asset, job or model. Whoever defines an asset gets all of it and
cannot leave any of it out.

A run is observed exactly once because its id is a primary key in the operations database. It is written there in one
transaction with its metrics, its alerts and their notifications. The ledger and the tracking server follow from these
rows, and catch up after they could not be reached.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from types import MappingProxyType

import dagster as dg

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
from readmission_platform.lifecycle.monitoring.figures import latest_figures
from readmission_platform.lifecycle.workspace import Platform
from readmission_platform.operations.alerts.channels import ATTEMPTS, senders
from readmission_platform.operations.alerts.outbox import Delivered, deliver
from readmission_platform.operations.alerts.records import Circumstances, apply_signals, settle
from readmission_platform.operations.alerts.rules import (
    signal_of_service,
    signals_of_models,
    signals_of_run,
    signals_of_ticks,
)
from readmission_platform.operations.alerts.states import Change
from readmission_platform.operations.database import Operations, enter_run
from readmission_platform.operations.names import OBSERVATION_SENSOR, ModelNames

OBSERVED_AT_ONCE = 50
SECONDS = 30
RUNS_MARK = "runs"
# Clocks of machines differ, and a run's last change is committed a little after its timestamp.
OVERLAP = timedelta(minutes=30)
# Wait this long for a retry that Dagster promised; then report the run as failed.
RETRY_WAIT = timedelta(minutes=10)


@dataclass(frozen=True)
class Observed:
    """What one pass did: runs observed, alerts changed, deliveries, and which services could not be used."""

    runs: int
    changes: Sequence[Change]
    deliveries: Sequence[Delivered]
    problems: Sequence[str] = ()

    def __str__(self) -> str:
        notices = sum(change.notice is not None for change in self.changes)
        failed = [each.channel for each in self.deliveries if each.error]
        parts = [f"{self.runs} runs observed, {notices} notices"]
        parts += [f"not delivered to {', '.join(failed)}"] if failed else []
        return "; ".join([*parts, *self.problems])


def circumstances(platform: Platform, operations: Operations, *, now: datetime) -> Circumstances:
    """Return the rules for alerts, and what notifications say about this environment."""
    config = platform.alerts
    return Circumstances(
        config=config,
        environment=platform.environment,
        ui_url=platform.settings.ui_url,
        now=now,
        old_before=operations.created_at - timedelta(hours=config.old_hours),
    )


def observe_runs(
    instance: dg.DagsterInstance,
    operations: Operations,
    given: Circumstances,
    *,
    names: ModelNames,
    actor: str,
    code_version: str,
    run_ids: Sequence[str] | None = None,
) -> tuple[int, list[Change]]:
    """Observe finished runs that have not been observed, the oldest first, a bounded number.

    Parameters
    ----------
    names
        To which model assets and jobs belong.
    actor
        Who started a run that does not say so itself.
    run_ids
        Only these; default: all there are.
    """
    mark = operations.moment_marked(RUNS_MARK, now=given.now)
    waiting = operations.not_observed(_finished(instance, mark) if run_ids is None else run_ids)
    due = waiting[:OBSERVED_AT_ONCE]
    observed, changes = 0, []
    records = instance.get_run_records(dg.RunsFilter(run_ids=due, statuses=list(FINISHED))) if due else []
    for record in sorted(records, key=lambda each: each.end_time or each.update_timestamp.timestamp()):
        if awaits_retry(record) and record.update_timestamp + RETRY_WAIT > given.now:
            continue
        run = read_run(instance, record, names=names, actor=actor)
        signals, quiet, audit = signals_of_run(given.config, run), run.ended_at < given.old_before, audit_of(run)
        with operations.writing() as connection:
            if not enter_run(connection, run, code_version=code_version, quiet=quiet, audit=audit, now=given.now):
                break  # Another process is observing. If both went on, they would report the runs out of order.
            changes += apply_signals(connection, signals, given)
        observed += 1
    if run_ids is None and waiting == due and (mark is None or mark + OVERLAP / 2 < given.now):
        operations.set_mark(RUNS_MARK, utc_text(given.now))
    return observed, changes


def _finished(instance: dg.DagsterInstance, mark: datetime | None) -> list[str]:
    """Return the finished runs that changed since a little before the mark, the oldest first."""
    since = mark - OVERLAP if mark else None
    return list(reversed(instance.get_run_ids(dg.RunsFilter(statuses=list(FINISHED), updated_after=since))))


def observe(
    instance: dg.DagsterInstance,
    *,
    platform: Platform,
    figures: Figures,
    broken: Mapping[str, str] = MappingProxyType({}),
    now: datetime | None = None,
) -> Observed:
    """Run one sensor tick: observe finished runs, update alerts, send notifications.

    A channel, a tracking server or a ledger that cannot be used raises an alert and stops nothing else.

    Parameters
    ----------
    figures
        By model, how its newest figures are made; they are compared with their limits every few minutes.
    broken
        Models that could not be loaded, and why.

    Raises
    ------
    GovernanceError
        When the operations database cannot be used, or the figures of a model cannot be made.
    ConfigurationError
        When ``configs/alerts.yaml`` is wrong.
    """
    now = now or datetime.now(UTC)
    settings, names = platform.settings, platform.names
    with platform.operations() as operations:
        given = circumstances(platform, operations, now=now)
        runs, changes = observe_runs(
            instance, operations, given, names=names, actor=platform.actor, code_version=platform.code_version
        )
        thoroughly = limits_due(operations, given)
        signals, read = watch_ledger(operations, given, ledger_url=settings.ledger_database, thoroughly=thoroughly)
        signals += signals_of_ticks(given.config, seen_ticks(instance, names))
        signals += signals_of_models(given.config, {**dict.fromkeys(platform.models), **broken}, now)
        changes += settle(operations, signals, given)
        if read is not None:
            operations.set_mark(LEDGER_MARK, str(read))
        problems = _keep_records(operations, platform, given)
        for service, problem in problems.items():
            changes += settle(operations, signal_of_service(given.config, service, problem, now), given)
        deliveries = deliver(operations, senders(given.config, settings), now=now)
        if thoroughly:
            # Last: if this fails, the other alerts are already sent, and the failure is reported on the next tick.
            signals, failure = watch_limits(operations, given, home=settings.home, figures=figures)
            changes += settle(operations, signals, given)
            deliveries += deliver(operations, senders(given.config, settings), now=now)
            if failure is not None:
                raise failure
            operations.set_mark(LIMITS_MARK, utc_text(now))
    return Observed(runs, changes, deliveries, [problem for problem in problems.values() if problem])


def observe_launched(
    instance: dg.DagsterInstance,
    run_ids: Sequence[str],
    *,
    platform: Platform,
    now: datetime | None = None,
) -> Observed:
    """Observe runs that were just launched from the command line; the sensor observes those that have not ended.

    Raises
    ------
    GovernanceError
        When a database cannot be used; the sensor then records what is missing.
    ConfigurationError
        When ``configs/alerts.yaml`` is wrong.
    """
    now = now or datetime.now(UTC)
    with platform.operations() as operations:
        given = circumstances(platform, operations, now=now)
        runs, changes = observe_runs(
            instance,
            operations,
            given,
            names=platform.names,
            actor=platform.actor,
            code_version=platform.code_version,
            run_ids=run_ids,
        )
        # One attempt: the command must not wait for a slow channel, and the sensor tries again.
        deliveries = deliver(operations, senders(given.config, platform.settings, attempts=ATTEMPTS - 1), now=now)
        keep_audit(operations, platform.settings.ledger_database, now=now, run_ids=run_ids)
        if "mlflow" in sys.modules:  # importing it takes seconds; the sensor can afford them, a command cannot
            keep_tracking(operations, platform.registry, now=now, run_ids=run_ids)
    return Observed(runs, changes, deliveries)


def _keep_records(operations: Operations, platform: Platform, given: Circumstances) -> Mapping[str, str | None]:
    """Bring audit and tracking up to date; returns the problem of each service, None where it could be used."""
    problems: dict[str, str | None] = {}
    try:
        if keep_audit(operations, platform.settings.ledger_database, now=given.now):
            problems[LEDGER] = None
    except GovernanceError as error:
        problems[LEDGER] = f"The ledger cannot be written ({type(error).__name__})."
    try:
        if keep_tracking(operations, platform.registry, now=given.now):
            problems[TRACKING] = None
    except GovernanceError as error:
        problems[TRACKING] = f"The tracking server cannot be reached ({type(error).__name__})."
    return problems


def observation_sensor(rules: EnvironmentConfig, broken: Mapping[str, str]) -> dg.SensorDefinition:
    """Return the sensor that observes the finished runs of all models, and watches ticks, ledger and limits.

    ``broken`` holds the models that could not be loaded, and why.
    """

    @dg.sensor(
        name=OBSERVATION_SENSOR,
        minimum_interval_seconds=SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING if rules.sensors_running else dg.DefaultSensorStatus.STOPPED,
        description="Observes every finished run of any model and any job, also those started by hand: durations and "
        "rows, the MLflow run, failures in the ledger, alerts by configs/alerts.yaml. Also watches sensors, schedules, "
        "the ledger and the limits. Starts no run.",
    )
    def sensor(context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]) -> dg.SkipReason:
        figures = {each.name: partial(latest_figures, each) for each in platform.workspaces}
        return dg.SkipReason(str(observe(context.instance, platform=platform, figures=figures, broken=broken)))

    return sensor
