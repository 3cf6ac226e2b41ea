"""What can be adopted as it stands in the checkout: a proposal, until somebody signs for it.

What belongs here: which file holds what. What does not: adopting it (``lifecycle.versions.approval``).
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from readmission_platform.config import files
from readmission_platform.config.environment import Settings
from readmission_platform.governance.policy.adoptable import AdoptionKind, Content


class Proposal(NamedTuple):
    """A file of ``configs/``, and how it is read for a model; what belongs to the environment leaves the model out.

    ``option`` names it to the commands of ``readmission policy``; the gate policy needs none.
    """

    file: str
    read: Callable[[Settings, str], Content]
    option: str = ""


PROPOSALS: Mapping[AdoptionKind, Proposal] = {
    "roles_adopted": Proposal("roles.yaml", lambda settings, _: files.roles_config(settings), "--roles"),
    "promotion_rules_adopted": Proposal(
        "promotion in environments/*.yaml", lambda settings, _: files.promotion_rules(settings), "--promotion"
    ),
    "policy_adopted": Proposal("gates.yaml", files.gate_policy),
    "change_plan_adopted": Proposal("change_plan.yaml", files.change_plan_config, "--plan"),
    "monitoring_adopted": Proposal("monitoring.yaml", files.monitoring_config, "--monitoring"),
    "evaluation_adopted": Proposal("model.yaml", files.evaluation_config, "--evaluation"),
}


def proposed(settings: Settings, model: str) -> dict[AdoptionKind, Content]:
    """Return everything that can be adopted for a model and its environment, as the checkout has it."""
    return {kind: proposal.read(settings, model) for kind, proposal in PROPOSALS.items()}
