"""Whether all is well with the model in production, in one sentence.

What belongs here: a pure judgement on figures that are already made, and on open alerts. What does not: limits on
figures (``configs/``), which were applied where the figures come from.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from readmission_platform.evaluation.operation.cohorts import ALL
from readmission_platform.evaluation.operation.figures import MEASURED
from readmission_platform.evaluation.words import Wording
from readmission_platform.foundation.counting import counted, percent

_MOST_NAMED = 4
# Drift and performance, which ``_unjudged`` names.
_JUDGED = 2


def standing(
    visible: pd.DataFrame,
    *,
    live: str | None,
    open_alerts: Sequence[Mapping[str, Any]] | None,
    outcome_coverage: float,
    maturity_days: int,
    wording: Wording,
    accepted: Sequence[str] = (),
) -> dict[str, str]:
    """Say in one sentence whether all is well, and its tone (good, warn, bad).

    Parameters
    ----------
    visible
        As ``evaluation.operation.shown.shown`` returns it.
    live
        The version in production.
    open_alerts
        As ``lifecycle.monitoring.page`` lists them; None where nothing observes the platform.
    outcome_coverage
        Share of the outcomes due below which something is missing.
    maturity_days
        Days until the outcome of a row is known.
    wording
        How rows, measures and cohorts are called.
    accepted
        Of the version in production, which drift is accepted, until when and by whom.
    """
    wrong = [
        *_days(visible, wording),
        *_drift(visible, live, wording),
        *_performance(visible, live, wording),
        *_alerts(open_alerts, "critical"),
    ]
    if live is None:
        wrong.insert(0, "no version is in production")
    concerns = [
        *(f"drift is accepted: {each}" for each in accepted),
        *_outcomes(visible, outcome_coverage),
        *_alerts(open_alerts, "warning"),
    ]
    unjudged = _unjudged(visible, live, maturity_days)
    unknown = [*unjudged, *_unknown(visible, open_alerts)]
    if wrong:
        return {"tone": "bad", "text": "Not all is well", "more": _sentence([*wrong, *concerns])}
    if unjudged:
        what = "Not everything" if len(unjudged) < _JUDGED else "Nothing"
        return {"tone": "warn", "text": f"{what} has been judged yet", "more": _sentence([*unknown, *concerns])}
    if concerns:
        return {"tone": "warn", "text": "In order, with something to look at", "more": _sentence(concerns)}
    if unknown:
        return {"tone": "warn", "text": "In order as far as we know", "more": _sentence(unknown)}
    more = "Every day is complete, there is no drift alarm, and the model does as well as validation promised."
    return {"tone": "good", "text": "All is well", "more": more}


def _newest(visible: pd.DataFrame, figure: str, version: str | None = None) -> pd.Series | None:
    rows = visible[(visible["figure"] == figure) & (visible["cohort"] == ALL) & (visible["kind"] == MEASURED)]
    if version is not None:
        rows = rows[rows["version"] == version]
    return None if rows.empty else rows.iloc[-1]


def _days(visible: pd.DataFrame, wording: Wording) -> list[str]:
    behind = _newest(visible, "days_incomplete")
    if behind is None:
        return [] if visible["figure"].eq("rows_received").any() else [f"no {wording.words.delivery} have arrived"]
    if not behind["value"]:
        return []
    if behind[["value", "n"]].isna().any():  # hidden, as few rows are
        return ["days lack files, intake or scores"]
    count, of = int(behind["value"]), counted(int(behind["n"]), "day")
    return [f"{count} of {of} {'lacks' if count == 1 else 'lack'} files, intake or scores"]


def _drift(visible: pd.DataFrame, live: str | None, wording: Wording) -> list[str]:
    alarm = _newest(visible, "drift_alarm", live)
    if alarm is None or not alarm["value"]:
        return []
    of_window = visible[(visible["version"] == alarm["version"]) & (visible["last_day"] == alarm["last_day"])]
    drifted = of_window[(of_window["figure"] == "column_drifted") & (of_window["value"] > 0)]
    allowed = of_window[(of_window["figure"] == "column_drift_accepted") & (of_window["value"] > 0)]
    drifted = drifted[~drifted["cohort"].isin(allowed["cohort"])]
    named = [str(cohort).removeprefix("column: ") for cohort in drifted["cohort"]]
    return [f"the {wording.words.rows} have drifted from the training data ({_few(named) or 'in an earlier window'})"]


def _performance(visible: pd.DataFrame, live: str | None, wording: Wording) -> list[str]:
    """Name each measure that is outside its limits, and for whom, everybody first."""
    worse = visible[visible["figure"].str.startswith("worse_") & (visible["value"] > 0)]
    if live is not None:
        worse = worse[worse["version"] == live]
    found = []
    for figure, rows in worse.groupby("figure", sort=False):
        cohorts = [str(cohort) for cohort in rows["cohort"]]
        named = [wording.cohort(cohort) for cohort in sorted(cohorts, key=lambda cohort: cohort != ALL)]
        measure = wording.inline(str(figure).removeprefix("worse_"))
        found.append(f"{measure} is outside its limits ({_few(named)})")
    return found


def _alerts(open_alerts: Sequence[Mapping[str, Any]] | None, severity: str) -> list[str]:
    count = sum(each["severity"] == severity for each in open_alerts or [])
    if not count:
        return []
    return [f"{count} {severity} alert{' is' if count == 1 else 's are'} open"]


def _outcomes(visible: pd.DataFrame, needed: float) -> list[str]:
    known = _newest(visible, "matured_coverage")
    if known is None or pd.isna(known["value"]) or known["value"] >= needed:
        return []
    return [f"{percent(known['value'])} of the outcomes due have arrived"]


def _unjudged(visible: pd.DataFrame, live: str | None, maturity_days: int) -> list[str]:
    """Name what has not been judged of the version in production: drift, performance."""
    found = []
    if _newest(visible, "drift_alarm", live) is None:
        found.append("drift has not been judged yet")
    if _newest(visible, "live_auroc", live) is None:
        found.append(f"no outcomes of this version have matured, which takes {maturity_days} days")
    return found


def _unknown(visible: pd.DataFrame, open_alerts: Sequence[Mapping[str, Any]] | None) -> list[str]:
    found = []
    if _newest(visible, "days_incomplete") is None:
        found.append("it is not recorded whether these days are complete")
    if open_alerts is None:
        found.append("runs are not being observed")
    return found


def _few(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _sentence(parts: Sequence[str]) -> str:
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."
