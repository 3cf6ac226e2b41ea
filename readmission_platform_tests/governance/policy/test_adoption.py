"""Policy and roles in force: signed events only, in the right order, never a file."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from readmission_platform.config.governance import GatePolicy, RolesConfig
from readmission_platform.foundation.errors import BadInput, Conflict, PolicyError, Refused
from readmission_platform.foundation.values import digest_of
from readmission_platform.governance.demo_approver import DEMO_APPROVER, Signer, demo_keys, demo_signer
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.policy.adoptable import ADOPTABLE
from readmission_platform.governance.policy.adoption import (
    counting_demo_keys,
    everything_in_force,
    in_force,
    plan_in_force,
    roles_in_force,
)
from readmission_platform.governance.roles import check_roles, permitted
from readmission_platform_tests.support.scenario import (
    KEYS,
    MODEL,
    MONITORING,
    PLAN,
    POLICY,
    ROLES,
    STAFFED_ROLES,
    adopt,
    ensure_adopted,
    environment,
)

ADMIN = Signer("admin", KEYS["admin"])
CLINICIAN = Signer("clinician", KEYS["clinician"])


def without(name: str) -> GatePolicy:
    return POLICY.model_copy(update={"gates": {k: v for k, v in POLICY.gates.items() if k != name}})


def test_local_adopts_on_first_use_and_says_that_it_is_a_demonstration(ledger: Ledger, tmp_path: Path) -> None:
    for _ in range(2):
        adopted = ensure_adopted(
            ledger, policy=POLICY, plan=PLAN, roles=ROLES, environment=environment("local"), keys=tmp_path / "keys"
        )
    adoptions = ledger.events(after=1)
    kinds = [event.kind for event in adoptions]
    assert kinds == ["demo_approver_created", *ADOPTABLE]
    assert all(event.payload["demo"] is True for event in adoptions)
    assert (adopted.content, adopted.digest, adopted.adopted_by) == (POLICY, digest_of(POLICY), DEMO_APPROVER)
    assert (tmp_path / "keys" / "demo-approver.pem").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["staging", "production"])
def test_elsewhere_a_person_has_to_adopt(ledger: Ledger, tmp_path: Path, name: str) -> None:
    with pytest.raises(Refused, match="adopt"):
        ensure_adopted(
            ledger, policy=POLICY, plan=PLAN, roles=STAFFED_ROLES, environment=environment(name), keys=tmp_path
        )
    assert ledger.events(after=1) == []


def test_a_changed_file_has_no_effect_until_it_is_adopted(ledger: Ledger, tmp_path: Path) -> None:
    local = environment("local")
    first = ensure_adopted(ledger, policy=POLICY, plan=PLAN, roles=ROLES, environment=local, keys=tmp_path)
    looser = without("min_rows")
    again = ensure_adopted(ledger, policy=looser, plan=PLAN, roles=ROLES, environment=local, keys=tmp_path)
    assert again == first
    adopt(ledger, "policy_adopted", looser, demo_signer(ledger, tmp_path))
    now = in_force(ledger.events())
    assert now is not None
    assert (now.content, now.digest) == (looser, digest_of(looser))


def test_a_plan_that_is_missing_is_adopted_in_local_and_waits_for_a_person_elsewhere(
    ledger: Ledger, tmp_path: Path
) -> None:
    demo = demo_signer(ledger, tmp_path)
    adopt(ledger, "roles_adopted", ROLES, demo)
    adopt(ledger, "policy_adopted", POLICY, demo)

    def adopted(name: str) -> str:
        rules = environment(name, demo_approver=True)
        return ensure_adopted(
            ledger, policy=POLICY, plan=PLAN, roles=STAFFED_ROLES, environment=rules, keys=tmp_path
        ).digest

    with pytest.raises(
        Refused, match="not in force here: promotion rules, change plan, monitoring limits, evaluation settings;"
    ):
        adopted("production")
    assert plan_in_force(ledger.events()) is None
    assert adopted("local") == digest_of(POLICY)
    plan = plan_in_force(ledger.events())
    assert plan is not None
    assert (plan.content, plan.digest, plan.demo) == (PLAN, digest_of(PLAN), True)


def test_the_plan_is_adopted_by_whoever_may_adopt_the_policy_and_follows_its_own_kind(ledger: Ledger) -> None:
    adopt(ledger, "roles_adopted", STAFFED_ROLES, ADMIN)
    with pytest.raises(Refused, match="change plan not adopted: ops may not do this"):
        adopt(ledger, "change_plan_adopted", PLAN, Signer("ops", KEYS["ops"]))
    adopt(ledger, "policy_adopted", POLICY, CLINICIAN)
    first = adopt(ledger, "change_plan_adopted", PLAN, CLINICIAN)
    assert first.payload["statement"]["follows_seq"] == 0
    other = PLAN.model_copy(update={"purpose": "another"})
    adopt(ledger, "change_plan_adopted", other, CLINICIAN)
    ledger.append("change_plan_adopted", first.payload, actor="clinician")  # the first one, replayed
    now = everything_in_force(ledger.events())
    assert now.plan is not None
    assert now.policy is not None
    assert (now.plan.content, now.policy.content) == (other, POLICY)


def test_people_adopt_with_their_own_keys_and_permissions(ledger: Ledger) -> None:
    with pytest.raises(Refused, match="roles must be adopted first"):
        adopt(ledger, "policy_adopted", POLICY, CLINICIAN)
    with pytest.raises(Refused, match="administer"):
        adopt(ledger, "roles_adopted", STAFFED_ROLES, CLINICIAN)
    with pytest.raises(Refused, match="registered key"):
        adopt(ledger, "roles_adopted", STAFFED_ROLES, Signer("admin", KEYS["stranger"]))
    adopt(ledger, "roles_adopted", STAFFED_ROLES, ADMIN)
    with pytest.raises(Refused, match="adopt_policy"):
        adopt(ledger, "policy_adopted", POLICY, Signer("ops", KEYS["ops"]))
    event = adopt(ledger, "policy_adopted", POLICY, CLINICIAN)
    policy, roles = in_force(ledger.events()), roles_in_force(ledger.events())
    assert policy is not None
    assert roles is not None
    assert (policy.seq, policy.adopted_by, policy.demo) == (event.seq, "clinician", False)
    assert roles.content == STAFFED_ROLES
    assert len(ledger.events(after=1)) == 2


def test_an_event_without_a_valid_signature_changes_nothing(ledger: Ledger) -> None:
    adopt(ledger, "roles_adopted", STAFFED_ROLES, ADMIN)
    genuine = adopt(ledger, "policy_adopted", POLICY, CLINICIAN).payload
    before = in_force(ledger.events())
    content = without("min_rows").model_dump(mode="json")
    forgeries = [
        {**genuine, "content": content},
        {**genuine, "content": content, "digest": digest_of(content)},
        {**genuine, "signature": "AAAA"},
        {"digest": digest_of(content), "content": content},
        genuine,
        {},
    ]
    for forged in forgeries:
        ledger.append("policy_adopted", forged, actor="clinician")
        ledger.append("roles_adopted", forged, actor="admin", of_environment=True)
    assert in_force(ledger.events()) == before
    roles = roles_in_force(ledger.events())
    assert roles is not None
    assert roles.content == STAFFED_ROLES


def test_an_old_adoption_cannot_be_replayed_to_bring_back_a_looser_policy(ledger: Ledger) -> None:
    adopt(ledger, "roles_adopted", STAFFED_ROLES, ADMIN)
    old = adopt(ledger, "policy_adopted", without("min_rows"), CLINICIAN)
    adopt(ledger, "policy_adopted", POLICY, CLINICIAN)
    ledger.append("policy_adopted", old.payload, actor="clinician")
    now = in_force(ledger.events())
    assert now is not None
    assert now.content == POLICY
    adopt(ledger, "policy_adopted", without("min_f1"), CLINICIAN)
    now = in_force(ledger.events())
    assert now is not None
    assert now.content == without("min_f1")


def test_an_incomplete_policy_or_an_unknown_permission_is_not_adopted(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(PolicyError):
        adopt(ledger, "policy_adopted", without("calibration_slope"), demo_signer(ledger, tmp_path))
    odd = RolesConfig(roles={"clerk": ("approve_everything",)})
    with pytest.raises(BadInput, match="approve_everything"):
        adopt(ledger, "roles_adopted", odd, ADMIN)
    with pytest.raises(BadInput):
        adopt(ledger, "roles_adopted", POLICY, ADMIN)
    with pytest.raises(BadInput):
        adopt(ledger, "change_plan_adopted", POLICY, ADMIN)


def test_a_lost_demo_key_is_replaced_and_announced_again(ledger: Ledger, tmp_path: Path) -> None:
    demo_signer(ledger, tmp_path)
    first = demo_keys(ledger.events())
    (tmp_path / "demo-approver.pem").unlink()
    demo_signer(ledger, tmp_path)
    assert demo_keys(ledger.events()) != first
    assert len(ledger.events(after=1)) == 2


def test_permissions_follow_the_roles_that_a_person_holds() -> None:
    check_roles(STAFFED_ROLES)
    assert permitted(STAFFED_ROLES, "ops", "promote_production")
    assert not permitted(STAFFED_ROLES, "trainer", "promote_production")
    assert permitted(STAFFED_ROLES, "trainer", "write_staging")
    assert not permitted(STAFFED_ROLES, "admin", "approve")
    assert not permitted(STAFFED_ROLES, "nobody", "train")
    with pytest.raises(BadInput):
        permitted(STAFFED_ROLES, "ops", "promote")


def test_once_people_have_adopted_roles_no_demonstration_counts_any_more(ledger: Ledger, tmp_path: Path) -> None:
    ensure_adopted(ledger, policy=POLICY, plan=PLAN, roles=ROLES, environment=environment("local"), keys=tmp_path)
    assert set(counting_demo_keys(ledger.events())) == {DEMO_APPROVER}
    with pytest.raises(Refused, match="may not do this"):  # roles in which nobody is named stay the demo approver's
        adopt(ledger, "roles_adopted", STAFFED_ROLES, ADMIN)
    adopt(ledger, "roles_adopted", STAFFED_ROLES, demo_signer(ledger, tmp_path))
    adopt(ledger, "roles_adopted", STAFFED_ROLES, ADMIN)
    assert counting_demo_keys(ledger.events()) == {}
    with pytest.raises(Refused, match="not a demo approver here"):
        adopt(ledger, "monitoring_adopted", MONITORING, demo_signer(ledger, tmp_path))


def test_in_a_ledger_of_production_no_demonstration_counts_whatever_the_process_says(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with Ledger(url, model=MODEL, environment="production") as ledger:
        demo = demo_signer(ledger, tmp_path)
        with pytest.raises(Refused, match="not a demo approver here"):
            adopt(ledger, "roles_adopted", ROLES, demo)
        assert counting_demo_keys(ledger.events()) == {}
        # And there is a way back from roles that somebody slipped in: they never counted.
        adopt(ledger, "roles_adopted", STAFFED_ROLES, ADMIN)
        adopt(ledger, "policy_adopted", POLICY, CLINICIAN)
        assert in_force(ledger.events()) is not None


def test_what_was_adopted_after_a_command_was_given_is_a_conflict(ledger: Ledger) -> None:
    adopt(ledger, "roles_adopted", STAFFED_ROLES, ADMIN)
    given = datetime.now(UTC)
    adopt(ledger, "policy_adopted", POLICY, CLINICIAN)
    with pytest.raises(Conflict, match="Somebody was first: event 3 by clinician"):
        adopt(ledger, "policy_adopted", without("min_rows"), CLINICIAN, asked_at=given)
    adopt(ledger, "policy_adopted", without("min_rows"), CLINICIAN, asked_at=datetime.now(UTC))
