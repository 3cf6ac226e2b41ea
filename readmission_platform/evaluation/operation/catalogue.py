"""The figures of operation by name: unit, meaning, and where each comes from.

What belongs here: what a name means, once for the page, the Dagster UI, Prometheus and ``docs/figures.md``. It serves
every model, and so speaks of rows and events. What does not: working a figure out (``figures``), and the words of a
measure (``words``).
"""

from dataclasses import dataclass

from readmission_platform.evaluation.words import ANY_WORDING


@dataclass(frozen=True)
class Figure:
    """A figure: snake_case name, unit, what it means, and the table it is made from."""

    name: str
    unit: str
    meaning: str
    source: str


# Units of the measures of matured performance, in the order in which they are shown.
MEASURES = {
    "auroc": "probability",
    "observed_expected": "ratio",
    "calibration_slope": "ratio",
    "brier": "score",
    "brier_skill": "share",
    "recall_at_flag": "share",
    "ppv_at_flag": "share",
    "accuracy": "share",
}

_ACCOUNTING, _PREDICTIONS, _DRIFT = "intake_accounting", "daily_predictions", "drift_report"
_PERFORMANCE, _OUTCOMES, _RUNS = "live_performance", "outcome_accounting", "operations database"

_SERVED = "served_predictions"

_FIXED = (
    Figure("rows_received", "rows", "Rows received on a day", _ACCOUNTING),
    Figure("rows_accepted", "rows", "Rows accepted on a day", _ACCOUNTING),
    Figure("rows_quarantined", "rows", "Rows quarantined on a day", _ACCOUNTING),
    Figure("rows_duplicate", "rows", "Rows of a day that had been accepted before", _ACCOUNTING),
    Figure("quarantined_share", "share", "Share of a day's received rows that were quarantined", _ACCOUNTING),
    Figure("rows_scored", "rows", "Rows of a day that have a risk", _PREDICTIONS),
    Figure("rows_withheld", "rows", "Rows of a day whose risk is withheld", _PREDICTIONS),
    Figure("rows_flagged", "rows", "Rows of a day flagged for follow-up", _PREDICTIONS),
    Figure("mean_risk", "probability", "Mean predicted risk of a day", _PREDICTIONS),
    Figure(
        "risk_band_share",
        "share",
        "Share of the rows in a risk band, by the shortest of 1, 7, 14, 28 days in which no band holds 1 to 10",
        _PREDICTIONS,
    ),
    Figure(
        "served_rows",
        "rows",
        "Rows for which the service had an answer on a day (UTC), each counted once, with its last answer",
        _SERVED,
    ),
    Figure("served_withheld_share", "share", "Share of these rows whose risk is withheld", _SERVED),
    Figure("served_failed_share", "share", "Share of a day's answers that failed, from 20 answers on", _SERVED),
    Figure(
        "served_mean_risk", "probability", "Mean risk that the service answered on a day, of every 25 rows", _SERVED
    ),
    Figure(
        "served_stability_index",
        "score",
        "Stability index of the risks that the service answered against those of the daily lists, over the shortest "
        "stretches of days that hold enough of both",
        _SERVED,
    ),
    Figure(
        "served_as_listed_share",
        "share",
        "Share of the rows answered on a day, and listed by the same version, that have the same risk in the list",
        _SERVED,
    ),
    Figure(
        "code_share",
        "share",
        "Share of the codes that came in the system of the model (native) or were translated to it: exactly, "
        "inexactly or not at all (lost); by the shortest of 1, 7, 14, 28 days in which none may be of 1 to 10 people",
        "code_translations",
    ),
    Figure("days_incomplete", "days", "Days up to yesterday that lack files, intake or scores", "landing zone, lake"),
    Figure("drifted_columns", "columns", "Input columns that drifted in a window", _DRIFT),
    Figure("drifted_share", "share of columns", "Share of the compared columns that drifted in a window", _DRIFT),
    Figure(
        "drift_alarm",
        "flag",
        "1: enough of the latest windows drifted for an alarm, not counting accepted drift",
        _DRIFT,
    ),
    Figure("risk_stability_index", "score", "Stability index of the predicted risks against validation", _DRIFT),
    Figure("risk_stability_limit", "score", "Index from which the predicted risks count as drifted", _DRIFT),
    Figure("column_stability_index", "score", "Stability index of an input column in a window", _DRIFT),
    Figure("column_stability_limit", "score", "Index from which a column counts as drifted", _DRIFT),
    Figure("column_drifted", "flag", "1: the column drifted: distribution, missing or unseen values", _DRIFT),
    Figure("column_drift_accepted", "flag", "1: the column drifted, but no further than is accepted now", _DRIFT),
    Figure("outcome_coverage", "share", "Share of the expected outcomes of a day that arrived", _OUTCOMES),
    Figure("matured_coverage", "share", "The same over all matured days together", _OUTCOMES),
    Figure("asset_seconds", "seconds", "Duration of a run of an asset", _RUNS),
    Figure("scoring_milliseconds", "milliseconds", "Time per row of the run that scored", _RUNS),
    Figure(
        "failed_run_share",
        "share of runs",
        "Share of a day's runs that failed; a refused request is not a failure",
        _RUNS,
    ),
    Figure("alerts_open", "alerts", "Alerts that nobody has closed", _RUNS),
    Figure("version_in_production", "flag", "1: the version was in production from first to last day", "ledger"),
)
_MATURED = tuple(
    Figure(
        f"{prefix}_{name}",
        "flag" if prefix in ("worse", "unjudged") else unit,
        f"{said} ({ANY_WORDING.label(name)})",
        _PERFORMANCE,
    )
    for name, unit in MEASURES.items()
    for prefix, said in (
        ("live", "On matured outcomes, all judged days together"),
        ("monthly", "On matured outcomes of a month"),
        ("promised", "Promised at validation"),
        ("worse", "1: outside its limits on matured outcomes, 0: within; absent: not judged"),
        ("unjudged", "1: too few events to judge"),
    )
)
CATALOGUE = {figure.name: figure for figure in (*_FIXED, *_MATURED)}
