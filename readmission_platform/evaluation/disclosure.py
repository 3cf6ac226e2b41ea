"""Small cells: what may be shown of counts of one to ten people.

What belongs here: hiding counts of 1 to 10, what they could be derived from, and every figure made from them.
What does not: the gates, which judge the full evidence; only what is shown is reduced.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from readmission_platform.evaluation.estimates.fairness import GROUP_MEASURES

SMALLEST_SHOWN = 11
# A group whose counts are hidden only to protect others keeps its figures if it is large, to so many digits: of 100 and
# more, thousandths fit too many counts to tell which it was.
LARGE_COVER = 100
COVER_DIGITS = 3


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
    hidden = {name for name, count in counts.items() if 0 < count < SMALLEST_SHOWN}
    small_rest = 0 < rest < SMALLEST_SHOWN
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


def hidden_rows(cells: Mapping[str, Mapping[str, int]], *, totals: Mapping[str, int]) -> frozenset[str]:
    """Return the rows of a table to hide: those with a hidden cell in n, positives, negatives or entities."""
    columns = {measure: {name: row[measure] for name, row in cells.items()} for measure in totals}
    hidden: frozenset[str] = frozenset()
    for measure, total in totals.items():
        hidden |= hidden_cells(columns[measure], total=total)
    return hidden


def suppress_small_cells(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of an evidence document that is fit to be shown.

    A group with a small cell keeps its name and gets ``"suppressed": True``; its counts and figures are None, as are
    its entries among the estimates. So that it cannot be derived by subtraction, the counts of a further group are None
    (a small one is suppressed as well, a large one keeps its figures, rounded), and those of the estimates that compare
    the attribute's groups. Reliability bins, histogram counts and totals of 1 to 10
    are hidden too.
    """
    shown = deepcopy(dict(evidence))
    for attribute, groups in shown["groups"].items():
        _hide_groups(shown, attribute, groups)
    _hide_bins(shown)
    _hide_totals(shown)
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


def _cells(entry: Mapping[str, Any]) -> dict[str, int]:
    return {"n": entry["n"], "positives": entry["positives"], "negatives": entry["n"] - entry["positives"]}


def _hide_groups(shown: dict[str, Any], attribute: str, groups: dict[str, Any]) -> None:
    totals = _cells(shown)
    cells = {name: _cells(group) for name, group in groups.items()}
    entities = {name: group["entities"] for name, group in groups.items()}
    # An entity may be in two age groups, so entities do not add up: only the cells themselves are at stake.
    small = frozenset(
        name for name, row in cells.items()
        if any(0 < count < SMALLEST_SHOWN for count in (*row.values(), entities[name]))
    )  # fmt: skip
    hidden = hidden_rows(cells, totals=totals) | small
    # Who belongs to no group is a cell as well: 1 to 10 of them are a cover, more are told elsewhere.
    rest = totals["n"] - sum(row["n"] for row in cells.values())
    if len(hidden) == 1 and not 0 < rest < SMALLEST_SHOWN:
        others = sorted((group["n"], name) for name, group in groups.items() if name not in hidden)
        hidden |= {name for _, name in others[:1]}
    for group in hidden:
        closed = group in small or min(cells[group]["positives"], cells[group]["negatives"]) < LARGE_COVER
        figures = shown["estimates"][f"observed_expected.{attribute}.{group}"]
        for entry in (groups[group], figures):
            entry |= dict.fromkeys(set(entry) & {"n", "positives", "entities"})
        for entry in (*(groups[group][measure] for measure in GROUP_MEASURES), figures):
            entry |= {name: None if closed else _rounded(entry[name]) for name in ("value", "low", "high")}
        if closed:
            groups[group]["suppressed"] = True
    if hidden:
        for name in (f"equalised_odds_{attribute}", f"auroc_gap.{attribute}"):
            shown["estimates"][name] |= {"n": None, "positives": None}


def _rounded(value: float | None) -> float | None:
    """Round so far that a share does not tell how many it is a share of."""
    return None if value is None else round(value, COVER_DIGITS)


def _hide_bins(shown: dict[str, Any]) -> None:
    calibration = shown["curves"]["calibration"]
    bins = {str(entry["bin"]): entry for entry in calibration["bins"]}
    hidden = hidden_rows({name: _cells(entry) for name, entry in bins.items()}, totals=_cells(shown))
    for name in hidden:
        bins[name] |= {key: None for key in bins[name] if key != "bin"}
        bins[name]["suppressed"] = True
    histogram = calibration["histogram"]
    counts = {str(i): count for i, count in enumerate(histogram["counts"])}
    hidden_counts = hidden_cells(counts, total=shown["n"])
    histogram["counts"] = [None if name in hidden_counts else count for name, count in counts.items()]


def _hide_totals(shown: dict[str, Any]) -> None:
    for entry in (shown, *shown["estimates"].values()):
        for measure in ("n", "positives"):
            if entry[measure] is not None and 0 < entry[measure] < SMALLEST_SHOWN:
                entry[measure] = None
    if shown["positives"] is None:
        shown["prevalence"] = None
