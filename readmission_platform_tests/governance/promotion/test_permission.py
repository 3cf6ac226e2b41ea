"""Signed requests: what changes what is live was asked for by somebody with the key, and with the permission."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from readmission_platform.foundation.errors import Refused
from readmission_platform.governance.demo_approver import Signer
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.versions import version_records
from readmission_platform.governance.policy.key_changes import revoke_key
from readmission_platform.governance.promotion.case import Condition, PromotionRequest
from readmission_platform.governance.promotion.decision import apply
from readmission_platform.governance.promotion.permission import asked_of, sign_request
from readmission_platform.governance.promotion.placement import pointer_problem
from readmission_platform.governance.promotion.quarantine_releases import (
    RELEASED,
    BrokenCell,
    ReleaseRequest,
    decide_release,
    record_release,
)
from readmission_platform.governance.promotion.requested import proper_releases, requests_check, unasked
from readmission_platform.governance.promotion.rollback import RollbackRequest, apply_rollback, decide_rollback
from readmission_platform_tests.support.scenario import KEYS, MODEL, Scenario, ready_for_production, ready_for_staging

TO_STAGING = PromotionRequest("1", "staging", "ops", reason="good")


@pytest.fixture
def ledger(ledger_url: str) -> Any:
    """A ledger of production, where nobody is believed."""
    with Ledger(ledger_url, model=MODEL, environment="production") as opened:
        yield opened


def who(scenario: Scenario, request: PromotionRequest) -> Condition:
    """Return what a decision says of whoever asks."""
    decision = scenario.decide(**{name: getattr(request, name) for name in ("version", "to_stage", "actor", "replace",
                                                                           "reason", "signed")})  # fmt: skip
    (found,) = (each for each in decision.conditions if each.name == "actor_permitted")
    return found


def signed_by(scenario: Scenario, key: str, request: PromotionRequest = TO_STAGING, **changes: Any) -> PromotionRequest:
    """Return the request signed with a key of somebody, as of another time or in another installation if it says so."""
    options = {"installation": scenario.ledger.binding.installation, "now": scenario.ledger.now()} | changes
    asked = asked_of("version_promoted", MODEL, request)
    return replace(request, signed=sign_request(asked, Signer(request.actor, KEYS[key]), **options))


def test_a_name_without_its_key_moves_nothing(ledger: Ledger):
    scenario = ready_for_staging(ledger)
    scenario.environment_name = "staging"
    claimed = replace(TO_STAGING, signed={})
    assert "registered key" in who(scenario, claimed).detail
    with pytest.raises(Refused):
        apply(ledger, scenario.decide("staging", signed={}, reason="good"))
    (refusal,) = ledger.events(kind="promotion_refused")
    assert refusal.payload["identity"] == "claimed"
    assert ledger.pointers()["staging"].version is None


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda s: signed_by(s, "clinician"), "not one of ops's registered key"),
        (lambda s: replace(signed_by(s, "ops"), to_stage="production"), "something else was signed"),
        (lambda s: replace(signed_by(s, "ops"), reason="another"), "something else was signed"),
        (lambda s: replace(signed_by(s, "ops"), replace=True), "something else was signed"),
        (lambda s: signed_by(s, "ops", installation="another"), "something else was signed"),
        (lambda s: signed_by(s, "ops", now=datetime.now(UTC) - timedelta(hours=1)), "not for this moment"),
        (lambda s: signed_by(s, "ops", now=datetime.now(UTC) + timedelta(hours=1)), "not for this moment"),
        (lambda s: replace(TO_STAGING, signed={"statement": "x", "signature": "y", "public_key": "z"}), "registered"),
        (lambda s: signed_by(s, "trainer", replace(TO_STAGING, actor="clinician")), "does not have the permission"),
        (lambda s: signed_by(s, "stranger", replace(TO_STAGING, actor="stranger")), "does not have the permission"),
    ],
)
def test_a_request_counts_for_what_was_signed_by_its_owner_at_that_moment_and_for_nothing_else(
    ledger: Ledger, make: Any, why: str
):
    scenario = ready_for_staging(ledger)
    found = who(scenario, make(scenario))
    assert found.blocks
    assert why in found.detail


def test_a_request_is_recorded_with_its_signature_and_counts_once(ledger: Ledger):
    scenario = ready_for_staging(ledger)
    request = signed_by(scenario, "ops")
    asked = {"reason": request.reason, "signed": request.signed}
    apply(ledger, scenario.decide("staging", **asked))
    (event,) = ledger.events(kind="version_promoted")
    assert (event.payload["identity"], event.payload["request"]) == ("signed", request.signed)
    assert "it was used before" in who(scenario, request).detail
    assert requests_check("1", ledger.events()).result == "pass"


def test_a_revoked_key_asks_for_nothing_more_and_what_it_asked_for_stays(ledger: Ledger):
    scenario = ready_for_production(ledger)
    scenario.promote()
    revoke_key(ledger, "ops", Signer("admin", KEYS["admin"]), reason="lost", dry_run=False)
    assert "ops has no registered key" in who(scenario, signed_by(scenario, "ops")).detail
    events, pointers = ledger.snapshot()
    assert pointer_problem(pointers["production"], events) is None


def test_a_move_that_somebody_wrote_without_a_request_is_not_acted_on(ledger: Ledger):
    scenario = ready_for_staging(ledger)
    scenario.stage()  # as whoever can write to the ledger can
    events, pointers = ledger.snapshot()
    assert "ops asks without a signature" in str(pointer_problem(pointers["staging"], events))
    assert requests_check("1", events).result == "fail"


def test_a_rollback_names_the_version_and_is_signed(ledger: Ledger):
    scenario = ready_for_production(ledger)
    scenario.promote()
    scenario.train("2")
    scenario.validate("2")
    scenario.promote("staging", "2")
    scenario.approve("clinician", "2")
    scenario.approve("second", "2")
    scenario.set_facts(has_champion=True, champion_version="1")
    scenario.promote("production", "2", replace=True)
    events, pointers = ledger.snapshot()

    def decided(request: RollbackRequest) -> Any:
        return decide_rollback(
            request, events=events, pointers=pointers, records=version_records(events, pointers),
            artifact_digests={"1": "sha256:artifact"}, environment_name="production", model=MODEL, now=ledger.now(),
        )  # fmt: skip

    claimed = RollbackRequest("1", "ops", "worse")
    assert [each.name for each in decided(claimed).conditions if each.blocks] == ["actor_permitted"]
    decision = decided(scenario.ask(claimed, "version_rolled_back"))
    event = apply_rollback(ledger, decision)
    assert event is not None
    assert unasked(event, ledger.events()) is None
    assert pointer_problem(ledger.pointers()["production"], ledger.events()) is None


def test_rows_are_taken_in_by_a_signed_release_and_not_by_one_that_somebody_wrote(ledger: Ledger):
    scenario = Scenario(ledger)
    scenario.adopt()
    cell = BrokenCell(3, "race", "unknown_code", releasable=True)
    request = ReleaseRequest("2026-03-01", "sha256:ab", (3,), "ops", "the registry had the codes wrong")
    signed = scenario.ask(request, RELEASED)
    decision = decide_release(signed, [cell], events=ledger.events(), environment_name="production", model=MODEL,
                              now=ledger.now())  # fmt: skip
    event = record_release(ledger, decision)
    forged = {**event.payload, "rows": [4], "cells": [{"row": 4, "column": "race", "code": "unknown_code"}]}
    ledger.append(RELEASED, forged, actor="ops")
    ledger.append(RELEASED, {name: value for name, value in forged.items() if name != "request"}, actor="ops")
    assert proper_releases(ledger.events()) == [event]


def test_in_local_who_acts_is_a_claim_and_recorded_as_one(any_ledger: Ledger):
    scenario = Scenario(any_ledger, environment_name="local")
    scenario.adopt()
    scenario.train()
    scenario.validate()
    scenario.promote("staging", actor="anybody")
    (event,) = any_ledger.events(kind="version_promoted")
    assert event.payload["identity"] == "claimed"
    assert "request" not in event.payload
    assert requests_check("1", any_ledger.events()).result == "not applicable"
