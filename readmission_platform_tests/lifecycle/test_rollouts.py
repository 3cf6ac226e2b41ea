"""What a roll-out does next: pure decisions about figures and time, and figures that tell of nobody."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from readmission_platform.evaluation.disclosure import rough_count, rough_in_words
from readmission_platform.evaluation.sequential.matured import AbResult, MaturedArm, compare_matured
from readmission_platform.governance.rollouts.assignment import arm_of
from readmission_platform.governance.rollouts.plan import KINDS
from readmission_platform.governance.rollouts.state import RolloutState
from readmission_platform.intake.cells import Cells
from readmission_platform.lifecycle.rollouts.arms import Arm, Arms, arms_of, matured_arms
from readmission_platform.lifecycle.rollouts.baking import LONGEST_LOOK, Baked, baked
from readmission_platform.lifecycle.rollouts.driving import next_step, without_few
from readmission_platform.lifecycle.rollouts.judging import Judgement, judge, limits_of
from readmission_platform.models.readmission_30d import CONTRACT
from readmission_platform.serving.journal import frame_of
from readmission_platform.storage.tables import SERVED, SERVED_ON, ModelLake
from readmission_platform_tests.support.hospital import LONG_AGO, Hospital, days_from
from readmission_platform_tests.support.rollouts import plan, running
from readmission_platform_tests.support.served import KEY, answered

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def _judgement(verdict: Any = "fine", *, enough: bool = True) -> Judgement:
    return Judgement(verdict, () if verdict == "fine" else ("the tests say so.",), enough, {})


def _watched(minutes: float) -> Baked:
    return Baked(7, "", 60 * minutes, "")


def _result(*, winner: Any = "undecided", complete: bool = False) -> AbResult:
    return AbResult("brier", 0.05, 0.0, -1.0, 1.0, 10, 10, complete, winner, "so far.")


@pytest.mark.parametrize(
    ("state", "judgement", "minutes", "step"),
    [
        (running(), _judgement(), 31, "rollout_advanced"),
        (running(step=1), _judgement(), 31, "rollout_advanced"),
        (running(step=2), _judgement(), 31, "rollout_completed"),
        (running("blue_green"), _judgement(), 31, "rollout_completed"),
        (running("shadow"), _judgement(), 31, "rollout_completed"),
        (running(), _judgement(), 29, None),
        (running(), _judgement(enough=False), 31, None),
        (running(), _judgement("inconclusive"), 31, "rollout_paused"),
        (running(), _judgement("inconclusive"), 29, None),
        (running(), _judgement("inconclusive", enough=False), 31, None),
        (running(), _judgement("worse", enough=False), 0, "rollout_rolled_back"),
        (running("shadow"), _judgement("worse"), 0, "rollout_rolled_back"),
    ],
)
def test_a_plan_goes_on_when_all_is_fine_pauses_when_nothing_is_clear_and_goes_back_when_it_is_worse(
    state: RolloutState, judgement: Judgement, minutes: float, step: str | None
) -> None:
    found, why = next_step(state, judgement, _watched(minutes), None)
    assert found == step
    assert why


@pytest.mark.parametrize(
    ("result", "step"),
    [
        (_result(), None),
        (_result(complete=True), "rollout_completed"),
        (_result(winner="control"), "rollout_completed"),
        (_result(winner="candidate"), "rollout_completed"),
    ],
)
def test_an_ab_roll_out_ends_with_a_winner_or_its_registered_sample(result: AbResult, step: str | None) -> None:
    assert next_step(running("ab"), _judgement("inconclusive"), _watched(0), result)[0] == step
    assert next_step(running("ab"), _judgement("worse"), _watched(0), result)[0] == "rollout_rolled_back"


@given(
    kind=st.sampled_from(KINDS),
    verdict=st.sampled_from(["fine", "inconclusive", "worse"]),
    enough=st.booleans(),
    minutes=st.floats(0, 100),
    result=st.sampled_from([None, _result(), _result(complete=True)]),
)
def test_patients_are_exposed_further_only_by_fine_figures_enough_answers_and_time(
    kind: str, verdict: str, enough: bool, minutes: float, result: AbResult | None
) -> None:
    found, _ = next_step(running(kind), _judgement(verdict, enough=enough), _watched(minutes), result)
    if found == "rollout_advanced":
        assert (verdict, enough, minutes >= plan().bake_minutes) == ("fine", True, True)
    if verdict == "worse":
        assert found == "rollout_rolled_back"


@given(st.lists(st.timedeltas(timedelta(days=-400), timedelta(days=400)), max_size=30))
def test_whatever_the_clock_does_time_counts_only_by_looks(jumps: list[timedelta]) -> None:
    state, now, mark, before = running(), NOW, None, 0.0
    for jump in jumps:
        now = min(max(now + jump, NOW - timedelta(days=9000)), NOW + timedelta(days=9000))
        found = baked(mark, state, now=now)
        assert before <= found.seconds <= before + LONGEST_LOOK.total_seconds()
        mark, before = found.to_mark(), found.seconds


def test_time_that_is_watched_counts() -> None:
    state, mark = running(), None
    for number in range(61):
        mark = baked(mark, state, now=NOW + timedelta(seconds=30 * number)).to_mark()
    assert baked(mark, state, now=NOW + timedelta(seconds=30 * 60)).minutes == 30


@pytest.mark.parametrize(
    "damage",
    [
        None, "", "{}", "null", "[1]", "no json", '{"plan_event": 7}',
        json.dumps({"plan_event": 7, "since": "s", "seconds": -1, "looked_at": "2026-01-01T00:00:00.000000Z"}),
        json.dumps({"plan_event": 7, "since": "s", "seconds": "9", "looked_at": "2026-01-01T00:00:00.000000Z"}),
        json.dumps({"plan_event": 7, "since": "s", "seconds": 9, "looked_at": "yesterday"}),
    ],
)  # fmt: skip
def test_a_mark_that_is_damaged_begins_the_step_anew(damage: str | None) -> None:
    assert baked(damage, running(), now=NOW).seconds == 0


def test_another_step_begins_at_nothing() -> None:
    mark = baked(baked(None, running(), now=NOW).to_mark(), running(), now=NOW + timedelta(minutes=1)).to_mark()
    assert baked(mark, running(), now=NOW + timedelta(minutes=2)).minutes == 2
    assert baked(mark, running(step=1), now=NOW + timedelta(minutes=2)).minutes == 0
    assert baked(mark, running(seq=9), now=NOW + timedelta(minutes=2)).minutes == 0


def _arm(answers: int, *, failed: int = 0, withheld: int = 0) -> Arm:
    flags = np.arange(answers)
    return Arm(
        failed=flags < failed,
        withheld=(flags >= failed) & (flags < failed + withheld),
        risk=np.where(flags < failed + withheld, np.nan, 0.1 + 0.1 * (flags % 7) / 7),
        latency_ms=1.0 + (flags % 11) / 10,
        in_step=np.ones(answers, dtype=bool),
    )


@pytest.mark.parametrize("few", range(1, 11))
@pytest.mark.parametrize("which", ["failed", "withheld"])
def test_what_is_recorded_tells_of_no_few_people(few: int, which: str) -> None:
    answers = 800
    judged = judge(running(), Arms(_arm(answers, **{which: few}), _arm(answers)), baked=True)
    said = json.dumps(judged.figures)
    assert judged.figures["arms"]["candidate"][f"{which}_share"] is None
    assert f"{few / answers:.1%}" not in judged.figures["tests"][which]["said"]
    assert "too few to be shown" in judged.figures["tests"][f"{which}_ceiling"]["said"]
    assert str(answers) in said  # rounded to 25, which it is a multiple of


TIMES = ("latency", "latency_tail", "latency_ceiling")


def _asked(answers: int) -> Arm:
    men = answers // 2
    return replace(_arm(answers), inputs={"gender": np.array([men, answers - men])})


@pytest.mark.parametrize("few", [0, 1, 2, 3, 7, 10, 11, 99])
@pytest.mark.parametrize("of_candidate", [True, False])
def test_no_figure_of_risks_times_and_inputs_is_recorded_of_few_answers(few: int, of_candidate: bool) -> None:
    small, large = _asked(few), _asked(800)
    arms = Arms(small, large) if of_candidate else Arms(large, small)
    judged = judge(running(), arms, baked=True)
    said = [judged.figures["tests"][name]["said"] for name in ("scores", *TIMES)]
    assert not any(letter.isdigit() for sentence in said for letter in sentence)
    assert set(said) <= set(judged.reasons)
    assert {judged.figures["tests"][name]["p_value"] for name in ("scores", *TIMES, "inputs")} == {None}


def test_figures_of_many_answers_are_recorded() -> None:
    tests = judge(running(), Arms(_asked(100), _asked(100)), baked=True).figures["tests"]
    assert all(each["p_value"] is not None for each in tests.values())
    assert "standard deviations" in tests["scores"]["said"]
    assert all(" ms" in tests[name]["said"] for name in TIMES)


def test_answers_without_a_risk_are_none_of_those_that_it_takes() -> None:
    judged = judge(running(), Arms(_arm(800, withheld=795), _arm(800)), baked=True)
    assert judged.figures["tests"]["scores"]["p_value"] is None
    assert "Too few" in judged.figures["tests"]["scores"]["said"]


@pytest.mark.parametrize("few", [3, 7, 99])
def test_no_figure_is_recorded_of_few_outcomes(few: int) -> None:
    arms = [MaturedArm(np.arange(number) % 2 == 0, np.full(number, 0.5)) for number in (few, 800)]
    result = compare_matured(*arms, metric="brier", alpha=0.05, sample_size=500)
    assert result.estimate is not None
    shown = without_few(result)
    assert (shown.estimate, shown.low, shown.high) == (None, None, None)
    assert not any(letter.isdigit() for letter in shown.words)
    many = compare_matured(arms[1], arms[1], metric="brier", alpha=0.05, sample_size=500)
    assert without_few(many) is many


def test_counts_are_rounded() -> None:
    shown = Arms(_arm(807), _arm(3)).shown()
    assert (shown["candidate"]["answers"], shown["control"]["answers"]) == (800, 25)
    assert shown["control"]["mean_risk"] is None


def test_a_rough_count_in_words_is_true_of_every_count_behind_it() -> None:
    words = {count: rough_in_words(rough_count(count)) for count in range(100)}
    assert words[0] == "none"
    assert {count for count, said in words.items() if said == "up to 37"} == set(range(1, 38))
    assert (words[38], words[99]) == ("about 50", "about 100")


def test_the_limits_of_the_plan_are_those_of_the_tests() -> None:
    limits = limits_of(plan())
    assert all(getattr(limits, name) == getattr(plan(), name) for name in vars(limits))


def _lake(tmp_path: Path) -> ModelLake:
    return ModelLake(tmp_path / "lake", CONTRACT)


def test_without_a_log_both_arms_are_empty(tmp_path: Path) -> None:
    arms = arms_of(_lake(tmp_path), running())
    assert (arms.candidate.answers, arms.control.answers) == (0, 0)
    assert judge(running(), arms, baked=True).verdict == "inconclusive"


def test_each_patient_counts_once_and_other_roll_outs_do_not(tmp_path: Path) -> None:
    lake = _lake(tmp_path)
    answered(lake, running(), patients=1000)
    before = arms_of(lake, running())
    answered(lake, running(), patients=1000)  # the same patients again
    answered(lake, running(seq=9), patients=1000, seed=5)
    after = arms_of(lake, running())
    assert (after.candidate.answers, after.control.answers) == (before.candidate.answers, before.control.answers)
    assert 60 < after.candidate.answers < 140


def test_in_the_shadow_the_unused_answers_are_the_candidates(tmp_path: Path) -> None:
    lake, state = _lake(tmp_path), running("shadow")
    answered(lake, state, patients=500, failed=1.0)
    arms = arms_of(lake, state)
    assert (arms.candidate.answers, arms.control.answers) == (500, 500)
    assert arms.candidate.failed.all()
    assert not arms.control.failed.any()


def test_arms_that_are_asked_about_different_patients_are_noticed(tmp_path: Path):
    """The log keeps coarse cells of the inputs; where they differ between the arms, nothing can be concluded."""
    lake, state = ModelLake(tmp_path / "lake", CONTRACT), running()
    cells = Cells(CONTRACT.feed, ["number_inpatient", "gender"])
    rows = [{"request_id": f"r{number}", "encounter_id": number, "discharge_date": "2026-02-01",
             "entity_key": f"p{number}", "at": f"2026-03-01T11:00:00.{number:06d}+00:00", "model_version": "1",
             "rollout": 7, "arm": "candidate" if number % 2 else "control", "status": "scored", "risk": 0.1,
             "latency_ms": 0.5, "number_inpatient": 0, "gender": "Male" if number % 2 else "Female"}
            for number in range(400)]  # fmt: skip
    lines = [{**row, "cells": json.dumps(cells.of(row))} for row in rows]
    lake.append(SERVED, frame_of(lines, CONTRACT), partition=SERVED_ON, writer="w", position=1)
    found = arms_of(lake, state)
    assert found.candidate.inputs["gender"].tolist() == [0, 200, 0, 0]
    assert found.control.inputs["gender"].tolist() == [200, 0, 0, 0]
    judged = judge(state, found, baked=True)
    assert judged.figures["tests"]["inputs"]["verdict"] == "worse"
    assert "gender" in judged.figures["tests"]["inputs"]["said"]


def test_an_ab_roll_out_is_judged_by_the_outcomes_of_days_that_have_matured(tmp_path: Path) -> None:
    hospital = Hospital.at(tmp_path / "home")
    days = days_from(LONG_AGO, 40)
    hospital.go_on(days)
    hospital.mature(days[:30])
    lake, state = hospital.home.lake, running("ab")
    rows = pd.concat(hospital.days.values(), ignore_index=True)
    arms = [arm_of(state, person, KEY) for person in rows["entity_key"]]
    served = rows[["encounter_id", "entity_key", "risk", "status"]].assign(
        arm=arms, rollout=7, at="2026-01-01T00:00:00.000000Z", latency_ms=1.0, model_version="1",
    )  # fmt: skip
    # The candidate says the same of everybody, which is worse than what is calibrated.
    served["risk"] = np.where(served["arm"] == "candidate", 0.5, served["risk"])
    lines = served.assign(discharge_date=rows["discharge_date"]).to_dict("records")
    lake.append(SERVED, frame_of(lines, lake.contract), partition=SERVED_ON, writer="w", position=1)
    found = matured_arms(lake, state, today=datetime.now(UTC).date(), coverage=0.95)
    # Of each patient the first answer counts.
    first = rows.assign(arm=arms).drop_duplicates(["arm", "entity_key"])
    matured = first[first["discharge_date"].isin(days[:30])]
    for arm in ("candidate", "control"):
        assert len(found[arm]) == (matured["arm"] == arm).sum()
        own = matured[matured["arm"] == arm].set_index("encounter_id")
        assert sorted(found[arm]["outcome"]) == sorted(own["outcome"])
    compared = [MaturedArm(found[arm]["outcome"].to_numpy(bool), found[arm]["risk"].to_numpy(float))
                for arm in ("control", "candidate")]  # fmt: skip
    result = compare_matured(*compared, metric="brier", alpha=0.05, sample_size=100)
    assert result.estimate is not None
    assert result.estimate > 0
