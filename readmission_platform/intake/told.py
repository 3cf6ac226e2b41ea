"""What a line of a file of outcomes tells: 0 or 1, a word for it, or the day of the event.

What belongs here: reading the cells of one line. What does not: judging lines beside each other (``outcomes``).
"""

import re
from datetime import date

from readmission_platform.intake.contract import EventDay
from readmission_platform.intake.spellings import folded, is_missing, readings, yes_or_no

# What can be wrong with what a line tells, by code.
FAULTS = {
    "not_0_or_1": "neither 0 nor 1, nor a word for it",
    "not_a_date": "not a date of the form YYYY-MM-DD",
    "date_before_the_day": "the event would have been before the day of the row",
    "outcome_contradicts_date": "the outcome is another one than the date of the event says",
}
_WORDS = {text: int(value) for text, value in readings("01", yes_or_no(yes="1", no="0")).items()}
# Two zeros behind a point are those of a data frame; three could be thousands.
_NUMBER = re.compile(r"([01])\.0{1,2}")
# A time of day says nothing more. Dates of other forms can be read in two ways.
_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ].*)?")


def outcome_told(outcome: object, happened: object, *, day: str, event: EventDay | None) -> "int | str":
    """Return the outcome that a line tells, or the code of what is wrong.

    Parameters
    ----------
    outcome, happened
        The cells of the outcome and of the day of the event. Where the file has a column for that day, a line with
        neither says that there was no event.
    day
        Of the row (YYYY-MM-DD).
    event
        None where the file has no column for the day of the event.
    """
    told = None if is_missing(outcome) else _outcome(str(outcome))
    if isinstance(told, str):
        return told
    if event is None:
        return "missing_value" if told is None else told
    if is_missing(happened):
        return told or 0
    by_date = _by_date(str(happened), day, event)
    if isinstance(by_date, str) or told is None or by_date == told:
        return by_date
    return "outcome_contradicts_date"


def _outcome(text: str) -> "int | str":
    plain = folded(text)
    number = _NUMBER.fullmatch(plain)
    if number is not None:
        return int(number[1])
    return _WORDS.get(plain, "not_0_or_1")


def _by_date(text: str, day: str, event: EventDay) -> "int | str":
    found = _DATE.fullmatch(text.strip())
    try:
        happened = date.fromisoformat(found[1]) if found else None
    except ValueError:  # digits that are no date
        happened = None
    if happened is None:
        return "not_a_date"
    after = (happened - date.fromisoformat(day)).days
    return "date_before_the_day" if after < 0 else int(after <= event.within_days)
