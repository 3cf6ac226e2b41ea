"""Pictures of the evidence, for people who decide about patients rather than about models.

Every function returns the bytes of a PNG 700 pixels wide, unless it is told a width. Titles and axes are plain words;
what rows, events and baselines are called comes from the model's wording.
Nothing is drawn through pyplot, which keeps global state and leaks figures in long-running processes.

What belongs here: drawing. What does not: computing a curve (``curves``) or deciding what may be shown
(``disclosure.suppress_small_cells``, to be applied first).
"""

from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from readmission_platform.evaluation.words import Wording
from readmission_platform.foundation.counting import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito 2008: distinguishable with the common forms of colour blindness.
MODEL, ACCENT, SECOND, REFERENCE = "#0072B2", "#D55E00", "#009E73", "#777777"
# Of the baselines, in the order of the schema; a seventh one begins anew.
BASELINE_COLOURS = (ACCENT, SECOND, "#E69F00", "#CC79A7", "#56B4E9", "#000000")
DOTS_PER_INCH = 100
WIDTH = 7.0


def make_figure(height: float, width: float = WIDTH) -> "Figure":
    """Return an empty figure of so many inches that lays itself out."""
    from matplotlib import rcParams
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    rcParams["text.parse_math"] = False  # a dollar sign in a name is no formula
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1)
    return Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout=layout)


def png(figure: "Figure") -> bytes:
    """Return the bytes of a figure as a small PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    # A palette is all that lines and text need, and halves the bytes; maximum coverage keeps rare colours.
    picture = Image.fromarray(pixels).convert("RGB")
    few = picture.quantize(colors=128, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    buffer = BytesIO()
    few.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def dress(axes: "Axes", *, title: str, x: str, y: str) -> None:
    """Give axes their title, names and a light grid."""
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(True, color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def percent_axes(axes: "Axes", *, x: bool = True, y: bool = True) -> None:
    """Write the numbers along the axes as percentages."""
    from matplotlib.ticker import PercentFormatter

    for chosen, axis in ((x, axes.xaxis), (y, axes.yaxis)):
        if chosen:
            axis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))


def nothing_to_draw(axes: "Axes") -> None:
    """Say that there is not enough data."""
    axes.text(0.5, 0.5, "Not enough data to draw this", ha="center", va="center", transform=axes.transAxes)


def _with_interval(figures: Mapping[str, Any]) -> str:
    if figures["value"] is None:
        return "not defined"
    if figures["low"] is None:
        return f"{figures['value']:.3f}"
    return f"{figures['value']:.3f}, 95 % interval {figures['low']:.3f} to {figures['high']:.3f}"


def _baselines(there: Mapping[str, Any], wording: Wording) -> Iterator[tuple[str, str, str]]:
    """Yield name, words and colour of each baseline that is there; a fitted one may be left out."""
    named = [baseline.name for baseline in wording.schema.baselines] if wording.schema else list(there)
    for place, name in enumerate(named):
        if name in there:
            yield name, _first_upper(wording.score(name)), BASELINE_COLOURS[place % len(BASELINE_COLOURS)]


def _first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def roc_png(curves: Mapping[str, Any], wording: Wording) -> bytes:
    """Draw the ROC curve of the model and the baselines from ``evidence["curves"]``."""
    roc = curves["roc"]
    figure = make_figure(5.4)
    axes = figure.subplots()
    dress(
        axes,
        title="How well the model separates high from low risk",
        x=f"Share of those NOT {wording.words.positive} who would be flagged (false alarms)",
        y=f"Share of {wording.words.events} that would be found",
    )
    if not roc["fpr"]:
        nothing_to_draw(axes)
        return png(figure)
    axes.plot(
        roc["fpr"],
        roc["tpr"],
        color=MODEL,
        linewidth=2.2,
        label=f"Model (AUROC {_with_interval(roc['auroc'])})",
    )
    for name, label, colour in _baselines(roc["baselines"], wording):
        other = roc["baselines"][name]
        area = other["auroc"]["value"]
        axes.plot(other["fpr"], other["tpr"], color=colour, linewidth=1.5, label=f"{label} (AUROC {area:.3f})")
    axes.plot([0, 1], [0, 1], color=REFERENCE, linestyle="--", linewidth=1, label="Chance (AUROC 0.500)")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    percent_axes(axes)
    axes.legend(loc="lower right", frameon=False)
    return png(figure)


def precision_recall_png(curves: Mapping[str, Any], wording: Wording) -> bytes:
    """Draw the precision-recall curve, the prevalence, and where the care team's flag lies."""
    points = curves["precision_recall"]
    figure = make_figure(5.0)
    axes = figure.subplots()
    dress(
        axes,
        title=f"How many of the flagged are {wording.words.events}",
        x=f"Share of all {wording.words.events} that are among the flagged (recall)",
        y=f"Share of the flagged {wording.words.positive} (PPV)",
    )
    if not points["recall"]:
        nothing_to_draw(axes)
        return png(figure)
    label = f"Model (average precision {_with_interval(points['average_precision'])})"
    axes.plot(points["recall"], points["precision"], color=MODEL, linewidth=2.2, label=label)
    axes.axhline(
        points["prevalence"],
        color=REFERENCE,
        linestyle="--",
        linewidth=1,
        label=f"Flagging at random ({percent(points['prevalence'], 1)} {wording.words.positive})",
    )
    flag = points["flag"]
    if flag["recall"] is not None and flag["precision"] is not None:
        text = (
            f"Top {percent(flag['share'])} flagged: finds {percent(flag['recall'])}, PPV {percent(flag['precision'])}"
        )
        axes.plot([flag["recall"]], [flag["precision"]], "o", color=ACCENT, markersize=8, label=text)
    axes.set(xlim=(0, 1), ylim=(0, min(1.0, 1.1 * max(points["precision"]))))
    percent_axes(axes)
    axes.legend(loc="upper right", frameon=False)
    return png(figure)


def calibration_png(curves: Mapping[str, Any], wording: Wording) -> bytes:
    """Draw observed against predicted risk in ten equal groups, and the histogram of the risks underneath."""
    calibration = curves["calibration"]
    figure = make_figure(6.2)
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    dress(
        axes,
        title="Are the predicted risks right? (calibration)",
        x="",
        y=f"{_first_upper(wording.words.events)} observed",
    )
    dress(below, title="", x=f"Predicted risk: {wording.words.title}", y=_first_upper(wording.words.rows))
    bins = [entry for entry in calibration["bins"] if entry["observed"] is not None]
    if not bins:
        nothing_to_draw(axes)
        return png(figure)
    predicted, observed = [b["mean_score"] for b in bins], [b["observed"] for b in bins]
    highs = [b["observed"] if b["high"] is None else b["high"] for b in bins]
    lows = [b["observed"] if b["low"] is None else b["low"] for b in bins]
    top = min(1.0, 1.15 * max(*predicted, *highs))
    axes.plot([0, top], [0, top], color=REFERENCE, linestyle="--", linewidth=1, label="Perfect agreement")
    axes.vlines(predicted, lows, highs, color=MODEL, linewidth=2, alpha=0.6)
    axes.plot(predicted, observed, "o", color=MODEL, label=f"Tenths of the {wording.words.rows}, with 95 % interval")
    slope, ratio = calibration["slope"], calibration["observed_expected"]
    note = f"Observed / expected: {_with_interval(ratio)}\nSlope: {_with_interval(slope)}"
    axes.text(0.98, 0.04, note, ha="right", va="bottom", transform=axes.transAxes)
    axes.set(xlim=(0, top), ylim=(0, top))
    axes.legend(loc="upper left", frameon=False)
    edges, counts = calibration["histogram"]["edges"], calibration["histogram"]["counts"]
    below.stairs([0 if count is None else count for count in counts], edges, fill=True, color=MODEL, alpha=0.6)
    percent_axes(axes)
    percent_axes(below, y=False)
    below.yaxis.set_major_formatter("{x:,.0f}")
    return png(figure)


def decision_curve_png(curves: Mapping[str, Any], wording: Wording) -> bytes:
    """Draw net benefit over threshold risk: the model, the baselines, following up all, and none."""
    decision = curves["decision"]
    figure = make_figure(5.2)
    axes = figure.subplots()
    dress(
        axes,
        title="Is acting on the prediction worth it?",
        x=f"Risk from which {wording.words.entities} are followed up",
        y=f"Net benefit: {wording.words.events} found per 1,000 {wording.words.rows},\n"
        "less the cost of needless follow-up",
    )
    thresholds = decision["thresholds"]
    if not thresholds:
        nothing_to_draw(axes)
        return png(figure)

    def draw(benefit: Sequence[float], label: str, **style: Any) -> None:
        if benefit:
            axes.plot(thresholds, [1000 * value for value in benefit], label=label, **style)

    draw(decision["model"], "Model", color=MODEL, linewidth=2.2)
    for name, label, colour in _baselines(decision["baselines"], wording):
        draw(decision["baselines"][name], label, color=colour, linewidth=1.5)
    draw(decision["treat_all"], "Follow up everybody", color=REFERENCE, linewidth=1.2)
    draw(decision["treat_none"], "Follow up nobody", color="black", linewidth=1.2, linestyle="--")
    highest = 1000 * max(*decision["model"], *decision["treat_all"], 0.001)
    for i, threshold in enumerate(decision["thresholds_in_use"]):
        label = "Thresholds in use" if i == 0 else "_"
        axes.axvline(threshold, color="#bbbbbb", linestyle=":", linewidth=1.2, label=label, zorder=0)
    axes.set(xlim=(0, max(thresholds)), ylim=(-0.12 * highest, 1.08 * highest))
    percent_axes(axes, y=False)
    axes.legend(loc="upper right", frameon=False)
    return png(figure)


def importances_png(importances: Sequence[Mapping[str, Any]], *, title: str, axis: str) -> bytes:
    """Draw one horizontal bar per feature, the largest on top, with intervals.

    Parameters
    ----------
    importances : mappings with ``name``, ``value`` and, where known, ``low`` and ``high`` (else None).
    title, axis : plain words: what the picture shows, and the quantity along the bars with its unit.
    """
    shown = sorted(importances, key=lambda entry: float(entry["value"]))
    figure = make_figure(max(2.5, 1.2 + 0.3 * len(shown)))
    axes = figure.subplots()
    dress(axes, title=title, x=axis, y="")
    axes.grid(False, axis="y")
    if not shown:
        nothing_to_draw(axes)
        return png(figure)
    axes.barh([str(e["name"]) for e in shown], [e["value"] for e in shown], color=MODEL, alpha=0.75, height=0.65)
    for place, entry in enumerate(shown):
        if entry.get("low") is not None and entry.get("high") is not None:
            axes.hlines(place, entry["low"], entry["high"], color="black", linewidth=1.5)
    axes.axvline(0, color="black", linewidth=0.8)
    return png(figure)


def drift_png(windows: Sequence[Mapping[str, Any]]) -> bytes:
    """Draw the share of watched columns that drifted, one bar per window, drifted windows in another colour.

    Parameters
    ----------
    windows : mappings with ``window`` (number), ``share`` (0 to 1) and ``drifted``.
    """
    from matplotlib.ticker import MaxNLocator

    figure = make_figure(3.4)
    axes = figure.subplots()
    dress(axes, title="How much of the input differs from training", x="Window", y="Columns that drifted")
    if not windows:
        nothing_to_draw(axes)
        return png(figure)
    for drifted, colour, label in ((True, ACCENT, "Drifted window"), (False, MODEL, "Window in order")):
        chosen = [entry for entry in windows if bool(entry["drifted"]) is drifted]
        if chosen:
            places = [entry["window"] for entry in chosen]
            # A bar of no height would not be seen: windows in order are points on the axis.
            axes.bar(places, [entry["share"] for entry in chosen], color=colour, width=0.8)
            axes.plot(places, [entry["share"] for entry in chosen], "o", color=colour, markersize=4, label=label)
    axes.set(ylim=(-0.02, 1.02))
    percent_axes(axes, x=False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="upper right", frameon=False)
    return png(figure)


def trend_png(months: Sequence[str], panels: Mapping[str, Sequence[Mapping[str, Any]]]) -> bytes:
    """Draw measures by month below each other: measured with intervals, and hollow what was estimated beforehand.

    Parameters
    ----------
    months : all months in order, as ``2026-01``.
    panels : plain name of a measure to its points: mappings with ``month``, ``value``, ``low``, ``high`` (None where
        there is no interval), ``estimate`` (bool), and ``promised`` (None where nothing was).
    """
    figure = make_figure(0.8 + 2.0 * max(1, len(panels)))
    grid = figure.subplots(max(1, len(panels)), 1, sharex=True, squeeze=False)[:, 0]
    if not months:
        nothing_to_draw(grid[0])
        return png(figure)
    place = {month: position for position, month in enumerate(months)}
    for axes, (name, points) in zip(grid, panels.items(), strict=False):
        dress(axes, title="", x="", y=name)
        promised = next((point["promised"] for point in points if point["promised"] is not None), None)
        if promised is not None:
            axes.axhline(promised, color=REFERENCE, linestyle="--", linewidth=1, label="Promised at validation")
        for estimate, label, face in (
            (False, "Measured, 95 % interval", MODEL),
            (True, "Estimated beforehand", "white"),
        ):
            drawn = [point for point in points if bool(point["estimate"]) is estimate and point["value"] is not None]
            at = [place[point["month"]] - 0.06 * estimate for point in drawn]
            for x, point in zip(at, drawn, strict=True):
                if point["low"] is not None and point["high"] is not None:
                    axes.vlines(x, point["low"], point["high"], color=MODEL, linewidth=2, alpha=0.6)
            if drawn:
                values = [point["value"] for point in drawn]
                axes.plot(at, values, "o", color=MODEL, markerfacecolor=face, label=label)
        axes.set_xlim(-0.5, len(months) - 0.5)
        axes.set_xticks(range(len(months)), months, rotation=45 if len(months) > 8 else 0)
    grid[0].set_title("By month", loc="left", fontsize=12, fontweight="bold")
    grid[0].legend(loc="best", frameon=False, fontsize=8)
    return png(figure)
