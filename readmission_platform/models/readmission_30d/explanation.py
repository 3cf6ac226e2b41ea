"""How this model is explained: its concepts and words, and which text of a file its reasons may repeat."""

from typing import Any

import pandas as pd

from readmission_platform.models.boosting.explanation import BoostingExplanation
from readmission_platform.models.readmission_30d.concepts import CONCEPTS
from readmission_platform.models.readmission_30d.effect_values import WORDS
from readmission_platform.models.readmission_30d.watched_inputs import MADE_OF


def known_specialties_only(inputs: pd.DataFrame, encoder: Any) -> pd.DataFrame:
    """Return inputs without the specialties that the fitted encoder does not know.

    A specialty is named only if the model knows it: other text of a file gets into no reason.
    """
    unknown = ~inputs["medical_specialty"].isin(encoder.learnt_["medical_specialty"])
    return inputs.assign(medical_specialty=inputs["medical_specialty"].mask(unknown))


EXPLANATION = BoostingExplanation(CONCEPTS, WORDS, MADE_OF, known_specialties_only)
