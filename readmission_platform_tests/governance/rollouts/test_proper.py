"""Whoever can write into the ledger still exposes no patient: a roll-out is looked at again before it is served by."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.rollouts.proper import rollout_problem
from readmission_platform.governance.rollouts.state import ADVANCED, STARTED, rollout_of
from readmission_platform_tests.support.rollouts import Rollouts, plan
from readmission_platform_tests.support.scenario import MODEL


@pytest.fixture
def rollouts(tmp_path: Path) -> Iterator[Rollouts]:
    """A ledger of production, where nobody is believed."""
    with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", model=MODEL, environment="production") as ledger:
        yield Rollouts.prepared(ledger)


def _problem(rollouts: Rollouts) -> str | None:
    events = rollouts.ledger.events()
    state = rollout_of(events)
    assert state is not None
    return rollout_problem(state, events)


def _forge(rollouts: Rollouts, kind: str, content: dict[str, Any]) -> None:
    rollouts.ledger.append(kind, content, actor="ops", version="2")


@pytest.mark.parametrize("kind", ["shadow", "canary", "blue_green", "ab"])
def test_one_that_was_decided_on_is_served_by(rollouts: Rollouts, kind: str) -> None:
    rollouts.start(plan(kind))
    assert _problem(rollouts) is None


def test_steps_that_a_person_signed_are_served_by(rollouts: Rollouts) -> None:
    rollouts.start()
    for kind in (ADVANCED, "rollout_paused", "rollout_resumed"):
        rollouts.step(kind)
    assert _problem(rollouts) is None


def test_one_that_nobody_signed_is_not(rollouts: Rollouts) -> None:
    given = [event.seq for event in rollouts.ledger.events(kind="version_approved", version="2")]
    _forge(rollouts, STARTED, {"plan": plan().model_dump(mode="json"), "approvals": given, "reason": "r"})
    assert "asks without a signature" in str(_problem(rollouts))


def test_one_without_valid_approvals_is_not(rollouts: Rollouts) -> None:
    asked = rollouts.decide_start(plan()).request
    content = {**asked.what, "reason": asked.reason, "request": dict(asked.signed or {})}
    _forge(rollouts, STARTED, {**content, "approvals": [1]})
    assert "not an approval of this version" in str(_problem(rollouts))


def test_another_plan_than_the_signed_one_is_not(rollouts: Rollouts) -> None:
    honest = rollouts.decide_start(plan())
    given = honest.promotion.approvals
    content = {"plan": plan(steps=(90, 100)).model_dump(mode="json"), "reason": honest.request.reason}
    _forge(rollouts, STARTED, {**content, "request": dict(honest.request.signed or {}), "approvals": given})
    assert "something else was signed" in str(_problem(rollouts))


@pytest.mark.parametrize(
    ("content", "said"),
    [({"by_plan": False, "reason": "r"}, "without a signature"), ({"by_plan": True}, "does not have the permission")],
)
def test_a_larger_share_that_nobody_asked_for_is_not(rollouts: Rollouts, content: dict[str, Any], said: str) -> None:
    event = rollouts.start()
    _forge(rollouts, ADVANCED, {"plan_event": event.seq, "step": 1, **content})
    assert said in str(_problem(rollouts))


def test_an_edited_event_is_not(rollouts: Rollouts) -> None:
    rollouts.start()
    events = rollouts.ledger.events()
    state = rollout_of(events)
    assert state is not None
    edited = [replace(event, payload={**event.payload, "reason": "x"}) if event.kind == STARTED else event
              for event in events]  # fmt: skip
    assert "was edited" in str(rollout_problem(state, edited))
