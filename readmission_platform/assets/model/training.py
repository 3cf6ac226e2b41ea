"""Training: from features to a registered, recorded candidate.

What belongs here: ``candidate_model``. What does not: the model and its explanations (``models.readmission_30d``), what
is kept of its inputs (``training_record``), its checks (``training_checks``), and judging it (``validation``).
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg
import numpy as np
import pandas as pd

from readmission_platform.assets.model.training_checks import CHECKS, Study, check_results_of, measured_on
from readmission_platform.assets.presentation import (
    SCIENCE_TEAM,
    blocking_specs,
    picture,
    table,
)
from readmission_platform.config.model import ModelConfig
from readmission_platform.encounters.cohort import subgroups
from readmission_platform.evaluation.leakage import permuted_labels_auroc
from readmission_platform.foundation.frames import frame_digest
from readmission_platform.foundation.pseudonyms import pseudonyms
from readmission_platform.foundation.values import digest_of
from readmission_platform.governance.promotion.decision import limit_set_of
from readmission_platform.lifecycle.days.scoring import ENCOUNTERS_TABLE
from readmission_platform.lifecycle.training.training_record import FEATURES_TABLE, cohort_of, recipe_of, split_of
from readmission_platform.lifecycle.versions.version_facts import EVIDENCE_TABLE
from readmission_platform.models.readmission_30d import CONTRACT
from readmission_platform.models.readmission_30d.evidence import SCHEMA
from readmission_platform.models.readmission_30d.explanation import EXPLANATION
from readmission_platform.resources.lake import LakeResource
from readmission_platform.resources.project import ProjectResource
from readmission_platform.resources.tracking import TrackingResource
from readmission_platform.storage.artifacts import StoredModel
from readmission_platform.storage.lake import Lake

if TYPE_CHECKING:
    from readmission_platform.models.contract import CrossValidated


class TrainingConfig(dg.Config):
    """What may differ from configs/model.yaml for one training run."""

    seed: int | None = None


@dg.asset(
    group_name="training",
    owners=[SCIENCE_TEAM],
    kinds={"scikitlearn", "mlflow"},
    code_version="2",
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
    from readmission_platform.evaluation.estimates.metrics import auroc

    model, tables = project.model, lake.open()
    study = Study.of(encounter_features, patient_split, model.seed if config.seed is None else config.seed)
    with tracking.run(context) as mlflow:
        mlflow.log_params(_parameters(model, study.seed))
        found = _fit(context, study, model)
        fitted = found.model
        rows = evidence_of(
            study.frame, study.labels, study.folds, fitted.scores, project.pseudonym_key, logistic=found.logistic
        )
        mlflow.log_metric("auroc_out_of_fold", auroc(labels=study.labels, scores=fitted.scores))
        stored = tracking.store(
            fitted.model,
            name=model.name,
            signature=_signature(study.frame, fitted.scores),
            tags={"dagster_run_id": context.run.run_id},
        )
    measured = measured_on(study, fitted, stored, tracking, eligible_encounters)
    measured["permuted_labels_auroc"] = found.permuted_labels_auroc
    test = study.frame[study.test].reset_index(drop=True)
    explained = EXPLANATION.explained(fitted.model, test, study.labels[study.test], test["entity_key"], seed=study.seed)
    trained = {
        "run_id": context.run.run_id,
        "mlflow_run_id": stored.mlflow_run_id,
        "source": encounter_features.attrs["source"],
        "limit_set": limit_set_of(encounter_features.attrs["source"]),
        "artifact": {"path": stored.path, "digest": stored.digest},
        "evidence": _kept_evidence(tables, rows, stored.version, context.run.run_id),
        "data": {
            "table": FEATURES_TABLE,
            "table_version": tables.open(FEATURES_TABLE).version(),
            "digest": frame_digest(encounter_features),
        },
        # What scoring knows of the patients besides the days that arrived.
        "encounters": {"table": ENCOUNTERS_TABLE, "table_version": tables.open(ENCOUNTERS_TABLE).version()},
        "split_digest": frame_digest(patient_split),
        "split": split_of(tables, patient_split),
        "recipe": recipe_of(model, CONTRACT.estimator.feature_names(fitted.model)),
        "cohort": cohort_of(tables, eligible_encounters, encounter_features),
        "code_version": project.code_version,
        "model_config": digest_of(model),
        "seed": study.seed,
        "trained_by": project.actor,
        "measurements": measured,
        # What drift monitoring watches: the inputs this version relies on most.
        "importance": {name: round(loss, 6) for name, loss in explained.importance.items()},
        "explanations": explained.document,
    }
    with project.ledger() as ledger:
        ledger.append("version_trained", trained, actor=project.actor, version=stored.version)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(stored.digest),
        metadata=_metadata(stored, trained),
        tags={"model_version": stored.version},
        check_results=check_results_of(measured, model),
    )


def _parameters(model: ModelConfig, seed: int) -> dict[str, Any]:
    settings = model.boosting.model_dump()
    return {**settings, "target_smoothing": model.target_smoothing, "seed": seed, "folds": model.folds}


@dataclass(frozen=True)
class Fitted:
    """The model, the risks of the logistic regression it has to beat, and what permuted labels taught the recipe."""

    model: "CrossValidated"
    logistic: np.ndarray
    permuted_labels_auroc: float


def _fit(context: dg.AssetExecutionContext, study: Study, model: ModelConfig) -> Fitted:
    """Cross-validate the model and, where a core is free, fit what it is held against."""
    from readmission_platform.models.readmission_30d.baseline import logistic_scores

    estimator, trained_on = CONTRACT.estimator, (study.frame, study.labels, study.folds)

    def out_of_fold(inputs: pd.DataFrame, labels: np.ndarray, folds: np.ndarray) -> np.ndarray:
        return estimator.cross_validate(inputs, labels, folds, model.fit_settings, seed=study.seed).scores

    with ThreadPoolExecutor(max_workers=1) as beside:
        logistic = beside.submit(logistic_scores, *trained_on)
        permuted = beside.submit(permuted_labels_auroc, out_of_fold, *trained_on, seed=study.seed)
        fitted = estimator.cross_validate(
            *trained_on, model.fit_settings, seed=study.seed,
            progress=lambda done, total: context.log.info(f"fold {done} of {total} fitted"),
        )  # fmt: skip
        return Fitted(fitted, logistic.result(), permuted.result())


def _kept_evidence(lake: Lake, rows: pd.DataFrame, version: str, run_id: str) -> dict[str, Any]:
    """Write the evidence rows and return where they are, with their digest."""
    from readmission_platform.evaluation.estimates.rows import digest_rows

    written = lake.write(
        EVIDENCE_TABLE,
        rows.assign(version=version),
        partition=("version", [version]),
        metadata={"run_id": run_id},
    )
    return {"table": EVIDENCE_TABLE, "table_version": written.version, "digest": digest_rows(rows, SCHEMA)}


def evidence_of(
    features: pd.DataFrame,
    labels: np.ndarray,
    folds: np.ndarray,
    scores: np.ndarray,
    key: bytes,
    *,
    logistic: np.ndarray | None = None,
) -> pd.DataFrame:
    """Build the evidence rows: pseudonymised, with the subgroups and the baselines the gates look at.

    ``logistic`` holds the out-of-fold risks of the logistic regression, where there is one.
    """
    from readmission_platform.models.readmission_30d.clinical_scores import hospital, lace

    groups = subgroups(features)
    rows = pd.DataFrame(
        {
            "row_key": pseudonyms(features["encounter_id"], key, purpose="encounter"),
            "entity_key": features["entity_key"],
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
    return rows if logistic is None else rows.assign(logistic=logistic)


def _signature(features: pd.DataFrame, scores: np.ndarray) -> Any:
    """Describe the model's inputs by name and type; no row is stored."""
    from mlflow.models import infer_signature

    few = features[list(CONTRACT.inputs)].head(200)
    # Integer columns cannot hold a missing value, so MLflow would refuse one at scoring time.
    few = few.astype(dict.fromkeys(few.select_dtypes("integer").columns, "float64"))
    return infer_signature(few, scores[:200])


def _metadata(stored: StoredModel, trained: dict[str, Any]) -> dict[str, Any]:
    from readmission_platform.reports.pictures.evidence import importances_png

    importance = trained["explanations"]["importance"]
    top = [{"name": row["feature"], "value": row["loss"], "low": row["low"], "high": row["high"]}
           for row in importance[:15] if row["loss"] is not None]  # fmt: skip
    drawn = importances_png(top, title="What the model relies on", axis="AUROC lost when it is shuffled")
    return {
        "model version": stored.version,
        "MLflow run": stored.mlflow_run_id,
        "artifact digest": stored.digest,
        "source": trained["source"],
        "code version": trained["code_version"],
        "evidence digest": trained["evidence"]["digest"],
        "AUROC with permuted labels": trained["measurements"]["permuted_labels_auroc"],
        "permutation importance": picture(drawn, "Permutation importance on test patients, 95 % interval"),
        "importance table": table(importance),
    }
