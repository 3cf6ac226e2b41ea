"""Accepted drift: what is signed counts for what was seen, until its day, and never by anybody who may not."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from readmission_platform.foundation.errors import Conflict, Refused
from readmission_platform.governance.demo_approver import Signer
from readmission_platform.governance.ledger.chain import Event
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.timeline import timeline
from readmission_platform.governance.policy.adoption import adopt, everything_in_force
from readmission_platform.governance.promotion.decision import apply
from readmission_platform.governance.promotion.drift_acceptances import (
    acceptance_checks,
    acceptances,
    ceilings,
    counting,
    improper_acceptances,
    stands,
)
from readmission_platform.governance.promotion.drift_statement import (
    ACCEPTED,
    SeenWindow,
    acceptance_statement,
    accepted_columns,
)
from readmission_platform.governance.promotion.drift_withdrawals import (
    WITHDRAWN,
    WithdrawalRequest,
    decide_withdrawal,
    record_withdrawal,
)
from readmission_platform.governance.promotion.placement import pointer_problem
from readmission_platform.governance.signatures import sign
from readmission_platform_tests.support.scenario import KEYS, MODEL, Scenario, judged_windows, ready_for_production

SEEN = {("payer_code", "drift"): 1.1, ("payer_code", "missing"): 0.2}
WINDOW = SeenWindow(number=1, first_day="2026-01-01", last_day="2026-01-08", digest="sha256:window")


def statement(scenario: Scenario, approver: str = "clinician", days: int = 30, version: str = "1") -> dict[str, Any]:
    ledger, now = scenario.ledger, scenario.ledger.now()
    in_force = everything_in_force(ledger.events())
    assert in_force.monitoring is not None
    return acceptance_statement(
        scenario.record(version), in_force=in_force, environment=ledger.binding.environment,
        installation=ledger.binding.installation, columns=accepted_columns(SEEN, in_force.monitoring.content.drift),
        windows=[WINDOW],
        until=(now + timedelta(days=days)).date().isoformat(), approver=approver, role="clinical_approver",
        reason="a new payer since January, seen in admissions", now=now,
    )  # fmt: skip


def accept(scenario: Scenario, approver: str = "clinician", *, key: str | None = None, **changes: Any) -> Event:
    """Record an acceptance; ``changes`` are made before signing."""
    signed = sign(statement(scenario, approver) | changes, KEYS[key or approver])
    return scenario.ledger.append(ACCEPTED, signed, actor=approver, version="1")


def drifted(scenario: Scenario, *events: Event) -> None:
    """Let what was scored have drifted in what these events accepted, and in nothing else."""
    scenario.set_facts(drift=judged_windows(accepted=("payer_code",), acceptances=tuple(each.seq for each in events)))


def problems(ledger: Ledger) -> tuple[str, ...]:
    return acceptances(ledger.events(), now=ledger.now())[-1].problems


@pytest.fixture
def scenario(ledger: Ledger) -> Scenario:
    return ready_for_production(ledger)


def test_what_was_seen_is_accepted_and_as_much_again_as_counts_as_drift(scenario: Scenario):
    accept(scenario)
    (found,) = counting(scenario.ledger.events(), "1", now=scenario.ledger.now())
    assert found.names == ("payer_code",)
    assert ceilings([found]) == {("payer_code", "drift"): pytest.approx(1.3), ("payer_code", "missing"): 0.32}


def test_a_promotion_names_the_drift_that_it_counted_out(scenario: Scenario):
    event = accept(scenario)
    drifted(scenario, event)
    decision = scenario.decide()
    condition = next(item for item in decision.conditions if item.name == "no_drift_alarm")
    assert not condition.blocks
    assert f"accepted drift: payer_code until {decision.drift_accepted[0].until} by clinician" in condition.detail

    apply(scenario.ledger, decision)
    promoted = scenario.ledger.events(kind="version_promoted")[-1]
    (recorded,) = promoted.payload["drift_accepted"]
    assert (recorded["event"], recorded["columns"], recorded["by"]) == (event.seq, ["payer_code"], "clinician")
    period = timeline(scenario.ledger.events())[-1]
    assert period.drift_accepted == (f"payer_code until {recorded['until']} by clinician (event {event.seq})",)
    (check,) = acceptance_checks("1", scenario.ledger.events())
    assert check.result == "pass"
    events, pointers = scenario.ledger.snapshot()
    assert pointer_problem(pointers["production"], events) is None


def of_another_environment(scenario: Scenario) -> None:
    accept(scenario, environment="staging")


def of_another_installation(scenario: Scenario) -> None:
    accept(scenario, installation="0" * 32)


def of_another_version(scenario: Scenario) -> None:
    scenario.train("2", artifact={"path": "models/2.skops", "digest": "sha256:other"})
    signed = sign(statement(scenario, version="2"), KEYS["clinician"])
    scenario.ledger.append(ACCEPTED, signed, actor="clinician", version="1")


def of_another_file(scenario: Scenario) -> None:
    accept(scenario, artifact_digest="sha256:other")


def signed_by_somebody_else(scenario: Scenario) -> None:
    accept(scenario, "clinician", key="stranger")


def by_a_stranger(scenario: Scenario) -> None:
    accept(scenario, "stranger")


def by_whoever_trained_it(scenario: Scenario) -> None:
    accept(scenario, "trainer")


def in_a_role_that_may_not_approve(scenario: Scenario) -> None:
    accept(scenario, "ops", role="mlops_engineer")


def in_a_role_of_somebody_else(scenario: Scenario) -> None:
    accept(scenario, "ops")


def as_a_demonstration(scenario: Scenario) -> None:
    accept(scenario, "clinician", demo=True)


def for_too_long(scenario: Scenario) -> None:
    accept(scenario, until=(scenario.ledger.now() + timedelta(days=92)).date().isoformat())


def that_has_ended(scenario: Scenario) -> None:
    accept(scenario, until=(scenario.ledger.now() - timedelta(days=1)).date().isoformat())


def from_the_future(scenario: Scenario) -> None:
    accept(scenario, issued_at=(scenario.ledger.now() + timedelta(days=2)).isoformat())


def measured(column: str, seen: float, limit: float, up_to: float) -> dict[str, Any]:
    return {"column": column, "measure": "drift", "seen": seen, "limit": limit, "up_to": up_to}


def of_more_than_was_seen(scenario: Scenario) -> None:
    accept(scenario, columns=[measured("payer_code", 1.1, 0.2, 9.0)])


def by_limits_of_its_own(scenario: Scenario) -> None:
    accept(scenario, columns=[measured("payer_code", 1.1, 5.0, 6.1)])


def of_the_predicted_risks(scenario: Scenario) -> None:
    accept(scenario, columns=[measured("risk", 0.3, 0.2, 0.5)])


def without_a_reason(scenario: Scenario) -> None:
    accept(scenario, reason=" ")


def with_another_meaning(scenario: Scenario) -> None:
    accept(scenario, meaning="seen")


def without_a_signature(scenario: Scenario) -> None:
    signed = sign(statement(scenario), KEYS["clinician"]) | {"signature": ""}
    scenario.ledger.append(ACCEPTED, signed, actor="clinician", version="1")


def edited_after_signing(scenario: Scenario) -> None:
    signed = sign(statement(scenario), KEYS["clinician"])
    signed["statement"]["until"] = (scenario.ledger.now() + timedelta(days=60)).date().isoformat()
    scenario.ledger.append(ACCEPTED, signed, actor="clinician", version="1")


def that_is_no_statement(scenario: Scenario) -> None:
    scenario.ledger.append(ACCEPTED, {"statement": {"columns": ["payer_code"]}}, actor="clinician", version="1")


FORGERIES = [
    of_another_environment, of_another_installation, of_another_version, of_another_file, signed_by_somebody_else,
    by_a_stranger, by_whoever_trained_it, in_a_role_that_may_not_approve, in_a_role_of_somebody_else,
    as_a_demonstration, for_too_long, that_has_ended, from_the_future, of_more_than_was_seen, by_limits_of_its_own,
    of_the_predicted_risks, without_a_reason, with_another_meaning, without_a_signature, edited_after_signing,
    that_is_no_statement,
]  # fmt: skip


@pytest.mark.parametrize("forge", FORGERIES)
def test_an_acceptance_that_nobody_gave_who_may_counts_for_nothing_and_is_named_by_the_audit(
    scenario: Scenario, forge: Callable[[Scenario], None]
):
    forge(scenario)
    ledger = scenario.ledger
    assert problems(ledger)
    assert counting(ledger.events(), "1", now=ledger.now()) == []
    seq = ledger.events(kind=ACCEPTED)[-1].seq
    assert set(improper_acceptances(ledger.events())) == {seq}
    scenario.set_facts(drift=judged_windows(accepted=("payer_code",), acceptances=(seq,)))
    condition = next(item for item in scenario.decide().conditions if item.name == "no_drift_alarm")
    assert condition.blocks
    assert "by nobody with the permission" in condition.detail


def test_it_ends_with_its_day_and_what_was_promoted_by_it_stays_proper(scenario: Scenario):
    event = accept(scenario)
    drifted(scenario, event)
    scenario.promote()
    events, pointers = scenario.ledger.snapshot()
    later = scenario.ledger.now() + timedelta(days=31)
    (found,) = acceptances(events, now=later)
    assert found.problems == (f"it ended with {found.until}",)
    assert counting(events, "1", now=later - timedelta(days=1)) != []
    assert pointer_problem(pointers["production"], events) is None


def test_other_limits_in_force_or_a_lost_key_end_it(scenario: Scenario):
    accept(scenario)
    monitoring = everything_in_force(scenario.ledger.events()).monitoring
    assert monitoring is not None
    stricter = monitoring.content.model_copy(
        update={"drift": monitoring.content.drift.model_copy(update={"column_score": 0.15})}
    )
    adopt(scenario.ledger, "monitoring_adopted", stricter, Signer("clinician", KEYS["clinician"]))
    assert "it was given before the monitoring limits in force were adopted" in problems(scenario.ledger)
    assert improper_acceptances(scenario.ledger.events()) == {}


def withdraw(scenario: Scenario, event: Event, actor: str) -> Event:
    ledger = scenario.ledger
    standing, nonce = stands(event.seq, ledger.events(), now=ledger.now())
    request = scenario.ask(WithdrawalRequest(event.seq, nonce, actor, "the payer is gone"), WITHDRAWN)
    decision = decide_withdrawal(
        request, standing, events=ledger.events(), environment_name=ledger.binding.environment, model=ledger.model,
        now=ledger.now(),
    )  # fmt: skip
    return record_withdrawal(ledger, decision)


def test_whoever_may_approve_withdraws_it_and_the_same_statement_cannot_come_back(scenario: Scenario):
    event = accept(scenario)
    withdrawal = withdraw(scenario, event, "second")
    (problem,) = problems(scenario.ledger)
    assert problem.startswith("it was withdrawn on ")
    assert problem.endswith(f"by second (event {withdrawal.seq}): the payer is gone")
    scenario.ledger.append(ACCEPTED, event.payload, actor="clinician", version="1")
    assert counting(scenario.ledger.events(), "1", now=scenario.ledger.now()) == []
    with pytest.raises(Refused, match="withdrawn"):
        withdraw(scenario, event, "second")


def until(scenario: Scenario, days: int) -> str:
    return (scenario.ledger.now() + timedelta(days=days)).date().isoformat()


def counted(scenario: Scenario) -> list[int]:
    return [each.event for each in counting(scenario.ledger.events(), "1", now=scenario.ledger.now())]


def test_an_acceptance_that_goes_as_far_and_lasts_as_long_takes_the_place_of_an_earlier_one(scenario: Scenario):
    first = accept(scenario, until=until(scenario, 30))
    longer = accept(scenario, "second", until=until(scenario, 60))
    assert counted(scenario) == [longer.seq]
    earlier = acceptances(scenario.ledger.events(), now=scenario.ledger.now())[0]
    assert (earlier.event, earlier.problems) == (first.seq, (f"event {longer.seq} took its place",))

    withdraw(scenario, longer, "second")
    assert counted(scenario) == []  # what was replaced does not come back


@pytest.mark.parametrize(
    ("changes", "days"),
    [
        ({}, 20),  # ends sooner
        ({"columns": [{"column": "payer_code", "measure": "drift", "seen": 1.1, "limit": 0.2, "up_to": 1.3}]}, 60),
    ],
    ids=["ends sooner", "leaves a measure out"],
)
def test_an_acceptance_of_less_leaves_the_earlier_one_as_it_is(scenario: Scenario, changes: dict[str, Any], days: int):
    first = accept(scenario, until=until(scenario, 30))
    less = accept(scenario, "second", until=until(scenario, days), **changes)
    assert counted(scenario) == [first.seq, less.seq]


def test_an_acceptance_by_nobody_who_may_takes_no_place(scenario: Scenario):
    first = accept(scenario)
    by_whoever_trained_it(scenario)
    assert counted(scenario) == [first.seq]


def test_the_timeline_says_which_acceptance_of_a_promotion_was_withdrawn_since(scenario: Scenario):
    event = accept(scenario)
    drifted(scenario, event)
    apply(scenario.ledger, scenario.decide())
    withdrawal = withdraw(scenario, event, "second")
    (said,) = timeline(scenario.ledger.events())[-1].drift_accepted
    assert said.endswith(f"by second (event {withdrawal.seq}): the payer is gone")
    (check,) = acceptance_checks("1", scenario.ledger.events())
    assert check.result == "pass"  # at the time it counted


def test_in_production_nobody_withdraws_it_without_the_signature_of_somebody_who_may(tmp_path: Path):
    with Ledger(f"sqlite:///{tmp_path / 'production.db'}", model=MODEL, environment="production") as ledger:
        scenario = ready_for_production(ledger)
        event = accept(scenario)
        claim = {"event": event.seq, "nonce": event.payload["statement"]["nonce"], "reason": "mine"}
        ledger.append(WITHDRAWN, claim, actor="clinician")
        with pytest.raises(Refused, match="permission approve"):
            withdraw(scenario, event, "ops")
        assert counting(ledger.events(), "1", now=ledger.now()) != []
        withdraw(scenario, event, "clinician")
        assert counting(ledger.events(), "1", now=ledger.now()) == []


def test_a_withdrawal_between_decision_and_promotion_is_a_conflict(scenario: Scenario):
    event = accept(scenario)
    drifted(scenario, event)
    decision = scenario.decide()
    withdraw(scenario, event, "second")
    with pytest.raises(Conflict):
        apply(scenario.ledger, decision)


def test_a_promotion_that_claims_an_acceptance_which_nobody_gave_is_not_proper(scenario: Scenario):
    by_a_stranger(scenario)
    seq = scenario.ledger.events(kind=ACCEPTED)[-1].seq
    given = [event.seq for event in scenario.ledger.events(kind="version_approved")]
    claim = [{"event": seq, "columns": ["payer_code"], "until": "2999-01-01", "by": "clinician", "demo": False}]
    scenario.ledger.move(
        "version_promoted",
        {"to_stage": "production", "approvals": given, "approvals_required": 2, "drift_accepted": claim},
        actor="ops", version="1", moves={"production": "1", "staging": None}, expected=scenario.ledger.pointers(),
    )  # fmt: skip
    (check,) = acceptance_checks("1", scenario.ledger.events())
    assert check.result == "fail"
    assert "stranger has no registered key" in check.detail
    assert timeline(scenario.ledger.events())[-1].drift_accepted == ()


def test_drift_that_was_not_accepted_still_holds_a_version_back(scenario: Scenario):
    event = accept(scenario)
    facts = judged_windows(accepted=("payer_code",), acceptances=(event.seq,), drifted=(1,), columns=("age",))
    scenario.set_facts(drift=replace(facts))
    condition = next(item for item in scenario.decide().conditions if item.name == "no_drift_alarm")
    assert condition.blocks
    assert "window 1: age" in condition.detail
