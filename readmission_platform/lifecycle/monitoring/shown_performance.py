"""Matured performance beside what validation promised, chosen for the page from the table of figures.

What belongs here: which measures, cohorts and months are shown in which order. What does not: measuring and judging
(``live_verdicts``), and how it looks (``reports.monitor``).
"""

from typing import Any

import pandas as pd

from readmission_platform.config.monitoring import PerformanceConfig
from readmission_platform.evaluation.operation.catalogue import MEASURES
from readmission_platform.evaluation.operation.cohorts import ALL, SEEN, UNSEEN
from readmission_platform.evaluation.operation.figures import MEASURED
from readmission_platform.evaluation.words import Wording
from readmission_platform.foundation.counting import counted
from readmission_platform.foundation.values import Limits
from readmission_platform.governance.policy.limits import describe


def performance_shown(
    visible: pd.DataFrame, live: str | None, settings: PerformanceConfig, wording: Wording
) -> dict[str, Any]:
    """Return the judged measures of the live version, or of the newest that has any; the groups; and the months."""
    judged = visible[visible["figure"].str.startswith("live_") & ~visible["hidden"]]
    version = live if (judged["version"] == live).any() else (judged["version"].iloc[-1] if len(judged) else None)
    ours = judged[judged["version"] == version]
    measured = ours[ours["kind"] == MEASURED]
    of_all = measured[measured["cohort"] == ALL]
    return {
        "version": version,
        "of_live": version == live,
        "first_day": of_all["first_day"].min() if len(of_all) else None,
        "judged_on": f"the latest {counted(settings.days, 'day')} whose outcomes have matured",
        "last_day": of_all["last_day"].max() if len(of_all) else None,
        "measures": [
            {"name": name, "rows": _measure_rows(visible, measured, name, settings, wording)}
            for name in _measures(measured)
        ],
        "groups": _groups(measured),
        "estimates": _months(visible),
    }


def _measures(rows: pd.DataFrame) -> list[str]:
    found = list(dict.fromkeys(name.removeprefix("live_") for name in rows["figure"]))
    return sorted(found, key=list(MEASURES).index)


def _measure_rows(
    visible: pd.DataFrame, measured: pd.DataFrame, name: str, settings: PerformanceConfig, wording: Wording
) -> list[dict[str, Any]]:
    limits = settings.limits.get(name)
    found = []
    for cohort in (ALL, SEEN, UNSEEN):
        rows = measured[(measured["figure"] == f"live_{name}") & (measured["cohort"] == cohort)]
        if rows.empty:
            continue
        row = plain_row(rows.iloc[-1])
        same = visible[(visible["version"] == row["version"]) & (visible["cohort"] == cohort)]
        promised, worse = same[same["figure"] == f"promised_{name}"], same[same["figure"] == f"worse_{name}"]
        verdict = "insufficient" if same["figure"].eq(f"unjudged_{name}").any() else ""
        if len(worse):
            verdict = "worse" if worse["value"].iloc[-1] > 0 else "holds"
        found.append(
            {
                "measure": name,
                "cohort": wording.cohort(cohort),
                "observed": row,
                "promised": None if promised.empty else plain_row(promised.iloc[-1]),
                "limit": _limit_text(limits) if limits and cohort == ALL else "",
                "result": verdict if limits else "",
            }
        )
    return found


def _limit_text(limits: Limits) -> str:
    if limits.between is None or limits.model_fields_set != {"between"}:
        return describe(limits)
    low, high = limits.between
    return f"from {low:g}" if high == 1 else f"{low:g} to {high:g}"


def _groups(measured: pd.DataFrame) -> list[dict[str, Any]]:
    """Return AUROC and observed over expected of the subgroups that may be shown."""
    rows = measured[measured["cohort"].str.contains(": ")]
    found = []
    for cohort, of_group in rows.groupby("cohort", sort=False):
        by_name = {str(row["figure"]).removeprefix("live_"): plain_row(row) for _, row in of_group.iterrows()}
        both = {name: by_name.get(name) for name in ("auroc", "observed_expected")}
        found.append({"cohort": cohort, "n": number(of_group["n"].max()), **both})
    return found


def _months(visible: pd.DataFrame) -> list[dict[str, Any]]:
    """Return what is estimated for days whose outcomes are not known, by month.

    Without how many rows: beside those received, that would tell how few risks were withheld.
    """
    rows = visible[visible["figure"].str.startswith("monthly_") & (visible["cohort"] == ALL) & ~visible["hidden"]]
    found = []
    for (version, first, last), of_month in rows.groupby(["version", "first_day", "last_day"]):
        if of_month["kind"].eq(MEASURED).any():
            continue
        names = of_month["figure"].str.removeprefix("monthly_")
        found.append(
            {
                "version": version,
                "first_day": first,
                "last_day": last,
                **dict(zip(names, of_month["value"], strict=True)),
            }
        )
    return found


def edges_of(settings: PerformanceConfig) -> dict[str, tuple[float, float]]:
    """Return the limits on both sides, by measure, to be drawn."""
    return {name: limit.between for name, limit in settings.limits.items() if limit.between is not None}


def plain_row(row: pd.Series) -> dict[str, Any]:
    """Return a row as plain values, None for what is missing."""
    return {str(name): (None if pd.isna(value) else value) for name, value in row.items()}


def number(value: Any) -> float | None:
    """Return a number, None for what is missing."""
    return None if value is None or pd.isna(value) else float(value)
