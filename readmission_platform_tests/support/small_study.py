"""A small synthetic study with a trained model: what tests of training and scoring start from."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from readmission_platform.encounters.cohort import DISCHARGE_COLUMNS, eligible_encounters
from readmission_platform.encounters.synthetic import generate
from readmission_platform.evaluation.estimates.folds import entity_folds
from readmission_platform.models.contract import CrossValidated
from readmission_platform.models.readmission_30d import CONTRACT

KEY = b"a key that is only used in tests"

# Quick to fit, and overconfident on purpose: there has to be something for the recalibration to mend.
OVERCONFIDENT = {
    "learning_rate": 0.3,
    "max_iter": 40,
    "max_leaf_nodes": 12,
    "min_samples_leaf": 10,
    "l2_regularization": 0.0,
    "max_features": 0.5,
}
SETTINGS = {"boosting": OVERCONFIDENT, "target_smoothing": 50.0}


@dataclass(frozen=True)
class SmallStudy:
    """Eligible encounters, the training table of the development part, and the model trained on it."""

    raw: pd.DataFrame
    eligible: pd.DataFrame
    development: pd.DataFrame
    inputs: pd.DataFrame
    labels: np.ndarray
    folds: np.ndarray
    fitted: CrossValidated

    @property
    def entities(self) -> np.ndarray:
        """Pseudonym of each development encounter's patient."""
        return self.development["entity_key"].to_numpy()

    @property
    def replayed(self) -> pd.DataFrame:
        return self.eligible[self.eligible["part"] == "replay"].reset_index(drop=True)


@cache
def make_small_study(*, encounters: int, seed: int) -> SmallStudy:
    raw = generate(encounters=encounters, seed=seed)
    eligible = eligible_encounters(raw, key=KEY, replay_share=0.1)
    development = eligible[eligible["part"] == "development"].reset_index(drop=True)
    inputs = CONTRACT.data.inputs_of(development, development)
    labels = development["readmitted_30d"].to_numpy()
    folds = entity_folds(development["entity_key"], folds=5).to_numpy()
    entities = development["entity_key"].to_numpy()
    fitted = CONTRACT.estimator.cross_validate(inputs, labels, folds, SETTINGS, entities=entities, seed=seed)
    return SmallStudy(raw, eligible, development, inputs, labels, folds, fitted)


def text_cells(encounters: pd.DataFrame, columns: Sequence[str] = DISCHARGE_COLUMNS) -> pd.DataFrame:
    """The cells of a file of discharges, as they stand in the file."""
    discharges = encounters[list(columns)].astype(object)
    return discharges.where(discharges.notna(), "?").map(str).reset_index(drop=True)
