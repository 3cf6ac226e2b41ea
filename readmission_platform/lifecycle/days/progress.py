"""How far each day is: landed, taken in, scored.

What belongs here: comparing the landing zone with the lake. What does not: the check that says so
(``assets.feed.completeness``), and requesting the runs that fill a gap (``automation.arrivals``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pandas as pd

from readmission_platform.config.governance import EnvironmentConfig
from readmission_platform.foundation.errors import BadInput
from readmission_platform.lifecycle.days.intake import due_again
from readmission_platform.lifecycle.days.replay import manifest_of
from readmission_platform.lifecycle.days.seals import changed_days, recorded_digests
from readmission_platform.lifecycle.workspace import Workspace
from readmission_platform.reports.work_list import FOLDER, made_from
from readmission_platform.storage.landing import Kind, Landing
from readmission_platform.storage.tables import ACCOUNTING, PREDICTIONS, SHADOW, ModelLake

# Daily partitions begin here; nothing earlier is taken in.
FIRST_DAY = "2020-01-01"


class Progress(Enum):
    """How far a day is."""

    no_file = "no_file"
    to_take_in = "to_take_in"
    to_score = "to_score"
    nothing_accepted = "nothing_accepted"
    complete = "complete"


@dataclass(frozen=True)
class DayState:
    """A day, how far it is, the digest of its files ("" where there are none), and how often it was taken in."""

    day: str
    progress: Progress
    fingerprint: str
    taken_in: int = 0


def hospital_day(rules: EnvironmentConfig, now: datetime | None = None) -> date:
    """Return the date in the hospital's time zone, now or at a moment: what the days and their age are counted in."""
    return (now or datetime.now(UTC)).astimezone(ZoneInfo(rules.timezone)).date()


def expected_days(landed: Sequence[str], rules: EnvironmentConfig, *, now: datetime, lookback: int) -> list[str]:
    """Return the days that have to be complete by now: every one that landed, and those between from ``lookback`` on.

    Yesterday counts from the hour agreed on, in the hospital's time zone.

    Parameters
    ----------
    landed
        The days that have files, ascending.
    lookback
        How many days back a day without files is missed.
    """
    local = now.astimezone(ZoneInfo(rules.timezone))
    last = local.date() - timedelta(days=1 if local.hour >= rules.complete_by_hour else 2)
    if not landed:
        return []
    first = max(date.fromisoformat(landed[0]), last - timedelta(days=lookback - 1))
    between = [(first + timedelta(days=offset)).isoformat() for offset in range((last - first).days + 1)]
    return [*(day for day in landed if day < first.isoformat()), *between]


def known_days(landing: Landing, *, today: date) -> list[str]:
    """Return the landed days that have a partition: from the first one to today.

    Parameters
    ----------
    today
        In the hospital (:func:`hospital_day`).
    """
    return [day for day in landing.days() if is_partition(day, today=today)]


def is_partition(day: str, *, today: date) -> bool:
    """Tell whether a day has a partition: it has begun, and is not before the first; ``today`` as for known_days."""
    return FIRST_DAY <= day <= today.isoformat()


def check_days(days: Sequence[str], rules: EnvironmentConfig) -> None:
    """Make sure that every day has a partition.

    Raises
    ------
    BadInput
        Naming the first that has none.
    """
    today = hospital_day(rules)
    strange = next((day for day in days if not is_partition(day, today=today)), None)
    if strange is not None:
        raise BadInput(f"{strange} is not a day from {FIRST_DAY} to today, which is {today} in {rules.timezone}")


def day_states(workspace: Workspace, days: Sequence[str]) -> list[DayState]:
    """Tell of each day how far it is, by the files as they are now.

    A day is scored when its predictions are those that the ledger recorded, and listed when its work list is made of
    these. A day of which nothing was accepted, because every row or file was set aside, is not complete: somebody has
    to look. One that only the version in the shadow scored, before there was one in production, needs no work list any
    more.
    """
    landing, lake = workspace.landing, workspace.lake
    accounts, unsettled = _accounts(lake, days), _unsettled(workspace, days)
    scored, in_shadow = (_scored_from(lake, name, days) for name in (PREDICTIONS, SHADOW))
    began, moved = _first_work_list(lake), due_again(lake, days)
    states = []
    for day in days:
        fingerprint = landing.fingerprint(day)
        account = accounts.get(day, _NO_ACCOUNT)
        written = account.delivered_version
        progress = Progress.complete
        if not fingerprint:
            progress = Progress.no_file
        elif fingerprint != account.files_digest or day in moved:
            progress = Progress.to_take_in
        elif account.accepted and (
            day in unsettled or (scored.get(day, -1) < written and (day >= began or in_shadow.get(day, -1) < written))
        ):
            progress = Progress.to_score
        elif not account.accepted and day in {*scored, *in_shadow, *unsettled}:
            progress = Progress.to_score  # everybody has moved to other days, and is on the list of this one still
        elif not account.accepted and (account.quarantined or account.files == account.files_quarantined):
            progress = Progress.nothing_accepted
        states.append(DayState(day, progress, fingerprint, account.times))
    return states


def _unsettled(workspace: Workspace, days: Sequence[str]) -> set[str]:
    """Return the days whose predictions are not those recorded, or whose work list is not made of them."""
    with workspace.ledger() as ledger:
        changed = [changed_days(workspace.lake, ledger, table, days=days) for table in (PREDICTIONS, SHADOW)]
        recorded = recorded_digests(ledger, PREDICTIONS)
    folder = workspace.reports / FOLDER
    return set().union(*changed, (day for day in days if day in recorded and made_from(folder / day) != recorded[day]))


class _Account(NamedTuple):
    """The files a day was taken in from, the table version that holds it, what became of its rows, and how often."""

    files_digest: str
    delivered_version: int
    received: int
    accepted: int
    quarantined: int
    files: int
    files_quarantined: int
    times: int


_ACCOUNTED = ["files_digest", "delivered_version", "received", "accepted", "quarantined", "files", "files_quarantined",
              "times_taken_in"]  # fmt: skip
_NO_ACCOUNT = _Account("", 0, 0, 0, 0, 0, 0, 0)


def _accounts(lake: ModelLake, days: Sequence[str]) -> dict[str, _Account]:
    if not lake.exists(ACCOUNTING):
        return {}
    rows = lake.read(ACCOUNTING, where={lake.day: list(days)})
    return {
        str(day): _Account(str(digest), *map(int, numbers))
        for day, digest, *numbers in zip(*(rows[name] for name in [lake.day, *_ACCOUNTED]), strict=True)
    }


def _scored_from(lake: ModelLake, predictions: str, days: Sequence[str]) -> dict[str, int]:
    """Return per day the version of the delivered rows that its predictions were made from."""
    if not lake.exists(predictions):
        return {}
    rows = lake.read(predictions, columns=[lake.day, "delivered_version"], where={lake.day: list(days)})
    versions = pd.to_numeric(rows["delivered_version"]).groupby(rows[lake.day]).min()
    return {str(day): int(version) for day, version in versions.items()}


_NEVER = date.max.isoformat()


def _first_work_list(lake: ModelLake) -> str:
    """Return the first day that has a list: none is missed of the days before."""
    if not lake.exists(PREDICTIONS):
        return ""
    return min(lake.partitions(PREDICTIONS), default=_NEVER)


def stretches(days: Sequence[str], *, longest: int) -> list[list[str]]:
    """Group ascending days that follow each other, at most ``longest`` together: each group is one run."""
    found: list[list[str]] = []
    for day in days:
        before = (date.fromisoformat(day) - timedelta(days=1)).isoformat()
        if found and found[-1][-1] == before and len(found[-1]) < longest:
            found[-1].append(day)
        else:
            found.append([day])
    return found


def strays(workspace: Workspace, *, today: date) -> dict[str, int]:
    """Count the entries beside the folders of days, by the folder that they lie in: nobody would look into them.

    Of rows and of outcomes: files, and folders that are not named for a day up to today. Of the landing zone itself
    (under an empty name): files that are not the platform's, and folders that no model reads; while a model is broken,
    nobody knows which those are.
    """
    landing = workspace.landing
    kinds: tuple[Kind, ...] = ("rows", "outcomes")
    found = {landing.folder(kind).name: sum(not _is_day_up_to(name, today) for name in landing.entries(kind))
             for kind in kinds}  # fmt: skip
    zones = [each.landing for each in workspace.platform.workspaces]
    known = {name for zone in zones for name in (zone.folders.rows, zone.folders.outcomes, manifest_of(zone).name)}
    broken = bool(workspace.platform.broken)
    found[""] = sum(path.name not in known and not (broken and path.is_dir()) for path in landing.beside())
    return {folder: count for folder, count in found.items() if count}


def abandoned(landing: Landing, *, now: datetime) -> dict[str, int]:
    """Count what somebody began to write and left, by the folder of rows or outcomes that it lies in."""
    kinds: tuple[Kind, ...] = ("rows", "outcomes")
    found = {landing.folder(kind).name: landing.abandoned(kind, now=now.timestamp()) for kind in kinds}
    return {folder: count for folder, count in found.items() if count}


def _is_day_up_to(name: str, today: date) -> bool:
    try:
        day = date.fromisoformat(name)
    except ValueError:
        return False
    return day.isoformat() == name and name >= FIRST_DAY and day <= today
