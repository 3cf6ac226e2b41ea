"""The model card of a version, as a value and as files.

What belongs here: making it and writing it. What does not: what the card says and how it looks
(``reports.model_card``). The card is made from the evidence document and ``model_card.yaml`` of the model, and from
nothing else; no promotion asks for it.
"""

from pathlib import Path
from typing import Any

from readmission_platform.config.files import model_card_config
from readmission_platform.foundation.errors import BadInput
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.lifecycle.pages import write_page
from readmission_platform.lifecycle.versions.evidence_document import evidence_document
from readmission_platform.lifecycle.workspace import Workspace
from readmission_platform.reports.model_card import card_html, card_markdown, card_of
from readmission_platform.reports.page_links import CARD

CARD_FILES = {"html": CARD, "md": "model_card.md"}


def card_for(version: str, *, ledger: Ledger, workspace: Workspace) -> dict[str, Any]:
    """Return the card of a version, as ``reports.model_card.card_of`` does.

    Raises
    ------
    BadInput
        When there is no such version, or it has not been judged.
    EvidenceMissing
        When the evidence rows are gone or are not those recorded.
    """
    events, pointers = ledger.snapshot()
    document = evidence_document(version, events=events, pointers=pointers, workspace=workspace)
    if document["verdict"] is None:
        raise BadInput(f"version {version} has not been judged yet; materialize validation_report")
    return card_of(document, model_card_config(workspace.settings, workspace.name))


def write_card(card: dict[str, Any], form: str, workspace: Workspace, out: Path | None = None) -> Path:
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
    target = out or workspace.reports / card["version"] / CARD_FILES[form]
    page = card_html(card) if form == "html" else card_markdown(card)
    return write_page(workspace.settings, target, page)
