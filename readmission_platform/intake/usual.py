"""What is usual of a source's days: how many rows it sends on such a day of the week.

What belongs here: comparing the counts of days, as pure decisions. What does not: reading counts, and saying so
(``lifecycle.days.unusual``).
"""

import math
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from statistics import median

# A count is compared with those of the same day of the week; while there are fewer, with those of every day.
ENOUGH_WEEKS, ENOUGH_DAYS = 4, 7
# So many standard deviations of a count that comes about by chance: three in a thousand days are beyond.
DEVIATIONS = 3.0


def usual_volume(day: str, received: Mapping[str, int], *, weeks: int) -> float | None:
    """Return how many rows such a day usually has; None where too few days are known.

    Parameters
    ----------
    received
        Rows by day (YYYY-MM-DD), of any days; those after ``day`` say nothing.
    weeks
        How far back days count.
    """
    first = (date.fromisoformat(day) - timedelta(weeks=weeks)).isoformat()
    before = {other: count for other, count in received.items() if first <= other < day and count}
    same = [count for other, count in before.items() if _weekday(other) == _weekday(day)]
    if len(same) >= ENOUGH_WEEKS:
        return median(same)
    return median(before.values()) if len(before) >= ENOUGH_DAYS else None


def unusual_days(days: Sequence[str], received: Mapping[str, int], *, ratio: float, weeks: int) -> dict[str, str]:
    """Return the days with far fewer or far more rows than usual: which of the two.

    Parameters
    ----------
    ratio
        How many times as many, or as few, are far; by less, and by what chance alone brings about, nothing is unusual.
    """
    found = {}
    for day in days:
        usual = usual_volume(day, received, weeks=weeks)
        if usual is None:
            continue
        count, by_chance = received[day], DEVIATIONS * math.sqrt(usual)
        if count < min(usual / ratio, usual - by_chance):
            found[day] = "far fewer"
        elif count > max(usual * ratio, usual + by_chance):
            found[day] = "far more"
    return found


def _weekday(day: str) -> int:
    return date.fromisoformat(day).weekday()
