"""What is true of a version right now: recomputed from the artifact's bytes and the evidence rows.

What belongs here: gathering facts for a decision. What does not: the decision (``governance.promotion.decision``).
Nothing recorded by a check or shown in the registry is believed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from readmission_platform.config.model import ModelConfig
from readmission_platform.evaluation.estimates.schema import EvidenceSchema
from readmission_platform.foundation.errors import GovernanceError
from readmission_platform.foundation.values import digest_of
from readmission_platform.governance.ledger.chain import Pointer
from readmission_platform.governance.ledger.versions import VersionRecord
from readmission_platform.governance.promotion.decision import VersionFacts
from readmission_platform.governance.promotion.drift_acceptances import Acceptance
from readmission_platform.lifecycle.monitoring.windows import drift_facts
from readmission_platform.lifecycle.versions.kept_figures import kept_comparison, kept_figures
from readmission_platform.lifecycle.versions.shadow_days import complete_days, shadow_days, shadow_rows
from readmission_platform.lifecycle.workspace import Workspace
from readmission_platform.storage.artifacts import artifact_digest
from readmission_platform.storage.lake import TableDamaged, TableMissing
from readmission_platform.storage.tables import ModelLake

# What a process keeps: documents of the version at hand and of the ones it is compared with, and comparisons.
_KEPT = 6
_documents: dict[tuple[str, str, EvidenceSchema | str], dict[str, Any]] = {}


class EvidenceMissing(GovernanceError):
    """The evidence rows of a version are gone or are not the recorded ones."""

    exit_code = 3


@dataclass(frozen=True)
class Evidence:
    """The evidence rows of a version, their digest as it is now, and the document computed from them."""

    rows: pd.DataFrame
    digest: str
    document: dict[str, Any]


class Gathered(NamedTuple):
    """The facts about a version, and what they were gathered from, so that nobody has to gather it twice.

    ``evidence`` is None where the rows are gone or changed; ``shadow`` holds the rows it scored in the shadow.
    """

    facts: VersionFacts
    evidence: Evidence | None
    shadow: pd.DataFrame


def evidence_rows(lake: ModelLake, record: VersionRecord) -> pd.DataFrame | None:
    """Return the evidence rows recorded for a version, or None if they are not there or their file is damaged."""
    location = record.evidence
    try:
        rows = lake.read(location["table"], version=location["table_version"], where={"version": [record.version]})
    except (TableMissing, TableDamaged, KeyError):
        return None
    return None if rows.empty else rows.drop(columns="version")


def recorded_evidence(lake: ModelLake, record: VersionRecord) -> pd.DataFrame:
    """Return the evidence rows of a version as they were recorded.

    Raises
    ------
    EvidenceMissing
        When they are gone, cannot be read, or are not the recorded ones.
    """
    from readmission_platform.evaluation.estimates.rows import InvalidEvidence, digest_rows

    rows = evidence_rows(lake, record)
    if rows is None:
        raise EvidenceMissing(f"the evidence rows of version {record.version} are gone; train it again")
    try:
        digest = digest_rows(rows, lake.contract.evidence)
    except InvalidEvidence as error:
        raise EvidenceMissing(f"the evidence rows of version {record.version} are unusable: {error}") from error
    if digest != record.evidence_digest:
        raise EvidenceMissing(f"the evidence rows of version {record.version} were changed; train it again")
    return rows


def estimates_of(rows: pd.DataFrame, digest: str, config: ModelConfig, schema: EvidenceSchema) -> dict[str, Any]:
    """Compute the evidence document of rows with this digest, once per process and content."""
    from readmission_platform.evaluation.estimates.evidence import evaluate

    key = (digest, digest_of(config), schema)
    if key not in _documents:
        document = evaluate(
            rows,
            schema=schema,
            flag_share=config.flag_share,
            wide_flag_share=config.wide_flag_share,
            thresholds=config.decision_thresholds,
            replicates=config.bootstrap_replicates,
            seed=config.seed,
        )
        _remember(key, document)
    return _documents[key]


def recall_figures(record: VersionRecord, workspace: Workspace) -> None:
    """Let this process, which only shows, use the figures kept when a version was judged; see ``kept_figures``."""
    document = kept_figures(record, workspace)
    if document is not None and record.evidence_digest:
        _remember((record.evidence_digest, digest_of(workspace.config), workspace.contract.evidence), document)
    comparison = kept_comparison(record, workspace)
    if comparison is not None and record.evidence_digest:
        theirs, estimates = comparison
        _remember((record.evidence_digest, digest_of(workspace.config), theirs), estimates)


def _remember(key: tuple[str, str, EvidenceSchema | str], document: dict[str, Any]) -> None:
    while len(_documents) >= _KEPT:
        _documents.pop(next(iter(_documents)))
    _documents[key] = document


def _comparison(
    rows: pd.DataFrame, digest: str, champion_rows: pd.DataFrame, champion_digest: str, config: ModelConfig
) -> dict[str, dict[str, Any]]:
    """Compare evidence rows with these digests, once per process and content; see :func:`champion_estimates`."""
    key = (digest, digest_of(config), champion_digest)
    if key not in _documents:
        _remember(key, champion_estimates(rows, champion_rows, config))
    return _documents[key]


def champion_estimates(
    rows: pd.DataFrame, champion_rows: pd.DataFrame, config: ModelConfig
) -> dict[str, dict[str, Any]]:
    """Compare with the version in production on rows neither was trained on: those of the test entities of both."""
    from readmission_platform.evaluation.estimates.comparison import compare

    both = shared_test_rows(rows, champion_rows)
    if both.empty:
        return {}
    return compare(
        both,
        thresholds=config.decision_thresholds,
        replicates=config.bootstrap_replicates,
        seed=config.seed,
    )


def shared_test_rows(rows: pd.DataFrame, champion_rows: pd.DataFrame) -> pd.DataFrame:
    """Return the evidence rows of the test entities of both versions, with the other's score as ``champion_score``."""
    theirs = champion_rows.loc[champion_rows["fold"] == 0, ["row_key", "score"]]
    return rows[rows["fold"] == 0].merge(theirs.rename(columns={"score": "champion_score"}), on="row_key")


def shadow_estimates(days: pd.DataFrame, mean_score: float) -> dict[str, Any]:
    """Summarise the shadow stage: mean risk against validation, and shares scored and withheld.

    Parameters
    ----------
    days
        As ``shadow_days`` returns them.
    mean_score
        Mean out-of-fold risk at validation.
    """
    if days.empty:
        return {}
    expected, listed, scored = (int(days[name].sum()) for name in ("accepted", "listed", "scored"))
    count = {"low": None, "high": None, "n": expected, "positives": None}
    ratio = float(days["risk"].sum() / scored / mean_score) if scored else None
    return {
        "shadow_observed_expected_ratio": {"value": ratio, **count},
        "shadow_scored_share": {"value": listed / expected if expected else None, **count},
        "shadow_withheld_share": {"value": (listed - scored) / listed if listed else None, **count},
    }


def gather(
    record: VersionRecord,
    *,
    records: Mapping[str, VersionRecord],
    pointers: Mapping[str, Pointer],
    workspace: Workspace,
    accepted: Sequence[Acceptance] | None = None,
) -> Gathered:
    """Gather everything a decision about a version needs, from bytes and rows as they are now.

    Parameters
    ----------
    accepted
        The acceptances of drift of this version that count now; None where nothing is asked of drift, as on the way
        into staging.
    """
    from readmission_platform.evaluation.estimates.rows import InvalidEvidence, digest_rows

    lake, config, schema = workspace.lake, workspace.config, workspace.contract.evidence
    root = workspace.registry.root
    artifact = digest_now(root, record)
    rows, scored = evidence_rows(lake, record), shadow_rows(lake, record)
    limit_set = workspace.limits_of(record.source)
    nothing = Gathered(VersionFacts(artifact, None, None, 0, has_champion=False, limit_set=limit_set), None, scored)
    if rows is None:
        return nothing
    try:
        digest = digest_rows(rows, schema)
    except InvalidEvidence:
        return nothing
    if digest != record.evidence_digest:  # figures made from changed rows would mean nothing, or not even be defined
        found = VersionFacts(artifact, digest, None, 0, has_champion=False, limit_set=limit_set)
        return Gathered(found, None, scored)
    evidence = Evidence(rows, digest, estimates_of(rows, digest, config, schema))
    estimates = dict(evidence.document["estimates"]) | measured_at_training(record)
    champion = records.get(pointers["production"].version or "")
    compared: dict[str, dict[str, Any]] = {}
    if champion is not None and champion.version != record.version:
        champion_rows = evidence_rows(lake, champion)
        if champion_rows is not None and digest_rows(champion_rows, schema) == champion.evidence_digest:
            compared = _comparison(rows, digest, champion_rows, str(champion.evidence_digest), config)
    days = shadow_days(lake, scored)
    facts = VersionFacts(
        artifact_digest=artifact,
        evidence_digest=digest,
        estimates=estimates | compared | shadow_estimates(days, float(rows["score"].mean())),
        shadow_days=complete_days(days),
        has_champion=bool(compared),
        champion_version=champion.version if compared and champion else None,
        drift=None if accepted is None else drift_facts(lake, record, workspace.monitoring.drift, accepted),
        limit_set=limit_set,
    )
    return Gathered(facts, evidence, scored)


def digest_now(root: Path, record: VersionRecord) -> str | None:
    """Return the digest of a version's model file as it is now, None where it is missing.

    Beside it may lie what single rows are scored with. Where that is not what was recorded, its own digest is returned
    (None where it is missing): the version is not the one that was judged, whichever of its files was changed.
    """
    rows = record.rows
    if rows is not None:
        beside = artifact_digest(root, str(rows.get("path")))
        if beside != rows.get("digest"):
            return beside
    return artifact_digest(root, record.artifact_path) if record.artifact_path else None


def measured_at_training(record: VersionRecord) -> dict[str, Any]:
    """Return what was measured on the artifact itself when it was stored, as estimates."""
    measured = record.trained.get("measurements", {})
    return {name: {"value": value, "low": None, "high": None, "n": None, "positives": None}
            for name, value in measured.items()}  # fmt: skip
