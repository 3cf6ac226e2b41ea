"""The figures of operation of a model: one long table, read from the lake, the ledger and the operations database.

What belongs here: putting the table together. What does not: reading (``figure_sources``), working figures out
(``evaluation.operation.figures``), what they mean (``evaluation.operation.catalogue``), and the page (``page``). The
page, the UI and Prometheus show this table; none of them computes a figure of its own.
"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pandas as pd

from readmission_platform.evaluation.operation import figures as made
from readmission_platform.evaluation.operation.served import served
from readmission_platform.governance.ledger.timeline import timeline
from readmission_platform.governance.promotion.drift_acceptances import acceptances, ceilings
from readmission_platform.intake.outcomes import has_matured
from readmission_platform.intake.translation import translators
from readmission_platform.lifecycle.days.progress import Progress, day_states, expected_days, hospital_day, known_days
from readmission_platform.lifecycle.days.seals import unchanged_rows
from readmission_platform.lifecycle.days.translations import codes_of_days
from readmission_platform.lifecycle.monitoring.figure_sources import (
    DRIFT,
    OUTCOMES,
    PERFORMANCE,
    SCORES,
    VOLUMES,
    Range,
    dates_are_simulated,
    operations_of,
    range_of,
    read,
    read_served,
)
from readmission_platform.lifecycle.monitoring.windows import drift_limits
from readmission_platform.lifecycle.workspace import Workspace

DAYS = 90
PRODUCTION = "production"


def figures(workspace: Workspace, *, days: int = DAYS, now: datetime | None = None) -> pd.DataFrame:
    """Return the figures of the last days as one long table (columns: ``evaluation.operation.figures``).

    Parameters
    ----------
    days
        How many days back, counted from yesterday.
    now
        The moment to count from; default: this one.
    """
    moment = now or datetime.now(UTC)
    span = range_of(workspace, days=days, now=moment)
    parts = [
        *_from_lake(workspace, span),
        *_from_operations(workspace, span),
        *_days_behind(workspace, moment),
    ]
    scored = next((part for part in parts if part["figure"].eq("rows_scored").any()), None)
    return made.long_table([*parts, *_production(workspace, span, scored)])


def latest_figures(workspace: Workspace, *, days: int = DAYS, now: datetime | None = None) -> dict[str, float]:
    """Return the newest measured value of every figure over everybody, by name: what alert rules compare."""
    with workspace.ledger() as ledger:
        live = ledger.pointers()[PRODUCTION].version
    return made.latest(figures(workspace, days=days, now=now), live=live)


def _from_lake(workspace: Workspace, span: Range) -> list[pd.DataFrame]:
    lake = workspace.lake
    with workspace.ledger() as ledger:
        unchanged_rows(lake, ledger, SCORES.table, days=span.days)
        valid = [each for each in acceptances(ledger.events(), now=ledger.now()) if not each.problems]
    accepted = {version: ceilings(each for each in valid if each.version == version)
                for version in {each.version for each in valid}}  # fmt: skip
    volumes, scores, outcomes, drift, performance = (
        read(lake, source, span) for source in (VOLUMES, SCORES, OUTCOMES, DRIFT, PERFORMANCE)
    )
    answered, listed = read_served(lake, span)
    settings = workspace.monitoring.drift
    return [
        *(made.volumes(volumes) if len(volumes) else []),
        *(made.scores(scores, list(workspace.config.risk_bands)) if len(scores) else []),
        *(
            served(answered, listed, window_rows=settings.window_rows, rare_share=settings.rare_category_share)
            if len(answered)
            else []
        ),
        *made.translations(codes_of_days(lake, span.days), of_one=max(1, len(translators(lake.contract.feed)))),
        *made.coverage(outcomes, _due(volumes, span, workspace.contract.maturity_days)),
        *(made.drift(drift, drift_limits(settings), accepted) if len(drift) else []),
        *(made.performance(performance) if len(performance) else []),
    ]


def _due(volumes: pd.DataFrame, span: Range, maturity_days: int) -> pd.Series:
    """Return the rows accepted by day, of the days whose outcomes can be known."""
    accepted = volumes.groupby("day")["accepted"].sum()
    return accepted[[has_matured(str(day), span.today, maturity_days) for day in accepted.index]]


def _from_operations(workspace: Workspace, span: Range) -> list[pd.DataFrame]:
    from readmission_platform.operations.alerts.records import find_alerts

    since, today = span.first.isoformat(), span.today.isoformat()
    with operations_of(workspace) as operations:
        if operations is None:
            return []
        finished = pd.DataFrame(operations.runs(since=since, model=workspace.name))
        of_assets = operations.asset_runs(since=since, model=workspace.name)
        alerts = len(find_alerts(operations, model=workspace.name))
    return [
        *made.runs(finished, pd.DataFrame(of_assets), scoring=SCORES.table),
        made.single("alerts_open", alerts, first_day=today, last_day=today),
    ]


def _days_behind(workspace: Workspace, now: datetime) -> list[pd.DataFrame]:
    landed = known_days(workspace.landing, today=hospital_day(workspace.rules, now))
    lookback = workspace.monitoring.gaps.lookback_days
    days = expected_days(landed, workspace.rules, now=now, lookback=lookback)
    if not days:
        return []
    behind = sum(state.progress is not Progress.complete for state in day_states(workspace, days))
    return [made.single("days_incomplete", behind, first_day=days[0], last_day=days[-1], n=len(days))]


def _production(workspace: Workspace, span: Range, scored: pd.DataFrame | None) -> list[pd.DataFrame]:
    """Return which version was in production from when to when.

    By the ledger; where dates are simulated the ledger's have nothing to do with them, and what counts is which version
    scored a day.
    """
    first, last = span.first.isoformat(), span.last.isoformat()
    if not dates_are_simulated(workspace):
        stays = _stays(workspace, default=span.today.isoformat())
    else:
        stays = [] if scored is None else _stretches(scored)
    return [
        made.single("version_in_production", 1, first_day=max(since, first), last_day=min(until, last), version=version)
        for version, since, until in stays
        if since <= last and until >= first
    ]


def _stays(workspace: Workspace, *, default: str) -> list[tuple[str, str, str]]:
    zone = ZoneInfo(workspace.rules.timezone)

    def day(moment: str) -> str:
        return datetime.fromisoformat(moment).astimezone(zone).date().isoformat()

    with workspace.ledger() as ledger:
        periods = [period for period in timeline(ledger.events()) if period.stage == PRODUCTION]
    return [(period.version, day(period.since), day(period.until) if period.until else default) for period in periods]


def _stretches(scored: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Group days that the same version scored one after the other."""
    days = scored[scored["value"] > 0].sort_values("first_day")
    stretch = (days["version"] != days["version"].shift()).cumsum()
    ends = days.groupby(stretch).agg(
        version=("version", "first"), since=("first_day", "min"), until=("first_day", "max")
    )
    return [(str(version), str(since), str(until)) for version, since, until in ends.itertuples(index=False)]
