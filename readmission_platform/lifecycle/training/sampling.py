"""The data scientist's fast path: the same science on a share of the patients, with nothing registered or recorded."""

from pathlib import Path
from typing import Any

from readmission_platform.assets.encounters.ingestion import Source, SourceConfig
from readmission_platform.assets.model.training import evidence_of
from readmission_platform.config.environment import Settings
from readmission_platform.config.files import gate_policy, model_config
from readmission_platform.config.governance import LimitSet
from readmission_platform.encounters.cohort import eligible_encounters
from readmission_platform.encounters.history import history_of
from readmission_platform.encounters.sources import load_synthetic, load_uci
from readmission_platform.evaluation.estimates.folds import entity_folds
from readmission_platform.governance.policy.gates import GateResult, evaluate_gates
from readmission_platform.governance.policy.required import required_gates
from readmission_platform.intake.sources import SourceRequest
from readmission_platform.lifecycle.versions.version_facts import estimates_of
from readmission_platform.models.readmission_30d import CONTRACT
from readmission_platform.models.readmission_30d.evidence import SCHEMA
from readmission_platform.storage.home import pseudonym_key


def train_on_sample(settings: Settings, source: SourceConfig, share: float) -> tuple[dict[str, Any], list[GateResult]]:
    """Cross-validate on a share of the patients; returns the evidence document and the candidate gates' results."""
    from readmission_platform.evaluation.estimates.rows import digest_rows

    model = model_config(settings)
    archive = Path(source.archive) if source.archive else None
    request = SourceRequest(archive=archive, rows=source.encounters, seed=source.seed, cache=settings.home / "cache")
    loaded = load_uci(request) if source.source is Source.uci else load_synthetic(request)
    key = pseudonym_key(settings)
    eligible = eligible_encounters(loaded.frame, key=key, replay_share=model.replay_share)
    # By the end of the pseudonym, since its beginning decides the fold.
    drawn = eligible["entity_key"].map(lambda pseudonym: int(pseudonym[-8:], 16) < share * 2**32)
    development = eligible[(eligible["part"] == "development") & drawn].reset_index(drop=True)
    features = development.join(history_of(development, development))
    folds = entity_folds(features["entity_key"], folds=model.folds).to_numpy()
    labels = features["readmitted_30d"].to_numpy()
    fitted = CONTRACT.estimator.cross_validate(features, labels, folds, model.fit_settings, seed=model.seed)
    rows = evidence_of(features, labels, folds, fitted.scores, key)
    document = estimates_of(rows, digest_rows(rows, SCHEMA), model)
    limits: LimitSet = "real" if source.source is Source.uci else "synthetic"
    return document, evaluate_gates(
        document["estimates"],
        gate_policy(settings),
        required=required_gates(SCHEMA),
        limit_set=limits,
        stages=("candidate",),
    )
