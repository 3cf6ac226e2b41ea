"""Scoring days of discharges, and scoring one again from what was read the first time.

What belongs here: reading what is known of the patients at a table version, applying a version's artifact, and ranking
a day. What does not: which version scores a day, and who may ask (``inference``, ``tracing``), and the list that the
care team is given (``worklist``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from readmission_platform.config.model import ModelConfig
from readmission_platform.encounters.history import KNOWN_COLUMNS
from readmission_platform.foundation.frames import group_digests
from readmission_platform.governance.ledger.versions import VersionRecord
from readmission_platform.models.readmission_30d import CONTRACT
from readmission_platform.resources.tracking import TrackingResource
from readmission_platform.storage.artifacts import load_artifact
from readmission_platform.storage.lake import Lake

if TYPE_CHECKING:
    from readmission_platform.models.scoring import Scorer

DAY = "discharge_date"
DISCHARGES_TABLE = "daily_discharges"
ENCOUNTERS_TABLE = "eligible_encounters"
OUTCOMES_TABLE = "matured_outcomes"
# What scoring the same day again changes although every score stays the same.
CIRCUMSTANCES = ["run_id", "scored_at", "discharges_version", "encounters_version", "outcomes_version"]


@dataclass(frozen=True)
class InputVersions:
    """The Delta versions a run reads: every row of a prediction names them, so that it can be scored again.

    There may be no outcomes yet, and predictions by older releases were made without them.
    """

    discharges: int
    encounters: int
    outcomes: int | None

    @classmethod
    def newest(cls, lake: Lake, encounters: int | None = None) -> "InputVersions":
        """Return the newest versions there are; of the eligible encounters the one a model was trained on, if given.

        Whoever trains on another source replaces the eligible encounters, and those of another source would know
        nothing of the patients whom the version in production scores.
        """
        known = lake.open(ENCOUNTERS_TABLE).version() if encounters is None else encounters
        outcomes = lake.open(OUTCOMES_TABLE).version() if lake.exists(OUTCOMES_TABLE) else None
        return cls(lake.open(DISCHARGES_TABLE).version(), known, outcomes)


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
    One row per discharge, day by day in order of rank and those withheld last: risk, band, rank and flag, why, and what
    they were made with.
    """
    version_of = discharges[DAY].map({day: record.version for day, record in versions.items()})
    scored = []
    for record in {record.version: record for record in versions.values()}.values():
        rows = discharges[version_of == record.version].reset_index(drop=True)
        if rows.empty:
            continue
        read = InputVersions.newest(lake, record.encounters_version)
        found = load_scorer(tracking, record).score(rows, known_encounters(lake, rows, read))
        scored.append(pd.concat([rows[["encounter_id", "entity_key", DAY]], found], axis=1).assign(
            model_version=record.version, artifact_digest=record.artifact_digest,
            discharges_version=read.discharges, encounters_version=read.encounters,
            outcomes_version=pd.array([read.outcomes] * len(rows), dtype="Int64")))  # fmt: skip
    listed = ranked(pd.concat(scored, ignore_index=True), model)
    digests = group_digests(discharges, by=DAY)
    return listed.assign(
        discharges_digest=listed[DAY].map(digests), run_id=run_id,
        scored_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )  # fmt: skip


def load_scorer(tracking: TrackingResource, record: VersionRecord) -> "Scorer":
    """Load a version's artifact, verified against the ledger, ready to score; raises ``ArtifactRefused``."""
    from readmission_platform.models.scoring import Scorer

    return Scorer(CONTRACT, load_artifact(tracking.root, str(record.artifact_path), digest=str(record.artifact_digest)))


def known_encounters(lake: Lake, discharges: pd.DataFrame, read: InputVersions) -> pd.DataFrame:
    """Return what is known of these patients: the development encounters, and every accepted discharge with its day.

    Of the replay stream nothing is known but what arrived as discharges. A discharge whose outcome has matured counts
    as development from then on; it is known from its day, as it was before. Its outcome comes along as
    ``readmitted_30d``; from which day on that is known is for ``encounters.history`` to say.
    """
    patients = sorted(set(discharges["entity_key"]))
    stored = {field.name for field in lake.open(ENCOUNTERS_TABLE, read.encounters).schema().fields}
    development = lake.read(
        ENCOUNTERS_TABLE,
        version=read.encounters,
        columns=[*KNOWN_COLUMNS, "readmitted", *stored & {DAY}],
        where={"part": ["development"], "entity_key": patients},
    )
    if DAY in development:
        development = development[development[DAY].isna()]
    arrived = lake.read(
        DISCHARGES_TABLE, version=read.discharges, columns=[*KNOWN_COLUMNS, DAY], where={"entity_key": patients}
    )
    ended = pd.Series(dtype="float64")
    if read.outcomes is not None:
        outcomes = lake.read(
            OUTCOMES_TABLE, version=read.outcomes, columns=["encounter_id", "readmitted_30d"],
            where={"entity_key": patients},
        )  # fmt: skip
        ended = outcomes.set_index("encounter_id")["readmitted_30d"].astype("float64")
    arrived = arrived.assign(readmitted=None, readmitted_30d=arrived["encounter_id"].map(ended))
    return pd.concat([development.assign(**{DAY: None, "readmitted_30d": np.nan}), arrived], ignore_index=True)


def ranked(scored: pd.DataFrame, model: ModelConfig) -> pd.DataFrame:
    """Rank each day's scored encounters by risk, name the band, and flag as many as the care team can follow up.

    Parameters
    ----------
    scored
        ``discharge_date`` and ``risk``, which is missing where an encounter is withheld; other columns come along.
    """
    bands = list(model.risk_bands)
    edges = [*model.risk_bands.values(), 1.000001]
    named = pd.cut(scored["risk"], edges, labels=bands, right=False).astype(object)
    named[scored["risk"].isna()] = None
    risks = scored.groupby(DAY)["risk"]
    # Equal risks keep the order of arrival, so that scoring again gives the same list.
    rank = risks.rank(ascending=False, method="first")
    capacity = (model.flag_share * risks.transform("count")).round().clip(lower=1)
    listed = scored.assign(band=named, rank=rank.astype("Int64"), flagged=rank <= capacity)
    return listed.sort_values([DAY, "rank"], kind="stable", ignore_index=True)
