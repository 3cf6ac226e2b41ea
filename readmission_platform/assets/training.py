"""Training: from features to a registered, recorded candidate.

What belongs here: ``candidate_model``. What does not: the model (``science.model``), and any judgement of it.
"""

from typing import Any

import dagster as dg
import numpy as np
import pandas as pd

from readmission_platform.assets.facts import EVIDENCE_TABLE
from readmission_platform.assets.presentation import (
    SCIENCE_TEAM,
    blocking_specs,
    check_result,
    picture,
    table,
)
from readmission_platform.config import digest_of
from readmission_platform.governance.promotion import limit_set_of
from readmission_platform.resources.lake import LakeResource, frame_digest
from readmission_platform.resources.project import ProjectResource
from readmission_platform.resources.tracking import StoredModel, TrackingResource, load_artifact
from readmission_platform.science.cohort import pseudonyms, subgroups

PARITY_PATIENTS = 300
TOLERANCE = 1e-9

CHECKS = {
    "artifact_round_trips": "The stored artifact, loaded with our allow-list, gives the same scores.",
    "serving_parity": "Encounters scored through the daily path get the score they got in training.",
}


class TrainingConfig(dg.Config):
    """What may differ from configs/model.yaml for one training run."""

    seed: int | None = None


@dg.asset(
    group_name="training",
    owners=[SCIENCE_TEAM],
    kinds={"scikitlearn", "mlflow"},
    code_version="1",
    pool="training",
    check_specs=blocking_specs("candidate_model", CHECKS),
)
def candidate_model(
    context: dg.AssetExecutionContext,
    config: TrainingConfig,
    encounter_features: pd.DataFrame,
    patient_split: pd.DataFrame,
    eligible_encounters: pd.DataFrame,
    project: ProjectResource,
    tracking: TrackingResource,
    lake: LakeResource,
) -> dg.MaterializeResult:
    """A gradient boosting model, calibrated, registered in MLflow, with its evidence recorded in the ledger.

    Five models are fitted by patient-grouped fold; each encounter is scored by the one that never saw its patient.
    The model of fold 0 is shipped; the patients of fold 0 are its test patients. A version registered here is a
    candidate and nothing more: only its evidence can take it further.
    """
    from readmission_platform.evaluation.metrics import auroc
    from readmission_platform.science.model import cross_validate, permutation_importance, score
    from readmission_platform.science.scoring import serving_parity

    model = project.model
    seed = model.seed if config.seed is None else config.seed
    folds, labels = patient_split["fold"].to_numpy(), encounter_features["readmitted_30d"].to_numpy()
    if not encounter_features["encounter_id"].equals(patient_split["encounter_id"]):
        raise ValueError("encounter_features and patient_split are of different data versions; materialize both")

    with tracking.run(context) as mlflow:
        mlflow.log_params({**model.boosting.model_dump(), "seed": seed, "folds": model.folds})
        fitted = cross_validate(
            encounter_features, labels, folds, boosting=model.boosting.model_dump(), seed=seed,
            progress=lambda done, total: context.log.info(f"fold {done} of {total} fitted"),
        )  # fmt: skip
        rows = evidence_of(encounter_features, labels, folds, fitted.scores, project.pseudonym_key)
        mlflow.log_metric("auroc_out_of_fold", auroc(labels=labels, scores=fitted.scores))
        stored = tracking.store(
            fitted.model,
            name=model.name,
            signature=_signature(encounter_features, fitted.scores),
            tags={"dagster_run_id": context.run.run_id},
        )

    test = folds == 0
    loaded = load_artifact(tracking.root, stored.path, digest=stored.digest)
    test_scores = score(fitted.model, encounter_features[test])
    development = eligible_encounters[eligible_encounters["part"] == "development"].reset_index(drop=True)
    shipped_scores = np.full(len(development), np.nan)
    shipped_scores[test] = test_scores
    measured = {
        "roundtrip_difference": float(np.abs(score(loaded, encounter_features[test]) - test_scores).max()),
        "parity_difference": serving_parity(loaded, development, shipped_scores, patients=PARITY_PATIENTS),
    }
    written = lake.open().write(
        EVIDENCE_TABLE,
        rows.assign(version=stored.version),
        partition=("version", [stored.version]),
        metadata={"run_id": context.run.run_id},
    )
    importance = permutation_importance(
        fitted.model, encounter_features[test], labels[test], seed=seed,
        auroc=lambda outcome, scores: auroc(labels=outcome, scores=scores),
    )  # fmt: skip
    from readmission_platform.evaluation.rows import digest_rows

    trained = {
        "run_id": context.run.run_id,
        "mlflow_run_id": stored.mlflow_run_id,
        "source": encounter_features.attrs["source"],
        "limit_set": limit_set_of(encounter_features.attrs["source"]),
        "artifact": {"path": stored.path, "digest": stored.digest},
        "evidence": {"table": EVIDENCE_TABLE, "table_version": written.version, "digest": digest_rows(rows)},
        "data": {
            "table": "encounter_features",
            "table_version": lake.open().open("encounter_features").version(),
            "digest": frame_digest(encounter_features),
        },
        "split_digest": frame_digest(patient_split),
        "code_version": project.code_version,
        "model_config": digest_of(model),
        "seed": seed,
        "trained_by": project.actor,
        "measurements": measured,
        # What drift monitoring watches: the inputs this version relies on most.
        "importance": {row["feature"]: round(row["loss"], 6) for row in importance.to_dict("records")},
    }
    with project.ledger() as ledger:
        ledger.append("version_trained", trained, actor=project.actor, version=stored.version)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(stored.digest),
        metadata=_metadata(stored, importance, trained),
        tags={"model_version": stored.version},
        check_results=[
            check_result("artifact_round_trips", measured["roundtrip_difference"] <= TOLERANCE,
                         observed=f"largest difference {measured['roundtrip_difference']:.1e}",
                         rule=CHECKS["artifact_round_trips"],
                         action="Do not promote: what would run is not what was judged."),
            check_result("serving_parity", measured["parity_difference"] <= TOLERANCE,
                         observed=f"largest difference {measured['parity_difference']:.1e}, {PARITY_PATIENTS} patients",
                         rule=CHECKS["serving_parity"],
                         action="Find the input that differs between science.scoring and the training table."),
        ],
    )  # fmt: skip


def evidence_of(
    features: pd.DataFrame, labels: np.ndarray, folds: np.ndarray, scores: np.ndarray, key: bytes
) -> pd.DataFrame:
    """Build the evidence rows: pseudonymised, with the subgroups and the baselines the gates look at."""
    from readmission_platform.science.clinical_scores import hospital, lace

    groups = subgroups(features)
    return pd.DataFrame(
        {
            "encounter_key": pseudonyms(features["encounter_id"], key, purpose="encounter"),
            "patient_key": features["patient_key"],
            "fold": folds.astype("int8"),
            "clock": features["clock"],
            "label": labels.astype("int8"),
            "score": scores,
            **{name: groups[name] for name in groups},
            "lace": lace(features),
            "hospital": hospital(features),
            "number_inpatient": features["number_inpatient"].astype("float64"),
        }
    )


def _signature(features: pd.DataFrame, scores: np.ndarray) -> Any:
    """Describe the model's inputs by name and type; no row is stored."""
    from mlflow.models import infer_signature

    from readmission_platform.science.features import MODEL_INPUTS

    few = features[MODEL_INPUTS].head(200)
    # Integer columns cannot hold a missing value, so MLflow would refuse one at scoring time.
    few = few.astype(dict.fromkeys(few.select_dtypes("integer").columns, "float64"))
    return infer_signature(few, scores[:200])


def _metadata(stored: StoredModel, importance: pd.DataFrame, trained: dict[str, Any]) -> dict[str, Any]:
    from readmission_platform.evaluation.plots import importances_png

    top = [{"name": row["feature"], "value": row["loss"], "low": row["low"], "high": row["high"]}
           for row in importance.head(15).to_dict("records")]  # fmt: skip
    drawn = importances_png(top, title="What the model relies on", axis="AUROC lost when the feature is shuffled")
    return {
        "model version": stored.version,
        "MLflow run": stored.mlflow_run_id,
        "artifact digest": stored.digest,
        "source": trained["source"],
        "code version": trained["code_version"],
        "evidence digest": trained["evidence"]["digest"],
        "permutation importance": picture(drawn, "Permutation importance on test patients"),
        "importance table": table(importance.to_dict("records")),
    }
