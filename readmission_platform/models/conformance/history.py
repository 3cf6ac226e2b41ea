"""Promises about what is known when: history looks backwards, and training and serving see the same.

What belongs here: what ``inputs_of`` and ``with_matured`` may know. What does not: shapes (``data``).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd

from readmission_platform.evaluation.leakage import changed_without_future
from readmission_platform.models.conformance.subject import KEY, Subject, differing

Promise = tuple[str, str | None]
# Delivered rows are given days from here on, a few a day.
_FIRST_DAY = date(2020, 1, 1)
_DAYS = 12


def promises(subject: Subject) -> Iterator[Promise]:
    """Yield each promise with what is wrong, or None."""
    yield "history looks backwards", _looks_ahead(subject)
    yield "a row's own outcome is not among its inputs", _knows_itself(subject)
    yield "training and serving see the same inputs", _apart(subject)
    later = _later_half(subject)
    yield "a delivered row knows what had arrived and matured by its day", _knows_too_much(subject, later)
    yield "the source's own rows know nothing of delivered ones", _knows_delivered(subject, later)
    yield "matured rows join the development part", _matured(subject, later)


def _looks_ahead(subject: Subject) -> str | None:
    data = subject.contract.data
    changed = changed_without_future(subject.development, lambda rows: data.inputs_of(rows, rows), data.forget)
    return f"inputs that change without the future: {', '.join(sorted(changed))}" if changed else None


def _knows_itself(subject: Subject) -> str | None:
    data, rows = subject.contract.data, subject.development
    last = ~rows["entity_key"].duplicated(keep="last").to_numpy()
    forgotten = data.forget(rows, last)
    changed = differing(subject.inputs[last], data.inputs_of(forgotten, forgotten)[last])
    return f"inputs that tell it: {', '.join(changed)}" if changed else None


def _apart(subject: Subject) -> str | None:
    """Present the last row of each entity that has a past as it is delivered, against what the platform knows."""
    rows = subject.development
    last = rows[~rows["entity_key"].duplicated(keep="last") & rows["entity_key"].duplicated(keep="first")]
    if last.empty:
        return "no entity has a past: more rows are needed to try this"
    served = subject.contract.data.inputs_of(subject.presented(last), subject.known(rows))
    changed = differing(subject.inputs.loc[last.index], served)
    return f"inputs that differ: {', '.join(changed)}" if changed else None


@dataclass(frozen=True)
class _Later:
    """The later half of the rows as if they had arrived on days, with outcomes, and the cohort they came from."""

    cohort: pd.DataFrame
    own: pd.DataFrame
    delivered: pd.DataFrame


def _later_half(subject: Subject) -> _Later:
    """Deliver the later half in the order of time, a maturity and a half from the first day to the last."""
    contract = subject.contract
    cohort = contract.data.cohort(subject.raw, key=KEY, replay_share=0.5)
    later = cohort[cohort["part"] == "replay"].reset_index(drop=True)
    step = max(contract.maturity_days * 3 // 2 // (_DAYS - 1), 1)
    position = np.arange(len(later)) * _DAYS // max(len(later), 1)
    days = [(_FIRST_DAY + timedelta(days=int(place) * step)).isoformat() for place in position]
    delivered = subject.presented(later)
    delivered[contract.outcome], delivered[contract.day] = later[contract.outcome], days
    return _Later(cohort, cohort[cohort["part"] == "development"].reset_index(drop=True), delivered)


def _all_known(subject: Subject, later: _Later) -> pd.DataFrame:
    own = subject.known(later.own).assign(**{subject.contract.day: None})
    arrived = later.delivered.copy()
    for name in subject.contract.data.source_columns:
        arrived[name] = None
    return pd.concat([own, subject.known(arrived)], ignore_index=True)


def _knows_too_much(subject: Subject, later: _Later) -> str | None:
    contract, known = subject.contract, _all_known(subject, later)
    asked = later.delivered.drop(columns=contract.outcome)
    together = contract.data.inputs_of(asked, known)
    found: set[str] = set()
    for day, rows in asked.groupby(contract.day):
        arrived = known[known[contract.day].isna() | (known[contract.day].fillna("") <= day)].copy()
        since = (date.fromisoformat(str(day)) - timedelta(days=contract.maturity_days)).isoformat()
        open_yet = arrived[contract.day].notna() & (arrived[contract.day].fillna("") > since)
        arrived[contract.outcome] = arrived[contract.outcome].astype("float64").mask(open_yet)
        found |= set(differing(together.loc[rows.index], contract.data.inputs_of(rows, arrived)))
    if found:
        return f"inputs that know later days or outcomes: {', '.join(sorted(found))}"
    flipped = known.assign(**{contract.outcome: np.where(known[contract.day].isna(), known[contract.outcome],
                                                         1 - known[contract.outcome])})  # fmt: skip
    first = asked[asked[contract.day] == asked[contract.day].min()]
    changed = differing(together.loc[first.index], contract.data.inputs_of(first, flipped))
    return f"inputs that know outcomes before they matured: {', '.join(changed)}" if changed else None


def _knows_delivered(subject: Subject, later: _Later) -> str | None:
    data = subject.contract.data
    alone, beside = data.inputs_of(later.own, later.own), data.inputs_of(later.own, _all_known(subject, later))
    changed = differing(alone, beside)
    return f"inputs that change: {', '.join(changed)}" if changed else None


def _matured(subject: Subject, later: _Later) -> str | None:
    contract, cohort, delivered = subject.contract, later.cohort, later.delivered
    joined = contract.data.with_matured(cohort, delivered)
    if set(joined.columns) != {*cohort.columns, contract.day}:
        return "the columns are not those of the cohort and the day"
    added = joined[joined[contract.day].notna()]
    expected = delivered.set_index(contract.row)[contract.outcome]
    if set(added[contract.row]) != set(expected.index) or joined[contract.row].duplicated().any():
        return "the rows with a day are not those that matured, once each"
    if set(added["part"]) != {"development"} or len(joined) != len(cohort):
        return "matured rows do not leave the replay part for the development part"
    if (added[contract.outcome].to_numpy() != expected.loc[added[contract.row]].to_numpy()).any():
        return "an outcome is not the one that was delivered"
    if not (np.diff(joined["clock"]) >= 0).all() or joined["clock"].max() >= 1:
        return "clock does not rise from 0 to below 1"
    nothing = contract.data.with_matured(cohort, delivered.head(0)[[contract.row]])
    return None if nothing[contract.row].equals(cohort[contract.row]) else "without any, the cohort changes"
