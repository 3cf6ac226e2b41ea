"""Starting a roll-out: the plan from what the environment sets and what was asked for, and the facts gathered.

What belongs here: that, and asking ``governance``. What does not: deciding, and the steps that follow (``driving``).
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from readmission_platform.foundation.errors import BadInput
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.promotion.decision import PromotionRequest
from readmission_platform.governance.rollouts.plan import KINDS, RolloutPlan
from readmission_platform.governance.rollouts.start import (
    StartDecision,
    StartRequest,
    decide_start,
    stage_asked_for,
)
from readmission_platform.governance.rollouts.state import STARTED
from readmission_platform.lifecycle.asking import signed
from readmission_platform.lifecycle.versions.decisions import consider_closely
from readmission_platform.lifecycle.workspace import Workspace


def plan_for(
    kind: str, version: str | None, asked: Mapping[str, Any], *, ledger: Ledger, workspace: Workspace
) -> RolloutPlan:
    """Return the plan for a roll-out: the limits of the environment, and what was asked for instead of them.

    Parameters
    ----------
    version
        The candidate; None for the version in staging.
    asked
        Fields of the plan; None stands for what the environment sets.

    Raises
    ------
    BadInput
        When the plan makes no sense, or there is no version to roll out or to compare with.
    """
    if kind not in KINDS:
        raise BadInput(f"--kind: {kind} is unknown; choose {', '.join(KINDS)}")
    pointers = ledger.pointers()
    control, candidate = pointers["production"].version, version or pointers["staging"].version
    if candidate is None:
        raise BadInput("no version is in staging: name the one to roll out with --version")
    if control is None:
        raise BadInput("no version is in production to roll out beside: a first version is promoted "
                       "(`readmission promote`)")  # fmt: skip
    limits = workspace.rules.rollouts.limits.model_dump()
    wanted = {name: value for name, value in asked.items() if value is not None}
    content = {**limits, **wanted, "kind": kind, "candidate_version": candidate, "control_version": control}
    try:
        return RolloutPlan.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the plan"
        raise BadInput(f"{where}: {first['msg'].removeprefix('Value error, ')}") from error


def consider_start(plan: RolloutPlan, reason: str, *, ledger: Ledger, workspace: Workspace) -> StartDecision:
    """Gather the facts about the candidate and decide whether its roll-out may begin; changes nothing.

    Raises
    ------
    BadInput
        When there is no such version.
    PredictionsChanged
        When what it scored in the shadow is not what the ledger recorded.
    """
    # The plan says which version is replaced, so whoever signs it acknowledges that.
    wanted = PromotionRequest(plan.candidate_version, stage_asked_for(plan), workspace.actor, replace=True)
    promotion, _, events, _, now = consider_closely(wanted, ledger=ledger, workspace=workspace)
    request = signed(StartRequest(plan, workspace.actor, reason), STARTED, ledger=ledger, workspace=workspace)
    return decide_start(
        request, promotion, events=events, environment_name=workspace.environment, model=ledger.model, now=now
    )
