"""The pipeline of this model: gradient boosting on encoded encounters.

What belongs here: encoder and boosting, put together. What does not: fitting by fold and recalibration
(``boosting.crossvalidation``) and judging the scores (``evaluation``).
"""

from collections.abc import Mapping

from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline

from readmission_platform.models.readmission_30d.features import EncounterEncoder, categorical_mask, monotone_directions


def build_pipeline(boosting: Mapping[str, float], *, target_smoothing: float | None, seed: int) -> Pipeline:
    """Return the unfitted pipeline: encoder, then histogram gradient boosting with native categories.

    The risk may only rise with utilisation (``features.RISING``).

    Parameters
    ----------
    boosting
        Hyperparameters of ``HistGradientBoostingClassifier``.
    target_smoothing
        See ``EncounterEncoder``; None leaves the target statistics out.
    """
    statistics = target_smoothing is not None
    return Pipeline(
        [
            ("encode", EncounterEncoder(target_smoothing=target_smoothing, seed=seed)),
            (
                "boost",
                HistGradientBoostingClassifier(
                    **boosting,
                    categorical_features=categorical_mask(target_statistics=statistics),
                    monotonic_cst=monotone_directions(target_statistics=statistics),
                    early_stopping=False,
                    random_state=seed,
                ),
            ),
        ]
    )
