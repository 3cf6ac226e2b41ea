"""The gate policy, the roles, and what differs between environments: shapes of their files.

What belongs here: ``gates.yaml``, ``roles.yaml``, ``environments/*.yaml``. What does not: judging by them.
"""

from typing import Literal

from pydantic import Field, model_validator

from readmission_platform.config.rollouts import RolloutRules
from readmission_platform.foundation.values import Frozen, Limits

GateStage = Literal["candidate", "staging", "production"]

LimitSet = Literal["real", "synthetic"]


class PromotionRules(Frozen):
    """What an environment asks of every promotion; counts once it was adopted with a signature."""

    allow_synthetic_in_production: bool
    shadow_days_required: int = Field(ge=0)
    approvals_required: int = Field(ge=1, description="People who have to have approved a version for production.")


class EnvironmentConfig(Frozen):
    """``configs/environments/<name>.yaml``: what differs between environments."""

    promotion: PromotionRules
    rollouts: RolloutRules
    demo_approver: bool
    adopt_policy_on_first_use: bool
    sensors_running: bool
    scoring_schedule_running: bool
    monitoring_schedule_running: bool
    retraining_running: bool
    timezone: str
    rotate_keys_after_days: int = Field(ge=1, description="`status` names signing keys that are older.")
    complete_by_hour: int = Field(ge=0, le=23, description="Local hour by which yesterday must be scored completely.")


class GateRule(Frozen):
    """One gate: the metric it looks at, when it must hold, and its limits per kind of data."""

    stage: GateStage
    metric: str
    rule: str
    action: str
    why: str
    insufficient: Literal["blocks", "warns"] = "blocks"
    min_positives: int = Field(default=0, ge=0)
    max_interval_width: float | None = None
    limits: dict[LimitSet, Limits]
    enabled: bool = True


class GatePolicy(Frozen):
    """``gates.yaml`` of the model: every gate by name, topic first."""

    gates: dict[str, GateRule]


class AdditionalGates(Frozen):
    """A file for ``train --gates``: limits asked for in addition to the policy, by gate name."""

    gates: dict[str, Limits]


class Person(Frozen):
    """Somebody who acts on models, with the public half of the signing key."""

    name: str
    roles: tuple[str, ...]
    public_key: str | None = None


class RolesConfig(Frozen):
    """``configs/roles.yaml``: what each role may do, and who holds it."""

    roles: dict[str, tuple[str, ...]]
    people: dict[str, Person] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _roles_exist(self) -> "RolesConfig":
        for identity, person in self.people.items():
            unknown = sorted(set(person.roles) - set(self.roles))
            if unknown:
                raise ValueError(f"{identity} has unknown role(s) {', '.join(unknown)}")
        return self
