"""Trust comes from the environment: its roles and its demo approver hold for every model, whoever names it first."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from readmission_platform.config.governance import GatePolicy, Person, RolesConfig
from readmission_platform.foundation.errors import BadInput, Conflict, Refused
from readmission_platform.foundation.values import digest_of
from readmission_platform.governance.demo_approver import Signer, demo_keys, demo_signer
from readmission_platform.governance.dossier.manifest import registered_to
from readmission_platform.governance.ledger.chain import ENVIRONMENT, utc_text
from readmission_platform.governance.ledger.extract import events_of
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.policy.adoptable import ADOPTABLE
from readmission_platform.governance.policy.adoption import (
    AdoptionKind,
    everything_in_force,
    in_force,
    roles_in_force,
)
from readmission_platform.governance.promotion.approvals import public_key_text
from readmission_platform.governance.promotion.decision import apply
from readmission_platform.governance.signatures import sign
from readmission_platform_tests.support.forking import FORKING
from readmission_platform_tests.support.racers import adopt_on_first_use
from readmission_platform_tests.support.scenario import (
    KEYS,
    MODEL,
    PEOPLE,
    PLAN,
    POLICY,
    ROLES,
    STAFFED_ROLES,
    Scenario,
    adopt,
    ensure_adopted,
    environment,
    ready_for_production,
    ready_for_staging,
)

SECOND = "second_model"
ADMIN, CLINICIAN = Signer("admin", KEYS["admin"]), Signer("clinician", KEYS["clinician"])
STRANGER = Signer("stranger", KEYS["stranger"])
STRANGERS_ROLES = RolesConfig(
    roles={"owner": tuple(sorted({each for role in ROLES.roles.values() for each in role}))},
    people={"stranger": Person(name="X", roles=("owner",), public_key=public_key_text(KEYS["stranger"]))},
)
LOOSER = POLICY.model_copy(update={"gates": {k: v for k, v in POLICY.gates.items() if k != "min_rows"}})

OF_A_MODEL = [kind for kind, each in ADOPTABLE.items() if not each.of_environment]


@pytest.fixture
def second(any_ledger: Ledger, ledger_url: str) -> Iterator[Ledger]:
    """The ledger of another model in the same environment as ``any_ledger``."""
    with Ledger(ledger_url, model=SECOND, environment="local") as opened:
        yield opened


def signed_adoption(
    kind: AdoptionKind, content: GatePolicy | RolesConfig, signer: Signer, *, stream: str, follows: int = 0
) -> dict[str, Any]:
    """What somebody who does not ask ``adopt`` would write into the ledger: all is right but who signs it."""
    plain = content.model_dump(mode="json")
    statement = {
        "kind": kind,
        "model": stream,
        "digest": digest_of(plain),
        "follows_seq": follows,
        "signer": signer.identity,
        "signed_at": utc_text(datetime.now(UTC)),
        "demo": signer.demo,
    }
    return {"digest": digest_of(plain), "content": plain, "demo": signer.demo, **sign(statement, signer.key)}


def roles_of(ledger: Ledger) -> RolesConfig | None:
    found = roles_in_force(ledger.events())
    return found.content if found else None


def test_a_stranger_cannot_own_a_second_model_by_being_first(any_ledger: Ledger, second: Ledger) -> None:
    adopt(any_ledger, "roles_adopted", STAFFED_ROLES, ADMIN)
    with pytest.raises(Refused, match="stranger may not do this"):
        adopt(second, "roles_adopted", STRANGERS_ROLES, STRANGER)
    with pytest.raises(Refused, match="stranger may not do this"):
        adopt(second, "policy_adopted", POLICY, STRANGER)
    assert roles_of(second) == STAFFED_ROLES


@pytest.mark.parametrize("of_environment", [False, True], ids=["in the model's stream", "in the environment's stream"])
@pytest.mark.parametrize("stream", [SECOND, ENVIRONMENT])
def test_roles_that_a_stranger_writes_into_the_ledger_have_no_effect(
    any_ledger: Ledger, second: Ledger, stream: str, of_environment: bool
) -> None:
    first = adopt(any_ledger, "roles_adopted", STAFFED_ROLES, ADMIN)
    for follows in (0, first.seq):
        forged = signed_adoption("roles_adopted", STRANGERS_ROLES, STRANGER, stream=stream, follows=follows)
        second.append("roles_adopted", forged, actor="stranger", of_environment=of_environment)
    assert roles_of(second) == roles_of(any_ledger) == STAFFED_ROLES
    assert registered_to(public_key_text(KEYS["stranger"]), second.events()) is None
    adopt(second, "policy_adopted", POLICY, CLINICIAN)
    with pytest.raises(Refused):
        adopt(second, "policy_adopted", LOOSER, STRANGER)


def test_roles_written_into_a_models_stream_before_the_environment_has_any_have_no_effect(
    any_ledger: Ledger, second: Ledger
) -> None:
    forged = signed_adoption("roles_adopted", STRANGERS_ROLES, STRANGER, stream=SECOND)
    second.append("roles_adopted", forged, actor="stranger")
    assert roles_of(second) is None
    adopt(any_ledger, "roles_adopted", STAFFED_ROLES, ADMIN)
    assert roles_of(second) == STAFFED_ROLES


def test_the_roles_of_the_environment_hold_for_every_model_and_change_through_any_of_them(
    any_ledger: Ledger, second: Ledger
) -> None:
    adopt(any_ledger, "roles_adopted", STAFFED_ROLES, ADMIN)
    adopt(second, "policy_adopted", POLICY, CLINICIAN)
    fewer = STAFFED_ROLES.model_copy(update={"people": {"admin": PEOPLE["admin"], "second": PEOPLE["second"]}})
    changed = adopt(second, "roles_adopted", fewer, ADMIN)
    assert (changed.model, changed.payload["statement"]["follows_seq"]) == (ENVIRONMENT, 2)
    assert roles_of(any_ledger) == roles_of(second) == fewer
    with pytest.raises(Refused, match="clinician may not do this"):
        adopt(any_ledger, "policy_adopted", POLICY, CLINICIAN)
    adopt(any_ledger, "policy_adopted", POLICY, Signer("second", KEYS["second"]))


def test_roles_are_adopted_in_an_environment_that_has_no_model_yet(ledger_url: str) -> None:
    with Ledger.of_environment(ledger_url, environment="local") as ledger:
        event = adopt(ledger, "roles_adopted", STAFFED_ROLES, ADMIN)
        assert event.payload["statement"]["model"] == ENVIRONMENT
        with pytest.raises(BadInput, match="policy belongs to a model"):
            adopt(ledger, "policy_adopted", POLICY, CLINICIAN)
        with pytest.raises(BadInput, match="change plan belongs to a model"):
            adopt(ledger, "change_plan_adopted", PLAN, CLINICIAN)
    with Ledger(ledger_url, model=MODEL, environment="local") as ledger:
        assert roles_of(ledger) == STAFFED_ROLES
        with pytest.raises(Refused):
            adopt(ledger, "roles_adopted", STRANGERS_ROLES, STRANGER)
        ledger.verify()


def test_the_policy_of_one_model_has_no_effect_on_another_nor_in_the_environments_stream(
    any_ledger: Ledger, second: Ledger
) -> None:
    Scenario(any_ledger).adopt()
    ours = any_ledger.events(kind="policy_adopted")[0]
    plan = any_ledger.events(kind="change_plan_adopted")[0]
    assert everything_in_force(second.events()).missing == OF_A_MODEL
    for of_environment in (False, True):
        second.append("policy_adopted", ours.payload, actor="clinician", of_environment=of_environment)
        second.append("change_plan_adopted", plan.payload, actor="clinician", of_environment=of_environment)
    everybodys = signed_adoption("policy_adopted", LOOSER, CLINICIAN, stream=ENVIRONMENT)
    second.append("policy_adopted", everybodys, actor="clinician", of_environment=True)
    assert everything_in_force(second.events()).missing == OF_A_MODEL
    theirs = adopt(second, "policy_adopted", LOOSER, CLINICIAN)
    assert theirs.payload["statement"]["model"] == SECOND
    policies = [in_force(ledger.events()) for ledger in (any_ledger, second)]
    found = [policy and (policy.content, policy.seq) for policy in policies]
    assert found == [(POLICY, ours.seq), (LOOSER, theirs.seq)]


def test_a_second_model_goes_to_production_under_the_roles_that_were_adopted_once(
    any_ledger: Ledger, second: Ledger
) -> None:
    ready_for_production(any_ledger).promote()
    scenario = Scenario(second)
    scenario.adopt(roles=None)
    scenario.train()
    scenario.validate()
    scenario.promote("staging")
    first = any_ledger.events(kind="version_approved")[0]
    second.append("version_approved", first.payload, actor="clinician", version="1")
    assert not scenario.decide().allowed
    scenario.approve("clinician")
    scenario.approve("second")
    scenario.promote()
    assert second.pointers()["production"].version == "1"
    assert len([event for event in second.events() if event.kind == "roles_adopted"]) == 1
    second.verify()


def test_roles_that_change_through_another_model_between_decision_and_recording_are_a_conflict(
    any_ledger: Ledger, second: Ledger
) -> None:
    scenario = ready_for_staging(any_ledger)
    decision = scenario.decide("staging")
    adopt(second, "policy_adopted", POLICY, CLINICIAN)  # is no business of the first model
    assert apply(any_ledger, decision, dry_run=True) is None
    people = {name: person for name, person in PEOPLE.items() if name != "ops"}
    adopt(second, "roles_adopted", STAFFED_ROLES.model_copy(update={"people": people}), ADMIN)
    with pytest.raises(Conflict):
        apply(any_ledger, decision)
    assert any_ledger.pointers()["staging"].version is None


def test_the_extract_of_a_model_holds_the_roles_that_its_signatures_are_judged_by(
    any_ledger: Ledger, second: Ledger
) -> None:
    adopt(second, "roles_adopted", STAFFED_ROLES, ADMIN)
    adopt(any_ledger, "policy_adopted", POLICY, CLINICIAN)
    events = events_of(any_ledger.entries())
    assert everything_in_force(events).missing == ["promotion_rules_adopted", *OF_A_MODEL[1:]]
    assert registered_to(public_key_text(KEYS["clinician"]), events) == "clinician"


def test_the_demo_approver_is_announced_once_and_signs_for_every_model(
    any_ledger: Ledger, second: Ledger, tmp_path: Path
) -> None:
    local = environment("local")
    for ledger in (any_ledger, second):
        ensure_adopted(ledger, policy=POLICY, plan=PLAN, roles=ROLES, environment=local, keys=tmp_path)
    assert [(event.model, event.kind) for event in second.events()] == [
        (ENVIRONMENT, "ledger_created"),
        (ENVIRONMENT, "demo_approver_created"),
        *((each.stream(SECOND), kind) for kind, each in ADOPTABLE.items()),
    ]
    key = public_key_text(demo_signer(second, tmp_path).key)
    assert registered_to(key, second.events()) == "demo-approver (demonstration)"


def test_a_demo_approver_announced_in_a_models_stream_is_none(any_ledger: Ledger, second: Ledger) -> None:
    key = public_key_text(KEYS["stranger"])
    second.append("demo_approver_created", {"identity": "stranger", "public_key": key, "demo": True}, actor="x")
    assert demo_keys(second.events()) == {}
    with pytest.raises(Refused, match="not a demo approver"):
        adopt(second, "roles_adopted", STRANGERS_ROLES, Signer("stranger", KEYS["stranger"], demo=True))


def test_processes_that_set_up_an_environment_together_adopt_everything_once(
    any_ledger: Ledger, second: Ledger, ledger_url: str, tmp_path: Path
) -> None:
    models = [MODEL, SECOND] * 3
    barrier, results = FORKING.Barrier(len(models)), FORKING.Queue()
    racers = [
        FORKING.Process(target=adopt_on_first_use, args=(ledger_url, model, tmp_path / "keys", barrier, results))
        for model in models
    ]
    for racer in racers:
        racer.start()
    found = [results.get(timeout=60) for _ in racers]
    for racer in racers:
        racer.join(30)
        assert racer.exitcode == 0
    for ledger in (any_ledger, second):
        events = ledger.events()
        assert [event.kind for event in events] == [
            "ledger_created",
            "demo_approver_created",
            *ADOPTABLE,
        ]
        assert everything_in_force(events).missing == []
        assert {seq for model, seq in found if model == ledger.model} == {
            next(event.seq for event in events if event.kind == "policy_adopted")
        }
    any_ledger.verify()
