"""The life of a key: rotated by its owner or revoked, it decides nothing new, and what it signed stays verifiable."""

from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from readmission_platform.config.governance import RolesConfig
from readmission_platform.foundation.errors import BadInput, Refused
from readmission_platform.governance.demo_approver import Signer
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.policy.adoption import everything_in_force, roles_in_force
from readmission_platform.governance.policy.key_changes import KeyRecord, key_history, revoke_key, rotate_key
from readmission_platform.governance.promotion.approved import approvers
from readmission_platform.governance.promotion.placement import pointer_problem
from readmission_platform.governance.signatures import public_key_text
from readmission_platform_tests.support.scenario import (
    KEYS,
    PEOPLE,
    STAFFED_ROLES,
    Scenario,
    adopt,
    ready_for_production,
)

NEW = Ed25519PrivateKey.generate()
ADMIN, CLINICIAN = Signer("admin", KEYS["admin"]), Signer("clinician", KEYS["clinician"])


def rotated(ledger: Ledger, who: str = "clinician", new: Ed25519PrivateKey = NEW) -> None:
    rotate_key(ledger, Signer(who, KEYS[who]), new, reason="regular", dry_run=False)


def revoked(ledger: Ledger, identity: str = "clinician", signer: Signer = ADMIN, reason: str = "lost") -> None:
    revoke_key(ledger, identity, signer, reason=reason, dry_run=False)


def of(ledger: Ledger, identity: str) -> list[KeyRecord]:
    return [each for each in key_history(ledger.events()) if each.identity == identity]


def registered(ledger: Ledger, identity: str = "clinician") -> str | None:
    roles = roles_in_force(ledger.events())
    assert roles is not None
    return roles.content.people[identity].public_key


def test_an_approval_by_a_key_that_was_rotated_or_revoked_counts_no_more_and_a_new_one_does(any_ledger: Ledger):
    scenario = ready_for_production(any_ledger)
    rotated(any_ledger)
    revoked(any_ledger, "second")
    decision = scenario.decide()
    (approvals,) = (each for each in decision.conditions if each.name == "approvals")
    assert approvals.blocks
    assert "not one of clinician's registered key" in approvals.detail
    assert "second has no registered key" in approvals.detail
    KEYS["rotated"] = NEW
    scenario.approve("clinician", key="rotated")
    (approvals,) = (each for each in scenario.decide().conditions if each.name == "approvals")
    assert "1 of 2 approvals" in approvals.detail


@pytest.mark.parametrize("change", [rotated, revoked])
def test_what_a_key_signed_before_stays_verifiable(any_ledger: Ledger, change: Any):
    scenario = ready_for_production(any_ledger)
    scenario.promote()
    before = approvers(any_ledger.events())
    change(any_ledger)
    events, pointers = any_ledger.snapshot()
    assert approvers(events) == before
    assert pointer_problem(pointers["production"], events) is None
    assert not everything_in_force(events).missing


def test_a_rotated_key_adopts_nothing_and_the_new_one_does(ledger: Ledger):
    scenario = Scenario(ledger)
    scenario.adopt()
    rotated(ledger)
    with pytest.raises(Refused, match="not one of clinician's registered key"):
        scenario.adopt_rules(approvals_required=3)
    adopt(ledger, "promotion_rules_adopted", scenario.rules, Signer("clinician", NEW))
    assert registered(ledger) == public_key_text(NEW)


def test_no_later_roles_bring_a_key_back_that_was_rotated_or_revoked(ledger: Ledger):
    Scenario(ledger).adopt()
    rotated(ledger)
    revoked(ledger, "second")
    with pytest.raises(Refused, match="it gives clinician a key that was rotated or revoked"):
        adopt(ledger, "roles_adopted", STAFFED_ROLES, ADMIN)
    swapped = PEOPLE | {"clinician": PEOPLE["clinician"].model_copy(update={"public_key": public_key_text(NEW)})}
    with pytest.raises(Refused, match="it gives second a key"):
        adopt(ledger, "roles_adopted", RolesConfig(roles=STAFFED_ROLES.roles, people=swapped), ADMIN)
    del swapped["second"]
    adopt(ledger, "roles_adopted", RolesConfig(roles=STAFFED_ROLES.roles, people=swapped), ADMIN)
    assert registered(ledger) == public_key_text(NEW)


@pytest.mark.parametrize("change", [{"roles": ("data_scientist",)}, {"public_key": None}])
def test_roles_that_leave_nobody_who_could_administer_are_refused(ledger: Ledger, change: dict[str, Any]):
    Scenario(ledger).adopt()
    people = PEOPLE | {"admin": PEOPLE["admin"].model_copy(update=change)}
    with pytest.raises(Refused, match="nobody with a key could administer any more"):
        adopt(ledger, "roles_adopted", RolesConfig(roles=STAFFED_ROLES.roles, people=people), ADMIN)


def test_roles_that_give_two_people_one_key_are_refused(ledger: Ledger):
    same = {"public_key": PEOPLE["clinician"].public_key}
    people = PEOPLE | {"second": PEOPLE["second"].model_copy(update=same)}
    with pytest.raises(BadInput, match="clinician and second have the same public key"):
        adopt(ledger, "roles_adopted", RolesConfig(roles=STAFFED_ROLES.roles, people=people), ADMIN)


@pytest.mark.parametrize(
    ("attempt", "why"),
    [
        (lambda ledger: revoked(ledger, "clinician", Signer("ops", KEYS["ops"])), "may not do this"),
        (lambda ledger: revoked(ledger, "clinician", Signer("admin", KEYS["ops"])), "registered key"),
        (lambda ledger: revoked(ledger, "admin"), "nobody would be left with the permission administer"),
        (lambda ledger: revoked(ledger, reason="  "), "no reason"),
        (lambda ledger: rotated(ledger, new=KEYS["second"]), "is, or was, a key of somebody here"),
        (lambda ledger: rotated(ledger, new=KEYS["clinician"]), "is, or was, a key of somebody here"),
    ],
)
def test_what_may_not_be_changed_is_refused_and_leaves_nothing(ledger: Ledger, attempt: Any, why: str):
    Scenario(ledger).adopt()
    before = ledger.events()
    with pytest.raises(Refused, match=why):
        attempt(ledger)
    assert ledger.events() == before


def test_whose_key_there_is_not_cannot_be_changed(ledger: Ledger):
    Scenario(ledger).adopt()
    with pytest.raises(BadInput, match="there is no 'nobody'"):
        revoked(ledger, "nobody")
    revoked(ledger, "clinician", CLINICIAN)
    with pytest.raises(BadInput, match="clinician has no key"):
        revoked(ledger)


def test_a_dry_run_checks_everything_and_records_nothing(ledger: Ledger):
    Scenario(ledger).adopt()
    before = ledger.events()
    assert revoke_key(ledger, "clinician", ADMIN, reason="lost", dry_run=True) is None
    assert rotate_key(ledger, CLINICIAN, NEW, reason="regular", dry_run=True) is None
    with pytest.raises(Refused):
        revoke_key(ledger, "clinician", Signer("ops", KEYS["ops"]), reason="lost", dry_run=True)
    assert ledger.events() == before


@pytest.mark.parametrize(
    "forged",
    [
        {"signature": "AAAA"},
        {"public_key": public_key_text(KEYS["stranger"])},
        {"statement": "none"},
        {"new_signature": None},
    ],
)
def test_a_recorded_change_without_its_signatures_has_no_effect(ledger: Ledger, forged: dict[str, Any]):
    Scenario(ledger).adopt()
    rotated(ledger, "second", Ed25519PrivateKey.generate())
    payload = ledger.events(kind="key_rotated")[0].payload
    other = Ed25519PrivateKey.generate()
    rotated(ledger, "clinician", other)
    (_, real) = ledger.events(kind="key_rotated")
    ledger.append("key_rotated", real.payload | forged, actor="clinician", of_environment=True)
    ledger.append("key_rotated", payload, actor="second", of_environment=True)  # replayed
    ledger.append("key_rotated", real.payload, actor="clinician")  # in the stream of a model
    assert registered(ledger) == public_key_text(other)


def test_the_history_says_whose_key_counted_from_when_to_when_and_how_much_it_signed(ledger: Ledger):
    scenario = ready_for_production(ledger)
    scenario.promote()
    rotated(ledger)
    revoked(ledger, "second")
    first, again = sorted(of(ledger, "clinician"), key=lambda each: each.since)
    assert (first.state, again.state, again.until) == ("rotated", "in use", None)
    assert first.until == again.since
    assert first.signed == len([event for event in ledger.events() if event.actor == "clinician"])
    assert again.age_days(ledger.now() + timedelta(days=400)) == 400
    assert [each.state for each in of(ledger, "second")] == ["revoked"]
    assert [each.signed for each in of(ledger, "ops")] == [1]  # the request for the promotion


def test_a_change_that_was_signed_before_another_one_has_no_effect(ledger: Ledger):
    Scenario(ledger).adopt()
    rotated(ledger)
    stale = ledger.events(kind="key_rotated")[0].payload
    revoked(ledger, "second")
    ledger.append("key_rotated", stale, actor="clinician", of_environment=True)
    assert registered(ledger) == public_key_text(NEW)
    assert registered(ledger, "second") is None
