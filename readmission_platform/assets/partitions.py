"""The daily partitions of delivered rows and predictions: one per day of the hospital, keys as text.

A day has its partition from the moment at which it begins there, so that what arrives on a day can be scored on it.
"""

from functools import cache

import dagster as dg

from readmission_platform.lifecycle.days.progress import FIRST_DAY


@cache
def daily_partitions(timezone: str) -> dg.DailyPartitionsDefinition:
    """Return the days of a time zone (IANA name), up to and including today there."""
    return dg.DailyPartitionsDefinition(start_date=FIRST_DAY, timezone=timezone, end_offset=1)
