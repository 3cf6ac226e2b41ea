"""Taking in days of delivered rows: which of them are accepted, repeated, or set aside with a reason.

What belongs here: pure decisions about rows, of all files of some days in one pass. What does not: which files count
(``files``), the tables that the rows go into, and what the codes mean (``quarantine``).

Several delivered rows may have the same identifier:

- of rows of one day that contradict each other the newest delivery counts (see ``files.Delivered``): it corrects the
  older ones, which become duplicates, and what it changed is recorded. That may be that the model is not made for the
  row: then none is accepted. A row that a person had released gives way to one that needs no release;
- rows of one delivery that contradict each other are all set aside, with any older ones (``conflicting_rows``):
  whichever were taken, it would be a guess;
- else one row is accepted and the others are duplicates. An identifier stays on the day that it was accepted on
  first, so that taking days in again, in whatever order, changes nothing. Which rows were left to which other day is
  kept: when that day has the identifier no more, because a correction moved it, they are due again.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from readmission_platform.intake.contract import RowContract
from readmission_platform.intake.files import (
    Arrived,
    Delivered,
    LandedFile,
    Place,
    ages,
    delivered_at,
    numbered_rows,
    sort_out,
    whole_file_lines,
)
from readmission_platform.intake.quarantine import quarantine_lines, releasable
from readmission_platform.intake.spellings import is_missing
from readmission_platform.intake.translation import translate

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
        The accepted rows in the order of their days, files and rows, with the contract's day.
    quarantined
        Lines of the quarantine, one per broken rule (see ``quarantine.quarantine_lines``).
    files
        One row per file: the contract's day, ``file``, ``file_digest``, ``problem`` (code or None), ``first_taken_in``,
        ``modified_at`` and the counts.
    held
        One row per sound row that was left to another day: the contract's day and row, and ``home``, that day.
    corrections
        One row per sound row that a newer delivery corrected: the contract's day and row, the place of both
        (``older_file``, ``older_file_digest``, ``older_file_row``, and the same of the ``newer``), and
        ``differing_columns``, the names of those that differ.
    translations
        One row per cell of an accepted row that held a code of another system (see ``translation``): the contract's day
        and row, ``column`` and ``how``.
    day
        Name of the contract's day.
    """

    accepted: pd.DataFrame
    quarantined: pd.DataFrame
    files: pd.DataFrame
    held: pd.DataFrame
    corrections: pd.DataFrame
    translations: pd.DataFrame
    day: str

    @property
    def accounts(self) -> pd.DataFrame:
        """The counts of each day, with the number of ``files`` and of those that something is wrong with as a whole."""
        whole = self.quarantined[(self.quarantined["row"] == 0) & (self.quarantined["code"] != "file_repeated")]
        files = self.files.groupby(self.day)
        accounts = files[COUNTS].sum().assign(files=files.size())
        accounts["files_quarantined"] = whole.groupby(self.day).size().reindex(accounts.index, fill_value=0)
        return accounts.astype("int64").reset_index()


def take_in(
    landed: Mapping[str, Sequence[LandedFile]],
    contract: RowContract,
    *,
    accepted_before: Mapping[int, str] | None = None,
    taken_before: Mapping[str, Place] | None = None,
    delivered_before: Mapping[tuple[str, str], Delivered] | None = None,
    now: str = "",
    released: Collection[ReleasedCell] = (),
) -> Intake:
    """Judge every row of the files of some days.

    Parameters
    ----------
    landed
        The files of each day, all that there are.
    accepted_before
        The day on which each identifier was accepted before, on whatever day.
    taken_before
        The place from which the bytes with a digest were taken in before.
    delivered_before
        By day and digest, when a file that lies there was taken in first.
    now
        When the other files are (UTC, ISO 8601).
    released
        What people had taken in nevertheless; obeyed as far as the contract allows the column to miss a value.
    """
    day = contract.day
    arrived = list(sort_out(landed, contract, taken_before or {}))
    moments = delivered_at(((each.day, each.file) for each in arrived), delivered_before or {}, now)
    rows = numbered_rows(arrived, contract)
    frame, faults, translations = _judged(arrived, rows, contract)
    frame, faults, mended = _released(frame, faults, rows, released, contract)
    # Beside a broken cell a column of numbers has no type of its own.
    ill_formed = faults.loc[~faults["code"].isin([each.code for each in contract.excluded]), "at"]
    sound = contract.typed(frame[~frame.index.isin(ill_formed)])
    sound = sound.assign(**{day: rows.loc[sound.index, day]})
    age = rows.loc[sound.index, "number"].map(ages(moments)).astype("int64")
    good = sound[~sound.index.isin(faults["at"])]
    withdrawn = _withdrawn(good, sound.drop(index=good.index), age, contract)
    good = good.drop(index=withdrawn.index)
    conflicts = _conflicts(good, mended, age, contract)
    good = good.drop(index=conflicts)
    home = good[contract.row].map(accepted_before or {})
    elsewhere = home.notna() & ~home.isin(list(landed))
    accepted = _chosen(good[~elsewhere], mended, home, age, contract)
    taken = dict(good.loc[accepted, [contract.row, day]].itertuples(index=False, name=None))
    held = _held(good, home.where(elsewhere, good[contract.row].map(taken)), contract)
    faults = pd.concat([faults, _faults(conflicts, contract.row, "conflicting_rows")], ignore_index=True)
    fate = pd.Series(np.where(rows["repeated"], "duplicate", "quarantined"), index=rows.index, dtype=object)
    fate[[*good.index, *withdrawn.index]] = "duplicate"
    fate[accepted] = "accepted"
    lines = rows.loc[faults["at"], [day, "file_digest", "file", "row", "number"]].reset_index(drop=True)
    lines = lines.assign(column=faults["column"], code=faults["code"]).sort_values(["number", "row"], kind="stable")
    return Intake(
        good.loc[accepted, [*contract.columns, day]].reset_index(drop=True),
        quarantine_lines(pd.concat([whole_file_lines(arrived, contract), lines], ignore_index=True), contract),
        _counted(arrived, moments, rows["number"], fate, day),
        held,
        _corrections(pd.concat([_replaced(good, accepted, contract), withdrawn]), sound, rows, contract),
        _translations(translations, good.loc[accepted, [day, contract.row]]),
        day,
    )


def _judged(
    arrived: Sequence[Arrived], rows: pd.DataFrame, contract: RowContract
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return the rows of the files without a fault in the contract's types, their faults, and what was translated."""
    wanted = [*contract.columns, contract.day]
    found = [each.file.cells for each in arrived if each.fault is None and each.file.cells is not None]
    empty = pd.DataFrame(columns=wanted, dtype=object)
    cells = pd.concat([empty, *(each.reindex(columns=wanted).astype(object) for each in found)], ignore_index=True)
    cells.index = rows.index[rows["looked_at"]]
    without_cells = {(each.number, row): fault for each in arrived for row, fault in each.file.faults.items()}
    place = rows.loc[cells.index]
    told = [without_cells.get(at) for at in zip(place["number"], place["row"], strict=True)]
    without = cells.index[[fault is not None for fault in told]]
    column, code = (pd.Series([fault[part] for fault in told if fault], dtype=object) for part in (0, 1))
    cells = cells.drop(index=without)
    cells, translations = translate(cells, place.loc[cells.index, "number"], contract)
    frame = contract.parse_text(cells[list(contract.columns)])
    broken = contract.broken_rules(frame)
    foreign = place.loc[cells.index, "number"].isin([each.number for each in arrived if each.file.foreign])
    said, folder = cells[contract.day], place.loc[cells.index, contract.day]
    faults = [
        _faults(without, column, code),
        _faults(frame.index.take(broken["row"].astype("int64").to_numpy()), broken["column"], broken["code"]),
        *(_faults(_of_unclear_text(frame.loc[foreign, name]), name, "not_utf8") for name in _unlisted(contract)),
        *(_faults(frame.index[each.rows(frame)], each.column, each.code) for each in contract.excluded),
        _faults(_of_another_day(said, folder), contract.day, "day_mismatch"),
    ]
    return frame, pd.concat(faults, ignore_index=True), translations


def _translations(translations: pd.DataFrame, accepted: pd.DataFrame) -> pd.DataFrame:
    """Return what was translated in accepted rows, by their day and identifier."""
    kept = translations[translations["at"].isin(accepted.index)]
    named = accepted.loc[kept["at"]].reset_index(drop=True)
    lines = named.assign(column=kept["column"].to_numpy(), how=kept["how"].to_numpy())
    return lines.sort_values([*accepted.columns, "column"], kind="stable", ignore_index=True)


def _faults(at: pd.Index, column: "str | pd.Series", code: "str | pd.Series") -> pd.DataFrame:
    """Return faults: ``at`` (which of the numbered rows), ``column`` and ``code``."""
    named = {name: part if isinstance(part, str) else part.to_numpy() for name, part in
             (("column", column), ("code", code))}  # fmt: skip
    return pd.DataFrame({"at": at.astype("int64")}).assign(**named)


def _unlisted(contract: RowContract) -> list[str]:
    """Return the columns of texts that neither a list nor a pattern has."""
    ruled = {*contract.whole_numbers, *contract.numbers, *contract.vocabularies, *contract.patterns}
    return [name for name in contract.columns if name not in ruled]


def _of_unclear_text(texts: pd.Series) -> pd.Index:
    """Return which rows hold a letter that another encoding has in another place."""
    return texts.index[[isinstance(text, str) and not text.isascii() for text in texts]]


def _of_another_day(said: pd.Series, folder: pd.Series) -> pd.Index:
    """Return which rows say that their day is not the folder's; a Parquet file may add a time of day."""
    told = ~said.map(is_missing).astype(bool)
    day = said[told].astype("str").str.strip().str.replace(r"[T ].*", "", regex=True)
    return said.index[told][(day != folder[told]).to_numpy()]


def _released(
    frame: pd.DataFrame,
    faults: pd.DataFrame,
    rows: pd.DataFrame,
    released: Collection[ReleasedCell],
    contract: RowContract,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.Index]:
    """Take released cells for missing; returns rows and faults as they are then, and which rows have such cells."""
    place = rows.loc[faults["at"]]
    cells = map(ReleasedCell, place["file_digest"], place["row"], faults["column"], faults["code"])
    wanted = set(released)
    obeyed = np.array([cell in wanted and releasable(contract, cell.column, cell.code) for cell in cells], dtype=bool)
    mended = frame.copy() if obeyed.any() else frame
    for at, column in faults.loc[obeyed, ["at", "column"]].itertuples(index=False):
        mended.loc[at, column] = None
    return mended, faults[~obeyed].reset_index(drop=True), pd.Index(faults.loc[obeyed, "at"].unique())


def _conflicts(good: pd.DataFrame, mended: pd.Index, age: pd.Series, contract: RowContract) -> pd.Index:
    """Return the rows of an identifier and day of which the newest delivery holds two that contradict each other."""
    key = [contract.day, contract.row]
    several = good[good.duplicated(key, keep=False)]
    # The best there is: whole rows before mended ones, then the newest.
    order = age[several.index] + several.index.isin(mended) * (age.max() + 1 if len(age) else 0)
    best = order.groupby([several[name] for name in key]).transform("min")
    competing = several[order == best]
    versions = competing.drop_duplicates([contract.day, *contract.columns]).groupby(key).size()
    contradicted = versions.index[versions > 1]
    return several.index[pd.MultiIndex.from_frame(several[key]).isin(contradicted)]


def _chosen(free: pd.DataFrame, mended: pd.Index, home: pd.Series, age: pd.Series, contract: RowContract) -> pd.Index:
    """Return the one row of each identifier that is accepted; ``home`` is the day that it was accepted on before."""
    # First the day it was accepted on before, then whole rows before mended ones, then the earliest day; of a day the
    # newest delivery, then the order of arrival.
    ranked = pd.DataFrame({"identifier": free[contract.row], "moved": free[contract.day] != home[free.index],
                           "mended": free.index.isin(mended), "day": free[contract.day], "newer": age[free.index],
                           "at": free.index})  # fmt: skip
    first = ranked.sort_values(["moved", "mended", "day", "newer", "at"]).drop_duplicates("identifier")
    return free.index[free.index.isin(first["at"])]


def _withdrawn(good: pd.DataFrame, excluded: pd.DataFrame, age: pd.Series, contract: RowContract) -> pd.Series:
    """Return the rows of which a newer delivery says that they are excluded, and (as values) which row says so."""
    key = [contract.day, contract.row]
    newest = excluded.loc[age[excluded.index].sort_values(kind="stable").index].drop_duplicates(key)
    by = pd.Series(newest.index, index=pd.MultiIndex.from_frame(newest[key]), dtype="int64")
    found = by.reindex(pd.MultiIndex.from_frame(good[key])).set_axis(good.index).dropna().astype("int64")
    return found[age[found.index].to_numpy() > age[found].to_numpy()]


def _replaced(good: pd.DataFrame, accepted: pd.Index, contract: RowContract) -> pd.Series:
    """Return the rows of a day beside an accepted one of the same day and, as values, that one."""
    key = [contract.day, contract.row]
    by = pd.Series(accepted, index=pd.MultiIndex.from_frame(good.loc[accepted, key]), dtype="int64")
    others = good.drop(index=accepted)
    return by.reindex(pd.MultiIndex.from_frame(others[key])).set_axis(others.index).dropna().astype("int64")


def _corrections(newer: pd.Series, sound: pd.DataFrame, rows: pd.DataFrame, contract: RowContract) -> pd.DataFrame:
    """Describe rows that differ from a newer one of the same day; ``newer`` has the one for each."""
    columns = [name for name in contract.columns if name != contract.row]
    cells, others = (sound.loc[at, columns].to_numpy(dtype=object) for at in (newer.index, newer))
    differs = ~((cells == others) | (pd.isna(cells) & pd.isna(others)))
    newer = newer[differs.any(axis=1)]
    changed = [", ".join(np.array(columns)[row]) for row in differs if row.any()]
    places = {f"{which}_{name}": rows.loc[at, column].to_numpy()
              for which, at in (("older", newer.index), ("newer", newer))
              for name, column in (("file", "file"), ("file_digest", "file_digest"), ("file_row", "row"))}  # fmt: skip
    found = sound.loc[newer.index, [contract.day, contract.row]].reset_index(drop=True)
    return found.assign(**places, differing_columns=pd.Series(changed, dtype=object))


def _held(good: pd.DataFrame, home: pd.Series, contract: RowContract) -> pd.DataFrame:
    """Return the sound rows that another day than their own has, of this run or of before, with that day."""
    left = home.notna() & (home != good[contract.day])
    rows = good.loc[left, [contract.day, contract.row]].assign(home=home[left].astype("str"))
    return rows.drop_duplicates().reset_index(drop=True)


def _counted(
    arrived: Sequence[Arrived], moments: Sequence[Delivered], number: pd.Series, fate: pd.Series, day: str
) -> pd.DataFrame:
    counts = pd.crosstab(number, fate).reindex(range(len(arrived)), columns=COUNTS[1:], fill_value=0)
    return pd.DataFrame({
        day: [each.day for each in arrived],
        "file": [each.file.name for each in arrived],
        "file_digest": [each.file.digest for each in arrived],
        "problem": [each.fault[1] if each.fault else None for each in arrived],
        "first_taken_in": [moment.first_taken_in for moment in moments],
        "modified_at": [moment.modified_at for moment in moments],
        "received": [each.rows for each in arrived],
        **{name: counts[name].to_numpy() for name in COUNTS[1:]},
    })  # fmt: skip
