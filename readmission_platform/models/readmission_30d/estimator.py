"""The estimator part of this model: its kind, its settings, what its artifacts may contain, and what it withholds.

What belongs here: what the contract asks, light to import. What does not: the pipeline (``model``) and the rules for
withholding (``soundness``).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import Field

from readmission_platform.foundation.values import Frozen
from readmission_platform.models.boosting.artifact import skops_format
from readmission_platform.models.boosting.estimator import BoostingEstimator
from readmission_platform.models.boosting.settings import BoostingConfig

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline


class ReadmissionSettings(Frozen):
    """The block ``settings`` of ``model.yaml``: what fitting needs to know, besides the seed."""

    target_smoothing: float = Field(gt=0, description="Encounters of the average risk counted into each value.")
    boosting: BoostingConfig


class ReadmissionEstimator(BoostingEstimator):
    """Gradient boosting on encoded encounters and target statistics, recalibrated."""

    # What kind of model this is. A change plan names it: another kind needs a new review.
    algorithm = "gradient boosting, rising with utilisation, on encodings and target statistics, Platt scaling"
    settings = ReadmissionSettings
    artifact = skops_format("readmission_platform.models.readmission_30d.features.EncounterEncoder", categories=True)

    def pipeline(self, settings: Mapping[str, Any], *, seed: int) -> "Pipeline":
        """Return the unfitted pipeline; see ``model``."""
        from readmission_platform.models.readmission_30d.model import build_pipeline

        return build_pipeline(**settings, seed=seed)

    def fitted_with(self, entities: np.ndarray) -> Mapping[str, np.ndarray]:
        """Let the encoder know whose encounters they are: target statistics are learnt from other patients."""
        return {"encode__entities": entities}

    def unsound(self, model: Any, inputs: pd.DataFrame, risk: np.ndarray) -> list[str | None]:
        """Say for each encounter why it is withheld; see ``soundness``."""
        from readmission_platform.models.readmission_30d.soundness import withheld_because

        return withheld_because(model.classifier[0], inputs, risk)
