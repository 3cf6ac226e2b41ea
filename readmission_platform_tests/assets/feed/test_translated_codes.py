"""What is said of codes that came in ICD-10-CM: on the day's asset, in its check, among the figures and on the page."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import dagster as dg
import pandas as pd
import pytest

from readmission_platform.evaluation.operation.figures import translations
from readmission_platform.lifecycle.monitoring.page import monitor_of
from readmission_platform.reports.monitor import monitor_html
from readmission_platform_tests.support.bad_deliveries import clean_rows
from readmission_platform_tests.support.homes import Home

FIRST = datetime(2024, 3, 1, tzinfo=UTC)


@pytest.fixture
def home(small_home: Home, changing: Callable[[Home], Home]) -> Home:
    return changing(small_home)


def day_of(place: int) -> str:
    return (FIRST + timedelta(days=place)).date().isoformat()


def taken_in(home: Home, place: int, cells: pd.DataFrame) -> tuple[dg.AssetCheckEvaluation, str | None]:
    """Deliver a day, take it in, and return the check on translation and what the day's asset says of codes."""
    folder = home.path / "landing" / "discharges" / day_of(place)
    folder.mkdir(parents=True, exist_ok=True)
    cells.to_csv(folder / "d.csv", index=False)
    result = home.materialize("daily_discharges", day=day_of(place))
    assert result.success
    (check,) = [each for each in result.get_asset_check_evaluations() if each.check_name == "codes_translated_well"]
    said = [event.event_specific_data.materialization.metadata.get("codes") for event in result.all_events
            if event.is_step_materialization]  # type: ignore[union-attr]  # fmt: skip
    return check, next((str(each.value) for each in said if each is not None), None)


def of_patients(count: int, place: int, **codes: str | list[str]) -> pd.DataFrame:
    cells = clean_rows(count, first=700_000_000 + 1_000 * place)
    return cells.assign(**{"diag_1": "428.0", "diag_2": "250.6", "diag_3": "486", **codes})


def test_a_day_in_icd_9_says_nothing_of_translation(home: Home):
    check, said = taken_in(home, 0, of_patients(20, 0))
    assert check.passed
    assert said is None
    with home.workspace() as workspace:
        page = monitor_of(workspace, days=3, now=FIRST + timedelta(days=2))
    assert page["codes"] is None
    assert "ICD-10-CM" not in monitor_html(page)


def test_the_shares_of_a_day_in_icd_10_are_told_on_the_asset_in_the_figures_and_on_the_page(home: Home):
    check, said = taken_in(home, 0, of_patients(40, 0, diag_1="I50.9", diag_2="N18.6", diag_3="J189"))
    assert check.passed
    assert said == "native none, exact 33 %, inexact 67 %, lost none"
    assert check.metadata["observed"].value == said
    with home.workspace() as workspace:
        page = monitor_of(workspace, days=3, now=FIRST + timedelta(days=2))
    shares = {"native": 0.0, "exact": pytest.approx(1 / 3), "inexact": pytest.approx(2 / 3), "lost": 0.0}
    assert page["codes"]["shares"] == shares
    assert "native 0 %, exact 33 %, inexact 67 %, lost 0 %" in monitor_html(page)


def test_too_many_lost_codes_are_warned_of_and_few_people_are_not_told(home: Home):
    lost = ["U07.1"] * 8 + ["I50.9"] * 32
    check, said = taken_in(home, 0, of_patients(40, 0, diag_1=lost))
    assert not check.passed
    assert check.severity == dg.AssetCheckSeverity.WARN
    assert said == "native some, exact none, inexact some, lost some"
    with home.workspace() as workspace:
        page = monitor_of(workspace, days=3, now=FIRST + timedelta(days=2))
    assert set(page["codes"]["shares"]) == {"native", "exact", "inexact or lost"}


def test_the_check_passes_at_its_limit_and_fails_beyond(home: Home):
    at_limit = taken_in(home, 0, of_patients(40, 0, diag_1=["U07.1"] * 6 + ["N18.6"] * 34))[0]
    beyond = taken_in(home, 1, of_patients(40, 1, diag_1=["U07.1"] * 7 + ["N18.6"] * 33))[0]
    assert (at_limit.passed, beyond.passed) == (True, False)
    inexact = taken_in(home, 2, of_patients(40, 2, diag_1="I10", diag_2="E119", diag_3="J189"))[0]
    assert not inexact.passed


def test_a_share_of_codes_that_several_of_one_patient_may_be_among_needs_as_many_more():
    counts = pd.DataFrame({"native": [300], "exact": [0], "inexact": [30], "lost": [0]}, index=["2024-03-01"])
    assert translations(counts, of_one=3)[0].empty
    assert len(translations(counts.assign(inexact=31), of_one=3)[0]) == 4
    assert translations(counts.assign(inexact=0), of_one=3) == []
