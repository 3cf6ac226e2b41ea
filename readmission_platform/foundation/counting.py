"""Saying how many, in words that agree with the number, and writing numbers for people.

What belongs here: that. What does not: counts of people, of which few are hidden (``evaluation.disclosure``).
"""


def counted(number: int, one: str, many: str | None = None) -> str:
    """Say how many: "0 files", "1 file", "1,203 files", "2 entries"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def is_count(value: float) -> bool:
    """Tell whether a number is one of rows or people rather than a share or score: whole, and 100 or more."""
    return abs(value) >= 100 and float(value).is_integer()


def decimal(value: float, digits: int) -> str:
    """Write a number to so many decimals: none for a count, and never minus zero."""
    return f"{value:,.0f}" if is_count(value) else f"{value:z.{digits}f}"


def percent(share: float, digits: int = 0) -> str:
    """Write a share in percent, as every page and table does: "27.7 %"."""
    return f"{100 * share:.{digits}f} %"


BELOW_INTERVAL = "* below its own interval: chance alone moves this figure away from 0, and resampling moves it further"


def below_interval(value: float | None, low: float | None) -> bool:
    """Tell whether an estimate lies below its own interval, as distances from 0 do."""
    return value is not None and low is not None and value < low
