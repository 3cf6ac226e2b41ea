"""The daily partitions of delivered rows and predictions: one per day of the hospital, keys as text.

A day has its partition from the moment at which it begins there, so that what arrives on a day can be scored on it. The
first partition is the first day that a home knows of: days before it would show as missing for ever.
"""

from datetime import date, timedelta
from functools import cache
from pathlib import Path

import dagster as dg
from dagster._core.storage.tags import PARTITION_NAME_TAG

from readmission_platform.foundation.errors import BadInput
from readmission_platform.lifecycle.days.progress import FIRST_DAY, is_partition
from readmission_platform.storage.landing import Landing


@cache
def daily_partitions(timezone: str, first: str = FIRST_DAY) -> dg.DailyPartitionsDefinition:
    """Return the days of a time zone (IANA name), from the first up to and including today there."""
    return dg.DailyPartitionsDefinition(start_date=first, timezone=timezone, end_offset=1)


def first_day(landing: Landing, table: Path, *, today: date) -> str:
    """Return the first day of which anything was delivered; of a home without deliveries it is yesterday.

    Read when the definitions are loaded, from the names of folders alone. What is delivered later for a day before it
    is taken in all the same, because every run loads the definitions anew; the UI shows such a day once they are
    reloaded.

    Parameters
    ----------
    table
        Folder of the table of accepted rows, which has a folder for each day: files may have left the landing zone.
    today
        In the hospital.
    """
    # Yesterday, because that is the day that the morning's schedule asks for.
    yesterday = (today - timedelta(days=1)).isoformat()
    try:
        taken_in = [path.name.partition("=")[2] for path in table.glob("*=*")]
        known = [*landing.entries("rows"), *landing.entries("outcomes"), *taken_in]
    except OSError:  # the landing zone is out of reach: no day may be lost for that
        return FIRST_DAY
    return min([yesterday, *(day for day in known if _is_date(day) and is_partition(day, today=today))])


def days_asked_for(context: dg.AssetExecutionContext) -> list[str]:
    """Return the days that a run is for.

    Raises
    ------
    BadInput
        When it names none, as `dagster job execute` lets anybody do.
    """
    if not (context.has_partition_key or context.has_partition_key_range):
        tags = f'--tags \'{{"{PARTITION_NAME_TAG}": "YYYY-MM-DD"}}\''
        raise BadInput(
            f"this works on days, and the run names none. In the UI, choose a partition; on the command line, add "
            f"{tags} to `dagster job execute`, or --partition YYYY-MM-DD to `dagster asset materialize`; or use "
            "`readmission score --date YYYY-MM-DD` or `readmission outcomes --date YYYY-MM-DD`"
        )
    return list(context.partition_keys)


def _is_date(name: str) -> bool:
    try:
        return date.fromisoformat(name).isoformat() == name
    except ValueError:
        return False
