"""The counts and figures of days as they may be shown: what would tell a count of 1 to 10 people is hidden.

What belongs here: how the counts of a day hang together, and hiding in the table of figures, for pages, scripts, the
Dagster UI and Prometheus alike. What does not: the rule for one table (``disclosure``).

How many rows arrived is shown. How many of them were quarantined, were duplicates, got a risk or none, or were flagged
concerns people and is hidden when it is 1 to 10, and so is what it could be worked out from: with 27 received and 2
quarantined, 25 accepted gives the 2 away. Then the page says that there were some, and not how many.
"""

from collections.abc import Mapping

import pandas as pd

from readmission_platform.evaluation.disclosure import SMALLEST_SHOWN, hidden_cells, is_few

_PARTS = ("accepted", "quarantined", "duplicate")
_OUTPUTS = ("scored", "withheld")
# Figures that say how many accepted or scored rows they are made from.
_OF_PEOPLE = ("mean_risk", "risk_band_share", "outcome_coverage", "matured_coverage", "scoring_milliseconds")


def shown(figures: pd.DataFrame) -> pd.DataFrame:
    """Return a copy with the column ``hidden``; there ``value``, ``low``, ``high`` and ``n`` are missing."""
    counts = _counts(figures)
    places = [(figure, day) for day, of_day in counts.items() for figure in hidden_on(of_day)]
    keys = pd.MultiIndex.from_frame(figures[["figure", "first_day"]])
    hidden = pd.Series(keys.isin(places), index=figures.index)
    hidden |= figures["figure"].isin(["outcome_coverage", "matured_coverage"]) & _few_missing(figures)
    few = figures["n"].gt(0) & figures["n"].lt(SMALLEST_SHOWN)
    hidden |= few & figures["unit"].isin(["share", "probability", "score", "ratio"])
    nothing = {name: figures[name].mask(hidden) for name in ("value", "low", "high", "n")}
    nothing["n"] = nothing["n"].mask(figures["figure"].isin(_OF_PEOPLE) & _hidden_days_in(figures, counts))
    return figures.assign(**nothing, hidden=hidden)


def shown_counts(counts: Mapping[str, int]) -> dict[str, int | None]:
    """Return the counts of one day as they may be shown; None for those of ``hidden_on``."""
    hidden = hidden_on(counts)
    return {name: None if f"rows_{name}" in hidden else count for name, count in counts.items()}


def shown_outcome_counts(counts: Mapping[str, int]) -> dict[str, int | None]:
    """Return the counts of a day's outcomes as they may be shown: expected, received and what received consists of.

    How many were expected is how many were accepted of the day, which is hidden where that is.
    """
    hidden = {name.removeprefix("rows_") for name in hidden_on({k: v for k, v in counts.items() if k != "expected"})}
    for of in ("received", "accepted"):
        if is_few(abs(counts.get("expected", 0) - counts.get(of, 0))) or is_few(counts.get("expected", 0)):
            hidden |= {"expected", of}
    return {name: None if name in hidden else count for name, count in counts.items()}


def hidden_on(counts: Mapping[str, int]) -> frozenset[str]:
    """Return the figures of one day to hide, given its counts by what follows ``rows_`` in their names."""
    received = counts.get("received", 0)
    parts = {name: counts[name] for name in _PARTS if name in counts}
    hidden = set(hidden_cells(parts, total=received)) if received else set()
    if 0 < received < SMALLEST_SHOWN:
        hidden |= {"received", *(name for name, count in parts.items() if count)}
    outputs = {name: counts[name] for name in _OUTPUTS if name in counts}
    accepted = counts.get("accepted", sum(outputs.values()))
    hidden |= hidden_cells(outputs, total=accepted)
    if "accepted" in hidden:  # as many are scored and withheld as are accepted
        hidden |= {name for name, count in outputs.items() if count}
    scored, flagged = counts.get("scored", 0), counts.get("flagged", 0)
    if {"flagged"} & hidden_cells({"flagged": flagged, "others": scored - flagged}, total=scored):
        hidden.add("flagged")
    named = {f"rows_{name}" for name in hidden}
    return frozenset(named | ({"quarantined_share"} if "quarantined" in hidden else set()))


def totals_shown(figures: pd.DataFrame) -> dict[str, int | None]:
    """Return the sum of each count over all days, by what follows ``rows_``; None where it gives a day away.

    Beside the days themselves, a total tells what is hidden of a single day, or of days with 1 to 10 in all.
    """
    counts = _counts(figures)
    totals: dict[str, int | None] = {}
    there = {name for of_day in counts.values() for name in of_day}
    for name in (name for name in ("received", *_PARTS, *_OUTPUTS, "flagged") if name in there):
        figure = f"rows_{name}"
        unseen = [of_day[name] for of_day in counts.values() if of_day.get(name) and figure in hidden_on(of_day)]
        tells = len(unseen) == 1 or 0 < sum(unseen) < SMALLEST_SHOWN
        totals[name] = None if tells else sum(of_day.get(name, 0) for of_day in counts.values())
    known = {name: total for name, total in totals.items() if total is not None}
    totals |= dict.fromkeys([name for name in totals if f"rows_{name}" in hidden_on(known)])
    if any(name in totals and totals[name] is None for name in _PARTS):
        totals |= dict.fromkeys([name for name in ("accepted", *_OUTPUTS) if name in totals])
    return totals


def _counts(figures: pd.DataFrame) -> dict[str, dict[str, int]]:
    counted = figures[figures["figure"].str.startswith("rows_")]
    found: dict[str, dict[str, int]] = {}
    for day, figure, count in zip(counted["first_day"], counted["figure"], counted["value"], strict=True):
        of_day = found.setdefault(str(day), {})
        name = str(figure).removeprefix("rows_")
        of_day[name] = of_day.get(name, 0) + int(count)
    return found


def _hidden_days_in(figures: pd.DataFrame, counts: Mapping[str, Mapping[str, int]]) -> pd.Series:
    """Tell which figures are about a day of which it is hidden how many rows were accepted or scored."""
    hidden = sorted(day for day, of_day in counts.items() if hidden_on(of_day) & {"rows_accepted", "rows_scored"})
    within = [any(first <= day <= last for day in hidden)
              for first, last in figures[["first_day", "last_day"]].itertuples(index=False)]  # fmt: skip
    return pd.Series(within, index=figures.index, dtype=bool)


def _few_missing(figures: pd.DataFrame) -> pd.Series:
    """Tell where a share leaves 1 to 10 people over, or holds as few."""
    held = (figures["value"] * figures["n"]).round()
    missing = figures["n"] - held
    return (held.gt(0) & held.lt(SMALLEST_SHOWN)) | (missing.gt(0) & missing.lt(SMALLEST_SHOWN))
