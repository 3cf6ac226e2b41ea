"""Figures from the tables of operation: each named once, with its days, and none of a handful of people's outcomes."""

import numpy as np
import pandas as pd
import pytest

from readmission_platform.evaluation.drift.windows import DriftLimits
from readmission_platform.evaluation.operation import figures as made
from readmission_platform.evaluation.operation.catalogue import CATALOGUE

DAY = "day"
LIMITS = DriftLimits(
    column_score=0.2, risk_score=0.2, missing_difference=0.1, unseen_share=0.05, drifted_columns=2, alarm_windows=2,
    of_windows=3,
)  # fmt: skip


def table_of(parts: list[pd.DataFrame]) -> pd.DataFrame:
    return made.long_table(parts)


def values_of(table: pd.DataFrame, figure: str) -> list[float]:
    return table.loc[table["figure"] == figure, "value"].tolist()


def accounting(*counts: tuple[str, int, int, int, int]) -> pd.DataFrame:
    return pd.DataFrame(counts, columns=[DAY, "received", "accepted", "quarantined", "duplicate"])


def test_the_table_has_its_columns_and_units_even_when_there_is_nothing():
    empty = table_of([])
    assert list(empty.columns) == made.COLUMNS
    assert empty.empty
    table = table_of(made.volumes(accounting(("2026-01-01", 27, 25, 2, 0))))
    assert list(table.columns) == made.COLUMNS
    assert set(table["unit"]) == {"rows", "share"}
    assert set(table["kind"]) == {"measured"}
    assert (table["first_day"] == table["last_day"]).all()


def test_a_day_on_which_nothing_arrived_has_no_share():
    table = table_of(made.volumes(accounting(("2026-01-01", 0, 0, 0, 0), ("2026-01-02", 20, 15, 5, 0))))
    assert values_of(table, "rows_received") == [0, 20]
    assert values_of(table, "quarantined_share") == [0.25]


def predictions(**more: list[object]) -> pd.DataFrame:
    risks, bands, flags = [0.1, 0.3, np.nan, 0.2], ["low", "high", None, "low"], [False, True, False, False]
    return pd.DataFrame(
        {DAY: "2026-01-01", "model_version": "7", "risk": risks, "band": bands, "flagged": flags} | more
    )


def test_a_withheld_risk_is_counted_apart_and_in_no_mean():
    rows = predictions(status=["scored", "scored", "withheld", "scored"])
    table = table_of(made.scores(rows, ["low", "high"]))
    assert values_of(table, "rows_scored") == [3]
    assert values_of(table, "rows_withheld") == [1]
    assert values_of(table, "rows_flagged") == [1]
    assert values_of(table, "mean_risk") == [pytest.approx(0.2)]
    assert set(table["version"]) == {"7"}


def test_a_day_whose_outcomes_are_due_and_did_not_come_counts_as_missing():
    outcomes = pd.DataFrame({DAY: ["2026-01-01"], "accepted": [18]})
    due = pd.Series({"2026-01-01": 20, "2026-01-02": 20})
    table = table_of(made.coverage(outcomes, due))
    assert values_of(table, "outcome_coverage") == [0.9, 0.0]
    assert values_of(table, "matured_coverage") == [0.45]
    assert made.coverage(outcomes, pd.Series(dtype="int64")) == []


def window(number: int, drifted: int, version: str = "1", risk: float = 0.01) -> list[tuple[object, ...]]:
    days = (f"2026-01-{number:02}", f"2026-01-{number:02}", 210)
    columns = [(version, number, *days, f"c{place}", "drift", 0.5 if place < drifted else 0.01) for place in range(4)]
    return [*columns, (version, number, *days, "risk", "drift", risk)]


def report(*windows: list[tuple[object, ...]]) -> pd.DataFrame:
    names = ["version", "window", "first_day", "last_day", "rows", "column", "measure", "score"]
    return pd.DataFrame([row for each in windows for row in each], columns=names)


def test_the_alarm_goes_off_when_enough_of_the_latest_windows_drifted():
    table = table_of(made.drift(report(*(window(n, d) for n, d in enumerate([0, 2, 1, 3, 0, 0], 1))), LIMITS))
    assert values_of(table, "drifted_columns") == [0, 2, 1, 3, 0, 0]
    assert values_of(table, "drifted_share") == [0, 0.5, 0.25, 0.75, 0, 0]
    assert values_of(table, "drift_alarm") == [0, 0, 0, 1, 0, 0]
    assert set(table.loc[table["figure"] == "column_drifted", "cohort"]) == {f"column: c{n}" for n in range(4)}


def test_predicted_risks_that_drifted_make_the_window_a_drifted_one():
    table = table_of(made.drift(report(window(1, 0, risk=0.3), window(2, 0, risk=0.2)), LIMITS))
    assert values_of(table, "drift_alarm") == [0, 1]
    assert values_of(table, "risk_stability_index") == [0.3, 0.2]
    assert values_of(table, "risk_stability_limit") == [0.2, 0.2]


def test_windows_of_another_version_neither_raise_nor_calm_the_alarm():
    table = table_of(made.drift(report(window(1, 3), window(1, 3, "2"), window(2, 0, "2")), LIMITS))
    assert not any(values_of(table, "drift_alarm"))


def test_a_column_that_could_not_be_compared_has_drifted_and_has_no_index():
    rows = report(window(1, 0))
    rows.loc[rows["column"] == "c1", "score"] = np.nan
    table = table_of(made.drift(rows, LIMITS))
    assert values_of(table, "drifted_columns") == [1]
    assert len(values_of(table, "column_stability_index")) == 3


def performance(**more: object) -> pd.DataFrame:
    row = {"version": "1", "period": "judged", "first_day": "2026-01-01", "last_day": "2026-03-31", "cohort": "all",
           "measure": "auroc", "kind": "measured", "value": 0.65, "low": 0.6, "high": 0.7, "n": 900, "positives": 99,
           "promised": 0.66, "promised_low": 0.65, "promised_high": 0.67, "result": "holds"}  # fmt: skip
    return pd.DataFrame([row | more]).astype({"n": "Int64", "positives": "Int64"})


def test_matured_performance_stands_beside_its_promise_and_verdict():
    table = table_of(made.performance(performance()))
    assert values_of(table, "live_auroc") == [0.65]
    assert values_of(table, "promised_auroc") == [0.66]
    assert values_of(table, "worse_auroc") == [0]
    assert table.loc[table["figure"] == "promised_auroc", ["low", "high"]].to_numpy().tolist() == [[0.65, 0.67]]


@pytest.mark.parametrize(
    ("result", "worse", "unjudged"), [("worse", [1], []), ("insufficient", [], [1]), ("", [], []), ("holds", [0], [])]
)
def test_a_measure_is_worse_within_or_not_judged(result: str, worse: list[float], unjudged: list[float]):
    table = table_of(made.performance(performance(result=result)))
    assert values_of(table, "worse_auroc") == worse
    assert values_of(table, "unjudged_auroc") == unjudged


def test_months_and_estimates_are_told_apart_from_what_is_judged():
    month = performance(period="2026-04", kind="estimate", low=np.nan, high=np.nan, positives=pd.NA, result="")
    table = table_of(made.performance(pd.concat([performance(), month])))
    assert values_of(table, "monthly_auroc") == [0.65]
    assert table.loc[table["figure"] == "monthly_auroc", "kind"].tolist() == ["estimate"]
    assert made.latest(table, live="1").keys() == {"live_auroc", "promised_auroc", "worse_auroc"}


@pytest.mark.parametrize("counts", [{"n": 9, "positives": 0}, {"n": 100, "positives": 10}, {"n": 100, "positives": 95}])
def test_figures_of_1_to_10_people_are_never_made(counts: dict[str, int]):
    assert table_of(made.performance(performance(**counts))).empty


def test_a_cohort_that_was_hidden_where_it_was_measured_stays_out():
    gone = performance(cohort="race: Asian", value=np.nan, n=pd.NA, positives=pd.NA)
    assert set(table_of(made.performance(pd.concat([performance(), gone])))["cohort"]) == {"all"}


def test_a_refusal_is_no_failed_run():
    finished = pd.DataFrame([("2026-01-01T05:00", "success", None), ("2026-01-01T06:00", "failure", "declined"),
                             ("2026-01-01T07:00", "failure", "error"), ("2026-01-01T08:00", "failure", "check")],
                            columns=["ended_at", "status", "cause"])  # fmt: skip
    of_assets = pd.DataFrame([("a", "2026-01-01T05:00", 2.0, 100, "made"), ("a", "2026-01-01T06:00", 4.0, 100, "made"),
                              ("a", "2026-01-01T07:00", 99.0, 100, "failed"), ("b", None, None, None, "skipped")],
                             columns=["asset", "started_at", "seconds", "rows", "outcome"])  # fmt: skip
    table = table_of(made.runs(finished, of_assets, scoring="a"))
    assert values_of(table, "failed_run_share") == [0.5]
    assert values_of(table, "asset_seconds") == [3.0]
    assert values_of(table, "scoring_milliseconds") == [30.0]


def test_the_latest_value_is_the_newest_and_of_two_versions_that_of_the_live_one():
    rows = [("drifted_share", 0.1, "2026-01-01", "1"), ("drifted_share", 0.2, "2026-01-02", "2"),
            ("drifted_share", 0.3, "2026-01-02", "1"), ("mean_risk", 0.4, "2026-01-03", "1")]  # fmt: skip
    table = table_of([made.single(name, value, first_day=day, last_day=day, version=version)
                      for name, value, day, version in rows])  # fmt: skip
    assert made.latest(table, live="2") == {"drifted_share": 0.2, "mean_risk": 0.4}
    assert made.latest(table, live="1") == {"drifted_share": 0.3, "mean_risk": 0.4}


def test_a_figure_at_the_flag_has_one_name_whatever_the_share():
    assert CATALOGUE["live_recall_at_flag"].unit == "share"
    assert not any("%" in figure.meaning or "{" in figure.meaning for figure in CATALOGUE.values())
    assert not any(part.isdigit() for name in CATALOGUE for part in name.split("_"))


def test_a_figure_that_is_not_in_the_catalogue_has_no_unit():
    table = table_of([made.single("no_such_figure", 1, first_day="2026-01-01", last_day="2026-01-01")])
    assert table["unit"].tolist() == [""]
