"""Who is given which version: the same person always the same one, and arms that are alike."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readmission_platform.governance.rollouts.assignment import arm_of, place_of
from readmission_platform.governance.rollouts.state import rollout_of
from readmission_platform_tests.support.rollouts import event, plan, running, started

KEY = b"k" * 32
PEOPLE = [f"person-{number}" for number in range(20_000)]


@given(person=st.text(max_size=40), key=st.binary(min_size=1, max_size=80), seq=st.integers(1, 10**9))
def test_whoever_has_the_candidate_at_ten_per_cent_keeps_it(person: str, key: bytes, seq: int) -> None:
    arms = [arm_of(running(step=step, seq=seq), person, key) for step in range(3)]
    assert arms[2] == "candidate"
    if "candidate" in arms:
        assert set(arms[arms.index("candidate") :]) == {"candidate"}
    if arms[0] == "control":
        assert arms[1] == "control"


@pytest.mark.parametrize(("step", "share"), [(0, 0.1), (1, 0.5)])
def test_the_control_arm_is_as_large_as_the_candidates(step: int, share: float) -> None:
    found = Counter(arm_of(running(step=step), person, KEY) for person in PEOPLE)
    five_errors = 5 * math.sqrt(len(PEOPLE) * share * (1 - share))
    assert abs(found["candidate"] - share * len(PEOPLE)) < five_errors
    assert abs(found["control"] - share * len(PEOPLE)) < five_errors
    assert found["rest"] == len(PEOPLE) - found["candidate"] - found["control"]


def test_above_one_half_everybody_else_is_compared() -> None:
    state = running(steps=(80, 100))
    found = Counter(arm_of(state, person, KEY) for person in PEOPLE)
    assert found["rest"] == 0
    assert abs(found["control"] / len(PEOPLE) - 0.2) < 0.02


def test_places_are_uniform() -> None:
    """By the distance of Kolmogorov and Smirnov, at a level of one in a million."""
    places = sorted(place_of(7, person, KEY) for person in PEOPLE)
    count = len(places)
    distance = max(max((n + 1) / count - place, place - n / count) for n, place in enumerate(places))
    assert distance < math.sqrt(-math.log(0.5e-6) / (2 * count))


def test_another_roll_out_and_another_key_divide_people_anew() -> None:
    chosen = {person for person in PEOPLE if arm_of(running(seq=7), person, KEY) == "candidate"}
    for other in (
        {person for person in PEOPLE if arm_of(running(seq=8), person, KEY) == "candidate"},
        {person for person in PEOPLE if arm_of(running(seq=7), person, b"other") == "candidate"},
    ):
        assert len(chosen & other) / len(chosen) == pytest.approx(0.1, abs=0.04)


def test_an_assignment_never_changes_from_one_release_to_the_next() -> None:
    """Known answers: a change of the hash would move patients from one version to another in the middle."""
    assert [round(place_of(7, person, KEY), 6) for person in PEOPLE[:3]] == [0.445652, 0.89649, 0.436657]


@pytest.mark.parametrize(("kind", "arm"), [("shadow", {"control"}), ("blue_green", {"candidate"})])
def test_the_shadow_answers_nobody_and_the_green_version_everybody(kind: str, arm: set[str]) -> None:
    assert {arm_of(running(kind), person, KEY) for person in PEOPLE[:500]} == arm


def test_a_paused_roll_out_divides_people_as_before() -> None:
    events = [started(plan())]
    before = rollout_of(events)
    paused = rollout_of([*events, event(8, "rollout_paused", {"plan_event": 7})])
    assert before is not None
    assert paused is not None
    assert paused.status == "paused"
    assert all(arm_of(before, person, KEY) == arm_of(paused, person, KEY) for person in PEOPLE[:500])
