"""What a dossier says to people: its pages, each made from the evidence document and the texts of the model card.

What belongs here: making them, for whoever hands a dossier over and whoever verifies one. What does not: how they look
(``reports``).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from readmission_platform.config.model_card import ModelCardConfig
from readmission_platform.evaluation.words import Words
from readmission_platform.governance.dossier import manifest as dossier
from readmission_platform.reports.dossier import readme
from readmission_platform.reports.evidence_report import evidence_html
from readmission_platform.reports.model_card import card_html, card_markdown, card_of

NOT_PROVEN = (
    "that the ledger extract, and with it the key that it registers for the signer, was not rewritten as a whole "
    "before it was sealed: compare the key with one that was obtained independently (--public-key), and the extract "
    "with a head that `readmission audit export-head` exported before and that was kept elsewhere (--head)",
    "that the texts of the model card (model_card.json) are true: somebody wrote them; every figure on the pages is "
    "that of evidence.json",
    "what needs the model file, its inputs or another fit: what was measured at training, explanations, the study and "
    "the cohort stand in evidence.json as the ledger recorded them; everything else there was recomputed from the rows",
    "what happened after the last event of ledger.jsonl, a rollback for instance",
    "that the scores are those of the model file, which is not in here: `readmission reproduce` and "
    "`readmission verify` look at that where the model is kept",
)
_NOTES = {
    "Pseudonyms": "Encounters and patients have the pseudonyms of the home. The digest that the ledger recorded of the "
    "rows covers them, so giving them new ones for each dossier would make the rows unverifiable. Whoever holds two "
    "dossiers of one home can therefore tell which rows are the same one, and nothing about whose it is.",
}


def pages(
    document: Mapping[str, Any], card_words: ModelCardConfig, *, environment: str, made_at: str, signer: str,
    demo: bool, files: Sequence[str],
) -> dict[str, bytes]:  # fmt: skip
    """Return every page by file name.

    Parameters
    ----------
    document
        The evidence document.
    card_words
        The texts of the model card.
    files
        The names of all files of the dossier.
    """
    card = card_of(document, card_words)
    explained = readme(
        model=document["model"], words=Words(**document["words"]), version=document["version"],
        environment=environment, made_at=made_at, signer=signer, demo=demo, files=files, not_proven=NOT_PROVEN,
        notes=_NOTES,
    )  # fmt: skip
    return {
        dossier.README: explained.encode(),
        dossier.CARD_PAGE: card_html(card).encode(),
        dossier.CARD_TEXT: card_markdown(card).encode(),
        dossier.REPORT: evidence_html(document).encode(),
    }


def card_words_bytes(card_words: ModelCardConfig) -> bytes:
    """Return the texts of the card as they are stored, in the order in which the card shows them."""
    return card_words.model_dump_json(indent=1).encode() + b"\n"


def gate_table(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the gate table of a dossier: the gates of the evidence document, with verdict and policy."""
    return {name: document.get(name) for name in ("model", "version", "verdict", "policy_digest", "gates")}
