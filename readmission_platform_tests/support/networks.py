"""A table that a network can learn from, and a network whose weights nobody trained.

The table has numbers, some missing, and texts, some unknown; the outcome depends on all of them.
"""

import numpy as np
import pandas as pd

from readmission_platform.models.neural.encoding import Scale, numbers_in
from readmission_platform.models.neural.estimator import NeuralEstimator
from readmission_platform.models.neural.model import NeuralModel, shapes_of
from readmission_platform.models.tabular.columns import Columns

COLUMNS = Columns(("age", "dose"), {"ward": ("north", "south", "east"), "smoker": ("no", "yes")})
ESTIMATOR = NeuralEstimator(COLUMNS)
FOLDS = 3
NETWORK = {"layers": 2, "units": 6, "epochs": 3, "batch_rows": 66, "learning_rate": 0.01, "weight_decay": 0.01}


def table(rows: int, *, seed: int = 1) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Return inputs, labels and folds."""
    drawing = np.random.default_rng(seed)
    age = drawing.uniform(20, 90, rows)
    dose = np.where(drawing.random(rows) < 0.2, np.nan, drawing.lognormal(1, 1, rows))
    ward = drawing.choice(["north", "south", "east", "a new one", None], rows)
    smoker = drawing.choice(["no", "yes"], rows)
    log_odds = -3 + 0.03 * age + 0.4 * np.nan_to_num(np.log(dose), nan=1) + 0.9 * (ward == "south") + (smoker == "yes")
    labels = (drawing.random(rows) < 1 / (1 + np.exp(-log_odds))).astype("int8")
    inputs = pd.DataFrame({"age": age, "dose": dose, "ward": ward, "smoker": smoker})
    return inputs, labels, drawing.integers(0, FOLDS, rows)


def drawn_network(hidden: tuple[int, ...] = (5, 4)) -> NeuralModel:
    """Return a network with random weights, whose scale is that of a table."""
    drawing = np.random.default_rng(2)
    weights = {
        name: drawing.normal(0, 0.7, shape).astype("float32") for name, shape in shapes_of(COLUMNS, hidden).items()
    }
    scale = Scale.of(numbers_in(table(200)[0], COLUMNS))
    return NeuralModel(COLUMNS, hidden, scale, weights, "nobody", slope=0.9, intercept=-0.2)
