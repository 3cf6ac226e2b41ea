"""What is measured on a model the moment it is trained, and the blocking checks of ``candidate_model``.

What belongs here: the measurements on the stored artifact and on the recipe. What does not: training (``training``) and
the gates (``validation``).
"""

from functools import partial
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd

from readmission_platform.assets.model.firewall import broken_limits
from readmission_platform.assets.presentation import check_result
from readmission_platform.config.governance import LimitSet
from readmission_platform.evaluation.information import risks_moved
from readmission_platform.governance.policy.required import information_metrics
from readmission_platform.lifecycle.training.training_table import TrainingTable
from readmission_platform.lifecycle.workspace import Workspace
from readmission_platform.models.contract import RowScorer
from readmission_platform.models.scoring import as_if_delivered, serving_parity
from readmission_platform.models.single_rows import ArtifactRowScorer, rows_differ
from readmission_platform.storage.artifacts import StoredModel, load_artifact, verified_content

PARITY_ENTITIES = 300
# Without a compiled form a single row costs a data frame each.
ALONE, ALONE_UNCOMPILED = 300, 30
TOLERANCE = 1e-9
CHECKS = {
    "artifact_round_trips": "The stored artifact, loaded through the allow-list, gives the same scores.",
    "permuted_labels_teach_nothing": "Trained on permuted labels, the recipe ranks no better than chance.",
    "serving_parity": "Rows scored through the daily path get the same score as in training.",
}


def measured_on(
    table: TrainingTable, model: Any, stored: StoredModel, workspace: Workspace, development: pd.DataFrame
) -> dict[str, float]:
    """Measure on the artifact itself what its checks and the gates ask.

    Parameters
    ----------
    development
        The development rows of the cohort, those of the table.
    """
    contract, estimator = workspace.contract, workspace.contract.estimator
    loaded = load_artifact(estimator, workspace.registry.root, stored.path, digest=stored.digest)
    test = table.frame.loc[table.test, list(contract.inputs)]
    test_scores = estimator.score(model, test)
    shipped_scores = np.full(len(development), np.nan)
    shipped_scores[table.test] = test_scores
    moved = risks_moved(partial(estimator.score, model), test, contract.evidence.information, seed=table.seed)
    return {
        **information_metrics(moved),
        "roundtrip_difference": float(np.abs(estimator.score(loaded, test) - test_scores).max()),
        "parity_difference": serving_parity(contract, loaded, development, shipped_scores, entities=PARITY_ENTITIES),
        "single_rows_that_differ": _differing_alone(loaded, stored, workspace, development, shipped_scores),
    }


def row_scorer_of(stored: StoredModel, workspace: Workspace) -> RowScorer | None:
    """Return what scores single rows, loaded from its file; None where the contract compiles nothing."""
    part, rows = workspace.contract.rows, stored.rows
    if part is None or rows is None:
        return None
    return part.load(verified_content(workspace.registry.root, rows.path, digest=rows.digest))


def _differing_alone(
    model: Any, stored: StoredModel, workspace: Workspace, development: pd.DataFrame, scores: np.ndarray
) -> float:
    """Count the rows that the service would answer otherwise than the daily list, in any part of the answer."""
    contract = workspace.contract
    chosen = as_if_delivered(contract, development, scores, entities=ALONE if stored.rows else ALONE_UNCOMPILED)
    scorer = row_scorer_of(stored, workspace) or ArtifactRowScorer(contract, model)
    return float(rows_differ(contract, model, scorer, chosen, development))


def check_results_of(
    measured: dict[str, float], workspace: Workspace, limit_set: LimitSet
) -> list[dg.AssetCheckResult]:
    """Return the results of ``CHECKS``."""
    permuted = measured["permuted_labels_auroc"]
    limit = broken_limits({"permuted_labels_auroc": permuted}, workspace, limit_set).get("permuted_labels_auroc")
    differences = {
        "artifact_round_trips": (
            measured["roundtrip_difference"],
            "largest difference {:.1e}",
            "Do not promote: the stored model is not the one that was judged.",
        ),
        "serving_parity": (
            measured["parity_difference"],
            f"largest difference {{:.1e}}, {PARITY_ENTITIES} entities",
            "Find the input that differs between training and the daily path.",
        ),
    }
    return [
        *(check_result(name, value <= TOLERANCE, observed=text.format(value), rule=CHECKS[name], action=action)
          for name, (value, text, action) in differences.items()),
        check_result(
            "permuted_labels_teach_nothing", limit is None,
            observed=f"AUROC {permuted:.3f}" + (f" (must be {limit})" if limit else ""),
            rule=CHECKS["permuted_labels_teach_nothing"],
            action="Find what is fitted on labels outside the fold. Until then, no figure of this version counts.",
        ),
    ]  # fmt: skip
