"""Plans and events of roll-outs for tests."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from readmission_platform.config.environment import PROJECT_ROOT
from readmission_platform.governance.ledger.chain import GENESIS, Event
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.promotion.case import condition
from readmission_platform.governance.rollouts.plan import RolloutPlan
from readmission_platform.governance.rollouts.start import (
    StartDecision,
    StartRequest,
    decide_start,
    record_start,
    stage_asked_for,
)
from readmission_platform.governance.rollouts.state import ADVANCED, STARTED, RolloutState, rollout_of
from readmission_platform.governance.rollouts.steps import StepDecision, StepRequest, decide_step, record_step
from readmission_platform_tests.support.homes import shipped_configs
from readmission_platform_tests.support.scenario import MODEL, Scenario, ready_for_production

LIMITS: dict[str, Any] = {
    "steps": (10, 50, 100),
    "min_samples": 200,
    "bake_minutes": 30,
    "alpha": 0.05,
    "error_margin": 0.02,
    "error_ceiling": 0.1,
    "withheld_margin": 0.05,
    "withheld_ceiling": 0.3,
    "latency_tolerance": 0.1,
    "latency_quantile": 0.95,
    "latency_margin_ms": 20,
    "latency_ceiling_ms": 200,
    "score_tolerance": 0.05,
    "score_shift": 0.3,
    "proof": "samples",
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


def rolled_out_by(folder: Path, change: Callable[[dict[str, Any]], None]) -> str:
    """Write a configuration whose local environment rolls versions out differently; returns its folder."""
    shipped = Path(shipped_configs().get("READMISSION_CONFIGS", PROJECT_ROOT / "configs"))
    configs = folder / "configs"
    (configs / "environments").mkdir(parents=True)
    for each in shipped.iterdir():
        if each.name != "environments":
            (configs / each.name).symlink_to(each)
    content = yaml.safe_load((shipped / "environments" / "local.yaml").read_text(encoding="utf-8"))
    change(content["rollouts"])
    (configs / "environments" / "local.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return str(configs)


@dataclass
class Rollouts:
    """A ledger with version 1 in production and version 2, approved, in staging; and what is done to its roll-outs."""

    scenario: Scenario

    @classmethod
    def prepared(cls, ledger: Ledger, environment_name: str = "production") -> "Rollouts":
        """Bring version 1 into production and version 2 into staging."""
        scenario = ready_for_production(ledger)
        scenario.stage("1", "production")
        scenario.train("2")
        scenario.validate("2")
        scenario.stage("2")
        for who in ("clinician", "second"):
            scenario.approve(who, "2")
        scenario.set_facts(has_champion=True)
        scenario.environment_name = environment_name
        return cls(scenario)

    @property
    def ledger(self) -> Ledger:
        """The ledger."""
        return self.scenario.ledger

    @property
    def state(self) -> RolloutState | None:
        """The roll-out that is open."""
        return rollout_of(self.ledger.events())

    def decide_start(self, wanted: RolloutPlan, **changes: Any) -> StartDecision:
        """Decide about a start, asked for by somebody whose role permits it unless ``changes`` says otherwise."""
        request = StartRequest(**{"plan": wanted, "actor": "ops", "reason": "as planned"} | changes)
        promotion = self.scenario.decide(stage_asked_for(wanted), wanted.candidate_version, replace=True)
        return decide_start(
            self.scenario.ask(request, STARTED), promotion, events=self.ledger.events(),
            environment_name=self.scenario.environment_name, model=MODEL, now=self.ledger.now(),
        )  # fmt: skip

    def start(self, wanted: RolloutPlan | None = None) -> Event:
        """Start a roll-out."""
        return record_start(self.ledger, self.decide_start(wanted or plan()))

    def decide_step(self, kind: Any, *, fine: bool | None = True, **changes: Any) -> StepDecision:
        """Decide about a step, by a person unless ``changes`` says ``by_plan``; ``fine`` is what the figures say."""
        events, pointers = self.ledger.snapshot()
        state = rollout_of(events)
        event, step = (state.plan_event, state.step + (kind == ADVANCED)) if state else (0, 0)
        content = {"kind": kind, "plan_event": event, "step": step, "actor": "ops", "reason": "asked for"} | changes
        request = StepRequest(**content)
        return decide_step(
            request if request.by_plan else self.scenario.ask(request, kind), state,
            may_go_on=None if fine is None else condition("figures_fine", fine, "looked at", "Wait."),
            figures={"verdict": "fine"}, events=events, pointers=pointers,
            environment_name=self.scenario.environment_name, model=MODEL, now=self.ledger.now(),
        )  # fmt: skip

    def step(self, kind: Any, **changes: Any) -> Event:
        """Take a step."""
        return record_step(self.ledger, self.decide_step(kind, **changes))

    def roll_back_production(self) -> None:
        """Bring production back to version 1, or out of it, without asking."""
        pointers = self.ledger.pointers()
        self.ledger.move(
            "version_rolled_back", {"to_stage": "production"}, actor="ops", version="1",
            moves={"production": "1"}, expected=pointers,
        )  # fmt: skip
