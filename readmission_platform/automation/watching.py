"""Watch everything that is not a run: ticks of sensors and schedules, the ledger, services, figures and their limits.

What belongs here: reading these and passing them to the rules. What does not: the rules (``operations.alerts.rules``)
and runs (``observation``).
"""

import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import TickStatus

from readmission_platform.automation.run_facts import error_class
from readmission_platform.foundation.errors import GovernanceError, LedgerCorrupt
from readmission_platform.foundation.values import ConfigurationError
from readmission_platform.governance.ledger.chain import Event, utc_text
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.operations.alerts.records import Circumstances
from readmission_platform.operations.alerts.rules import (
    Signal,
    signal_of_service,
    signals_of_event,
    signals_of_figures,
)
from readmission_platform.operations.database import Operations, moment
from readmission_platform.operations.names import ModelNames
from readmission_platform.operations.observed_runs import TickSeen

LEDGER_MARK, LIMITS_MARK = "ledger", "limits"
LEDGER, INTEGRITY, TRACKING = "ledger", "ledger integrity", "tracking"
# As long as an event is reported, unless something resolves it.
REREAD = timedelta(days=1)
ERROR_SHARE_HOURS, ERROR_SHARE_RUNS = 24, 20
SCORED = "daily_predictions"

# By model, a function that makes its newest figures.
Figures = Mapping[str, Callable[[], Mapping[str, float]]]

_FINISHED_TICKS = [TickStatus.SUCCESS, TickStatus.SKIPPED, TickStatus.FAILURE]


def seen_ticks(instance: dg.DagsterInstance, names: ModelNames) -> list[TickSeen]:
    """Return the last finished tick of every sensor and schedule that is running."""
    if instance.schedule_storage is None:
        return []
    found = []
    for state in instance.all_instigator_state():
        if not state.is_running or state.instigator_type not in {InstigatorType.SENSOR, InstigatorType.SCHEDULE}:
            continue
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1, statuses=_FINISHED_TICKS)
        for tick in ticks:
            failed = tick.status is TickStatus.FAILURE
            found.append(
                TickSeen(
                    instigator=names.of_instigator(state.name),
                    type="sensor" if state.instigator_type is InstigatorType.SENSOR else "schedule",
                    at=datetime.fromtimestamp(tick.end_timestamp or tick.timestamp, UTC),
                    failed=failed,
                    error=error_class(tick.error) if failed else None,
                )
            )
    return found


def watch_limits(
    operations: Operations, given: Circumstances, *, home: Path, figures: Figures
) -> tuple[list[Signal], Exception | None]:
    """Compare the figures of every model, and those of the platform itself, with their limits.

    Returns
    -------
    The signals, and the error of the first model whose figures cannot be made (None: there is none). Such a model
    keeps the limits of no other from being watched.
    """
    known: dict[str | None, dict[str, float]] = {None: own_figures(operations, home, now=given.now)}
    failure = None
    for model, make in figures.items():
        known[model] = {}
        try:
            known[model] |= make()
        except (GovernanceError, ConfigurationError) as error:
            failure = failure or error
        known[model] |= scoring_figures(operations, model)
    return signals_of_figures(given.config, known, given.now), failure


def limits_due(operations: Operations, given: Circumstances) -> bool:
    """Tell whether it is time for what is done every few minutes: comparing figures, verifying the whole ledger."""
    last = operations.moment_marked(LIMITS_MARK, now=given.now)
    return last is None or last + timedelta(minutes=given.config.limits_minutes) <= given.now


def watch_ledger(
    operations: Operations, given: Circumstances, *, ledger_url: str, thoroughly: bool
) -> tuple[list[Signal], int | None]:
    """Read the new events of all models and of the environment.

    Parameters
    ----------
    thoroughly
        Also verify the whole ledger.

    Returns
    -------
    The signals, and the number of the last event (None: no new one), to be recorded once the signals are applied.
    """
    config = given.config
    try:
        with Ledger.of_environment(ledger_url) as ledger:
            events = _unread(ledger, operations.mark(LEDGER_MARK), now=given.now)
            if thoroughly:
                ledger.verify()
    except LedgerCorrupt as error:
        where = f" at event {error.seq}" if error.seq else ""
        return signal_of_service(config, INTEGRITY, f"The ledger does not verify{where}.", given.now), None
    except GovernanceError as error:
        problem = f"The ledger cannot be used ({type(error).__name__})."
        return signal_of_service(config, LEDGER, problem, given.now), None
    signals = signal_of_service(config, LEDGER, None, given.now)
    if thoroughly:
        signals += signal_of_service(config, INTEGRITY, None, given.now)
    for event in events:
        signals += signals_of_event(config, event, moment(event.at))
    return signals, events[-1].seq if events else None


def _unread(ledger: Ledger, mark: str | None, *, now: datetime) -> list[Event]:
    """Return the events after the one that was read last.

    A mark that names no event says nothing: it was damaged, or the ledger restored from a backup. Then what is younger
    than ``REREAD`` is read again; what was reported before is not reported twice.
    """
    if mark is None:
        return ledger.events_of_all()
    last = int(mark) if mark.isdecimal() else 0
    found = ledger.events_of_all(after=last - 1)  # the one read last, and those after it
    if last and found and found[0].seq == last:
        return found[1:]
    return [event for event in ledger.events_of_all() if moment(event.at) > now - REREAD]


def own_figures(operations: Operations, home: Path, *, now: datetime) -> dict[str, float]:
    """Return the figures of the platform itself, which belong to no model.

    Returns
    -------
    run_error_share
        Share of the finished runs of the last 24 hours that broke, of all models; only from 20 runs up. A run that a
        check stopped, or in which a person was declined something, did not break.
    disk_used_share
        Used share of the disk that holds the home.
    """
    usage = shutil.disk_usage(home)
    found = {"disk_used_share": usage.used / usage.total}
    runs = operations.runs(since=utc_text(now - timedelta(hours=ERROR_SHARE_HOURS)))
    if len(runs) >= ERROR_SHARE_RUNS:
        found["run_error_share"] = sum(run["cause"] in {"error", "killed"} for run in runs) / len(runs)
    return found


def scoring_figures(operations: Operations, model: str) -> dict[str, float]:
    """Return the figures of the last run that scored for a model; none if there was no such run.

    Returns
    -------
    scoring_milliseconds
        Time of ``daily_predictions`` for one row, in its last run that wrote rows.
    """
    last = operations.last_asset_run(SCORED, model=model)
    return {} if last is None else {"scoring_milliseconds": 1000 * last["seconds"] / last["rows"]}
