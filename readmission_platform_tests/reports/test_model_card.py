"""The model card: made from the evidence document alone, complete, and open about what nobody knows."""

import json
import re
from copy import deepcopy
from html.parser import HTMLParser
from typing import Any

import pytest

from readmission_platform.config.environment import PROJECT_ROOT
from readmission_platform.config.files import read_yaml
from readmission_platform.config.model_card import REQUIRED_ITEMS, REQUIRED_TEXTS, ModelCardConfig
from readmission_platform.reports.card_tables import TABLES
from readmission_platform.reports.model_card import card_html, card_markdown, card_of, gaps_of
from readmission_platform_tests.support.altered import altered
from readmission_platform_tests.support.homes import MODEL, Home

CONFIG = read_yaml(PROJECT_ROOT / "configs" / "models" / "readmission_30d" / "model_card.yaml", ModelCardConfig)
NOT_RECORDED = "not recorded when this version was trained"


@pytest.fixture(scope="module")
def document(trained_home: Home) -> dict[str, Any]:
    """The evidence document of a version."""
    path = trained_home.path / "reports" / MODEL / "1" / "evidence.json"
    return dict(json.loads(path.read_text(encoding="utf-8")))


def config_with(**changes: Any) -> ModelCardConfig:
    return altered(CONFIG, **changes)


def barely_recorded(document: dict[str, Any]) -> dict[str, Any]:
    bare = deepcopy(document)
    bare["provenance"]["recipe"] = None
    return bare | {"cohort": None, "explanations": None, "robustness": None}


def answers(card: dict[str, Any], standard: str, item: str) -> list[dict[str, Any]]:
    items = next(walk["items"] for walk in card["crosswalks"] if walk["id"] == standard)
    return next(list(each["answers"]) for each in items if each["item"] == item)


def test_the_standards_ask_as_many_questions_as_they_should():
    assert {standard: len(items) for standard, items in REQUIRED_ITEMS.items()} == {
        "onc": 31, "chai": 41, "tripod_ai": 52
    }  # fmt: skip
    assert len({re.sub(r"[a-z]", "", item) for item in REQUIRED_ITEMS["tripod_ai"]}) == 27
    assert len({item.split("/")[0] for item in REQUIRED_ITEMS["chai"]}) == 9


@pytest.mark.parametrize("source", ["uci", "synthetic"])
def test_the_shipped_card_is_complete_for_every_source(document: dict[str, Any], source: str):
    assert gaps_of(document | {"source": source}, CONFIG) == []


def test_a_version_of_which_little_is_known_has_a_complete_card_that_says_what_was_not_recorded(
    document: dict[str, Any],
):
    card = card_of(barely_recorded(document), CONFIG)
    assert card["gaps"] == []
    (flow,) = [each for each in answers(card, "tripod_ai", "20a") if each["target"] == "table-cohort"]
    assert flow["not_available"] == NOT_RECORDED
    assert NOT_RECORDED in card_markdown(card)
    assert "readmission study" in card_markdown(card)


def test_the_card_of_a_recalibrated_version_says_whose_model_it_keeps_and_what_was_corrected(document: dict[str, Any]):
    fitted = card_markdown(card_of(document, CONFIG))
    assert "Nothing was calibrated or refitted on the data it was evaluated on" in fitted
    corrected = deepcopy(document)
    corrected["provenance"]["recalibrated"] = {"of_version": "7", "slope": 1.125, "intercept": -0.25, "rows": 5000,
                                               "matured": 1200, "until": "2026-09-30"}  # fmt: skip
    card = card_of(corrected, CONFIG)
    assert card["gaps"] == []
    said = card_markdown(card)
    assert "Nothing was calibrated or refitted" not in said
    assert "The model of version 7 is kept, and its risks are corrected" in said
    assert "version 7, its log odds times 1.125 plus -0.250, by the latest 5,000 encounters" in said


def test_what_is_hidden_or_undefined_says_so(document: dict[str, Any]):
    hidden = deepcopy(document)
    hidden["estimates"]["auroc_test"] |= {"value": None, "low": None, "high": None}
    card = card_of(hidden, CONFIG)
    assert card["gaps"] == []
    (shown,) = [each for each in answers(card, "onc", "(7)(i)") if "test patients" in each["words"]]
    assert "1 to 10 people" in shown["not_available"]


@pytest.mark.parametrize("name", REQUIRED_TEXTS)
def test_an_empty_field_is_a_gap(document: dict[str, Any], name: str):
    emptied = {"text": " ", "by_source": {}, "not_available": ""}
    changed = config_with(**{f"texts__{name}": CONFIG.texts[name].model_dump() | emptied})
    assert gaps_of(document, changed) == [f"text {name}: empty, and no reason says why"]


def test_a_field_without_words_for_this_source_is_a_gap(document: dict[str, Any]):
    changed = config_with(texts__limitations__by_source={"uci": "Old data."})
    assert gaps_of(document | {"source": "synthetic"}, changed) == ["text limitations: empty, and no reason says why"]
    assert gaps_of(document | {"source": "uci"}, changed) == []


@pytest.mark.parametrize("standard", REQUIRED_ITEMS)
def test_every_question_has_to_be_there_and_answered(document: dict[str, Any], standard: str):
    items = CONFIG.model_dump(mode="json")["crosswalks"][standard]["items"]
    for place, item in enumerate(items):
        without = config_with(**{f"crosswalks__{standard}__items": [*items[:place], *items[place + 1 :]]})
        assert gaps_of(document, without) == [f"{standard} {item['item']}: missing"]
        silent = [*items[:place], item | {"answers": []}, *items[place + 1 :]]
        unanswered = config_with(**{f"crosswalks__{standard}__items": silent})
        assert gaps_of(document, unanswered) == [f"{standard} {item['item']}: no answer, and no reason says why"]


@pytest.mark.parametrize("answer", ["text/nothing", "evidence/estimates/aurok", "evidence/n/a", "auroc", "evidence/"])
def test_an_answer_that_points_nowhere_is_a_gap(document: dict[str, Any], answer: str):
    items = CONFIG.model_dump(mode="json")["crosswalks"]["onc"]["items"]
    items[0]["answers"] = [answer]
    changed = config_with(crosswalks__onc__items=items)
    assert gaps_of(document, changed) == [f"onc (1)(i): {answer} points nowhere"]
    assert "not complete" in card_html(card_of(document, changed))
    assert f"- onc (1)(i): {answer}" in card_markdown(card_of(document, changed))


def test_a_question_can_be_answered_with_a_reason_why_not(document: dict[str, Any]):
    items = CONFIG.model_dump(mode="json")["crosswalks"]["onc"]["items"]
    items[0] |= {"answers": [], "not_available": "Nobody asked."}
    card = card_of(document, config_with(crosswalks__onc__items=items))
    assert card["gaps"] == []
    assert "Nobody asked." in card_markdown(card)


def test_every_table_is_shown_once():
    assert sorted(table for section in CONFIG.sections.values() for table in section.tables) == sorted(TABLES)


def test_a_table_that_does_not_exist_is_a_gap(document: dict[str, Any]):
    changed = config_with(sections__gates__tables=["gates", "weather"])
    assert gaps_of(document, changed) == ["section gates shows the table weather, which there is not"]


def test_the_figures_are_those_of_the_document(document: dict[str, Any]):
    page, text = card_html(card_of(document, CONFIG)), card_markdown(card_of(document, CONFIG))
    auroc = document["estimates"]["auroc"]
    written = f"{auroc['value']:.3f} ({auroc['low']:.3f} to {auroc['high']:.3f})"
    assert written in page
    assert written in text
    changed = deepcopy(document)
    changed["estimates"]["auroc"] |= {"value": 0.5123, "low": 0.5012, "high": 0.5234}
    assert "0.512 (0.501 to 0.523)" in card_html(card_of(changed, CONFIG))
    assert all(gate["gate"] in text for gate in document["gates"])


def test_small_counts_are_hidden_once_more(document: dict[str, Any]):
    few = deepcopy(document)
    few["cohort"]["flow"][1]["rows"] = 7
    row = f"| {few['cohort']['flow'][1]['step']} | hidden |"
    assert row in card_markdown(card_of(few, CONFIG))


class _Outline(HTMLParser):
    """Anchors, links and elements of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        self.ids += [found["id"] or ""] if "id" in found else []
        self.links += [found["href"] or ""] if "href" in found else []
        assert not found.get("src")


def test_the_page_loads_nothing_and_every_link_in_it_leads_somewhere(document: dict[str, Any]):
    outline = _Outline()
    outline.feed(card_html(card_of(document, CONFIG)))
    assert not {"script", "link", "iframe", "img"} & set(outline.tags)
    assert len(outline.ids) == len(set(outline.ids))
    assert outline.links
    assert {link.removeprefix("#") for link in outline.links} <= set(outline.ids)


def test_nothing_in_a_text_becomes_markup(document: dict[str, Any]):
    page = card_html(card_of(document, config_with(texts__summary__text="<script>x</script> `a < b` and ` alone")))
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    quoted = card_html(card_of(document, config_with(texts__summary__text="`a < b`")))
    assert "<code>a &lt; b</code>" in quoted


def test_the_tables_of_the_text_have_as_many_cells_in_every_row(document: dict[str, Any]):
    text = card_markdown(card_of(document, config_with(texts__summary__text="one | two")))
    block: list[int] = []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            block.append(len(re.split(r"(?<!\\)\|", line)))
        else:
            assert len(set(block)) <= 1
            block = []


def test_a_text_belongs_into_one_section():
    with pytest.raises(ValueError, match="summary"):
        config_with(sections__use__texts=[*CONFIG.sections["use"].texts, "summary"])
