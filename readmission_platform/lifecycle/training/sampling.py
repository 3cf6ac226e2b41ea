"""The data scientist's fast path: the same steps on a share of the entities, with nothing registered or recorded."""

from functools import partial
from typing import Any

from readmission_platform.config.files import gate_policy
from readmission_platform.evaluation.estimates.folds import entity_folds
from readmission_platform.evaluation.estimates.rows import digest_rows
from readmission_platform.evaluation.information import risks_moved
from readmission_platform.foundation.errors import BadInput
from readmission_platform.governance.policy.gates import GateResult, evaluate_gates
from readmission_platform.governance.policy.required import MEASURED_AT_TRAINING, information_metrics
from readmission_platform.intake.sources import SourceRequest
from readmission_platform.lifecycle.training.training_table import TrainingTable, evidence_of
from readmission_platform.lifecycle.versions.version_facts import estimates_of
from readmission_platform.lifecycle.workspace import Workspace


def train_on_sample(
    workspace: Workspace, source: str, request: SourceRequest, share: float
) -> tuple[dict[str, Any], list[GateResult]]:
    """Cross-validate on a share of the entities; returns the evidence document and the candidate gates' results."""
    contract, config, key = workspace.contract, workspace.config, workspace.pseudonym_key
    chosen = contract.sources[source]
    cohort = contract.data.cohort(chosen.load(request).frame, key=key, replay_share=config.replay_share)
    # By the end of the pseudonym, since its beginning decides the fold.
    drawn = cohort["entity_key"].map(lambda pseudonym: int(pseudonym[-8:], 16) < share * 2**32)
    development = cohort[(cohort["part"] == "development") & drawn].reset_index(drop=True)
    if development.empty:
        raise BadInput(f"--sample: {share} leaves no {contract.words.rows}")
    inputs = contract.data.inputs_of(development, development)
    frame = development[[contract.row, "entity_key", "clock", contract.outcome]].join(inputs)
    folds = entity_folds(frame["entity_key"], folds=config.folds).to_numpy()
    table = TrainingTable(frame, frame[contract.outcome].to_numpy(), folds, config.seed)
    fitted = contract.estimator.cross_validate(
        inputs, table.labels, folds, config.settings, entities=frame["entity_key"].to_numpy(), seed=config.seed
    )
    baselines = contract.data.baselines(inputs, table.labels, folds)
    rows = evidence_of(contract, table, fitted.scores, key, baselines=baselines)
    schema = contract.evidence
    document = estimates_of(rows, digest_rows(rows, schema), config, schema)
    score = partial(contract.estimator.score, fitted.model)
    moved = risks_moved(score, inputs[table.test], schema.information, seed=config.seed)
    drawn_on = {metric: {"value": value} for metric, value in information_metrics(moved).items()}
    results = evaluate_gates(
        document["estimates"] | drawn_on, gate_policy(workspace.settings, workspace.name), required=workspace.required,
        limit_set=chosen.limits, stages=("candidate",),
    )  # fmt: skip
    # What else is measured when a version is trained is not measured on a sample.
    return document, [result for result in results if result.metric not in MEASURED_AT_TRAINING]
