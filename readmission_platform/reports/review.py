"""The approver's page: everything that somebody who signs for a version has to see, in one file that prints well.

What belongs here: how the page looks. What does not: finding out what it says (``lifecycle.versions.review``). The page
loads nothing from anywhere: style and pictures are inside it.
"""

import base64
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from readmission_platform.evaluation.disclosure import SMALLEST_SHOWN
from readmission_platform.evaluation.words import Wording
from readmission_platform.foundation.counting import BELOW_INTERVAL, below_interval
from readmission_platform.reports.pictures import evidence as plots

# Figures that are compared with those of the version in production, in this order. Of a net benefit, each there is.
COMPARED = (
    *("auroc", "auroc_test", "average_precision", "brier", "calibration_slope", "observed_expected", "recall_at_flag"),
    *("ppv_at_flag", "net_benefit_at_*", "latest_auroc"),
)
# The paired difference to the version in production, of the figures that have one.
_PAIRED = {name: f"champion_{name}_difference" for name in ("auroc", "average_precision", "brier")}
NOTHING = "\N{EN DASH}"
_TEMPLATE = "review.html.j2"


def review_html(page: Mapping[str, Any]) -> str:
    """Render the page.

    Parameters
    ----------
    page
        As ``lifecycle.versions.review.review_of`` returns it; ``words`` holds the model's ``Words``, and ``flag`` what
        the flag is called. Counts of 1 to 10 people are hidden here once more.
    """
    return _template().render(page)


def compared(names: Iterable[str]) -> Iterator[tuple[str, str | None]]:
    """Yield the figures to compare, of those there are, each with the name of its paired difference or None."""
    there = list(names)
    for wanted in COMPARED:
        if wanted.endswith("*"):
            found = sorted(name for name in there if name.startswith(wanted[:-1]))
            yield from ((name, name.replace("net_benefit_at", "champion_net_benefit_difference_at")) for name in found)
        elif wanted in there:
            yield wanted, _PAIRED.get(wanted)


def pictures_of(evidence: Mapping[str, Any], wording: Wording) -> list[dict[str, str]]:
    """Return the plots of an evidence document, small cells hidden already, as images that a page can hold."""
    curves, rows = evidence["curves"], wording.words.rows
    drawn = (
        (plots.calibration_png, f"Observed against predicted risk, in tenths of the {rows}."),
        (plots.roc_png, "Sensitivity against false alarms, beside the scores that the model has to beat."),
        (plots.precision_recall_png, f"Share of the flagged that are {wording.words.events}, by how many are flagged."),
        (plots.decision_curve_png, "Whether acting on the prediction is worth it, by threshold."),
    )
    return [
        {"source": f"data:image/png;base64,{base64.b64encode(draw(curves, wording)).decode()}", "caption": caption}
        for draw, caption in drawn
    ]


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "figure": figure,
        "interval": interval,
        "signed": signed,
        "count": count,
        "short": short,
        "marked": marked,
    }
    environment.globals["below_interval"] = BELOW_INTERVAL
    return environment.from_string(files(__package__).joinpath(_TEMPLATE).read_text(encoding="utf-8"))


def figure(value: float | None, digits: int | None = None) -> str:
    """Write a number to three decimals: more where it is close to 0, none where it counts people; a dash for none."""
    if value is None:
        return NOTHING
    if digits is None:
        digits = 0 if abs(value) >= 100 else (4 if abs(value) < 0.02 else 3)
    return f"{value:z,.{digits}f}"


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


def marked(estimate: Mapping[str, Any] | None) -> str:
    """Write an estimate with its interval, and a mark where it lies below that (``BELOW_INTERVAL`` says why)."""
    below = estimate is not None and below_interval(estimate.get("value"), estimate.get("low"))
    return f"{interval(estimate)}{' *' if below else ''}"


def signed(estimate: Mapping[str, Any] | None) -> str:
    """Write a difference with its sign and 95 % interval."""
    if not estimate or estimate.get("value") is None:
        return NOTHING
    low, high = estimate.get("low"), estimate.get("high")
    value = f"{estimate['value']:+z.4f}"
    return value if low is None or high is None else f"{value} ({low:+z.4f} to {high:+z.4f})"


def count(people: int | None) -> str:
    """Write a number of people, hiding 1 to 10."""
    if people is None:
        return "hidden"
    return "hidden" if 0 < people < SMALLEST_SHOWN else f"{people:,}"


def short(digest: str | None) -> str:
    """Write the beginning of a digest."""
    return "none" if not digest else digest.removeprefix("sha256:")[:12]
