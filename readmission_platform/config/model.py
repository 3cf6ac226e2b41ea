"""The model, its evaluation, and how its scores are used: shape of ``model.yaml``."""

from typing import Any

from pydantic import Field, field_validator

from readmission_platform.foundation.values import Frozen


class AgreementLimits(Frozen):
    """When the version in the shadow and the one in production differ enough to be looked at."""

    min_rows: int = Field(ge=1, description="Fewer are shown and not judged.")
    max_mean_difference: float = Field(gt=0, description="Mean of shadow minus production risk, either way.")
    min_rank_correlation: float = Field(ge=-1, le=1)
    min_flagged_overlap: float = Field(ge=0, le=1)
    max_psi: float = Field(gt=0)
    psi_rows: int = Field(ge=1, description="The stability index of fewer says nothing.")


class EvaluationConfig(Frozen):
    """How a model is evaluated and its scores are used; counts once it was adopted with a signature."""

    seed: int
    replay_share: float = Field(gt=0, lt=1)
    folds: int = Field(ge=2)
    flag_share: float = Field(gt=0, lt=1, description="Share of rows the care team can follow up.")
    wide_flag_share: float = Field(gt=0, lt=1)
    decision_thresholds: tuple[float, ...]
    bootstrap_replicates: int = Field(ge=50)
    risk_bands: dict[str, float] = Field(description="Band name to its lowest risk, ascending.")
    min_rows: int = Field(ge=1)
    plausible_prevalence: tuple[float, float]
    max_missing_fraction: dict[str, float] = Field(description="By column; a column not named may miss nothing.")
    daily_rows: int = Field(ge=1, description="Rows a simulated day in the replay holds.")
    shadow_agreement: AgreementLimits

    @field_validator("risk_bands")
    @classmethod
    def _ascending(cls, given: dict[str, float]) -> dict[str, float]:
        """Order the bands by their lowest risk: what is read from the ledger has its names in alphabetical order."""
        return dict(sorted(given.items(), key=lambda band: band[1]))


class ModelConfig(EvaluationConfig):
    """``configs/models/<name>/model.yaml``: the evaluation, and the settings of the estimator.

    The change plan in force says how far the settings may go.
    """

    settings: dict[str, Any] = Field(description="What only the estimator of the model knows of; it validates this.")
