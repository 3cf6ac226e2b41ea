"""Drift as people read it: the table of a window, the sentence about an alarm, and Evidently's pages on disk.

What belongs here: words, what may be shown, and which pages are kept. What does not: judging
(``evaluation.drift.windows``).
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from readmission_platform.evaluation.disclosure import SMALLEST_SHOWN
from readmission_platform.evaluation.drift.kinds import DRIFT, MISSING, RISK
from readmission_platform.evaluation.drift.windows import Verdict
from readmission_platform.evaluation.words import Words
from readmission_platform.foundation.counting import percent
from readmission_platform.reports.page_links import DRIFT_PAGES
from readmission_platform.storage.home import replace_file

# A page is 4 MB of HTML: what is older is in the table.
PAGES_KEPT = 3
HIDDEN = f"fewer than {SMALLEST_SHOWN} people"
NOT_A_NUMBER = "cannot be judged"
_MEASURES = {DRIFT: "Evidently's stability index", MISSING: "missing values"}
ALARM_ACTION = (
    "Look at the named columns on Evidently's page and at the source: new codes, a changed interface, a different "
    "population. If the drift persists, train on matured outcomes, recalibrate, or have it accepted until a given day "
    "(`readmission drift accept`); until then, consider whether the list can still be relied on."
)


def window_table(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the judged rows of a window as they may be shown, the drifted ones first, then the largest scores.

    Parameters
    ----------
    rows
        ``column``, ``measure``, ``score``, ``observed``, ``reference``, ``limit``, ``drifted``, ``rows``. Where
        the share of missing or unseen values stands for 1 to 10 people, or leaves so few, no figure is shown.
    """
    ratio = (rows["score"] / rows["limit"]).fillna(math.inf)
    ordered = rows.assign(ratio=ratio).sort_values(["drifted", "ratio"], ascending=False, kind="stable")
    return [
        {
            "column": _named(str(row["column"])),
            "measure": _MEASURES.get(row["measure"], "values never seen in training"),
            "score": _score(row),
            "reference": "training" if row["measure"] == DRIFT else percent(row["reference"], 1),
            "limit": f"{row['limit']:g}",
            "drifted": "yes" if row["drifted"] else "no",
        }
        for row in ordered.to_dict("records")
    ]


def _score(row: dict[Any, Any]) -> str:
    if math.isnan(row["score"]):
        return NOT_A_NUMBER
    if row["measure"] != DRIFT:
        people = round(row["observed"] * row["rows"])
        if 0 < people < SMALLEST_SHOWN or 0 < row["rows"] - people < SMALLEST_SHOWN:
            return HIDDEN
    return f"{row['score']:.3f}"


def _named(column: str) -> str:
    return "predicted risks" if column == RISK else column


def alarm_sentence(version: str, stage: str, windows: Sequence[Verdict], rows: pd.DataFrame, words: Words) -> str:
    """Say which windows of a version drifted, with each column's score and limit, and what to do.

    Parameters
    ----------
    rows
        Judged rows of the version, with ``window``.
    """
    told = []
    for verdict in windows:
        drifted = rows[(rows["window"] == verdict.window) & rows["drifted"]]
        columns = "; ".join(f"{row['column']} ({row['measure']}) {row['score']}, limit {row['limit']}"
                            for row in window_table(drifted))  # fmt: skip
        told.append(f"window {verdict.window} ({verdict.first_day} to {verdict.last_day}): {columns}")
    said = f"Version {version} in {stage} now sees {words.rows} unlike those it was trained on."
    return f"{said} {'. '.join(told)}. {ALARM_ACTION}"


def drift_folder(reports: Path, version: str) -> Path:
    """Return the folder of a version's pages, below that of the model's reports."""
    return reports / version / DRIFT_PAGES


def page_path(folder: Path, first_day: str, last_day: str) -> Path:
    """Return where the page of a window is."""
    return folder / f"{first_day}_{last_day}.html"


def keep_page(folder: Path, first_day: str, last_day: str, page: bytes) -> Path:
    """Write the page of a window, whole or not at all, and delete those of windows long past."""
    path = page_path(folder, first_day, last_day)
    replace_file(path, page)
    for old in sorted(folder.glob("*_*.html"), reverse=True)[PAGES_KEPT:]:
        old.unlink(missing_ok=True)
    return path
