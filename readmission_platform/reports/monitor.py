"""The monitoring page: the last days of the model in production, in one file that prints well.

What belongs here: how the page looks. What does not: finding out what it says (``lifecycle.monitoring.page``). The page
loads nothing from anywhere: style and pictures are inside it.
"""

import base64
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined, Template

from readmission_platform.evaluation.words import Wording
from readmission_platform.reports.pictures import trends as trend_plots
from readmission_platform.reports.pictures.time_axis import TimeAxis
from readmission_platform.reports.review import NOTHING, count, figure, interval

# Measures that are drawn by month.
DRAWN = ("auroc", "observed_expected", "calibration_slope")
_TEMPLATE = "monitor.html.j2"


def monitor_html(page: Mapping[str, Any]) -> str:
    """Render the page, given as ``lifecycle.monitoring.page.monitor_of`` returns it."""
    shown = {name: value for name, value in page.items() if name != "figures"}
    return _template().render(shown, wording=Wording.of(page))


def pictures_of(
    visible: pd.DataFrame, axis: TimeAxis, wording: Wording, *, limits: Mapping[str, tuple[float, float]]
) -> dict[str, str]:
    """Return the pictures of what there is, by name, as images that a page can hold.

    Parameters
    ----------
    visible
        Figures with small cells hidden (``evaluation.operation.shown.shown``).
    """
    there = set(visible["figure"])
    found = {}
    if "rows_received" in there:
        found["volume"] = trend_plots.volume_svg(visible, axis, wording)
    if "column_drifted" in there:
        found["drift"] = trend_plots.drift_svg(visible, axis)
    if {"mean_risk", "risk_band_share"} & there:
        found["risks"] = trend_plots.risk_svg(visible, axis, wording)
    for measure in DRAWN:
        if f"monthly_{measure}" in there:
            found[measure] = trend_plots.performance_svg(
                visible, axis, wording, measure=measure, limits=limits.get(measure)
            )
    return {name: f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}" for name, svg in found.items()}


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "figure": figure, "interval": interval, "count": people, "percent": percent, "short": short,
    }  # fmt: skip
    return environment.from_string(files(__package__).joinpath(_TEMPLATE).read_text(encoding="utf-8"))


def percent(value: float | None) -> str:
    """Write a share in percent: no digits after the point, one where it is below 10 %; a dash for none."""
    return NOTHING if value is None else f"{100 * value:.{1 if 0 < value < 0.1 else 0}f} %"


def people(value: float | None) -> str:
    """Write a number of people, hiding 1 to 10."""
    return NOTHING if value is None else count(round(value))


def short(day: str | None) -> str:
    """Write a moment to the minute."""
    return NOTHING if day is None else day[:16].replace("T", " ")
