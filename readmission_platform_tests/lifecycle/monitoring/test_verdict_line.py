"""One sentence that says whether all is well: nothing wrong is left out, and nothing unknown is called well."""

from typing import Any

import pandas as pd
import pytest

from readmission_platform.evaluation.operation import figures as made
from readmission_platform.lifecycle.monitoring.verdict_line import standing
from readmission_platform_tests.support.evidence_rows import WORDING

DAY = "2026-01-31"
WELL = [("rows_received", 27.0, "all"), ("days_incomplete", 0.0, "all"), ("drift_alarm", 0.0, "all"),
        ("column_drifted", 0.0, "column: age"), ("live_auroc", 0.66, "all"), ("worse_auroc", 0.0, "all"),
        ("matured_coverage", 0.99, "all")]  # fmt: skip


def judged(
    *changes: tuple[str, float, str],
    without: tuple[str, ...] = (),
    live: str | None = "1",
    alerts: Any = (),
    accepted: tuple[str, ...] = (),
) -> dict[str, str]:
    kept = [row for row in WELL if row[0] not in {*without, *(name for name, _, _ in changes)}]
    rows = [made.single(name, value, first_day=DAY, last_day=DAY, version="1", cohort=cohort, n=60)
            for name, value, cohort in (*kept, *changes)]  # fmt: skip
    visible = made.long_table(rows).assign(hidden=False)
    return standing(visible, live=live, open_alerts=alerts, outcome_coverage=0.95, maturity_days=30, wording=WORDING,
                    accepted=accepted)  # fmt: skip


def test_all_is_well_when_everything_is_known_and_in_order():
    assert judged() == {
        "tone": "good", "text": "All is well",
        "more": "Every day is complete, there is no drift alarm, and the model does as well as validation promised.",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("days_incomplete", 2.0, "all"), "2 of 60 days lack files, intake or scores"),
        (("drift_alarm", 1.0, "all"), "the encounters have drifted from the training data"),
        (("worse_observed_expected", 1.0, "all"), "observed / expected readmissions is outside its limits (everybody)"),
    ],
)
def test_what_is_wrong_is_named(change: tuple[str, float, str], said: str):
    found = judged(change)
    assert (found["tone"], found["text"]) == ("bad", "Not all is well")
    assert said.lower() in found["more"].lower()


def test_a_drift_alarm_names_the_columns_a_few_at_most():
    columns = [("column_drifted", 1.0, f"column: c{place}") for place in range(6)]
    assert "(c0, c1, c2, c3 and 2 more)" in judged(("drift_alarm", 1.0, "all"), *columns)["more"]


def test_accepted_drift_is_something_to_look_at_and_no_trouble():
    said = "age until 2026-04-01 by clinician (event 9)"
    found = judged(accepted=(said,))
    assert (found["tone"], found["text"]) == ("warn", "In order, with something to look at")
    assert found["more"] == f"Drift is accepted: {said}."


def test_beside_accepted_drift_an_alarm_names_the_other_columns():
    columns = [
        ("column_drifted", 1.0, "column: age"),
        ("column_drifted", 1.0, "column: race"),
        ("column_drift_accepted", 1.0, "column: age"),
        ("column_drift_accepted", 0.0, "column: race"),
    ]
    found = judged(("drift_alarm", 1.0, "all"), *columns, accepted=("age until 2026-04-01",))
    assert found["text"] == "Not all is well"
    assert "training data (race)" in found["more"]


def test_several_troubles_are_one_sentence():
    more = judged(("drift_alarm", 1.0, "all"), ("days_incomplete", 1.0, "all"), ("matured_coverage", 0.4, "all"))[
        "more"
    ]
    assert more.count(";") == 2
    assert more.count(".") == 1
    assert "40 % of the outcomes due have arrived" in more


def test_without_a_version_in_production_not_all_is_well():
    assert judged(live=None)["more"].startswith("No version is in production")
    nothing = judged(without=tuple(name for name, _, _ in WELL), live=None)
    assert "no discharges have arrived" in nothing["more"]


def test_open_alerts_count_by_how_bad_they_are():
    assert judged(alerts=[{"severity": "info"}])["tone"] == "good"
    warned = judged(alerts=[{"severity": "warning"}, {"severity": "warning"}])
    assert (warned["tone"], warned["more"]) == ("warn", "2 warning alerts are open.")
    assert judged(alerts=[{"severity": "critical"}])["tone"] == "bad"


@pytest.mark.parametrize(
    ("missing", "said"), [("drift_alarm", "drift has not been judged yet"), ("live_auroc", "30 days")]
)
@pytest.mark.parametrize("accepted", [(), ("age until 2026-04-01",)])
def test_before_drift_and_performance_are_judged_nothing_is_called_in_order(
    missing: str, said: str, accepted: tuple[str, ...]
):
    found = judged(without=(missing,), accepted=accepted)
    assert (found["tone"], found["text"]) == ("warn", "Not everything has been judged yet")
    assert said.lower() in found["more"].lower()
    assert all(each in found["more"] for each in accepted)


def test_right_after_a_first_run_nothing_has_been_judged():
    found = judged(without=("drift_alarm", "column_drifted", "live_auroc", "worse_auroc", "matured_coverage"))
    assert (found["tone"], found["text"]) == ("warn", "Nothing has been judged yet")


def test_what_is_not_known_yet_is_not_called_well():
    found = judged(without=("days_incomplete",))
    assert (found["tone"], found["text"]) == ("warn", "In order as far as we know")
    assert "complete" in found["more"]
    assert judged(alerts=None)["more"] == "Runs are not being observed."


def test_another_versions_trouble_is_not_that_of_the_live_one():
    found = judged(("worse_auroc", 1.0, "all"), ("drift_alarm", 1.0, "all"), live="2")
    assert found["tone"] == "warn"
    assert pd.notna(found["more"])
