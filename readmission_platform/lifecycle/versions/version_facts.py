"""What is true of a version right now: recomputed from the artifact's bytes and the evidence rows.

What belongs here: gathering facts for a decision. What does not: the decision (``governance.promotion.decision``).
Nothing recorded by a check or shown in the registry is believed.
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from readmission_platform.config.model import ModelConfig
from readmission_platform.config.monitoring import DriftConfig
from readmission_platform.foundation.errors import GovernanceError
from readmission_platform.governance.ledger.chain import Pointer
from readmission_platform.governance.ledger.versions import VersionRecord
from readmission_platform.governance.promotion.decision import VersionFacts
from readmission_platform.lifecycle.monitoring.windows import drift_facts
from readmission_platform.models.readmission_30d.evidence import SCHEMA
from readmission_platform.storage.artifacts import artifact_digest
from readmission_platform.storage.lake import Lake, TableMissing

EVIDENCE_TABLE = "model_evidence"
SHADOW_TABLE = "shadow_predictions"
ACCOUNTING_TABLE = "discharge_accounting"


class EvidenceMissing(GovernanceError):
    """The evidence rows of a version are gone or are not the recorded ones."""

    exit_code = 3


def evidence_rows(lake: Lake, record: VersionRecord) -> pd.DataFrame | None:
    """Return the evidence rows recorded for a version, or None if they are not there or their file is damaged."""
    from deltalake.exceptions import DeltaError
    from pyarrow import ArrowException

    location = record.evidence
    try:
        rows = lake.read(location["table"], version=location["table_version"], where={"version": [record.version]})
    except (TableMissing, KeyError, OSError, ArrowException, DeltaError):  # a changed byte often ends the reading
        return None
    return None if rows.empty else rows.drop(columns="version")


def recorded_evidence(lake: Lake, record: VersionRecord) -> pd.DataFrame:
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
        digest = digest_rows(rows, SCHEMA)
    except InvalidEvidence as error:
        raise EvidenceMissing(f"the evidence rows of version {record.version} are unusable: {error}") from error
    if digest != record.evidence_digest:
        raise EvidenceMissing(f"the evidence rows of version {record.version} were changed; train it again")
    return rows


def estimates_of(rows: pd.DataFrame, digest: str, model: ModelConfig) -> dict[str, Any]:
    """Compute the evidence document of rows with this digest, once per process and content."""
    return _document(_Rows(rows, digest), model.model_dump_json())


class _Rows:
    """Evidence rows that compare by their digest, so that equal content is evaluated once."""

    def __init__(self, frame: pd.DataFrame, digest: str) -> None:
        self.frame, self.digest = frame, digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Rows) and self.digest == other.digest


@lru_cache(maxsize=4)
def _document(rows: _Rows, model_json: str) -> dict[str, Any]:
    from readmission_platform.evaluation.estimates.evidence import evaluate

    model = ModelConfig.model_validate_json(model_json)
    return evaluate(
        rows.frame,
        schema=SCHEMA,
        flag_share=model.flag_share,
        wide_flag_share=model.wide_flag_share,
        thresholds=model.decision_thresholds,
        replicates=model.bootstrap_replicates,
        seed=model.seed,
    )


def champion_estimates(
    rows: pd.DataFrame, champion_rows: pd.DataFrame, model: ModelConfig
) -> dict[str, dict[str, Any]]:
    """Compare with the version in production on encounters neither was trained on: the test patients of both."""
    from readmission_platform.evaluation.estimates.comparison import compare

    both = shared_test_patients(rows, champion_rows)
    if both.empty:
        return {}
    return compare(
        both,
        thresholds=model.decision_thresholds,
        replicates=model.bootstrap_replicates,
        seed=model.seed,
    )


def shared_test_patients(rows: pd.DataFrame, champion_rows: pd.DataFrame) -> pd.DataFrame:
    """Return the evidence rows of the test patients of both versions, with the other's score as ``champion_score``."""
    theirs = champion_rows.loc[champion_rows["fold"] == 0, ["row_key", "score"]]
    return rows[rows["fold"] == 0].merge(theirs.rename(columns={"score": "champion_score"}), on="row_key")


def shadow_estimates(lake: Lake, record: VersionRecord, mean_score: float) -> tuple[dict[str, Any], int]:
    """Summarise the shadow stage: mean risk against validation, shares scored and withheld, and the complete days."""
    days = _shadow_days(lake, record)
    if days.empty:
        return {}, 0
    expected, listed, scored = (int(days[name].sum()) for name in ("accepted", "listed", "scored"))
    count = {"low": None, "high": None, "n": expected, "positives": None}
    ratio = float(days["risk"].sum() / scored / mean_score) if scored else None
    return {
        "shadow_observed_expected_ratio": {"value": ratio, **count},
        "shadow_scored_share": {"value": listed / expected if expected else None, **count},
        "shadow_withheld_share": {"value": (listed - scored) / listed if listed else None, **count},
    }, _complete(days)


def shadow_days(lake: Lake, record: VersionRecord) -> int:
    """Return how many days the version has scored completely in the shadow."""
    return _complete(_shadow_days(lake, record))


def _complete(days: pd.DataFrame) -> int:
    return int(((days["listed"] == days["accepted"]) & (days["accepted"] > 0)).sum())


def _shadow_days(lake: Lake, record: VersionRecord) -> pd.DataFrame:
    """Return per day the version shadow-scored: encounters ``accepted``, ``listed``, ``scored``, and summed ``risk``.

    Listed are those scored and those withheld for a reason: withholding is an answer, not a gap.
    """
    nothing = pd.DataFrame({"listed": [], "scored": [], "risk": [], "accepted": []})
    if not (lake.exists(SHADOW_TABLE) and lake.exists(ACCOUNTING_TABLE)):
        return nothing
    rows = lake.read(SHADOW_TABLE, where={"model_version": [record.version]})
    rows = rows[rows["artifact_digest"] == record.artifact_digest]
    if "status" in rows:  # older tables have none: nothing was withheld then
        rows = rows[rows["risk"].notna() | (rows["status"] == "withheld")]
    if rows.empty:
        return nothing
    per_day = rows.groupby("discharge_date").agg(
        listed=("encounter_id", "nunique"), scored=("risk", "count"), risk=("risk", "sum")
    )
    accounted = lake.read(ACCOUNTING_TABLE, where={"discharge_date": sorted(per_day.index)})
    return per_day.join(accounted.set_index("discharge_date")["accepted"], how="inner")


def version_facts(
    record: VersionRecord,
    *,
    records: Mapping[str, VersionRecord],
    pointers: Mapping[str, Pointer],
    lake: Lake,
    artifact_root: Path,
    model: ModelConfig,
    drift: DriftConfig | None = None,
) -> VersionFacts:
    """Gather everything a decision about a version needs, from bytes and rows as they are now.

    Without ``drift`` nothing is said of drift, which only the way into production needs.
    """
    from readmission_platform.evaluation.estimates.rows import InvalidEvidence, digest_rows

    artifact = artifact_digest(artifact_root, record.artifact_path) if record.artifact_path else None
    rows = evidence_rows(lake, record)
    champion = records.get(pointers["production"].version or "")
    if rows is None:
        return VersionFacts(artifact, None, None, 0, has_champion=False)
    try:
        digest = digest_rows(rows, SCHEMA)
    except InvalidEvidence:
        return VersionFacts(artifact, None, None, 0, has_champion=False)
    if digest != record.evidence_digest:  # figures made from changed rows would mean nothing, or not even be defined
        return VersionFacts(artifact, digest, None, 0, has_champion=False)
    estimates = dict(estimates_of(rows, digest, model)["estimates"]) | measured_at_training(record)
    compared: dict[str, dict[str, Any]] = {}
    if champion is not None and champion.version != record.version:
        champion_rows = evidence_rows(lake, champion)
        if champion_rows is not None and digest_rows(champion_rows, SCHEMA) == champion.evidence_digest:
            compared = champion_estimates(rows, champion_rows, model)
    shadow, days = shadow_estimates(lake, record, float(rows["score"].mean()))
    return VersionFacts(
        artifact_digest=artifact,
        evidence_digest=digest,
        estimates=estimates | compared | shadow,
        shadow_days=days,
        has_champion=bool(compared),
        champion_version=champion.version if compared and champion else None,
        drift=drift_facts(lake, record, drift) if drift else None,
    )


def measured_at_training(record: VersionRecord) -> dict[str, Any]:
    """Return what was measured on the artifact itself when it was stored, as estimates."""
    measured = record.trained.get("measurements", {})
    return {name: {"value": value, "low": None, "high": None, "n": None, "positives": None}
            for name, value in measured.items()}  # fmt: skip
