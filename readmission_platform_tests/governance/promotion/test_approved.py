"""What verifies counts: approvals once each, as many as were asked for, names from signatures, moves by promotions."""

from typing import Any

import pytest

from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.timeline import timeline
from readmission_platform.governance.promotion.approved import approval_checks, approvers, moves_check
from readmission_platform_tests.support.scenario import Scenario, ready_for_production


def checked(ledger: Ledger, scenario: Scenario) -> dict[str, tuple[str, str]]:
    """Return result and detail of each check of version 1, by name."""
    events = ledger.events()
    found = [*approval_checks(scenario.record(), events), moves_check(events)]
    return {check.name: (check.result, check.detail) for check in found}


def approvals(ledger: Ledger) -> list[int]:
    return [event.seq for event in ledger.events(kind="version_approved")]


def forge_promotion(ledger: Ledger, counted: list[int], **payload: Any) -> int:
    """Promote as whoever can write to the ledger can, without a decision; returns the event."""
    moves = {"production": "1", "staging": None}
    content = {"to_stage": "production", "approvals": counted, **payload}
    return ledger.move("version_promoted", content, actor="ops", version="1", moves=moves,
                       expected=ledger.pointers()).seq  # fmt: skip


def test_a_promotion_records_how_many_approvals_were_asked_for_and_verifies_by_it(ledger: Ledger):
    scenario = ready_for_production(ledger)
    scenario.promote()
    promotion = ledger.events(kind="version_promoted")[-1]
    assert scenario.rules is not None
    assert promotion.payload["approvals_required"] == scenario.rules.approvals_required == 2
    found = checked(ledger, scenario)
    assert {name: result for name, (result, _) in found.items()} == dict.fromkeys(found, "pass")
    assert "2 of 2" in found["approvals_counted"][1]


def test_the_same_approval_recorded_twice_counts_once(ledger: Ledger):
    scenario = ready_for_production(ledger)
    first = ledger.events(kind="version_approved")[0]
    again = ledger.append("version_approved", first.payload, actor="second", version="1")
    forge_promotion(ledger, [first.seq, again.seq], approvals_required=2)
    result, detail = checked(ledger, scenario)["approvals_counted"]
    assert result == "fail"
    assert f"approval in event {again.seq}: it was used before" in detail
    assert "1 valid approvals of 2" in detail


@pytest.mark.parametrize("counted", [slice(0, 1), slice(0, 0)])
def test_fewer_approvals_than_the_environment_asked_for_are_named(ledger: Ledger, counted: slice):
    scenario = ready_for_production(ledger)
    given = approvals(ledger)[counted]
    forge_promotion(ledger, given, approvals_required=2)
    result, detail = checked(ledger, scenario)["approvals_counted"]
    assert (result, f"{len(given)} valid approvals of 2" in detail) == ("fail", True)


def test_a_promotion_that_does_not_say_how_many_were_asked_for_is_named(ledger: Ledger):
    scenario = ready_for_production(ledger)
    seq = forge_promotion(ledger, approvals(ledger))
    result, detail = checked(ledger, scenario)["approvals_counted"]
    assert (result, f"event {seq} does not record how many" in detail) == ("fail", True)


def test_a_second_approval_of_the_same_person_does_not_count_as_another(ledger: Ledger):
    scenario = ready_for_production(ledger)
    scenario.approve("clinician")
    given = approvals(ledger)
    forge_promotion(ledger, [given[0], given[2]], approvals_required=2)
    result, detail = checked(ledger, scenario)["approvals_counted"]
    assert (result, "second approval by the same person" in detail) == ("fail", True)


def test_an_approval_that_another_promotion_counted_is_spent(ledger: Ledger):
    scenario = ready_for_production(ledger)
    scenario.promote()
    scenario.train("2")
    scenario.stage("2")
    scenario.stage("2", "production")
    forge_promotion(ledger, approvals(ledger), approvals_required=2)
    result, detail = checked(ledger, scenario)["approvals_counted"]
    assert (result, "it was used before" in detail) == ("fail", True)


@pytest.mark.parametrize("kind", ["version_approved_late", "table_compacted", "policy_noted"])
def test_a_pointer_that_another_kind_of_event_moved_is_named(ledger: Ledger, kind: str):
    scenario = ready_for_production(ledger)
    moved = ledger.move(kind, {}, actor="ops", version="1", moves={"production": "1", "staging": None},
                        expected=ledger.pointers())  # fmt: skip
    result, detail = checked(ledger, scenario)["stage_moves"]
    assert (result, f"event {moved.seq}" in detail) == ("fail", True)


def test_a_rollback_to_a_version_that_was_never_promoted_is_named(ledger: Ledger):
    scenario = ready_for_production(ledger)
    moved = ledger.move("version_rolled_back", {"reason": "none"}, actor="ops", version="1",
                        moves={"production": "1"}, expected=ledger.pointers())  # fmt: skip
    result, detail = checked(ledger, scenario)["stage_moves"]
    assert (result, f"event {moved.seq}" in detail) == ("fail", True)


def test_a_promotion_that_says_staging_and_moves_production_is_named_and_its_approvals_are_asked_for(ledger: Ledger):
    scenario = ready_for_production(ledger)
    forge_promotion(ledger, [], to_stage="staging")
    found = checked(ledger, scenario)
    assert (found["stage_moves"][0], found["approvals_counted"][0]) == ("fail", "fail")


def test_who_approved_is_said_by_the_signature_and_not_by_who_wrote_the_event(ledger: Ledger):
    scenario = ready_for_production(ledger)
    genuine = ledger.events(kind="version_approved")[0]
    forged = {**genuine.payload, "statement": {**genuine.payload["statement"], "approver": "chief"}}
    seq = ledger.append("version_approved", forged, actor="chief", version="1").seq
    other = ledger.append("version_approved", genuine.payload, actor="chief", version="1").seq
    named = approvers(ledger.events())
    assert (seq in named, named[other]) == (False, "clinician")
    forge_promotion(ledger, [seq, other])
    production = next(period for period in timeline(ledger.events()) if period.stage == "production")
    assert production.approved_by == ("clinician",)
    assert "chief" not in checked(ledger, scenario)["approval_signatures"][1]
