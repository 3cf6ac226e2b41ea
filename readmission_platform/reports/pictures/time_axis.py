"""The time axis that all pictures of daily operation share: same width and margins, versions in production above.

What belongs here: the frame of a picture. What does not: what is drawn into it (``trends``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, LEFT, RIGHT, BOTTOM = 9.6, 0.215, 0.985, 0.4
STRIP = 0.21  # inches: the versions in production
VERSION_COLOURS = ("#dfe7f1", "#c3cfdf")
SMALL, PLAIN = 9, 9.5


@dataclass(frozen=True)
class TimeAxis:
    """The days every picture shows, and which version was in production from when to when."""

    first: date
    last: date
    versions: Sequence[tuple[str, date, date]]

    @property
    def days(self) -> int:
        """Number of days shown."""
        return (self.last - self.first).days + 1


def place_of(day: str) -> float:
    """Return where a day (YYYY-MM-DD) begins on the axis; it ends 1 further on."""
    return float(date.fromisoformat(day).toordinal())


def panels_on(
    axis: TimeAxis, *, height: float, top: float = 0.75, ratios: Sequence[float] = (1.0,)
) -> tuple["Figure", list["Axes"]]:
    """Return panels below each other, the versions in production above them.

    Parameters
    ----------
    height, top
        Of the picture, and of the room for legend and versions, in inches.
    ratios
        Heights of the panels against each other.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height))
    room = height - top - BOTTOM
    grid = figure.add_gridspec(
        len(ratios) + 1, 1, left=LEFT, right=RIGHT, bottom=BOTTOM / height, top=1 - (top - STRIP - 0.17) / height,
        height_ratios=[STRIP, *(ratio / sum(ratios) * room for ratio in ratios)],
        hspace=0.09 * (len(ratios) + 1) / (height - top),
    )  # fmt: skip
    above, *panels = [figure.add_subplot(grid[place]) for place in range(len(ratios) + 1)]
    _versions(above, axis)
    for panel in panels:
        _dress(panel, axis)
        for _, begin, _ in axis.versions[1:]:
            panel.axvline(begin.toordinal(), color="#4a5a70", linewidth=1, linestyle=(0, (4, 3)), zorder=3)
    for panel in panels[:-1]:
        panel.tick_params(axis="x", labelbottom=False, length=0)
    return figure, panels


def _versions(axes: "Axes", axis: TimeAxis) -> None:
    axes.set(xlim=(axis.first.toordinal(), axis.last.toordinal() + 1), ylim=(0, 1))
    axes.set_yticks([0.5], ["in production"])
    axes.tick_params(length=0, labelbottom=False, labelsize=SMALL)
    for side in axes.spines.values():
        side.set_visible(False)
    if not axis.versions:
        axes.text(axis.first.toordinal() + 0.3, 0.45, "none", va="center", fontsize=SMALL, color="#56616f")
    for place, (version, begin, end) in enumerate(axis.versions):
        first, last = max(begin, axis.first).toordinal(), min(end, axis.last).toordinal() + 1
        axes.axvspan(first, last, color=VERSION_COLOURS[place % 2], linewidth=0)
        part = (last - first) / axis.days
        text = f"version {version}" if part > 0.09 else (version if part > 0.02 else "")
        axes.text((first + last) / 2, 0.45, text, ha="center", va="center", fontsize=SMALL, color="#22303f")


def _dress(axes: "Axes", axis: TimeAxis) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter

    axes.set_xlim(axis.first.toordinal(), axis.last.toordinal() + 1)
    marks = ticks(axis)
    axes.xaxis.set_major_locator(FixedLocator([day.toordinal() for day in marks]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda place, _: _day_text(date.fromordinal(int(place)), marks)))
    axes.grid(True, color="#e6e9ee", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=PLAIN)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def ticks(axis: TimeAxis) -> list[date]:
    """Return the days that are named, about a dozen: days, Mondays, or first days of months, evenly thinned out."""
    every = [axis.first + timedelta(days=offset) for offset in range(axis.days)]
    if axis.days <= 21:
        chosen = every
    elif axis.days <= 200:
        chosen = [day for day in every if day.weekday() == 0]
    else:
        chosen = [day for day in every if day.day == 1]
    return chosen[:: -(-len(chosen) // 14)]


def _day_text(day: date, marks: Sequence[date]) -> str:
    """Write a day as "3 Nov", with the year under the first one and where it changes."""
    place = marks.index(day)
    text = f"{day.day} {day:%b}"
    return f"{text}\n{day.year}" if place == 0 or marks[place - 1].year != day.year else text


def name_y(axes: "Axes", text: str) -> None:
    """Say what the vertical axis shows."""
    axes.set_ylabel(text, fontsize=10)


def percent(*panels: "Axes") -> None:
    """Label vertical axes of shares in percent."""
    from matplotlib.ticker import PercentFormatter

    for panel in panels:
        panel.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))


def legend(figure: "Figure", handles: Sequence[Any], *, columns: int) -> None:
    """Put the legend above the versions in production."""
    above = float(figure.axes[0].get_position().y1) + 0.06 / float(figure.get_size_inches()[1])
    figure.legend(
        handles=list(handles), loc="lower left", bbox_to_anchor=(LEFT - 0.008, above), ncols=columns, frameon=False,
        fontsize=PLAIN, handlelength=1.3, columnspacing=1.3, handletextpad=0.5, borderaxespad=0.1,
    )  # fmt: skip


def legend_of(figure: "Figure", axes: "Axes") -> None:
    """Put the legend of what was drawn, areas first, then points and lines: the order in which they meet the eye."""
    handles, labels = axes.get_legend_handles_labels()
    for handle, label in zip(handles, labels, strict=True):
        handle.set_label(label)
    legend(figure, sorted(handles, key=lambda handle: hasattr(handle, "get_marker")), columns=4)


def svg(figure: "Figure") -> bytes:
    """Return the picture as SVG, text as outlines: it looks the same wherever it is opened or printed."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = BytesIO()
    # The salt, and no date: the same figures make the same bytes.
    with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": "readmission"}):
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})  # type: ignore[no-untyped-call]
    return buffer.getvalue()
