"""What may change about the model without a new review: shape of ``change_plan.yaml``.

What belongs here: the three parts that the FDA's guidance on predetermined change control plans asks for: what may be
modified, by which protocol, and with what impact; besides them what stays as it is. What does not: comparing a version
with the plan (``governance.policy.change_plan``).
"""

import math

from pydantic import Field, model_validator

from readmission_platform.config.governance import LimitSet
from readmission_platform.foundation.values import Frozen, Limits


class Span(Frozen):
    """Numbers from ``at_least`` to ``at_most``, both included."""

    at_least: float
    at_most: float

    @model_validator(mode="after")
    def _is_in_order(self) -> "Span":
        if not (math.isfinite(self.at_least) and math.isfinite(self.at_most)):
            raise ValueError("both ends have to be numbers")
        if self.at_least > self.at_most:
            raise ValueError("at_least is above at_most")
        return self


class Guidance(Frozen):
    """A document that the plan follows."""

    title: str = Field(min_length=1)
    publisher: str = Field(min_length=1)
    dated: str = Field(min_length=1)
    link: str | None = None


class Impact(Frozen):
    """What a modification may do for patients and to them, and what keeps the risk small."""

    benefit: str = Field(min_length=1)
    risk: str = Field(min_length=1)
    mitigation: str = Field(min_length=1)


class Modification(Frozen):
    """One thing that may change: within which ranges, why, how it is verified, and its impact.

    ``ranges`` are by the name of what training records: ``seed``, ``rows.<source>``, ``settings.<name>``, and
    ``recalibration.slope`` and ``recalibration.intercept`` of a version that keeps another one's model.
    """

    what: str = Field(min_length=1)
    why: str = Field(min_length=1)
    how: str = Field(min_length=1, description="Who or what makes the change, and how often.")
    ranges: dict[str, Span] = Field(min_length=1)
    verified_by: tuple[str, ...] = Field(min_length=1, description="Names of gates.")
    impact: Impact


class Unchanged(Frozen):
    """What stays as it is; anything else needs a new review."""

    algorithm: str = Field(min_length=1)
    folds: int = Field(ge=2)
    sources: tuple[str, ...] = Field(min_length=1, description="Where rows may come from: the population.")
    cohort_rule: tuple[str, ...] = Field(min_length=1, description="Steps of the cohort flow, by their names.")
    cohort_counts: dict[str, dict[str, int]] = Field(
        default_factory=dict, description="By source whose content is pinned: rows at a step of the flow."
    )
    outcome: str = Field(min_length=1, description="What is predicted, in words.")
    outcome_share: Span = Field(description="Share of rows with it; another outcome would have another.")
    inputs: tuple[str, ...] = Field(min_length=1)
    features: tuple[str, ...] = Field(min_length=1)


class Protocol(Frozen):
    """How every modification is developed, verified and put into use."""

    data_management: str = Field(min_length=1)
    retraining: str = Field(min_length=1)
    evaluation: str = Field(min_length=1)
    update: str = Field(min_length=1)


class PlanLimit(Frozen):
    """How good a version has to be to count as a modification under the plan, whatever the gates ask for."""

    metric: str = Field(min_length=1, description="An estimate, or those of all groups: `observed_expected.race.*`.")
    why: str = Field(min_length=1)
    min_positives: int = Field(default=0, ge=0, description="A group with fewer readmissions is not judged.")
    limits: dict[LimitSet, Limits]


class ChangePlan(Frozen):
    """``change_plan.yaml`` of the model: what may change without a new review, how it is verified, and its limits."""

    guidance: tuple[Guidance, ...]
    purpose: str = Field(min_length=1)
    modifications: dict[str, Modification] = Field(min_length=1)
    unchanged: Unchanged
    protocol: Protocol
    limits: dict[str, PlanLimit] = Field(min_length=1)
    together: str = Field(min_length=1, description="Impact of all modifications together, and of one on another.")

    @model_validator(mode="after")
    def _says_everything_once(self) -> "ChangePlan":
        named = [name for modification in self.modifications.values() for name in modification.ranges]
        twice = sorted({name for name in named if named.count(name) > 1})
        if twice:
            raise ValueError(f"two modifications give a range for {', '.join(twice)}")
        unsized = [source for source in self.unchanged.sources if f"rows.{source}" not in named]
        if unsized:
            raise ValueError(f"no modification gives a range for rows.{unsized[0]}")
        return self

    @property
    def ranges(self) -> dict[str, Span]:
        """Every range, by the name of the recorded value it is for."""
        return {name: span for each in self.modifications.values() for name, span in each.ranges.items()}
