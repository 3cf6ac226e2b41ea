"""Small cells: what may be shown of counts of one to ten people.

What belongs here: hiding counts of 1 to 10, what they could be derived from, and every figure made from them.
What does not: the gates, which judge the full evidence; only what is shown is reduced. How the counts of a day hang
together is known by ``operation.shown``.

Every number that leaves the process comes through here: on pages, in the terminal, as JSON, in Dagster, in MLflow and
for Prometheus. So two outlets never show what could be subtracted from each other.
"""

import math
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from readmission_platform.evaluation.estimates.schema import GROUP_MEASURES

SMALLEST_SHOWN = 11
# A group whose counts are hidden only to protect others keeps its figures if it is large, to so many digits: of 100 and
# more, thousandths fit too many counts to tell which it was.
LARGE_COVER = 100
COVER_DIGITS = 3
# Estimates of a group are called after it; these are compared on the test rows; these are shares of the rows counted.
_GROUP, _COMPARED = "observed_expected.", "champion_"
_SHARES_OF_ROWS = frozenset({"shadow_scored_share", "shadow_withheld_share"})
_FIGURES = ("value", "low", "high")
# Beside an exact count one in such steps leaves open whether they differ at all, by 10, or by more.
_STEP = 25
HIDDEN = "hidden"


def is_few(count: float) -> bool:
    """Tell whether a count is one of 1 to 10 people."""
    return 0 < count < SMALLEST_SHOWN


def shown_count(count: int) -> int | None:
    """Return a count that stands by itself; None for 1 to 10. Of parts of a total more is hidden (``hidden_cells``)."""
    return None if is_few(count) else count


def rough_count(count: int) -> int:
    """Return a count to the nearest 25 and not 0 for somebody, for those who need no more than an order of size."""
    return max(_STEP, round(count / _STEP) * _STEP) if count else 0


def roughly(count: int) -> str:
    """Write a rough count for people, who see that it is one."""
    return f"about {rough_count(count):,} (to the nearest {_STEP})"


def rough_in_words(rough: int) -> str:
    """Write a rough count (``rough_count``) for people; the smallest stands for anything up to 37."""
    if not rough:
        return "none"
    return f"about {rough:,}" if rough > _STEP else f"up to {_STEP + _STEP // 2}"


def in_words(count: int) -> str:
    """Write a count that stands by itself for people; of 1 to 10 only that."""
    return f"1 to {SMALLEST_SHOWN - 1}" if is_few(count) else f"{count:,}"


def tells_few(share: float, of: float) -> bool:
    """Tell whether a share gives away 1 to 10 people, in it or left over."""
    count = round(share * of)
    return is_few(count) or is_few(of - count)


def shown_share(share: float, of: int) -> float | None:
    """Return a share of so many people; None where it gives 1 to 10 of them away."""
    return None if tells_few(share, of) else share


def digits_shown(of: int) -> int:
    """Return to how many digits a share of so many may be shown for at least 11 counts to fit it; 0 is not at all."""
    return max(0, math.floor(math.log10(of / SMALLEST_SHOWN))) if of else 0


def hidden_cells(counts: Mapping[str, int], *, total: int) -> frozenset[str]:
    """Decide which cells of one table column to hide.

    Parameters
    ----------
    counts : the cells shown, by name. They may add up to less than ``total``: the rest (rows without a
        category) counts as a further cell, which is never shown but can be derived by subtraction.

    A cell of 1 to 10 is hidden. Then the smallest further cells are hidden until what subtraction reveals is
    the sum of at least two cells and at least 11, so that no hidden cell can be derived. A rest of 1 to 10
    starts this too.
    """
    rest = total - sum(counts.values())
    hidden = {name for name, count in counts.items() if is_few(count)}
    small_rest = is_few(rest)
    if not hidden and not small_rest:
        return frozenset()
    # A larger rest is no cover: the share of missing values is published elsewhere.
    covered = rest if small_rest else 0
    for name in sorted((n for n in counts if n not in hidden and counts[n] > 0), key=lambda n: (counts[n], n)):
        cells = len(hidden) + small_rest
        if cells >= 2 and covered + sum(counts[n] for n in hidden) >= SMALLEST_SHOWN:
            break
        hidden.add(name)
    return frozenset(hidden)


def shown_cells(counts: Mapping[str, int], *, total: int) -> dict[str, int | None]:
    """Return the cells of one table column as they may be shown: None for those of ``hidden_cells``."""
    hidden = hidden_cells(counts, total=total)
    return {name: None if name in hidden else count for name, count in counts.items()}


def hidden_rows(cells: Mapping[str, Mapping[str, int]], *, totals: Mapping[str, int]) -> frozenset[str]:
    """Return the rows of a table to hide: those with a hidden cell in n, positives, negatives or entities."""
    columns = {measure: {name: row[measure] for name, row in cells.items()} for measure in totals}
    hidden: frozenset[str] = frozenset()
    for measure, total in totals.items():
        hidden |= hidden_cells(columns[measure], total=total)
    return hidden


def shown_estimates(estimates: Mapping[str, Any]) -> dict[str, Any]:
    """Return estimates as they may be shown, beside each other and beside the groups.

    Hidden are counts of 1 to 10, and counts that leave as few out; the counts of groups that are small or cover a small
    one, and of what compares the groups of their attribute; and shares that tell how few they are of.

    Parameters
    ----------
    estimates
        ``{metric: {"value", "low", "high", "n", "positives"}}``, with ``entities`` of a group, and ``digits`` where a
        figure may be shown to so many only. What is no mapping stays as it is.
    """
    shown = {name: dict(entry) if isinstance(entry, Mapping) else entry for name, entry in estimates.items()}
    entries: dict[str, dict[str, Any]] = {name: entry for name, entry in shown.items() if isinstance(entry, dict)}
    everybody: dict[str, int] = max(map(_counts, entries.values()), key=lambda counts: counts.get("n", 0), default={})
    tested = _counts(entries.get("auroc_test", {}))
    for name, entry in entries.items():
        _hide_counts(entry, within=tested if name.startswith(_COMPARED) else everybody)
        _hide_figures(name, entry)
    for attribute, groups in _groups_of(estimates).items():
        hidden = _hidden_groups(groups, everybody)
        for name, closed in hidden.items():
            _hide(entries[f"{_GROUP}{attribute}.{name}"], closed=closed)
        for name in (f"equalised_odds_{attribute}", f"auroc_gap.{attribute}") if hidden else ():
            if name in entries:
                entries[name] |= {"n": None, "positives": None}
        # The gap and the figure of one group are the figure of the other, as exactly as the less exact of the two.
        if hidden and (gap := entries.get(f"auroc_gap.{attribute}")):
            gap |= {figure: _rounded(gap.get(figure), COVER_DIGITS) for figure in _FIGURES}
    return shown


def suppress_small_cells(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of an evidence document that is fit to be shown.

    A group with a small cell keeps its name and gets ``"suppressed": True``; its counts and figures are None, as are
    its entries among the estimates. So that it cannot be derived by subtraction, the counts of a further group are None
    (a small one is suppressed as well, a large one keeps its figures, rounded). Of the estimates that is shown which
    ``shown_estimates`` returns. Reliability bins, histogram counts and totals of 1 to 10 are hidden too.
    """
    shown = deepcopy(dict(evidence))
    for groups in shown["groups"].values():
        for name, closed in _hidden_groups(groups, _counts(evidence)).items():
            _hide(groups[name], closed=closed)
            for measure in GROUP_MEASURES:
                _hide(groups[name][measure], closed=closed)
            if closed:
                groups[name]["suppressed"] = True
    shown["estimates"] = shown_estimates(evidence["estimates"])
    _hide_bins(shown)
    _hide_counts(shown, within={})
    if shown["positives"] is None:
        shown["prevalence"] = None
    return shown


def telling_shares(evidence: Mapping[str, Any], groups: Mapping[str, Any], *, of_negatives: bool) -> frozenset[str]:
    """Return the groups whose flagged share would tell a count of 1 to 10 people, or what it is derived from.

    Parameters
    ----------
    evidence
        An evidence document, small cells hidden.
    groups
        Those of one attribute, by name.
    of_negatives
        Whether the share is of the negatives (``fpr``); else of the positives (``tpr``).
    """
    # Of a group whose size is hidden a share tells nothing.
    known = {name: group for name, group in groups.items() if group["positives"] is not None}
    measure = "fpr" if of_negatives else "tpr"
    n, positives, recall = evidence["n"], evidence["positives"], evidence["estimates"]["recall"]["value"]
    if None in (n, positives, recall) or any(group[measure]["value"] is None for group in known.values()):
        return frozenset(known)
    sizes = {name: group["n"] - group["positives"] if of_negatives else group["positives"]
             for name, group in known.items()}  # fmt: skip
    flagged = {name: round(known[name][measure]["value"] * size) for name, size in sizes.items()}
    missed = {name: sizes[name] - count for name, count in flagged.items()}
    found = round(recall * positives)
    in_all = round(evidence["settings"]["flag_share"] * n) - found if of_negatives else found
    everybody = n - positives if of_negatives else positives
    return hidden_cells(flagged, total=in_all) | hidden_cells(missed, total=everybody - in_all)


def hide_telling_shares(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy without the flagged shares of groups that would tell a count of 1 to 10 people.

    To be applied after ``suppress_small_cells``: a share and the size of its group give the count.
    """
    shown = deepcopy(dict(evidence))
    for groups in shown["groups"].values():
        for measure, of_negatives in (("tpr", False), ("fpr", True)):
            for name in telling_shares(evidence, groups, of_negatives=of_negatives):
                groups[name][measure] = {"value": None, "low": None, "high": None}
    return shown


def _counts(entry: Mapping[str, Any]) -> dict[str, int]:
    """Return n, positives and negatives, as far as they are known."""
    n, positives = _number(entry.get("n")), _number(entry.get("positives"))
    if n is None:
        return {}
    known = {} if positives is None else {"positives": int(positives), "negatives": int(n - positives)}
    return {"n": int(n), **known}


def _number(value: Any) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else None


def _groups_of(estimates: Mapping[str, Any]) -> dict[str, dict[str, Mapping[str, Any]]]:
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for name, entry in estimates.items():
        attribute, _, group = name.removeprefix(_GROUP).partition(".")
        if name.startswith(_GROUP) and group and isinstance(entry, Mapping):
            found.setdefault(attribute, {})[group] = entry
    return found


def _hidden_groups(groups: Mapping[str, Mapping[str, Any]], everybody: Mapping[str, int]) -> dict[str, bool]:
    """Return the groups of one attribute whose counts are hidden, and of each whether its figures are too."""
    if "positives" not in everybody:
        return {}
    cells = {name: counts for name, group in groups.items() if "positives" in (counts := _counts(group))}
    # An entity may be in two age groups, so entities do not add up: only the cells themselves are at stake.
    small = frozenset(
        name for name, counts in cells.items()
        if any(map(is_few, (*counts.values(), _number(groups[name].get("entities")) or 0)))
    )  # fmt: skip
    hidden = hidden_rows(cells, totals=everybody) | small
    # Who belongs to no group is a cell as well: 1 to 10 of them are a cover, more are told elsewhere.
    rest = everybody.get("n", 0) - sum(counts["n"] for counts in cells.values())
    if len(hidden) == 1 and not is_few(rest):
        others = sorted((counts["n"], name) for name, counts in cells.items() if name not in hidden)
        hidden |= {name for _, name in others[:1]}
    return {name: name in small or min(cells[name]["positives"], cells[name]["negatives"]) < LARGE_COVER
            for name in sorted(hidden)}  # fmt: skip


def _hide(entry: dict[str, Any], *, closed: bool) -> None:
    """Hide the counts of a group, and its figures, or what of them is too exact."""
    entry |= dict.fromkeys(set(entry) & {"n", "positives", "entities"})
    entry |= {name: None if closed else _rounded(entry[name], COVER_DIGITS) for name in _FIGURES if name in entry}


def _hide_counts(entry: dict[str, Any], *, within: Mapping[str, int]) -> None:
    """Hide counts of few people, and all counts of an entry that leaves few out of those it is within."""
    counts = _counts(entry)
    entry |= {name: None for name, count in counts.items() if name in entry and is_few(count)}
    if is_few(counts.get("negatives", 0)):
        entry["positives"] = None
    if any(is_few(within[name] - count) for name, count in counts.items() if name in within):
        entry |= {"n": None, "positives": None}


def _hide_figures(name: str, entry: dict[str, Any]) -> None:
    """Hide a share of few people, and round what may be shown to some digits only."""
    share, n = _number(entry.get("value")), _number(entry.get("n"))
    if name in _SHARES_OF_ROWS and share is not None and n is not None and tells_few(share, n):
        entry |= dict.fromkeys((*_FIGURES, "n"))
    if "digits" in entry:
        digits = entry.pop("digits")
        entry |= {figure: _rounded(entry[figure], digits) if digits > 1 else None for figure in _FIGURES}


def _rounded(value: float | None, digits: int) -> float | None:
    """Round so far that a share does not tell how many it is a share of."""
    return None if value is None else round(value, digits)


def _hide_bins(shown: dict[str, Any]) -> None:
    calibration = shown["curves"]["calibration"]
    bins = {str(entry["bin"]): entry for entry in calibration["bins"]}
    hidden = hidden_rows({name: _counts(entry) for name, entry in bins.items()}, totals=_counts(shown))
    for name in hidden:
        bins[name] |= {key: None for key in bins[name] if key != "bin"}
        bins[name]["suppressed"] = True
    histogram = calibration["histogram"]
    counts = {str(i): count for i, count in enumerate(histogram["counts"])}
    hidden_counts = hidden_cells(counts, total=shown["n"])
    histogram["counts"] = [None if name in hidden_counts else count for name, count in counts.items()]
