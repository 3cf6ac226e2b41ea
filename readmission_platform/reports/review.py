"""The approver's page: everything that somebody who signs for a version has to see, in one file that prints well.

What belongs here: how the page looks. What does not: finding out what it says (``lifecycle.versions.review``). The page
loads nothing from anywhere: style and pictures are inside it.
"""

import base64
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from readmission_platform.evaluation.disclosure import SMALLEST_SHOWN
from readmission_platform.reports.pictures import evidence as plots

# What is compared with the version in production: metric, plain words, and the paired difference if there is one.
FIGURES = (
    ("auroc", "AUROC: how well high risk is told from low", "champion_auroc_difference"),
    ("auroc_test", "AUROC on the test patients of this very model", None),
    ("average_precision", "Average precision", "champion_average_precision_difference"),
    ("brier", "Brier score (lower is better)", "champion_brier_difference"),
    ("calibration_slope", "Calibration slope (1 is right)", None),
    ("observed_expected", "Observed / expected readmissions (1 is right)", None),
    ("recall_at_10", "Readmissions found when 10 % are flagged", None),
    ("ppv_at_10", "Flagged patients who are readmitted (10 % flagged)", None),
    ("net_benefit_at_0.2", "Net benefit when followed up from 20 % risk", "champion_net_benefit_difference_at_0.2"),
    ("latest_auroc", "AUROC on the latest fifth of the patients", None),
)
PICTURES = (
    (plots.calibration_png, "Observed against predicted risk, in tenths of the encounters."),
    (plots.roc_png, "Sensitivity against false alarms, beside the scores wards compute by hand."),
    (plots.precision_recall_png, "How many of the flagged are readmitted, by how many are flagged."),
    (plots.decision_curve_png, "Whether acting on the prediction is worth it, by threshold."),
)
NOTHING = "\N{EN DASH}"
_TEMPLATE = "review.html.j2"


def review_html(page: Mapping[str, Any]) -> str:
    """Render the page.

    Parameters
    ----------
    page
        As ``lifecycle.versions.review.review_of`` returns it. Counts of 1 to 10 people are hidden here once more.
    """
    return _template().render(page)


def pictures_of(evidence: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the plots of an evidence document, small cells hidden already, as images that a page can hold."""
    curves = evidence["curves"]
    return [
        {"source": f"data:image/png;base64,{base64.b64encode(draw(curves)).decode()}", "caption": caption}
        for draw, caption in PICTURES
    ]


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"figure": figure, "interval": interval, "signed": signed, "count": count, "short": short}
    return environment.from_string(files(__package__).joinpath(_TEMPLATE).read_text(encoding="utf-8"))


def figure(value: float | None, digits: int | None = None) -> str:
    """Write a number to three decimals: more where it is close to 0, none where it counts people; a dash for none."""
    if value is None:
        return NOTHING
    if digits is None:
        digits = 0 if abs(value) >= 100 else (4 if abs(value) < 0.02 else 3)
    return f"{value:,.{digits}f}"


def interval(estimate: Mapping[str, Any] | None) -> str:
    """Write an estimate with its 95 % interval, as far as there is one."""
    if not estimate or estimate.get("value") is None:
        return NOTHING
    low, high = estimate.get("low"), estimate.get("high")
    value = figure(estimate["value"])
    if low is None or high is None or low == high:
        return value
    digits = len(value.partition(".")[2])
    return f"{value} ({figure(low, digits)} to {figure(high, digits)})"


def signed(estimate: Mapping[str, Any] | None) -> str:
    """Write a difference with its sign and 95 % interval."""
    if not estimate or estimate.get("value") is None:
        return NOTHING
    low, high = estimate.get("low"), estimate.get("high")
    value = f"{estimate['value']:+.4f}"
    return value if low is None or high is None else f"{value} ({low:+.4f} to {high:+.4f})"


def count(people: int | None) -> str:
    """Write a number of people, hiding 1 to 10."""
    if people is None:
        return "hidden"
    return "hidden" if 0 < people < SMALLEST_SHOWN else f"{people:,}"


def short(digest: str | None) -> str:
    """Write the beginning of a digest."""
    return "none" if not digest else digest.removeprefix("sha256:")[:12]
