"""How a model of a table is fitted: what is proposed for each kind of estimator, and how the card speaks of it.

What belongs here: settings to begin with, and how far they may change without a new review. What does not: the
estimators (``models.tabular``, ``models.neural``).
"""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from readmission_platform.foundation.errors import BadInput
from readmission_platform.models.tabular.estimator import BOOSTING, estimator_class
from readmission_platform.scaffolding.table import Looked

TEMPLATES = ("sklearn", "pytorch")
# Of few rows a finer model would learn what will not recur.
_FEW_ROWS = 2_000
_USUAL = {"learning_rate": 0.05, "max_iter": 150, "max_leaf_nodes": 12, "l2_regularization": 10.0}
_CAUTIOUS = {"learning_rate": 0.05, "max_iter": 60, "max_leaf_nodes": 4, "l2_regularization": 10.0}
_BOOSTING_RANGES = {"learning_rate": (0.02, 0.1), "max_iter": (40, 400), "max_leaf_nodes": (4, 32),
                    "min_samples_leaf": (10, 300), "l2_regularization": (1.0, 100.0)}  # fmt: skip
_NETWORK_RANGES = {"layers": (0, 3), "units": (4, 128), "epochs": (5, 200), "batch_rows": (32, 4096),
                   "learning_rate": (0.0005, 0.02), "weight_decay": (0.0, 0.2), "processes": (1, 64)}  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """What a template is told of the estimator.

    Attributes
    ----------
    library
        Which estimator the package has.
    kind
        Path of the classifier of scikit-learn; empty for a network.
    algorithm
        As the contract says it.
    settings, ranges
        The block ``settings`` of ``model.yaml``; and by the name of a setting how far a change plan lets it go.
    features
        What the fitted model splits on or weighs.
    said, missing_said
        For the card: what kind of model it is, and what it does with missing values.
    explained
        Whether it gives reasons for a single row.
    """

    library: Literal["sklearn", "pytorch"]
    kind: str
    algorithm: str
    settings: dict[str, dict[str, Any]]
    ranges: dict[str, list[float]]
    features: list[str]
    said: str
    missing_said: str
    explained: bool = False
    types: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return what a template is told."""
        return asdict(self)


def recipe_of(library: str, estimator: str, looked: Looked, *, rows: int) -> Recipe:
    """Return what is proposed for ``rows`` development rows of a table.

    Parameters
    ----------
    estimator
        Path of a classifier of scikit-learn; of no account for a network.

    Raises
    ------
    BadInput
        When there is no such classifier.
    """
    if library == "pytorch":
        if estimator != BOOSTING:
            raise BadInput("--estimator: names a classifier of scikit-learn, and the template pytorch fits a network")
        return _network(looked, rows)
    estimator_class(estimator)
    return _boosting(looked, rows) if estimator == BOOSTING else _classifier(looked, estimator)


def _boosting(looked: Looked, rows: int) -> Recipe:
    usual = _USUAL if rows >= _FEW_ROWS else _CAUTIOUS
    return Recipe(
        library="sklearn", kind=BOOSTING, algorithm=f"{BOOSTING}, Platt scaling",
        settings={"parameters": {**usual, "min_samples_leaf": max(20, min(80, rows // 100))}},
        ranges=_ranges("parameters", _BOOSTING_RANGES), features=[*looked.number_inputs, *looked.texts],
        said="Gradient boosted decision trees (scikit-learn)",
        missing_said="Kept as missing; at each split the trees send them to whichever side fits better.",
        explained=True,
    )  # fmt: skip


def _classifier(looked: Looked, kind: str) -> Recipe:
    numbers = [each for name in looked.number_inputs for each in (name, f"{name} missing")]
    return Recipe(
        library="sklearn", kind=kind, algorithm=f"{kind}, Platt scaling", settings={"parameters": {}}, ranges={},
        features=[*numbers, *(f"{name}={text}" for name, texts in looked.texts.items() for text in texts)],
        said=f"{kind.rpartition('.')[2]} (scikit-learn)",
        missing_said="A missing number is the mean and says so in a column of its own; a missing text is none of the "
        "texts.",
    )  # fmt: skip


def _network(looked: Looked, rows: int) -> Recipe:
    network = {"layers": 1, "units": 32 if rows >= _FEW_ROWS else 8, "epochs": 20, "learning_rate": 0.003,
               "batch_rows": 256 if rows >= _FEW_ROWS else 64, "weight_decay": 0.05, "processes": 1}  # fmt: skip
    return Recipe(
        library="pytorch", kind="", algorithm="neural network, Platt scaling", settings={"network": network},
        ranges=_ranges("network", _NETWORK_RANGES), features=[*looked.number_inputs, *looked.texts],
        said="A neural network (PyTorch, scored with NumPy)",
        missing_said="A missing number is the mean and says so in an input of its own; a missing text has an embedding "
        "of its own.",
    )  # fmt: skip


def _ranges(block: str, spans: dict[str, tuple[float, float]]) -> dict[str, list[float]]:
    return {f"settings.{block}.{name}": list(span) for name, span in spans.items()}
