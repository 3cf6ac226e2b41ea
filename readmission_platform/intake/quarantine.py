"""Why rows and files are set aside: the codes, what they say to people, and which of them a person may overrule.

What belongs here: the vocabulary that landing zone, intake and commands share. What does not: finding the faults
(``encounter_contract``, ``intake``, ``storage.landed_file``) and recording a release
(``governance.promotion.quarantine_releases``).

Codes are stable: scripts and the ledger hold them. Nothing here or in a line of the quarantine holds a value.
"""

from typing import Any, NamedTuple

import pandas as pd

from readmission_platform.encounters.contract import NULLABLE, REASONS

DAY = "discharge_date"
_DELIVER = "Have the source deliver a corrected file."


class Why(NamedTuple):
    """What a code means, and what to do about it."""

    reason: str
    action: str


CODES = {
    # Of a whole file: none of its rows is looked at.
    "file_empty": Why("the file is empty", "Ask the source for the file; a day without discharges is a header alone."),
    "file_not_utf8": Why("not UTF-8 text", "Have the source export the file as UTF-8."),
    "file_truncated": Why("the file is cut off", "Have the source deliver the whole file again."),
    "file_unreadable": Why("not a readable CSV, gzip or Parquet file", _DELIVER),
    "file_repeated": Why("the same bytes were taken in before; every row counts as a duplicate",
                         "Nothing, if it was sent twice; else have the source deliver the file that was meant."),
    # Of a whole file by its name, or of a row by its column discharge_date.
    "day_mismatch": Why("it says another day than its folder", "Move it to the folder of its day, or correct it."),
    # Of the header: every row is set aside.
    "column_missing": Why("column missing from the file", _DELIVER),
    "column_unknown": Why("column unknown to the contract", _DELIVER),
    "column_repeated": Why("the header names the column more than once", _DELIVER),
    # Of a row.
    "ragged_row": Why("the row has more or fewer cells than the header", _DELIVER),
    **{code: Why(reason, _DELIVER) for code, reason in REASONS.items()},
    "cannot_be_readmitted": Why("died or went to hospice, so cannot be readmitted", "Nothing: the model is not "
                                "made for them. If the code is wrong, have the source correct it."),
    "conflicting_rows": Why("rows of the same encounter and day contradict each other; none is taken in",
                            "Have the source say which is right, and deliver that one alone."),
}  # fmt: skip

# Faults of one cell, which may be taken for a missing value. All others are about the row, the file or who is scored.
OVERRULABLE = frozenset({"unknown_code", "not_icd9"})

LINE_TYPES: dict[str, Any] = {
    DAY: object, "file_digest": object, "file": object, "row": "int64", "column": object, "code": object,
    "reason": object,
}  # fmt: skip


def releasable(column: str, code: str) -> bool:
    """Tell whether a person may have the row taken in with this cell taken for missing."""
    return code in OVERRULABLE and column in NULLABLE


def action_for(column: str, code: str) -> str:
    """Return what to do about a line of the quarantine; empty for a code that is not known."""
    if releasable(column, code):
        return f"{_DELIVER} Or release the row: the cell then counts as missing."
    return CODES[code].action if code in CODES else ""


def quarantine_lines(lines: pd.DataFrame) -> pd.DataFrame:
    """Complete lines with the reason of their code, in the columns and types of the quarantine.

    ``discharge_date``, ``file_digest``, ``file``, ``row`` (1 is the first after the header; 0 the whole file),
    ``column``, ``code``, ``reason``.
    """
    reasons = {code: why.reason for code, why in CODES.items()}
    complete = lines.assign(reason=lines["code"].map(reasons))
    return complete.reindex(columns=list(LINE_TYPES)).astype(LINE_TYPES).reset_index(drop=True)
