"""What a change of policy tightens and what it loosens."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from readmission_platform.config.governance import GatePolicy, GateRule
from readmission_platform.foundation.values import Limits
from readmission_platform.governance.policy.gates_diff import GateChange, diff_policies
from readmission_platform.governance.policy.limits import judge
from readmission_platform_tests.support.scenario import POLICY

NUMBERS = st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.4])
MAYBE = st.none() | NUMBERS
LIMITS = st.builds(
    lambda low, high, lower, above, upper, between: {
        "at_least": low, "at_most": high, "lower_bound_at_least": lower, "lower_bound_above": above,
        "upper_bound_at_most": upper, "between": between,
    },
    MAYBE, MAYBE, MAYBE, MAYBE, MAYBE, st.none() | st.tuples(NUMBERS, NUMBERS).map(sorted),
).filter(lambda limits: any(value is not None for value in limits.values())).map(Limits.model_validate)  # fmt: skip
RULES = st.builds(
    GateRule,
    stage=st.just("candidate"), metric=st.just("auroc"), rule=st.sampled_from("ab"), action=st.just(""),
    why=st.sampled_from("ab"), insufficient=st.sampled_from(["blocks", "warns"]),
    min_positives=st.sampled_from([0, 100, 200]), max_interval_width=st.none() | st.sampled_from([0.1, 0.2]),
    limits=st.builds(lambda limits: {"real": limits}, LIMITS), enabled=st.booleans(),
)  # fmt: skip
ESTIMATES = st.none() | st.fixed_dictionaries(
    {"value": MAYBE, "low": MAYBE, "high": MAYBE, "n": st.just(1000),
     "positives": st.none() | st.sampled_from([0, 50, 150, 250])}
)  # fmt: skip


def policy_of(**rules: GateRule) -> GatePolicy:
    return GatePolicy(gates=rules)


def changed(gate: str, **fields: Any) -> GatePolicy:
    """Return the shipped policy with one gate changed."""
    return GatePolicy(gates={**POLICY.gates, gate: POLICY.gates[gate].model_copy(update=fields)})


def only_change(before: GatePolicy, after: GatePolicy) -> GateChange:
    (found,) = diff_policies(before, after)
    return found


def limits(real: Mapping[str, Any], synthetic: Mapping[str, Any] | None = None) -> dict[str, Limits]:
    return {"real": Limits(**real), "synthetic": Limits(**(synthetic if synthetic is not None else real))}


def blocks(rule: GateRule, estimate: Any) -> bool:
    """Tell whether a gate keeps a version with this estimate out."""
    if not rule.enabled:
        return False
    result = judge(estimate, rule, rule.limits["real"]).result
    return result == "fail" or (result == "insufficient" and rule.insufficient == "blocks")


@given(st.dictionaries(st.sampled_from(["one", "two", "three"]), RULES))
def test_equal_policies_do_not_differ(rules: dict[str, GateRule]):
    assert diff_policies(policy_of(**rules), GatePolicy.model_validate(policy_of(**rules).model_dump())) == []


@given(RULES, RULES, ESTIMATES)
def test_what_is_called_tightened_never_lets_through_what_was_blocked(old: GateRule, new: GateRule, estimate: Any):
    for change in diff_policies(policy_of(gate=old), policy_of(gate=new)):
        if change.change == "tightened" and blocks(old, estimate):
            assert blocks(new, estimate)
        if change.change == "loosened" and blocks(new, estimate):
            assert blocks(old, estimate)
        if change.change == "text only":
            assert blocks(new, estimate) == blocks(old, estimate)


@given(RULES, RULES, ESTIMATES)
def test_policies_that_judge_differently_do_differ(old: GateRule, new: GateRule, estimate: Any):
    assume(blocks(old, estimate) != blocks(new, estimate))
    assert only_change(policy_of(gate=old), policy_of(gate=new)).change in ("tightened", "loosened", "mixed")


@given(RULES, RULES)
def test_the_way_back_has_the_opposite_direction(old: GateRule, new: GateRule):
    opposite = {"tightened": "loosened", "loosened": "tightened"}
    there = diff_policies(policy_of(gate=old), policy_of(gate=new))
    back = diff_policies(policy_of(gate=new), policy_of(gate=old))
    assert [opposite.get(each.change, each.change) for each in there] == [each.change for each in back]


@given(st.sampled_from(sorted(POLICY.gates)), st.floats(0.001, 0.2))
def test_a_stricter_limit_is_never_listed_as_loosening(gate: str, by: float):
    rule = POLICY.gates[gate]
    stricter = {}
    for kind, limit in rule.limits.items():
        fields = limit.model_dump(exclude_none=True)
        for name, value in fields.items():
            if name == "between":
                fields[name] = (value[0] + by, value[1] - by)
            else:
                fields[name] = value + (-by if "at_most" in name else by)
        stricter[kind] = Limits(**fields)
    found = only_change(POLICY, changed(gate, limits=stricter))
    assert found.change == ("tightened" if rule.enabled else "text only")
    assert not [part for part in found.differences if part.direction in ("looser", "not comparable")]
    assert only_change(changed(gate, limits=stricter), POLICY).change == ("loosened" if rule.enabled else "text only")


def test_a_gate_that_comes_is_added_and_one_that_goes_is_removed():
    fewer = GatePolicy(gates={name: rule for name, rule in POLICY.gates.items() if name != "calibration_ece"})
    added, removed = only_change(fewer, POLICY), only_change(POLICY, fewer)
    assert (added.gate, added.change, added.direction) == ("calibration_ece", "added", "tighter")
    assert (removed.gate, removed.change, removed.direction) == ("calibration_ece", "removed", "looser")


@pytest.mark.parametrize("enabled", [True, False])
def test_switching_a_gate_decides_whatever_else_changes(enabled: bool):
    strict, slack = limits({"at_least": 0.9}), limits({"at_least": 0.1})
    before = changed("discrimination_auroc", enabled=not enabled, limits=slack if enabled else strict)
    after = changed("discrimination_auroc", enabled=enabled, limits=strict if enabled else slack)
    assert only_change(before, after).change == ("tightened" if enabled else "loosened")


def test_limits_that_go_apart_are_mixed_and_each_part_says_which_way():
    both = {"real": Limits(at_least=0.7, lower_bound_at_least=0.64),
            "synthetic": Limits(at_least=0.1, lower_bound_at_least=0.1)}  # fmt: skip
    found = only_change(POLICY, changed("discrimination_auroc", limits=both))
    assert found.change == "mixed"
    assert {part.part: part.direction for part in found.differences} == {
        "limits for real data": "tighter", "limits for synthetic data": "looser"
    }  # fmt: skip


def test_another_metric_cannot_be_compared():
    assert only_change(POLICY, changed("calibration_ece", metric="brier")).change == "mixed"


@pytest.mark.parametrize("field", ["rule", "action", "why"])
def test_another_wording_is_text_only(field: str):
    found = only_change(POLICY, changed("calibration_ece", **{field: "Said otherwise."}))
    assert (found.change, found.direction) == ("text only", "neutral")
    assert found.differences[0].after == "Said otherwise."


def test_asking_for_a_gate_later_loosens_it():
    assert only_change(POLICY, changed("calibration_ece", stage="production")).change == "loosened"


def test_the_other_bound_at_the_same_number_is_compared_and_not_just_listed():
    before = changed("calibration_ece", limits=limits({"lower_bound_at_least": 0.5}))
    after = changed("calibration_ece", limits=limits({"lower_bound_above": 0.5}))
    assert only_change(before, after).change == "tightened"
