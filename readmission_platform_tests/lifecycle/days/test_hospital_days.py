"""Days are those of the hospital: wherever it is, at every hour, today and yesterday have their partition."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context

from readmission_platform.assets.partitions import daily_partitions
from readmission_platform.automation.schedules import HOUR
from readmission_platform.config.environment import Settings
from readmission_platform.config.files import environment_config
from readmission_platform.definitions import build_definitions
from readmission_platform.foundation.errors import BadInput
from readmission_platform.lifecycle.days.progress import check_days, expected_days, hospital_day, is_partition
from readmission_platform_tests.support.homes import Home

ZONES = (
    "Pacific/Pago_Pago", "America/Los_Angeles", "America/New_York", "America/St_Johns", "America/Sao_Paulo",
    "Europe/London", "Europe/Berlin", "Asia/Kolkata", "Asia/Singapore", "Australia/Sydney", "Pacific/Auckland",
    "Pacific/Kiritimati",
)  # fmt: skip
# Midwinter, midsummer, and both days of 2026 on which clocks change in New York, in Berlin, and in Sydney and Auckland.
DATES = ("2026-01-15", "2026-07-15", "2026-03-08", "2026-11-01", "2026-03-29", "2026-10-25", "2026-04-05", "2026-10-04",
         "2026-09-27")  # fmt: skip
MOMENTS = [
    datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(hours=hour) for day in DATES for hour in range(-12, 36)
]


@pytest.mark.parametrize("zone", ZONES)
def test_at_every_hour_the_days_up_to_today_have_a_partition_and_tomorrow_has_none(zone: str):
    rules = environment_config(Settings()).model_copy(update={"timezone": zone})
    partitions = daily_partitions(zone)
    for moment in MOMENTS:
        there = moment.astimezone(ZoneInfo(zone))
        today = hospital_day(rules, moment)
        yesterday, tomorrow = (today + timedelta(days=days) for days in (-1, 1))
        assert today == there.date()
        landed = [(today - timedelta(days=5)).isoformat()]
        expected = expected_days(landed, rules, now=moment, lookback=3)
        with partition_loading_context(effective_dt=moment):
            assert partitions.get_last_partition_key() == today.isoformat(), moment
            assert not partitions.has_partition_key(tomorrow.isoformat())
            for day in (yesterday.isoformat(), *expected):
                assert partitions.has_partition_key(day), (moment, day)
        assert is_partition(today.isoformat(), today=today)
        assert not is_partition(tomorrow.isoformat(), today=today)
        if there.hour >= rules.complete_by_hour > HOUR:
            assert expected[-1] == yesterday.isoformat()


def partitions_of(home: Home, *asked: str) -> dg.PartitionsDefinition:
    with home.lived_in() as current:
        node = build_definitions(current, asked=asked).resolve_asset_graph().get(dg.AssetKey("daily_predictions"))
    assert node.partitions_def is not None
    return node.partitions_def


def put(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "part.csv").write_text("nothing\n", encoding="utf-8")


def test_the_partitions_begin_with_the_first_day_that_anything_is_known_of(tmp_path: Path):
    home = Home.new(tmp_path / "home")
    today = hospital_day(environment_config(Settings()))
    yesterday, earlier, earliest = ((today - timedelta(days=days)).isoformat() for days in (1, 40, 41))
    assert partitions_of(home).get_partition_keys() == [yesterday]
    put(home.landing.folder("rows") / (today + timedelta(days=1)).isoformat())
    put(home.landing.folder("rows") / "2019-12-31")
    put(home.landing.folder("rows") / "2021-1-1")
    assert partitions_of(home).get_first_partition_key() == yesterday
    put(home.landing.folder("rows") / earlier)
    assert partitions_of(home).get_first_partition_key() == earlier
    put(home.landing.folder("outcomes") / earliest)
    assert partitions_of(home).get_first_partition_key() == earliest
    assert partitions_of(home, "2024-05-06").get_first_partition_key() == "2024-05-06"


def test_today_counts_as_missing_in_the_ui_only_once_something_was_delivered_for_it(tmp_path: Path):
    home = Home.new(tmp_path / "home")
    today = hospital_day(environment_config(Settings()))
    yesterday = (today - timedelta(days=1)).isoformat()
    put(home.landing.folder("rows") / yesterday)
    assert partitions_of(home).get_last_partition_key() == yesterday
    assert partitions_of(home, today.isoformat()).get_last_partition_key() == today.isoformat()
    put(home.landing.folder("rows") / today.isoformat())
    assert partitions_of(home).get_last_partition_key() == today.isoformat()


def test_days_whose_files_have_left_the_landing_zone_keep_their_partitions(tmp_path: Path):
    put(tmp_path / "home/lake/readmission_30d/daily_discharges/discharge_date=2024-05-06")
    assert partitions_of(Home.new(tmp_path / "home")).get_first_partition_key() == "2024-05-06"


def test_a_day_that_has_not_begun_is_refused_in_one_line_that_says_where_it_is_what_day():
    rules = environment_config(Settings())
    today = hospital_day(rules)
    check_days([today.isoformat(), (today - timedelta(days=1)).isoformat()], rules)
    with pytest.raises(BadInput, match=f"to today, which is {today} in America/New_York"):
        check_days([(today + timedelta(days=1)).isoformat()], rules)
    with pytest.raises(BadInput, match="2019-12-31 is not a day from 2020-01-01"):
        check_days(["2019-12-31"], rules)
