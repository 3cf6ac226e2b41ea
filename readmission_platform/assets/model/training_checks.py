"""What is measured on a model the moment it is trained, and the blocking checks of ``candidate_model``.

What belongs here: the measurements on the stored artifact and on the recipe. What does not: training (``training``) and
the gates (``validation``).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg
import numpy as np
import pandas as pd

from readmission_platform.assets.presentation import check_result
from readmission_platform.config.model import ModelConfig
from readmission_platform.models.readmission_30d import CONTRACT
from readmission_platform.models.scoring import serving_parity
from readmission_platform.resources.tracking import TrackingResource
from readmission_platform.storage.artifacts import StoredModel, load_artifact

if TYPE_CHECKING:
    from readmission_platform.models.contract import CrossValidated

PARITY_PATIENTS = 300
TOLERANCE = 1e-9

CHECKS = {
    "artifact_round_trips": "The stored artifact, loaded with our allow-list, gives the same scores.",
    "permuted_labels_teach_nothing": "Trained on labels dealt out at random, the same recipe ranks patients by chance.",
    "serving_parity": "Encounters scored through the daily path get the score they got in training.",
}


@dataclass(frozen=True)
class Study:
    """The training table with its labels, folds and seed; fold 0 holds the test patients of what is shipped."""

    frame: pd.DataFrame
    labels: np.ndarray
    folds: np.ndarray
    seed: int

    @classmethod
    def of(cls, features: pd.DataFrame, split: pd.DataFrame, seed: int) -> "Study":
        """Join a training table and its split; they have to be of the same encounters."""
        if not features["encounter_id"].equals(split["encounter_id"]):
            raise ValueError("encounter_features and patient_split are of different data versions; materialize both")
        return cls(features, features["readmitted_30d"].to_numpy(), split["fold"].to_numpy(), seed)

    @property
    def test(self) -> np.ndarray:
        """Which encounters are of test patients, shape (encounters,)."""
        return np.asarray(self.folds == 0)


def measured_on(
    study: Study,
    fitted: "CrossValidated",
    stored: StoredModel,
    tracking: TrackingResource,
    eligible: pd.DataFrame,
) -> dict[str, float]:
    """Measure on the artifact itself what its checks and the gates ask."""
    loaded = load_artifact(tracking.root, stored.path, digest=stored.digest)
    test = study.frame[study.test]
    score = CONTRACT.estimator.score
    test_scores = score(fitted.model, test)
    development = eligible[eligible["part"] == "development"].reset_index(drop=True)
    shipped_scores = np.full(len(development), np.nan)
    shipped_scores[study.test] = test_scores
    return {
        "roundtrip_difference": float(np.abs(score(loaded, test) - test_scores).max()),
        "parity_difference": serving_parity(CONTRACT, loaded, development, shipped_scores, entities=PARITY_PATIENTS),
    }


def check_results_of(measured: dict[str, float], model: ModelConfig) -> list[dg.AssetCheckResult]:
    """Return the results of ``CHECKS``."""
    low, high = model.permuted_labels_auroc
    permuted = measured["permuted_labels_auroc"]
    differences = {
        "artifact_round_trips": (
            measured["roundtrip_difference"],
            "largest difference {:.1e}",
            "Do not promote: what would run is not what was judged.",
        ),
        "serving_parity": (
            measured["parity_difference"],
            f"largest difference {{:.1e}}, {PARITY_PATIENTS} patients",
            "Find the input that differs between daily scoring and the training table.",
        ),
    }
    return [
        *(check_result(name, value <= TOLERANCE, observed=text.format(value), rule=CHECKS[name], action=action)
          for name, (value, text, action) in differences.items()),
        check_result(
            "permuted_labels_teach_nothing", low <= permuted <= high,
            observed=f"AUROC {permuted:.3f} (from {low} to {high})",
            rule=CHECKS["permuted_labels_teach_nothing"],
            action="Find what is fitted on labels outside the fold. Until then no figure of this version counts.",
        ),
    ]  # fmt: skip
