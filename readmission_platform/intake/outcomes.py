"""Taking in the outcomes of days of discharges: which rows are accepted, repeated, or set aside with a reason.

What belongs here: the contract of outcome files, as pure decisions about rows. What does not: reading files
(``storage.landed_file``), tables (``assets.encounters.outcomes``), and what is made of outcomes
(``evaluation.operation.live``).

A file has the columns ``encounter_id`` and ``readmitted_30d`` (0 or 1), one row per discharge of the day. Failures are
reported by column and code, never with the offending value.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from readmission_platform.encounters.contract import MISSING_MARK, broken_rules, parse_text
from readmission_platform.intake.files import LandedFile
from readmission_platform.intake.quarantine import CODES, DAY, LINE_TYPES

ENCOUNTER, OUTCOME = "encounter_id", "readmitted_30d"
OUTCOME_COLUMNS = [ENCOUNTER, OUTCOME]
COUNTS = ["received", "accepted", "quarantined", "duplicate"]
# As text, and as a spreadsheet or a data frame with gaps would write it.
_WRITTEN = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}
_PLACE = [DAY, "file_digest", "file", "row"]

# Codes that only outcomes have; the others are those of ``quarantine.CODES``.
OUTCOME_REASONS = {
    "not_matured": "the day is younger than 30 days, so later readmissions would be missing; take it in again then",
    "not_0_or_1": "neither 0 nor 1",
    "unknown_encounter": "not among the accepted discharges of the day",
    "conflicting_outcomes": "the encounter has both outcomes; neither is used: deliver the right one alone",
}


@dataclass(frozen=True)
class OutcomeIntake:
    """What became of every row of every file: received = accepted + quarantined + duplicate, of each day.

    Attributes
    ----------
    accepted
        ``discharge_date``, ``encounter_id`` (int64, each once a day) and ``readmitted_30d`` (int8).
    quarantined
        One line per broken rule, in the columns of ``quarantine.LINE_TYPES``. A file that cannot be read has a line for
        row 0, and no rows that count.
    accounts
        ``discharge_date`` and the counts of each day.
    """

    accepted: pd.DataFrame
    quarantined: pd.DataFrame
    accounts: pd.DataFrame


def take_in_outcomes(
    landed: Mapping[str, Sequence[LandedFile]], *, discharged: pd.DataFrame, matured: Collection[str]
) -> OutcomeIntake:
    """Judge every row of the outcome files of some days; those of a day together, since they may contradict each other.

    Parameters
    ----------
    landed
        The files of each day of discharge.
    discharged
        ``discharge_date`` and ``encounter_id`` of the accepted discharges.
    matured
        The days that are old enough for their outcomes to be known; the rows of others are all set aside.
    """
    rows, lines = _rows_of(landed, matured)
    broken = _broken(rows)
    usable = rows.drop(index=broken.index)
    usable = usable.assign(readmitted_30d=usable[OUTCOME].map(_WRITTEN).astype("int8"))
    usable = usable.assign(encounter_id=pd.to_numeric(usable[ENCOUNTER]).astype("int64"))
    one = [DAY, ENCOUNTER]
    known = pd.MultiIndex.from_frame(usable[one]).isin(pd.MultiIndex.from_frame(discharged[one]))
    of_encounter = usable.groupby(one)[OUTCOME]
    both = (of_encounter.transform("min") != of_encounter.transform("max")).to_numpy(dtype=bool)
    faults = [
        _lines(usable[~known], ENCOUNTER, "unknown_encounter"),
        _lines(usable[known & both], OUTCOME, "conflicting_outcomes"),
    ]
    usable = usable[known & ~both]
    repeated = usable.duplicated(one)
    quarantined = pd.concat([lines, broken, *faults], ignore_index=True).astype({"row": "int64"})
    accepted = usable.loc[~repeated, [*one, OUTCOME]].reset_index(drop=True)
    aside = quarantined.loc[quarantined["row"] > 0, _PLACE].drop_duplicates()
    counted = {"accepted": accepted[DAY], "quarantined": aside[DAY], "duplicate": usable.loc[repeated, DAY]}
    days = pd.DataFrame({DAY: list(landed), "received": [sum(map(_size, files)) for files in landed.values()]})
    sizes = {name: days[DAY].map(found.value_counts()).fillna(0).astype("int64") for name, found in counted.items()}
    return OutcomeIntake(accepted, quarantined, days.assign(**sizes))


def _rows_of(landed: Mapping[str, Sequence[LandedFile]], matured: Collection[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows that are looked at, and the quarantine lines of files that are not."""
    lines = [pd.DataFrame(columns=list(LINE_TYPES))]
    rows = [pd.DataFrame(columns=[*_PLACE, *OUTCOME_COLUMNS, "ragged"])]
    for day, file in _files(landed):
        fault = _unusable(file) or (None if day in matured else ("", "not_matured"))
        count = _size(file)
        numbers = range(1, count + 1) if fault is None or count else [0]
        numbered = pd.DataFrame({DAY: day, "file_digest": file.digest, "file": file.name, "row": numbers})
        if fault is not None or file.cells is None:
            lines.append(_lines(numbered, *(fault or ("", "file_unreadable"))))
        elif count:
            cells = {name: file.cells[name].to_numpy(dtype=object) for name in OUTCOME_COLUMNS}
            rows.append(numbered.assign(**cells, ragged=numbered["row"].isin(list(file.ragged))))
    return pd.concat(rows, ignore_index=True).astype({"row": "int64", "ragged": bool}), pd.concat(lines)


def _files(landed: Mapping[str, Sequence[LandedFile]]) -> Iterator[tuple[str, LandedFile]]:
    for day, files in landed.items():
        yield from ((day, file) for file in files)


def _size(file: LandedFile) -> int:
    return 0 if file.cells is None else len(file.cells)


def _unusable(file: LandedFile) -> tuple[str, str] | None:
    if file.cells is None:
        return "", file.problem or "file_unreadable"
    columns = file.cells.columns
    missing = [name for name in OUTCOME_COLUMNS if name not in columns]
    if missing:
        return ", ".join(missing), "column_missing"
    unknown = ~columns.isin(OUTCOME_COLUMNS)
    if unknown.any():
        # Not named: a file without a header would have a patient's values for names.
        return f"{unknown.sum()} column(s)", "column_unknown"
    return (", ".join(columns[columns.duplicated()].unique()), "column_repeated") if columns.has_duplicates else None


def _broken(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the lines of rows that are uneven, lack a value, or hold one that the contract does not know."""
    whole = rows[~rows["ragged"]]
    faults = broken_rules(parse_text(whole[[ENCOUNTER]]))
    at = whole.index[faults["row"].to_numpy(dtype="int64")]
    empty = whole[OUTCOME].isna() | whole[OUTCOME].isin([MISSING_MARK, ""])
    other = ~empty & ~whole[OUTCOME].isin(list(_WRITTEN))
    return pd.concat([
        _lines(rows[rows["ragged"]], "", "ragged_row"),
        *(_lines(rows.loc[at[(faults["code"] == code).to_numpy()]], ENCOUNTER, code)
          for code in faults["code"].unique()),
        _lines(whole[empty], OUTCOME, "missing_value"),
        _lines(whole[other], OUTCOME, "not_0_or_1"),
    ])  # fmt: skip


def _lines(rows: pd.DataFrame, column: str, code: str) -> pd.DataFrame:
    """Return one quarantine line for each row, with the rows' index."""
    reason = OUTCOME_REASONS[code] if code in OUTCOME_REASONS else CODES[code].reason
    return rows[_PLACE].assign(column=column, code=code, reason=reason)
