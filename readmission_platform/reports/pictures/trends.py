"""Pictures of daily operation over one shared time axis, for people who answer for quality.

Every function returns the bytes of an SVG. A day lies in the same place in every one of them.

What belongs here: drawing. What does not: the frame (``time_axis``), working figures out (``figures``) or hiding small
cells (``shown_figures``, to be applied first).
"""

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd

from readmission_platform.evaluation.operation.cohorts import ALL, SEEN, UNSEEN
from readmission_platform.evaluation.words import Wording
from readmission_platform.reports.pictures.evidence import ACCENT, MODEL, REFERENCE, SECOND
from readmission_platform.reports.pictures.time_axis import (
    SMALL,
    TimeAxis,
    legend,
    legend_of,
    name_y,
    panels_on,
    percent,
    place_of,
    svg,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Light to dark, and each apart from its neighbours with the common forms of colour blindness and in grey print.
BAND_COLOURS = ("#fde0c5", "#f5a66b", "#c8552b", "#5b1a0e")
BELOW_HALF, BELOW, DRIFTED, TWICE = "#f0f2f5", "#b9d3ea", "#f08a2c", "#7a2d00"
ARRIVED, ALARM, UNKNOWN = "#8fb8de", "#b42318", "#f3f4f7"
# Parts of a day's rows: figure, words, colour, and the mark of a number that is hidden.
PARTS = (("quarantined", "quarantined", ACCENT, "v"), ("duplicate", "duplicates", "#555555", "d"),
         ("withheld", "withheld", "#8a3b8f", "s"))  # fmt: skip
COHORTS = ((ALL, MODEL, "o"), (SEEN, SECOND, "s"), (UNSEEN, ACCENT, "D"))
_DAY_WIDTH = 0.86


def volume_svg(shown: pd.DataFrame, axis: TimeAxis, wording: Wording) -> bytes:
    """Draw what arrived by day; ``shown`` has ``figure``, ``first_day``, ``value`` and ``hidden`` for small counts."""
    figure, (axes,) = panels_on(axis, height=2.9, top=0.92)
    received = _rows(shown, "rows_received")
    counts = {str(row["first_day"]): float(row["value"]) for row in received if not row["hidden"]}
    axes.bar([place_of(day) for day in counts], list(counts.values()), width=_DAY_WIDTH, align="edge", color=ARRIVED,
             label="received")  # fmt: skip
    ceiling = max([*counts.values(), 1.0])
    base = dict(counts)
    for height, (name, words, colour, marker) in enumerate(PARTS, start=1):
        rows = _rows(shown, f"rows_{name}")
        hidden = [place_of(row["first_day"]) + _DAY_WIDTH / 2 for row in rows if row["hidden"]]
        if hidden:
            axes.plot(hidden, [ceiling * (1.02 + 0.06 * height)] * len(hidden), marker, color=colour, markersize=4,
                      label=f"some {words}")  # fmt: skip
        whole = [row for row in rows if not row["hidden"] and row["value"] > 0 and row["first_day"] in base]
        for row in whole:
            base[row["first_day"]] -= row["value"]
        if whole:
            axes.bar([place_of(row["first_day"]) for row in whole], [row["value"] for row in whole],
                     bottom=[base[row["first_day"]] for row in whole], width=_DAY_WIDTH, align="edge", color=colour,
                     hatch="////", edgecolor="white", linewidth=0, label=words)  # fmt: skip
    _mark_empty_days(axes, {row["first_day"] for row in received if row["hidden"] or row["value"] > 0}, axis)
    axes.set_ylim(0, ceiling * 1.28)
    name_y(axes, f"{wording.words.rows} a day")
    legend_of(figure, axes)
    return svg(figure)


def _mark_empty_days(axes: "Axes", some: set[str], axis: TimeAxis) -> None:
    every = [(axis.first + timedelta(days=offset)).isoformat() for offset in range(axis.days)]
    empty = [place_of(day) + _DAY_WIDTH / 2 for day in every if day not in some]
    if empty:
        axes.plot(empty, [0] * len(empty), "x", color=ALARM, markersize=6, markeredgewidth=1.6, clip_on=False,
                  zorder=5, label="nothing received")  # fmt: skip


def drift_svg(figures: pd.DataFrame, axis: TimeAxis) -> bytes:
    """Draw columns by windows: how far each is from its limit, which drifted, and at which windows the alarm was on."""
    cells = while_live(_cells(figures, "column_stability_index", "column_stability_limit", "column_drifted"), axis)
    risks = while_live(_cells(figures, "risk_stability_index", "risk_stability_limit", None), axis)
    worst = cells.assign(part=cells["value"] / cells["limit"]).groupby("cohort")["part"].max().sort_values()
    lines = ["predicted risks", *worst.index]
    figure, (axes,) = panels_on(axis, height=1.3 + 0.25 * len(lines))
    for cell in risks.to_dict("records"):
        _cell(axes, cell, 0, axis)
    for cell in cells.to_dict("records"):
        _cell(axes, cell, lines.index(cell["cohort"]) + 0.25, axis)
    height = len(lines) + 0.45
    alarms = while_live(figures[(figures["figure"] == "drift_alarm") & (figures["value"] > 0)], axis)
    places = [(place_of(row["begin"]) + place_of(row["last_day"]) + 1) / 2 for row in alarms.to_dict("records")]
    axes.plot(places, [height] * len(places), "^", color=ALARM, markersize=7, clip_on=False)
    axes.set_ylim(-0.5, len(lines) + 0.85)
    names = [str(line).removeprefix("column: ") for line in lines]
    axes.set_yticks([0, *(place + 0.25 for place in range(1, len(lines))), height], [*names, "alarm"])
    axes.tick_params(axis="y", length=0)
    axes.grid(False)
    legend(figure, _drift_key(), columns=5)
    return svg(figure)


def while_live(rows: pd.DataFrame, axis: TimeAxis) -> pd.DataFrame:
    """Keep the windows of a version that ended while it was in production, each from when it came there (``begin``).

    A version has windows of its days in the shadow too, beside those of the version in production.
    """
    if not axis.versions:
        return rows.assign(begin=rows["first_day"])
    stays = pd.DataFrame([(version, begin.isoformat(), end.isoformat()) for version, begin, end in axis.versions],
                         columns=["version", "since", "until"])  # fmt: skip
    kept = rows.merge(stays, on="version")
    kept = kept[(kept["since"] <= kept["last_day"]) & (kept["last_day"] <= kept["until"])]
    return kept.assign(begin=kept["first_day"].where(kept["first_day"] > kept["since"], kept["since"]))


def _cells(figures: pd.DataFrame, value: str, limit: str, drifted: str | None) -> pd.DataFrame:
    window = ["version", "first_day", "last_day"]
    limits = _of(figures, limit)[[*window, "value"]].rename(columns={"value": "limit"})
    scores = _of(figures, value)[[*window, "cohort", "value"]]
    if drifted is None:
        return scores.merge(limits, on=window).assign(drifted=lambda rows: rows["value"] >= rows["limit"])
    flags = _of(figures, drifted)[[*window, "cohort", "value"]].rename(columns={"value": "drifted"})
    # A column without an index, because there was nothing to compare, has drifted.
    return flags.merge(scores, on=[*window, "cohort"], how="left").merge(limits, on=window)


def _cell(axes: "Axes", cell: dict[Any, Any], place: float, axis: TimeAxis) -> None:
    from matplotlib.patches import Rectangle

    begin, end = max(place_of(cell["begin"]), axis.first.toordinal()), place_of(cell["last_day"]) + 1
    part = 0.0 if math.isnan(cell["value"]) else cell["value"] / cell["limit"]
    colours = (DRIFTED, TWICE) if cell["drifted"] else (BELOW_HALF, BELOW)
    colour = colours[part >= (2 if cell["drifted"] else 0.5)]
    axes.add_patch(Rectangle((begin, place - 0.5), end - begin, 1, facecolor=colour, edgecolor="white", linewidth=1.2))
    if cell["drifted"] and (end - begin) / axis.days > 0.05:
        # Below its limit a column has drifted by its missing values, or by values that training never saw.
        text = f"{cell['value']:.2f}" if part >= 1 else "missing/new"
        axes.text((begin + end) / 2, place, text, ha="center", va="center", fontsize=8.5 if part >= 1 else 6.5,
                  color="white" if colour == TWICE else "black")  # fmt: skip


def _drift_key() -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    named = {"below half its limit": BELOW_HALF, "below its limit": BELOW, "drifted": DRIFTED,
             "drifted, twice its limit": TWICE}  # fmt: skip
    patches = [Patch(facecolor=colour, edgecolor="#8a94a0", linewidth=0.4, label=label)
               for label, colour in named.items()]  # fmt: skip
    return [*patches, Line2D([], [], marker="^", color=ALARM, linestyle="none", markersize=6, label="drift alarm")]


def risk_svg(figures: pd.DataFrame, axis: TimeAxis, wording: Wording) -> bytes:
    """Draw the share of rows by risk band over time, and the mean predicted risk of each day underneath."""
    from matplotlib.ticker import MaxNLocator

    figure, (axes, below) = panels_on(axis, height=3.6, ratios=(2.2, 1.0))
    rows = _rows(figures, "risk_band_share")
    base: dict[str, float] = {}
    for place, band in enumerate(dict.fromkeys(row["cohort"] for row in rows)):
        of_band = [row for row in rows if row["cohort"] == band]
        words = str(band).removeprefix("band: ").replace("_", " ")
        axes.bar([place_of(row["first_day"]) for row in of_band], [row["value"] for row in of_band],
                 bottom=[base.get(row["first_day"], 0.0) for row in of_band],
                 width=[place_of(row["last_day"]) + 1 - place_of(row["first_day"]) for row in of_band], align="edge",
                 color=BAND_COLOURS[place % len(BAND_COLOURS)], edgecolor="white", linewidth=0.8,
                 label=words if place else f"risk band: {words}")  # fmt: skip
        for row in of_band:
            base[row["first_day"]] = base.get(row["first_day"], 0.0) + row["value"]
    axes.set_ylim(0, 1)
    name_y(axes, f"share of {wording.words.rows}")
    mean = [row for row in _rows(figures, "mean_risk") if not row["hidden"]]
    below.plot([place_of(row["first_day"]) + 0.5 for row in mean], [row["value"] for row in mean], "o", color=MODEL,
               markersize=2.8)  # fmt: skip
    below.set_ylim(0, max([0.01, *(1.25 * row["value"] for row in mean)]))
    # Without its uppermost label, which would touch the lowest one of the panel above.
    below.yaxis.set_major_locator(MaxNLocator(nbins=3, prune="upper"))
    name_y(below, "mean risk\nof a day")
    percent(axes, below)
    if rows:
        legend_of(figure, axes)
    return svg(figure)


def performance_svg(
    figures: pd.DataFrame, axis: TimeAxis, wording: Wording, *, measure: str, limits: tuple[float, float] | None
) -> bytes:
    """Draw a measure by month with intervals: everybody, entities seen and not seen, and the promise with its interval.

    Estimates (made before the outcomes are known) are hollow.
    """
    figure, (axes,) = panels_on(axis, height=2.9, top=0.92)
    promises = [row for row in _rows(figures, f"promised_{measure}") if row["cohort"] == ALL][-1:]
    for row in promises:
        if not math.isnan(row["low"]):
            axes.axhspan(row["low"], row["high"], color="#dddddd", zorder=0, linewidth=0,
                         label="promised at validation, 95 % interval")  # fmt: skip
        axes.axhline(row["value"], color=REFERENCE, linewidth=1)
    for place, edge in enumerate(limits or ()):
        axes.axhline(edge, color=ALARM, linewidth=1, linestyle="--", label="limit" if place == 0 else "_")
    months = [row for row in _rows(figures, f"monthly_{measure}") if not row["hidden"]]
    for position, (cohort, colour, marker) in enumerate(COHORTS):
        of_cohort = [row for row in months if row["cohort"] == cohort]
        _points(axes, of_cohort, axis, colour=colour, marker=marker, label=wording.cohort(cohort), shift=position - 1)
    _mark_unknown(axes, [*months, *_rows(figures, f"live_{measure}")], axis)
    _room(axes, [*months, *promises])
    name_y(axes, wording.short(measure))
    legend_of(figure, axes)
    return svg(figure)


def _points(
    axes: "Axes", rows: Sequence[dict[Any, Any]], axis: TimeAxis, *, colour: str, marker: str, label: str, shift: int
) -> None:
    """Draw months as points with intervals; cohorts stand beside each other."""
    apart = max(1.0, axis.days / 110)
    for kind in ("measured", "estimate"):
        chosen = [row for row in rows if row["kind"] == kind]
        if not chosen:
            continue
        first = axis.first.toordinal()
        places = [(max(place_of(row["first_day"]), first) + place_of(row["last_day"]) + 1) / 2 + shift * apart
                  for row in chosen]  # fmt: skip
        for place, row in zip(places, chosen, strict=True):
            axes.vlines(place, row["low"], row["high"], color=colour, linewidth=1.6)
        axes.plot(places, [row["value"] for row in chosen], marker, color=colour, markersize=6,
                  markerfacecolor=colour if kind == "measured" else "white", label=label)  # fmt: skip
        label = "_"


def _mark_unknown(axes: "Axes", rows: Sequence[dict[Any, Any]], axis: TimeAxis) -> None:
    """Mark the days whose outcomes are not known: what is drawn there is an estimate."""
    measured = [place_of(row["last_day"]) + 1 for row in rows if row["kind"] == "measured"]
    begin, end = max([axis.first.toordinal(), *measured]), axis.last.toordinal() + 1
    if end - begin < 1:
        return
    axes.axvspan(begin, end, color=UNKNOWN, zorder=-1, linewidth=0)
    axes.text((begin + end) / 2, 0.97, "outcomes not known yet", ha="center", va="top", fontsize=SMALL,
              color="#56616f", transform=axes.get_xaxis_transform(),
              bbox={"facecolor": UNKNOWN, "edgecolor": "none", "pad": 1.5})  # fmt: skip
    if any(row["kind"] == "estimate" and row["figure"].startswith("monthly_") for row in rows):
        axes.plot([], [], "o", color=MODEL, markerfacecolor="white", markersize=6, label="hollow: estimate")


def _room(axes: "Axes", rows: Sequence[dict[Any, Any]]) -> None:
    """Let the axis hold every point and most of every interval; one month of few people is not to flatten the rest."""
    values = pd.Series([row["value"] for row in rows], dtype="float64")
    ends = pd.Series([row[end] for row in rows for end in ("low", "high")], dtype="float64").dropna()
    if values.empty:
        return
    inner = [ends.quantile(0.05), ends.quantile(0.95)] if len(ends) else []
    low, high = min([values.min(), *inner]), max([values.max(), *inner])
    room = 0.12 * max(high - low, 0.02)
    axes.set_ylim(low - room, high + room)


def _of(figures: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the rows of a figure that have a value, or one that is hidden."""
    rows = figures[figures["figure"] == name]
    hidden = rows["hidden"] if "hidden" in rows else pd.Series(False, index=rows.index)
    return rows.assign(hidden=hidden)[hidden | rows["value"].notna()]


def _rows(figures: pd.DataFrame, name: str) -> list[dict[Any, Any]]:
    return _of(figures, name).to_dict("records")
