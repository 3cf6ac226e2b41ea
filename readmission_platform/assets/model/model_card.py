"""The model card of a version: written when it has been judged, and again whenever somebody asks for it.

What belongs here: ``model_card``. What does not: making and writing a card (``lifecycle.versions.model_card``).
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg
from pydantic import Field

from readmission_platform.assets.model.validation import VALIDATION
from readmission_platform.assets.model_assets import ModelAssets
from readmission_platform.assets.presentation import PLATFORM_TEAM, check_result, nothing_to_check, table
from readmission_platform.governance.ledger.chain import Event
from readmission_platform.lifecycle.versions.model_card import CARD_FILES, card_for, write_card
from readmission_platform.lifecycle.workspace import Platform

CHECK = "model_card_complete"
RULE = "Every field of the model card is filled in or says why not, and no answer of the crosswalk is missing."
ACTION = "Fill in model_card.yaml of the model, or correct the path; the card itself lists what is missing."


class ModelCardConfig(dg.Config):
    """Which version the card is of."""

    version: str | None = Field(
        default=None, description="Version; default: the one judged in this run, or the last one."
    )


def model_card_asset(model: ModelAssets) -> dg.AssetsDefinition:
    """Return the asset of the model card."""

    @model.asset(
            "model_card", group="validation", owners=[PLATFORM_TEAM], kinds={"html", "markdown"}, deps=[VALIDATION],
            warning={CHECK: RULE},
            description="What to know about a version before using it: purpose, limits, data, figures, upkeep. "
            "It answers the source attributes of ONC's HTI-1 rule, the sections of CHAI's applied model card and the "
            'items of TRIPOD+AI, and shows where. What nobody knows says "not available" and why. Written as HTML and '
            "Markdown beside the report of the version; `readmission card VERSION` writes that of any version.",
    )  # fmt: skip
    def model_card(
        context: dg.AssetExecutionContext, config: ModelCardConfig, platform: dg.ResourceParam[Platform]
    ) -> dg.MaterializeResult:
        workspace = model.workspace(platform)
        with workspace.ledger() as ledger:
            version = config.version or _judged(ledger.events(kind="version_validated"), context.run.run_id)
            if version is None:
                return dg.MaterializeResult(check_results=[nothing_to_check(CHECK, "no version has been judged yet")])
            card = card_for(version, ledger=ledger, workspace=workspace)
        pages = {form: write_card(card, form, workspace) for form in CARD_FILES}
        return dg.MaterializeResult(
            metadata={
                "model version": version,
                "card": dg.MetadataValue.path(str(pages["html"])),
                "as Markdown": dg.MetadataValue.path(str(pages["md"])),
                "crosswalk": table(_answered(card)),
                "missing": table({"missing": gap} for gap in card["gaps"]),
            },
            tags={"model_version": version},
            check_results=[check_result(CHECK, not card["gaps"], observed="; ".join(card["gaps"]) or "complete",
                                        rule=RULE, action=ACTION)],
        )  # fmt: skip

    return model_card


def _judged(validations: Sequence[Event], run_id: str) -> str | None:
    """Return the version judged in this run, else the one judged last."""
    here = [event for event in validations if event.payload.get("run_id") == run_id]
    return (here or list(validations))[-1].version if validations else None


def _answered(card: dict[str, Any]) -> list[dict[str, Any]]:
    """Count by standard what is answered, and what is said to be not available."""
    return [
        {
            "standard": walk["title"],
            "items": len(walk["items"]),
            "not available": sum(
                bool(item["not_available"]) or all(answer["not_available"] for answer in item["answers"])
                for item in walk["items"]
            ),
        }
        for walk in card["crosswalks"]
    ]
