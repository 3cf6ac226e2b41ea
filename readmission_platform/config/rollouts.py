"""How a new version is rolled out, and when a day's scoring takes a version back: a part of ``environments/*.yaml``.

What belongs here: the shapes, with the meaning and the unit of every limit. What does not: judging by them
(``evaluation.sequential``, ``lifecycle.rollouts``), and the plan of one roll-out (``governance.rollouts.plan``).
"""

from itertools import pairwise
from typing import Literal

from pydantic import Field, field_validator, model_validator

from readmission_platform.foundation.values import Frozen

_ALL = 100.0
_LEAST_SAMPLES = 50


class RolloutLimits(Frozen):
    """How far a roll-out goes at a time, and how different the candidate may be from the version it replaces.

    A margin is how much worse than the control arm the candidate may be, a ceiling what it may not exceed however the
    control arm does.
    """

    steps: tuple[float, ...] = Field(min_length=1, max_length=20, description="Per cent of the patients, growing.")
    min_samples: int = Field(ge=_LEAST_SAMPLES, description="Answers that each arm needs in a step.")
    bake_minutes: float = Field(gt=0, le=60 * 24 * 30, description="A step lasts at least so long.")
    alpha: float = Field(gt=0, le=0.2, description="Largest probability to take back a candidate that is no worse.")
    error_margin: float = Field(gt=0, lt=1, description="Difference of the shares of failed answers.")
    error_ceiling: float = Field(gt=0, lt=1, description="Share of failed answers.")
    withheld_margin: float = Field(gt=0, lt=1, description="Difference of the shares withheld, either way.")
    withheld_ceiling: float = Field(gt=0, le=1, description="Share of answers without a score.")
    latency_tolerance: float = Field(ge=0, description="The candidate may be slower by this share.")
    latency_quantile: float = Field(gt=0, lt=1, description="The quantile of the latency that is compared.")
    latency_margin_ms: float = Field(gt=0, description="Milliseconds by which that quantile may be higher.")
    latency_ceiling_ms: float = Field(gt=0, description="Milliseconds that this quantile may not exceed.")
    score_tolerance: float = Field(ge=0, description="Standard deviations by which the risks of both may differ.")
    score_shift: float = Field(gt=0, description="Shift of the risks to rule out, with proof: margin.")
    proof: Literal["margin", "samples"] = Field(
        description="Fine with enough samples, or only when every margin and ceiling is ruled out as well."
    )

    @field_validator("steps")
    @classmethod
    def _grow_to_everybody(cls, steps: tuple[float, ...]) -> tuple[float, ...]:
        if steps[0] <= 0 or steps[-1] != _ALL or any(before >= after for before, after in pairwise(steps)):
            raise ValueError("steps are shares in per cent that grow from above 0 to 100")
        return steps

    @model_validator(mode="after")
    def _tolerates_less_than_it_rules_out(self) -> "RolloutLimits":
        if self.score_tolerance >= self.score_shift:
            raise ValueError("score_tolerance is smaller than score_shift")
        return self


class DayLimits(Frozen):
    """What a day scored by the version in production may come to, before that version is taken back."""

    withheld_share: float = Field(gt=0, le=1, description="Share of the day's rows whose risk is withheld.")
    failed_share: float = Field(gt=0, le=1, description="Share of the accepted rows that were not answered at all.")
    score_shift: float = Field(gt=0, description="Shift of the risks against the version before, in its deviations.")
    min_rows: int = Field(ge=_LEAST_SAMPLES, description="A day with fewer rows is not judged by itself.")


class AutomaticRollback(Frozen):
    """Whether policy takes back a version in production whose day fails its checks, without asking anybody."""

    allowed: bool
    limits: DayLimits


class RolloutRules(Frozen):
    """How an environment rolls versions out, and whether it takes them back by itself."""

    limits: RolloutLimits = Field(description="Of every plan that does not ask for others.")
    wait_for_rollout: bool = Field(
        description="An approved version is not promoted by the sensor: it waits for its roll-out."
    )
    automatic_rollback: AutomaticRollback
