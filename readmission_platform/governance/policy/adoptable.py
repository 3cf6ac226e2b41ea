"""What can be adopted, and what it is once it is in force.

What belongs here: the kinds (from roles to evaluation settings), what is asked of each, who may adopt
it and where it counts. What does not: signatures and events (``adoption``).

Roles and promotion rules belong to the environment: they are adopted once and hold for every model. The others belong
to one model.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar, get_args

from pydantic import BaseModel

from readmission_platform.config.change_plan import ChangePlan
from readmission_platform.config.governance import GatePolicy, PromotionRules, RolesConfig
from readmission_platform.config.model import EvaluationConfig
from readmission_platform.config.monitoring import MonitoringConfig
from readmission_platform.foundation.errors import BadInput
from readmission_platform.governance.ledger.chain import ENVIRONMENT, Event
from readmission_platform.governance.policy.change_plan import check_plan
from readmission_platform.governance.policy.gates import check_policy
from readmission_platform.governance.policy.required import RequiredGates
from readmission_platform.governance.roles import check_roles

AdoptionKind = Literal[
    "roles_adopted",
    "promotion_rules_adopted",
    "policy_adopted",
    "change_plan_adopted",
    "monitoring_adopted",
    "evaluation_adopted",
]
Content = RolesConfig | PromotionRules | GatePolicy | ChangePlan | MonitoringConfig | EvaluationConfig


C = TypeVar("C", bound=Content)


@dataclass(frozen=True)
class Adopted(Generic[C]):
    """What is in force, and the event that made it so."""

    content: C
    digest: str
    seq: int
    adopted_by: str
    adopted_at: str
    demo: bool


PolicyInForce = Adopted[GatePolicy]
PlanInForce = Adopted[ChangePlan]
RolesInForce = Adopted[RolesConfig]


@dataclass(frozen=True)
class InForce:
    """Everything that is in force, in the order of ``AdoptionKind``; None where nothing was properly adopted."""

    roles: RolesInForce | None
    promotion_rules: Adopted[PromotionRules] | None
    policy: PolicyInForce | None
    plan: PlanInForce | None
    monitoring: Adopted[MonitoringConfig] | None
    evaluation: Adopted[EvaluationConfig] | None

    @property
    def adoptions(self) -> dict[AdoptionKind, Adopted[Any] | None]:
        """Everything by kind, in the order in which it can be adopted."""
        return dict(zip(get_args(AdoptionKind), vars(self).values(), strict=True))

    @property
    def missing(self) -> list[AdoptionKind]:
        """What is not in force, in the order in which it can be adopted."""
        return [kind for kind, adoption in self.adoptions.items() if adoption is None]

    @property
    def digests(self) -> dict[str, str]:
        """The digest of each content in force, by kind: what an approval rests on."""
        return {kind: adoption.digest for kind, adoption in self.adoptions.items() if adoption is not None}


@dataclass(frozen=True)
class Adoptable:
    """One kind of content that can be adopted.

    Attributes
    ----------
    model, check
        Its shape, and what else is asked of it.
    permission
        What it takes to adopt it.
    of_environment
        Whether it belongs to the environment; otherwise it belongs to a model.
    words
        What it is called.
    """

    model: type[BaseModel]
    check: Callable[[Any, RequiredGates | None], None]
    permission: str
    of_environment: bool
    words: str

    def stream(self, model: str) -> str:
        """Return the stream of the ledger that an adoption through this model's ledger belongs into."""
        return ENVIRONMENT if self.of_environment else model


def _check_policy(policy: GatePolicy, required: RequiredGates | None) -> None:
    gates = _of_its_model(required)
    check_policy(policy, "real", gates)
    check_policy(policy, "synthetic", gates)


def _check_plan(plan: ChangePlan, required: RequiredGates | None) -> None:
    check_plan(plan, _of_its_model(required))


def _only_shape(content: Content, required: RequiredGates | None) -> None:
    """Nothing is asked of it besides its shape."""


def _check_roles(roles: RolesConfig, required: RequiredGates | None) -> None:
    check_roles(roles)


def _of_its_model(required: RequiredGates | None) -> RequiredGates:
    if required is None:
        raise TypeError("a policy or change plan is checked against the gates that its model requires: pass them")
    return required


ADOPTABLE: dict[str, Adoptable] = {
    "roles_adopted": Adoptable(RolesConfig, _check_roles, "administer", of_environment=True, words="roles"),
    "promotion_rules_adopted": Adoptable(
        PromotionRules, _only_shape, "adopt_policy", of_environment=True, words="promotion rules"
    ),
    "policy_adopted": Adoptable(GatePolicy, _check_policy, "adopt_policy", of_environment=False, words="policy"),
    "change_plan_adopted": Adoptable(
        ChangePlan, _check_plan, "adopt_policy", of_environment=False, words="change plan"
    ),
    "monitoring_adopted": Adoptable(
        MonitoringConfig, _only_shape, "adopt_policy", of_environment=False, words="monitoring limits"
    ),
    "evaluation_adopted": Adoptable(
        EvaluationConfig, _only_shape, "adopt_policy", of_environment=False, words="evaluation settings"
    ),
}


def is_adoption(event: Event) -> bool:
    """Tell whether an event adopts something, in the stream of the ledger where that counts."""
    adoptable = ADOPTABLE.get(event.kind)
    return adoptable is not None and adoptable.of_environment == (event.model == ENVIRONMENT)


def check_content(kind: AdoptionKind, content: Content, *, required: RequiredGates | None = None) -> Adoptable:
    """Check that something holds all that is required of it before it can be adopted.

    Parameters
    ----------
    required
        The gates that the model requires (``required.required_gates``): needed for a policy and a change plan.

    Raises
    ------
    BadInput
        Naming what is missing or cannot be used.
    """
    adoptable = ADOPTABLE[kind]
    if not isinstance(content, adoptable.model):
        raise BadInput(f"{kind} does not go with {type(content).__name__}.")
    adoptable.check(content, required)
    return adoptable
