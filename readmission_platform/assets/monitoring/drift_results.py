"""What ``drift_report`` shows of itself: its checks and its page.

What belongs here: check results and metadata from judged rows. What does not: judging (``evaluation.drift.windows``),
and the words (``reports.drift``).
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import dagster as dg
import pandas as pd

from readmission_platform.assets.presentation import check_result, picture, table
from readmission_platform.evaluation.disclosure import rough_count
from readmission_platform.evaluation.drift.windows import DriftLimits, Verdict, alarming, completely_judged, verdicts
from readmission_platform.evaluation.words import Words
from readmission_platform.foundation.counting import counted, percent
from readmission_platform.governance.promotion.drift_acceptances import ceilings
from readmission_platform.lifecycle.monitoring.windows import Watched
from readmission_platform.lifecycle.workspace import Workspace
from readmission_platform.reports.drift import alarm_sentence, drift_folder, page_path, window_table

ALARM_CHECK, JUDGED_CHECK = "no_drift_alarm", "latest_windows_judged"
ALARM_RULE = "The rows that each version scores resemble its training data in nearly all of the latest windows."
JUDGED_RULES = {JUDGED_CHECK: "Every column of the latest windows was compared, so that any alarm would be raised."}
WINDOWS_SHOWN = 60


def alarm_result(
    watched: Sequence[Watched], rows: pd.DataFrame, limits: DriftLimits, words: Words
) -> dg.AssetCheckResult:
    """Return the check on the alarm: of each version what drifted, by how much, and what to do; only ever a warning.

    What somebody who may has accepted is no alarm; it is named, with the day until which it is.
    """
    said: list[str] = []
    told: list[str] = []
    accepted: list[str] = []
    alarms = 0
    for each in watched:
        ours = of_version(each, rows)
        found = verdicts(ours, limits, ceilings(each.accepted))
        drifted = alarming(found, limits)
        alarms += bool(drifted)
        named = (each.record.version, each.stage)
        told.append(
            alarm_sentence(*named, drifted, ours, words) if drifted else _calm_sentence(each, found, limits, words)
        )
        accepted += [acceptance.says() for acceptance in each.accepted]
        said += [told[-1], *(f"Accepted: {acceptance.says()}." for acceptance in each.accepted)]
    return dg.AssetCheckResult(
        check_name=ALARM_CHECK,
        passed=alarms == 0,
        severity=dg.AssetCheckSeverity.WARN,
        description=" ".join(said),
        metadata={
            # The UI sorts by name, and plots every number: how the windows drifted is drawn on the asset's page.
            "finding": " ".join(told),
            "limits": f"alarm: {limits.alarm_windows} of the latest {limits.of_windows} windows drifted; window: "
            f"{counted(limits.drifted_columns, 'column')} drifted; column: stability index {limits.column_score:g} "
            f"(risks: {limits.risk_score:g}), {percent(limits.missing_difference)} more missing, "
            f"{percent(limits.unseen_share)} never seen before",
            "rule": ALARM_RULE,
            "signed for": "; ".join(accepted) or "no drift",
        },
    )


def of_version(each: Watched, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a watched version."""
    return rows[rows["version"] == each.record.version]


def _calm_sentence(each: Watched, found: Sequence[Verdict], limits: DriftLimits, words: Words) -> str:
    named = f"Version {each.record.version} in {each.stage}"
    if not found:
        return f"{named}: collecting, about {rough_count(each.collecting)} {words.rows} so far; nothing to judge yet."
    latest = found[-limits.of_windows :]
    drifted = sum(verdict.drifted for verdict in latest)
    return (
        f"{named}: {drifted} of the latest {len(latest)} windows drifted; the alarm starts at {limits.alarm_windows}."
    )


def judged_result(
    watched: Sequence[Watched], rows: pd.DataFrame, limits: DriftLimits, met: Sequence[str] = ()
) -> dg.AssetCheckResult:
    """Return the check that the latest windows of each version have a score for every column.

    ``met`` says what was in the way of comparing a version.
    """
    left = [problem for each in watched for problem in _unjudged(each, of_version(each, rows), limits)]
    problems = [*met, *left]
    return check_result(
        JUDGED_CHECK, not problems, observed="; ".join(problems) or "all compared", rule=JUDGED_RULES[JUDGED_CHECK],
        action="Restore what is named as missing, or score the named days again; then materialize this asset again.",
    )  # fmt: skip


def _unjudged(each: Watched, rows: pd.DataFrame, limits: DriftLimits) -> Iterator[str]:
    named = f"version {each.record.version}"
    latest = each.windows[-limits.of_windows :]
    done = completely_judged(rows, latest, each.columns)
    for window in latest:
        if window not in done:
            yield f"{named}: window {window.number} ({window.first_day} to {window.last_day}) was not judged"
    blank = rows[rows["digest"].isin([window.digest for window in done]) & rows["score"].isna()]
    for number, column in blank[["window", "column"]].itertuples(index=False):
        yield f"{named}: window {number}, {column} cannot be judged"


def drift_metadata(
    watched: Sequence[Watched], rows: pd.DataFrame, limits: DriftLimits, workspace: Workspace
) -> dict[str, Any]:
    """Return what the asset's page shows of each version: its latest window by column, and all windows over time."""
    shown: dict[str, Any] = {"limits": dg.MetadataValue.json(asdict(limits))}
    for each in watched:
        ours, named = of_version(each, rows), f"{each.stage}: version {each.record.version}"
        shown[f"{named}, collecting"] = (
            f"about {rough_count(each.collecting)} of {workspace.monitoring.drift.window_rows} rows"
        )
        found = verdicts(ours, limits, ceilings(each.accepted))
        if found:
            shown |= {f"{named}, {what}": value for what, value in _shown(each, ours, found, workspace).items()}
    return shown


def _shown(each: Watched, rows: pd.DataFrame, found: Sequence[Verdict], workspace: Workspace) -> dict[str, Any]:
    latest = found[-1]
    folder = drift_folder(workspace.reports, each.record.version)
    page = page_path(folder, latest.first_day, latest.last_day)
    return {
        "latest window": table(window_table(rows[rows["window"] == latest.window])),
        "windows": table(_window_line(verdict) for verdict in found[-WINDOWS_SHOWN:]),
        "over time": _picture(found, len(each.columns) + 1),
        "Evidently's page": dg.MetadataValue.path(page) if page.exists() else "no longer kept",
    }


def _window_line(verdict: Verdict) -> dict[str, Any]:
    return {"window": verdict.window, "first day": verdict.first_day, "last day": verdict.last_day,
            "rows, about": rough_count(verdict.rows), "drifted": "yes" if verdict.drifted else "no",
            "columns": ", ".join(verdict.columns), "accepted": ", ".join(verdict.accepted)}  # fmt: skip


def _picture(found: Sequence[Verdict], columns: int) -> dg.MetadataValue:
    from readmission_platform.reports.pictures.evidence import drift_png

    windows = [
        {"window": each.window, "share": len(each.columns + each.accepted) / columns, "drifted": each.drifted}
        for each in found
    ]
    return picture(drift_png(windows), "Share of the watched columns that drifted, by window")
