"""Whether the version in production is to be taken back because of the days it has scored.

What belongs here: measuring its latest days against the limits of the environment. What does not: taking it back
(``governance.promotion.rollback``), and who may (``docs/rollouts.md``).

A day with few rows says little, so the latest days are judged together until they hold enough rows. Risks are compared
with those the version gave in the shadow, or, where it never ran there, with those of the version before it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from readmission_platform.config.rollouts import DayLimits
from readmission_platform.evaluation.disclosure import shown_share
from readmission_platform.foundation.counting import percent
from readmission_platform.governance.ledger.chain import Event, Pointer
from readmission_platform.governance.ledger.versions import VersionRecord
from readmission_platform.governance.promotion.approved import PROMOTED
from readmission_platform.governance.promotion.placement import live_problem
from readmission_platform.governance.promotion.rollback import version_before
from readmission_platform.lifecycle.versions.shadow_days import shadow_rows
from readmission_platform.storage.tables import ACCOUNTING, PREDICTIONS, ModelLake


@dataclass(frozen=True)
class DaysJudged:
    """What the latest days of a version came to; ``failed`` names each limit that is broken, fit to be shown."""

    first_day: str
    last_day: str
    failed: tuple[str, ...]

    @property
    def reason(self) -> str:
        """Why the version is taken back, as it is recorded."""
        return f"by policy, days {self.first_day} to {self.last_day}: {'; '.join(self.failed)}"


def former_version(pointer: Pointer, events: Sequence[Event]) -> str | None:
    """Return the version that policy may go back to; None where it has to leave production alone.

    Only what a promotion has brought into production is taken back by itself: a version that a rollback has brought
    back stays, whatever its days are like, and a person decides. The version before it has to have been approved.

    Parameters
    ----------
    pointer
        Of production.
    events
        All events of the model and its environment, in order.
    """
    moved = next((event for event in events if event.seq == pointer.seq), None)
    if moved is None or moved.kind != PROMOTED:
        return None
    before = version_before(events)
    return None if before is None or live_problem(before, events) else before


def judge_days(
    lake: ModelLake, record: VersionRecord, before: str, *, since: str, limits: DayLimits
) -> DaysJudged | None:
    """Judge the latest days that a version scored for the work lists; None while these hold too few rows.

    Parameters
    ----------
    before
        The version that was in production before it.
    since
        When it went into production (UTC, ISO 8601).
    """
    if not lake.exists(PREDICTIONS):
        return None
    listed = lake.read(PREDICTIONS, columns=[lake.day, "risk", "status", "model_version", "scored_at"])
    own = listed[(listed["model_version"] == record.version) & (_moments(listed) >= pd.Timestamp(since).floor("s"))]
    rows = _latest(own, lake.day, limits.min_rows)
    if rows is None:
        return None
    days = sorted(map(str, rows[lake.day].unique()))
    shadow = shadow_rows(lake, record)
    reference = shadow["risk"].dropna()
    if len(reference) < limits.min_rows:
        reference = listed.loc[listed["model_version"] == before, "risk"].dropna()
    failed = [
        *_share("withheld", float(rows["status"].eq("withheld").mean()), limits.withheld_share, len(rows)),
        *_unanswered(lake, rows, days, limits.failed_share),
        *_shifted(rows["risk"].dropna(), reference, limits),
    ]
    return DaysJudged(days[0], days[-1], tuple(failed))


def _moments(rows: pd.DataFrame) -> "pd.Series[Any]":
    return pd.to_datetime(rows["scored_at"], utc=True, format="ISO8601")


def _latest(rows: pd.DataFrame, day: str, needed: int) -> pd.DataFrame | None:
    """Return the rows of the fewest latest days that hold as many as are needed."""
    counts = rows.groupby(day).size().sort_index(ascending=False)
    enough = counts.cumsum() >= needed
    return rows[rows[day] >= enough.idxmax()] if enough.any() else None


def _share(what: str, share: float, limit: float, of: int) -> list[str]:
    if share <= limit:
        return []
    shown = shown_share(share, of)
    return [f"{what}: {'more' if shown is None else percent(shown)} of the rows, at most {percent(limit)} allowed"]


def _unanswered(lake: ModelLake, rows: pd.DataFrame, days: Sequence[str], limit: float) -> list[str]:
    accounted = lake.read(ACCOUNTING, columns=[lake.day, "accepted"], where={lake.day: days})
    accepted = int(accounted["accepted"].sum())
    return _share("not answered", max(0.0, 1 - len(rows) / accepted), limit, accepted) if accepted else []


def _shifted(risks: "pd.Series[float]", reference: "pd.Series[float]", limits: DayLimits) -> list[str]:
    """Compare the means in standard deviations of the reference; what cannot be compared breaks no limit."""
    if min(len(risks), len(reference)) < limits.min_rows:
        return []
    deviation = float(np.std(reference, ddof=1))
    shift = (float(risks.mean()) - float(reference.mean())) / deviation if deviation > 0 else math.nan
    if not abs(shift) > limits.score_shift:
        return []
    return [f"risks shifted by {shift:+.2f} standard deviations, at most {limits.score_shift:g} allowed"]
