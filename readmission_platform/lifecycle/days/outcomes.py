"""Outcomes of delivered rows: taking them in, which days have matured, and what training may learn from.

What belongs here: reading and comparing tables. What does not: judging rows of files (``intake.outcomes``), and writing
what was taken in (``assets.feed.outcomes``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd

from readmission_platform.evaluation.operation.shown import hidden_of_outcomes
from readmission_platform.intake.files import LandedFile
from readmission_platform.intake.outcomes import has_matured, take_in_outcomes
from readmission_platform.lifecycle.days.accounts import counts_taken_in
from readmission_platform.lifecycle.days.intake import delivered_before
from readmission_platform.lifecycle.days.progress import FIRST_DAY
from readmission_platform.lifecycle.days.unusual import NAMED_FOR
from readmission_platform.storage.landing import Landing, fingerprint_of
from readmission_platform.storage.tables import OUTCOME_ACCOUNTING, OUTCOME_FILES, OUTCOMES, ModelLake

COUNTS = ["expected", "received", "accepted", "quarantined", "duplicate"]
FILE_COUNTS = ["files", "files_quarantined"]
CONTRADICTED = "contradicted"


@dataclass(frozen=True)
class OutcomesTakenIn:
    """What is to be written of the outcomes of some days: as in ``OutcomeIntake``, the accepted with their entity."""

    accepted: pd.DataFrame
    accounts: pd.DataFrame
    quarantined: pd.DataFrame
    files: pd.DataFrame
    corrections: pd.DataFrame


def take_in_outcome_days(found: Mapping[str, Sequence[LandedFile]], lake: ModelLake, today: date) -> OutcomesTakenIn:
    """Take in the files of days."""
    contract, day = lake.contract, lake.day
    delivered = delivered_rows(lake, list(found))
    matured = {each for each in found if has_matured(each, today, contract.maturity_days)}
    intake = take_in_outcomes(
        found, contract.feed, maturity_days=contract.maturity_days, known_rows=delivered, matured=matured,
        delivered_before=delivered_before(lake, OUTCOME_FILES, found),
        now=datetime.now(UTC).isoformat(timespec="microseconds"),
    )  # fmt: skip
    accepted = intake.accepted.merge(delivered, on=[day, lake.row])[list(no_outcomes(lake).columns)]
    expected = intake.accounts[day].map(delivered.groupby(day).size()).fillna(0).astype("int64")
    # Without a digest a day that was too young is taken in again when it is old enough.
    digests = [fingerprint_of((file.name, file.digest) for file in files) if each in matured else ""
               for each, files in found.items()]  # fmt: skip
    accounts = intake.accounts.assign(expected=expected, files_digest=digests)
    accounts = accounts[[day, *COUNTS, *FILE_COUNTS, CONTRADICTED, "files_digest"]]
    return OutcomesTakenIn(accepted, accounts, intake.quarantined, intake.files, intake.corrections)


def no_outcomes(lake: ModelLake) -> pd.DataFrame:
    """Return the table of outcomes without rows."""
    empty = pd.DataFrame(columns=[lake.day, lake.row, "entity_key", lake.outcome])
    return empty.astype({lake.row: "int64", lake.outcome: "int8"})


def delivered_rows(lake: ModelLake, days: Sequence[str]) -> pd.DataFrame:
    """Return day, row and entity of the accepted rows of days."""
    columns = [lake.day, lake.row, "entity_key"]
    if not lake.exists(lake.names.delivered):
        return no_outcomes(lake)[columns]
    return lake.read(lake.names.delivered, columns=columns, where={lake.day: days})


def recorded_outcomes(lake: ModelLake, days: Sequence[str]) -> pd.DataFrame:
    """Return the outcomes taken in earlier of days that have no file any more: a run over a range keeps them."""
    if not days or not lake.exists(OUTCOMES):
        return no_outcomes(lake)
    return lake.read(OUTCOMES, columns=list(no_outcomes(lake).columns), where={lake.day: days})


def days_to_take_in(landing: Landing, lake: ModelLake, *, today: date) -> list[str]:
    """Return the days that are old enough and whose files or rows changed since outcomes were taken in."""
    maturity = lake.contract.maturity_days
    days = [day for day in landing.days("outcomes") if day >= FIRST_DAY and has_matured(day, today, maturity)]
    taken_in: dict[str, tuple[str, int]] = {}
    if days and lake.exists(OUTCOME_ACCOUNTING):
        rows = lake.read(
            OUTCOME_ACCOUNTING, columns=[lake.day, "files_digest", "expected"], where={lake.day: days}
        ).to_dict("records")
        taken_in = {str(row[lake.day]): (str(row["files_digest"]), int(row["expected"])) for row in rows}
    expected = delivered_rows(lake, days).groupby(lake.day).size()
    return [day for day in days
            if taken_in.get(day) != (landing.fingerprint(day, "outcomes"), int(expected.get(day, 0)))]  # fmt: skip


def day_maturity(lake: ModelLake, *, today: date, coverage: float) -> pd.DataFrame:
    """Tell of each day with accepted rows whether its outcomes are known.

    Parameters
    ----------
    coverage
        Share of a day's outcomes without which the day has not matured: those that come first are not like the rest.
        One that its source contradicts has come.

    Returns
    -------
    Indexed by day (text, ascending): ``expected`` and ``known`` rows, ``contradicted`` ones, ``coverage``, ``due`` (it
    is old enough) and ``matured``.
    """
    if not lake.exists(lake.names.delivered):
        return pd.DataFrame({name: [] for name in ("expected", "known", CONTRADICTED, "coverage", "due", "matured")})
    one, outcomes = [lake.day, lake.row], no_outcomes(lake)
    delivered = lake.read(lake.names.delivered, columns=one)
    if lake.exists(OUTCOMES):
        outcomes = lake.read(OUTCOMES, columns=one)
    known = pd.MultiIndex.from_frame(delivered[one]).isin(pd.MultiIndex.from_frame(outcomes[one]))
    days = delivered.assign(known=known).groupby(lake.day).agg(expected=(lake.row, "size"), known=("known", "sum"))
    days[CONTRADICTED] = 0
    if lake.exists(OUTCOME_ACCOUNTING):
        told = lake.read(OUTCOME_ACCOUNTING, columns=[lake.day, CONTRADICTED]).set_index(lake.day)[CONTRADICTED]
        days[CONTRADICTED] = told.reindex(days.index).fillna(0).astype("int64")
    days["coverage"] = (days["known"] + days[CONTRADICTED]) / days["expected"]
    days["due"] = [has_matured(str(day), today, lake.contract.maturity_days) for day in days.index]
    days["matured"] = days["due"] & (days["coverage"] >= coverage)
    return days


def matured_rows(lake: ModelLake, *, today: date, coverage: float) -> pd.DataFrame:
    """Return the accepted rows of matured days with their outcome beside their columns."""
    days = day_maturity(lake, today=today, coverage=coverage)
    matured = [str(day) for day in days.index[days["matured"].astype(bool)]]
    if not matured:
        feed = lake.contract.feed
        columns = [name for name in feed.columns if name not in {feed.entity, lake.day, lake.outcome}]
        return pd.DataFrame(columns=[lake.day, "entity_key", *columns, lake.outcome])
    one = [lake.day, lake.row]
    outcomes = lake.read(OUTCOMES, columns=[*one, lake.outcome], where={lake.day: matured})
    return lake.read(lake.names.delivered, where={lake.day: matured}).merge(outcomes, on=one)


def outcome_accounts(lake: ModelLake, days: Sequence[str]) -> list[dict[str, Any]]:
    """Return per day: expected, received, accepted, quarantined, duplicate, and the coverage (None: none expected).

    What would tell of 1 to 10 people is None. Besides these ``files`` and ``files_quarantined``.
    """
    rows, accounts, taken_in = outcome_counts(lake, days), [], counts_taken_in(lake, days)
    for day in days:
        counts, files = ({name: rows[day][name] for name in names} for names in (COUNTS, FILE_COUNTS))
        covered = counts["accepted"] / counts["expected"] if counts["expected"] else None
        hidden = hidden_of_outcomes(counts, taken_in.get(day, {}))
        shown = {name: None if name in hidden else value for name, value in (counts | {"coverage": covered}).items()}
        accounts.append({"date": day, **shown, **files})
    return accounts


def outcome_counts(lake: ModelLake, days: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return by day the counts of its outcomes and their files; all 0 for days not taken in."""
    rows = {}
    if lake.exists(OUTCOME_ACCOUNTING):
        rows = lake.read(OUTCOME_ACCOUNTING, where={lake.day: list(days)}).set_index(lake.day).to_dict("index")
    return {day: {name: int(rows.get(day, {}).get(name, 0)) for name in (*COUNTS, *FILE_COUNTS)} for day in days}


def days_of_nothing(lake: ModelLake, days: Sequence[str]) -> list[str]:
    """Return those of the days of whose outcomes none was accepted: every row or file was set aside."""
    if not lake.exists(OUTCOME_ACCOUNTING):
        return []
    rows = lake.read(OUTCOME_ACCOUNTING, where={lake.day: list(days)})
    aside = (rows["quarantined"] > 0) | (rows["files"] == rows["files_quarantined"])
    return sorted(rows.loc[(rows["accepted"] == 0) & aside, lake.day].astype(str))


def days_set_aside(lake: ModelLake, *, share: float, now: datetime) -> tuple[list[str], list[str]]:
    """Return the days whose outcomes came lately and were set aside, as far as they were not delivered again since.

    Parameters
    ----------
    share
        Of a day's rows: if more are set aside, the day is named.

    Returns
    -------
    The days with files set aside as a whole, and those with too many rows set aside ("(all)" is said of some). Days too
    young are among neither: they are taken in again.
    """
    from pyarrow import compute

    since = (now - NAMED_FOR).isoformat(timespec="seconds")
    lately = lake.read(OUTCOME_FILES, kept=compute.field("first_taken_in") >= since)[lake.day]
    rows = lake.read(OUTCOME_ACCOUNTING, where={lake.day: sorted(set(lately))})
    rows = rows[rows["files_digest"] != ""].sort_values(lake.day)
    files, many = rows["files_quarantined"] > 0, rows["quarantined"] > share * rows["received"]
    said = rows[lake.day].where(rows["quarantined"] < rows["received"], rows[lake.day] + " (all)")
    return list(rows.loc[files, lake.day]), list(said[many])
