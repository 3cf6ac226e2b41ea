"""Figures of what the service answered, from the lines of its prediction log.

What belongs here: which lines were answers, and pure functions from them to figures. What does not: reading the log
(``lifecycle.monitoring.figure_sources``), the columns of figures (``figures``) and hiding small cells (``shown``).

A line of the shadow was no answer, nor was that of a candidate which failed: production answered in its place. Who asks
about a row several times a day is counted once, with the last answer that did not fail.
"""

from collections.abc import Iterator

import pandas as pd

from readmission_platform.evaluation.drift.stability import risk_index

SHADOW, CANDIDATE, FALLBACK = "shadow", "candidate", "fallback"
FAILED, WITHHELD = "failed", "withheld"
# Of fewer answers one that failed would be a large share.
FEWEST_ANSWERS = 20
# Rows by which a figure that is made while answers come in may change.
STEP = 25
_DAY = ["day", "version"]


def answers_among(lines: pd.DataFrame) -> pd.Series:
    """Tell which lines of the log (``arm``, ``status``) were the answer of their request."""
    covered = lines["arm"].eq(CANDIDATE) & lines["status"].eq(FAILED)
    return ~(lines["arm"].eq(SHADOW) | covered)


def served(lines: pd.DataFrame, listed: pd.DataFrame, *, window_rows: int, rare_share: float) -> list[pd.DataFrame]:
    """Return what the service answered, by the day of the answer and version.

    Parameters
    ----------
    lines
        Of the prediction log: ``day`` (of the answer), ``row``, ``at``, ``version``, ``arm``, ``status``, ``risk``.
    listed
        The daily lists: ``day``, ``row``, ``version``, ``risk`` (missing where it is withheld).
    window_rows
        So many risks of either are compared at a time.
    rare_share
        As drift is measured with.
    """
    answers = lines[answers_among(lines)].sort_values("at", kind="stable")
    failed = answers["status"].eq(FAILED).groupby([answers[name] for name in _DAY]).agg(["mean", "size"])
    last = answers[~answers["status"].eq(FAILED)].drop_duplicates(["day", "row"], keep="last")
    withheld = last["status"].eq(WITHHELD).groupby([last[name] for name in _DAY]).agg(["mean", "size"])
    scored = last[last["risk"].notna()]
    return [
        _by_day("served_rows", withheld["size"]),
        _by_day("served_withheld_share", withheld["mean"], n=withheld["size"]),
        _by_day("served_failed_share", failed["mean"][failed["size"] >= FEWEST_ANSWERS], n=failed["size"]),
        _by_day("served_mean_risk", scored[_in_full_steps(scored)].groupby(_DAY)["risk"].mean()),
        _as_listed(last, listed),
        *_compared(last, listed, window_rows, rare_share),
    ]


def _in_full_steps(scored: pd.DataFrame) -> pd.Series:
    """Tell which rows count for a mean: of each day and version so many that the mean changes by steps of rows.

    From the means before and after one more patient that patient's risk would follow.
    """
    days = scored.groupby(_DAY)
    return days.cumcount() < days["risk"].transform("size") // STEP * STEP


def _as_listed(last: pd.DataFrame, listed: pd.DataFrame) -> pd.DataFrame:
    """Return the share of rows with the same risk in the list, or withheld there too, of those that came in it."""
    newest = listed.drop_duplicates("row", keep="last")[["row", "version", "risk"]]
    both = last.merge(newest, on=["row", "version"], suffixes=("", "_listed"))
    same = both["risk"].eq(both["risk_listed"]) | (both["risk"].isna() & both["risk_listed"].isna())
    found = same.groupby([both[name] for name in _DAY]).agg(["mean", "size"])
    return _by_day("served_as_listed_share", found["mean"], n=found["size"])


def _compared(last: pd.DataFrame, listed: pd.DataFrame, rows: int, rare_share: float) -> Iterator[pd.DataFrame]:
    """Compare the risks of each version with those of the lists, whichever version made them."""
    theirs = listed[listed["risk"].notna()]
    for version, ours in last[last["risk"].notna()].groupby("version"):
        for first, until in _stretches(ours["day"], theirs["day"], rows):
            pair = [each.loc[each["day"].between(first, until), "risk"].astype("float64") for each in (theirs, ours)]
            index = risk_index(*pair, rare_share=rare_share)
            yield pd.DataFrame([{"figure": "served_stability_index", "version": version, "value": index,
                                 "first_day": first, "last_day": until}])  # fmt: skip


def _stretches(ours: pd.Series, theirs: pd.Series, rows: int) -> Iterator[tuple[str, str]]:
    """Find the shortest stretches that hold enough rows of both, counted back from the newest day of ours."""
    newest = ours.max()
    counts = pd.concat([ours.value_counts(), theirs.value_counts()], axis=1).fillna(0)
    counts = counts[counts.index <= newest].sort_index(ascending=False)
    until, held = None, counts.iloc[0] * 0
    for day, of_day in counts.iterrows():
        until, held = until or str(day), held + of_day
        if held.min() >= rows:
            yield str(day), until
            until, held = None, held * 0


def _by_day(figure: str, values: pd.Series, *, n: pd.Series | None = None) -> pd.DataFrame:
    rows = pd.DataFrame({"value": values, "n": float("nan") if n is None else n.reindex(values.index)})
    rows = rows.reset_index().rename(columns={"day": "first_day"})
    return rows.assign(figure=figure, last_day=rows["first_day"])
