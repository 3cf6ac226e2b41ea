"""Taking in the outcomes of delivered rows, by day: which are accepted, repeated, or set aside with a reason.

What belongs here: what a file of outcomes has to look like and when outcomes can be known, as pure decisions about
rows. What does not: reading a cell (``told``), reading files (``storage.landed_file``), the tables that outcomes go
into, and what is made of them (``evaluation.operation.live``).

A file has the contract's row and its outcome, or the day of the event, and one line for each delivered row of the day;
it may give the reason of a correction. Where files contradict each other the newest delivery counts; where one delivery
contradicts itself nothing is used. Failures are reported by column and code, never with the offending value.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import pandas as pd

from readmission_platform.intake.contract import RowContract, Why
from readmission_platform.intake.files import Delivered, LandedFile, ages, delivered_at, unusable
from readmission_platform.intake.quarantine import codes, line_types
from readmission_platform.intake.told import FAULTS, outcome_told

COUNTS = ["received", "accepted", "quarantined", "duplicate"]
# A column of files that are corrections, for a text of whoever corrects.
REASON = "reason"
# The columns of a file under names that no contract changes.
_CELLS = ["identifier", "outcome", "event", "why"]
_CONFLICT = "conflicting_outcomes"


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
        The contract's day, the counts of each day, ``contradicted``: of how many rows one delivery tells both
        outcomes, the number of ``files``, and ``files_quarantined``: of those that something is wrong with as a whole.
    files
        One row per file: the contract's day, ``file``, ``file_digest``, ``first_taken_in`` and ``modified_at``.
    corrections
        One row per outcome that a newer delivery corrected: the contract's day and row, ``older_file_digest``,
        ``newer_file_digest``, and the ``correction_reason`` that it gives (None: none).
    """

    accepted: pd.DataFrame
    quarantined: pd.DataFrame
    accounts: pd.DataFrame
    files: pd.DataFrame
    corrections: pd.DataFrame


def has_matured(day: str, today: date, maturity_days: int) -> bool:
    """Tell whether the outcome of a row of ``day`` (YYYY-MM-DD) can be known by ``today``."""
    return (today - date.fromisoformat(day)).days >= maturity_days


def outcome_codes(contract: RowContract, *, maturity_days: int) -> dict[str, Why]:
    """Return what can be wrong with a delivery of outcomes, by code, what each means, and what to do about it."""
    words = contract.words
    faults = FAULTS if contract.event else {"not_0_or_1": FAULTS["not_0_or_1"]}
    return {
        **codes(contract),
        "file_empty": Why("the file is empty", "Ask the source for the file."),
        "not_matured": Why(f"the day is less than {maturity_days} days old, so later {words.events} would be missing",
                           "Nothing: it is taken in again when the day is old enough."),
        **{code: Why(reason) for code, reason in faults.items()},
        _unknown(contract): Why(f"not among the accepted {words.rows} of the day",
                                f"Check whether the {words.row} is in quarantine or on another day; the folder is "
                                f"named after the day of the {words.row}, not of the outcome."),
        _CONFLICT: Why(f"the {words.row} has both outcomes in one delivery; neither is used",
                       "Ask the source which is right, and have only that one delivered."),
    }  # fmt: skip


def take_in_outcomes(
    landed: Mapping[str, Sequence[LandedFile]],
    contract: RowContract,
    *,
    maturity_days: int,
    known_rows: pd.DataFrame,
    matured: Collection[str],
    delivered_before: Mapping[tuple[str, str], Delivered] | None = None,
    now: str = "",
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
    delivered_before, now
        When the files were taken in first; see ``files.delivered_at``.
    """
    day, one = contract.day, [contract.day, "identifier"]
    arrived = list(_files(landed))
    moments = delivered_at(arrived, delivered_before or {}, now)
    rows, lines = _rows_of(arrived, contract, matured)
    told, broken = _told(rows, contract)
    usable = rows.drop(index=broken.index)
    usable = usable.assign(
        identifier=pd.to_numeric(usable["identifier"]).astype("int64"),
        outcome=told[usable.index].astype("int8"),
        newer=usable["number"].map(ages(moments)).astype("int64"),
    )
    known = pd.MultiIndex.from_frame(usable[one]).isin(pd.MultiIndex.from_frame(known_rows[[day, contract.row]]))
    unknown, usable = usable[~known], usable[known]
    torn = _torn(usable, one)
    conflicts, usable = usable[torn], usable[~torn].sort_values("newer", kind="stable")
    repeated = usable.duplicated(one)
    newest = usable[~repeated].sort_index()
    faults = [
        lines,
        broken,
        _lines(unknown, contract, contract.row, _unknown(contract)),
        _lines(conflicts, contract, contract.outcome, _CONFLICT).assign(files=_digests(conflicts, one)),
    ]
    quarantined = _with_reasons(pd.concat(faults, ignore_index=True), contract, maturity_days)
    names = {"identifier": contract.row, "outcome": contract.outcome}
    aside = quarantined.loc[quarantined["row"] > 0, _place(contract)].drop_duplicates()
    counted = {"accepted": newest[day], "quarantined": aside[day], "duplicate": usable.loc[repeated, day],
               "contradicted": conflicts.drop_duplicates(one)[day],
               "files_quarantined": quarantined.loc[quarantined["row"] == 0, day]}  # fmt: skip
    days = pd.DataFrame({day: list(landed), "received": [sum(map(_size, files)) for files in landed.values()],
                         "files": [len(files) for files in landed.values()]})  # fmt: skip
    sizes = {name: days[day].map(found.value_counts()).fillna(0).astype("int64") for name, found in counted.items()}
    files = pd.DataFrame(
        [[each, file.name, file.digest, *moment] for (each, file), moment in zip(arrived, moments, strict=True)],
        columns=[day, "file", "file_digest", *Delivered._fields], dtype=object,
    )  # fmt: skip
    return OutcomeIntake(
        newest[[*one, "outcome"]].rename(columns=names).reset_index(drop=True),
        quarantined,
        days.assign(**sizes),
        files,
        _corrections(usable[repeated], newest, one).rename(columns=names),
    )


def _torn(usable: pd.DataFrame, one: list[str]) -> pd.Series:
    """Tell of each row whether the newest delivery tells both outcomes of the same one."""
    newest = usable["outcome"].where(usable["newer"] == usable.groupby(one)["newer"].transform("min"))
    of_row = newest.groupby([usable[name] for name in one])
    return of_row.transform("min") != of_row.transform("max")


def _digests(conflicts: pd.DataFrame, one: list[str]) -> pd.Series:
    """Return for each row the digests of the files that contradict each other; None where one file does itself."""
    of_row = conflicts.groupby(one)["file_digest"].unique()
    told = {key: " and ".join(sorted(found)) if len(found) > 1 else None for key, found in of_row.items()}
    keys = conflicts[one].itertuples(index=False, name=None)
    return pd.Series([told[key] for key in keys], index=conflicts.index, dtype=object)


def _corrections(older: pd.DataFrame, newest: pd.DataFrame, one: list[str]) -> pd.DataFrame:
    """Return the outcomes that an older delivery told otherwise, and why they were corrected."""
    columns = [*one, "outcome", "file_digest", "why"]
    pairs = older[columns].merge(newest[columns], on=one, suffixes=("", "_newer"))
    found = pairs.loc[
        pairs["outcome"] != pairs["outcome_newer"], [*one, "file_digest", "file_digest_newer", "why_newer"]
    ]
    named = [*one, "older_file_digest", "newer_file_digest", "correction_reason"]
    return found.set_axis(named, axis=1).astype({"correction_reason": object}).reset_index(drop=True)


def _with_reasons(lines: pd.DataFrame, contract: RowContract, maturity_days: int) -> pd.DataFrame:
    """Complete quarantine lines with their reasons; those of contradictions name the ``files`` that tell both."""
    known, types = outcome_codes(contract, maturity_days=maturity_days), line_types(contract)
    reasons = {code: why.reason for code, why in known.items()}
    where = lines["files"].map(lambda files: f" ({files})" if isinstance(files, str) else "").astype("str")
    complete = lines.assign(reason=lines["code"].map(reasons).astype("str") + where)
    return complete[list(types)].astype(types)


def _rows_of(
    arrived: Sequence[tuple[str, LandedFile]], contract: RowContract, matured: Collection[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows that are looked at, and the quarantine lines of files that are not."""
    place = _place(contract)
    lines = [pd.DataFrame(columns=[*place, "column", "code"])]
    rows = [pd.DataFrame(columns=[*place, "number", *_CELLS, "dated", "fault"])]
    for number, (day, landed_file) in enumerate(arrived):
        file, fault = _looked_at(landed_file, contract)
        fault = fault or (None if day in matured else ("", "not_matured"))
        count = _size(file)
        numbers = file.row_numbers if fault is None or count else [0]
        numbered = pd.DataFrame({contract.day: day, "file_digest": file.digest, "file": file.name, "row": numbers})
        if fault is not None or file.cells is None:
            lines.append(_lines(numbered, contract, *(fault or ("", "file_unreadable"))))
            continue
        if file.cut_off:
            lines.append(_lines(numbered.head(1).assign(row=0), contract, "", "file_truncated"))
        if count:
            faults = {row: code for row, (_, code) in file.faults.items()}
            cells = file.cells.reindex(columns=_names(contract)).to_numpy(dtype=object)
            rows.append(
                pd.concat([numbered, pd.DataFrame(cells, columns=_CELLS)], axis=1).assign(
                    number=number, dated=bool(contract.event and contract.event.column in file.cells),
                    fault=numbered["row"].map(faults).astype(object),
                )
            )  # fmt: skip
    typed = pd.concat(rows, ignore_index=True).astype({"row": "int64", "dated": bool})
    return typed, pd.concat(lines)


def _looked_at(file: LandedFile, contract: RowContract) -> tuple[LandedFile, tuple[str, str] | None]:
    """Return a file under the contract's names, and why none of its rows is looked at, if so: column(s) and code."""
    named = file.under_names([name for name in _names(contract) if name])
    event = contract.event.column if contract.event else None
    there = () if named.cells is None else named.cells.columns
    says = event if event in there and contract.outcome not in there else contract.outcome
    optional = [name for name in (contract.outcome, event, REASON) if name]
    wanted = [contract.row, says or contract.outcome]
    named = named.with_columns(wanted)
    return named, unusable(named, wanted, optional, exact=[contract.row])


def _names(contract: RowContract) -> list[str]:
    """Return what a file calls its columns, in the order of ``_CELLS``; empty for one that it cannot have."""
    return [contract.row, contract.outcome, contract.event.column if contract.event else "", REASON]


def _files(landed: Mapping[str, Sequence[LandedFile]]) -> Iterator[tuple[str, LandedFile]]:
    for day, files in landed.items():
        yield from ((day, file) for file in files)


def _size(file: LandedFile) -> int:
    return 0 if file.cells is None else len(file.cells)


def _told(rows: pd.DataFrame, contract: RowContract) -> tuple[pd.Series, pd.DataFrame]:
    """Return the outcome of each row, and the lines of rows that are none or tell none that the contract knows."""
    whole = rows[rows["fault"].isna()]
    faults = contract.broken_rules(contract.parse_text(whole[["identifier"]].set_axis([contract.row], axis=1)))
    at = whole.index[faults["row"].to_numpy(dtype="int64")]
    read = pd.Series(
        [outcome_told(outcome, happened, day=day, event=contract.event if dated else None)
         for outcome, happened, dated, day in
         zip(whole["outcome"], whole["event"], whole["dated"], whole[contract.day], strict=True)],
        index=whole.index, dtype=object,
    )  # fmt: skip
    wrong = read[[isinstance(each, str) for each in read]]
    lines = [
        _lines(rows.head(0), contract, "", ""),
        *(_lines(rows[rows["fault"] == code], contract, "", code) for code in rows["fault"].dropna().unique()),
        *(_lines(rows.loc[at[(faults["code"] == code).to_numpy()]], contract, contract.row, code)
          for code in faults["code"].unique()),
        *(_lines(whole.loc[wrong.index[wrong == code]], contract, contract.outcome, code) for code in wrong.unique()),
    ]  # fmt: skip
    return read.drop(index=wrong.index), pd.concat(lines)


def _unknown(contract: RowContract) -> str:
    return f"unknown_{contract.words.row}"


def _place(contract: RowContract) -> list[str]:
    return [contract.day, "file_digest", "file", "row"]


def _lines(rows: pd.DataFrame, contract: RowContract, column: str, code: str) -> pd.DataFrame:
    """Return one quarantine line for each row, still without the reason, with the rows' index."""
    return rows[_place(contract)].assign(column=column, code=code, files=None)
