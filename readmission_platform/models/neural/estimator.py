"""The estimator part of a model that is a network.

What belongs here: what the contract asks, light to import. What does not: training (``crossvalidation``), scoring
(``model``), files (``artifact``).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from readmission_platform.models.boosting import soundness
from readmission_platform.models.contract import ArtifactFormat, CrossValidated, Progress
from readmission_platform.models.neural import artifact
from readmission_platform.models.neural.encoding import places_in
from readmission_platform.models.neural.model import NeuralModel, score
from readmission_platform.models.neural.settings import NeuralSettings
from readmission_platform.models.tabular.columns import Columns

NOTHING_KNOWN = "nothing that the model knows of is given"


@dataclass(frozen=True)
class NeuralEstimator:
    """Fitting, scoring and storing of a network on these columns.

    Attributes
    ----------
    words
        What numbers are called in the reason for which a row is withheld, where that is not their name.
    """

    columns: Columns
    words: Mapping[str, str] | None = None

    algorithm: ClassVar[str] = "neural network, Platt scaling"
    settings: ClassVar[type[NeuralSettings]] = NeuralSettings
    artifact: ClassVar[ArtifactFormat] = artifact.SAFETENSORS

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
        """Fit one network a fold; see ``crossvalidation``."""
        from readmission_platform.models.neural.crossvalidation import cross_validate

        network = NeuralSettings.model_validate(settings).network
        return cross_validate(self.columns, network, inputs, labels, folds, seed=seed, progress=progress)

    def feature_names(self, model: NeuralModel) -> list[str]:
        """Return the names of the inputs."""
        return list(model.columns.names)

    def score(self, model: NeuralModel, inputs: pd.DataFrame) -> np.ndarray:
        """Return calibrated probabilities, shape (rows,)."""
        return score(model, inputs)

    def recalibrated(self, model: NeuralModel, slope: float, intercept: float) -> NeuralModel:
        """Return the network with the log odds of its risks corrected once more."""
        further = {"slope": slope * model.slope, "intercept": slope * model.intercept + intercept}
        return NeuralModel(**{**vars(model), **further})

    def unsound(self, model: NeuralModel, inputs: pd.DataFrame, risk: np.ndarray) -> list[str | None]:
        """Withhold numbers far beyond any that training saw, rows of which nothing is known, and a risk that is none.

        A text that training never saw counts as missing.
        """
        names, words = model.columns.numbers, self.words or {}
        ranges = {name: [float(low), float(high)] for name, low, high in
                  zip(names, model.scale.low, model.scale.high, strict=True) if np.isfinite(low)}  # fmt: skip
        rules = [
            *soundness.far_beyond(inputs, ranges, words),
            *_far_below(inputs, ranges, words),
            (NOTHING_KNOWN, _nothing_known(model, inputs)),
            *soundness.no_risk(risk),
        ]
        return soundness.withheld_because(rules, len(inputs))

    def dump(self, model: Any) -> bytes:
        """Return the model as the bytes of its file."""
        return artifact.dump(model)

    def load(self, content: bytes) -> NeuralModel:
        """Load a model; raises ``ValueError`` for anything else."""
        return artifact.load(content)


def _far_below(
    inputs: pd.DataFrame, ranges: Mapping[str, list[float]], words: Mapping[str, str]
) -> Iterator[soundness.Rule]:
    """Find the rows with a number far below the lowest one seen in training, by the margin of the highest one."""
    for name, (low, high) in ranges.items():
        margin = max(soundness.MARGIN_LEAST, soundness.MARGIN_SHARE * max(abs(low), abs(high)))
        yield (
            f"the {words.get(name, name.replace('_', ' '))} is far below any in the training data",
            (inputs[name] < low - margin).to_numpy(),
        )


def _nothing_known(model: NeuralModel, inputs: pd.DataFrame) -> np.ndarray:
    missing = inputs[list(model.columns.numbers)].isna().all(axis=1).to_numpy()
    return np.asarray(missing & (places_in(inputs, model.columns) == 0).all(axis=1))
