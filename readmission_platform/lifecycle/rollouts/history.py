"""The roll-outs there were, for people and scripts.

What belongs here: plain values. What does not: how they look (``tables``, ``assets.model.rollout``).
"""

from collections.abc import Sequence
from typing import Any

from readmission_platform.governance.ledger.chain import Event
from readmission_platform.governance.rollouts.state import rollouts_of


def history(events: Sequence[Event]) -> list[dict[str, Any]]:
    """Return every roll-out there was, the latest first: its plan in short, how far it came and how it ended."""
    by_number = {event.seq: event for event in events}
    return [
        {
            "event": each.plan_event,
            "kind": each.plan.kind,
            "candidate": each.candidate_version,
            "control": each.control_version,
            "status": each.status,
            "open": each.open,
            "step": each.step + 1,
            "steps": len(each.plan.shares),
            "share": each.share,
            "started_at": each.started_at,
            "started_by": by_number[each.plan_event].actor,
            "last_at": by_number[each.last_event].at,
            "last_by": by_number[each.last_event].actor,
            "reason": str(by_number[each.last_event].payload.get("reason") or ""),
        }
        for each in reversed(list(rollouts_of(events)))
    ]
