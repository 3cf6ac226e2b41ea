"""Further pictures of the evidence: subgroups, comparisons, effects, and the same recipe with other seeds.

Every function returns the bytes of a PNG, as those of ``evidence`` do.

What belongs here: drawing what the evidence document holds. What does not: computing it, or hiding small cells, which
has been done in the document.
"""

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

from readmission_platform.evaluation.words import Wording
from readmission_platform.reports.pictures.evidence import (
    ACCENT,
    MODEL,
    REFERENCE,
    SECOND,
    WIDTH,
    dress,
    make_figure,
    nothing_to_draw,
    percent_axes,
    png,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


# Letters of a label in one line: longer ones would leave the picture no room.
LABEL = 34


def _has_interval(estimate: Mapping[str, Any]) -> bool:
    return all(estimate.get(name) is not None for name in ("value", "low", "high"))


def _forest(axes: "Axes", rows: Sequence[tuple[str, Mapping[str, Any], bool]]) -> None:
    """Draw one line per row, the first on top: the value with its interval, hollow where it cannot be judged."""
    places = range(len(rows) - 1, -1, -1)
    for place, (_, estimate, judged) in zip(places, rows, strict=True):
        if not _has_interval(estimate):
            axes.text(0.5, place, "not shown", transform=axes.get_yaxis_transform(), ha="center", va="center",
                      color=REFERENCE, fontsize=8)  # fmt: skip
            continue
        axes.hlines(place, estimate["low"], estimate["high"], color=MODEL, linewidth=2, alpha=0.6)
        axes.plot([estimate["value"]], [place], "o", color=MODEL, markerfacecolor=MODEL if judged else "white")
    axes.set_yticks(list(places), [name for name, _, _ in rows])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.grid(False, axis="y")


def groups_png(groups: Mapping[str, Mapping[str, Mapping[str, Any]]], wording: Wording) -> bytes:
    """Draw observed over expected and AUROC of every subgroup, hollow where it is too small to judge."""
    members = [
        (wording.group(attribute, name), group) for attribute, named in groups.items() for name, group in named.items()
    ]
    figure = make_figure(max(2.6, 1.4 + 0.34 * len(members)))
    left, right = figure.subplots(1, 2, sharey=True)
    dress(left, title="Does it work for every group?", x="Observed / expected (1 is ideal)", y="")
    dress(right, title="", x="AUROC", y="")
    if not members:
        nothing_to_draw(left)
        return png(figure)
    for axes, measure in ((right, "auroc"), (left, "observed_expected")):
        _forest(axes, [(name, group[measure], group.get("result") == "judged") for name, group in members])
    left.axvline(1, color=REFERENCE, linestyle="--", linewidth=1)
    return png(figure)


def comparisons_png(comparisons: Sequence[Mapping[str, Any]], wording: Wording) -> bytes:
    """Draw by how much the AUROC of one score exceeds that of another, for each pair."""
    labels = [
        fill(f"{wording.score(pair['first'])} less {wording.score(pair['second'])}", LABEL) for pair in comparisons
    ]
    figure = make_figure(max(2.4, 1.3 + 0.34 * len(labels) + 0.16 * sum(label.count("\n") for label in labels)))
    axes = figure.subplots()
    dress(axes, title="Is it better than existing scores?", x="Difference in AUROC, 95 % interval (paired)", y="")
    if not comparisons:
        nothing_to_draw(axes)
        return png(figure)
    _forest(axes, [(label, pair["difference"], True) for label, pair in zip(labels, comparisons, strict=True)])
    axes.axvline(0, color=REFERENCE, linestyle="--", linewidth=1)
    return png(figure)


def highest_risk(effects: Sequence[Mapping[str, Any]]) -> float:
    """Return the highest risk that any of the effects reaches, its interval included: where their axes end."""
    return max((p["high"] or p["risk"] for effect in effects for p in effect["points"]), default=1.0)


def effects_png(effects: Sequence[Mapping[str, Any]], *, highest: float | None = None, width: float = WIDTH) -> bytes:
    """Draw the average risk the model gives with one input set to each of its values, one input below the other.

    ``highest`` is the ``highest_risk`` of all effects where only some are drawn; ``width`` is in inches.
    """
    heights = [0.9 + (1.3 if effect["kind"] == "number" else 0.21 * len(effect["points"])) for effect in effects]
    figure = make_figure(sum(heights) or 2.0, width)
    grid = figure.subplots(max(1, len(effects)), 1, squeeze=False, height_ratios=heights or None)[:, 0]
    if not effects:
        nothing_to_draw(grid[0])
    reached = highest_risk(effects) if highest is None else highest
    for axes, effect in zip(grid, effects, strict=False):
        dress(axes, title="", x="", y="")
        axes.set_title(fill(_first_upper(effect["name"]), 26), loc="left", fontsize=9, fontweight="bold")
        draw = _draw_numbers if effect["kind"] == "number" else _draw_categories
        draw(axes, effect, reached)
    return png(figure)


def _first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _draw_numbers(axes: "Axes", effect: Mapping[str, Any], highest: float) -> None:
    known = [point for point in effect["points"] if not isinstance(point["value"], str)]
    at = [point["value"] for point in known]
    lows = [point["risk"] if point["low"] is None else point["low"] for point in known]
    highs = [point["risk"] if point["high"] is None else point["high"] for point in known]
    axes.fill_between(at, lows, highs, color=MODEL, alpha=0.2, linewidth=0)
    axes.plot(at, [point["risk"] for point in known], "o-", color=MODEL, markersize=4)
    for point in effect["points"]:
        if isinstance(point["value"], str):
            axes.axhline(point["risk"], color=ACCENT, linestyle="--", linewidth=1, label=point["label"])
            axes.legend(loc="best", frameon=False, fontsize=7)
    axes.set(ylim=(0, 1.1 * highest), ylabel="Risk", xlabel=effect.get("unit", ""))
    percent_axes(axes, x=False)


def _draw_categories(axes: "Axes", effect: Mapping[str, Any], highest: float) -> None:
    points = effect["points"]
    places = list(range(len(points) - 1, -1, -1))
    axes.barh(places, [point["risk"] for point in points], color=MODEL, alpha=0.6, height=0.65)
    for place, point in zip(places, points, strict=True):
        if point["low"] is not None and point["high"] is not None:
            axes.hlines(place, point["low"], point["high"], color="black", linewidth=1.2)
    axes.set_yticks(places, [_short(point["label"]) for point in points], fontsize=7)
    axes.set(xlim=(0, 1.1 * highest), xlabel="Risk")
    axes.grid(False, axis="y")
    percent_axes(axes, y=False)


def _short(text: str, letters: int = 30) -> str:
    return text if len(text) <= letters else text[: letters - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _two_lines(label: str) -> str:
    return fill(label.replace(" %", "\N{NO-BREAK SPACE}%"), 22)


def seeds_png(seeds: Mapping[str, Any], wording: Wording) -> bytes:
    """Draw each figure of the same recipe fitted with several seeds, a dot per seed."""
    figures = seeds["figures"]
    figure = make_figure(0.9 + 0.75 * max(1, len(figures)))
    grid = figure.subplots(max(1, len(figures)), 1, squeeze=False)[:, 0]
    if not figures:
        nothing_to_draw(grid[0])
        return png(figure)
    for axes, row in zip(grid, figures, strict=True):
        values = row["values"]
        dress(axes, title="", x="", y="")
        axes.plot(values, [0] * len(values), "o", color=MODEL, alpha=0.7, label="a seed")
        axes.plot(values[:1], [0], "D", color=SECOND, label="the version's own seed")
        axes.axvline(row["mean"], color=REFERENCE, linestyle="--", linewidth=1)
        axes.set_yticks([0], [_two_lines(wording.short(row["name"]))])
        axes.ticklabel_format(axis="x", useOffset=False)
    grid[0].set_title("How much is due to chance: the same recipe with other seeds", loc="left", fontsize=12,
                      fontweight="bold")  # fmt: skip
    grid[0].legend(loc="upper right", frameon=False, fontsize=8, ncols=2)
    return png(figure)
