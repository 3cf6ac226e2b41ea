"""Taking in days of discharges: which rows are accepted, repeated, or set aside with a reason.

What belongs here: pure decisions about rows, of all files of some days in one pass. What does not: which files count
(``landed``), tables (``assets.encounters.discharges``), and what the codes mean (``quarantine``).

Several rows may be about one encounter:

- rows of one day that contradict each other are all set aside (``conflicting_rows``): whichever were taken, it would be
  a guess. A row that a person had released gives way to one that needs no release;
- else one row is accepted and the others are duplicates. An encounter stays on the day that it was accepted on first,
  so that taking days in again, in whatever order, changes nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from readmission_platform.encounters.cohort import CANNOT_BE_READMITTED, DISCHARGE_COLUMNS, INTEGER_COLUMNS
from readmission_platform.encounters.contract import MISSING_MARK, broken_rules, parse_text
from readmission_platform.intake.files import Arrived, LandedFile, Place, numbered_rows, sort_out, whole_file_lines
from readmission_platform.intake.quarantine import DAY, quarantine_lines, releasable

COUNTS = ["received", "accepted", "quarantined", "duplicate"]


class ReleasedCell(NamedTuple):
    """A cell that a person had taken for a missing value although it broke a rule."""

    file_digest: str
    row: int
    column: str
    code: str


@dataclass(frozen=True)
class Intake:
    """What became of every row of every file: received = accepted + quarantined + duplicate, of each file.

    Attributes
    ----------
    accepted
        The accepted rows in the order of their days, files and rows, with ``discharge_date``.
    quarantined
        Lines of the quarantine, one per broken rule (see ``quarantine.quarantine_lines``).
    files
        One row per file: ``discharge_date``, ``file``, ``file_digest``, ``problem`` (code or None) and the counts.
    """

    accepted: pd.DataFrame
    quarantined: pd.DataFrame
    files: pd.DataFrame

    @property
    def accounts(self) -> pd.DataFrame:
        """The counts of each day, with the number of ``files`` and of those among them that gave no rows at all."""
        whole = self.quarantined[(self.quarantined["row"] == 0) & (self.quarantined["code"] != "file_repeated")]
        files = self.files.groupby(DAY)
        accounts = files[COUNTS].sum().assign(files=files.size())
        accounts["files_quarantined"] = whole.groupby(DAY).size().reindex(accounts.index, fill_value=0)
        return accounts.astype("int64").reset_index()


def take_in(
    landed: Mapping[str, Sequence[LandedFile]],
    *,
    accepted_before: Mapping[int, str] | None = None,
    taken_before: Mapping[str, Place] | None = None,
    released: Collection[ReleasedCell] = (),
) -> Intake:
    """Judge every row of the files of some days.

    Parameters
    ----------
    landed
        The files of each day, all that there are.
    accepted_before
        The day on which each encounter was accepted before, on whatever day.
    taken_before
        The place from which the bytes with a digest were taken in before.
    released
        What people had taken in nevertheless; obeyed as far as the contract allows the column to miss a value.
    """
    arrived = list(sort_out(landed, taken_before or {}))
    rows = numbered_rows(arrived)
    frame, faults = _judged(arrived, rows)
    frame, faults, mended = _released(frame, faults, rows, released)
    good = frame[~frame.index.isin(faults["at"])]
    # Beside a broken cell a column is still text, and text such as "5.0" is a whole number to the contract.
    good = good.assign(**{name: pd.to_numeric(good[name]).astype("int64") for name in INTEGER_COLUMNS})
    good = good.assign(**{DAY: rows.loc[good.index, DAY], "mended": good.index.isin(mended)})
    conflicts = _conflicts(good)
    good = good.drop(index=conflicts)
    accepted = _chosen(good, accepted_before or {}, landed)
    faults = pd.concat([faults, _faults(conflicts, "encounter_id", "conflicting_rows")], ignore_index=True)
    fate = pd.Series(np.where(rows["repeated"], "duplicate", "quarantined"), index=rows.index, dtype=object)
    fate[good.index] = "duplicate"
    fate[accepted] = "accepted"
    lines = rows.loc[faults["at"], [DAY, "file_digest", "file", "row", "number"]].reset_index(drop=True)
    lines = lines.assign(column=faults["column"], code=faults["code"]).sort_values(["number", "row"], kind="stable")
    return Intake(
        good.loc[accepted, [*DISCHARGE_COLUMNS, DAY]].reset_index(drop=True),
        quarantine_lines(pd.concat([whole_file_lines(arrived), lines], ignore_index=True)),
        _counted(arrived, rows["number"], fate),
    )


def _judged(arrived: Sequence[Arrived], rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of the files without a fault in the contract's types, and the faults of these rows."""
    wanted = [*DISCHARGE_COLUMNS, DAY]
    found = [each.file.cells for each in arrived if each.fault is None and each.file.cells is not None]
    empty = pd.DataFrame(columns=wanted, dtype=object)
    cells = pd.concat([empty, *(each.reindex(columns=wanted).astype(object) for each in found)], ignore_index=True)
    cells.index = rows.index[rows["looked_at"]]
    uneven = {(each.number, row) for each in arrived for row in each.file.ragged}
    place = rows.loc[cells.index]
    ragged = cells.index[[at in uneven for at in zip(place["number"], place["row"], strict=True)]]
    cells = cells.drop(index=ragged)
    frame = parse_text(cells[DISCHARGE_COLUMNS])
    broken = broken_rules(frame)
    disposition = pd.to_numeric(frame["discharge_disposition_id"], errors="coerce")
    ineligible = frame.index[disposition.isin(CANNOT_BE_READMITTED)]
    faults = [
        _faults(ragged, "", "ragged_row"),
        _faults(frame.index.take(broken["row"].astype("int64").to_numpy()), broken["column"], broken["code"]),
        _faults(ineligible, "discharge_disposition_id", "cannot_be_readmitted"),
        _faults(_of_another_day(cells[DAY], rows.loc[cells.index, DAY]), DAY, "day_mismatch"),
    ]
    return frame, pd.concat(faults, ignore_index=True)


def _faults(at: pd.Index, column: "str | pd.Series", code: "str | pd.Series") -> pd.DataFrame:
    """Return faults: ``at`` (which of the numbered rows), ``column`` and ``code``."""
    named = {name: part if isinstance(part, str) else part.to_numpy() for name, part in
             (("column", column), ("code", code))}  # fmt: skip
    return pd.DataFrame({"at": at.astype("int64")}).assign(**named)


def _of_another_day(said: pd.Series, folder: pd.Series) -> pd.Index:
    """Return which rows say that their day is not the folder's; a Parquet file may add a time of day."""
    told = said.notna() & ~said.isin([MISSING_MARK, ""])
    day = said[told].astype("str").str.strip().str.replace(r"[T ].*", "", regex=True)
    return said.index[told][(day != folder[told]).to_numpy()]


def _released(
    frame: pd.DataFrame, faults: pd.DataFrame, rows: pd.DataFrame, released: Collection[ReleasedCell]
) -> tuple[pd.DataFrame, pd.DataFrame, pd.Index]:
    """Take released cells for missing; returns rows and faults as they are then, and which rows have such cells."""
    place = rows.loc[faults["at"]]
    cells = map(ReleasedCell, place["file_digest"], place["row"], faults["column"], faults["code"])
    wanted = set(released)
    obeyed = np.array([cell in wanted and releasable(cell.column, cell.code) for cell in cells], dtype=bool)
    mended = frame.copy() if obeyed.any() else frame
    for at, column in faults.loc[obeyed, ["at", "column"]].itertuples(index=False):
        mended.loc[at, column] = None
    return mended, faults[~obeyed].reset_index(drop=True), pd.Index(faults.loc[obeyed, "at"].unique())


def _conflicts(good: pd.DataFrame) -> pd.Index:
    """Return the rows whose encounter other rows of the same day tell differently."""
    key = [DAY, "encounter_id"]
    several = good[good.duplicated(key, keep=False)]
    whole_beside = (~several["mended"]).groupby([several[name] for name in key]).transform("any")
    competing = several[~(several["mended"] & whole_beside)]
    versions = competing.drop_duplicates([DAY, *DISCHARGE_COLUMNS]).groupby(key).size()
    contradicted = versions.index[versions > 1]
    return several.index[pd.MultiIndex.from_frame(several[key]).isin(contradicted)]


def _chosen(good: pd.DataFrame, accepted_before: Mapping[int, str], days: Collection[str]) -> pd.Index:
    """Return the one row of each encounter that is accepted; none where another day holds the encounter."""
    home = good["encounter_id"].map(accepted_before)
    free = good[home.isna() | home.isin(list(days))]
    # First the day it was accepted on before, then whole rows before mended ones, then the order of arrival.
    ranked = pd.DataFrame({"encounter_id": free["encounter_id"], "moved": free[DAY] != home[free.index],
                           "mended": free["mended"], "at": free.index})  # fmt: skip
    first = ranked.sort_values(["moved", "mended", "at"]).drop_duplicates("encounter_id")
    return free.index[free.index.isin(first["at"])]


def _counted(arrived: Sequence[Arrived], number: pd.Series, fate: pd.Series) -> pd.DataFrame:
    counts = pd.crosstab(number, fate).reindex(range(len(arrived)), columns=COUNTS[1:], fill_value=0)
    return pd.DataFrame({
        DAY: [each.day for each in arrived],
        "file": [each.file.name for each in arrived],
        "file_digest": [each.file.digest for each in arrived],
        "problem": [each.fault[1] if each.fault else None for each in arrived],
        "received": [each.rows for each in arrived],
        **{name: counts[name].to_numpy() for name in COUNTS[1:]},
    })  # fmt: skip
