"""The counts and figures of days as they may be shown: what would tell a count of 1 to 10 people is hidden.

What belongs here: how the counts of a day hang together, and hiding in the table of figures, for pages, scripts, the
Dagster UI and Prometheus alike. What does not: the rule for one table (``disclosure``).

How many rows arrived is shown. How many of them were quarantined, were duplicates, got a risk or none, or were flagged
concerns people and is hidden when it is 1 to 10, and so is what it could be worked out from: with 27 received and 2
quarantined, 25 accepted gives the 2 away. Then the page says that there were some, and not how many.

A share is two counts: where one of them is hidden, the share is hidden too, or shown to so few digits that at least 11
counts fit it. Of the outcomes of a day it is how many were received that is hidden first, since how many were accepted
is told by the coverage.

Of what the service answered, shares and the number of rows are shown by the same rule, and never over how many a share
was counted: how often somebody was asked about, and who came in a daily list, would follow from it.
"""

import math
from collections.abc import Mapping

import pandas as pd

from readmission_platform.evaluation.disclosure import SMALLEST_SHOWN, digits_shown, hidden_cells, is_few

_PARTS = ("accepted", "quarantined", "duplicate")
_OUTPUTS = ("scored", "withheld")
_COVERAGE, _COVERAGE_OF_ALL = "outcome_coverage", "matured_coverage"
_SERVED = "served_"
_SHARES_OF_ROWS = (_COVERAGE, _COVERAGE_OF_ALL, "risk_band_share")


def shown(figures: pd.DataFrame) -> pd.DataFrame:
    """Return a copy with the column ``hidden``; there ``value``, ``low``, ``high`` and ``n`` are missing."""
    counts = _counts(figures)
    places = [(figure, day) for day, of_day in counts.items() for figure in hidden_on(of_day)]
    keys = pd.MultiIndex.from_frame(figures[["figure", "first_day"]])
    hidden = pd.Series(keys.isin(places), index=figures.index)
    hidden |= figures["figure"].isin([_COVERAGE, _COVERAGE_OF_ALL]) & _few_missing(figures)
    few = figures["n"].gt(0) & figures["n"].lt(SMALLEST_SHOWN)
    served = figures["figure"].str.startswith(_SERVED)
    hidden |= served & figures["unit"].eq("rows") & figures["value"].lt(SMALLEST_SHOWN)
    hidden |= served & figures["unit"].eq("share") & _few_missing(figures)
    hidden |= few & figures["unit"].isin(["share", "probability", "score", "ratio"])
    uncounted = _made_from_hidden_days(figures, counts)
    telling = (uncounted & figures["figure"].isin(_SHARES_OF_ROWS)) | _tells_the_hidden_days(figures, hidden)
    coarse = [_coarse(*counted) for counted in zip(figures["value"], figures["n"], strict=True)]
    value = figures["value"].mask(telling, pd.Series(coarse, index=figures.index, dtype=float))
    hidden |= value.isna() & figures["value"].notna()
    nothing = {name: figures[name].mask(hidden) for name in ("low", "high", "n")}
    nothing["n"] = nothing["n"].mask(uncounted | served)
    return figures.assign(value=value.mask(hidden), **nothing, hidden=hidden)


def shown_counts(counts: Mapping[str, int]) -> dict[str, int | None]:
    """Return the counts of one day as they may be shown; None for those of ``hidden_on``."""
    hidden = hidden_on(counts)
    return {name: None if f"rows_{name}" in hidden else count for name, count in counts.items()}


def shown_outcome_counts(counts: Mapping[str, int], taken_in: Mapping[str, int]) -> dict[str, int | None]:
    """Return the counts of a day's outcomes as they may be shown: expected, received and what received consists of.

    Parameters
    ----------
    counts
        ``expected``, ``received``, ``accepted``, ``quarantined``, ``duplicate``.
    taken_in
        The counts of the rows of the day, of which as many are expected as were accepted.
    """
    hidden = hidden_of_outcomes(counts, taken_in)
    return {name: None if name in hidden else count for name, count in counts.items()}


def hidden_of_outcomes(counts: Mapping[str, int], taken_in: Mapping[str, int]) -> frozenset[str]:
    """Return which counts of a day's outcomes to hide, and ``coverage``; parameters as ``shown_outcome_counts``."""
    expected, received, accepted, quarantined, duplicate = (
        counts.get(name, 0) for name in ("expected", "received", *_PARTS)
    )
    aside = {name for name in ("quarantined", "duplicate") if counts.get(name, 0)}
    hidden: set[str] = set()
    if any(map(is_few, (expected, accepted, expected - accepted))) or "rows_accepted" in hidden_on(taken_in):
        hidden |= {"expected", "received", "accepted", "coverage"}
    if any(map(is_few, (quarantined, duplicate, quarantined + duplicate))):
        hidden |= {"received", *(name for name in aside if is_few(counts[name]))}
    if is_few(received) or is_few(abs(expected - received)):
        hidden |= {"received", *aside}
    return frozenset(hidden)


def hidden_reasons(rows: Mapping[str, int], *, quarantined: int, hidden: bool) -> frozenset[str]:
    """Return of which reasons of one day to hide how many rows were set aside for them.

    Parameters
    ----------
    rows
        By reason; a row may have several.
    quarantined
        How many rows were set aside, which is shown beside them.
    hidden
        Whether that is hidden itself: then all of it is.
    """
    if hidden:
        return frozenset(name for name, count in rows.items() if count)
    others = {name for name, count in rows.items() if is_few(quarantined - count)}
    return hidden_cells(rows, total=sum(rows.values())) | others


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


def _made_from_hidden_days(figures: pd.DataFrame, counts: Mapping[str, Mapping[str, int]]) -> pd.Series:
    """Tell which figures would, by how many rows they are made from, give a day's hidden count away.

    They do where one day is hidden in their stretch, or several from which 1 to 10 rows are missing in all.
    """
    missing = {
        day: of_day.get("received", of_day.get("scored", 0)) - of_day.get("scored", of_day.get("accepted", 0))
        for day, of_day in counts.items()
        if hidden_on(of_day) & {"rows_accepted", "rows_scored"}
    }
    tells = []
    for first, last in figures[["first_day", "last_day"]].itertuples(index=False):
        within = [count for day, count in missing.items() if first <= day <= last]
        tells.append(len(within) == 1 or is_few(sum(within)))
    return pd.Series(tells, index=figures.index, dtype=bool) & ~figures["figure"].str.startswith("rows_")


def _coarse(share: float, of: float) -> float:
    """Cut a share down to digits that at least 11 counts fit; missing where none does. Nobody and everybody stay."""
    digits = digits_shown(0 if math.isnan(of) else int(of))
    if share in (0, 1) or not math.isfinite(share):
        return share
    return math.floor(share * 10**digits) / 10**digits if digits else math.nan


def _tells_the_hidden_days(figures: pd.DataFrame, hidden: pd.Series) -> pd.Series:
    """Tell where the coverage of all days would tell that of the one hidden, or of several with 1 to 10 missing."""
    of_days = figures[(figures["figure"] == _COVERAGE) & hidden]
    missing = (of_days["n"] * (1 - of_days["value"])).round().sum()
    tells = len(of_days) == 1 or is_few(missing)
    return (figures["figure"] == _COVERAGE_OF_ALL) & tells


def _few_missing(figures: pd.DataFrame) -> pd.Series:
    """Tell where a share leaves 1 to 10 people over, or holds as few."""
    held = (figures["value"] * figures["n"]).round()
    missing = figures["n"] - held
    return (held.gt(0) & held.lt(SMALLEST_SHOWN)) | (missing.gt(0) & missing.lt(SMALLEST_SHOWN))
