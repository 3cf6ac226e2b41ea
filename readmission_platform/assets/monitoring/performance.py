"""Live performance: what the version in production achieves once outcomes have matured, against what it promised.

What belongs here: ``live_performance``, its checks, and how it is shown. What does not: figures and verdicts
(``live_verdicts``), and what a version that got worse leads to (``automation.retraining``).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
import pandas as pd

from readmission_platform.assets.model_assets import ModelAssets
from readmission_platform.assets.presentation import (
    PLATFORM_TEAM,
    check_result,
    nothing_to_check,
    picture,
    plain,
    table,
)
from readmission_platform.config.monitoring import PerformanceConfig
from readmission_platform.evaluation.disclosure import SMALLEST_SHOWN, rough_count
from readmission_platform.evaluation.operation.cohorts import ALL
from readmission_platform.evaluation.operation.live import reliability
from readmission_platform.evaluation.words import Words
from readmission_platform.foundation.counting import percent
from readmission_platform.foundation.frames import frame_digest
from readmission_platform.governance.ledger.versions import version_records
from readmission_platform.governance.policy.limits import describe
from readmission_platform.lifecycle.days.outcomes import day_maturity
from readmission_platform.lifecycle.days.progress import hospital_day
from readmission_platform.lifecycle.days.seals import unchanged_rows
from readmission_platform.lifecycle.monitoring.live_verdicts import (
    ESTIMATE,
    INSUFFICIENT,
    JUDGED,
    MEASURED,
    WORSE,
    latest_days,
    performance_of,
)
from readmission_platform.lifecycle.monitoring.scored import rows_to_judge, scored_rows
from readmission_platform.lifecycle.workspace import Platform, Workspace
from readmission_platform.storage.tables import OUTCOMES, PERFORMANCE, PREDICTIONS

COMPLETE = "outcomes_complete"
COUNTED = "every_row_counts_once"
COUNTED_RULE = {COUNTED: "No scored row counts twice."}
_RULES = {
    "live_discrimination": "On matured outcomes the version separates high from low risk within its limits.",
    "live_calibration": "On matured outcomes the risks of the version are calibrated within their limits.",
    "live_use": "On matured outcomes the flag finds enough events with few false alarms.",
    COMPLETE: "For every day that is old enough, nearly all outcomes have arrived.",
}
_TOPICS = {
    "auroc": "live_discrimination",
    **dict.fromkeys(("recall_at_flag", "ppv_at_flag", "accuracy"), "live_use"),
}
_ACTION = (
    "Nothing is blocked. Look at months and subgroups below and at drift_report; a new training (it starts by itself "
    "where retraining is on) gives a candidate for the same gates, and `readmission rollback` returns to the version "
    "before."
)
_ASK = "Ask for the outcomes of these days; `readmission outcomes --from --to` takes them in."
_LISTED = 10
_COUNTS = ["n", "positives"]
_FIGURES = ["value", "low", "high", *_COUNTS]


def performance_asset(model: ModelAssets) -> dg.AssetsDefinition:
    """Return the asset of live performance."""
    maturity_days = model.contract.maturity_days

    @model.frame(
            PERFORMANCE, group="monitoring", owners=[PLATFORM_TEAM], kinds={"scikitlearn", "deltalake"},
            deps=[OUTCOMES, PREDICTIONS], blocking=COUNTED_RULE, warning=_RULES, output_required=False,
            description=f"How the version in production does on {model.words.rows} whose outcome has matured, compared "
            "with what validation promised. The version's latest matured days are judged; months show the trend. A "
            f"day has matured when it is {maturity_days} days old and nearly all of its outcomes are there. Until "
            "then there is an estimate, which assumes that each risk is right; once a month matures, its estimate is "
            "kept beside the actual result. Withheld predictions are left out.",
    )  # fmt: skip
    def live_performance(context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]) -> Iterator[Any]:
        workspace = model.workspace(platform)
        lake, settings = workspace.lake, workspace.monitoring.performance
        with workspace.ledger() as ledger:
            events, pointers = ledger.snapshot()
        live = pointers["production"].version
        if live is None or not lake.exists(PREDICTIONS):
            why = "no version is in production, or nothing was scored"
            context.log.info(f"skipped: {why}")
            for name in (COUNTED, *_RULES):
                yield nothing_to_check(name, why)
            return
        with workspace.ledger() as ledger:
            unchanged_rows(lake, ledger, PREDICTIONS)
        maturity = day_maturity(lake, today=hospital_day(workspace.rules), coverage=settings.outcome_coverage)
        scored, records = scored_rows(lake, maturity), version_records(events, pointers)
        rows = rows_to_judge(scored, records, lake, key=workspace.pseudonym_key)
        found = performance_of(rows, records, live, settings, workspace)
        yield dg.MaterializeResult(
            value=found,
            data_version=dg.DataVersion(frame_digest(found)),
            metadata={
                "left out": _left_out(scored, rows, model.words),
                **_metadata(found, rows, maturity, live, settings, workspace),
            },
            check_results=[_counted(scored), *_checks(found, maturity, live, settings, model.words)],
        )

    return live_performance


def _counted(rows: pd.DataFrame) -> dg.AssetCheckResult:
    twice = int(rows.duplicated(["day", "row"]).sum())
    return check_result(
        COUNTED, twice == 0, rule=COUNTED_RULE[COUNTED],
        observed=f"{len(rows):,} predictions, {twice} of them repeated",
        action="Do not use these figures: find out which table holds a row twice.",
    )  # fmt: skip


def _checks(
    found: pd.DataFrame, maturity: pd.DataFrame, live: str, settings: PerformanceConfig, words: Words
) -> Iterator[dg.AssetCheckResult]:
    """Report one warning check per topic, and one on what the hospital has delivered."""
    of_live = found[(found["version"] == live) & (found["period"] == JUDGED) & (found["cohort"] == ALL)]
    topics = of_live["measure"].map(lambda name: _TOPICS.get(str(name), "live_calibration"))
    limited = of_live["measure"].isin(list(settings.limits))
    for name in (name for name in _RULES if name != COMPLETE):
        yield _topic(name, of_live[(topics == name) & limited], settings, words)
    yield _complete(maturity.tail(0) if maturity.empty else maturity[maturity["due"].astype(bool)], settings)


def _topic(name: str, rows: pd.DataFrame, settings: PerformanceConfig, words: Words) -> dg.AssetCheckResult:
    measured, estimates = rows[rows["kind"] == MEASURED], rows[rows["kind"] == ESTIMATE]
    worse, unsure = measured[measured["result"] == WORSE], measured[measured["result"] == INSUFFICIENT]
    against = "; ".join(_against(row, settings) for row in _records(measured))
    if measured.empty:
        text = ", ".join(
            f"{row['measure']} {row['value']:z.3f}" for row in _records(estimates) if pd.notna(row["value"])
        )
        beforehand = f"estimate from the risks themselves: {text}" if text else "there is no estimate of this"
        found = f"nothing has matured; {beforehand}"
        said = f"Nothing has matured: no day of this version is old enough and has its outcomes; {beforehand}."
    elif not worse.empty:
        found = against
        said = f"{_RULES[name]} Not so: {'; '.join(_against(row, settings) for row in _records(worse))}. {_ACTION}"
    elif len(unsure):
        fewer = f"fewer than {settings.min_positives} {words.events} among the matured"
        found = f"cannot be judged yet: {fewer}, or undefined"
        said = f"Cannot be judged yet: {fewer}, or undefined."
    else:
        found = against
        said = f"{_RULES[name]} Seen: {against}."
    # The UI sorts by name, and plots every number: only what was measured and judged is worth a plot.
    judged = measured[measured["result"] != INSUFFICIENT]
    plots = {f"measured {row['measure']}": plain(row["value"]) for row in _records(judged) if pd.notna(row["value"])}
    limits = "; ".join(f"{name}: {describe(settings.limits[name])}" for name in dict.fromkeys(rows["measure"]))
    return _warning(name, worse.empty, said, {"finding": found, "limits": limits or "none", **plots})


def _against(row: Mapping[Any, Any], settings: PerformanceConfig) -> str:
    promised = f", promised {row['promised']:z.3f}" if pd.notna(row["promised"]) else ""
    limit = describe(settings.limits[row["measure"]])
    return f"{row['measure']} {row['value']:z.3f} ({row['low']:z.3f} to {row['high']:z.3f}), limit: {limit}{promised}"


def _complete(due: pd.DataFrame, settings: PerformanceConfig) -> dg.AssetCheckResult:
    """Judge the latest days that are old enough; a day counts when nearly all of its outcomes are there."""
    latest = due.tail(settings.days)
    lacking = latest[~latest["matured"].astype(bool)]
    if latest.empty:
        return _warning(COMPLETE, True, "Nothing has matured: no day with deliveries is old enough.", {})
    count = f"{len(latest) - len(lacking)} of {len(latest)} days have their outcomes."
    shown = {
        "finding": f"{count} Limit: each of them, with at least {percent(settings.outcome_coverage)} of its outcomes.",
        "how many lack outcomes": len(lacking),
        "which": table({"day": str(day)} for day in lacking.index),
    }
    if lacking.empty:
        return _warning(COMPLETE, True, f"{_RULES[COMPLETE]} {count}", shown)
    named = ", ".join(map(str, lacking.index[:_LISTED])) + (", ..." if len(lacking) > _LISTED else "")
    return _warning(COMPLETE, False, f"{_RULES[COMPLETE]} Here: {count} Lacking: {named}. {_ASK}", shown)


def _warning(name: str, passed: bool, said: str, shown: Mapping[str, Any]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=name, passed=passed, severity=dg.AssetCheckSeverity.WARN, description=said, metadata=dict(shown)
    )


def _records(rows: pd.DataFrame) -> list[dict[Any, Any]]:
    return rows.to_dict("records")


def _metadata(
    found: pd.DataFrame,
    rows: pd.DataFrame,
    maturity: pd.DataFrame,
    live: str,
    settings: PerformanceConfig,
    workspace: Workspace,
) -> dict[str, Any]:
    """Show the judged period, its subgroups, and the months with the estimates they had."""
    own = found[found["version"] == live]
    judged = own[own["period"] == JUDGED]
    measured = judged[judged["kind"] == MEASURED]
    shown = {
        "model version": live,
        "judged": _period(judged),
        "estimates": "assume that each risk is right: observed over expected and calibration slope would be 1 by "
        "construction and are not estimated",
        "measured against promise": _figures(judged[judged["cohort"] == ALL], ["measure", "kind"]),
        "subgroups": _figures(measured[measured["cohort"] != ALL], ["cohort", "measure"]),
        "months": table(_reconciled(own[own["period"] != JUDGED])),
        "matured days": int(maturity["matured"].sum()),
        "dates": "as delivered; those of a replay are simulated",
    }
    return shown | _pictures(measured, own[own["period"] != JUDGED], rows, live, settings, workspace)


def _left_out(scored: pd.DataFrame, rows: pd.DataFrame, words: Words) -> str:
    withheld = int(scored["withheld"].sum())
    learnt = len(scored) - withheld - len(rows)
    counts = (f"{count:,}" if count == 0 or count >= SMALLEST_SHOWN else "a few" for count in (withheld, learnt))
    return "{} withheld predictions; {} of {} that the version had been trained on".format(*counts, words.rows)


def _period(judged: pd.DataFrame) -> str:
    if judged.empty:
        return "this version has scored nothing yet"
    first = judged.iloc[0]
    kind = "matured outcomes" if (judged["kind"] == MEASURED).any() else "an estimate only: nothing has matured"
    return f"{first['first_day']} to {first['last_day']}, {kind}"


def _figures(rows: pd.DataFrame, keys: list[str]) -> dg.MetadataValue:
    """Show figures, and about how many they are of: exact, these would tell beside the days what is hidden of one."""
    columns = [*keys, *_FIGURES, "promised", "result"]
    shown = rows[columns].rename(columns={name: f"about {name}" for name in _COUNTS})
    for name in _COUNTS:
        shown[f"about {name}"] = rows[name].map(lambda count: rough_count(int(count)), na_action="ignore")
    return table({name: None if pd.isna(cell) else cell for name, cell in row.items()} for row in _records(shown))


def _reconciled(months: pd.DataFrame) -> list[dict[str, Any]]:
    """Put estimate and realised value of each month side by side."""
    keys = ["period", "cohort", "measure"]
    everybody = months[months["cohort"] == ALL]
    wide = everybody.pivot_table(index=keys[::2], columns="kind", values="value", sort=False, dropna=False)
    wide = wide.reindex(columns=[ESTIMATE, MEASURED]).astype("float64")
    return [
        {"month": month, "measure": measure, "estimate": _known(estimate), "realised": _known(realised),
         "difference": _known(realised - estimate)}
        for (month, measure), (estimate, realised) in zip(wide.index, wide.to_numpy(), strict=True)
        if pd.notna(estimate) or pd.notna(realised)
    ]  # fmt: skip


def _known(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)


def _pictures(
    measured: pd.DataFrame,
    months: pd.DataFrame,
    rows: pd.DataFrame,
    live: str,
    settings: PerformanceConfig,
    workspace: Workspace,
) -> dict[str, dg.MetadataValue]:
    """Draw the months, and observed against predicted risk where there are enough readmissions."""
    from readmission_platform.reports.pictures.evidence import calibration_png, trend_png

    wording, model = workspace.wording, workspace.config
    everybody = months[months["cohort"] == ALL]
    panels = {
        wording.short(measure): [
            {"month": row["period"], "estimate": row["kind"] == ESTIMATE,
             **{name: _known(row[name]) for name in ("value", "low", "high", "promised")}}
            for row in _records(everybody[everybody["measure"] == measure])
        ]
        for measure in ("auroc", "observed_expected")
    }  # fmt: skip
    trend = trend_png(sorted(set(everybody["period"])), panels)
    drawn = {"trend": picture(trend, "By month: measured once matured, estimated before")}
    overall = measured[measured["cohort"] == ALL]
    if (overall["positives"] >= settings.min_positives).any():
        own = rows[(rows["version"] == live) & rows["label"].notna()]
        curves = reliability(
            latest_days(own, settings.days), overall, replicates=model.bootstrap_replicates, seed=model.seed
        )
        drawn["calibration"] = picture(
            calibration_png(curves, wording), "Observed against predicted risk, matured outcomes"
        )
    return drawn
