"""The roll-out of a version as the UI shows it: plan, step, arms and figures.

What belongs here: showing. What does not: looking at the figures (``lifecycle.rollouts``), and driving the steps
(``automation.rollouts``).
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from readmission_platform.assets.model.promotion import PRODUCTION
from readmission_platform.assets.model_assets import ModelAssets
from readmission_platform.assets.presentation import PLATFORM_TEAM, check_result, nothing_to_check, table
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.rollouts.proper import rollout_problem
from readmission_platform.lifecycle.rollouts.driving import Outlook, look
from readmission_platform.lifecycle.rollouts.history import history
from readmission_platform.lifecycle.workspace import Platform

ROLLOUT = "rollout"
CHECK = "rollout_follows_its_plan"
CHECK_RULE = (
    "The roll-out that is open was started with a plan that somebody signed and with the approvals of its candidate, "
    "and every step is one of that plan."
)


def rollout_asset(model: ModelAssets) -> dg.AssetsDefinition:
    """Return the asset that shows the roll-out that is open, and those before it."""

    @model.asset(
        ROLLOUT,
        group="promotion",
        owners=[PLATFORM_TEAM],
        kinds={"python"},
        deps=[PRODUCTION],
        blocking={CHECK: CHECK_RULE},
        output_required=False,
        description="A new version beside the one in production: its plan, the share of the patients it answers for, "
        "and what both answered so far. Materializing this takes no step: rollout_sensor does, by the signed plan.",
    )
    def rollout(platform: dg.ResourceParam[Platform]) -> Iterator[Any]:
        workspace = model.workspace(platform)
        with workspace.ledger() as ledger, platform.operations() as operations:
            outlook = look(ledger, workspace, operations)
            found, events = shown(outlook, ledger), ledger.events()
        if not found:
            yield nothing_to_check(CHECK, "there never was a roll-out")
            return
        problem = rollout_problem(outlook.state, events) if outlook else None
        observed = problem or ("it does" if outlook else "no roll-out is open")
        action = "Abort it (readmission rollout abort), and find out who recorded this."
        checked = check_result(CHECK, problem is None, observed=observed, rule=CHECK_RULE, action=action)
        yield dg.MaterializeResult(metadata=found, check_results=[checked])

    return rollout


def shown(outlook: Outlook | None, ledger: Ledger) -> dict[str, Any]:
    """Return the metadata of the asset; empty where there never was a roll-out."""
    before = history(ledger.events())
    if not before:
        return {}
    found: dict[str, Any] = {"roll-outs": table(before)}
    if outlook is None:
        return {**found, "now": "no roll-out is open"}
    current = outlook.to_json()
    figures = current["figures"]
    return {
        **found,
        "now": f"{current['kind']} of version {current['candidate']}: {current['status']}",
        "step": f"{current['step']} of {current['steps']}",
        "share of the patients": float(current["share"]),
        "next": f"{str(current['next'] or 'nothing yet').removeprefix('rollout_')}: {current['why']}",
        "watched minutes": float(current["watched_minutes"]),
        "arms": table({"arm": name, **figures["arms"][name]} for name in ("candidate", "control")),
        "tests": table({"test": name, **each} for name, each in figures["tests"].items()),
        "plan": dg.MetadataValue.json(current["plan"]),
    }
