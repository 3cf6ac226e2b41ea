"""What a plan may say, and that its digest covers all of it."""

from typing import Any

import pytest
from pydantic import ValidationError

from readmission_platform.governance.rollouts.plan import KINDS, RolloutPlan
from readmission_platform_tests.support.rollouts import plan


@pytest.mark.parametrize(
    ("kind", "shares"),
    [("shadow", (0.0,)), ("canary", (0.1, 0.5, 1.0)), ("blue_green", (1.0,)), ("ab", (0.5,))],
)
def test_a_kind_says_for_whom_the_candidate_answers(kind: str, shares: tuple[float, ...]) -> None:
    assert plan(kind).shares == shares


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("canary", {"steps": (10, 50)}),
        ("canary", {"steps": (50, 10, 100)}),
        ("canary", {"steps": (10, 10, 100)}),
        ("canary", {"steps": (0, 100)}),
        ("canary", {"steps": ()}),
        ("canary", {"steps": (float("nan"), 100)}),
        ("canary", {"min_samples": 49}),
        ("canary", {"bake_minutes": 0}),
        ("canary", {"bake_minutes": float("inf")}),
        ("canary", {"alpha": 0.0}),
        ("canary", {"alpha": 0.21}),
        ("canary", {"score_tolerance": 0.3}),
        ("canary", {"proof": "trust"}),
        ("canary", {"latency_ceiling_ms": float("inf")}),
        ("canary", {"error_ceiling": float("nan")}),
        ("canary", {"candidate_version": "1"}),
        ("canary", {"candidate_version": "two"}),
        ("canary", {"split": 0.5}),
        ("canary", {"sure": True}),
        ("ab", {"metric": None}),
        ("ab", {"sample_size": 99}),
        ("ab", {"split": 1.0}),
        ("red_black", {}),
    ],
)
def test_a_plan_that_makes_no_sense_is_none(kind: str, changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        plan(kind, **changes)


@pytest.mark.parametrize("kind", KINDS)
def test_a_plan_is_the_same_after_it_was_written_and_read(kind: str) -> None:
    asked = plan(kind)
    read = RolloutPlan.model_validate_json(asked.model_dump_json())
    assert (read, read.digest) == (asked, asked.digest)


def test_every_setting_is_part_of_the_digest() -> None:
    asked = plan("ab")
    others: dict[str, Any] = {
        "candidate_version": "3", "control_version": "4", "steps": (20, 100), "min_samples": 300, "bake_minutes": 31,
        "alpha": 0.01, "error_margin": 0.03, "error_ceiling": 0.2, "withheld_margin": 0.06, "withheld_ceiling": 0.4,
        "latency_quantile": 0.99, "latency_margin_ms": 21, "latency_ceiling_ms": 201, "score_shift": 0.4,
        "latency_tolerance": 0.2, "score_tolerance": 0.1, "proof": "margin",
        "split": 0.3, "metric": "log_loss", "sample_size": 501,
    }  # fmt: skip
    assert set(others) == set(RolloutPlan.model_fields) - {"kind"}
    digests = {plan("ab", **{name: value}).digest for name, value in others.items()}
    assert asked.digest not in digests
    assert len(digests) == len(others)
