"""Stored models: which types a file of one may contain, writing it, and reading it.

What belongs here: skops and its allow-list. What does not: digests and files (``storage.artifacts``).
"""

from collections.abc import Iterable
from typing import Any

from readmission_platform.models.contract import ArtifactFormat

FILE = "model.skops"
# What is needed to load a model again. Naming it also spares MLflow ten seconds of guessing.
PACKAGES = ("scikit-learn", "skops", "numpy", "pandas", "scipy")
# What every model of this kind contains beyond what skops trusts by itself; each adds its encoder.
_TYPES = (
    "readmission_platform.models.boosting.recalibrated.RecalibratedClassifier",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
)
# The boosting's own preprocessing of categories.
_OF_CATEGORIES = ("functools.partial", "sklearn.utils.validation.check_array")


def skops_format(*encoder_types: str, categories: bool) -> ArtifactFormat:
    """Return the format of a model whose encoder consists of these types, and gives categories or only numbers."""
    types = [*_TYPES, *encoder_types, *(_OF_CATEGORIES if categories else ())]
    return ArtifactFormat(FILE, "sklearn", PACKAGES, tuple(sorted(types)))


def dump(model: Any) -> bytes:
    """Return a model as the bytes of a skops file."""
    from skops.io import dumps

    return bytes(dumps(model))


def load(content: bytes, trusted_types: Iterable[str]) -> Any:
    """Load a model; raises ``ValueError`` when it contains another type than those given and those skops trusts."""
    from skops.io import loads
    from skops.io.exceptions import UntrustedTypesFoundException

    try:
        return loads(content, trusted=list(trusted_types))
    except UntrustedTypesFoundException as error:
        raise ValueError("the stored model contains types that are not on the allow-list") from error
