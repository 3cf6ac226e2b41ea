"""How far a roll-out has come, whatever is written into the ledger."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readmission_platform.governance.ledger.chain import Event
from readmission_platform.governance.rollouts.plan import KINDS
from readmission_platform.governance.rollouts.state import ROLLOUT_KINDS, RolloutState, rollout_of, rollouts_of
from readmission_platform_tests.support.rollouts import event, plan, started

LAST = {"canary": 2, "shadow": 0, "blue_green": 0, "ab": 0}


def _after(*kinds: str | tuple[str, dict[str, Any]], of: str = "canary") -> RolloutState:
    events = [started(plan(of))]
    for seq, kind in enumerate(kinds, start=8):
        name, content = kind if isinstance(kind, tuple) else (kind, {})
        events.append(event(seq, f"rollout_{name}", {"plan_event": 7, **content}))
    return list(rollouts_of(events))[-1]


def test_without_events_no_roll_out_is_open() -> None:
    assert rollout_of([]) is None
    assert rollout_of([event(1, "version_trained", {})]) is None


def test_a_roll_out_begins_at_its_first_share() -> None:
    state = rollout_of([started(plan())])
    assert state is not None
    assert (state.plan_event, state.share, state.step, state.status) == (7, 0.1, 0, "running")
    assert (state.control_version, state.candidate_version) == ("1", "2")
    assert state.since == state.started_at


def test_it_grows_step_by_step() -> None:
    assert _after(("advanced", {"step": 1})).share == 0.5
    state = _after(("advanced", {"step": 1}), ("advanced", {"step": 2}))
    assert (state.share, state.at_last_step, state.status) == (1.0, True, "running")


@pytest.mark.parametrize("content", [{"step": 2}, {"step": 0}, {}, {"step": "1"}, {"step": 1, "plan_event": 3}])
def test_an_advance_that_does_not_fit_changes_no_share(content: dict[str, Any]) -> None:
    assert _after(("advanced", content)).share == 0.1


def test_a_pause_keeps_the_share_and_going_on_begins_the_step_anew() -> None:
    paused = _after("paused", ("advanced", {"step": 1}))
    assert (paused.status, paused.share) == ("paused", 0.1)
    resumed = _after("paused", "resumed")
    assert resumed.status == "running"
    assert resumed.since > resumed.started_at


@pytest.mark.parametrize(("kind", "status"), [("aborted", "aborted"), ("rolled_back", "rolled_back")])
@pytest.mark.parametrize("before", [(), ("paused",), (("advanced", {"step": 1}),)])
def test_taken_back_it_answers_nobody(kind: str, status: str, before: tuple[Any, ...]) -> None:
    state = _after(*before, kind)
    assert (state.status, state.share, state.open) == (status, 0.0, False)


def test_a_canary_that_held_stays_at_its_last_share_until_the_candidate_is_promoted() -> None:
    steps = ("advanced", {"step": 1}), ("advanced", {"step": 2}), "completed"
    state = _after(*steps)
    assert (state.status, state.share, state.open) == ("completed", 1.0, True)
    assert not _after(*steps, "rolled_back").open


def test_only_the_last_step_can_complete() -> None:
    assert _after("completed").status == "running"


@pytest.mark.parametrize("kind", ["shadow", "ab"])
def test_shadow_and_ab_are_over_with_their_result(kind: str) -> None:
    state = _after("completed", of=kind)
    assert (state.status, state.share, state.open) == ("completed", 0.0, False)


@pytest.mark.parametrize(("version", "status"), [("2", "completed"), ("3", "aborted"), ("1", "aborted")])
def test_whatever_moves_production_ends_it(version: str, status: str) -> None:
    moved = event(9, "version_promoted", {"moves": {"production": version}}, version=version)
    (state,) = rollouts_of([started(plan()), moved])
    assert (state.status, state.share, state.open) == (status, 0.0, False)


def test_a_move_of_staging_alone_ends_nothing() -> None:
    moved = event(9, "version_promoted", {"moves": {"staging": "3"}}, version="3")
    assert rollout_of([started(plan()), moved]) is not None


def test_a_second_roll_out_does_not_begin_beside_the_first() -> None:
    state = rollout_of([started(plan()), started(plan(candidate_version="3"), seq=9)])
    assert state is not None
    assert (state.plan_event, state.candidate_version) == (7, "2")


def test_after_one_is_over_the_next_begins() -> None:
    events = [started(plan()), event(8, "rollout_aborted", {"plan_event": 7}), started(plan("ab"), seq=9)]
    assert [state.status for state in rollouts_of(events)] == ["aborted", "running"]


@pytest.mark.parametrize("content", [{"plan": {"kind": "canary"}}, {"plan": None}, {}])
def test_a_plan_that_cannot_be_read_starts_nothing_and_hides_nothing(content: dict[str, Any]) -> None:
    unreadable = event(8, "rollout_started", content)
    assert rollout_of([unreadable]) is None
    ended = [started(plan()), event(7 + 1, "rollout_aborted", {"plan_event": 7})]
    assert [each.status for each in rollouts_of([*ended, event(9, "rollout_started", content)])] == ["aborted"]
    assert rollout_of([unreadable, started(plan(), seq=9)]) is not None


@st.composite
def _ledgers(draw: st.DrawFn) -> list[Event]:
    """Anything that could be written, in any order, sensible or not."""
    events = []
    for seq in range(1, draw(st.integers(1, 25))):
        kind = draw(st.sampled_from([*ROLLOUT_KINDS, "rollout_advanced", "version_promoted"]))
        if kind == "rollout_started":
            wanted = plan(draw(st.sampled_from(KINDS)), candidate_version=str(draw(st.integers(2, 4))))
            events.append(started(wanted, seq))
        elif kind == "version_promoted":
            moves = {draw(st.sampled_from(["staging", "production"])): str(draw(st.integers(1, 4)))}
            events.append(event(seq, kind, {"moves": moves}))
        else:
            content = {"plan_event": draw(st.integers(1, seq)), "step": draw(st.integers(0, 3))}
            events.append(event(seq, kind, content))
    return events


@given(_ledgers())
def test_whatever_is_written_the_share_grows_by_one_step_at_a_time_and_only_while_it_runs(events: list[Event]) -> None:
    before: RolloutState | None = None
    for number in range(len(events) + 1):
        state = rollout_of(events[:number])
        found = list(rollouts_of(events[:number]))
        assert sum(each.open for each in found) <= 1
        assert all(each.share == 0 for each in found if not each.open)
        if state is not None:
            assert state.share == state.plan.shares[state.step]
            assert state.step <= LAST[state.plan.kind]
        if before is not None and state is not None and state.plan_event == before.plan_event:
            assert state.step in (before.step, before.step + 1)
            if before.status != "running":
                assert state.share == before.share
        if before is not None and state is not None and state.plan_event != before.plan_event:
            assert state.step == 0
        before = state
