"""The steps of a roll-out: who may take them, when, and what they change."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from readmission_platform.foundation.errors import Conflict, Refused
from readmission_platform.governance.ledger.shapes import check_payloads
from readmission_platform.governance.promotion.decision import apply
from readmission_platform.governance.rollouts.state import rollout_of, rollouts_of
from readmission_platform.governance.rollouts.steps import record_step
from readmission_platform_tests.support.rollouts import Rollouts, plan
from readmission_platform_tests.support.scenario import ledger_in

ADVANCED, PAUSED, RESUMED = "rollout_advanced", "rollout_paused", "rollout_resumed"
ABORTED, TAKEN_BACK, COMPLETED = "rollout_aborted", "rollout_rolled_back", "rollout_completed"


def _blocking(decision: Any) -> set[str]:
    return {each.name for each in decision.conditions if each.blocks}


def _promotable(rollouts: Rollouts, version: str = "2") -> set[str]:
    return _blocking(rollouts.scenario.decide("production", version, replace=True))


def test_a_canary_goes_on_step_by_step_until_the_candidate_is_promoted(rollouts: Rollouts) -> None:
    rollouts.start()
    shares = [rollouts.state.share if rollouts.state else None]
    for kind in (ADVANCED, ADVANCED):
        assert _promotable(rollouts) == {"rollout_finished"}
        rollouts.step(kind)
        shares.append(rollouts.state.share if rollouts.state else None)
    assert shares == [0.1, 0.5, 1.0]
    assert _promotable(rollouts) == {"rollout_finished"}
    check_payloads([rollouts.step(COMPLETED)])
    rollouts.scenario.promote("production", "2", replace=True)
    assert rollouts.state is None
    assert rollouts.ledger.pointers()["production"].version == "2"
    assert [each.status for each in rollouts_of(rollouts.ledger.events())] == ["completed"]
    rollouts.ledger.verify()


def test_while_one_is_open_no_other_version_gets_near_production(rollouts: Rollouts) -> None:
    rollouts.scenario.train("3")
    rollouts.scenario.validate("3")
    rollouts.start()
    for stage in ("staging", "production"):
        assert "rollout_finished" in _blocking(rollouts.scenario.decide(stage, "3", replace=True))


def test_rolling_production_back_ends_it_in_the_same_transaction(rollouts: Rollouts) -> None:
    rollouts.start()
    stale = rollouts.decide_step(ADVANCED)
    rollouts.roll_back_production()
    assert rollouts.state is None
    with pytest.raises(Conflict):
        record_step(rollouts.ledger, stale)
    assert [each.status for each in rollouts_of(rollouts.ledger.events())] == ["aborted"]


@pytest.mark.parametrize("fine", [False, None])
@pytest.mark.parametrize("by_plan", [False, True])
def test_nothing_goes_on_when_the_figures_are_not_fine(rollouts: Rollouts, fine: bool | None, by_plan: bool) -> None:
    rollouts.start()
    decision = rollouts.decide_step(ADVANCED, fine=fine, by_plan=by_plan)
    assert "figures_fine" in _blocking(decision)


@pytest.mark.parametrize("fine", [False, None])
@pytest.mark.parametrize("kind", [ABORTED, PAUSED])
def test_the_way_back_asks_for_no_figures(rollouts: Rollouts, kind: str, fine: bool | None) -> None:
    rollouts.start()
    rollouts.step(kind, fine=fine)


@pytest.mark.parametrize(
    ("kind", "permitted", "refused"),
    [
        (ADVANCED, "ops", "admin"),
        (PAUSED, "admin", "clinician"),
        (ABORTED, "admin", "clinician"),
    ],
)
def test_each_step_takes_its_permission(rollouts: Rollouts, kind: str, permitted: str, refused: str) -> None:
    rollouts.start()
    assert _blocking(rollouts.decide_step(kind, actor=refused)) == {"actor_permitted"}
    assert _blocking(rollouts.decide_step(kind, actor=permitted, signed={})) == {"actor_permitted"}
    assert rollouts.decide_step(kind, actor=permitted).allowed


def test_what_a_person_asked_for_in_vain_is_recorded(rollouts: Rollouts) -> None:
    rollouts.start()
    with pytest.raises(Refused):
        rollouts.step(ABORTED, actor="clinician")
    assert rollouts.ledger.events()[-1].kind == "rollout_refused"
    assert rollouts.state is not None


def test_only_what_the_roles_allow_to_drive_takes_steps_by_the_plan(rollouts: Rollouts) -> None:
    rollouts.start()
    assert _blocking(rollouts.decide_step(ADVANCED, by_plan=True, actor="ops")) == {"actor_permitted"}


@pytest.mark.parametrize("kind", [RESUMED, ABORTED])
def test_a_plan_never_goes_on_after_a_pause_by_itself(rollouts: Rollouts, kind: str) -> None:
    rollouts.scenario.environment_name = "local"
    rollouts.start()
    rollouts.step(PAUSED, by_plan=True)
    assert _blocking(rollouts.decide_step(kind, by_plan=True)) == {"actor_permitted"}
    assert "step_possible" in _blocking(rollouts.decide_step(ADVANCED, by_plan=True))
    rollouts.step(RESUMED)
    assert rollouts.decide_step(ADVANCED, by_plan=True).allowed


def test_nobody_rolls_back_by_hand_what_a_plan_rolls_back(rollouts: Rollouts) -> None:
    rollouts.start()
    assert _blocking(rollouts.decide_step(TAKEN_BACK, signed={})) == {"actor_permitted"}


def test_a_reason_is_asked_for(rollouts: Rollouts) -> None:
    rollouts.start()
    assert _blocking(rollouts.decide_step(ABORTED, reason=" ")) == {"reason_given"}


def test_a_signed_step_is_taken_once(rollouts: Rollouts) -> None:
    rollouts.start()
    signed = rollouts.decide_step(PAUSED).request.signed
    rollouts.step(PAUSED, signed=signed)
    rollouts.step(RESUMED)
    assert _blocking(rollouts.decide_step(PAUSED, signed=signed)) == {"actor_permitted"}


def test_of_two_steps_decided_together_one_counts(rollouts: Rollouts) -> None:
    rollouts.start()
    advance, abort = rollouts.decide_step(ADVANCED), rollouts.decide_step(ABORTED)
    record_step(rollouts.ledger, abort)
    with pytest.raises(Conflict):
        record_step(rollouts.ledger, advance)


def test_a_step_of_a_roll_out_that_is_over_is_refused(rollouts: Rollouts) -> None:
    assert _blocking(rollouts.decide_step(ABORTED)) == {"rollout_open"}
    first = rollouts.start().seq
    rollouts.step(ABORTED)
    rollouts.start()
    assert _blocking(rollouts.decide_step(ABORTED, plan_event=first)) == {"rollout_open"}


def test_after_an_ab_result_only_approvals_that_knew_it_count(rollouts: Rollouts) -> None:
    rollouts.start(plan("ab"))
    assert "rollout_finished" in _promotable(rollouts)
    result = rollouts.step(COMPLETED)
    assert rollouts.state is None
    decision = rollouts.scenario.decide("production", "2", replace=True)
    assert _blocking(decision) == {"approvals"}
    assert any(f"did not know how its roll-out ended in event {result.seq}" in reason for reason in decision.reasons())
    for who in ("clinician", "second"):
        rollouts.scenario.approve(who, "2")
    rollouts.scenario.promote("production", "2", replace=True)
    assert rollouts.ledger.pointers()["production"].version == "2"


def test_what_turned_out_worse_needs_approvals_that_know_it(rollouts: Rollouts) -> None:
    rollouts.scenario.environment_name = "local"
    rollouts.start()
    rollouts.step(TAKEN_BACK, by_plan=True)
    rollouts.scenario.environment_name = "production"
    assert _promotable(rollouts) == {"approvals"}
    assert _blocking(rollouts.decide_start(plan())) == {"approvals"}
    for who in ("clinician", "second"):
        rollouts.scenario.approve(who, "2")
    assert _promotable(rollouts) == set()
    assert rollouts.decide_start(plan()).allowed


_KINDS = st.sampled_from([ADVANCED, ADVANCED, ADVANCED, PAUSED, RESUMED, ABORTED, TAKEN_BACK, COMPLETED, "start",
                          "promote", "roll back production"])  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_asked_for_in_whatever_order_exposure_grows_only_by_allowed_steps(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    with ledger_in(tmp_path_factory.mktemp("rollouts")) as ledger:
        rollouts = Rollouts.prepared(ledger, "local")
        before = rollouts.state
        for _ in range(data.draw(st.integers(1, 12))):
            kind = data.draw(_KINDS)
            fine, by_plan = data.draw(st.booleans()), data.draw(st.booleans())
            taken = _attempted(rollouts, kind, fine=fine, by_plan=by_plan)
            state = rollout_of(ledger.events())
            if not taken:
                assert state == before
            elif before is not None and state is not None and state.share > before.share:
                assert (kind, fine, before.status) == (ADVANCED, True, "running")
                assert state.step == before.step + 1
            if state is not None:
                assert ledger.pointers()["production"].version == state.control_version
                assert state.share <= state.plan.shares[state.step]
            before = state
        ledger.verify()
        check_payloads([event for event in ledger.events() if event.kind.startswith("rollout_")])


def _attempted(rollouts: Rollouts, kind: str, *, fine: bool, by_plan: bool) -> bool:
    try:
        if kind == "start":
            rollouts.start()
        elif kind == "promote":
            apply(rollouts.ledger, rollouts.scenario.decide("production", "2", replace=True))
        elif kind == "roll back production":
            if rollouts.ledger.pointers()["production"].version != "2":
                return False
            rollouts.roll_back_production()
        else:
            rollouts.step(kind, fine=fine, by_plan=by_plan)
    except Refused:
        return False
    return True
