"""Scoring days of discharges, and scoring one again from what was read the first time.

What belongs here: reading what is known of the patients at a table version, applying a version's artifact, and the work
list. What does not: which version scores a day, and who may ask (``inference``, ``tracing``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from readmission_platform.config import ModelConfig
from readmission_platform.governance.versions import VersionRecord
from readmission_platform.resources.lake import Lake, frame_digest
from readmission_platform.resources.tracking import TrackingResource, load_artifact
from readmission_platform.science.history import KNOWN_COLUMNS

if TYPE_CHECKING:
    from readmission_platform.science.model import RecalibratedClassifier

DAY = "discharge_date"
DISCHARGES_TABLE = "daily_discharges"
ENCOUNTERS_TABLE = "eligible_encounters"
# What scoring the same day again changes although every score stays the same.
CIRCUMSTANCES = ["run_id", "scored_at", "discharges_version", "encounters_version"]


@dataclass(frozen=True)
class InputVersions:
    """The Delta versions a run reads: every row of a prediction names them, so that it can be scored again."""

    discharges: int
    encounters: int

    @classmethod
    def newest(cls, lake: Lake) -> "InputVersions":
        """Return the versions there are now."""
        return cls(lake.open(DISCHARGES_TABLE).version(), lake.open(ENCOUNTERS_TABLE).version())


def score_days(
    discharges: pd.DataFrame,
    versions: Mapping[str, VersionRecord],
    *,
    run_id: str,
    model: ModelConfig,
    tracking: TrackingResource,
    lake: Lake,
) -> pd.DataFrame:
    """Score each day with its version; each artifact is verified against the ledger before it is loaded.

    Parameters
    ----------
    discharges
        Accepted discharges of some days, with ``discharge_date``.
    versions
        The version for each of these days.

    Returns
    -------
    One row per discharge: risk, band, rank and flag, and what they were made with.
    """
    read = InputVersions.newest(lake)
    known = known_encounters(lake, discharges, read)
    loaded = {record.version: load_version(tracking, record) for record in
              {record.version: record for record in versions.values()}.values()}  # fmt: skip
    days = []
    for day, rows in discharges.groupby(DAY, sort=True):
        record = versions[str(day)]
        risk = day_scores(loaded[record.version], rows, known, day=str(day))
        listed = work_list(rows[["encounter_id", "patient_key"]].reset_index(drop=True), risk, model)
        days.append(listed.assign(**{
            DAY: day, "model_version": record.version, "artifact_digest": record.artifact_digest,
            "discharges_digest": frame_digest(rows), "discharges_version": read.discharges,
            "encounters_version": read.encounters, "run_id": run_id,
            "scored_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }))  # fmt: skip
    return pd.concat(days, ignore_index=True)


def load_version(tracking: TrackingResource, record: VersionRecord) -> "RecalibratedClassifier":
    """Load a version's artifact, verified against the ledger; raises ``ArtifactRefused``."""
    return load_artifact(tracking.root, str(record.artifact_path), digest=str(record.artifact_digest))


def day_scores(model: "RecalibratedClassifier", rows: pd.DataFrame, known: pd.DataFrame, *, day: str) -> "np.ndarray":
    """Return the risks of one day's discharges, their history taken from what was known by that day."""
    from readmission_platform.science.scoring import score_discharges

    earlier = known[(known[DAY].isna()) | (known[DAY] <= day)]
    return score_discharges(model, rows.reset_index(drop=True), earlier)


def known_encounters(lake: Lake, discharges: pd.DataFrame, read: InputVersions) -> pd.DataFrame:
    """Return what is known of these patients: the development encounters, and every accepted discharge with its day.

    Of the replay stream nothing is known but what arrived as discharges.
    """
    patients = sorted(set(discharges["patient_key"]))
    development = lake.read(
        ENCOUNTERS_TABLE,
        version=read.encounters,
        columns=[*KNOWN_COLUMNS, "readmitted"],
        where={"part": ["development"], "patient_key": patients},
    )
    arrived = lake.read(
        DISCHARGES_TABLE, version=read.discharges, columns=[*KNOWN_COLUMNS, DAY], where={"patient_key": patients}
    )
    return pd.concat([development.assign(**{DAY: None}), arrived.assign(readmitted=None)], ignore_index=True)


def work_list(encounters: pd.DataFrame, risk: "np.ndarray", model: ModelConfig) -> pd.DataFrame:
    """Rank a day's encounters by risk, name the band, and flag as many as the care team can follow up."""
    bands = list(model.risk_bands)
    edges = [*model.risk_bands.values(), 1.000001]
    listed = encounters.assign(risk=risk)
    listed["band"] = pd.cut(listed["risk"], edges, labels=bands, right=False).astype(object)
    # Equal risks keep the order of arrival, so that scoring again gives the same list.
    listed["rank"] = listed["risk"].rank(ascending=False, method="first").astype("int64")
    listed["flagged"] = listed["rank"] <= max(1, round(model.flag_share * len(listed)))
    return listed.sort_values("rank", ignore_index=True)
