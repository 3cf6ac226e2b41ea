"""The estimator part of a model of one table: any classifier of scikit-learn, recalibrated.

What belongs here: what the contract asks, light to import. What does not: the encoder.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import Field

from readmission_platform.foundation.errors import BadInput
from readmission_platform.foundation.values import Frozen
from readmission_platform.models.boosting import soundness
from readmission_platform.models.boosting.artifact import skops_format
from readmission_platform.models.boosting.estimator import BoostingEstimator
from readmission_platform.models.contract import ArtifactFormat, EstimatorPart
from readmission_platform.models.tabular.columns import Columns

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

BOOSTING = "sklearn.ensemble.HistGradientBoostingClassifier"
_ENCODER = "readmission_platform.models.tabular.encoder.TableEncoder"


class TableSettings(Frozen):
    """The block ``settings`` of ``model.yaml``."""

    parameters: dict[str, bool | int | float | str | None] = Field(description="What the estimator is made with.")


def estimator_class(path: str) -> type[Any]:
    """Return a classifier of scikit-learn by its path: "sklearn.linear_model.LogisticRegression".

    Raises
    ------
    BadInput
        When there is none of that name, it cannot be made without arguments, or it gives no probabilities.
    """
    module, _, name = path.rpartition(".")
    if not module.startswith("sklearn."):
        raise BadInput(f"{path}: name a classifier of scikit-learn as sklearn.<module>.<Class>")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise BadInput(f"{path}: scikit-learn has no such classifier") from error
    try:
        gives_probabilities = hasattr(found(), "predict_proba")
    except TypeError as error:  # of a class that others are given to, and of what is no class
        raise BadInput(f"{path}: is no classifier that stands by itself") from error
    if not gives_probabilities:
        raise BadInput(f"{path}: gives no probabilities, so it cannot be calibrated or judged here")
    return found  # type: ignore[no-any-return]


@dataclass(frozen=True)
class TableEstimator(BoostingEstimator):
    """A classifier of scikit-learn behind the encoder of a table; gradient boosting unless another is named.

    Gradient boosting takes missing values and categories as they are. For any other classifier they are filled, and
    there are no reasons for a single row.

    Attributes
    ----------
    kind
        Path of the classifier: "sklearn.linear_model.LogisticRegression".
    types
        What its stored model contains beside types that skops trusts by itself.
    """

    columns: Columns
    kind: str = BOOSTING
    types: tuple[str, ...] = ()

    settings = TableSettings

    @property
    def artifact(self) -> ArtifactFormat:  # type: ignore[override]
        """How a model is stored."""
        return skops_format(_ENCODER, *self.types, categories=True)

    @property
    def algorithm(self) -> str:  # type: ignore[override]
        """What kind of model this is."""
        return f"{self.kind}, Platt scaling"

    def pipeline(self, settings: Mapping[str, Any], *, seed: int) -> "Pipeline":
        """Return the unfitted pipeline: encoder, then the classifier.

        Raises
        ------
        BadInput
            When the classifier has no such parameter.
        """
        from sklearn.pipeline import Pipeline

        from readmission_platform.models.tabular.encoder import TableEncoder

        boosting = self.kind == BOOSTING
        made = estimator_class(self.kind)()
        parameters = dict(settings["parameters"])
        known = made.get_params()
        unknown = sorted(set(parameters) - set(known))
        if unknown:
            raise BadInput(f"model.yaml: settings.parameters: {self.kind} has no {unknown[0]}")
        made.set_params(**parameters, **({"random_state": seed} if "random_state" in known else {}))
        if boosting:
            texts = [name in self.columns.texts for name in self.columns.names]
            made.set_params(early_stopping=False, categorical_features=texts if any(texts) else None)
        texts_of = {name: list(texts) for name, texts in self.columns.texts.items()}
        encoder = TableEncoder(list(self.columns.numbers), texts_of, filled=not boosting)
        return Pipeline([("encode", encoder), ("classify", made)])

    def unsound(self, model: Any, inputs: pd.DataFrame, risk: np.ndarray) -> list[str | None]:
        """Withhold numbers far beyond any that training saw, and a risk that is none."""
        rules = [*soundness.far_beyond(inputs, model.classifier[0].ranges_, {}), *soundness.no_risk(risk)]
        return soundness.withheld_because(rules, len(inputs))


def other_types(estimator: EstimatorPart, model: Any) -> tuple[str, ...]:
    """Return the types in a stored model that the estimator does not allow yet, all of scikit-learn.

    Raises
    ------
    BadInput
        When there are types of something else: nobody here vouches for those.
    """
    from skops.io import get_untrusted_types

    found = set(get_untrusted_types(data=estimator.dump(model))) - set(estimator.artifact.trusted_types)
    foreign = sorted(name for name in found if not name.startswith("sklearn."))
    if foreign:
        raise BadInput(f"{estimator.algorithm}: the stored model contains {foreign[0]}, which is not of scikit-learn")
    return tuple(sorted(found))
