"""Starting a roll-out takes what the promotion takes, and there is one at a time."""

from typing import Any

import pytest

from readmission_platform.foundation.errors import Conflict, Refused
from readmission_platform.governance.ledger.shapes import check_payloads
from readmission_platform.governance.promotion.decision import apply
from readmission_platform.governance.rollouts.start import record_start
from readmission_platform_tests.support.rollouts import Rollouts, plan

EXPOSING = ["canary", "blue_green", "ab"]


def _blocking(decision: Any) -> set[str]:
    return {each.name for each in decision.conditions if each.blocks}


@pytest.mark.parametrize("kind", [*EXPOSING, "shadow"])
def test_an_approved_version_in_staging_can_be_rolled_out_in_every_way(rollouts: Rollouts, kind: str) -> None:
    event = rollouts.start(plan(kind))
    assert rollouts.state is not None
    assert rollouts.state.plan == plan(kind)
    assert event.payload["request"]["statement"]["what"]["plan"] == plan(kind).model_dump(mode="json")
    rollouts.ledger.verify()
    check_payloads([event])


@pytest.mark.parametrize("kind", EXPOSING)
@pytest.mark.parametrize(
    ("facts", "missing"),
    [
        ({"shadow_days": 13}, "shadow_days"),
        ({"drift": None}, "no_drift_alarm"),
        ({"artifact_digest": "sha256:other"}, "artifact_unchanged"),
        ({"evidence_digest": None}, "evidence_unchanged"),
        ({"has_champion": False}, "champion_compared"),
    ],
)
def test_whatever_keeps_a_version_out_of_production_keeps_its_answers_from_patients(
    rollouts: Rollouts, kind: str, facts: dict[str, Any], missing: str
) -> None:
    rollouts.scenario.set_facts(**facts)
    decision = rollouts.decide_start(plan(kind))
    assert missing in _blocking(decision)
    with pytest.raises(Refused):
        record_start(rollouts.ledger, decision)
    assert rollouts.state is None
    assert rollouts.ledger.events()[-1].kind == "rollout_refused"


@pytest.mark.parametrize("kind", EXPOSING)
def test_without_its_approvals_nobody_gets_its_answers(rollouts: Rollouts, kind: str) -> None:
    rollouts.scenario.train("3")
    rollouts.scenario.validate("3")
    rollouts.scenario.stage("3")
    assert _blocking(rollouts.decide_start(plan(kind, candidate_version="3"))) == {"approvals"}


def test_a_shadow_needs_no_approval_and_takes_a_candidate(rollouts: Rollouts) -> None:
    rollouts.scenario.train("3")
    rollouts.scenario.validate("3")
    rollouts.scenario.set_facts(shadow_days=0, drift=None)
    assert rollouts.decide_start(plan("shadow", candidate_version="3")).allowed
    assert not rollouts.decide_start(plan("canary", candidate_version="3")).allowed


def test_a_rejected_version_is_not_even_shadowed(rollouts: Rollouts) -> None:
    rollouts.scenario.train("3")
    rollouts.scenario.validate("3", verdict="fail")
    assert "version_accepted" in _blocking(rollouts.decide_start(plan("shadow", candidate_version="3")))


def test_it_is_compared_with_the_version_in_production_and_no_other(rollouts: Rollouts) -> None:
    assert _blocking(rollouts.decide_start(plan(control_version="5"))) == {"control_in_production"}


@pytest.mark.parametrize("actor", ["clinician", "admin", "trainer", "nobody", ""])
def test_only_somebody_whose_role_permits_it_starts_one(rollouts: Rollouts, actor: str) -> None:
    assert _blocking(rollouts.decide_start(plan(), actor=actor)) == {"actor_permitted"}


def test_a_name_without_its_signature_starts_nothing(rollouts: Rollouts) -> None:
    assert _blocking(rollouts.decide_start(plan(), signed={})) == {"actor_permitted"}


def test_a_signature_under_one_plan_does_not_start_another(rollouts: Rollouts) -> None:
    signed = rollouts.decide_start(plan()).request.signed
    assert _blocking(rollouts.decide_start(plan(steps=(50, 100)), signed=signed)) == {"actor_permitted"}


def test_a_signed_plan_starts_one_roll_out_only(rollouts: Rollouts) -> None:
    decision = rollouts.decide_start(plan())
    record_start(rollouts.ledger, decision)
    rollouts.step("rollout_aborted")
    again = rollouts.decide_start(plan(), signed=decision.request.signed)
    assert _blocking(again) == {"actor_permitted"}


def test_a_second_one_is_refused_while_one_is_open(rollouts: Rollouts) -> None:
    rollouts.start()
    assert "no_other_rollout" in _blocking(rollouts.decide_start(plan("blue_green")))
    rollouts.step("rollout_aborted")
    rollouts.start(plan("blue_green"))


def test_of_two_decided_together_one_starts(rollouts: Rollouts) -> None:
    rollouts.scenario.train("3")
    rollouts.scenario.validate("3")
    first, second = rollouts.decide_start(plan()), rollouts.decide_start(plan("shadow", candidate_version="3"))
    assert first.allowed
    assert second.allowed
    record_start(rollouts.ledger, first)
    with pytest.raises(Conflict):
        record_start(rollouts.ledger, second)
    assert rollouts.state is not None
    assert rollouts.state.candidate_version == "2"


def test_it_does_not_start_beside_a_version_that_was_just_taken_out(rollouts: Rollouts) -> None:
    decision = rollouts.decide_start(plan())
    rollouts.roll_back_production()
    with pytest.raises(Conflict):
        record_start(rollouts.ledger, decision)


def test_a_promotion_decided_before_the_start_is_told(rollouts: Rollouts) -> None:
    promotion = rollouts.scenario.decide("production", "2", replace=True)
    assert promotion.allowed
    rollouts.start()
    with pytest.raises(Conflict):
        apply(rollouts.ledger, promotion)
    assert rollouts.ledger.pointers()["production"].version == "1"
