"""A trained network, scored with NumPy: no PyTorch is needed, and a row's risk never depends on the rows beside it.

What belongs here: the shape of the network, and its risks. What does not: training (``training``), and files.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from readmission_platform.evaluation.estimates.recalibration import corrected
from readmission_platform.models.neural.encoding import Scale, numbers_in, places_in
from readmission_platform.models.tabular.columns import Columns

# Numbers of one text at most: more say little of a text among so few.
_WIDEST = 8
# Rows at a time, so that what is worked on stays in the processor's cache.
_BLOCK = 512
# Log odds beyond are the same probability for whoever corrects them, and cannot overflow.
_FURTHEST = 40.0


def shapes_of(columns: Columns, hidden: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """Return the shape of each weight by its name, in the order in which they are drawn.

    ``text.0`` has a row for each text of the first text column, after one for a text that is missing or unknown.
    ``layer.0`` has shape (units, inputs): the standardised numbers, whether they are missing, then the texts.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    width = 2 * len(columns.numbers)
    for place, texts in enumerate(columns.texts.values()):
        numbers = min(_WIDEST, len(texts) // 2 + 1)
        shapes[f"text.{place}"] = (len(texts) + 1, numbers)
        width += numbers
    for layer, units in enumerate([*hidden, 1]):
        shapes[f"layer.{layer}.weight"], shapes[f"layer.{layer}.bias"] = (units, width), (units,)
        width = units
    return shapes


@dataclass(frozen=True)
class NeuralModel:
    """A trained network with its encoding, and the correction of its log odds (Platt 1999).

    Attributes
    ----------
    hidden
        Units of each hidden layer.
    weights
        By name, as ``shapes_of`` says, float32.
    trained_with
        What trained it, for the record.
    """

    columns: Columns
    hidden: tuple[int, ...]
    scale: Scale
    weights: Mapping[str, np.ndarray]
    trained_with: str
    slope: float = 1.0
    intercept: float = 0.0


def raw_risk(model: NeuralModel, inputs: pd.DataFrame) -> np.ndarray:
    """Return the network's own probabilities, before they are corrected, shape (rows,)."""
    numbers, places = numbers_in(inputs, model.columns), places_in(inputs, model.columns)
    weights = {name: weight.astype("float64") for name, weight in model.weights.items()}
    risk = np.empty(len(inputs))
    for start in range(0, len(inputs), _BLOCK):
        block = slice(start, start + _BLOCK)
        seen = np.hstack([model.scale.standardised(numbers[block]), *_embedded(places[block], weights)])
        log_odds = np.clip(_log_odds(seen, weights, len(model.hidden)), -_FURTHEST, _FURTHEST)
        risk[block] = 1 / (1 + np.exp(-log_odds))
    return risk


def score(model: NeuralModel, inputs: pd.DataFrame) -> np.ndarray:
    """Return calibrated probabilities, shape (rows,)."""
    return corrected(raw_risk(model, inputs), model.slope, model.intercept)


def _embedded(places: np.ndarray, weights: Mapping[str, np.ndarray]) -> Iterator[np.ndarray]:
    for column in range(places.shape[1]):
        yield weights[f"text.{column}"][places[:, column]]


def _log_odds(seen: np.ndarray, weights: Mapping[str, np.ndarray], hidden: int) -> np.ndarray:
    for layer in range(hidden + 1):
        seen = _affine(seen, weights[f"layer.{layer}.weight"], weights[f"layer.{layer}.bias"])
        if layer < hidden:
            seen = np.maximum(seen, 0.0)
    return seen[:, 0]


def _affine(seen: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Add up input by input: a product of matrices rounds by how many rows it has, and a risk must not depend on it."""
    found = np.repeat(bias[np.newaxis], len(seen), axis=0)
    for column in range(seen.shape[1]):
        found += seen[:, column, np.newaxis] * weight[:, column]
    return found
