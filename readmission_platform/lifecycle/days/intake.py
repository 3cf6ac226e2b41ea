"""Taking days in: what the lake knew before, the rows as they are now, and the account of each day.

What belongs here: gathering what ``intake.rows`` decides on, and comparing with what was taken in before. What does
not: the decisions about rows, and writing the tables (``assets.feed.delivered``).
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from readmission_platform.foundation.pseudonyms import pseudonyms
from readmission_platform.governance.promotion.quarantine_releases import released_cells
from readmission_platform.governance.promotion.requested import proper_releases
from readmission_platform.intake.files import Delivered, Place
from readmission_platform.intake.rows import ReleasedCell, take_in
from readmission_platform.intake.rules import whole_numbers
from readmission_platform.lifecycle.workspace import Workspace
from readmission_platform.storage.landing import LandedFile, fingerprint_of
from readmission_platform.storage.tables import ACCOUNTING, FILES, HELD, ModelLake

ROW_COUNTS = ["received", "accepted", "quarantined", "duplicate"]
COUNTS = [*ROW_COUNTS, "files", "files_quarantined"]
REPEATED = "file_repeated"


@dataclass(frozen=True)
class TakenIn:
    """What is to be written of some days.

    Attributes
    ----------
    day
        Name of the column with the day.
    delivered
        The accepted rows, also those of days that have no files now and stay as they were.
    accounts
        One row per day with files: the day, the counts, ``files_digest``, ``accepted_digest``, ``revision``,
        ``times_taken_in`` and ``delivered_version`` (missing where the accepted rows have changed and their version is
        not yet known).
    quarantined, files, held, corrections, translations
        Lines of the quarantine, the counts of each file, the rows left to another day, those that a newer delivery
        corrected, and the codes of another system (see ``intake.rows.Intake``).
    """

    day: str
    delivered: pd.DataFrame
    accounts: pd.DataFrame
    quarantined: pd.DataFrame
    files: pd.DataFrame
    held: pd.DataFrame
    corrections: pd.DataFrame
    translations: pd.DataFrame

    def accounts_at(self, version: int) -> pd.DataFrame:
        """Return the accounts, with the table version of rows that changed."""
        versions = self.accounts["delivered_version"].fillna(version).astype("int64")
        return self.accounts.assign(delivered_version=versions)

    def unbalanced_days(self, landed: Mapping[str, Sequence[LandedFile]]) -> list[str]:
        """Return the days on which a row was lost or counted twice, each count taken from where the rows are now."""
        rows = self.quarantined[self.quarantined["row"] > 0]
        counted = self.accounts.set_index(self.day)
        found = pd.DataFrame({
            "received": {day: sum(len(file.cells) for file in files if file.cells is not None)
                         for day, files in landed.items()},
            "accepted": self.delivered.groupby(self.day).size(),
            "quarantined": rows.drop_duplicates([self.day, "file_digest", "file", "row"]).groupby(self.day).size(),
        }).reindex(counted.index).fillna(0)  # fmt: skip
        balanced = counted["received"] == counted[ROW_COUNTS[1:]].sum(axis=1)
        return list(counted.index[~balanced | (counted[found.columns] != found).any(axis=1)])


def take_in_days(landed: Mapping[str, Sequence[LandedFile]], days: Sequence[str], workspace: Workspace) -> TakenIn:
    """Take in the files of days; of the ``days`` that have none, what was taken in before stays."""
    lake, feed = workspace.lake, workspace.contract.feed
    with workspace.ledger() as ledger:
        released = [ReleasedCell(*cell) for cell in released_cells(proper_releases(ledger.events()))]
    taken = take_in(
        landed,
        feed,
        accepted_before=_accepted_before(lake, landed),
        taken_before=_taken_before(lake, landed),
        delivered_before=delivered_before(lake, FILES, landed),
        now=datetime.now(UTC).isoformat(timespec="microseconds"),
        released=released,
    )
    accepted = taken.accepted
    accepted.insert(
        1,
        "entity_key",
        pseudonyms(accepted[feed.entity], workspace.pseudonym_key, purpose=workspace.contract.words.entity),
    )
    accepted = accepted.drop(columns=feed.entity)
    files_digests = {day: fingerprint_of((file.name, file.digest) for file in files) for day, files in landed.items()}
    accepted_digests = _content_digests(accepted, list(landed), day=feed.day)
    accounts = taken.accounts.assign(
        files_digest=lambda frame: frame[feed.day].map(files_digests),
        accepted_digest=lambda frame: frame[feed.day].map(accepted_digests),
    )
    kept = _stored(lake, [day for day in days if day not in landed], like=accepted)
    return TakenIn(
        feed.day,
        pd.concat([accepted, kept], ignore_index=True) if len(kept) else accepted,
        _revised(accounts, lake),
        taken.quarantined,
        taken.files,
        taken.held,
        taken.corrections,
        taken.translations,
    )


def due_again(lake: ModelLake, days: Sequence[str]) -> set[str]:
    """Return which of these days left rows, or a whole file, to another day that has them no more.

    A correction moved them: they are on no work list until the day is taken in again.
    """
    due: set[str] = set()
    held = lake.read(HELD, where={lake.day: list(days)}) if lake.exists(HELD) else pd.DataFrame()
    if len(held):
        homes = sorted(set(held["home"]))
        there = lake.read(lake.names.delivered, columns=[lake.row, lake.day], where={lake.day: homes})
        still = set(zip(there[lake.row], there[lake.day], strict=True))
        due |= {str(day) for day, row, home in zip(held[lake.day], held[lake.row], held["home"], strict=True)
                if (row, home) not in still}  # fmt: skip
    if lake.exists(FILES):
        columns = [lake.day, "file_digest", "problem"]
        repeats = lake.read(FILES, columns=columns, where={lake.day: list(days), "problem": [REPEATED]})
        if len(repeats):
            alike = lake.read(FILES, columns=columns, where={"file_digest": sorted(set(repeats["file_digest"]))})
            first = set(alike.loc[alike["problem"] != REPEATED, "file_digest"])
            due |= set(repeats.loc[~repeats["file_digest"].isin(first), lake.day].astype("str"))
    return due


def _accepted_before(lake: ModelLake, landed: Mapping[str, Sequence[LandedFile]]) -> dict[int, str]:
    """Return the day on which each row that these files may hold was accepted."""
    import pyarrow as pa
    from pyarrow import compute

    if not lake.exists(lake.names.delivered):
        return {}
    # Only these, because Delta then opens only the days that can hold them, of what may be years.
    lowest, highest = lake.contract.feed.whole_numbers[lake.row]
    wanted: set[int] = set()
    for file in (file.under_names([lake.row]) for files in landed.values() for file in files):
        if file.cells is not None and list(file.cells.columns).count(lake.row) == 1:
            numbers = whole_numbers(file.cells[lake.row])
            wanted.update(numbers[numbers.between(lowest, highest)].astype("int64"))
    among = compute.field(lake.row).isin(pa.array(wanted, pa.int64()))
    rows = lake.read(lake.names.delivered, columns=[lake.row, lake.day], kept=among)
    return dict(zip(rows[lake.row], rows[lake.day], strict=True))


def _taken_before(lake: ModelLake, landed: Mapping[str, Sequence[LandedFile]]) -> dict[str, Place]:
    """Return the place from which the bytes of each of these files were taken in; of a repeat that is another one."""
    if not lake.exists(FILES):
        return {}
    digests = sorted({file.digest for files in landed.values() for file in files})
    rows = lake.read(
        FILES, columns=["file_digest", "file", "problem", "received", lake.day], where={"file_digest": digests}
    )
    first = rows[(rows["received"] > 0) & (rows["problem"].fillna("") != REPEATED)]
    return dict(zip(first["file_digest"], map(Place, first[lake.day], first["file"]), strict=True))


def delivered_before(
    lake: ModelLake, table: str, landed: Mapping[str, Sequence[LandedFile]]
) -> dict[tuple[str, str], Delivered]:
    """Return by day and digest when each of these files, which lay there before, was taken in first.

    Parameters
    ----------
    table
        The one that keeps it: of files of rows, or of outcomes.
    """
    if not lake.exists(table):
        return {}
    there = {(day, file.digest) for day, files in landed.items() for file in files}
    columns = [lake.day, "file_digest", "first_taken_in", "modified_at"]
    rows = lake.read(table, columns=columns, where={lake.day: sorted(landed)})
    return {
        (day, digest): Delivered(first, changed)
        for day, digest, first, changed in rows[columns].itertuples(index=False, name=None)
        if (day, digest) in there
    }


def _stored(lake: ModelLake, days: Sequence[str], *, like: pd.DataFrame) -> pd.DataFrame:
    """Return the accepted rows that the lake holds of days."""
    if not days or not lake.exists(lake.names.delivered):
        return like.head(0)
    columns = list(like.columns)
    return lake.read(lake.names.delivered, columns=columns, where={lake.day: days})[columns]


def _content_digests(rows: pd.DataFrame, days: Sequence[str], *, day: str) -> dict[str, str]:
    """Return a digest of each day's rows, whatever their order."""
    hashes = pd.util.hash_pandas_object(rows, index=False)
    by_day = {str(each): of_day for each, of_day in hashes.groupby(rows[day])}
    return {
        each: "sha256:"
        + hashlib.sha256(by_day[each].sort_values().to_numpy().tobytes() if each in by_day else b"").hexdigest()
        for each in days
    }


def _revised(accounts: pd.DataFrame, lake: ModelLake) -> pd.DataFrame:
    """Add each day's revision, how often it was taken in, and the table version of its rows where these are as before.

    A day's first revision is 1. The next one begins when its accepted rows are others than those it was accounted with.
    """
    before: dict[str, dict[str, Any]] = {}
    if lake.exists(ACCOUNTING):
        rows = lake.read(ACCOUNTING, where={lake.day: list(accounts[lake.day])})
        before = {str(row[lake.day]): {str(name): value for name, value in row.items()}
                  for row in rows.to_dict("records")}  # fmt: skip
    revisions, versions, times = [], [], []
    for day, digest in zip(accounts[lake.day], accounts["accepted_digest"], strict=True):
        row = before.get(day)
        same = row is not None and digest == row["accepted_digest"]
        revisions.append((int(row["revision"]) if row else 0) + (0 if same else 1))
        versions.append(row["delivered_version"] if row and same else None)
        times.append((int(row["times_taken_in"]) if row else 0) + 1)
    return accounts.assign(
        revision=revisions, delivered_version=pd.Series(versions, dtype="Int64"), times_taken_in=times
    )
