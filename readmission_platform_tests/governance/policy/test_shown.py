"""Whether a group is judged, and why not: one answer for every page."""

from typing import Any

import pytest

from readmission_platform.evaluation.words import ANY_MODEL
from readmission_platform.governance.policy.shown import NO_GATE, NOT_SHOWN, judged_groups
from readmission_platform_tests.support.scenario import POLICY

GATE = "fairness_observed_expected_race"


def group(positives: int | None, **more: Any) -> dict[str, Any]:
    return {"race": {"A": {"n": 1000, "positives": positives, **more}}}


def said_of(shown: dict[str, Any], counted: dict[str, Any], gates: dict[str, Any] | None) -> tuple[str, str]:
    policy = None if gates is None else POLICY.model_copy(update={"gates": gates})
    found = judged_groups(shown, counted, policy, ANY_MODEL)["race"]["A"]
    assert found["n"] == 1000
    return found["result"], found["reason"]


def test_a_group_is_judged_with_the_events_that_its_gate_asks_for() -> None:
    assert said_of(group(100), group(100), POLICY.gates) == ("judged", "100 events, at least 100 are needed")
    assert said_of(group(99), group(99), POLICY.gates) == ("insufficient", "99 events, 100 are needed")


@pytest.mark.parametrize("gates", [
    None,
    {name: rule for name, rule in POLICY.gates.items() if name != GATE},
    {**POLICY.gates, GATE: POLICY.gates[GATE].model_copy(update={"enabled": False})},
], ids=["no policy", "no such gate", "switched off"])  # fmt: skip
def test_without_a_gate_nobody_judges_a_group(gates: dict[str, Any] | None) -> None:
    assert said_of(group(5000), group(5000), gates) == ("insufficient", NO_GATE)


def test_a_hidden_group_is_not_judged_and_a_hidden_count_still_counts() -> None:
    assert said_of(group(None, suppressed=True), group(50), POLICY.gates) == ("insufficient", NOT_SHOWN)
    hidden = "how many events is hidden"
    assert said_of(group(None), group(400), POLICY.gates) == ("judged", f"{hidden}, at least 100 are needed")
    assert said_of(group(None), group(40), POLICY.gates) == ("insufficient", f"{hidden}, 100 are needed")
