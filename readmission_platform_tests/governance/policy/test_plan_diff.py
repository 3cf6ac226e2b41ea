"""Two change plans beside each other: what lets more through is never taken for what lets less through."""

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from readmission_platform.config.change_plan import ChangePlan, Span
from readmission_platform.governance.policy.change_plan import outside_of
from readmission_platform.governance.policy.plan_diff import diff_plans
from readmission_platform_tests.governance.policy.test_change_plan import plan_with, put, trained
from readmission_platform_tests.support.scenario import PLAN

RATE = "settings.boosting.learning_rate"


def with_range(at_least: float, at_most: float) -> ChangePlan:
    ranges = PLAN.modifications["hyperparameters"].ranges | {RATE: Span(at_least=at_least, at_most=at_most)}
    dumped = {name: span.model_dump() for name, span in ranges.items()}
    return plan_with(modifications__hyperparameters__ranges=dumped)


def test_a_plan_does_not_differ_from_itself():
    assert diff_plans(PLAN, PLAN) == []


@given(st.floats(0.001, 1), st.floats(0.001, 1), st.floats(0.001, 1))
def test_a_range_called_tighter_lets_nothing_in_that_was_out(low: float, high: float, rate: float):
    assume(low <= high)
    after = with_range(low, high)
    (difference,) = diff_plans(PLAN, after) or [None]
    if difference is None:
        return
    payload = trained()
    put(payload, RATE, rate)
    was, now = outside_of(PLAN, payload) == [], outside_of(after, payload) == []
    assert difference.part == f"range of {RATE}"
    assert not (now and not was and difference.direction == "tighter")
    assert not (was and not now and difference.direction == "looser")


CHANGES: dict[str, tuple[dict[str, Any], str, str]] = {
    "a source more": (
        {"unchanged__sources": ["uci", "synthetic", "st_elsewhere"],
         "modifications__seed__ranges": {"seed": {"at_least": 0, "at_most": 4294967295},
                                         "rows.st_elsewhere": {"at_least": 1, "at_most": 2}}},
        "sources", "looser",
    ),
    "a source less": ({"unchanged__sources": ["uci"]}, "sources", "tighter"),
    "another algorithm": ({"unchanged__algorithm": "a forest"}, "algorithm", "not comparable"),
    "fewer inputs": ({"unchanged__inputs": list(PLAN.unchanged.inputs[1:])}, "inputs", "not comparable"),
    "counts no longer pinned": ({"unchanged__cohort_counts": {}}, "cohort counts of uci", "looser"),
    "a higher floor": ({"limits__auroc__limits__real": {"at_least": 0.7}}, "limit auroc, real data", "tighter"),
    "a lower floor": ({"limits__auroc__limits__real": {"at_least": 0.6}}, "limit auroc, real data", "looser"),
    "smaller groups judged": ({"limits__observed_expected_race__min_positives": 50},
                              "limit observed_expected_race, min_positives", "tighter"),
    "a gate less": ({"modifications__seed__verified_by": ["discrimination_auroc"]}, "seed, verified by", "looser"),
    "a wider outcome": ({"unchanged__outcome_share": {"at_least": 0, "at_most": 1}}, "outcome share", "looser"),
    "other words": ({"purpose": "Something else."}, "purpose", "neutral"),
    "another impact": ({"modifications__seed__impact__risk": "None."}, "words of modifications", "neutral"),
}  # fmt: skip


@pytest.mark.parametrize("case", CHANGES)
def test_a_change_says_which_way_it_goes(case: str):
    changes, part, direction = CHANGES[case]
    found = {each.part: each.direction for each in diff_plans(PLAN, plan_with(**changes))}
    assert found[part] == direction
    assert case == "a source more" or len(found) == 1


def test_a_limit_taken_out_is_looser_and_one_put_in_tighter():
    fewer = plan_with(limits={name: each for name, each in PLAN.model_dump(mode="json")["limits"].items()
                              if name != "auroc"})  # fmt: skip
    assert [(each.part, each.direction) for each in diff_plans(PLAN, fewer)
            if each.direction != "neutral"] == [("limit auroc", "looser")]  # fmt: skip
    assert [(each.part, each.direction) for each in diff_plans(fewer, PLAN)
            if each.direction != "neutral"] == [("limit auroc", "tighter")]  # fmt: skip
