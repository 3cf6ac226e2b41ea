"""Which days have to be complete by when, and how missing ones are grouped into runs."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readmission_platform.assets.feed.completeness import completeness
from readmission_platform.config.environment import Settings
from readmission_platform.config.files import environment_config
from readmission_platform.lifecycle.days.progress import DayState, Progress, expected_days, stretches

NEW_YORK = ZoneInfo("America/New_York")
RULES = environment_config(Settings())


def expected(at: datetime, first: str = "2026-03-01", lookback: int = 60) -> list[str]:
    return expected_days([first], RULES, now=at, lookback=lookback)


def test_yesterday_is_expected_from_the_hour_agreed_on():
    assert expected(datetime(2026, 3, 9, 6, 59, tzinfo=NEW_YORK))[-1] == "2026-03-07"
    assert expected(datetime(2026, 3, 9, 7, 0, tzinfo=NEW_YORK))[-1] == "2026-03-08"


def test_the_hour_is_that_of_the_hospital_and_not_of_the_server():
    at = datetime(2026, 3, 9, 7, 0, tzinfo=NEW_YORK).astimezone(ZoneInfo("Asia/Tokyo"))
    assert expected(at)[-1] == "2026-03-08"


def test_nothing_is_expected_before_the_first_day_that_ever_landed():
    assert expected(datetime(2026, 3, 9, 12, tzinfo=NEW_YORK), first="2026-03-06") == [
        "2026-03-06", "2026-03-07", "2026-03-08",
    ]  # fmt: skip
    assert expected_days([], RULES, now=datetime(2026, 3, 9, 12, tzinfo=NEW_YORK), lookback=60) == []


def test_days_without_files_are_missed_as_far_back_as_configured_and_those_with_files_for_ever():
    found = expected(datetime(2026, 3, 9, 12, tzinfo=NEW_YORK), first="2024-01-01", lookback=10)
    assert len(found) == 1 + 10
    assert found[:2] == ["2024-01-01", "2026-02-27"]


@given(st.sets(st.integers(0, 80)), st.integers(1, 12))
def test_runs_cover_every_missing_day_once_and_no_other(offsets: set[int], longest: int):
    days = [(date(2026, 1, 1) + timedelta(days=offset)).isoformat() for offset in sorted(offsets)]
    groups = stretches(days, longest=longest)
    assert [day for group in groups for day in group] == days
    for group in groups:
        assert 1 <= len(group) <= longest
        assert date.fromisoformat(group[-1]) - date.fromisoformat(group[0]) == timedelta(days=len(group) - 1)


@pytest.mark.parametrize("progress", [each for each in Progress if each is not Progress.complete])
def test_a_day_that_is_behind_fails_the_check_and_says_what_to_do(progress: Progress):
    result = completeness([DayState("2026-03-01", Progress.complete, "x"), DayState("2026-03-02", progress, "")])
    assert not result.passed
    assert "1 of 2 days complete" in (result.description or "")


def test_complete_days_pass():
    assert completeness([DayState("2026-03-01", Progress.complete, "x")]).passed
    assert completeness([]).passed
