"""The model card of a version: written when it has been judged, and again whenever somebody asks for it.

What belongs here: ``model_card``, and writing the card of any version. What does not: what the card says and how it
looks (``reports.model_card``). The card is made from the evidence document and ``configs/model_card.yaml``, and from
nothing else; no promotion asks for it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from readmission_platform.assets.presentation import PLATFORM_TEAM, check_result, nothing_to_check, table
from readmission_platform.config.files import model_card_config
from readmission_platform.foundation.errors import BadInput
from readmission_platform.governance.ledger.chain import Event
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.lifecycle.versions.evidence_document import evidence_document
from readmission_platform.reports.model_card import card_html, card_markdown, card_of
from readmission_platform.resources.lake import LakeResource
from readmission_platform.resources.project import ProjectResource
from readmission_platform.storage.home import replace_file
from readmission_platform.storage.lake import Lake

CARD_FILES = {"html": "model_card.html", "md": "model_card.md"}
CHECK = "model_card_complete"
RULE = "Every field of the model card is filled in or says why not, and every answer of the crosswalk is there."
ACTION = "Fill in configs/model_card.yaml, or correct the path; the card itself lists what is missing."


class ModelCardConfig(dg.Config):
    """Which version the card is of."""

    version: str | None = Field(default=None, description="Version; default: the one judged in this run, or last.")


@dg.asset(
    group_name="validation",
    owners=[PLATFORM_TEAM],
    kinds={"html", "markdown"},
    code_version="1",
    deps=["validation_report"],
    check_specs=[dg.AssetCheckSpec(CHECK, asset="model_card", description=RULE)],
)
def model_card(
    context: dg.AssetExecutionContext, config: ModelCardConfig, project: ProjectResource, lake: LakeResource
) -> dg.MaterializeResult:
    """What one has to know of a version before one uses it: purpose, limits, data, figures, upkeep.

    It answers the source attributes of ONC's HTI-1 rule, the sections of CHAI's applied model card and the items of
    TRIPOD+AI, and shows where. What nobody knows says "not available" and why. Written as HTML and Markdown beside the
    report of the version; `readmission card VERSION` writes that of any version, rejected ones included.
    """
    with project.ledger() as ledger:
        version = config.version or _judged(ledger.events(kind="version_validated"), context.run.run_id)
        if version is None:
            return dg.MaterializeResult(check_results=[nothing_to_check(CHECK, "no version has been judged yet")])
        card = card_for(version, ledger=ledger, project=project, lake=lake.open())
    pages = {form: write_card(card, form, project) for form in CARD_FILES}
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


def card_for(version: str, *, ledger: Ledger, project: ProjectResource, lake: Lake) -> dict[str, Any]:
    """Return the card of a version, as ``reports.model_card.card_of`` does.

    Raises
    ------
    BadInput
        When there is no such version, or it has not been judged.
    EvidenceMissing
        When the evidence rows are gone or are not those recorded.
    """
    events, pointers = ledger.snapshot()
    document = evidence_document(version, events=events, pointers=pointers, project=project, lake=lake)
    if document["verdict"] is None:
        raise BadInput(f"version {version} has not been judged yet; materialize validation_report")
    return card_of(document, model_card_config(project.settings))


def write_card(card: dict[str, Any], form: str, project: ProjectResource, out: Path | None = None) -> Path:
    """Write a card as ``html`` or ``md``, whole or not at all, and return where it is.

    Parameters
    ----------
    out
        File to write; default ``reports/<model>/<version>/model_card.<form>`` in the home.

    Raises
    ------
    OSError
        When the file cannot be written.
    """
    target = out or project.settings.reports / card["model"] / card["version"] / CARD_FILES[form]
    page = card_html(card) if form == "html" else card_markdown(card)
    target.parent.mkdir(parents=True, exist_ok=True)
    replace_file(target, page.encode())
    return target


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
