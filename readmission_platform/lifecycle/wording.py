"""How the model's figures are called on pages and in the UI.

What belongs here: putting the model's words and settings together. What does not: the words of metrics
(``evaluation.words``).
"""

from readmission_platform.config.model import ModelConfig
from readmission_platform.evaluation.words import Wording
from readmission_platform.models.readmission_30d.evidence import SCHEMA, WORDS


def wording_of(model: ModelConfig) -> Wording:
    """Return the wording of the model: its nouns, its subgroups and baselines, and the shares it flags."""
    return Wording(WORDS, SCHEMA, model.flag_share, model.wide_flag_share)
