"""Hyperparameters of the boosting: what the block ``settings.boosting`` of a ``model.yaml`` holds."""

from pydantic import Field

from readmission_platform.foundation.values import Frozen


class BoostingConfig(Frozen):
    """Hyperparameters of the histogram gradient boosting (scikit-learn's ``HistGradientBoostingClassifier``)."""

    learning_rate: float = Field(gt=0)
    max_iter: int = Field(ge=1)
    max_leaf_nodes: int = Field(ge=2)
    min_samples_leaf: int = Field(ge=1)
    l2_regularization: float = Field(ge=0)
    max_features: float = Field(gt=0, le=1)
