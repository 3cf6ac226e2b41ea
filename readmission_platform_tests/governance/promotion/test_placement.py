"""A version in its stage: one that was properly promoted may be acted on, whatever else put it there may not."""

from collections.abc import Callable
from typing import Any

import pytest

from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.promotion.placement import live_problem, pointer_problem
from readmission_platform_tests.support.scenario import Scenario, ready_for_production, ready_for_staging


def problem(ledger: Ledger, stage: str = "production") -> str | None:
    events, pointers = ledger.snapshot()
    return pointer_problem(pointers[stage], events)


def recorded(ledger: Ledger, stage: str = "production", *, version: str = "1", kind: str = "version_promoted",
             **payload: Any) -> None:  # fmt: skip
    """Record a move as anybody can who reaches the ledger."""
    ledger.move(kind, {"to_stage": stage, **payload}, actor="somebody", version=version, moves={stage: version},
                expected=ledger.pointers())  # fmt: skip


def test_nothing_is_wrong_with_empty_stages_and_with_what_decisions_put_there(any_ledger: Ledger) -> None:
    assert problem(any_ledger, "staging") is None
    scenario = ready_for_staging(any_ledger)
    scenario.promote("staging")
    assert problem(any_ledger, "staging") is None
    scenario.approve("clinician")
    scenario.approve("second")
    scenario.promote("production")
    assert problem(any_ledger) is None
    assert live_problem("1", any_ledger.events()) is None


def test_more_validations_and_another_policy_later_change_nothing_about_a_promotion(ledger: Ledger) -> None:
    scenario = ready_for_production(ledger)
    scenario.promote("production")
    scenario.adopt(roles=None)
    scenario.validate(verdict="fail")
    assert problem(ledger) is None


def never_trained(scenario: Scenario) -> None:
    recorded(scenario.ledger, version="666")


def never_validated(scenario: Scenario) -> None:
    scenario.train("2")
    recorded(scenario.ledger, version="2", approvals=[])


def rejected(scenario: Scenario) -> None:
    scenario.validate(verdict="fail")
    recorded(scenario.ledger, approvals=approvals_of(scenario))


def validated_by_nobody_s_policy(scenario: Scenario) -> None:
    scenario.validate(policy_digest="sha256:" + "0" * 64)
    recorded(scenario.ledger, approvals=approvals_of(scenario))


def no_approval_counted(scenario: Scenario) -> None:
    recorded(scenario.ledger)


def too_few_approvals(scenario: Scenario) -> None:
    recorded(scenario.ledger, approvals=approvals_of(scenario)[:1])


def one_approval_twice(scenario: Scenario) -> None:
    recorded(scenario.ledger, approvals=approvals_of(scenario)[:1] * 2)


def approvals_of_another_key(scenario: Scenario) -> None:
    scenario.approve("clinician", key="stranger")
    recorded(scenario.ledger, approvals=[approvals_of(scenario)[0], approvals_of(scenario)[-1]])


def approvals_that_were_used(scenario: Scenario) -> None:
    scenario.promote("production")
    recorded(scenario.ledger, approvals=approvals_of(scenario))


def of_another_kind(scenario: Scenario) -> None:
    recorded(scenario.ledger, kind="moved", approvals=approvals_of(scenario))


def into_another_stage(scenario: Scenario) -> None:
    recorded(scenario.ledger, approvals=approvals_of(scenario), to_stage="staging")


def back_to_what_was_never_live(scenario: Scenario) -> None:
    recorded(scenario.ledger, kind="version_rolled_back")


def approvals_of(scenario: Scenario) -> list[int]:
    return [event.seq for event in scenario.ledger.events(kind="version_approved")]


@pytest.mark.parametrize(
    ("put", "told"),
    [
        (never_trained, "never trained"),
        (never_validated, "never validated"),
        (rejected, "rejected"),
        (validated_by_nobody_s_policy, "not in force"),
        (no_approval_counted, "0 valid approvals of 2"),
        (too_few_approvals, "1 valid approvals of 2"),
        (one_approval_twice, "1 valid approvals of 2"),
        (approvals_of_another_key, "signature"),
        (approvals_that_were_used, "used before"),
        (of_another_kind, "neither a promotion nor a rollback"),
        (into_another_stage, "does not record this move"),
        (back_to_what_was_never_live, "never properly put into production"),
    ],
)
def test_a_stage_that_nothing_properly_made_is_told_with_the_reason(
    ledger: Ledger, put: Callable[[Scenario], None], told: str
) -> None:
    put(ready_for_production(ledger))
    found = problem(ledger)
    assert found is not None
    assert told in found


def test_a_rollback_counts_for_what_was_properly_promoted_once(ledger: Ledger) -> None:
    scenario = ready_for_production(ledger)
    scenario.promote("production")
    recorded(ledger, version="666")
    assert problem(ledger) is not None
    recorded(ledger, kind="version_rolled_back")
    assert problem(ledger) is None


def test_rules_that_ask_for_more_approvals_ask_it_of_the_next_version_and_not_of_what_is_live(ledger: Ledger) -> None:
    scenario = ready_for_production(ledger)
    scenario.promote("production")
    scenario.adopt_rules(approvals_required=3)
    assert problem(ledger) is None
    scenario.train("2")
    scenario.validate("2")
    scenario.stage("2")
    scenario.approve("clinician", "2")
    scenario.approve("second", "2")
    scenario.stage("2", "production")
    assert "2 valid approvals of 3" in str(problem(ledger))


def test_no_file_says_how_many_approvals_it_takes(ledger: Ledger) -> None:
    scenario = ready_for_production(ledger)
    scenario.stage("1", "production")
    assert problem(ledger) is None
    forged = [each for each in ledger.events() if each.kind != "promotion_rules_adopted"]
    assert "no promotion rules were in force" in str(pointer_problem(ledger.pointers()["production"], forged))
