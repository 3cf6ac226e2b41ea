"""The figures of operation: one long table, read from the lake, the ledger and the operations database.

What belongs here: putting the table together, and the asset that shows it in the UI. What does not: reading
(``figure_sources``), working figures out (``evaluation.operation.figures``), what they mean
(``evaluation.operation.catalogue``), and the page (``monitor``). The page, the UI and Prometheus show this table; none
of them computes a figure of its own.
"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import dagster as dg
import pandas as pd

from readmission_platform.assets.encounters.days import Progress, day_states, expected_days, known_days
from readmission_platform.assets.presentation import PLATFORM_TEAM, blocking_specs, check_result, table
from readmission_platform.encounters.cohort import MATURITY_DAYS
from readmission_platform.encounters.contract import LANDING
from readmission_platform.evaluation.operation import figures as made
from readmission_platform.evaluation.operation.catalogue import CATALOGUE
from readmission_platform.evaluation.operation.cohorts import ALL
from readmission_platform.evaluation.operation.shown import shown
from readmission_platform.foundation.frames import frame_digest
from readmission_platform.governance.ledger.timeline import timeline
from readmission_platform.intake.outcomes import has_matured
from readmission_platform.lifecycle.days.scoring import DAY
from readmission_platform.lifecycle.monitoring.figure_sources import (
    DRIFT,
    OUTCOMES,
    PERFORMANCE,
    SCORES,
    VOLUMES,
    Range,
    completeness_is_recorded,
    dates_are_simulated,
    operations_of,
    range_of,
    read,
)
from readmission_platform.lifecycle.monitoring.windows import drift_limits
from readmission_platform.resources.lake import LakeResource
from readmission_platform.resources.project import ProjectResource
from readmission_platform.storage.lake import Lake
from readmission_platform.storage.landing import Landing

DAYS = 90
PRODUCTION = "production"
HEADLINES = ("encounters_received", "mean_risk", "drifted_share", "live_observed_expected", "live_auroc")
FIGURES_CHECK = {
    "every_figure_known": "Every figure is in the catalogue, has a value, and no day follows its last day."
}


def figures(project: ProjectResource, lake: Lake, *, days: int = DAYS, now: datetime | None = None) -> pd.DataFrame:
    """Return the figures of the last days as one long table (columns: ``evaluation.operation.figures``).

    Parameters
    ----------
    days
        How many days back, counted from yesterday.
    now
        The moment to count from; default: this one.
    """
    moment = now or datetime.now(UTC)
    span = range_of(project, days=days, now=moment)
    parts = [
        *_from_lake(project, lake, span),
        *_from_operations(project, span),
        *_days_behind(project, lake, moment),
    ]
    scored = next((part for part in parts if part["figure"].eq("encounters_scored").any()), None)
    return made.long_table([*parts, *_production(project, span, scored)])


def latest_figures(
    project: ProjectResource, lake: Lake, *, days: int = DAYS, now: datetime | None = None
) -> dict[str, float]:
    """Return the newest measured value of every figure over everybody, by name: what alert rules compare."""
    with project.ledger() as ledger:
        live = ledger.pointers()[PRODUCTION].version
    return made.latest(figures(project, lake, days=days, now=now), live=live)


def _from_lake(project: ProjectResource, lake: Lake, span: Range) -> list[pd.DataFrame]:
    volumes, scores, outcomes, drift, performance = (
        read(lake, source, span).rename(columns={DAY: "day"})
        for source in (VOLUMES, SCORES, OUTCOMES, DRIFT, PERFORMANCE)
    )
    return [
        *(made.volumes(volumes) if len(volumes) else []),
        *(made.scores(scores, list(project.model.risk_bands)) if len(scores) else []),
        *made.coverage(outcomes, _due(volumes, span)),
        *(made.drift(drift, drift_limits(project.monitoring.drift)) if len(drift) else []),
        *(made.performance(performance) if len(performance) else []),
    ]


def _due(volumes: pd.DataFrame, span: Range) -> pd.Series:
    """Return the encounters accepted by day, of the days whose outcomes can be known."""
    accepted = volumes.groupby("day")["accepted"].sum()
    return accepted[[has_matured(str(day), span.in_hospital, MATURITY_DAYS) for day in accepted.index]]


def _from_operations(project: ProjectResource, span: Range) -> list[pd.DataFrame]:
    from readmission_platform.operations.alerts.records import find_alerts

    since, today = span.first.isoformat(), span.today.isoformat()
    with operations_of(project) as operations:
        if operations is None:
            return []
        finished, of_assets = pd.DataFrame(operations.runs(since=since)), operations.asset_runs(since=since)
        alerts = len(find_alerts(operations))
    return [
        *made.runs(finished, pd.DataFrame(of_assets), scoring=SCORES.table),
        made.single("alerts_open", alerts, first_day=today, last_day=today),
    ]


def _days_behind(project: ProjectResource, lake: Lake, now: datetime) -> list[pd.DataFrame]:
    landing = Landing(project.settings.landing, LANDING)
    landed, lookback = known_days(landing, today=now.date()), project.monitoring.gaps.lookback_days
    days = expected_days(landed, project.environment_rules, now=now, lookback=lookback)
    if not days or not completeness_is_recorded(lake):
        return []
    behind = sum(state.progress is not Progress.complete for state in day_states(landing, lake, days))
    return [made.single("days_incomplete", behind, first_day=days[0], last_day=days[-1], n=len(days))]


def _production(project: ProjectResource, span: Range, scored: pd.DataFrame | None) -> list[pd.DataFrame]:
    """Return which version was in production from when to when.

    By the ledger; where dates are simulated the ledger's have nothing to do with them, and what counts is which version
    scored a day.
    """
    first, last = span.first.isoformat(), span.last.isoformat()
    if not dates_are_simulated(project):
        stays = _stays(project, default=span.today.isoformat())
    else:
        stays = [] if scored is None else _stretches(scored)
    return [
        made.single("version_in_production", 1, first_day=max(since, first), last_day=min(until, last), version=version)
        for version, since, until in stays
        if since <= last and until >= first
    ]


def _stays(project: ProjectResource, *, default: str) -> list[tuple[str, str, str]]:
    zone = ZoneInfo(project.environment_rules.timezone)

    def day(moment: str) -> str:
        return datetime.fromisoformat(moment).astimezone(zone).date().isoformat()

    with project.ledger() as ledger:
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


def figures_table(observed: pd.DataFrame) -> dg.MetadataValue:
    """Show the newest value of every figure over everybody as a table in the UI, small cells hidden."""
    newest = shown(observed)
    newest = newest[(newest["cohort"] == ALL) & ~newest["hidden"]].groupby(["figure", "kind"]).tail(1)
    columns = ["figure", "value", "low", "high", "unit", "kind", "first_day", "last_day", "version"]
    return table({name: None if pd.isna(value) else value for name, value in row.items()}
                 for row in newest[columns].to_dict("records"))  # fmt: skip


@dg.asset(
    group_name="monitoring",
    owners=[PLATFORM_TEAM],
    kinds={"pandas", "deltalake"},
    code_version="1",
    dagster_type=dg.Any,
    deps=["drift_report", "live_performance", "daily_predictions"],
    check_specs=blocking_specs("monitoring_figures", FIGURES_CHECK),
)
def monitoring_figures(project: ProjectResource, lake: LakeResource) -> dg.MaterializeResult:
    """The figures of the last 90 days in one table: volumes, risks, drift, matured performance, runs.

    Each figure's name, unit and meaning stand in docs/figures.md. `readmission monitor` shows the same table as a page
    that prints well.
    """
    observed = figures(project, lake.open())
    visible = shown(observed)
    newest = made.latest(visible[~visible["hidden"]], live=None)
    known = observed["figure"].isin(list(CATALOGUE)) & observed["value"].notna()
    known &= observed["first_day"] <= observed["last_day"]
    return dg.MaterializeResult(
        value=observed,
        data_version=dg.DataVersion(frame_digest(observed)),
        metadata={
            **{name: newest[name] for name in HEADLINES if name in newest},
            "newest figures": figures_table(observed),
            "dates": "simulated" if dates_are_simulated(project) else "as delivered",
        },
        check_results=[
            check_result("every_figure_known", bool(known.all()), observed=f"{int(known.sum())} of {len(observed)}",
                         rule=FIGURES_CHECK["every_figure_known"],
                         action="Do not use the page: a table that figures are made from is not what it should be.")
        ],
    )  # fmt: skip
