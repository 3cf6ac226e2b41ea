"""Recalibration: from a version and the outcomes that have matured since to a registered, recorded candidate.

What belongs here: ``recalibrated_model``. What does not: the correction (``lifecycle.training.recalibration``), and
judging what comes of it (``validation``), which is that of any version.
"""

from typing import Any

import dagster as dg
from pydantic import Field

from readmission_platform.assets.model.features import development_of
from readmission_platform.assets.model.training import (
    check_may_train,
    explained_by,
    kept_evidence,
    rows_of,
    signature_of,
)
from readmission_platform.assets.model.training_checks import CHECKS, check_results_of, measured_on
from readmission_platform.assets.model_assets import ModelAssets
from readmission_platform.assets.presentation import SCIENCE_TEAM
from readmission_platform.foundation.steps import reached
from readmission_platform.foundation.values import digest_of
from readmission_platform.governance.ledger.versions import RECALIBRATED
from readmission_platform.governance.promotion.permission import CLAIMED
from readmission_platform.lifecycle.training.recalibration import (
    Recalibration,
    before_and_after,
    fitted_version,
    recalibrate,
)
from readmission_platform.lifecycle.training.training_table import TrainingTable, evidence_of
from readmission_platform.lifecycle.workspace import Platform, Workspace
from readmission_platform.resources.tracking import tracked
from readmission_platform.storage.artifacts import StoredModel
from readmission_platform.storage.tables import OUTCOMES

RECALIBRATED_MODEL = "recalibrated_model"


class RecalibratedConfig(dg.Config):
    """Which version to recalibrate."""

    version: str = Field(default="", description="Version whose model is kept; default: the one in production.")


def recalibrated_asset(model: ModelAssets) -> dg.AssetsDefinition:
    """Return the asset that recalibrates and registers a version."""
    words = model.words

    @model.asset(
            RECALIBRATED_MODEL, group="training", owners=[SCIENCE_TEAM], kinds={model.library, "mlflow"},
            deps=[OUTCOMES], pool="training", blocking=CHECKS,
            description="The model of a version with its risks corrected by slope and intercept on the latest "
            f"{words.rows} whose outcome is known. Ranks and reasons stay as they are. In the evidence each of these "
            f"{words.rows} is corrected by what the {words.entities} of other folds show, and earlier ones keep their "
            "risks. What comes of it is a candidate like any other: every gate judges it, and it needs its days in the "
            "shadow and its approval. Launch the recalibration job, or use `readmission recalibrate`.",
    )  # fmt: skip
    def recalibrated_model(
        context: dg.AssetExecutionContext, config: RecalibratedConfig, platform: dg.ResourceParam[Platform]
    ) -> dg.MaterializeResult:
        workspace = model.workspace(platform)
        with workspace.ledger() as ledger:
            check_may_train(ledger, workspace)
            record = fitted_version(config.version, ledger)
        found = recalibrate(record, workspace)
        told = {**found.to_json(), "figures": before_and_after(found, workspace)}
        inputs = found.rows.frame[list(model.contract.inputs)]
        with tracked(workspace.registry, context) as mlflow:
            mlflow.log_params({f"{RECALIBRATED}.{name}": value for name, value in found.to_json().items()})
            with workspace.ledger() as ledger:
                version = ledger.reserve_version({"run_id": context.run.run_id}, actor=workspace.actor)
            stored = workspace.registry.store(
                found.model,
                version=version,
                estimator=model.contract.estimator,
                signature=signature_of(inputs, found.risks),
                tags={"dagster_run_id": context.run.run_id},
                title=words.title,
                rows=model.contract.rows,
            )
            reached("recalibration: version registered")
        trained = {**_recorded(context.run.run_id, found, stored, workspace), RECALIBRATED: told}
        with workspace.ledger() as ledger:
            ledger.append("version_trained", trained | CLAIMED, actor=workspace.actor, version=stored.version)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(stored.digest),
            metadata={
                "model version": stored.version,
                "keeps the model of version": record.version,
                **{name: trained[RECALIBRATED][name] for name in ("slope", "intercept", "rows", "matured", "until")},
                "MLflow run": stored.mlflow_run_id,
                "registered in MLflow as": f"version {stored.registered_as}",
                "artifact digest": stored.digest,
                "evidence digest": trained["evidence"]["digest"],
            },
            tags={"model_version": stored.version},
            check_results=check_results_of(trained["measurements"], workspace, trained["limit_set"]),
        )

    return recalibrated_model


def _recorded(run_id: str, found: Recalibration, stored: StoredModel, workspace: Workspace) -> dict[str, Any]:
    """Return what the ledger keeps: what it keeps of the version whose model this is, and what is new."""
    contract, lake, recorded = workspace.contract, workspace.lake, found.recorded
    record, rows = recorded.record, found.rows
    seed = record.seed or workspace.config.seed
    table = TrainingTable(rows.frame, found.labels, rows.folds, seed)
    inputs = rows.frame[list(contract.inputs)]
    baselines = contract.data.baselines(inputs, found.labels, rows.folds, fitted=False)
    evidence = evidence_of(contract, table, found.risks, workspace.pseudonym_key, baselines=baselines)
    trained_on = TrainingTable(recorded.features, recorded.features[contract.outcome].to_numpy(), recorded.folds, seed)
    development = development_of(lake.read(lake.names.cohort, version=record.cohort_version))
    explained = explained_by(contract, found.model, trained_on)
    return {
        **{name: value for name, value in record.trained.items() if name not in CLAIMED},
        "run_id": run_id,
        "mlflow_run_id": stored.mlflow_run_id,
        "artifact": {"path": stored.path, "digest": stored.digest},
        "rows": rows_of(stored, workspace),
        "evidence": kept_evidence(lake, evidence, stored.version, run_id),
        "code_version": workspace.code_version,
        "model_config": digest_of(workspace.config),
        "trained_by": workspace.actor,
        # Of the model that is kept; what a correction could change is measured anew.
        "measurements": {
            **record.trained["measurements"],
            **measured_on(trained_on, found.model, stored, workspace, development),
        },
        "importance": {name: round(loss, 6) for name, loss in explained.importance.items()},
        "explanations": explained.document,
    }
