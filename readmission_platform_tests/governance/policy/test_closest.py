"""Which gate is passed most closely, where estimates of different kinds are compared."""

from dataclasses import replace

from readmission_platform.config.environment import Settings
from readmission_platform.config.files import gate_policy
from readmission_platform.governance.policy.closest import closest_gate
from readmission_platform.governance.policy.gates import GateResult

POLICY = gate_policy(Settings(), "readmission_30d")


def passed(gate: str, observed: float, low: float | None, high: float | None) -> GateResult:
    rule = POLICY.gates[gate]
    return GateResult(
        gate=gate, stage=rule.stage, metric=rule.metric, result="pass", observed=observed, low=low, high=high,
        limit="", n=1000, positives=100, blocks=False, additional=False, rule="", action="",
    )  # fmt: skip


def limit(gate: str) -> float:
    found = POLICY.gates[gate].limits["synthetic"]
    known = found.at_least if found.at_least is not None else found.lower_bound_at_least
    assert known is not None
    return known


def test_the_closest_gate_is_the_one_with_the_least_room_in_widths_of_its_interval():
    least = limit("discrimination_auroc")
    near = passed("discrimination_auroc", least + 0.10, least + 0.05, least + 0.15)  # half a width of room
    skill = limit("calibration_brier_skill")
    far = passed("calibration_brier_skill", skill + 0.02, skill + 0.019, skill + 0.021)  # ten widths, though smaller
    assert closest_gate([far, near], POLICY, "synthetic") == near
    assert closest_gate([far, replace(near, result="fail")], POLICY, "synthetic") == far


def test_counts_and_what_was_judged_in_addition_are_never_the_closest():
    least = limit("discrimination_auroc")
    count = passed("discrimination_auroc", least, least, least)
    added = replace(passed("discrimination_auroc", least, least - 1, least + 1), additional=True)
    unknown = replace(passed("discrimination_auroc", least, None, None))
    assert closest_gate([count, added, unknown], POLICY, "synthetic") is None
