"""Taking in a day of discharges: which rows are accepted, repeated, or set aside with a reason.

What belongs here: pure decisions about rows. What does not: files and tables.
"""

from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd

from readmission_platform.science.cohort import CANNOT_BE_READMITTED, DISCHARGE_COLUMNS, INTEGER_COLUMNS
from readmission_platform.science.encounter_contract import broken_rules, missing_columns, parse_text


@dataclass(frozen=True)
class Intake:
    """What became of a file's rows; received = accepted + quarantined + duplicate.

    ``quarantined`` holds ``row`` (1 is the first after the header), ``column`` and ``reason``, one line per
    rule.
    """

    received: int
    accepted: pd.DataFrame
    duplicate: int
    quarantined: pd.DataFrame

    @property
    def quarantined_rows(self) -> int:
        """How many rows were set aside."""
        return int(self.quarantined["row"].nunique())


def take_in(cells: pd.DataFrame, *, already: Collection[int]) -> Intake:
    """Judge every row of a file of discharges.

    Parameters
    ----------
    cells
        Text cells in the columns of a discharge.
    already
        Encounters accepted before, on this day or an earlier one.
    """
    problem = _unusable(cells)
    if problem:
        whole = pd.DataFrame({"row": range(1, len(cells) + 1), "column": problem[0], "reason": problem[1]})
        return Intake(len(cells), no_discharges(), 0, whole)
    frame = parse_text(cells[DISCHARGE_COLUMNS].reset_index(drop=True))
    broken = broken_rules(frame)
    disposition = pd.to_numeric(frame["discharge_disposition_id"], errors="coerce")
    ineligible = disposition.index[disposition.isin(CANNOT_BE_READMITTED)]
    broken = pd.concat([
        broken,
        pd.DataFrame(
            {"row": ineligible, "column": "discharge_disposition_id", "reason": "cannot be readmitted"}
        ),
    ])  # fmt: skip
    good = frame[~frame.index.isin(broken["row"])]
    # Beside a broken cell a column is still text, and text such as "5.0" is a whole number to the contract.
    good = good.assign(**{name: pd.to_numeric(good[name]).astype("int64") for name in INTEGER_COLUMNS})
    repeated = good["encounter_id"].duplicated() | good["encounter_id"].isin(list(already))
    lines = broken.assign(row=broken["row"].astype("int64") + 1).reset_index(drop=True)
    return Intake(len(frame), good[~repeated].reset_index(drop=True), int(repeated.sum()), lines)


def no_discharges() -> pd.DataFrame:
    """Return a frame without rows in the columns and types of accepted discharges."""
    return pd.DataFrame(columns=DISCHARGE_COLUMNS).astype(dict.fromkeys(INTEGER_COLUMNS, "int64"))


def _unusable(cells: pd.DataFrame) -> tuple[str, str] | None:
    missing = missing_columns(cells, outcome=False)
    if missing:
        return ", ".join(missing), "column missing from the file"
    unknown = [name for name in cells.columns if name not in DISCHARGE_COLUMNS]
    if unknown:
        # Not named: a file without a header would have a patient's values for names.
        return f"{len(unknown)} column(s)", "column unknown to the contract"
    return None
