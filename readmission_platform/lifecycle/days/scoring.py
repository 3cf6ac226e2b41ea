"""Scoring delivered days, and scoring one again from what was read the first time.

What belongs here: reading what is known of the entities at a table version, applying a version's artifact, and ranking
a day. What does not: which version scores a day, and who may ask (``assets.daily.inference``, ``tracing``), and the
list that the care team is given (``work_lists``).
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pandas as pd

from readmission_platform.config.model import ModelConfig
from readmission_platform.foundation.frames import group_digests
from readmission_platform.governance.ledger.versions import VersionRecord
from readmission_platform.governance.promotion.identities import NOBODY_JOINED, Identities
from readmission_platform.lifecycle.days.identities import known_identities
from readmission_platform.lifecycle.workspace import Workspace
from readmission_platform.models.contract import ModelContract
from readmission_platform.models.scoring import Scorer
from readmission_platform.storage.artifacts import load_artifact, verified_content
from readmission_platform.storage.tables import OUTCOMES, ModelLake

# What is ready to score, by the digest of its artifact: the version in production, and one beside it in the shadow. To
# prepare the reasons of one takes longer than to score a day.
_READY: OrderedDict[str, tuple[ModelContract, Scorer]] = OrderedDict()
_MOST_READY = 2


@dataclass(frozen=True)
class InputVersions:
    """The Delta versions a run reads, and who was who: every row of a prediction names them, to be scored again.

    There may be no outcomes yet. ``identities`` is not a version but what the ledger says up to an event.
    """

    delivered: int
    cohort: int
    outcomes: int | None
    identities: Identities = NOBODY_JOINED

    @classmethod
    def newest(cls, lake: ModelLake, cohort: int, identities: Identities = NOBODY_JOINED) -> "InputVersions":
        """Return the newest versions there are, but of the cohort the one that the scoring version was trained on.

        Whoever trains on another source replaces the cohort, and that of another source would know nothing of the
        entities whom the version in production scores.
        """
        outcomes = lake.open(OUTCOMES).version() if lake.exists(OUTCOMES) else None
        return cls(lake.open(lake.names.delivered).version(), cohort, outcomes, identities)


@dataclass(frozen=True)
class DeliveredRows:
    """The accepted rows of some days, and the table version that they were read at."""

    rows: pd.DataFrame
    version: int


def delivered_now(lake: ModelLake, days: Sequence[str]) -> DeliveredRows:
    """Return the accepted rows of days as they are now.

    The version first, then its rows: whoever takes in a day in between makes another version, by which the day is seen
    to have changed since it was scored.
    """
    version = lake.open(lake.names.delivered).version()
    return DeliveredRows(lake.read(lake.names.delivered, version=version, where={lake.day: list(days)}), version)


def score_days(
    delivered: DeliveredRows, versions: Mapping[str, VersionRecord], *, run_id: str, workspace: Workspace
) -> pd.DataFrame:
    """Score each day with its version; each artifact is verified against the ledger before it is loaded.

    Parameters
    ----------
    versions
        The version for each of these days.

    Returns
    -------
    One row per delivered row, day by day in order of rank and those withheld last: risk, band, rank and flag, why, and
    what they were made with.
    """
    lake = workspace.lake
    with workspace.ledger() as ledger:
        identities = known_identities(ledger)
    version_of = delivered.rows[lake.day].map({day: record.version for day, record in versions.items()})
    scored = []
    for record in {record.version: record for record in versions.values()}.values():
        rows = delivered.rows[version_of == record.version].reset_index(drop=True)
        if rows.empty:
            continue
        read = replace(InputVersions.newest(lake, record.cohort_version, identities), delivered=delivered.version)
        found = score_rows(rows, record, read, workspace)
        scored.append(pd.concat([rows[[lake.row, "entity_key", lake.day]], found], axis=1).assign(
            model_version=record.version, artifact_digest=record.artifact_digest,
            delivered_version=read.delivered, cohort_version=read.cohort,
            outcomes_version=pd.array([read.outcomes] * len(rows), dtype="Int64"),
            identities_event=read.identities.event))  # fmt: skip
    listed = ranked(pd.concat(scored, ignore_index=True), workspace.config, day=lake.day)
    digests = group_digests(delivered.rows, by=lake.day)
    return listed.assign(
        delivered_digest=listed[lake.day].map(digests), run_id=run_id,
        scored_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )  # fmt: skip


def score_rows(rows: pd.DataFrame, record: VersionRecord, read: InputVersions, workspace: Workspace) -> pd.DataFrame:
    """Score rows with a version, from what is known of their entities as it was read; raises ``ArtifactRefused``."""
    known = known_rows(workspace.lake, rows, read)
    named = rows.assign(entity_key=read.identities.named(rows["entity_key"]))
    return load_scorer(workspace, record).score(named, known)


def load_scorer(workspace: Workspace, record: VersionRecord) -> Scorer:
    """Load a version's artifact, verified against the ledger, ready to score; raises ``ArtifactRefused``.

    One that this process has loaded before is verified all the same, and not made ready again.
    """
    contract, root = workspace.contract, workspace.registry.root
    path, digest = str(record.artifact_path), str(record.artifact_digest)
    verified_content(root, path, digest=digest)
    of, scorer = _READY.pop(digest, (None, None))
    if scorer is None or of is not contract:
        scorer = Scorer(contract, load_artifact(contract.estimator, root, path, digest=digest))
    _READY[digest] = contract, scorer
    while len(_READY) > _MOST_READY:
        _READY.popitem(last=False)
    return scorer


def known_rows(lake: ModelLake, delivered: pd.DataFrame | None, read: InputVersions) -> pd.DataFrame:
    """Return what is known of the entities of these rows (None: of all): development rows, and accepted rows by day.

    Of the replay stream nothing is known but what arrived. A delivered row whose outcome has matured counts as
    development from then on; it is known from its day, as it was before. Outcomes come along; from which day on that of
    a delivered row is known is for the model's history to say. Who was joined has the pseudonym that is kept.
    """
    data = lake.contract.data
    only = {} if delivered is None else {"entity_key": sorted(read.identities.everybody(delivered["entity_key"]))}
    columns = [lake.row, "entity_key", *data.history_columns]
    stored = {field.name for field in lake.open(lake.names.cohort, read.cohort).schema().fields}
    development = lake.read(
        lake.names.cohort,
        version=read.cohort,
        columns=[*columns, *data.source_columns, lake.outcome, *stored & {lake.day}],
        where={"part": ["development"], **only},
    )
    if lake.day in development:
        development = development[development[lake.day].isna()]
    arrived = lake.read(lake.names.delivered, version=read.delivered, columns=[*columns, lake.day], where=only)
    ended = pd.Series(dtype="float64")
    if read.outcomes is not None:
        outcomes = lake.read(OUTCOMES, version=read.outcomes, columns=[lake.row, lake.outcome], where=only)
        ended = outcomes.set_index(lake.row)[lake.outcome].astype("float64")
    arrived = arrived.assign(**dict.fromkeys(data.source_columns), **{lake.outcome: arrived[lake.row].map(ended)})
    known = pd.concat([development.assign(**{lake.day: None}), arrived], ignore_index=True)
    return known.assign(entity_key=read.identities.named(known["entity_key"]))


def band_of(risk: float, bands: Mapping[str, float]) -> str | None:
    """Return the band of one risk, as ``ranked`` names it: the last one that begins at or below it."""
    found = None
    for name, lowest in bands.items():
        if risk >= lowest:
            found = name
    return found


def ranked(scored: pd.DataFrame, config: ModelConfig, *, day: str) -> pd.DataFrame:
    """Rank each day's scored rows by risk, name the band, and flag as many as the care team can follow up.

    Parameters
    ----------
    scored
        The column ``day`` and ``risk``, which is missing where a row is withheld; other columns come along.
    """
    bands = list(config.risk_bands)
    edges = [*config.risk_bands.values(), 1.000001]
    named = pd.cut(scored["risk"], edges, labels=bands, right=False).astype(object)
    named[scored["risk"].isna()] = None
    risks = scored.groupby(day)["risk"]
    # Equal risks keep the order of arrival, so that scoring again gives the same list.
    rank = risks.rank(ascending=False, method="first")
    capacity = (config.flag_share * risks.transform("count")).round().clip(lower=1)
    listed = scored.assign(band=named, rank=rank.astype("Int64"), flagged=rank <= capacity)
    return listed.sort_values([day, "rank"], kind="stable", ignore_index=True)
