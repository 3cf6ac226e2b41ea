"""Why rows and files are set aside: the codes, what they say to people, and which of them a person may overrule.

What belongs here: the vocabulary that landing zone, intake and commands share. What does not: finding the faults
(``contract``, ``files``, ``rows``, ``storage.landed_file``) and recording a release
(``governance.promotion.quarantine_releases``).

Codes are stable: scripts and the ledger hold them. Nothing here or in a line of the quarantine holds a value.
"""

from typing import Any

import pandas as pd

from readmission_platform.intake.contract import DELIVER, RowContract, Why
from readmission_platform.intake.rules import CELL_REASONS

_OF_NUMBERS = frozenset({"not_a_whole_number", "not_a_number", "out_of_range"})


def codes(contract: RowContract) -> dict[str, Why]:
    """Return what can be wrong with a delivery of rows, by code."""
    words = contract.words
    of_cells = {code: Why(reason) for code, reason in CELL_REASONS.items()}
    if not contract.numbers:
        del of_cells["not_a_number"]
    return {
        # Of a whole file: none of its rows is looked at.
        "file_empty": Why("the file is empty",
                          f"Ask the source for the file; a day without {words.rows} is a file with only a header."),
        "file_not_utf8": Why("not UTF-8 text", "Have the source export the file as UTF-8."),
        "file_truncated": Why("the file is cut off", "Have the source deliver the whole file again."),
        "file_not_understood": Why("not CSV, Parquet or JSON lines, or a folder that Spark has not finished",
                                   "Have the source export CSV (.csv; Excel: save as CSV UTF-8), .tsv, .parquet or "
                                   ".ndjson; remove anything that is not data."),
        "file_unreadable": Why("not a readable CSV, gzip or Parquet file"),
        "dialect_unclear": Why("the header has several kinds of separators, so that cells could be split in two ways",
                               "Have the source deliver the file with only commas, semicolons or tabs."),
        "quotes_unclear": Why("a quotation mark is not closed on its line, and may have swallowed rows",
                              "Have the source double the quotation marks inside cells, and close every cell."),
        "file_too_large": Why(f"the file holds more than a day's {words.rows} can",
                              f"Have the source deliver only the day's {words.rows}."),
        "folder_unreadable": Why("the entry named after the day is not a readable folder",
                                 "Put the files into a folder of that name that the platform may read."),
        "file_repeated": Why("the same bytes were taken in before; every row counts as a duplicate",
                             "Nothing, if it was sent twice; if not, have the source deliver the intended file."),
        # Of a whole file by its name, or of a row by its column for the day.
        "day_mismatch": Why("it names another day than its folder", "Move it to that day's folder, or correct it."),
        # Of the header: every row is set aside.
        "column_missing": Why("column missing from the file"),
        "column_unknown": Why("column not in the contract"),
        "column_repeated": Why("the header names the column more than once"),
        "numbers_rounded": Why("the column's type in the file cannot hold its numbers, so some became others",
                               "Have the source deliver the column as whole numbers of 64 bits, or as text."),
        # Of a row.
        "ragged_row": Why("the row has more or fewer cells than the header"),
        "not_json": Why("the line is not a JSON object, or names a key twice"),
        "nested_value": Why("the row holds a list or an object where a value belongs"),
        **of_cells,
        **contract.reasons,
        "conflicting_rows": Why(f"rows of the same {words.row} and day contradict each other; none is taken in",
                                "Ask the source which is right, and have only that one delivered."),
    }  # fmt: skip


def line_types(contract: RowContract) -> dict[str, Any]:
    """Return the columns of the quarantine with their types."""
    return {
        contract.day: object, "file_digest": object, "file": object, "row": "int64", "column": object, "code": object,
        "reason": object,
    }  # fmt: skip


def releasable(contract: RowContract, column: str, code: str) -> bool:
    """Tell whether a person may have the row taken in with this cell taken for missing.

    Only for a fault of the cell itself. All others are about the row, the file or who is scored.
    """
    of_texts = {"unknown_code", "not_utf8", *(pattern.code for pattern in contract.patterns.values())}
    numeric = column in contract.whole_numbers or column in contract.numbers
    return contract.may_miss(column) and code in (_OF_NUMBERS if numeric else of_texts)


def action_for(contract: RowContract, column: str, code: str) -> str:
    """Return what to do about a line of the quarantine; empty for a code that is not known."""
    if releasable(contract, column, code):
        return f"{DELIVER} Or release the row: the cell then counts as missing."
    known = codes(contract)
    return known[code].action if code in known else ""


def quarantine_lines(lines: pd.DataFrame, contract: RowContract) -> pd.DataFrame:
    """Complete lines with the reason of their code, in the columns and types of the quarantine.

    The contract's day, ``file_digest``, ``file``, ``row`` (1 is the first after the header; 0 the whole file),
    ``column``, ``code``, ``reason``.
    """
    reasons, types = {code: why.reason for code, why in codes(contract).items()}, line_types(contract)
    complete = lines.assign(reason=lines["code"].map(reasons))
    return complete.reindex(columns=list(types)).astype(types).reset_index(drop=True)
