"""Taking days in: what the lake knew before, the rows as they are now, and the account of each day.

What belongs here: gathering what ``intake.rows`` decides on, and comparing with what was taken in before. What
does not: the decisions about rows, and writing the tables (``discharges``).
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from readmission_platform.encounters.contract import ENCOUNTERS
from readmission_platform.foundation.pseudonyms import pseudonyms
from readmission_platform.governance.promotion.quarantine_releases import RELEASED, released_cells
from readmission_platform.intake.files import Place
from readmission_platform.lifecycle.days.scoring import DAY, DISCHARGES_TABLE
from readmission_platform.lifecycle.versions.version_facts import ACCOUNTING_TABLE
from readmission_platform.resources.project import ProjectResource
from readmission_platform.storage.lake import Lake
from readmission_platform.storage.landing import LandedFile, fingerprint_of

FILES_TABLE = "discharge_files"
ROW_COUNTS = ["received", "accepted", "quarantined", "duplicate"]
COUNTS = [*ROW_COUNTS, "files", "files_quarantined"]


@dataclass(frozen=True)
class TakenIn:
    """What is to be written of some days.

    Attributes
    ----------
    discharges
        The accepted encounters, also those of days that have no files now and stay as they were.
    accounts
        One row per day with files: ``discharge_date``, the counts, ``files_digest``, ``accepted_digest``, ``revision``
        and ``discharges_version`` (missing where the encounters have changed and their version is not yet known).
    quarantined, files
        Lines of the quarantine, and the counts of each file (see ``intake.rows.Intake``).
    """

    discharges: pd.DataFrame
    accounts: pd.DataFrame
    quarantined: pd.DataFrame
    files: pd.DataFrame

    def accounts_at(self, version: int) -> pd.DataFrame:
        """Return the accounts, with the table version of encounters that changed."""
        versions = self.accounts["discharges_version"].fillna(version).astype("int64")
        return self.accounts.assign(discharges_version=versions)

    def unbalanced_days(self, landed: Mapping[str, Sequence[LandedFile]]) -> list[str]:
        """Return the days on which a row was lost or counted twice, each count taken from where the rows are now."""
        rows = self.quarantined[self.quarantined["row"] > 0]
        counted = self.accounts.set_index(DAY)
        found = pd.DataFrame({
            "received": {day: sum(len(file.cells) for file in files if file.cells is not None)
                         for day, files in landed.items()},
            "accepted": self.discharges.groupby(DAY).size(),
            "quarantined": rows.drop_duplicates([DAY, "file_digest", "file", "row"]).groupby(DAY).size(),
        }).reindex(counted.index).fillna(0)  # fmt: skip
        balanced = counted["received"] == counted[ROW_COUNTS[1:]].sum(axis=1)
        return list(counted.index[~balanced | (counted[found.columns] != found).any(axis=1)])


def take_in_days(
    landed: Mapping[str, Sequence[LandedFile]], days: Sequence[str], lake: Lake, project: ProjectResource
) -> TakenIn:
    """Take in the files of days; of the ``days`` that have none, what was taken in before stays."""
    from readmission_platform.intake.rows import ReleasedCell, take_in

    with project.ledger() as ledger:
        released = [ReleasedCell(*cell) for cell in released_cells(ledger.events(kind=RELEASED))]
    taken = take_in(
        landed,
        ENCOUNTERS,
        accepted_before=_accepted_before(lake, landed),
        taken_before=_taken_before(lake, landed),
        released=released,
    )
    accepted = taken.accepted
    accepted.insert(1, "entity_key", pseudonyms(accepted["patient_nbr"], project.pseudonym_key, purpose="patient"))
    accepted = accepted.drop(columns="patient_nbr")
    files_digests = {day: fingerprint_of((file.name, file.digest) for file in files) for day, files in landed.items()}
    accounts = taken.accounts.assign(
        files_digest=lambda frame: frame[DAY].map(files_digests),
        accepted_digest=lambda frame: frame[DAY].map(_content_digests(accepted, list(landed))),
    )
    kept = _stored(lake, [day for day in days if day not in landed], like=accepted)
    return TakenIn(
        pd.concat([accepted, kept], ignore_index=True) if len(kept) else accepted,
        _revised(accounts, lake, like=accepted),
        taken.quarantined,
        taken.files,
    )


def _accepted_before(lake: Lake, landed: Mapping[str, Sequence[LandedFile]]) -> dict[int, str]:
    """Return the day on which each encounter that these files may hold was accepted."""
    import pyarrow as pa
    from pyarrow import compute

    if not lake.exists(DISCHARGES_TABLE):
        return {}
    # Only these, because Delta then opens only the days that can hold them, of what may be years.
    wanted: set[int] = set()
    for file in (file for files in landed.values() for file in files):
        if file.cells is not None and list(file.cells.columns).count("encounter_id") == 1:
            numbers = pd.to_numeric(file.cells["encounter_id"], errors="coerce")
            wanted.update(numbers[numbers.between(*ENCOUNTERS.whole_numbers[ENCOUNTERS.row])].astype("int64"))
    among = compute.field("encounter_id").isin(pa.array(wanted, pa.int64()))
    rows = lake.open(DISCHARGES_TABLE).to_pandas(columns=["encounter_id", DAY], filters=among)
    return dict(zip(rows["encounter_id"], rows[DAY], strict=True))


def _taken_before(lake: Lake, landed: Mapping[str, Sequence[LandedFile]]) -> dict[str, Place]:
    """Return the place from which the bytes of each of these files were taken in; of a repeat that is another one."""
    if not lake.exists(FILES_TABLE):
        return {}
    digests = sorted({file.digest for files in landed.values() for file in files})
    rows = lake.read(
        FILES_TABLE, columns=["file_digest", "file", "problem", "received", DAY], where={"file_digest": digests}
    )
    first = rows[(rows["received"] > 0) & (rows["problem"].fillna("") != "file_repeated")]
    return dict(zip(first["file_digest"], map(Place, first[DAY], first["file"]), strict=True))


def _stored(lake: Lake, days: Sequence[str], *, like: pd.DataFrame) -> pd.DataFrame:
    """Return the accepted encounters that the lake holds of days."""
    if not days or not lake.exists(DISCHARGES_TABLE):
        return like.head(0)
    return lake.read(DISCHARGES_TABLE, columns=list(like.columns), where={DAY: days})[list(like.columns)]


def _content_digests(encounters: pd.DataFrame, days: Sequence[str]) -> dict[str, str]:
    """Return a digest of each day's encounters, whatever their order."""
    hashes = pd.util.hash_pandas_object(encounters, index=False)
    by_day = {str(day): of_day for day, of_day in hashes.groupby(encounters[DAY])}
    return {
        day: "sha256:"
        + hashlib.sha256(by_day[day].sort_values().to_numpy().tobytes() if day in by_day else b"").hexdigest()
        for day in days
    }


def _revised(accounts: pd.DataFrame, lake: Lake, *, like: pd.DataFrame) -> pd.DataFrame:
    """Add each day's revision, and the table version of the encounters where these are as they were.

    A day's first revision is 1. The next one begins when its encounters are others than those it was accounted with;
    an account by an older release, which has no digest of them, is compared with what the lake holds.
    """
    before: dict[str, dict[str, Any]] = {}
    if lake.exists(ACCOUNTING_TABLE):
        rows = lake.read(ACCOUNTING_TABLE, where={DAY: list(accounts[DAY])})
        before = {str(row[DAY]): {str(name): value for name, value in row.items() if pd.notna(value)}
                  for row in rows.to_dict("records")}  # fmt: skip
    undigested = [day for day, row in before.items() if "accepted_digest" not in row]
    stored = _content_digests(_stored(lake, undigested, like=like), undigested)
    revisions, versions = [], []
    for day, digest in zip(accounts[DAY], accounts["accepted_digest"], strict=True):
        row = before.get(day, {})
        same = digest == (row.get("accepted_digest") or stored.get(day))
        number = int(row.get("revision") or 1) if row else 0
        revisions.append(number if same else number + 1)
        versions.append(row.get("discharges_version") if same else None)
    return accounts.assign(revision=revisions, discharges_version=pd.Series(versions, dtype="Int64"))
