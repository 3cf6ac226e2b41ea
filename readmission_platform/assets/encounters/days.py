"""How far each day is: landed, taken in, scored; the check that every day is complete by its hour.

What belongs here: comparing the landing zone with the lake, and the check. What does not: requesting the runs that fill
a gap (``automation.arrivals``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from zoneinfo import ZoneInfo

import dagster as dg
import pandas as pd

from readmission_platform.assets.partitions import FIRST_DAY, daily_partitions
from readmission_platform.assets.presentation import table
from readmission_platform.config.governance import EnvironmentConfig
from readmission_platform.encounters.contract import LANDING
from readmission_platform.lifecycle.days.scoring import DAY
from readmission_platform.lifecycle.versions.version_facts import ACCOUNTING_TABLE, SHADOW_TABLE
from readmission_platform.resources.lake import LakeResource
from readmission_platform.resources.project import ProjectResource
from readmission_platform.storage.lake import Lake
from readmission_platform.storage.landing import Landing

COMPLETE_CHECK = "every_day_complete"
_RULE = "Every day up to yesterday has its files, is taken in as they are now, and is scored, by the hour agreed on."
_ACTION = {
    "no_file": "Ask the source's interface for the files of these days.",
    "to_take_in": "Files are there and are not taken in; the sensor requests the runs, or run `readmission score`.",
    "to_score": "Discharges are taken in and not scored; look at the last scoring run.",
}


class Progress(Enum):
    """How far a day is."""

    no_file = "no_file"
    to_take_in = "to_take_in"
    to_score = "to_score"
    complete = "complete"


@dataclass(frozen=True)
class DayState:
    """A day, how far it is, and the digest of its files ("" where there are none)."""

    day: str
    progress: Progress
    fingerprint: str


def expected_days(landed: Sequence[str], rules: EnvironmentConfig, *, now: datetime, lookback: int) -> list[str]:
    """Return the days that have to be complete by now: from the first that ever landed, at most ``lookback`` back.

    Yesterday counts from the hour agreed on, in the hospital's time zone.
    """
    local = now.astimezone(ZoneInfo(rules.timezone))
    last = local.date() - timedelta(days=1 if local.hour >= rules.complete_by_hour else 2)
    if not landed:
        return []
    first = max(date.fromisoformat(landed[0]), last - timedelta(days=lookback - 1))
    return [(first + timedelta(days=offset)).isoformat() for offset in range((last - first).days + 1)]


def known_days(landing: Landing, *, today: date) -> list[str]:
    """Return the landed days that have a partition: from the first one to yesterday (a partition ends with its day)."""
    return [day for day in landing.days() if FIRST_DAY <= day < today.isoformat()]


def day_states(landing: Landing, lake: Lake, days: Sequence[str]) -> list[DayState]:
    """Tell of each day how far it is, by the files as they are now.

    A day that only the version in the shadow scored, before there was one in production, needs no work list any more.
    """
    accounts = _accounts(lake, days)
    scored, in_shadow = (_scored_from(lake, name, days) for name in ("daily_predictions", SHADOW_TABLE))
    began = _first_work_list(lake)
    states = []
    for day in days:
        fingerprint = landing.fingerprint(day)
        taken_in, written, accepted = accounts.get(day, ("", 0, 0))
        progress = Progress.complete
        if not fingerprint:
            progress = Progress.no_file
        elif fingerprint != taken_in:
            progress = Progress.to_take_in
        elif accepted and scored.get(day, -1) < written and (day >= began or in_shadow.get(day, -1) < written):
            progress = Progress.to_score
        states.append(DayState(day, progress, fingerprint))
    return states


def _accounts(lake: Lake, days: Sequence[str]) -> dict[str, tuple[str, int, int]]:
    """Return per day: the files it was taken in from, the table version that holds it, the encounters accepted."""
    if not lake.exists(ACCOUNTING_TABLE):
        return {}
    rows = lake.read(ACCOUNTING_TABLE, where={DAY: list(days)})
    if "files_digest" not in rows:  # taken in before the files were recorded
        return {}
    known = rows[rows["files_digest"].notna()]
    versions = known["discharges_version"].astype("int64")
    return {
        str(day): (str(digest), int(version), int(accepted))
        for day, digest, version, accepted in zip(
            known[DAY], known["files_digest"], versions, known["accepted"], strict=True
        )
    }


def _scored_from(lake: Lake, predictions: str, days: Sequence[str]) -> dict[str, int]:
    """Return per day the version of the discharges that its predictions were made from."""
    if not lake.exists(predictions):
        return {}
    if "discharges_version" not in {field.name for field in lake.open(predictions).schema().fields}:
        return {}  # scored before the input's version was recorded
    rows = lake.read(predictions, columns=[DAY, "discharges_version"], where={DAY: list(days)})
    versions = pd.to_numeric(rows["discharges_version"]).groupby(rows[DAY]).min()
    return {str(day): int(version) for day, version in versions.items()}


def _first_work_list(lake: Lake) -> str:
    if not lake.exists("daily_predictions"):
        return ""
    return str(lake.read("daily_predictions", columns=[DAY])[DAY].min())


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


@dg.asset_check(asset="daily_predictions", name=COMPLETE_CHECK, description=_RULE)
def every_day_complete(project: ProjectResource, lake: LakeResource) -> dg.AssetCheckResult:
    """Compare the days expected by now with the landing zone and the lake."""
    landing, rules = Landing(project.settings.landing, LANDING), project.environment_rules
    now = datetime.now(UTC)
    days = expected_days(
        known_days(landing, today=now.date()), rules, now=now, lookback=project.monitoring.gaps.lookback_days
    )
    return completeness(day_states(landing, lake.open(), days), strays(landing, today=now.date()))


def strays(landing: Landing, *, today: date) -> int:
    """Return how many folders of discharges are no day up to today: nobody would ever look into them."""
    folder = landing.folder()
    names = [path.name for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    days = {*daily_partitions.get_partition_keys(), today.isoformat()}
    return len(set(names) - days)


def completeness(states: Sequence[DayState], stray_folders: int = 0) -> dg.AssetCheckResult:
    """Judge the days expected by now; a missing day is an error, and blocks nothing."""
    behind = [state for state in states if state.progress is not Progress.complete]
    steps = [_ACTION[progress] for progress in dict.fromkeys(state.progress.value for state in behind)]
    if stray_folders:
        steps.append(f"{stray_folders} folders of landing/discharges are no day (YYYY-MM-DD) up to today; rename them.")
    count = f"{len(states) - len(behind)} of {len(states)} days complete"
    return dg.AssetCheckResult(
        check_name=COMPLETE_CHECK,
        passed=not behind and not stray_folders,
        severity=dg.AssetCheckSeverity.ERROR,
        description=" ".join([_RULE, f"Here: {count}.", *steps]),
        metadata={
            "days expected": len(states),
            "days incomplete": len(behind),
            "folders that are no day": stray_folders,
            "incomplete": table({"day": state.day, "what is missing": state.progress.value} for state in behind),
        },
    )
