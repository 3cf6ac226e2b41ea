"""What another policy would have said of the past."""

import pytest

from readmission_platform.config.governance import GatePolicy
from readmission_platform.foundation.errors import PolicyError
from readmission_platform.foundation.values import Limits
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.policy.simulation import SimulatedVersion, simulate_policy
from readmission_platform_tests.support.scenario import (
    POLICY,
    REQUIRED,
    Scenario,
    ready_for_production,
    ready_for_staging,
)

GATE = "discrimination_auroc"


def policy_with(gate: str, **limits: float) -> GatePolicy:
    rule = POLICY.gates[gate].model_copy(update={"limits": dict.fromkeys(("real", "synthetic"), Limits(**limits))})
    return GatePolicy(gates={**POLICY.gates, gate: rule})


def simulated(scenario: Scenario, policy: GatePolicy) -> dict[tuple[str, str], SimulatedVersion]:
    events, pointers = scenario.ledger.snapshot()
    return {
        (each.version, each.step): each
        for each in simulate_policy(policy, required=REQUIRED, events=events, pointers=pointers)
    }


def test_the_same_policy_comes_to_the_recorded_verdicts(ledger: Ledger):
    scenario = ready_for_production(ledger)
    scenario.promote()
    found = simulated(scenario, POLICY)
    assert sorted(found) == [("1", "acceptance"), ("1", "production")]
    assert not any(each.changed for each in found.values())
    assert found["1", "production"].differing == ()


def test_a_stricter_gate_would_have_blocked_acceptance_and_promotion_and_is_named(ledger: Ledger):
    scenario = ready_for_production(ledger)
    scenario.promote()
    for each in simulated(scenario, policy_with(GATE, at_least=0.7)).values():
        assert (each.recorded, each.simulated, each.changed) == ("pass", "fail", True)
        assert each.blocked_by == (GATE,)
        (gate,) = (gate for gate in each.differing if gate.gate == GATE)
        assert (gate.recorded, gate.simulated, gate.observed) == ("pass", "fail", 0.664)


def test_a_looser_gate_would_have_accepted_what_was_rejected(ledger: Ledger):
    scenario = ready_for_staging(ledger)
    scenario.train("2")
    gates = [{"gate": GATE, "result": "fail", "additional": False}]
    scenario.validate("2", verdict="fail", gates=gates)
    found = simulated(scenario, POLICY)["2", "acceptance"]
    assert (found.recorded, found.simulated) == ("fail", "pass")


def test_a_production_gate_is_judged_on_what_the_promotion_recorded(ledger: Ledger):
    scenario = ready_for_production(ledger)
    scenario.promote()
    found = simulated(scenario, policy_with("shadow_mean_risk", at_most=1.0))
    assert not found["1", "acceptance"].changed
    assert found["1", "production"].blocked_by == ("shadow_mean_risk",)


def test_without_an_incumbent_no_comparison_is_missed(ledger: Ledger):
    scenario = ready_for_production(ledger)
    scenario.promote()
    found = simulated(scenario, policy_with("champion_non_inferior_auroc", lower_bound_above=0.5))
    assert not found["1", "production"].changed


def test_limits_asked_for_in_addition_keep_applying(ledger: Ledger):
    scenario = ready_for_staging(ledger)
    scenario.train("2")
    asked = {"gates": {GATE: {"at_least": 0.99}}}
    scenario.validate("2", verdict="fail", additional_gates=asked)
    found = simulated(scenario, POLICY)["2", "acceptance"]
    assert (found.recorded, found.simulated, found.blocked_by) == ("fail", "fail", (GATE,))


def test_a_policy_without_a_required_gate_is_refused(ledger: Ledger):
    scenario = ready_for_staging(ledger)
    incomplete = GatePolicy(gates={name: rule for name, rule in POLICY.gates.items() if name != GATE})
    with pytest.raises(PolicyError, match=GATE):
        simulated(scenario, incomplete)


def test_a_version_that_was_never_validated_is_left_out(ledger: Ledger):
    scenario = ready_for_staging(ledger)
    scenario.train("2")
    assert sorted(simulated(scenario, POLICY)) == [("1", "acceptance")]
