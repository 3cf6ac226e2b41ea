"""What is known of one patient's past when one encounter ends: ``history`` for a single encounter.

What belongs here: the rules of ``history``, on plain rows, for answers while somebody waits. What does not: those
rules for many encounters at once; both have to say the same of every encounter.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from itertools import pairwise
from math import floor
from typing import Any

from readmission_platform.encounters.cohort import MATURITY_DAYS, PREVIOUS_RETURN
from readmission_platform.encounters.history import DAY, HISTORY_COLUMNS

Row = Mapping[str, Any]
_EARLY, _LATE = "<30", ">30"
_TOLD: Mapping[Any, str] = {1: _EARLY, 0: _LATE}


def past_of(encounter: Row, known: Sequence[Row]) -> dict[str, Any]:
    """Describe the past of an encounter from what was known of its patient; see ``history.history_of``.

    Parameters
    ----------
    encounter, known
        ``history.KNOWN_COLUMNS`` and ``discharge_date``, None or absent where an encounter has none; of those known
        also ``readmitted`` and ``readmitted_30d``, where anything is known of them. None is a missing value.

    Returns
    -------
    ``HISTORY_COLUMNS``; numbers are floats, and what is not known is None.
    """
    earlier = _earlier(encounter, known)
    if not earlier:
        return {**dict.fromkeys(HISTORY_COLUMNS), "prior_encounters": 0.0, "prior_readmissions_30d": 0.0}
    as_of = encounter.get(DAY)
    outcomes = [_outcome(stay, following, as_of) for stay, following in pairwise([*earlier, encounter])]
    last = earlier[-1]
    return {
        "prior_encounters": float(len(earlier)),
        "prior_readmissions_30d": float(outcomes.count(_EARLY)),
        "previous_outcome": outcomes[-1] if outcomes[-1] in (_EARLY, _LATE) else None,
        "previous_time_in_hospital": float(last["time_in_hospital"]),
        "previous_disposition": float(last["discharge_disposition_id"]),
        "prior_mean_time_in_hospital": sum(float(stay["time_in_hospital"]) for stay in earlier) / len(earlier),
        "prior_max_number_inpatient": float(max(stay["number_inpatient"] for stay in earlier)),
    }


def _earlier(encounter: Row, known: Sequence[Row]) -> list[Row]:
    """Return what came before, in order: by the day of arrival, and by number among those of one day or without any."""
    as_of, number, patient = encounter.get(DAY), encounter["encounter_id"], encounter["entity_key"]
    # Of an encounter that is there several times the first row counts.
    first: dict[int, Row] = {}
    for row in known:
        arrived = row.get(DAY)
        if row["entity_key"] == patient and (arrived is None if as_of is None else (arrived or "") <= as_of):
            first.setdefault(row["encounter_id"], row)
    first.pop(number, None)
    keyed = sorted((row.get(DAY) or "", each) for each, row in first.items())
    return [first[each] for arrived, each in keyed if (arrived, each) < (as_of or "", number)]


def _outcome(stay: Row, following: Row, as_of: str | None) -> str | None:
    """Tell how a stay ended as far as that was known; see ``history`` for the order in which it is told."""
    arrived = stay.get(DAY)
    if as_of is None or arrived is None:
        return stay.get("readmitted")
    day = date.fromisoformat(arrived)
    matured = (day + timedelta(days=MATURITY_DAYS)).isoformat() <= as_of
    told = _TOLD.get(stay.get("readmitted_30d")) if matured else None
    if told == _EARLY:
        return told
    return next((said for said in (following.get(PREVIOUS_RETURN), told, _counted(day, following)) if said), None)


def _counted(day: date, following: Row) -> str | None:
    """Tell by the days from a discharge to the next admission; None where the stays overlap by more than a day."""
    gone = (date.fromisoformat(following[DAY]) - day).days - following["time_in_hospital"]
    if floor(gone) < -1:
        return None
    return _EARLY if floor(gone) <= MATURITY_DAYS else _LATE
