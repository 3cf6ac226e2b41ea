"""What follows from observed runs outside of the operations database: events in the ledger, runs in MLflow.

What belongs here: recording each exactly once, although either service can be out of reach. What does not: alerts
(``watching``).
"""

import json
from collections.abc import Callable, Collection
from contextlib import ExitStack
from datetime import datetime, timedelta

from readmission_platform.foundation.errors import GovernanceError, Unavailable
from readmission_platform.governance.ledger.chain import utc_text
from readmission_platform.lifecycle.workspace import Platform
from readmission_platform.operations.database import Audit, Operations, moment
from readmission_platform.operations.observed_runs import RunSeen
from readmission_platform.resources.run_tracking import RunTracker
from readmission_platform.storage.registry import Registry

RUN_FAILED, CHECK_FAILED = "run_failed", "check_failed"
AUDITED_AT_ONCE, TRACKED_AT_ONCE = 50, 20
TRACKING_PAUSE = timedelta(minutes=5)
TRACKING_MARK = "tracking tried in vain"


def audit_of(run: RunSeen) -> Audit | None:
    """Return the one event that the ledger gets about a run that failed or whose checks did; None for all others.

    A request that was declined is no failure: whoever takes a decision that matters records it.
    """
    about = {
        "run_id": run.run_id,
        "job": run.job.key,
        "partitions": [run.first_partition, run.last_partition],
        "ended_at": utc_text(run.ended_at),
    }
    checks = [
        {"asset": check.asset.key, "check": check.check, "partition": check.partition} for check in run.failed_checks
    ]
    if run.cause in {"error", "killed"}:
        failed = {
            "cause": run.cause,
            "steps": sorted(failure.step for failure in run.failures),
            "assets": [asset.key for asset in run.unmade],
            "error_class": list(run.errors),
            "checks": checks,
        }
        return Audit(RUN_FAILED, about | failed)
    if checks:
        return Audit(CHECK_FAILED, about | {"checks": checks, "run_stopped": run.status == "failure"})
    return None


def keep_audit(
    operations: Operations, platform: Platform, *, now: datetime, run_ids: Collection[str] | None = None
) -> int:
    """Record in the ledger the runs that are still to be recorded; returns how many events it wrote.

    The event belongs to the stream of the run's model, or to the environment's for a run of several models or of none.
    A run whose event is there already gets no second one: a process was killed in between, or the operations database
    is new.

    Raises
    ------
    GovernanceError
        When the ledger cannot be used; the missing events are recorded the next time.
    """
    rows = operations.claim("audit", now=now, limit=AUDITED_AT_ONCE, run_ids=run_ids)
    if not rows:
        return 0
    waiting = {row["run_id"]: row for row in rows}
    recorded = 0
    try:
        with ExitStack() as opened:
            ledgers = {model: opened.enter_context(platform.ledger(model)) for model in {row["model"] for row in rows}}
            any_of_them = next(iter(ledgers.values()))
            events = [event for kind in (RUN_FAILED, CHECK_FAILED) for event in any_of_them.events_of_all(kind=kind)]
            known = {event.payload.get("run_id") for event in events}
            for run_id, row in list(waiting.items()):
                if run_id not in known:
                    ledger = ledgers[row["model"]]
                    ledger.append(row["audit_kind"], json.loads(row["audit_payload"]), actor=row["actor"])
                    recorded += 1
                operations.done("audit", [run_id])
                del waiting[run_id]
    except GovernanceError:
        operations.release("audit", waiting)
        raise
    return recorded


def keep_tracking(
    operations: Operations,
    registry: Callable[[str], Registry],
    *,
    now: datetime,
    run_ids: Collection[str] | None = None,
) -> int:
    """Track the runs that are still to be tracked, a bounded number; returns how many.

    Raises
    ------
    Unavailable
        When the tracking server cannot be reached; the next attempt is made a few minutes later.
    """
    last = operations.mark(TRACKING_MARK)
    if last is not None and moment(last) + TRACKING_PAUSE > now:
        return 0
    rows = operations.claim("track", now=now, limit=TRACKED_AT_ONCE, run_ids=run_ids)
    if not rows:
        return 0
    waiting = [row["run_id"] for row in rows]
    try:
        tracker = RunTracker(registry)
        for row in rows:
            tracker.track(row, operations.asset_runs(run_id=row["run_id"]))
            operations.done("track", [row["run_id"]])
            waiting.remove(row["run_id"])
    except Unavailable:
        operations.release("track", waiting)
        operations.set_mark(TRACKING_MARK, utc_text(now))
        raise
    return len(rows)
