"""The estimator part of this example: its kind, its settings, and what it withholds.

What belongs here: what the contract asks, light to import. What does not: encoder and pipeline (``encoder``).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from readmission_platform.foundation.values import Frozen
from readmission_platform.models.boosting import soundness
from readmission_platform.models.boosting.artifact import skops_format
from readmission_platform.models.boosting.estimator import BoostingEstimator
from readmission_platform.models.boosting.settings import BoostingConfig

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

CODES = {"coinsurance": "rate of coinsurance"}
NUMBERS = {"chronic_diseases": "share of chronic diseases"}


class EnrolmentSettings(Frozen):
    """The block ``settings`` of ``model.yaml``."""

    boosting: BoostingConfig


class EnrolmentEstimator(BoostingEstimator):
    """Gradient boosting on enrolments and what is known of earlier years, recalibrated."""

    algorithm = "gradient boosting, rising with earlier frequent visits, Platt scaling"
    settings = EnrolmentSettings
    artifact = skops_format("readmission_platform.models.frequent_visits.encoder.EnrolmentEncoder", categories=False)

    def pipeline(self, settings: Mapping[str, Any], *, seed: int) -> "Pipeline":
        """Return the unfitted pipeline; see ``encoder``."""
        from readmission_platform.models.frequent_visits.encoder import build_pipeline

        return build_pipeline(**settings, seed=seed)

    def unsound(self, model: Any, inputs: pd.DataFrame, risk: np.ndarray) -> list[str | None]:
        """Withhold a rate of coinsurance that training never saw, numbers far beyond any seen, and a risk that is none.

        Trees would take a new rate for the nearest one, and how people act on one that nobody tried is not known.
        """
        encoder = model.classifier[0]
        rules = [
            *soundness.unseen(inputs, encoder.seen_, CODES),
            *soundness.far_beyond(inputs, encoder.ranges_, NUMBERS),
            *soundness.no_risk(risk),
        ]
        return soundness.withheld_because(rules, len(inputs))
