"""Drift: windows of days, what of a window has drifted, and when that is an alarm.

What belongs here: pure rules on rows. What does not: measuring a window (``stability``), and what the limits are.
A score that is not a number counts as drifted: what cannot be judged is not in order.
"""

import hashlib
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from readmission_platform.evaluation.drift.kinds import DRIFT, MISSING, RISK, UNSEEN

# By column and measure, up to which score drift has been accepted.
Accepted = Mapping[tuple[str, str], float]


@dataclass(frozen=True)
class DriftLimits:
    """From which score on a column has drifted, from how many columns on a window has, and when that is an alarm."""

    column_score: float
    risk_score: float
    missing_difference: float
    unseen_share: float
    drifted_columns: int
    alarm_windows: int
    of_windows: int

    def of(self, column: str, measure: str) -> float:
        """Return the limit of one measure of a column."""
        if measure == DRIFT:
            return self.risk_score if column == RISK else self.column_score
        return {MISSING: self.missing_difference, UNSEEN: self.unseen_share}[measure]


@dataclass(frozen=True)
class Window:
    """Whole days in order that hold enough rows together.

    ``number`` counts from 1 and does not change when days are appended. ``digest`` identifies the rows, what is
    known of them, and what they are compared with: with another digest it has to be judged again.
    """

    number: int
    first_day: str
    last_day: str
    rows: int
    digest: str


def windows_of(scored: pd.DataFrame, *, size: int, compared_with: str) -> tuple[list[Window], int]:
    """Cut scored rows into windows.

    Parameters
    ----------
    scored
        ``row`` (what identifies it), ``day`` (text, YYYY-MM-DD) and ``content`` (text that changes when what is known
        of the row does).
    size
        A window closes with the day on which it holds so many rows.
    compared_with
        Text that changes when the comparison would be another one.

    Returns
    -------
    The closed windows in order, and how many rows wait in the open rest.
    """
    found: list[Window] = []
    waiting: list[tuple[str, pd.DataFrame]] = []
    held = 0
    for day, rows in scored.groupby("day", sort=True):
        waiting.append((str(day), rows))
        held += len(rows)
        if held >= size:
            found.append(_closed(len(found) + 1, waiting, compared_with))
            waiting, held = [], 0
    return found, held


def _closed(number: int, days: Sequence[tuple[str, pd.DataFrame]], compared_with: str) -> Window:
    rows = pd.concat([each for _, each in days])
    running = hashlib.sha256(compared_with.encode())
    for line in sorted(f"{row} {content}" for row, content in zip(rows["row"], rows["content"], strict=True)):
        running.update(f"\n{line}".encode())
    return Window(number, days[0][0], days[-1][0], len(rows), "sha256:" + running.hexdigest())


def judged(rows: pd.DataFrame, limits: DriftLimits) -> pd.DataFrame:
    """Return measured rows with the ``limit`` that applies and whether the score has reached it (``drifted``)."""
    applied = [limits.of(column, measure) for column, measure in zip(rows["column"], rows["measure"], strict=True)]
    limit = pd.Series(applied, index=rows.index, dtype="float64")
    # Not `score >= limit`, which a score that is not a number would pass.
    return rows.assign(limit=limit, drifted=~(rows["score"].astype("float64") < limit))


@dataclass(frozen=True)
class Verdict:
    """What one judged window comes to: its drifted columns, and whether they make it a drifted one.

    ``accepted`` are columns that have drifted no further than was accepted; they are not among ``columns``.
    """

    window: int
    first_day: str
    last_day: str
    rows: int
    columns: tuple[str, ...]
    drifted: bool
    accepted: tuple[str, ...] = ()


def is_accepted(rows: pd.DataFrame, accepted: Accepted) -> pd.Series:
    """Tell of judged rows which have drifted, and no further than was accepted; a score that is not a number has not.

    Parameters
    ----------
    rows
        ``column``, ``measure``, ``score``, ``drifted``, of one version.
    """
    up_to = [accepted.get(key, -math.inf) for key in zip(rows["column"], rows["measure"], strict=True)]
    return rows["drifted"] & (rows["score"].astype("float64") <= pd.Series(up_to, index=rows.index, dtype="float64"))


def verdicts(rows: pd.DataFrame, limits: DriftLimits, accepted: Accepted | None = None) -> list[Verdict]:
    """Judge the windows of one version, in their order.

    A window has drifted when enough columns have, each by whichever measure, or when the predicted risks have. A
    column counts unless each of its measures that drifted was accepted.

    Parameters
    ----------
    rows
        ``window``, ``first_day``, ``last_day``, ``rows``, ``column``, ``measure``, ``score``.
    """
    found = []
    marked = judged(rows, limits)
    marked = marked.assign(accepted=is_accepted(marked, accepted or {}))
    for number, window in marked.groupby("window", sort=True):
        columns = tuple(dict.fromkeys(window.loc[window["drifted"] & ~window["accepted"], "column"]))
        allowed = dict.fromkeys(window.loc[window["accepted"], "column"])
        inputs = [column for column in columns if column != RISK]
        first = window.iloc[0]
        found.append(
            Verdict(
                window=int(str(number)),
                first_day=str(first["first_day"]),
                last_day=str(first["last_day"]),
                rows=int(first["rows"]),
                columns=columns,
                drifted=RISK in columns or len(inputs) >= limits.drifted_columns,
                accepted=tuple(column for column in allowed if column not in columns),
            )
        )
    return found


def alarming(found: Sequence[Verdict], limits: DriftLimits) -> list[Verdict]:
    """Return the drifted ones among the latest windows if they are enough for an alarm, else nothing."""
    latest = sorted(found, key=lambda each: each.window)[-limits.of_windows :]
    drifted = [each for each in latest if each.drifted]
    return drifted if len(drifted) >= limits.alarm_windows else []


def completely_judged(rows: pd.DataFrame, windows: Sequence[Window], columns: Collection[str]) -> list[Window]:
    """Return the windows of which these rows hold every column's score, and of the rows they hold now.

    Parameters
    ----------
    rows
        ``window``, ``digest``, ``column``, ``measure``.
    columns
        The columns compared, without the risk.
    """
    drift = rows[rows["measure"] == DRIFT]
    needed = {*columns, RISK}
    scored = {(int(str(number)), str(digest)): set(each["column"]) for (number, digest), each in
              drift.groupby(["window", "digest"])}  # fmt: skip
    return [window for window in windows if needed <= scored.get((window.number, window.digest), set())]
