"""Taking in the outcomes of delivered rows, by day: which are accepted, repeated, or set aside with a reason.

What belongs here: what a file of outcomes has to look like and when outcomes can be known, as pure decisions about
rows. What does not: reading files (``storage.landed_file``), the tables that outcomes go into, and what is made of them
(``evaluation.operation.live``).

A file has two columns, the contract's row and its outcome (0 or 1), and one line for each delivered row of the day.
Failures are reported by column and code, never with the offending value.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import pandas as pd

from readmission_platform.intake.contract import RowContract
from readmission_platform.intake.files import LandedFile, unusable
from readmission_platform.intake.quarantine import codes, line_types
from readmission_platform.intake.spellings import is_missing

COUNTS = ["received", "accepted", "quarantined", "duplicate"]
# As text, and as a spreadsheet or a data frame with gaps would write it.
_WRITTEN = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}
# The two columns of a file under names that no contract changes.
_CELLS = ["identifier", "outcome"]


@dataclass(frozen=True)
class OutcomeIntake:
    """What became of every row of every file: received = accepted + quarantined + duplicate, of each day.

    Attributes
    ----------
    accepted
        The contract's day, row (int64, each once a day) and outcome (int8).
    quarantined
        One line per broken rule, in the columns of ``quarantine.line_types``. A file that cannot be read has a line for
        row 0, and no rows that count.
    accounts
        The contract's day and the counts of each day.
    """

    accepted: pd.DataFrame
    quarantined: pd.DataFrame
    accounts: pd.DataFrame


def has_matured(day: str, today: date, maturity_days: int) -> bool:
    """Tell whether the outcome of a row of ``day`` (YYYY-MM-DD) can be known by ``today``."""
    return (today - date.fromisoformat(day)).days >= maturity_days


def outcome_reasons(contract: RowContract, *, maturity_days: int) -> dict[str, str]:
    """Return what can be wrong with a delivery of outcomes, by code, and what each code means."""
    words = contract.words
    return {
        **{code: why.reason for code, why in codes(contract).items()},
        "not_matured": f"the day is younger than {maturity_days} days, so later {words.events} would be missing; "
        "take it in again then",
        "not_0_or_1": "neither 0 nor 1",
        _unknown(contract): f"not among the accepted {words.rows} of the day",
        "conflicting_outcomes": f"the {words.row} has both outcomes; neither is used: deliver the right one alone",
    }


def take_in_outcomes(
    landed: Mapping[str, Sequence[LandedFile]],
    contract: RowContract,
    *,
    maturity_days: int,
    known_rows: pd.DataFrame,
    matured: Collection[str],
) -> OutcomeIntake:
    """Judge every row of the outcome files of some days; those of a day together, since they may contradict each other.

    Parameters
    ----------
    landed
        The files of each day, by the day of the rows that they are about.
    maturity_days
        Days from a row's day until its outcome is known, for the words of a reason.
    known_rows
        The contract's day and row of what was accepted on these days.
    matured
        The days that are old enough for their outcomes to be known; the rows of others are all set aside.
    """
    day, one = contract.day, [contract.day, "identifier"]
    rows, lines = _rows_of(landed, contract, matured)
    broken = _broken(rows, contract)
    usable = rows.drop(index=broken.index)
    usable = usable.assign(
        identifier=pd.to_numeric(usable["identifier"]).astype("int64"),
        outcome=usable["outcome"].map(_WRITTEN).astype("int8"),
    )
    known = pd.MultiIndex.from_frame(usable[one]).isin(pd.MultiIndex.from_frame(known_rows[[day, contract.row]]))
    of_row = usable.groupby(one)["outcome"]
    both = (of_row.transform("min") != of_row.transform("max")).to_numpy(dtype=bool)
    faults = [
        _lines(usable[~known], contract, contract.row, _unknown(contract)),
        _lines(usable[known & both], contract, contract.outcome, "conflicting_outcomes"),
    ]
    usable = usable[known & ~both]
    repeated = usable.duplicated(one)
    reasons = outcome_reasons(contract, maturity_days=maturity_days)
    quarantined = pd.concat([lines, broken, *faults], ignore_index=True)
    types = line_types(contract)
    quarantined = quarantined.assign(reason=quarantined["code"].map(reasons))[list(types)].astype(types)
    accepted = usable.loc[~repeated, [*one, "outcome"]].reset_index(drop=True)
    aside = quarantined.loc[quarantined["row"] > 0, _place(contract)].drop_duplicates()
    counted = {"accepted": accepted[day], "quarantined": aside[day], "duplicate": usable.loc[repeated, day]}
    days = pd.DataFrame({day: list(landed), "received": [sum(map(_size, files)) for files in landed.values()]})
    sizes = {name: days[day].map(found.value_counts()).fillna(0).astype("int64") for name, found in counted.items()}
    named = accepted.rename(columns={"identifier": contract.row, "outcome": contract.outcome})
    return OutcomeIntake(named, quarantined, days.assign(**sizes))


def _rows_of(
    landed: Mapping[str, Sequence[LandedFile]], contract: RowContract, matured: Collection[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows that are looked at, and the quarantine lines of files that are not."""
    place, wanted = _place(contract), [contract.row, contract.outcome]
    lines = [pd.DataFrame(columns=[*place, "column", "code"])]
    rows = [pd.DataFrame(columns=[*place, *_CELLS, "fault"])]
    for day, landed_file in _files(landed):
        file = landed_file.under_names(wanted).with_columns(wanted)
        fault = unusable(file, wanted, exact=[contract.row]) or (None if day in matured else ("", "not_matured"))
        count = _size(file)
        numbers = file.row_numbers if fault is None or count else [0]
        numbered = pd.DataFrame({contract.day: day, "file_digest": file.digest, "file": file.name, "row": numbers})
        if fault is not None or file.cells is None:
            lines.append(_lines(numbered, contract, *(fault or ("", "file_unreadable"))))
            continue
        if file.cut_off:
            lines.append(_lines(numbered.head(1).assign(row=0), contract, "", "file_truncated"))
        if count:
            cells = {ours: file.cells[name].to_numpy(dtype=object) for ours, name in zip(_CELLS, wanted, strict=True)}
            faults = numbered["row"].map({row: code for row, (_, code) in file.faults.items()})
            rows.append(numbered.assign(**cells, fault=faults.astype(object)))
    return pd.concat(rows, ignore_index=True).astype({"row": "int64"}), pd.concat(lines)


def _files(landed: Mapping[str, Sequence[LandedFile]]) -> Iterator[tuple[str, LandedFile]]:
    for day, files in landed.items():
        yield from ((day, file) for file in files)


def _size(file: LandedFile) -> int:
    return 0 if file.cells is None else len(file.cells)


def _broken(rows: pd.DataFrame, contract: RowContract) -> pd.DataFrame:
    """Return the lines of rows that are no row, lack a value, or hold one that the contract does not know."""
    whole = rows[rows["fault"].isna()]
    faults = contract.broken_rules(contract.parse_text(whole[["identifier"]].set_axis([contract.row], axis=1)))
    at = whole.index[faults["row"].to_numpy(dtype="int64")]
    outcome = whole["outcome"]
    empty = outcome.map(is_missing).astype(bool)
    other = ~empty & ~outcome.isin(list(_WRITTEN))
    return pd.concat([
        *(_lines(rows[rows["fault"] == code], contract, "", code) for code in rows["fault"].dropna().unique()),
        *(_lines(rows.loc[at[(faults["code"] == code).to_numpy()]], contract, contract.row, code)
          for code in faults["code"].unique()),
        _lines(whole[empty], contract, contract.outcome, "missing_value"),
        _lines(whole[other], contract, contract.outcome, "not_0_or_1"),
    ])  # fmt: skip


def _unknown(contract: RowContract) -> str:
    return f"unknown_{contract.words.row}"


def _place(contract: RowContract) -> list[str]:
    return [contract.day, "file_digest", "file", "row"]


def _lines(rows: pd.DataFrame, contract: RowContract, column: str, code: str) -> pd.DataFrame:
    """Return one quarantine line for each row, still without the reason, with the rows' index."""
    return rows[_place(contract)].assign(column=column, code=code)
