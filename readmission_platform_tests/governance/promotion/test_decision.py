"""Promotion: everything right is allowed, and each thing wrong on its own is refused."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from readmission_platform.config.governance import AdditionalGates, GatePolicy
from readmission_platform.foundation.errors import BadInput, Conflict, Refused
from readmission_platform.foundation.values import Limits, digest_of
from readmission_platform.governance.demo_approver import demo_signer
from readmission_platform.governance.ledger.chain import ENVIRONMENT, Pointer
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.promotion.approvals import sign
from readmission_platform.governance.promotion.decision import PromotionRequest, apply, decide
from readmission_platform_tests.support.scenario import (
    KEYS,
    POLICY,
    REQUIRED,
    STAFFED_ROLES,
    Scenario,
    ensure_adopted,
    environment,
    estimate,
    judged_windows,
    ready_for_production,
    ready_for_staging,
)

Change = Callable[[Scenario], None]


def tightened(name: str = "discrimination_auroc", floor: float = 0.67) -> GatePolicy:
    rule = POLICY.gates[name]
    stricter = rule.model_copy(update={"limits": {**rule.limits, "real": Limits(at_least=floor)}})
    return POLICY.model_copy(update={"gates": {**POLICY.gates, name: stricter}})


def test_a_version_with_everything_right_enters_staging_and_then_production(any_ledger: Ledger) -> None:
    scenario = ready_for_staging(any_ledger)
    scenario.promote("staging")
    assert any_ledger.pointers()["staging"].version == "1"
    scenario.approve("clinician")
    scenario.approve("second")
    decision = scenario.decide()
    assert decision.allowed
    assert decision.reasons() == []
    event = apply(any_ledger, decision)
    assert event is not None
    assert event.payload["approvals"] == decision.approvals != []
    pointers = any_ledger.pointers()
    assert (pointers["staging"].version, pointers["production"].version) == (None, "1")
    assert scenario.record().state == "production"
    any_ledger.verify()


def test_no_incumbent_is_said_and_gates_against_it_do_not_apply(ledger: Ledger) -> None:
    decision = ready_for_production(ledger).decide()
    compared = next(item for item in decision.conditions if item.name == "champion_compared")
    assert (compared.result, compared.detail) == ("pass", "no incumbent to compare with")
    assert not [gate for gate in decision.gates if gate.gate.startswith("champion")]


def test_a_group_too_small_to_judge_is_a_warning_that_does_not_block(ledger: Ledger) -> None:
    decision = ready_for_production(ledger).decide()
    gates = next(item for item in decision.conditions if item.name == "gates_hold")
    assert gates.result == "insufficient"
    assert not gates.blocks
    assert "fairness_observed_expected_race" in gates.detail


def _fact(**changes: Any) -> Change:
    return lambda scenario: scenario.set_facts(**changes)


def _estimate(metric: str, raw: Any) -> Change:
    return lambda scenario: scenario.change_estimate(metric, raw)


def _synthetic_record(scenario: Scenario) -> None:
    scenario.train("2", source="synthetic", limit_set="synthetic")
    scenario.validate("2")
    scenario.stage("2")
    scenario.approve("clinician", "2")
    scenario.approve("second", "2")


WRONG_FACTS: dict[str, tuple[Change, str]] = {
    "artifact missing": (_fact(artifact_digest=None), "artifact_unchanged"),
    "artifact edited": (_fact(artifact_digest="sha256:other"), "artifact_unchanged"),
    "evidence missing": (_fact(evidence_digest=None), "evidence_unchanged"),
    "evidence edited": (_fact(evidence_digest="sha256:other"), "evidence_unchanged"),
    "estimates missing": (_fact(estimates=None), "gates_hold"),
    "too few shadow days": (_fact(shadow_days=13), "shadow_days"),
    "candidate gate fails": (_estimate("auroc", estimate(0.64)), "gates_hold"),
    "leak": (_estimate("auroc", estimate(0.79)), "gates_hold"),
    "a metric is NaN": (_estimate("ece", estimate(float("nan"))), "gates_hold"),
    "a metric is None": (_estimate("ece", None), "gates_hold"),
    "staging gate fails": (_estimate("parity_difference", estimate(0.01)), "gates_hold"),
    "the service would answer otherwise": (_estimate("single_rows_that_differ", estimate(1.0)), "gates_hold"),
    "production gate fails": (_estimate("auroc", estimate(0.656, 0.644, 0.67)), "gates_hold"),
    "shadow incomplete": (_estimate("shadow_scored_share", estimate(0.99)), "gates_hold"),
    "too many withheld in the shadow": (_estimate("shadow_withheld_share", estimate(0.06)), "gates_hold"),
    "shadow risks off": (_estimate("shadow_observed_expected_ratio", estimate(1.4)), "gates_hold"),
    "too little data": (_estimate("auroc", estimate(0.664, positives=150)), "gates_hold"),
    "drift not looked at": (_fact(drift=None), "no_drift_alarm"),
    "drift not judged": (_fact(drift=judged_windows(unjudged=1)), "no_drift_alarm"),
    "drift alarm": (_fact(drift=judged_windows(closed=2, drifted=(1, 2), columns=("age",))), "no_drift_alarm"),
}


@pytest.mark.parametrize("case", WRONG_FACTS)
def test_one_wrong_fact_refuses_production_and_moves_nothing(ledger: Ledger, case: str) -> None:
    change, name = WRONG_FACTS[case]
    scenario = ready_for_production(ledger)
    change(scenario)
    decision = scenario.decide()
    assert [item.name for item in decision.conditions if item.blocks] == [name]
    before = ledger.pointers()
    with pytest.raises(Refused) as refusal:
        apply(ledger, decision)
    assert refusal.value.exit_code == 3
    assert ledger.pointers() == before
    recorded = ledger.events(kind="promotion_refused")
    assert recorded[0].payload["reasons"] == refusal.value.reasons == decision.reasons()
    ledger.verify()


def _approved_again(scenario: Scenario, **changes: Any) -> None:
    scenario.approve("clinician", **changes)


def _forged_signature(scenario: Scenario) -> None:
    signed = sign(scenario.statement(), KEYS["clinician"])
    signed["statement"]["version"] = "1"
    signed["statement"]["reason"] = "something else"
    scenario.ledger.append("version_approved", signed, actor="clinician", version="1")


def _for_version_7(scenario: Scenario) -> None:
    signed = sign(scenario.statement() | {"version": "7"}, KEYS["clinician"])
    scenario.ledger.append("version_approved", signed, actor="clinician", version="1")


def _foreign_key(scenario: Scenario) -> None:
    scenario.approve("clinician", key="stranger")


def _unsigned(scenario: Scenario) -> None:
    scenario.ledger.append("version_approved", {"statement": scenario.statement()}, actor="x", version="1")


def _replayed(scenario: Scenario) -> None:
    first = next(event for event in scenario.ledger.events(kind="version_approved"))
    scenario.ledger.append("version_approved", first.payload, actor="clinician", version="1")


BAD_APPROVALS: dict[str, tuple[Change, str]] = {
    "absent": (lambda scenario: None, "1 of 2"),
    "forged content": (_forged_signature, "signature"),
    "signed with another key": (_foreign_key, "signature"),
    "unsigned": (_unsigned, "signature"),
    "for another artifact": (lambda s: _approved_again(s, artifact_digest="sha256:x"), "another artifact"),
    "for other evidence": (lambda s: _approved_again(s, evidence_digest="sha256:x"), "other evidence"),
    "under another policy": (lambda s: _approved_again(s, policy_digest="sha256:x"), "was adopted: policy"),
    "under another plan": (lambda s: _approved_again(s, change_plan_digest="sha256:x"), "was adopted: change plan"),
    "under other limits": (
        lambda s: _approved_again(s, monitoring_digest="sha256:x"),
        "was adopted: monitoring limits",
    ),
    "under other roles": (lambda s: _approved_again(s, roles_digest="sha256:x"), "was adopted: roles"),
    "for another version": (_for_version_7, "version 7"),
    "for another model": (lambda s: _approved_again(s, model="other"), "other version 1"),
    "expired": (lambda s: _approved_again(s, expires_at="2020-01-01T00:00:00Z"), "expired"),
    "from the future": (lambda s: _approved_again(s, issued_at="2199-01-01T00:00:00Z"), "future"),
    "without time zone": (lambda s: _approved_again(s, expires_at="2199-01-01T00:00:00"), "form"),
    "replayed": (_replayed, "used before"),
    "second of the same person": (lambda s: s.approve("second"), "same person"),
    "own model": (lambda s: s.approve("trainer"), "trained this version"),
    "role may not approve": (lambda s: s.approve("ops", role="mlops_engineer"), "may not approve"),
    "role not held": (lambda s: s.approve("ops"), "does not hold"),
    "unknown person": (lambda s: s.approve("nobody", key="stranger"), "no registered key"),
    "warning not acknowledged": (lambda s: _approved_again(s, warnings=[]), "warning"),
    "meaning missing": (lambda s: _approved_again(s, meaning="read it"), "does not say"),
    "reason missing": (lambda s: _approved_again(s, reason=" "), "no reason"),
    "demonstration": (lambda s: _approved_again(s, demo=True), "no registered key"),
    "extra field": (lambda s: _approved_again(s, note="x"), "form"),
}


@pytest.mark.parametrize("case", BAD_APPROVALS)
def test_an_approval_that_is_wrong_in_one_way_does_not_count(ledger: Ledger, case: str) -> None:
    add, reason = BAD_APPROVALS[case]
    scenario = ready_for_staging(ledger)
    scenario.stage()
    scenario.approve("second")
    add(scenario)
    decision = scenario.decide()
    assert [item.name for item in decision.conditions if item.blocks] == ["approvals"]
    assert reason in " ".join(decision.reasons())
    assert len(decision.approvals) == 1


def test_a_demo_approver_announced_outside_local_does_not_count(ledger: Ledger) -> None:
    scenario = ready_for_staging(ledger)
    scenario.stage()
    scenario.approve("second")
    announcement = {
        "identity": "demo-approver",
        "public_key": sign({}, KEYS["stranger"])["public_key"],
        "demo": True,
    }
    ledger.append("demo_approver_created", announcement, actor="x", of_environment=True)
    scenario.approve("demo-approver", key="stranger", demo=True)
    assert not scenario.decide().allowed


def test_in_local_a_demo_approver_takes_a_synthetic_version_to_production(ledger: Ledger, tmp_path: Path) -> None:
    scenario = Scenario(ledger, environment_name="local")
    ensure_adopted(ledger, environment=environment("local"), keys=tmp_path / "keys")
    scenario.train(source="synthetic", limit_set="synthetic")
    scenario.validate()
    scenario.promote("staging", actor="anybody")
    assert not scenario.decide(actor="anybody").allowed
    statement = scenario.statement("demo-approver") | {"demo": True}
    ledger.append(
        "version_approved",
        sign(statement, demo_signer(ledger, tmp_path / "keys").key),
        actor="d",
        version="1",
    )
    scenario.promote("production", actor="anybody")
    assert ledger.pointers()["production"].version == "1"
    ledger.verify()


def test_two_identities_with_one_key_are_one_approver(ledger: Ledger) -> None:
    people = STAFFED_ROLES.people
    twin = people["second"].model_copy(update={"public_key": people["clinician"].public_key})
    plain = STAFFED_ROLES.model_copy(update={"people": {**people, "second": twin}}).model_dump(mode="json")
    statement = {"kind": "roles_adopted", "model": ENVIRONMENT, "digest": digest_of(plain), "follows_seq": 0,
                 "signer": "admin", "signed_at": "2026-01-01T00:00:00.000000Z", "demo": False}  # fmt: skip
    content = {"digest": digest_of(plain), "content": plain, "demo": False, **sign(statement, KEYS["admin"])}
    ledger.append("roles_adopted", content, actor="admin", of_environment=True)  # adopt() refuses such roles
    scenario = Scenario(ledger)
    scenario.adopt(roles=None)
    scenario.train()
    scenario.validate()
    scenario.stage()
    scenario.approve("clinician")
    scenario.approve("second", key="clinician")
    assert len(scenario.decide().approvals) == 1


def test_skipping_staging_is_refused(ledger: Ledger) -> None:
    scenario = ready_for_staging(ledger)
    scenario.approve("clinician")
    scenario.approve("second")
    assert [item.name for item in scenario.decide().conditions if item.blocks] == ["step_allowed"]


def test_an_unknown_version_and_an_unknown_stage_are_refused(ledger: Ledger) -> None:
    scenario = ready_for_production(ledger)
    assert [item.name for item in scenario.decide(version="9").conditions if item.blocks] == ["version_known"]
    with pytest.raises(BadInput, match="archive"):
        scenario.decide("archive")


def test_a_version_that_is_there_already_is_refused_with_that_reason(ledger: Ledger) -> None:
    decision = ready_for_production(ledger).decide("staging")
    assert "already in staging" in " ".join(decision.reasons())


def test_a_version_never_validated_is_refused_for_staging(ledger: Ledger) -> None:
    scenario = Scenario(ledger)
    scenario.adopt()
    scenario.train()
    assert [item.name for item in scenario.decide("staging").conditions if item.blocks] == ["version_accepted"]


def test_a_rejected_version_stays_rejected_even_if_a_later_verdict_is_forged(ledger: Ledger) -> None:
    scenario = Scenario(ledger)
    scenario.adopt()
    scenario.train()
    scenario.validate(verdict="fail")
    scenario.validate(verdict="pass")
    assert scenario.record().state == "rejected"
    assert not scenario.decide("staging").allowed


def test_an_archived_version_does_not_return_through_staging(any_ledger: Ledger) -> None:
    scenario = ready_for_production(any_ledger)
    scenario.promote()
    scenario.train("2")
    scenario.validate("2")
    scenario.stage("2")
    scenario.stage("2", "production")
    assert scenario.record("1").state == "archived"
    assert scenario.record("1").was_in_production
    assert not scenario.decide("staging").allowed


def test_a_forged_verdict_does_not_help_when_the_recomputed_gates_fail(ledger: Ledger) -> None:
    scenario = ready_for_staging(ledger)
    scenario.change_estimate("calibration_slope", estimate(0.6))
    with pytest.raises(Refused, match="calibration_slope"):
        scenario.promote("staging")


def test_training_recorded_twice_with_different_content_is_refused(ledger: Ledger) -> None:
    scenario = ready_for_staging(ledger)
    scenario.train(trained_by="somebody-else")
    assert scenario.record().trained_by == "trainer"
    decision = scenario.decide("staging")
    assert [item.name for item in decision.conditions if item.blocks] == ["provenance_complete"]


@pytest.mark.parametrize("missing", ["run_id", "split_digest", "code_version", "trained_by", "data", "source"])
def test_incomplete_provenance_is_refused(ledger: Ledger, missing: str) -> None:
    scenario = Scenario(ledger)
    scenario.adopt()
    scenario.train(**{missing: None})
    ledger.append("version_validated", {"verdict": "pass", "gates": []}, actor="x", version="1")
    assert not scenario.decide("staging").allowed


def test_real_data_cannot_ask_for_the_limits_of_synthetic_data(ledger: Ledger) -> None:
    scenario = Scenario(ledger)
    scenario.adopt()
    scenario.train(limit_set="synthetic")
    scenario.validate()
    assert [item.name for item in scenario.decide("staging").conditions if item.blocks] == ["gates_hold"]


def test_without_a_policy_in_force_everything_is_refused(ledger: Ledger) -> None:
    scenario = Scenario(ledger)
    scenario.train()
    ledger.append("version_validated", {"verdict": "pass", "gates": []}, actor="x", version="1")
    blocked = {item.name for item in scenario.decide("staging").conditions if item.blocks}
    assert {"policy_in_force", "gates_hold"} <= blocked


def test_after_a_policy_change_the_version_is_judged_anew_and_must_be_approved_anew(ledger: Ledger) -> None:
    scenario = ready_for_production(ledger)
    scenario.adopt(tightened(floor=0.66), roles=None)
    decision = scenario.decide()
    assert [item.name for item in decision.conditions if item.blocks] == ["approvals"]
    scenario.approve("clinician")
    scenario.approve("second")
    assert scenario.decide().allowed


def test_a_tightened_policy_refuses_what_an_older_one_accepted(ledger: Ledger) -> None:
    scenario = ready_for_production(ledger)
    scenario.adopt(tightened(floor=0.67), roles=None)
    scenario.approve("clinician")
    scenario.approve("second")
    assert [item.name for item in scenario.decide().conditions if item.blocks] == ["gates_hold"]


def test_additional_gates_of_any_validation_keep_applying(ledger: Ledger) -> None:
    scenario = Scenario(ledger)
    scenario.adopt()
    scenario.train()
    extra = AdditionalGates(gates={"discrimination_auroc": Limits(at_least=0.69)})
    scenario.validate(additional_gates=extra.model_dump(mode="json"))
    scenario.validate()
    decision = scenario.decide("staging")
    assert [item.name for item in decision.conditions if item.blocks] == ["gates_hold"]
    assert [gate.additional for gate in decision.gates if gate.blocks] == [True]


@pytest.mark.parametrize("name", ["staging", "production"])
@pytest.mark.parametrize("edited", [False, True])
def test_synthetic_data_reaches_production_in_local_only(ledger: Ledger, name: str, edited: bool) -> None:
    scenario = ready_for_staging(ledger)
    _synthetic_record(scenario)
    scenario.environment_name = name
    scenario.adopt_rules(approvals_required=1, allow_synthetic_in_production=edited)
    scenario.approve("clinician", "2")
    decision = scenario.decide(version="2")
    assert [item.name for item in decision.conditions if item.blocks] == ["source_allowed"]
    scenario.environment_name = "local"
    assert scenario.decide(version="2").allowed is edited


def test_an_incumbent_needs_a_comparison_and_an_acknowledgement(any_ledger: Ledger) -> None:
    scenario = ready_for_production(any_ledger)
    scenario.promote()
    scenario.train("2")
    scenario.validate("2")
    scenario.stage("2")
    scenario.approve("clinician", "2")
    scenario.approve("second", "2")
    blocked = [item.name for item in scenario.decide(version="2").conditions if item.blocks]
    assert blocked == ["champion_compared", "replacement_acknowledged"]
    scenario.set_facts(has_champion=True, champion_version="7")
    assert not scenario.decide(version="2", replace=True).allowed
    scenario.set_facts(champion_version="1")
    assert scenario.decide(version="2", replace=True).allowed
    scenario.change_estimate("champion_auroc_difference", estimate(-0.001, -0.006, 0.004))
    assert not scenario.decide(version="2", replace=True).allowed
    scenario.change_estimate("champion_auroc_difference", estimate(0.002))
    scenario.promote(version="2", replace=True)
    assert scenario.record("1").state == "archived"
    any_ledger.verify()


@pytest.mark.parametrize("actor", ["nobody", "trainer", "clinician", ""])
def test_whoever_lacks_the_role_may_not_promote_to_production(ledger: Ledger, actor: str) -> None:
    decision = ready_for_production(ledger).decide(actor=actor)
    assert [item.name for item in decision.conditions if item.blocks] == ["actor_permitted"]


def test_an_edited_event_is_refused(ledger: Ledger) -> None:
    scenario = ready_for_production(ledger)
    events, pointers = ledger.snapshot()
    trained = next(index for index, event in enumerate(events) if event.kind == "version_trained")
    events[trained] = replace(events[trained], payload={**events[trained].payload, "trained_by": "somebody-else"})
    assert scenario.now is not None
    for changed_events, changed_pointers in (
        (events, pointers),
        (ledger.events(), {**pointers, "production": Pointer("production", "1", 3)}),
    ):
        decision = decide(
            PromotionRequest("1", "production", "ops"),
            events=changed_events,
            pointers=changed_pointers,
            facts=scenario.facts,
            required=REQUIRED,
            environment_name="production",
            now=scenario.now,
        )
        assert "ledger_intact" in [item.name for item in decision.conditions if item.blocks]


def test_a_pointer_moved_between_decision_and_recording_is_a_conflict(any_ledger: Ledger) -> None:
    scenario = ready_for_production(any_ledger)
    decision = scenario.decide()
    scenario.train("2")
    scenario.stage("2")
    before = any_ledger.snapshot()
    with pytest.raises(Conflict) as conflict:
        apply(any_ledger, decision)
    assert conflict.value.exit_code == 4
    assert any_ledger.snapshot() == before


def test_a_policy_adopted_between_decision_and_recording_is_a_conflict(any_ledger: Ledger) -> None:
    scenario = ready_for_production(any_ledger)
    decision = scenario.decide()
    scenario.adopt(tightened(floor=0.67), roles=None)
    with pytest.raises(Conflict):
        apply(any_ledger, decision)
    assert any_ledger.pointers()["production"].version is None


def test_training_another_version_meanwhile_is_no_conflict(any_ledger: Ledger) -> None:
    scenario = ready_for_production(any_ledger)
    decision = scenario.decide()
    scenario.train("2")
    assert apply(any_ledger, decision) is not None


@pytest.mark.parametrize("allowed", [True, False])
def test_a_dry_run_records_nothing(any_ledger: Ledger, allowed: bool) -> None:
    scenario = ready_for_production(any_ledger)
    if not allowed:
        scenario.set_facts(artifact_digest=None)
    before = any_ledger.snapshot()
    if allowed:
        assert apply(any_ledger, scenario.decide(), dry_run=True) is None
    else:
        with pytest.raises(Refused):
            apply(any_ledger, scenario.decide(), dry_run=True)
    assert any_ledger.snapshot() == before


def test_an_approval_is_checked_at_the_moment_of_the_decision(ledger: Ledger) -> None:
    scenario = ready_for_production(ledger)
    assert scenario.now is not None
    scenario.now += timedelta(days=8)
    assert "expired" in " ".join(scenario.decide().reasons())
