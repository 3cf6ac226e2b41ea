"""How a new version is rolled out, and when a day's scoring takes a version back: a part of ``environments/*.yaml``.

What belongs here: the shapes, with the meaning and the unit of every limit. What does not: judging by them
(``evaluation.sequential``, ``lifecycle.rollouts``), and the plan of one roll-out (``governance.rollouts.plan``).
"""

from itertools import pairwise

from pydantic import Field, field_validator

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
    latency_quantile: float = Field(gt=0, lt=1, description="The quantile of the latency that is compared.")
    latency_margin_ms: float = Field(gt=0, description="Milliseconds by which that quantile may be higher.")
    latency_ceiling_ms: float = Field(gt=0, description="Milliseconds that this quantile may not exceed.")
    score_shift: float = Field(gt=0, description="Shift of the risks, in standard deviations of the control arm's.")

    @field_validator("steps")
    @classmethod
    def _grow_to_everybody(cls, steps: tuple[float, ...]) -> tuple[float, ...]:
        if steps[0] <= 0 or steps[-1] != _ALL or any(before >= after for before, after in pairwise(steps)):
            raise ValueError("steps are shares in per cent that grow from above 0 to 100")
        return steps
