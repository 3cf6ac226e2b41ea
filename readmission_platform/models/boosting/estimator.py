"""The estimator part of a model that is a recalibrated boosting.

What belongs here: what such models have in common behind the contract. What does not: their pipelines and what they
withhold, which each model adds.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import BaseModel

from readmission_platform.foundation.distinct import in_codes
from readmission_platform.models.boosting import artifact
from readmission_platform.models.contract import ArtifactFormat, CrossValidated, Progress

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline


class BoostingEstimator(ABC):
    """Fitting, scoring and storing of a ``RecalibratedClassifier``; its settings are those of ``pipeline``."""

    algorithm: str
    settings: type[BaseModel]
    artifact: ArtifactFormat

    @abstractmethod
    def pipeline(self, settings: Mapping[str, Any], *, seed: int) -> "Pipeline":
        """Return the unfitted pipeline: an encoder with ``feature_names()``, then the boosting."""

    @abstractmethod
    def unsound(self, model: Any, inputs: pd.DataFrame, risk: np.ndarray) -> list[str | None]:
        """Say for each row why it cannot be scored soundly; see ``soundness``."""

    def cross_validate(
        self,
        inputs: pd.DataFrame,
        labels: np.ndarray,
        folds: np.ndarray,
        settings: Mapping[str, Any],
        *,
        entities: np.ndarray,
        seed: int,
        progress: Progress = lambda done, total: None,
    ) -> CrossValidated:
        """Fit one model a fold; see ``crossvalidation``."""
        from readmission_platform.models.boosting.crossvalidation import cross_validate

        return cross_validate(
            lambda: self.pipeline(settings, seed=seed), in_codes(inputs), labels, folds,
            fitted_with=self.fitted_with(entities), progress=progress,
        )  # fmt: skip

    def fitted_with(self, entities: np.ndarray) -> Mapping[str, np.ndarray]:
        """Return what else the pipeline's steps are fitted with, one a row; an encoder may need to know whose it is."""
        return {}

    def feature_names(self, model: Any) -> list[str]:
        """Return the names of the encoder's columns."""
        return list(model.classifier[0].feature_names())

    def score(self, model: Any, inputs: pd.DataFrame) -> np.ndarray:
        """Return calibrated probabilities, shape (rows,)."""
        from readmission_platform.models.boosting.recalibrated import score

        return score(model, inputs)

    def recalibrated(self, model: Any, slope: float, intercept: float) -> Any:
        """Return the model with the log odds of its risks corrected once more; trees and reasons stay."""
        return model.further(slope, intercept)

    def dump(self, model: Any) -> bytes:
        """Return the model as the bytes of its file."""
        return artifact.dump(model)

    def load(self, content: bytes) -> Any:
        """Load a model; raises ``ValueError`` for a type that is not on the allow-list."""
        return artifact.load(content, self.artifact.trusted_types)
