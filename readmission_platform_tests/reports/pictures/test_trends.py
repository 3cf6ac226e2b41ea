"""The pictures of operation: whole SVGs that are the same for the same figures, also when there is little to draw."""

from collections.abc import Callable
from datetime import date
from xml.etree import ElementTree as ET

import pandas as pd
import pytest

from readmission_platform.evaluation.operation import figures as made
from readmission_platform.reports.pictures.time_axis import TimeAxis, ticks
from readmission_platform.reports.pictures.trends import drift_svg, performance_svg, risk_svg, volume_svg, while_live
from readmission_platform_tests.support.evidence_rows import WORDING

AXIS = TimeAxis(date(2026, 1, 1), date(2026, 2, 28), [("1", date(2026, 1, 1), date(2026, 1, 31)),
                                                      ("2", date(2026, 1, 31), date(2026, 2, 28))])  # fmt: skip
NOTHING = made.long_table([]).assign(hidden=False)
DRAW: list[Callable[[pd.DataFrame], bytes]] = [
    lambda figures: volume_svg(figures, AXIS, WORDING),
    lambda figures: drift_svg(figures, AXIS),
    lambda figures: risk_svg(figures, AXIS, WORDING),
    lambda figures: performance_svg(figures, AXIS, WORDING, measure="auroc", limits=(0.63, 1.0)),
]


def single(figure: str, value: float, first: str, last: str, **more: str) -> pd.DataFrame:
    return made.single(figure, value, first_day=first, last_day=last, **more)


def some_figures() -> pd.DataFrame:
    day, window = ("2026-01-05", "2026-01-05"), ("2026-01-05", "2026-01-12")
    parts = [
        single("rows_received", 40, *day), single("rows_quarantined", 15, *day),
        single("mean_risk", 0.12, *day), single("risk_band_share", 0.7, *window, cohort="band: low"),
        single("risk_band_share", 0.3, *window, cohort="band: high or very_high"),
        single("drift_alarm", 1, *window, version="1"), single("risk_stability_index", 0.3, *window, version="1"),
        single("risk_stability_limit", 0.2, *window, version="1"),
        single("column_stability_limit", 0.2, *window, version="1"),
        single("column_stability_index", 0.5, *window, version="1", cohort="column: age"),
        single("column_drifted", 1, *window, version="1", cohort="column: age"),
        single("column_drifted", 1, *window, version="1", cohort="column: insulin"),
        single("monthly_auroc", 0.66, *window, version="1"),
        single("monthly_auroc", 0.65, "2026-02-01", "2026-02-28", version="2", kind="estimate"),
        single("promised_auroc", 0.66, *window, version="1"),
    ]  # fmt: skip
    return made.long_table(parts).assign(hidden=False)


@pytest.mark.parametrize("draw", DRAW)
@pytest.mark.parametrize("figures", [NOTHING, some_figures()], ids=["nothing", "something"])
def test_a_picture_is_a_whole_svg_that_refers_to_nothing_outside(
    draw: Callable[[pd.DataFrame], bytes], figures: pd.DataFrame
):
    root = ET.fromstring(draw(figures))
    assert root.tag.endswith("svg")
    targets = [value for part in root.iter() for name, value in part.attrib.items() if name.endswith("href")]
    assert all(target.startswith("#") for target in targets)


@pytest.mark.parametrize("draw", DRAW)
def test_the_same_figures_make_the_same_bytes(draw: Callable[[pd.DataFrame], bytes]):
    assert draw(some_figures()) == draw(some_figures())


def test_hidden_counts_are_marked_and_not_drawn_to_scale():
    hidden = some_figures()
    hidden.loc[hidden["figure"] == "rows_quarantined", ["value", "hidden"]] = [float("nan"), True]
    assert volume_svg(hidden, AXIS, WORDING) != volume_svg(some_figures(), AXIS, WORDING)


@pytest.mark.parametrize("days", [1, 2, 17, 30, 90, 180, 367, 1200, 3650])
def test_about_a_dozen_days_are_named(days: int):
    last = date(2026, 6, 30)
    named = ticks(TimeAxis(date.fromordinal(last.toordinal() - days + 1), last, []))
    assert 1 <= len(named) <= 14
    assert named == sorted(set(named))


def test_a_version_is_judged_by_its_windows_in_production_from_when_it_came_there():
    days = [("1", "2026-01-20", "2026-01-28"), ("1", "2026-02-01", "2026-02-08"), ("2", "2026-01-10", "2026-01-20"),
            ("2", "2026-01-25", "2026-02-04"), ("2", "2026-02-05", "2026-02-12")]  # fmt: skip
    windows = pd.DataFrame(days, columns=["version", "first_day", "last_day"])
    kept = while_live(windows, AXIS)
    assert kept[["version", "begin", "last_day"]].to_numpy().tolist() == [
        ["1", "2026-01-20", "2026-01-28"], ["2", "2026-01-31", "2026-02-04"], ["2", "2026-02-05", "2026-02-12"],
    ]  # fmt: skip
