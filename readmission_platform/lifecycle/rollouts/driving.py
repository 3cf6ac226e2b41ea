"""Driving a roll-out: what the plan does next, and doing it.

What belongs here: the decision of a look, and recording it. What does not: comparing the arms (``judging``), when to
look (``automation.rollouts``), and whether a step may be recorded (``governance.rollouts.steps``).

*Worse* takes the candidate back at the next look, whatever the step. *Inconclusive* at the end of a step pauses it: a
person goes on or gives up. *Fine* goes on, once the step has lasted and both arms have their samples.
"""

from dataclasses import dataclass, replace
from typing import Any

from readmission_platform.evaluation.sequential.findings import Verdict
from readmission_platform.evaluation.sequential.matured import AbResult, MaturedArm, compare_matured
from readmission_platform.foundation.counting import counted
from readmission_platform.governance.ledger.chain import Event
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.versions import version_records
from readmission_platform.governance.promotion.case import Condition, condition
from readmission_platform.governance.rollouts.proper import rollout_problem
from readmission_platform.governance.rollouts.state import (
    ADVANCED,
    COMPLETED,
    PAUSED,
    ROLLOUT_ROLLED_BACK,
    RolloutState,
    rollout_of,
)
from readmission_platform.governance.rollouts.steps import (
    StepDecision,
    StepKind,
    StepRequest,
    decide_step,
    record_step,
    step_request,
)
from readmission_platform.lifecycle.asking import signed
from readmission_platform.lifecycle.days.progress import hospital_day
from readmission_platform.lifecycle.rollouts.arms import CANDIDATE, CONTROL, MANY, arms_of, matured_arms
from readmission_platform.lifecycle.rollouts.baking import Baked, baked, mark_of
from readmission_platform.lifecycle.rollouts.judging import Judgement, judge
from readmission_platform.lifecycle.workspace import Workspace
from readmission_platform.operations.database import Operations


@dataclass(frozen=True)
class Outlook:
    """A roll-out looked at: what its figures say, and what the plan does next (None: nothing yet), and why."""

    state: RolloutState
    judgement: Judgement
    baked: Baked
    result: AbResult | None
    next: StepKind | None
    why: str

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        plan = self.state.plan
        return {
            **self.state.to_json(),
            "watched_minutes": round(self.baked.minutes, 1),
            "bake_minutes": plan.bake_minutes,
            "enough_samples": self.judgement.enough,
            "next": self.next,
            "why": self.why,
            "figures": self.figures(),
            "plan": plan.model_dump(mode="json"),
        }

    def figures(self) -> dict[str, Any]:
        """Return what a step records of the figures."""
        return {**self.judgement.figures, **({"result": _shown(self.result)} if self.result else {})}


def look(ledger: Ledger, workspace: Workspace, operations: Operations) -> Outlook | None:
    """Look at the roll-out that is open; None where there is none. Changes nothing."""
    events = ledger.events()
    state = rollout_of(events)
    if state is None:
        return None
    watched = baked(operations.mark(mark_of(workspace.name)), state, now=ledger.now())
    lasted = watched.minutes >= state.plan.bake_minutes
    judgement = judge(state, arms_of(workspace.lake, state), baked=lasted)
    result = _matured(state, workspace) if state.plan.kind == "ab" else None
    problem = rollout_problem(state, events) or _rejected(state, events)
    step, why = (ROLLOUT_ROLLED_BACK, problem) if problem else next_step(state, judgement, watched, result)
    return Outlook(state, judgement, watched, result, step, why)


def next_step(
    state: RolloutState, judgement: Judgement, watched: Baked, result: AbResult | None
) -> tuple[StepKind | None, str]:
    """Say what the plan does next, and why; pure."""
    plan = state.plan
    if judgement.verdict == "worse":
        return ROLLOUT_ROLLED_BACK, " ".join(judgement.reasons)
    if state.status == "paused":
        return (
            None,
            "it is paused: a person goes on (readmission rollout resume) or gives up (readmission rollout abort)",
        )
    if state.status == "completed":
        return None, "every step held; the candidate waits to be promoted"
    if plan.kind == "ab" and result is not None:
        done = result.complete or result.winner != "undecided"
        return (COMPLETED, result.words) if done else (None, result.words)
    if watched.minutes < plan.bake_minutes:
        return None, f"this step was watched for {watched.minutes:.0f} of {plan.bake_minutes:g} minutes"
    if not judgement.enough:
        return None, f"each arm needs {counted(plan.min_samples, 'answer')} in this step"
    if judgement.verdict == "inconclusive":
        return PAUSED, " ".join(judgement.reasons) or "the figures allow no verdict"
    if state.at_last_step:
        return COMPLETED, "every step held"
    return ADVANCED, f"step {state.step + 1} of {len(plan.shares)} held"


def take(outlook: Outlook, *, ledger: Ledger, workspace: Workspace) -> Event | None:
    """Record what the plan does next; None where it does nothing yet.

    Raises
    ------
    Conflict
        When somebody else was first: look again.
    Refused
        When whoever acts may not drive roll-outs.
    """
    if outlook.next is None:
        return None
    request = step_request(outlook.next, outlook.state, actor=workspace.actor, reason=outlook.why, by_plan=True)
    return record_step(ledger, _decided(request, outlook, verdict="fine", ledger=ledger, workspace=workspace))


def remember(outlook: Outlook, workspace: Workspace, operations: Operations) -> None:
    """Remember how long the step has been watched."""
    operations.set_mark(mark_of(workspace.name), outlook.baked.to_mark())


def consider_step(
    kind: StepKind, reason: str, outlook: Outlook | None, *, ledger: Ledger, workspace: Workspace
) -> StepDecision:
    """Decide about a step that a person asks for; changes nothing.

    By hand the bake time can be cut short, and an inconclusive verdict be overruled; a worse one cannot.
    """
    if outlook is None:
        return _decided(StepRequest(kind, 0, 0, workspace.actor, reason), None, ledger=ledger, workspace=workspace)
    request = signed(
        step_request(kind, outlook.state, actor=workspace.actor, reason=reason), kind,  # type: ignore[arg-type]
        ledger=ledger, workspace=workspace,
    )  # fmt: skip
    return _decided(request, outlook, verdict="inconclusive", ledger=ledger, workspace=workspace)


def _decided(
    request: StepRequest, outlook: Outlook | None, *, verdict: Verdict = "fine", ledger: Ledger, workspace: Workspace
) -> StepDecision:
    events, pointers = ledger.snapshot()
    state = rollout_of(events)
    return decide_step(
        request, state,
        may_go_on=_may_go_on(outlook, least=verdict) if outlook else None,
        figures=outlook.figures() if outlook else None,
        events=events, pointers=pointers, environment_name=workspace.environment, model=ledger.model,
        now=ledger.now(),
    )  # fmt: skip


def _may_go_on(outlook: Outlook, *, least: Verdict) -> Condition:
    """Check that the figures allow to go on: enough samples, and a verdict that is no worse than ``least``."""
    judgement = outlook.judgement
    if outlook.result is not None:
        ended = outlook.next == COMPLETED
        return condition("figures_fine", ended, outlook.result.words, "Wait until the registered sample has matured.")
    good = judgement.verdict == "fine" or judgement.verdict == least
    detail = f"the verdict is {judgement.verdict}{': ' if judgement.reasons else ''}{' '.join(judgement.reasons)}"
    if not judgement.enough and judgement.verdict != "worse":
        detail = f"each arm needs {counted(outlook.state.plan.min_samples, 'answer')} in this step"
    return condition("figures_fine", good and judgement.enough, detail, "Wait for more answers, or abort it.")


def _rejected(state: RolloutState, events: list[Event]) -> str | None:
    """Say so when the candidate was validated anew since, and rejected."""
    record = version_records(events, {}).get(state.candidate_version)
    accepted = record is not None and record.accepted
    return None if accepted else f"version {state.candidate_version} was rejected by its last validation"


def _matured(state: RolloutState, workspace: Workspace) -> AbResult:
    plan, lake = state.plan, workspace.lake
    assert plan.metric is not None
    assert plan.sample_size is not None
    coverage = workspace.monitoring.performance.outcome_coverage
    arms = matured_arms(lake, state, today=hospital_day(workspace.rules), coverage=coverage)
    matured = {
        name: MaturedArm(rows["outcome"].to_numpy(dtype=bool), rows["risk"].to_numpy(dtype=float))
        for name, rows in arms.items()
    }
    result = compare_matured(
        matured[CONTROL], matured[CANDIDATE], metric=plan.metric, alpha=plan.alpha, sample_size=plan.sample_size
    )
    return without_few(result)


def without_few(result: AbResult) -> AbResult:
    """Return a result as it may be recorded and shown: without its figures as long as they tell of a few outcomes."""
    if min(result.n_control, result.n_candidate) >= MANY:
        return result
    words = f"Too few outcomes have matured in one of the arms for figures to be shown: {result.winner}."
    return replace(result, estimate=None, low=None, high=None, words=words)


def _shown(result: AbResult) -> dict[str, Any]:
    return {
        "metric": result.metric,
        "estimate": result.estimate,
        "low": result.low,
        "high": result.high,
        "complete": result.complete,
        "winner": result.winner,
    }
