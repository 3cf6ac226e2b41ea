"""What is usual of a source: volume by day of the week, and numbers that go on."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from readmission_platform.intake.series import days_that_jumped, has_jumped
from readmission_platform.intake.usual import unusual_days, usual_volume

MONDAY = date(2024, 3, 4)
LIMITS = {"ratio": 2.0, "weeks": 8}


def days(count: int, *, first: date = MONDAY) -> list[str]:
    return [(first + timedelta(days=place)).isoformat() for place in range(count)]


def counts_of(weekday: int, weekend: int, *, weeks: int = 8) -> dict[str, int]:
    return {day: weekend if date.fromisoformat(day).weekday() > 4 else weekday for day in days(7 * weeks)}


@pytest.mark.parametrize(
    ("count", "said"), [(27, None), (14, None), (12, None), (11, "far fewer"), (6, "far fewer"), (0, "far fewer"),
                        (43, None), (54, None), (55, "far more"), (50_000, "far more")],
)  # fmt: skip
def test_a_day_is_unusual_by_more_than_twice_and_more_than_chance(count: int, said: str | None) -> None:
    received = counts_of(27, 27)
    day = days(1, first=MONDAY + timedelta(weeks=8))[0]
    assert unusual_days([day], received | {day: count}, **LIMITS).get(day) == said


def test_a_day_is_compared_with_the_same_day_of_the_week() -> None:
    received, after = counts_of(100, 20), days(7, first=MONDAY + timedelta(weeks=8))
    as_usual = received | {day: 20 if date.fromisoformat(day).weekday() > 4 else 100 for day in after}
    assert unusual_days(after, as_usual, **LIMITS) == {}
    quiet_monday, busy_sunday = received | {after[0]: 20}, received | {after[6]: 100}
    assert unusual_days([after[0]], quiet_monday, **LIMITS) == {after[0]: "far fewer"}
    assert unusual_days([after[6]], busy_sunday, **LIMITS) == {after[6]: "far more"}


def test_of_chance_alone_hardly_a_day_in_a_hundred_is_unusual() -> None:
    rng, found, tried = np.random.default_rng(0), 0, 0
    for usual in (12, 27, 200, 2000):
        every = days(400)
        received = dict(zip(every, rng.poisson(usual, len(every)).tolist(), strict=True))
        found += len(unusual_days(every, received, **LIMITS))
        tried += len(every)
    assert found <= tried / 100


def test_while_too_few_days_are_known_nothing_is_unusual() -> None:
    received = dict.fromkeys(days(7), 27)
    assert usual_volume(days(7)[-1], received, weeks=8) is None
    assert usual_volume(days(8)[-1], received, weeks=8) == 27


def test_numbers_that_count_upwards_or_are_drawn_at_random_go_on() -> None:
    rng = np.random.default_rng(1)
    upwards = pd.Series(np.arange(1000, 3700))
    at_random = pd.Series(rng.integers(1, 10**9, 2700))
    for numbers in (upwards, at_random):
        rows = pd.DataFrame({"day": np.repeat(days(100), 27), "row": numbers})
        assert days_that_jumped(rows, day="day", row="row", judged=days(100), earlier=numbers.head(0)) == []


@pytest.mark.parametrize("start", [1, 500_000_000])
def test_a_new_series_is_named_on_the_day_it_begins_and_not_again(start: int) -> None:
    numbers = [*range(400_000, 400_000 + 20 * 27), *range(start, start + 20 * 27)]
    rows = pd.DataFrame({"day": np.repeat(days(40), 27), "row": numbers})
    found = days_that_jumped(rows, day="day", row="row", judged=days(40), earlier=pd.Series(dtype="int64"))
    assert found == [days(40)[20]]


def test_the_first_days_are_compared_with_what_was_trained_on() -> None:
    rows = pd.DataFrame({"day": [days(1)[0]] * 6, "row": range(1001, 1007)})
    trained = pd.Series(range(100_000, 200_000))
    assert days_that_jumped(rows, day="day", row="row", judged=days(1), earlier=trained) == days(1)
    assert not has_jumped(rows["row"], rows["row"].head(0))
