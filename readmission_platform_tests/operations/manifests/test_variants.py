"""Variants and their weights follow from the roll-out that is open."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from readmission_platform.governance.rollouts.state import RolloutState
from readmission_platform.operations.manifests.variants import Site, Variant, variants_of
from readmission_platform_tests.support.cluster_sites import IMAGE, NEWER, SITE, weights
from readmission_platform_tests.support.rollouts import running


def test_without_a_rollout_there_is_one_variant() -> None:
    assert variants_of(SITE, "3", None) == (Variant(version="3", weight=100, image=IMAGE),)


@pytest.mark.parametrize(
    ("rollout", "expected"),
    [
        (running("canary"), {"1": 90, "2": 10}),
        (running("canary", step=1), {"1": 50, "2": 50}),
        (running("canary", step=2), {"1": 0, "2": 100}),
        (running("blue_green"), {"1": 0, "2": 100}),
        (running("ab", split=0.3), {"1": 70, "2": 30}),
        (running("shadow"), {"1": 100}),
    ],
    ids=["10 %", "50 %", "all", "blue-green", "A/B", "shadow"],
)
def test_weights_are_in_step_with_the_share_of_the_patients(rollout: RolloutState, expected: dict[str, int]) -> None:
    assert weights(variants_of(SITE, "1", rollout)) == expected


@given(share=st.floats(0.0001, 0.9999))
def test_neither_side_is_rounded_away(share: float) -> None:
    control, candidate = variants_of(SITE, "1", running("ab", split=share))
    assert control.weight + candidate.weight == 100
    assert min(control.weight, candidate.weight) >= 1
    assert abs(candidate.weight - 100 * share) <= 1


def test_a_candidate_may_have_another_image() -> None:
    site = SITE.model_copy(update={"candidate_image": NEWER})
    assert [each.image for each in variants_of(site, "1", running())] == [IMAGE, NEWER]
    assert [each.image for each in variants_of(site, "1", None)] == [IMAGE]


@pytest.mark.parametrize(
    ("field", "value"),
    [("image", "registry.example/readmission:latest"), ("name", "A Name"), ("name", "x" * 41), ("namespace", ""),
     ("model", "a model"), ("candidate_image", "latest"), ("hostname", "https://x"), ("drain_seconds", 0)],
)  # fmt: skip
def test_a_site_that_no_cluster_would_take_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        Site.model_validate({**SITE.model_dump(), field: value})
