"""What the monitoring page says of the last days, gathered from the table of figures, the ledger and the alerts.

What belongs here: choosing what is shown and saying whether all is well. What does not: figures (``figures``), and how
the page looks (``reports.monitor``). Every number comes from the one table, small cells hidden.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from readmission_platform.evaluation.operation.cohorts import ALL
from readmission_platform.evaluation.operation.figures import MEASURED
from readmission_platform.evaluation.operation.shown import shown, totals_shown
from readmission_platform.evaluation.words import Wording
from readmission_platform.governance.ledger.timeline import timeline
from readmission_platform.governance.promotion.drift_acceptances import counting
from readmission_platform.intake.contract import RowContract
from readmission_platform.intake.translation import translators
from readmission_platform.lifecycle.monitoring.figure_sources import (
    DRIFT,
    PERFORMANCE,
    SCORES,
    VOLUMES,
    Range,
    dates_are_simulated,
    operations_of,
    range_of,
    why_absent,
)
from readmission_platform.lifecycle.monitoring.figures import DAYS, PRODUCTION, figures
from readmission_platform.lifecycle.monitoring.shown_performance import edges_of, number, performance_shown, plain_row
from readmission_platform.lifecycle.monitoring.verdict_line import standing
from readmission_platform.lifecycle.pages import write_page
from readmission_platform.lifecycle.workspace import Workspace
from readmission_platform.operations.alerts.states import Alert
from readmission_platform.reports.monitor import monitor_html, pictures_of
from readmission_platform.reports.page_links import MONITOR
from readmission_platform.reports.pictures.time_axis import TimeAxis

_ORDER = {"critical": 0, "warning": 1, "info": 2}
RECENT_ALERTS = 15
_OF_THE_SERVICE = ("withheld_share", "failed_share", "mean_risk", "stability_index", "as_listed_share")


def write_monitor(workspace: Workspace, page: Mapping[str, Any], *, out: Path | None = None) -> Path:
    """Write the page, whole or not at all, and return where it is.

    Parameters
    ----------
    page
        As ``monitor_of`` returns it.
    out
        File to write; default ``reports/<model>/monitor.html`` in the home.

    Raises
    ------
    OSError
        When the file cannot be written.
    """
    target = out or workspace.reports / MONITOR
    return write_page(workspace.settings, target, monitor_html(page))


def monitor_of(workspace: Workspace, *, days: int = DAYS, now: datetime | None = None) -> dict[str, Any]:
    """Return what the page says, as plain values, and the table of figures it was made from (``figures``)."""
    moment = now or datetime.now(UTC)
    span, settings = range_of(workspace, days=days, now=moment), workspace.monitoring.performance
    observed = figures(workspace, days=days, now=moment)
    visible = shown(observed)
    with workspace.ledger() as ledger:
        events, pointers = ledger.snapshot()
        live = pointers[PRODUCTION].version
        accepted = counting(events, live, now=ledger.now()) if live else []
    alerts = _alerts(workspace, span)
    axis, wording = _axis(observed, span), workspace.wording
    return {
        "figures": observed,
        "model": workspace.name,
        **wording.to_json(),
        "maturity_days": workspace.contract.maturity_days,
        "environment": workspace.environment,
        "written_at": moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "first_day": axis.first.isoformat(),
        "last_day": axis.last.isoformat(),
        "simulated": dates_are_simulated(workspace),
        "standing": standing(
            visible, live=live, open_alerts=None if alerts is None else [each for each in alerts if each["open"]],
            outcome_coverage=settings.outcome_coverage,
            maturity_days=workspace.contract.maturity_days, wording=wording,
            accepted=[each.says() for each in accepted],
        ),
        "headlines": _headlines(visible, live, wording),
        "nothing": _nothing(workspace, visible, days),
        "totals": totals_shown(observed),
        "codes": _codes(visible, workspace.contract.feed),
        "drift": _drift(visible, live),
        "accepted_drift": [each.to_json() | {"whose": each.whose, "names": each.names} for each in accepted],
        "performance": performance_shown(visible, live, settings, wording),
        "service": _service(visible),
        "alerts": alerts,
        "runs": _runs(visible),
        "versions": [period.to_json() for period in timeline(events)
                     if period.stage == PRODUCTION],
        "pictures": pictures_of(visible, axis, wording, limits=edges_of(settings)),
    }  # fmt: skip


def _axis(observed: pd.DataFrame, span: Range) -> TimeAxis:
    """Start the pictures with the first day of which anything is known: three weeks are not drawn into three months."""
    daily = observed[observed["figure"].isin(["rows_received", "rows_scored"])]
    first = max([span.first, *map(date.fromisoformat, daily["first_day"].sort_values().head(1))])
    stays = observed[observed["figure"] == "version_in_production"].sort_values("first_day").to_dict("records")
    versions = [(str(stay["version"]), date.fromisoformat(stay["first_day"]), date.fromisoformat(stay["last_day"]))
                for stay in stays]  # fmt: skip
    return TimeAxis(first, span.last, [each for each in versions if each[2] >= first])


def _nothing(workspace: Workspace, visible: pd.DataFrame, days: int) -> dict[str, str]:
    """Say of each part that is empty why it is."""
    there = set(visible["figure"])
    parts = {"volume": (VOLUMES, "rows_received"), "risks": (SCORES, "rows_scored"),
             "drift": (DRIFT, "drift_alarm"), "performance": (PERFORMANCE, None)}  # fmt: skip
    found = {}
    for part, (source, figure) in parts.items():
        matured = any(name.startswith(("live_", "monthly_")) for name in there)
        if (figure in there) if figure else matured:
            continue
        found[part] = why_absent(workspace, source) or f"{source.table} has nothing about the last {days} days"
    return found


def _newest(visible: pd.DataFrame, figure: str, *, version: str | None = None) -> dict[str, Any] | None:
    rows = visible[(visible["figure"] == figure) & (visible["cohort"] == ALL) & (visible["kind"] == MEASURED)]
    if version is not None:
        rows = rows[rows["version"] == version]
    return None if rows.empty else plain_row(rows.iloc[-1])


def _headlines(visible: pd.DataFrame, live: str | None, wording: Wording) -> list[dict[str, Any]]:
    """Return the handful of figures that stand on top; the newest of each, None where there is none yet."""
    chosen = (
        ("rows_received", f"{wording.words.rows} received", None),
        ("mean_risk", "mean predicted risk", None),
        ("drifted_share", "of the columns drifted", live),
        ("live_auroc", f"{wording.inline('auroc')} on matured outcomes", live),
        ("live_observed_expected", wording.inline("observed_expected"), live),
        ("matured_coverage", "of the outcomes due are known", None),
    )
    return [{"figure": name, "label": label, "row": _newest(visible, name, version=version)}
            for name, label, version in chosen]  # fmt: skip


def _codes(visible: pd.DataFrame, feed: RowContract) -> dict[str, Any] | None:
    """Return what became of the codes of the newest days; None where none came in another system."""
    rows = visible[visible["figure"] == "code_share"]
    newest = rows[rows["last_day"] == rows["last_day"].max()].set_index("cohort")
    if newest.empty:
        return None
    systems = sorted({translator.system for translator in translators(feed).values()})
    return {
        "system": " or ".join(systems),
        "first_day": newest["first_day"].iloc[0],
        "last_day": newest["last_day"].iloc[0],
        "shares": {str(cohort).removeprefix("codes: "): number(value) for cohort, value in newest["value"].items()},
    }


def _drift(visible: pd.DataFrame, live: str | None) -> dict[str, Any] | None:
    """Return the newest window of the live version: its days, the alarm, and its columns, the largest index first."""
    newest = _newest(visible, "drift_alarm", version=live)
    if newest is None:
        return None
    window = visible[(visible["version"] == newest["version"]) & (visible["last_day"] == newest["last_day"])]
    flags = window[window["figure"] == "column_drifted"].set_index("cohort")["value"]
    accepted = window[window["figure"] == "column_drift_accepted"].set_index("cohort")["value"]
    index = window[window["figure"] == "column_stability_index"].set_index("cohort")["value"]
    risk = _newest(window, "risk_stability_index")
    return {
        **newest,
        "alarm": newest["value"] > 0,
        "columns": [
            {
                "name": str(cohort).removeprefix("column: "),
                "index": number(index.get(cohort)),
                "drifted": flag > 0,
                "accepted": bool(accepted.get(cohort, 0) > 0),
            }
            for cohort, flag in flags.reindex(index.reindex(flags.index).sort_values(ascending=False).index).items()
        ],
        "column_limit": (_newest(window, "column_stability_limit") or {}).get("value"),
        "risk": None if risk is None else risk["value"],
        "risk_limit": (_newest(window, "risk_stability_limit") or {}).get("value"),
    }


def _service(visible: pd.DataFrame) -> dict[str, Any] | None:
    """Return what the service answered, by version, the newest first; None where it answered nothing.

    Of a version, how many rows in all days that can be shown, and of each figure the newest value that can be.
    """
    answered = visible[visible["figure"].str.startswith("served_")]
    if answered.empty:
        return None

    def of_version(version: str, own: pd.DataFrame) -> dict[str, Any]:
        newest = own[~own["hidden"]].groupby("figure")["value"].last()
        rows = own.loc[own["figure"] == "served_rows", "value"].sum(min_count=1)
        return {"version": version, "rows": number(rows), "last_day": own["last_day"].max(),
                **{name: number(newest.get(f"served_{name}")) for name in _OF_THE_SERVICE}}  # fmt: skip

    versions = [of_version(str(version), own) for version, own in answered.groupby("version")]
    newest = answered["last_day"].max()
    return {"newest": newest, "versions": sorted(versions, key=lambda each: each["last_day"], reverse=True)}


def _runs(visible: pd.DataFrame) -> dict[str, Any]:
    seconds = visible[visible["figure"] == "asset_seconds"].groupby("cohort").tail(1)
    return {
        "assets": [{"asset": str(row.cohort).removeprefix("asset: "), "seconds": row.value, "day": row.last_day}
                   for row in seconds.sort_values("value", ascending=False).itertuples()],
        "failed": _newest(visible, "failed_run_share"),
        "milliseconds": _newest(visible, "scoring_milliseconds"),
    }  # fmt: skip


def _alerts(workspace: Workspace, span: Range) -> list[dict[str, Any]] | None:
    """Return the open alerts, the worst first, then those that ended in these days; None if nothing is observed."""
    from readmission_platform.operations.alerts.records import find_alerts

    with operations_of(workspace) as operations:
        if operations is None:
            return None
        found = find_alerts(operations, everything=True, model=workspace.name)
    unresolved = sorted((each for each in found if each.resolved_at is None), key=lambda each: _ORDER[each.severity])
    ended = [each for each in found if each.resolved_at is not None and each.resolved_at.date() >= span.first]
    return [_alert(each) for each in [*unresolved, *ended[:RECENT_ALERTS]]]


def _alert(alert: Alert) -> dict[str, Any]:
    # A figure's value may stand for 1 to 10 people: its alert says that it is outside its limit, not by how much.
    what = f"{alert.subject.replace('_', ' ')} is outside its limit" if alert.kind == "figure" else alert.what
    return {
        "open": alert.resolved_at is None,
        "severity": alert.severity,
        "what": what,
        "subject": "" if alert.kind == "figure" else alert.subject,
        "action": alert.action,
        "since": _minute(alert.opened_at),
        "acknowledged": f"{alert.acknowledged_by}: {alert.acknowledged_reason}" if alert.acknowledged_by else None,
        "ended": _minute(alert.resolved_at) if alert.resolved_at else None,
    }


def _minute(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
