"""Training: from features to a registered, recorded candidate.

What belongs here: ``candidate_model``. What does not: the model and its explanations (the contract), what is kept of
its inputs (``lifecycle.training.training_record``), its checks (``training_checks``), and judging it (``validation``).
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd

from readmission_platform.assets.model.features import development_of
from readmission_platform.assets.model.firewall import MEASURED
from readmission_platform.assets.model.training_checks import CHECKS, check_results_of, measured_on, row_scorer_of
from readmission_platform.assets.model_assets import ModelAssets
from readmission_platform.assets.presentation import SCIENCE_TEAM, picture, table
from readmission_platform.evaluation.leakage import permuted_labels_auroc
from readmission_platform.foundation.frames import frame_digest
from readmission_platform.foundation.steps import reached
from readmission_platform.foundation.values import digest_of
from readmission_platform.governance.ledger.binding import LOCAL
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.promotion.permission import CLAIMED
from readmission_platform.lifecycle.asking import check_may
from readmission_platform.lifecycle.training.training_record import cohort_of, model_of, recipe_of, split_of
from readmission_platform.lifecycle.training.training_table import TrainingTable, evidence_of
from readmission_platform.lifecycle.workspace import Platform, Workspace
from readmission_platform.models.contract import CrossValidated, Explained, ModelContract
from readmission_platform.models.probes import probe_risks
from readmission_platform.resources.tracking import tracked
from readmission_platform.storage.artifacts import StoredModel
from readmission_platform.storage.tables import EVIDENCE, ModelLake

CANDIDATE = "candidate_model"


class TrainingConfig(dg.Config):
    """What may differ from model.yaml for one training run."""

    seed: int | None = None


def candidate_asset(model: ModelAssets) -> dg.AssetsDefinition:
    """Return the asset that trains and registers a version."""
    words, contract = model.words, model.contract

    @model.asset(
            CANDIDATE,
            inputs={"features": model.names.features, "split": model.names.split, "cohort": model.names.cohort},
        group="training", owners=[SCIENCE_TEAM], kinds={model.library, "mlflow"}, code_version="2",
            pool="training", blocking=CHECKS,
            description=f"Predicts {words.title[0].lower()}{words.title[1:]} ({contract.estimator.algorithm}); "
            "registered in MLflow, with its "
            f"evidence recorded in the ledger. One model is fitted a fold; each {words.row} is scored by the one "
            f"that never saw its {words.entity}. The model of fold 0 is shipped; the {words.entities} of fold 0 are "
            f"its test {words.entities}. A version registered here is a candidate and nothing more: only its "
            "evidence can take it further.",
    )  # fmt: skip
    def candidate_model(
        context: dg.AssetExecutionContext,
        config: TrainingConfig,
        features: pd.DataFrame,
        split: pd.DataFrame,
        cohort: pd.DataFrame,
        platform: dg.ResourceParam[Platform],
    ) -> dg.MaterializeResult:
        workspace = model.workspace(platform)
        with workspace.ledger() as ledger:
            check_may_train(ledger, workspace)
        seed = workspace.config.seed if config.seed is None else config.seed
        training = TrainingTable.of(contract, features, split, seed)
        with tracked(workspace.registry, context) as mlflow:
            mlflow.log_params(_parameters(workspace, seed))
            found = _fit(context, training, workspace)
            mlflow.log_metric("auroc_out_of_fold", _auroc(training.labels, found.fitted.scores))
            with workspace.ledger() as ledger:
                version = ledger.reserve_version({"run_id": context.run.run_id}, actor=workspace.actor)
            stored = workspace.registry.store(
                found.fitted.model,
                version=version,
                estimator=contract.estimator,
                signature=signature_of(training.frame[list(contract.inputs)], found.fitted.scores),
                tags={"dagster_run_id": context.run.run_id},
                title=words.title,
                rows=contract.rows,
            )
            reached("training: version registered")
        trained = _recorded(context, training, found, stored, workspace, split, cohort, features)
        with workspace.ledger() as ledger:
            ledger.append("version_trained", trained | CLAIMED, actor=workspace.actor, version=stored.version)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(stored.digest),
            metadata=_metadata(stored, trained),
            tags={"model_version": stored.version},
            check_results=check_results_of(trained["measurements"], workspace, trained["limit_set"]),
        )

    return candidate_model


def check_may_train(ledger: Ledger, workspace: Workspace) -> None:
    """Make sure, before anything is fitted, that whoever acts may train and that there is a policy to judge by."""
    check_may("train", ledger=ledger, workspace=workspace)
    if workspace.environment != LOCAL:  # there the first validation adopts what is missing
        workspace.policy_in_force(ledger)


@dataclass(frozen=True)
class Fitted:
    """The cross-validated model, the scores it has to beat, and what permuted labels taught the recipe."""

    fitted: CrossValidated
    baselines: pd.DataFrame
    permuted_labels_auroc: float


def _parameters(workspace: Workspace, seed: int) -> dict[str, Any]:
    """Return the settings as MLflow shows them, nested ones by their path."""

    def flat(settings: dict[str, Any], above: str = "") -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in settings.items():
            found |= flat(value, f"{above}{name}.") if isinstance(value, dict) else {f"{above}{name}": value}
        return found

    return {**flat(workspace.config.settings), "seed": seed, "folds": workspace.config.folds}


def _auroc(labels: np.ndarray, scores: np.ndarray) -> float:
    from readmission_platform.evaluation.estimates.metrics import auroc

    return float(auroc(labels=labels, scores=scores))


def _fit(context: dg.AssetExecutionContext, training: TrainingTable, workspace: Workspace) -> Fitted:
    """Cross-validate the model, and fit what it is held against: one after the other, each on every core."""
    contract, settings = workspace.contract, workspace.config.settings
    trained_on = (training.frame[list(contract.inputs)], training.labels, training.folds)

    def fitted(
        inputs: pd.DataFrame, labels: np.ndarray, folds: np.ndarray, entities: np.ndarray, **how: Any
    ) -> CrossValidated:
        return contract.estimator.cross_validate(
            inputs, labels, folds, settings, entities=entities, seed=training.seed, **how
        )

    return Fitted(
        fitted(
            *trained_on,
            training.entities,
            progress=lambda done, total: context.log.info(f"fold {done} of {total} fitted"),
        ),
        contract.data.baselines(*trained_on),
        permuted_labels_auroc(
            lambda *permuted: fitted(*permuted).scores, *trained_on, training.entities, seed=training.seed
        ),
    )


def _recorded(
    context: dg.AssetExecutionContext,
    training: TrainingTable,
    found: Fitted,
    stored: StoredModel,
    workspace: Workspace,
    split: pd.DataFrame,
    cohort: pd.DataFrame,
    features: pd.DataFrame,
) -> dict[str, Any]:
    """Return what the ledger keeps of a version that was trained, its evidence written."""
    lake, contract, model = workspace.lake, workspace.contract, found.fitted.model
    with ThreadPoolExecutor(max_workers=1) as beside:
        explaining = beside.submit(explained_by, contract, model, training)
        rows = evidence_of(contract, training, found.fitted.scores, workspace.pseudonym_key, baselines=found.baselines)
        measured = measured_on(training, model, stored, workspace, development_of(cohort))
        explained = explaining.result()
    table_version = lake.open(lake.names.features).version()
    return {
        "run_id": context.run.run_id,
        "mlflow_run_id": stored.mlflow_run_id,
        "model": model_of(workspace),
        "source": features.attrs["source"],
        "limit_set": features.attrs["limits"],
        "artifact": {"path": stored.path, "digest": stored.digest},
        "rows": rows_of(stored, workspace),
        "evidence": kept_evidence(lake, rows, stored.version, context.run.run_id),
        "data": {"table": lake.names.features, "table_version": table_version, "digest": frame_digest(features)},
        # What scoring knows of the entities besides the days that arrived.
        "cohort_table": {"table": lake.names.cohort, "table_version": lake.open(lake.names.cohort).version()},
        "split_digest": frame_digest(split),
        "split": split_of(lake, split),
        "recipe": recipe_of(contract, workspace.config, contract.estimator.feature_names(model)),
        "cohort": cohort_of(lake, cohort, features),
        "code_version": workspace.code_version,
        "model_config": digest_of(workspace.config),
        "seed": training.seed,
        "trained_by": workspace.actor,
        # What the gates judge besides the evidence rows: measured on artifact, recipe, inputs and split.
        "measurements": {
            **measured,
            "permuted_labels_auroc": found.permuted_labels_auroc,
            **features.attrs.get(MEASURED, {}),
            **split.attrs.get(MEASURED, {}),
        },
        # What drift monitoring watches: the inputs this version relies on most.
        "importance": {name: round(loss, 6) for name, loss in explained.importance.items()},
        "explanations": explained.document,
    }


def explained_by(contract: ModelContract, model: Any, training: TrainingTable) -> Explained:
    """Explain the model on its test entities, where the contract can."""
    if contract.explain is None:
        return Explained(document={}, importance={})
    test = training.frame[training.test].reset_index(drop=True)
    return contract.explain.explained(
        model, test[list(contract.inputs)], training.labels[training.test], test["entity_key"], seed=training.seed
    )


def rows_of(stored: StoredModel, workspace: Workspace) -> dict[str, Any] | None:
    """Return where the file is that single rows are scored with, its digest, and the risks of probes."""
    scorer, rows = row_scorer_of(stored, workspace), stored.rows
    if scorer is None or rows is None:
        return None
    return {"path": rows.path, "digest": rows.digest, "probes": probe_risks(workspace.contract, scorer)}


def kept_evidence(lake: ModelLake, rows: pd.DataFrame, version: str, run_id: str) -> dict[str, Any]:
    """Write the evidence rows and return where they are, with their digest."""
    from readmission_platform.evaluation.estimates.rows import digest_rows

    written = lake.write(
        EVIDENCE,
        rows.assign(version=version),
        partition=("version", [version]),
        metadata={"run_id": run_id},
    )
    digest = digest_rows(rows, lake.contract.evidence)
    return {"table": EVIDENCE, "table_version": written.version, "digest": digest}


def signature_of(inputs: pd.DataFrame, scores: np.ndarray) -> Any:
    """Describe the model's inputs by name and type; no row is stored."""
    from mlflow.models import infer_signature

    few = inputs.head(200)
    # Integer columns cannot hold a missing value, so MLflow would refuse one at scoring time.
    few = few.astype(dict.fromkeys(few.select_dtypes("integer").columns, "float64"))
    return infer_signature(few, scores[:200])


def _metadata(stored: StoredModel, trained: dict[str, Any]) -> dict[str, Any]:
    shown = {
        "model version": stored.version,
        "MLflow run": stored.mlflow_run_id,
        "registered in MLflow as": f"version {stored.registered_as}",
        "artifact digest": stored.digest,
        "source": trained["source"],
        "code version": trained["code_version"],
        "evidence digest": trained["evidence"]["digest"],
        "AUROC with permuted labels": trained["measurements"]["permuted_labels_auroc"],
    }
    importance = trained["explanations"].get("importance")
    return shown | _importance(importance) if importance else shown


def _importance(importance: list[dict[str, Any]]) -> dict[str, dg.MetadataValue]:
    from readmission_platform.reports.pictures.evidence import importances_png

    top = [{"name": row["feature"], "value": row["loss"], "low": row["low"], "high": row["high"]}
           for row in importance[:15] if row["loss"] is not None]  # fmt: skip
    drawn = importances_png(top, title="What the model relies on", axis="AUROC lost when permuted")
    return {
        "permutation importance": picture(drawn, "Permutation importance on test entities, 95 % interval"),
        "importance table": table(importance),
    }
