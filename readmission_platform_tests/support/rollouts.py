"""Plans and events of roll-outs for tests."""

from typing import Any

from readmission_platform.governance.ledger.chain import GENESIS, Event
from readmission_platform.governance.rollouts.plan import RolloutPlan
from readmission_platform.governance.rollouts.state import STARTED, RolloutState, rollout_of

LIMITS: dict[str, Any] = {
    "steps": (10, 50, 100),
    "min_samples": 200,
    "bake_minutes": 30,
    "alpha": 0.05,
    "error_margin": 0.02,
    "error_ceiling": 0.1,
    "withheld_margin": 0.05,
    "withheld_ceiling": 0.3,
    "latency_quantile": 0.95,
    "latency_margin_ms": 20,
    "latency_ceiling_ms": 200,
    "score_shift": 0.3,
}
AB: dict[str, Any] = {"split": 0.5, "metric": "brier", "sample_size": 500}


def plan(kind: str = "canary", **changes: Any) -> RolloutPlan:
    """Return a plan that rolls version 2 out beside version 1."""
    of_kind = AB if kind == "ab" else {}
    content = {"kind": kind, "candidate_version": "2", "control_version": "1", **LIMITS, **of_kind, **changes}
    return RolloutPlan.model_validate(content)


def event(seq: int, kind: str, payload: dict[str, Any], *, version: str = "2") -> Event:
    """Return an event as the ledger would hold it, without its hashes."""
    at = f"2026-01-{1 + seq // 1440:02d}T{seq // 60 % 24:02d}:{seq % 60:02d}:00.000000Z"
    return Event(seq, "readmission_30d", at, kind, version, "ops", payload, GENESIS, GENESIS)


def started(asked: RolloutPlan, seq: int = 7) -> Event:
    """Return the event that starts a roll-out."""
    return event(seq, STARTED, {"plan": asked.model_dump(mode="json")}, version=asked.candidate_version)


def running(kind: str = "canary", *, step: int = 0, seq: int = 7, **changes: Any) -> RolloutState:
    """Return a roll-out that has come to a step."""
    asked = plan(kind, **changes)
    steps = [event(seq + n, "rollout_advanced", {"plan_event": seq, "step": n}) for n in range(1, step + 1)]
    state = rollout_of([started(asked, seq), *steps])
    assert state is not None
    return state
