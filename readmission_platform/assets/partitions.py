"""The daily partitions of delivered rows and predictions: one per day of the hospital, keys as text.

The first partition is the first day that a home knows of, and the last is yesterday, or today once something was
delivered for it: other days would show as missing though nothing can be there. What arrives today is scored today all
the same, because every run loads the definitions anew.
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
def daily_partitions(timezone: str, first: str = FIRST_DAY, *, today: bool = True) -> dg.DailyPartitionsDefinition:
    """Return the days of a time zone (IANA name), from the first up to yesterday there, or up to today."""
    return dg.DailyPartitionsDefinition(start_date=first, timezone=timezone, end_offset=int(today))


def days_known(landing: Landing, table: Path, *, today: date) -> tuple[str, bool]:
    """Return the first day of which anything was delivered, and whether anything was for today.

    Of a home without deliveries, the first day is yesterday.

    Read when the definitions are loaded, from the names of folders alone. What is delivered later for today or for a
    day before the first is taken in all the same, because every run loads the definitions anew; the UI shows such a
    day once they are reloaded, and today at the latest tomorrow.

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
        found = [*landing.entries("rows"), *landing.entries("outcomes"), *taken_in]
    except OSError:  # the landing zone is out of reach: no day may be lost for that
        return FIRST_DAY, True
    known = {day for day in found if _is_date(day) and is_partition(day, today=today)}
    return min([yesterday, *known]), today.isoformat() in known


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
