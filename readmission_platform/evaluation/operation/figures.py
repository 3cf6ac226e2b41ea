"""From the tables of daily operation to one long table of figures: a row for each figure, stretch of days and cohort.

What belongs here: pure functions from data frames to figures, and the newest value of each. What does not: reading the
tables (``assets.monitoring.figures``), what a figure means (``catalogue``), and hiding small cells for people
(``shown``). A figure that would break a count of 1 to 10 people down by cohort is never made at all.

Columns: ``figure``, ``unit``, ``first_day``, ``last_day`` (text, YYYY-MM-DD, both included), ``version``, ``cohort``
("all", "band: high", "column: <name>", "<attribute>: <group>", "seen", "asset: daily_predictions"), ``kind``
("measured" or "estimate"), ``value``, ``low``, ``high`` (95 % interval where there is one), ``n`` (out of how many).
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from readmission_platform.evaluation.disclosure import SMALLEST_SHOWN
from readmission_platform.evaluation.drift.kinds import DRIFT, RISK
from readmission_platform.evaluation.drift.windows import (
    Accepted,
    DriftLimits,
    alarming,
    is_accepted,
    judged,
    verdicts,
)
from readmission_platform.evaluation.operation.catalogue import CATALOGUE
from readmission_platform.evaluation.operation.cohorts import ALL
from readmission_platform.evaluation.operation.shares import shares

COLUMNS = ["figure", "unit", "first_day", "last_day", "version", "cohort", "kind", "value", "low", "high", "n"]
MEASURED, ESTIMATE, JUDGED = "measured", "estimate", "judged"
_NUMBERS = ("value", "low", "high", "n")
_DAY = "day"
_COUNTED = ("received", "accepted", "quarantined", "duplicate")


def long_table(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put figures together in the common columns; what has no value is left out."""
    filled = [part for part in parts if len(part)]
    table = pd.DataFrame({name: _column(filled, name) for name in COLUMNS if name != "unit"})
    table = table[table["value"].notna()].sort_values(["figure", "last_day", "first_day"], kind="stable")
    unit = table["figure"].map({name: figure.unit for name, figure in CATALOGUE.items()}).fillna("")
    return table.assign(unit=unit.astype(object)).reset_index(drop=True)[COLUMNS]


def _column(parts: Sequence[pd.DataFrame], name: str) -> np.ndarray:
    """Return one column of all parts, with its default where a part lacks it."""
    if name in _NUMBERS:
        numbers = [
            part[name].astype("float64").to_numpy() if name in part else np.full(len(part), np.nan) for part in parts
        ]
        return np.concatenate([np.empty(0), *numbers])
    default = {"cohort": ALL, "kind": MEASURED}.get(name)
    texts = [part[name].to_numpy(dtype=object) if name in part else np.full(len(part), default, dtype=object)
             for part in parts]  # fmt: skip
    return np.concatenate([np.empty(0, dtype=object), *texts])


def volumes(accounting: pd.DataFrame) -> list[pd.DataFrame]:
    """Return what arrived by day, from one row per ``day`` with the four counts."""
    counts = accounting.groupby(_DAY)[list(_COUNTED)].sum()
    share = counts["quarantined"] / counts["received"].where(counts["received"] > 0)
    return [
        *(_by_day(f"rows_{name}", counts[name], n=counts["received"]) for name in _COUNTED),
        _by_day("quarantined_share", share, n=counts["received"]),
    ]


def scores(rows: pd.DataFrame, bands: Sequence[str]) -> list[pd.DataFrame]:
    """Return what was predicted by day.

    Parameters
    ----------
    rows
        One per prediction: ``day``, ``model_version``, ``risk``, ``band``, ``flagged``, ``status``.
    bands
        Names of the risk bands, the lowest first.
    """
    withheld = rows["status"].eq("withheld")
    scored = rows[~withheld]
    per_day = (
        pd.DataFrame(
            {
                _DAY: rows[_DAY],
                "version": rows["model_version"].astype(str),
                "withheld": withheld,
                "scored": ~withheld,
                "flagged": rows["flagged"].eq(True) & ~withheld,
            }
        )
        .groupby([_DAY, "version"])
        .sum()
    )
    mean = scored["risk"].groupby([scored[_DAY], scored["model_version"].astype(str).rename("version")]).mean()
    of_day = per_day["scored"] + per_day["withheld"]
    counts = pd.crosstab(scored[_DAY], scored["band"]).reindex(columns=list(bands), fill_value=0)
    return [
        *(_by_day(f"rows_{name}", per_day[name], n=of_day) for name in ("scored", "withheld", "flagged")),
        _by_day("mean_risk", mean, n=per_day["scored"].reindex(mean.index)),
        shares("risk_band_share", counts, cohort="band: {}"),
    ]


def translations(codes: pd.DataFrame, *, of_one: int) -> list[pd.DataFrame]:
    """Return what became of the codes of accepted rows; nothing where every one came in the system of the model.

    Parameters
    ----------
    codes
        Counts by ``day`` (index), as ``intake.translation.codes_by_kind`` returns them.
    of_one
        How many codes one row may have.
    """
    if not codes.drop(columns="native").to_numpy().any():
        return []
    return [shares("code_share", codes, cohort="codes: {}", of_one=of_one)]


def coverage(outcomes: pd.DataFrame, due: pd.Series) -> list[pd.DataFrame]:
    """Return the share of the outcomes due that arrived, by day and over all days together.

    Parameters
    ----------
    outcomes
        ``day`` and ``accepted`` of the days that outcomes were delivered for.
    due
        Rows accepted, by ``day``, of the days that are old enough for their outcomes to be known.
    """
    due = due[due > 0].sort_index().rename_axis(_DAY)
    if due.empty:
        return []
    arrived = outcomes.groupby(_DAY)["accepted"].sum().reindex(due.index, fill_value=0)
    whole = {"first_day": str(due.index[0]), "last_day": str(due.index[-1])}
    return [
        _by_day("outcome_coverage", arrived / due, n=due),
        single("matured_coverage", float(arrived.sum() / due.sum()), **whole, n=int(due.sum())),
    ]


def drift(
    report: pd.DataFrame, limits: DriftLimits, accepted: Mapping[str, Accepted] | None = None
) -> list[pd.DataFrame]:
    """Return what drifted by version and window, from the rows of ``drift_report``, by the limits in force.

    Parameters
    ----------
    accepted
        By version, what is accepted now: it has drifted, and raises no alarm.
    """
    allowed = accepted or {}
    report = report.assign(version=report["version"].astype(str))
    keys = ["version", "window"]
    ends = report.groupby(keys)[["first_day", "last_day", "rows"]].first().rename(columns={"rows": "n"})
    by_version = [(str(version), rows) for version, rows in report.groupby("version")]
    windows = pd.concat([_alarms(rows, limits, version, allowed.get(version, {})) for version, rows in by_version])
    of_rows = judged(report, limits)
    counted_out = [is_accepted(rows, allowed.get(str(version), {})) for version, rows in of_rows.groupby("version")]
    of_rows = of_rows.assign(accepted=pd.concat(counted_out))
    inputs = of_rows[of_rows["column"] != RISK]
    drifted = inputs.groupby([*keys, "column"])["drifted"].any()
    ours = inputs[inputs["drifted"]].groupby([*keys, "column"])["accepted"].all()
    index = of_rows[of_rows["measure"] == DRIFT].set_index([*keys, "column"])["score"]
    risk = index[index.index.get_level_values("column") == RISK].droplevel("column")
    named: dict[str, pd.Series] = {
        "drifted_columns": drifted.groupby(keys).sum(),
        "drifted_share": drifted.groupby(keys).mean(),
        "drift_alarm": windows.set_index(keys)["alarm"].astype(int),
        "risk_stability_index": risk,
        "risk_stability_limit": pd.Series(limits.risk_score, index=risk.index),
        "column_stability_limit": pd.Series(limits.column_score, index=ends.index),
    }
    by_column = {"column_stability_index": index[index.index.get_level_values("column") != RISK],
                 "column_drifted": drifted.astype(int),
                 "column_drift_accepted": ours.astype(int)}  # fmt: skip
    return [
        *(_joined(name, values, ends) for name, values in named.items()),
        *(_joined(name, values, ends, cohort="column: {}") for name, values in by_column.items()),
    ]


def _alarms(rows: pd.DataFrame, limits: DriftLimits, version: str, accepted: Accepted) -> pd.DataFrame:
    """Tell at which windows of a version the alarm was on, but for what is accepted now."""
    found = verdicts(rows, limits, accepted)
    alarm = [bool(alarming(found[: place + 1], limits)) for place in range(len(found))]
    return pd.DataFrame({"version": version, "window": [each.window for each in found], "alarm": alarm})


def _joined(figure: str, values: pd.Series, ends: pd.DataFrame, *, cohort: str | None = None) -> pd.DataFrame:
    """Give values by version and window (and column) the days of their window."""
    rows = values.rename("value").reset_index().merge(ends.reset_index(), on=["version", "window"])
    if cohort is not None:
        rows["cohort"] = rows["column"].map(cohort.format)
    return rows.assign(figure=figure)


def performance(rows: pd.DataFrame) -> list[pd.DataFrame]:
    """Return how the model did on matured outcomes, beside what was promised, from the rows of ``live_performance``."""
    rows = rows.astype({"n": "float64", "positives": "float64"})
    rows = rows[rows["n"].gt(0) & rows["value"].notna()]
    rows = rows[~_small(rows)].assign(version=lambda frame: frame["version"].astype(str))
    of_all = rows["period"] == JUDGED
    own = rows.assign(figure=np.where(of_all, "live_", "monthly_") + rows["measure"].astype(object))
    measured = rows[of_all & (rows["kind"] == MEASURED)]
    promised = (
        rows.drop_duplicates(["version", "cohort", "measure"], keep="last")
        .drop(columns=["value", "low", "high", "n"])
        .rename(columns={"promised": "value", "promised_low": "low", "promised_high": "high"})
    )
    verdicts = measured[measured["result"].isin(["holds", "worse"])].drop(columns=["low", "high"])
    unsure = measured[measured["result"] == "insufficient"].drop(columns=["low", "high"])
    return [
        own,
        promised.assign(figure="promised_" + promised["measure"], kind=MEASURED),
        verdicts.assign(figure="worse_" + verdicts["measure"], value=verdicts["result"].eq("worse").astype(float)),
        unsure.assign(figure="unjudged_" + unsure["measure"], value=1.0),
    ]


def _small(rows: pd.DataFrame) -> pd.Series:
    """Tell which rows count 1 to 10 people; what these could be worked out from is hidden where they were made."""
    counts = pd.DataFrame({"n": rows["n"], "positives": rows["positives"], "negatives": rows["n"] - rows["positives"]})
    return ((counts > 0) & (counts < SMALLEST_SHOWN)).any(axis=1)


def runs(finished: pd.DataFrame, of_assets: pd.DataFrame, *, scoring: str) -> list[pd.DataFrame]:
    """Return how long assets took and how many runs failed, by the day they began or ended (UTC).

    Parameters
    ----------
    finished
        One row per run: ``ended_at`` (ISO 8601), ``status``, ``cause``. Whoever was refused something saw no failure.
    of_assets
        One row per run and asset: ``asset``, ``started_at``, ``seconds``, ``rows``, ``outcome``.
    scoring
        The asset whose time per row is reported.
    """
    found = []
    made = of_assets[of_assets["outcome"].eq("made") & of_assets["seconds"].notna()] if len(of_assets) else of_assets
    if len(made):
        made = made.assign(**{_DAY: made["started_at"].str[:10], "cohort": "asset: " + made["asset"]})
        seconds = made.groupby([_DAY, "cohort"])["seconds"]
        found.append(_by_day("asset_seconds", seconds.mean(), n=seconds.size()))
        scored = made[made["asset"].eq(scoring) & made["rows"].gt(0)].groupby(_DAY)[["seconds", "rows"]].sum()
        found.append(_by_day("scoring_milliseconds", 1000 * scored["seconds"] / scored["rows"], n=scored["rows"]))
    if len(finished):
        failed = finished["status"].eq("failure") & ~finished["cause"].eq("declined")
        of_day = failed.groupby(finished["ended_at"].str[:10].rename(_DAY))
        found.append(_by_day("failed_run_share", of_day.mean(), n=of_day.size()))
    return found


def single(
    figure: str, value: float, *, first_day: str, last_day: str, n: int | None = None, **more: str
) -> pd.DataFrame:
    """Return one figure as a row."""
    row = {"figure": figure, "first_day": first_day, "last_day": last_day, "value": float(value), "n": n, **more}
    return pd.DataFrame([row])


def latest(table: pd.DataFrame, *, live: str | None) -> dict[str, float]:
    """Return the newest measured value of each figure over everybody; of several versions that of the live one."""
    overall = table[(table["cohort"] == ALL) & (table["kind"] == MEASURED)]
    ranked = overall.assign(_live=overall["version"].isna() | (overall["version"] == live))
    newest = ranked.sort_values(["last_day", "_live"], kind="stable").groupby("figure")["value"].last()
    return {str(name): float(value) for name, value in newest.items()}


def _by_day(figure: str, values: pd.Series, *, n: pd.Series) -> pd.DataFrame:
    """Make a figure of values by day, or by day and version."""
    rows = pd.DataFrame({"value": values, "n": n}).reset_index().rename(columns={_DAY: "first_day"})
    return rows.assign(figure=figure, last_day=rows["first_day"])
