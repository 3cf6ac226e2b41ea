"""Three curves of a version in one small picture, for places that show no large one.

What belongs here: the sketch. What does not: the pictures with axes, intervals and baselines (``evidence``).

Dagster's UI hides Markdown of 1,000 characters and more behind a click, and no PNG is shorter. So this is SVG, with
whole numbers for coordinates and few points to a curve.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from urllib.parse import quote

LONGEST = 999
_SIDE, _STEP, _POINTS = 100, 115, 10

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class _Panel:
    """One panel: the curve of the model, or its points, and what it is compared with; both from 0 to 1."""

    title: str
    model: Points
    reference: Points
    joined: bool = True


def glance_markdown(curves: Mapping[str, Any]) -> str:
    """Return ROC curve, calibration and decision curve side by side, as an image in Markdown.

    Parameters
    ----------
    curves
        ``evidence["curves"]``. What is not defined leaves its panel empty.
    """
    panels = (_roc(curves["roc"]), _calibration(curves["calibration"]), _decision(curves["decision"]))
    references = lines = dots = titles = ""
    for place, panel in enumerate(panels):
        left = place * _STEP
        at = _placing(left)
        references += f"M{left},0v{_SIDE}h{_SIDE}" + _line(panel.reference, at)
        if panel.joined:
            lines += _line(panel.model, at)
        else:
            dots += "".join(f"M{at(point)}h0" for point in panel.model)
        titles += f"<text x='{left}' y='112'>{panel.title}</text>"
    svg = (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='660' viewBox='-2,-2,334,118' font-size='9'>{titles}"
        f"<g fill='none' stroke='navy' stroke-linecap='round'><path stroke='gray' d='{references}'/>"
        f"<path stroke-width='2' d='{lines}'/><path stroke-width='4' d='{dots}'/></g></svg>"
    )
    return f"![ROC curve, calibration, decision curve](data:image/svg+xml,{quote(svg, safe='=:/,-.')})"


def _roc(roc: Mapping[str, Any]) -> _Panel:
    area = roc["auroc"]["value"]
    title = "ROC curve" + ("" if area is None else f", area {area:.3f}")
    return _Panel(title, _few(list(zip(roc["fpr"], roc["tpr"], strict=True))), [(0, 0), (1, 1)])


def _calibration(calibration: Mapping[str, Any]) -> _Panel:
    """Observed over predicted risk, both as shares of the largest."""
    found = [(each["mean_score"], each["observed"]) for each in calibration["bins"] if each["observed"] is not None]
    top, slope = max((max(point) for point in found), default=0), calibration["slope"]["value"]
    title = "Calibration" + ("" if slope is None else f", slope {slope:.2f}")
    return _Panel(title, [(x / top, y / top) for x, y in found] if top else [], [(0, 0), (1, 1)], joined=False)


def _decision(decision: Mapping[str, Any]) -> _Panel:
    """Net benefit over threshold, beside that of following up everybody; less than none is left out."""
    thresholds = decision["thresholds"]
    top = max(decision["model"], default=0)
    title = "Net benefit of acting"
    if not thresholds or top <= 0:
        return _Panel(title, [], [])

    def curve(benefit: Sequence[float]) -> Points:
        shares = [(x / thresholds[-1], y / top) for x, y in zip(thresholds, benefit, strict=True)]
        return _few([(x, y) for x, y in shares if y >= 0])

    everybody = curve(decision["treat_all"])
    return _Panel(title, curve(decision["model"]), everybody[:1] + everybody[-1:])


def _few(points: Points) -> Points:
    """Return about ten points of a curve, at even distances along it."""
    if len(points) <= _POINTS:
        return points
    lengths = [0.0]
    for (x, y), (then_x, then_y) in pairwise(points):
        lengths.append(lengths[-1] + abs(then_x - x) + abs(then_y - y))
    chosen: Points = []
    last = -1
    for point, length in zip(points, lengths, strict=True):
        step = length / lengths[-1] * (_POINTS - 1) if lengths[-1] else 0.0
        if int(step) > last:
            chosen.append(point)
            last = int(step)
    return chosen if chosen[-1] == points[-1] else [*chosen, points[-1]]


def _placing(left: int) -> Callable[[tuple[float, float]], str]:
    return lambda point: f"{left + round(point[0] * _SIDE)},{_SIDE - round(point[1] * _SIDE)}"


def _line(points: Points, at: Callable[[tuple[float, float]], str]) -> str:
    return "M" + ",".join(map(at, points)) if points else ""
