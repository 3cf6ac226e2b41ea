"""What follows from observed runs outside of the operations database: the ledger's audit and MLflow's tracking.

What belongs here: doing each exactly once although each can fail on its own. What does not: alerts (``watching``).
"""

import json
from collections.abc import Collection
from datetime import datetime, timedelta

from readmission_platform.foundation.errors import GovernanceError, Unavailable
from readmission_platform.governance.ledger.chain import utc_text
from readmission_platform.operations.database import Audit, Operations, moment
from readmission_platform.operations.observed_runs import RunSeen
from readmission_platform.resources.project import ProjectResource
from readmission_platform.resources.run_tracking import RunTracker
from readmission_platform.resources.tracking import TrackingResource

RUN_FAILED, CHECK_FAILED = "run_failed", "check_failed"
AUDITED_AT_ONCE, TRACKED_AT_ONCE = 50, 20
TRACKING_PAUSE = timedelta(minutes=5)
TRACKING_MARK = "tracking tried in vain"


def audit_of(run: RunSeen) -> Audit | None:
    """Return the one event that the ledger gets about a run that failed or whose checks did; None for all others.

    What a person was declined is no failure: the decisions that matter are recorded by whoever takes them.
    """
    about = {
        "run_id": run.run_id,
        "job": run.job,
        "partitions": [run.first_partition, run.last_partition],
        "ended_at": utc_text(run.ended_at),
    }
    checks = [{"asset": check.asset, "check": check.check, "partition": check.partition} for check in run.failed_checks]
    if run.cause in {"error", "killed"}:
        failed = {
            "cause": run.cause,
            "steps": sorted(failure.step for failure in run.failures),
            "assets": list(run.unmade),
            "error_class": list(run.errors),
            "checks": checks,
        }
        return Audit(RUN_FAILED, about | failed)
    if checks:
        return Audit(CHECK_FAILED, about | {"checks": checks, "run_stopped": run.status == "failure"})
    return None


def keep_audit(
    operations: Operations, project: ProjectResource, *, now: datetime, run_ids: Collection[str] | None = None
) -> int:
    """Record in the ledger what is still to be recorded; returns how many events.

    A run whose event is there already (a process was killed in between, or the operations database is new) gets none.

    Raises
    ------
    GovernanceError
        When the ledger cannot be used; what is missing is recorded the next time.
    """
    rows = operations.claim("audit", now=now, limit=AUDITED_AT_ONCE, run_ids=run_ids)
    if not rows:
        return 0
    waiting = {row["run_id"]: row for row in rows}
    recorded = 0
    try:
        with project.ledger() as ledger:
            events = [event for kind in (RUN_FAILED, CHECK_FAILED) for event in ledger.events(kind=kind)]
            known = {event.payload.get("run_id") for event in events}
            for run_id, row in list(waiting.items()):
                if run_id not in known:
                    ledger.append(row["audit_kind"], json.loads(row["audit_payload"]), actor=row["actor"])
                    recorded += 1
                operations.done("audit", [run_id])
                del waiting[run_id]
    except GovernanceError:
        operations.release("audit", waiting)
        raise
    return recorded


def keep_tracking(
    operations: Operations, tracking: TrackingResource, *, now: datetime, run_ids: Collection[str] | None = None
) -> int:
    """Track what is still to be tracked, a bounded number of runs; returns how many.

    Raises
    ------
    Unavailable
        When the tracking server cannot be reached; it is left alone for a while then.
    """
    last = operations.mark(TRACKING_MARK)
    if last is not None and moment(last) + TRACKING_PAUSE > now:
        return 0
    rows = operations.claim("track", now=now, limit=TRACKED_AT_ONCE, run_ids=run_ids)
    if not rows:
        return 0
    waiting = [row["run_id"] for row in rows]
    try:
        tracker = RunTracker(tracking)
        for row in rows:
            tracker.track(row, operations.asset_runs(run_id=row["run_id"]))
            operations.done("track", [row["run_id"]])
            waiting.remove(row["run_id"])
    except Unavailable:
        operations.release("track", waiting)
        operations.set_mark(TRACKING_MARK, utc_text(now))
        raise
    return len(rows)
