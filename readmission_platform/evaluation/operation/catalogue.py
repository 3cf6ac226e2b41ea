"""The figures of operation by name: unit, meaning, and where each comes from.

What belongs here: what a name means, once for the page, the Dagster UI, Prometheus and ``docs/figures.md``.
What does not: working a figure out (``figures``), and what is measured at validation (``evidence``).
"""

import re
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Figure:
    """A figure: snake_case name, unit, what it means, and the table it is made from."""

    name: str
    unit: str
    meaning: str
    source: str


# Measures of matured performance: unit, and the plain words a page uses for them.
MEASURES = {
    "auroc": ("probability", "AUROC: how well high risk is told from low"),
    "observed_expected": ("ratio", "readmissions observed over readmissions expected"),
    "calibration_slope": ("ratio", "calibration slope"),
    "brier": ("score", "Brier score"),
    "brier_skill": ("share", "Brier skill against always predicting the prevalence"),
    "recall_at_10": ("share", "share of the readmissions found when 10 % are flagged"),
    "ppv_at_10": ("share", "share of the flagged who are readmitted when 10 % are flagged"),
    "accuracy": ("share", "share classified correctly at the flag; always saying no scores about .89"),
}

_ACCOUNTING, _PREDICTIONS, _DRIFT = "discharge_accounting", "daily_predictions", "drift_report"
_PERFORMANCE, _OUTCOMES, _RUNS = "live_performance", "outcome_accounting", "operations database"

_FIXED = (
    Figure("encounters_received", "encounters", "Rows received on a day", _ACCOUNTING),
    Figure("encounters_accepted", "encounters", "Rows accepted on a day", _ACCOUNTING),
    Figure("encounters_quarantined", "encounters", "Rows quarantined on a day", _ACCOUNTING),
    Figure("encounters_duplicate", "encounters", "Rows of a day that had been accepted before", _ACCOUNTING),
    Figure("quarantined_share", "share", "Quarantined of the rows received on a day", _ACCOUNTING),
    Figure("encounters_scored", "encounters", "Encounters of a day that have a risk", _PREDICTIONS),
    Figure("encounters_withheld", "encounters", "Encounters of a day whose risk is withheld", _PREDICTIONS),
    Figure("encounters_flagged", "encounters", "Encounters of a day flagged for the care team", _PREDICTIONS),
    Figure("mean_risk", "probability", "Mean predicted risk of a day", _PREDICTIONS),
    Figure(
        "risk_band_share",
        "share",
        "Share of the encounters in a risk band, by the shortest of 1, 7, 14, 28 days in which no band holds 1 to 10",
        _PREDICTIONS,
    ),
    Figure("days_incomplete", "days", "Days up to yesterday that lack files, intake or scores", "landing zone, lake"),
    Figure("drifted_columns", "columns", "Input columns that drifted in a window", _DRIFT),
    Figure("drifted_share", "share of columns", "The same, of the columns compared", _DRIFT),
    Figure("drift_alarm", "flag", "1: enough of the latest windows drifted for an alarm", _DRIFT),
    Figure("risk_stability_index", "score", "Stability index of the predicted risks against validation", _DRIFT),
    Figure("risk_stability_limit", "score", "Index from which the predicted risks count as drifted", _DRIFT),
    Figure("column_stability_index", "score", "Stability index of an input column in a window", _DRIFT),
    Figure("column_stability_limit", "score", "Index from which a column counts as drifted", _DRIFT),
    Figure("column_drifted", "flag", "1: the column drifted: distribution, missing or unseen values", _DRIFT),
    Figure("outcome_coverage", "share", "Share of the expected outcomes of a day that arrived", _OUTCOMES),
    Figure("matured_coverage", "share", "The same over all matured days together", _OUTCOMES),
    Figure("asset_seconds", "seconds", "Duration of a run of an asset", _RUNS),
    Figure("scoring_milliseconds", "milliseconds", "Time per encounter of the run that scored", _RUNS),
    Figure(
        "failed_run_share",
        "share of runs",
        "Share of a day's runs that failed; a person refused something is none",
        _RUNS,
    ),
    Figure("alerts_open", "alerts", "Alerts that nobody has closed", _RUNS),
    Figure("version_in_production", "flag", "1: the version was in production from first to last day", "ledger"),
)
_MATURED = tuple(
    Figure(f"{prefix}_{name}", "flag" if prefix in ("worse", "unjudged") else unit, f"{said} ({words})", _PERFORMANCE)
    for name, (unit, words) in MEASURES.items()
    for prefix, said in (
        ("live", "On matured outcomes, all judged days together"),
        ("monthly", "On matured outcomes of a month"),
        ("promised", "Promised at validation"),
        ("worse", "1: outside its limits on matured outcomes, 0: within; absent: not judged"),
        ("unjudged", "1: too few readmissions to judge"),
    )
)
CATALOGUE = {figure.name: figure for figure in (*_FIXED, *_MATURED)}


def described(name: str) -> Figure | None:
    """Return what a figure is, or None for a name that is not in the catalogue.

    The share that is flagged is a matter of configuration: ``live_recall_at_15`` is found as ``live_recall_at_10``.
    """
    known = CATALOGUE.get(re.sub(r"_at_\d+$", "_at_10", name))
    if known is None or known.name == name:
        return known
    percent = name.rpartition("_")[2]
    return replace(known, name=name, meaning=known.meaning.replace("10 %", f"{percent} %"))
