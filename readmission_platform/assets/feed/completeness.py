"""The check that every day is complete by its hour.

What belongs here: the check. What does not: how far a day is (``lifecycle.days.progress``), and requesting the runs
that fill a gap (``automation.arrivals``).
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import dagster as dg

from readmission_platform.assets.model_assets import ModelAssets
from readmission_platform.assets.presentation import table
from readmission_platform.foundation.counting import counted
from readmission_platform.lifecycle.days.progress import (
    DayState,
    Progress,
    abandoned,
    day_states,
    expected_days,
    hospital_day,
    known_days,
    strays,
)
from readmission_platform.lifecycle.workspace import Platform
from readmission_platform.storage.landing import ABANDONED_HOURS
from readmission_platform.storage.tables import PREDICTIONS

COMPLETE_CHECK = "every_day_complete"
_RULE = (
    "By the agreed hour, every day up to yesterday has files, all of them have been taken in, and the day is scored."
)
_ACTION = {
    "no_file": "Ask the source's interface for the files of these days.",
    "to_take_in": "Files are there and are not taken in; the sensor requests the runs, or run `readmission score`.",
    "to_score": "Rows are taken in and not scored, or predictions or work list are not those recorded; look at the "
    "last scoring run, or run `readmission score`.",
    "nothing_accepted": "Every row or file of these days was set aside; `readmission quarantine list` says why. Have "
    "them delivered again.",
}


def completeness_check(model: ModelAssets) -> dg.AssetChecksDefinition:
    """Return the check on the predictions that every day is complete."""

    @dg.asset_check(asset=model.key(PREDICTIONS), name=COMPLETE_CHECK, description=_RULE)
    def every_day_complete(platform: dg.ResourceParam[Platform]) -> dg.AssetCheckResult:
        workspace = model.workspace(platform)
        landing, now, gaps = workspace.landing, datetime.now(UTC), workspace.monitoring.gaps
        today = hospital_day(workspace.rules, now)
        landed = known_days(landing, today=today)
        days = expected_days(landed, workspace.rules, now=now, lookback=gaps.lookback_days)
        states = day_states(workspace, days)
        return completeness(states, strays(workspace, today=today), abandoned(landing, now=now))

    return every_day_complete


def completeness(
    states: Sequence[DayState], stray: Mapping[str, int] | None = None, left: Mapping[str, int] | None = None
) -> dg.AssetCheckResult:
    """Judge the days expected by now; a missing day is an error, and blocks nothing.

    Parameters
    ----------
    stray
        How much lies beside the folders of days, by folder of the landing zone; under an empty name, beside those
        folders.
    left
        How much somebody began to write and left, by folder.
    """
    beside, unfinished = stray or {}, left or {}
    behind = [state for state in states if state.progress is not Progress.complete]
    steps = [_ACTION[progress] for progress in dict.fromkeys(state.progress.value for state in behind)]
    steps += [
        f"{counted(count, 'entry', 'entries')} beside the folders of days in landing/{folder} that nobody looks into: "
        "move files into the folder of their day, name folders by a day (YYYY-MM-DD) up to today, remove the rest."
        for folder, count in beside.items()
        if folder
    ]
    if "" in beside:
        steps.append(f"{counted(beside[''], 'entry', 'entries')} directly in landing/ that no model reads: move files "
                     "into the folder of their kind and day, remove the rest.")  # fmt: skip
    steps += [
        f"{counted(count, 'unfinished file')} in landing/{folder}, not changed for {ABANDONED_HOURS} hours: have the "
        "source deliver again, and remove what it left."
        for folder, count in unfinished.items()
    ]
    count = f"{len(states) - len(behind)} of {counted(len(states), 'day')} complete"
    return dg.AssetCheckResult(
        check_name=COMPLETE_CHECK,
        passed=not behind and not beside and not unfinished,
        severity=dg.AssetCheckSeverity.ERROR,
        description=" ".join([_RULE, f"Here: {count}.", *steps]),
        metadata={
            # The UI sorts by name and plots every number, so that only what is worth a plot is one.
            "at the moment": count,
            "beside the folders of days": str(sum(beside.values())),
            "days incomplete": len(behind),
            "left unfinished": str(sum(unfinished.values())),
            "incomplete": table({"day": state.day, "what is missing": state.progress.value} for state in behind),
        },
    )
