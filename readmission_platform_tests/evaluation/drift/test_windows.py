"""Drift: windows of days, what counts as drifted, and when that is an alarm."""

import math
from itertools import pairwise
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from readmission_platform.evaluation.drift.windows import (
    DriftLimits,
    Verdict,
    alarming,
    completely_judged,
    judged,
    verdicts,
    windows_of,
)

LIMITS = DriftLimits(
    column_score=0.2, risk_score=0.3, missing_difference=0.1, unseen_share=0.05, drifted_columns=2, alarm_windows=2,
    of_windows=3,
)  # fmt: skip


def days_of(*counts: int) -> pd.DataFrame:
    """Encounters of so many days, numbered through."""
    days = [f"2026-01-{day:02d}" for day, count in enumerate(counts, start=1) for _ in range(count)]
    return pd.DataFrame({"row": range(len(days)), "day": days, "content": "as delivered"})


def cut(scored: pd.DataFrame, size: int = 200) -> list[tuple[int, str, str, int]]:
    windows, _ = windows_of(scored, size=size, compared_with="training")
    return [(each.number, each.first_day, each.last_day, each.rows) for each in windows]


def test_a_window_closes_with_the_day_at_which_it_holds_enough():
    scored = days_of(120, 79, 1, 199, 300, 50)
    assert cut(scored) == [
        (1, "2026-01-01", "2026-01-03", 200),
        (2, "2026-01-04", "2026-01-05", 499),
    ]
    assert windows_of(scored, size=200, compared_with="")[1] == 50


def test_fewer_encounters_are_collected_and_make_no_window():
    assert windows_of(days_of(27, 27), size=200, compared_with="") == ([], 54)
    assert windows_of(days_of(), size=200, compared_with="") == ([], 0)


@given(st.lists(st.integers(0, 90), max_size=20), st.lists(st.integers(0, 90), max_size=8))
def test_windows_stay_as_they_are_when_days_are_appended(before: list[int], after: list[int]):
    earlier, _ = windows_of(days_of(*before), size=100, compared_with="training")
    later, rest = windows_of(days_of(*before, *after), size=100, compared_with="training")
    assert later[: len(earlier)] == earlier
    assert sum(window.rows for window in later) + rest == sum(before) + sum(after)
    assert all(window.rows >= 100 for window in later)
    assert all(one.last_day < other.first_day for one, other in pairwise(later))


def test_late_data_make_another_window_of_the_same_days_and_leave_the_others_alone():
    scored = days_of(100, 100, 100, 100)
    late = pd.concat([scored, pd.DataFrame({"row": [999], "day": ["2026-01-04"], "content": "x"})])
    before, after = (windows_of(rows, size=200, compared_with="training")[0] for rows in (scored, late))
    assert before[0] == after[0]
    assert before[1].digest != after[1].digest


def test_a_window_is_another_one_when_its_content_or_the_comparison_changes_but_not_when_rows_are_shuffled():
    scored = days_of(200)
    (window,), _ = windows_of(scored, size=200, compared_with="training")
    assert windows_of(scored.sample(frac=1, random_state=1), size=200, compared_with="training")[0] == [window]
    edited = scored.assign(content=["changed", *scored["content"][1:]])
    assert windows_of(edited, size=200, compared_with="training")[0][0].digest != window.digest
    assert windows_of(scored, size=200, compared_with="other training")[0][0].digest != window.digest


def scores(number: int = 1, **columns: Any) -> pd.DataFrame:
    """Rows of one window: a column's index, or (measure, score)."""
    rows = []
    for column, given_as in columns.items():
        measure, score = given_as if isinstance(given_as, tuple) else ("drift", given_as)
        rows.append({"column": column, "measure": measure, "score": score})
    return pd.DataFrame(rows).assign(
        window=number, first_day="2026-01-01", last_day="2026-01-08", rows=216, digest=f"sha256:{number}"
    )


@pytest.mark.parametrize(
    ("column", "measure", "score", "drifted"),
    [
        ("age", "drift", 0.19, False),
        ("age", "drift", 0.2, True),
        ("age", "drift", 5.0, True),
        ("risk", "drift", 0.29, False),
        ("risk", "drift", 0.3, True),
        ("age", "missing", 0.099, False),
        ("age", "missing", 0.1, True),
        ("age", "unseen", 0.049, False),
        ("age", "unseen", 0.05, True),
        ("age", "drift", math.nan, True),
        ("risk", "drift", math.nan, True),
        ("age", "missing", math.nan, True),
        ("age", "drift", math.inf, True),
    ],
)
def test_a_column_has_drifted_from_its_limit_on_and_when_it_cannot_be_judged(
    column: str, measure: str, score: float, drifted: bool
):
    found = judged(scores(**{column: (measure, score)}), LIMITS)
    assert found["drifted"].tolist() == [drifted]
    assert found["limit"].tolist() == [LIMITS.of(column, measure)]


@pytest.mark.parametrize(
    ("columns", "drifted"),
    [
        ({"age": 0.1, "race": 0.1, "risk": 0.1}, False),
        ({"age": 0.4, "race": 0.1, "risk": 0.1}, False),
        ({"age": 0.4, "race": 0.2, "risk": 0.1}, True),
        ({"age": 0.4, "race": ("unseen", 0.2), "risk": 0.1}, True),
        ({"age": 0.1, "race": 0.1, "risk": 0.3}, True),
        ({"age": math.nan, "race": math.nan, "risk": 0.1}, True),
        ({"age": 0.1, "race": 0.1, "risk": math.nan}, True),
    ],
)
def test_a_window_has_drifted_by_enough_columns_or_by_the_risks(columns: dict[str, Any], drifted: bool):
    (found,) = verdicts(scores(**columns), LIMITS)
    assert found.drifted is drifted


def test_a_column_that_drifted_in_two_ways_is_one_column():
    rows = pd.concat([scores(age=0.4), scores(age=("missing", 0.5)), scores(risk=0.0)])
    (found,) = verdicts(rows, LIMITS)
    assert (found.columns, found.drifted) == (("age",), False)


@pytest.mark.parametrize(
    ("columns", "still", "accepted"),
    [
        ({"age": 0.4}, (), ("age",)),
        ({"age": 0.5}, (), ("age",)),
        ({"age": 0.51}, ("age",), ()),
        ({"age": math.nan}, ("age",), ()),
        ({"age": ("missing", 0.4)}, ("age",), ()),
        ({"race": 0.4}, ("race",), ()),
        ({"age": 0.1}, (), ()),
    ],
)
def test_accepted_drift_is_counted_out_up_to_what_was_accepted_of_that_measure(
    columns: dict[str, Any], still: tuple[str, ...], accepted: tuple[str, ...]
):
    (found,) = verdicts(scores(**columns, risk=0.1), LIMITS, {("age", "drift"): 0.5})
    assert (found.columns, found.accepted) == (still, accepted)


def test_a_column_that_drifted_in_another_way_too_still_counts():
    rows = pd.concat([scores(age=0.4, race=0.4), scores(age=("missing", 0.5)), scores(risk=0.0)])
    (found,) = verdicts(rows, LIMITS, {("age", "drift"): 0.5})
    assert (found.columns, found.accepted, found.drifted) == (("race", "age"), (), True)
    (found,) = verdicts(rows, LIMITS, {("age", "drift"): 0.5, ("age", "missing"): 0.6})
    assert (found.columns, found.accepted, found.drifted) == (("race",), ("age",), False)


def sequence(text: str) -> list[Verdict]:
    """Verdicts of windows: x drifted, o not."""
    return [Verdict(number, "a", "b", 216, (), mark == "x") for number, mark in enumerate(text, start=1)]


@pytest.mark.parametrize(
    ("windows", "alarm"),
    [("", []), ("x", []), ("xx", [1, 2]), ("oxo", []), ("xox", [1, 3]), ("xxo", [1, 2]), ("xoo", []),
     ("xxoo", []), ("ooxx", [3, 4]), ("xxxx", [2, 3, 4])],
)  # fmt: skip
def test_an_alarm_needs_enough_of_the_latest_windows(windows: str, alarm: list[int]):
    assert [each.window for each in alarming(sequence(windows), LIMITS)] == alarm


def test_the_order_in_which_windows_were_judged_makes_no_difference():
    assert alarming(sequence("xxoo")[::-1], LIMITS) == []
    assert len(alarming(sequence("ooxx")[::-1], LIMITS)) == 2


def test_a_judgement_counts_only_for_the_encounters_it_was_made_of_and_with_every_column():
    (window,), _ = windows_of(days_of(200), size=200, compared_with="training")
    whole = scores(age=0.1, risk=0.1).assign(digest=window.digest)
    assert completely_judged(whole, [window], ["age"]) == [window]
    assert completely_judged(whole.assign(digest="sha256:other"), [window], ["age"]) == []
    assert completely_judged(whole.assign(window=2), [window], ["age"]) == []
    assert completely_judged(whole[whole["column"] != "age"], [window], ["age"]) == []
    assert completely_judged(whole[whole["column"] != "risk"], [window], ["age"]) == []
    assert completely_judged(whole, [window], ["age", "race"]) == []
    assert completely_judged(whole.assign(measure="missing"), [window], ["age"]) == []
