"""The gate policy: each kind of limit, each kind of trouble, and what may never be loosened."""

from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readmission_platform.config.governance import AdditionalGates, GatePolicy, GateRule
from readmission_platform.foundation.errors import BadInput, PolicyError
from readmission_platform.foundation.values import Limits
from readmission_platform.governance.policy import gates
from readmission_platform.governance.policy.gates import check_policy, verdict, warnings_of
from readmission_platform.governance.policy.limits import describe, judge
from readmission_platform_tests.support.scenario import POLICY, REQUIRED, estimate, honest_estimates

evaluate_gates = partial(gates.evaluate_gates, required=REQUIRED)


def rule(**changes: Any) -> GateRule:
    content = {"stage": "candidate", "metric": "m", "rule": "r", "action": "a", "why": "w"}
    return GateRule.model_validate(content | {"limits": {"real": {"at_least": 0.5}}} | changes)


def with_rule(name: str, **changes: Any) -> GatePolicy:
    return POLICY.model_copy(update={"gates": {**POLICY.gates, name: POLICY.gates[name].model_copy(update=changes)}})


@pytest.mark.parametrize(
    ("limits", "passing", "at_the_limit", "result_there", "failing"),
    [
        (Limits(at_least=0.5), (0.6, 0.4, 0.7), (0.5, 0.4, 0.6), "pass", (0.49, 0.4, 0.6)),
        (Limits(at_most=0.5), (0.4, 0.3, 0.6), (0.5, 0.4, 0.6), "pass", (0.51, 0.4, 0.6)),
        (Limits(lower_bound_at_least=0.5), (0.6, 0.51, 0.7), (0.6, 0.5, 0.7), "pass", (0.6, 0.49, 0.7)),
        (Limits(lower_bound_above=0.5), (0.6, 0.51, 0.7), (0.6, 0.5, 0.7), "fail", (0.6, 0.49, 0.7)),
        (Limits(upper_bound_at_most=0.5), (0.4, 0.3, 0.49), (0.4, 0.3, 0.5), "pass", (0.4, 0.3, 0.51)),
        (Limits(between=(0.4, 0.6)), (0.65, 0.55, 0.75), (0.7, 0.6, 0.8), "pass", (0.7, 0.61, 0.8)),
        (Limits(between=(0.4, 0.6)), (0.35, 0.3, 0.45), (0.35, 0.3, 0.4), "pass", (0.35, 0.3, 0.39)),
    ],
)
def test_a_limit_passes_inside_fails_outside_and_is_exact_in_between(
    limits: Limits,
    passing: tuple[float, float, float],
    at_the_limit: tuple[float, float, float],
    result_there: str,
    failing: tuple[float, float, float],
) -> None:
    assert judge(estimate(*passing), rule(), limits).result == "pass"
    assert judge(estimate(*at_the_limit), rule(), limits).result == result_there
    assert judge(estimate(*failing), rule(), limits).result == "fail"


@pytest.mark.parametrize("bad", [float("nan"), None, float("inf"), float("-inf"), "0.9", True])
@pytest.mark.parametrize("field", ["value", "low", "high"])
def test_what_is_no_number_fails_wherever_it_is_needed(bad: Any, field: str) -> None:
    limits = Limits(at_least=0.5, lower_bound_at_least=0.4, upper_bound_at_most=1.0, between=(0.0, 1.0))
    assert judge(estimate(0.6) | {field: bad}, rule(), limits).result == "fail"


@pytest.mark.parametrize("raw", [None, {}, [], 0.9, {"value": 0.9}])
def test_a_missing_estimate_fails(raw: Any) -> None:
    assert judge(raw, rule(), Limits(at_least=0.5, lower_bound_at_least=0.5)).result == "fail"


def test_an_interval_upside_down_counts_as_missing() -> None:
    assert judge(estimate(0.6, 0.7, 0.5), rule(), Limits(between=(0.0, 1.0))).result == "fail"


def test_too_few_events_are_insufficient_and_an_unknown_number_fails() -> None:
    strict = rule(min_positives=100)
    limits = Limits(at_least=0.5)
    assert judge(estimate(0.6, positives=99), strict, limits).result == "insufficient"
    assert judge(estimate(0.6, positives=100), strict, limits).result == "pass"
    assert judge(estimate(0.6, positives=None), strict, limits).result == "fail"


def test_a_wide_interval_is_insufficient_unless_all_of_it_is_on_the_wrong_side() -> None:
    narrow, limits = rule(max_interval_width=0.25), Limits(between=(0.9, 1.1))
    assert judge(estimate(1.0, 0.9, 1.1), narrow, limits).result == "pass"
    assert judge(estimate(1.0, 0.8, 1.2), narrow, limits).result == "insufficient"
    assert judge(estimate(0.3, 0.1, 0.5), narrow, limits).result == "fail"


@pytest.mark.parametrize("gate", REQUIRED.names())
def test_every_shipped_gate_passes_for_an_honest_model_and_fails_without_its_metric(gate: str) -> None:
    stages = ("candidate", "staging", "production")
    by_name = {item.gate: item for item in evaluate_gates(honest_estimates(), POLICY, limit_set="real", stages=stages)}
    expected = "insufficient" if gate == "fairness_observed_expected_race" else "pass"
    assert by_name[gate].result == expected
    assert not by_name[gate].blocks
    metric = POLICY.gates[gate].metric
    if metric.endswith("*"):
        return
    without = {name: raw for name, raw in honest_estimates().items() if name != metric}
    for broken in (without, {**without, metric: estimate(float("nan"))}, {**without, metric: None}):
        results = evaluate_gates(broken, POLICY, limit_set="real", stages=stages)
        assert next(item for item in results if item.gate == gate).result == "fail"
        assert verdict(results) == "fail"


def test_the_worst_group_decides_and_small_groups_are_named() -> None:
    def race(**groups: Any) -> Any:
        others = {k: v for k, v in honest_estimates().items() if not k.startswith("observed_expected.race")}
        estimates = others | {f"observed_expected.race.{name}": raw for name, raw in groups.items()}
        results = evaluate_gates(estimates, POLICY, limit_set="real", stages=["candidate"])
        return next(item for item in results if item.gate == "fairness_observed_expected_race")

    good, bad, small = estimate(1.0), estimate(0.7), estimate(0.2, n=700, positives=65)
    assert race(A=good, B=estimate(1.01)).result == "pass"
    assert race(A=good, B=bad, C=small).result == "fail"
    assert race(A=good, B=bad, C=small).metric == "observed_expected.race.B"
    warned = race(A=good, C=small)
    assert (warned.result, warned.blocks, warned.observed) == ("insufficient", False, 0.2)
    assert warned.detail.startswith("C: fewer than 100 events; furthest off of 2 groups, 1 of them judged")
    assert warned.detail.endswith("; too small to judge: C")
    assert race(A=good, C=None).result == "fail"
    assert race().result == "insufficient"


def test_of_groups_that_pass_the_one_furthest_off_is_shown_however_wide_its_interval() -> None:
    groups = {"Male": estimate(1.01, 0.99, 1.03), "Female": estimate(0.92, 0.8, 1.04)}
    estimates = honest_estimates() | {f"observed_expected.gender.{name}": raw for name, raw in groups.items()}
    results = evaluate_gates(estimates, POLICY, limit_set="real", stages=["candidate"])
    found = next(item for item in results if item.gate == "fairness_observed_expected_gender")
    assert (found.result, found.metric, found.observed) == ("pass", "observed_expected.gender.Female", 0.92)
    assert found.detail == "Female: within the limit; furthest off of 2 groups, 2 of them judged"


def test_groups_of_one_to_ten_people_show_no_numbers() -> None:
    estimates = honest_estimates() | {
        "observed_expected.race.Asian": estimate(0.8, 0.2, 2.0, n=60, positives=7),
    }
    results = evaluate_gates(estimates, POLICY, limit_set="real", stages=["candidate"])
    shown = next(item for item in results if item.gate == "fairness_observed_expected_race").to_json()
    assert (shown["observed"], shown["n"], shown["positives"]) == (None, None, None)


def test_gates_are_decided_on_exact_counts_and_show_what_may_be_shown() -> None:
    estimates = honest_estimates() | {
        "rows": estimate(89_409, n=89_409, positives=200),
        "equalised_odds_gender": estimate(0.01, n=89_406, positives=200),
        "observed_expected.gender.Female": estimate(1.0, n=48_000, positives=100),
        "observed_expected.gender.Male": estimate(1.0, n=41_406, positives=100),
    }
    results = {item.gate: item for item in evaluate_gates(estimates, POLICY, limit_set="real", stages=["candidate"])}
    fairness = results["fairness_gender"]
    assert (fairness.result, fairness.observed) == ("pass", 0.01)
    assert (fairness.n, fairness.positives) == (None, None)
    assert results["discrimination_auroc"].result == "pass"


@pytest.mark.parametrize("limit_set", ["real", "synthetic"])
def test_the_shipped_policy_is_complete(limit_set: Any) -> None:
    check_policy(POLICY, limit_set, REQUIRED)
    assert all(gate.rule.endswith(".") and gate.action.endswith(".") and gate.why for gate in POLICY.gates.values())


@pytest.mark.parametrize("name", REQUIRED.names())
def test_a_policy_without_a_required_gate_is_refused(name: str) -> None:
    removed = POLICY.model_copy(update={"gates": {k: v for k, v in POLICY.gates.items() if k != name}})
    for weakened in (
        removed,
        with_rule(name, enabled=False),
        with_rule(name, limits={}),
        with_rule(name, metric="rows"),
        with_rule(name, limits={"real": Limits(at_least=float("nan"))}),
    ):
        with pytest.raises(PolicyError, match=name) as error:
            evaluate_gates(honest_estimates(), weakened, limit_set="real", stages=["candidate"])
        assert error.value.exit_code == 2


def test_a_required_gate_cannot_be_postponed_or_made_to_warn() -> None:
    for weakened in (
        with_rule("discrimination_auroc", stage="production"),
        with_rule("calibration_slope", insufficient="warns"),
    ):
        with pytest.raises(PolicyError):
            check_policy(weakened, "real", REQUIRED)


def test_no_results_are_no_pass_and_no_stage_is_no_question() -> None:
    assert verdict([]) == "fail"
    with pytest.raises(BadInput):
        evaluate_gates(honest_estimates(), POLICY, limit_set="real", stages=[])


def test_an_additional_gate_must_exist_and_have_a_usable_limit() -> None:
    for extra in ({"no_such_gate": Limits(at_least=0.1)}, {"min_recall": Limits(at_least=float("nan"))}):
        with pytest.raises(BadInput):
            evaluate_gates(
                honest_estimates(),
                POLICY,
                limit_set="real",
                stages=["candidate"],
                additional=AdditionalGates(gates=extra),
            )


def test_a_gate_that_is_switched_off_can_be_asked_for_in_addition() -> None:
    extra = AdditionalGates(gates={"min_recall": Limits(at_least=0.8)})
    estimates = honest_estimates() | {"recall": estimate(0.23)}
    results = evaluate_gates(estimates, POLICY, limit_set="real", stages=["candidate"], additional=extra)
    assert [(item.gate, item.result, item.additional) for item in results if item.blocks] == [
        ("min_recall", "fail", True)
    ]


NUMBERS = st.floats(allow_nan=True, allow_infinity=True) | st.none()
RAW = st.fixed_dictionaries(
    {"value": NUMBERS, "low": NUMBERS, "high": NUMBERS, "positives": st.integers(0, 20_000) | st.none()}
)
FINITE = st.floats(-1, 2)
LIMITS = st.builds(Limits, at_least=FINITE) | st.builds(Limits, at_most=FINITE, upper_bound_at_most=FINITE)


@settings(max_examples=60)
@given(
    changed=st.dictionaries(st.sampled_from(sorted(honest_estimates())), RAW | st.none(), max_size=3),
    extra=st.dictionaries(st.sampled_from(sorted(POLICY.gates)), LIMITS, max_size=4),
)
def test_additional_gates_only_tighten(changed: dict[str, Any], extra: dict[str, Limits]) -> None:
    estimates = honest_estimates() | changed
    stages = ("candidate", "staging", "production")
    plain = evaluate_gates(estimates, POLICY, limit_set="real", stages=stages)
    more = evaluate_gates(estimates, POLICY, limit_set="real", stages=stages, additional=AdditionalGates(gates=extra))
    assert more[: len(plain)] == plain
    assert not (verdict(plain) != "pass" and verdict(more) == "pass")
    assert set(warnings_of(plain)) <= set(warnings_of(more))


def test_limits_read_as_people_write_them() -> None:
    assert describe(Limits(at_least=0.655, lower_bound_at_least=0.64)) == ">= 0.655 and lower bound >= 0.64"
    assert describe(Limits(between=(0.9, 1.1))) == "95 % interval meets 0.9 to 1.1"


@pytest.mark.parametrize(
    ("gate", "limits"),
    [
        ("discrimination_auroc", Limits(at_least=0.655, lower_bound_at_least=0.64)),
        ("discrimination_auroc_test", Limits(at_least=0.655, lower_bound_at_least=0.64)),
        ("discrimination_leakage_alarm", Limits(at_most=0.72)),
        ("discrimination_gain_over_lace", Limits(at_least=0.08, lower_bound_above=0)),
        ("calibration_slope", Limits(between=(0.9, 1.1))),
        ("calibration_observed_expected", Limits(between=(0.95, 1.05))),
        ("temporal_observed_expected", Limits(between=(0.8, 1.25))),
        ("champion_non_inferior_auroc", Limits(lower_bound_above=-0.005)),
        ("champion_non_inferior_net_benefit", Limits(lower_bound_above=-0.001)),
    ],
)
def test_the_limits_for_real_data_are_those_agreed(gate: str, limits: Limits) -> None:
    assert describe(POLICY.gates[gate].limits["real"]) == describe(limits)
