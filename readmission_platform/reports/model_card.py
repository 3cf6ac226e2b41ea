"""The model card: what to know about a version before using it, as Markdown and as a page that prints well.

What belongs here: putting texts and the evidence document together, saying where each question of a standard is
answered, what is missing, and how it looks. What does not: the tables (``card_tables``), the texts and questions
(``model_card.yaml`` of the model), and where the document comes from.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup, escape

from readmission_platform.config.model_card import REQUIRED_ITEMS, REQUIRED_TEXTS, CardText, ModelCardConfig
from readmission_platform.evaluation.words import Wording
from readmission_platform.foundation.counting import BELOW_INTERVAL
from readmission_platform.reports.card_tables import TABLES, Document, Table
from readmission_platform.reports.review import NOTHING, figure, interval

TEXT, EVIDENCE = "text/", "evidence/"
_HTML, _MARKDOWN = "model_card.html.j2", "model_card.md.j2"
_ABSENT = object()


def card_of(document: Document, config: ModelCardConfig) -> dict[str, Any]:
    """Return the card as plain values: a function of the evidence document and ``model_card.yaml`` alone.

    Returns
    -------
    ``model``, ``version``, ``source``, ``limit_set``, ``words``, ``sections`` (texts and tables), ``crosswalks``, and
    ``gaps``: what keeps the card from being complete. What is not available says why.
    """
    wording = Wording.of(document)
    return {
        "model": document["model"],
        "version": document["version"],
        "source": document["source"],
        "limit_set": document["limit_set"],
        "verdict": document["verdict"],
        "words": document["words"],
        "sections": [
            {
                "id": name,
                "title": section.title,
                "texts": [_text(each, config.texts[each], document) for each in section.texts],
                "tables": [
                    _table(TABLES[each], document, wording, config) for each in section.tables if each in TABLES
                ],
            }
            for name, section in config.sections.items()
        ],
        "crosswalks": [
            {
                "id": standard,
                **walk.model_dump(mode="json", include={"title", "source", "version", "note"}),
                "items": [
                    {
                        "item": item.item,
                        "asks": item.asks,
                        "answers": [_answer(each, document, wording, config) for each in item.answers],
                        "not_available": item.not_available or None,
                    }
                    for item in walk.items
                ],
            }
            for standard, walk in config.crosswalks.items()
        ],
        "gaps": gaps_of(document, config),
    }


def gaps_of(document: Document, config: ModelCardConfig) -> list[str]:
    """Say what keeps the card from being complete: fields and questions without an answer or a reason, wrong paths."""
    return [
        *_missing_texts(config, document["source"]),
        *(f"section {name} shows the table {table}, which there is not"
          for name, section in config.sections.items() for table in section.tables if table not in TABLES),
        *_unanswered(config),
        *(f"{standard} {item.item}: {answer} points nowhere"
          for standard, walk in config.crosswalks.items() for item in walk.items for answer in item.answers
          if not _points_somewhere(answer, document, config)),
    ]  # fmt: skip


def card_markdown(card: Mapping[str, Any]) -> str:
    """Render a card, as :func:`card_of` returns it, as Markdown."""
    return re.sub(r"\n{3,}", "\n\n", _template(_MARKDOWN).render(card))


def card_html(card: Mapping[str, Any]) -> str:
    """Render a card, as :func:`card_of` returns it, as one HTML page that loads nothing."""
    return _template(_HTML).render(card)


def _missing_texts(config: ModelCardConfig, source: str | None) -> Iterator[str]:
    yield from (f"text {name}: missing" for name in REQUIRED_TEXTS if name not in config.texts)
    for name, text in config.texts.items():
        if not text.title.strip():
            yield f"text {name}: it has no title"
        if not (_words(text, source) or text.not_available.strip()):
            yield f"text {name}: empty, and no reason says why"


def _unanswered(config: ModelCardConfig) -> Iterator[str]:
    for standard, required in REQUIRED_ITEMS.items():
        walk = config.crosswalks.get(standard)
        items = [item.item for item in walk.items] if walk else []
        yield from (f"{standard} {item}: missing" for item in required if item not in items)
        yield from (f"{standard} {item}: no such item" for item in items if item not in required)
        yield from (f"{standard} {item}: listed twice" for item in sorted({i for i in items if items.count(i) > 1}))
        for item in walk.items if walk else ():
            if not (item.answers or item.not_available.strip()):
                yield f"{standard} {item.item}: no answer, and no reason says why"
            if not item.asks.strip():
                yield f"{standard} {item.item}: what it asks is not said"


def _points_somewhere(answer: str, document: Document, config: ModelCardConfig) -> bool:
    if answer.startswith(TEXT):
        return answer.removeprefix(TEXT) in config.texts
    return answer.startswith(EVIDENCE) and _found(answer.removeprefix(EVIDENCE), document) is not _ABSENT


def _found(path: str, document: Document) -> Any:
    """Follow a path; None where something on the way was not recorded, ``_ABSENT`` where there is no such place."""
    value: Any = document
    for key in path.split("/"):
        if value is None:
            return None
        if not isinstance(value, Mapping) or key not in value:
            return _ABSENT
        value = value[key]
    return value


def _text(name: str, text: CardText, document: Document) -> dict[str, Any]:
    words, made = _words(text, document["source"]), document["provenance"]["recalibrated"]
    if made and text.recalibrated.strip():
        words = text.recalibrated.strip().replace("{of_version}", str(made["of_version"]))
    return {
        "id": name,
        "title": text.title,
        "text": words or None,
        "not_available": None if words else text.not_available.strip() or "not filled in yet",
        "to_fill_in": text.to_fill_in,
    }


def _words(text: CardText, source: str | None) -> str:
    return (text.text or text.by_source.get(source or "", "")).strip()


def _table(table: Table, document: Document, wording: Wording, config: ModelCardConfig) -> dict[str, Any]:
    rows = [list(row) for row in table.rows(document, wording)]
    return {
        "id": table.name,
        "title": _titled(table, wording),
        "headers": [header.format(**vars(wording.words)) for header in table.headers],
        "rows": rows,
        "note": " ".join(_notes(table, rows, wording)),
        "not_available": None if rows else _reason(table.path, config),
    }


def _notes(table: Table, rows: Sequence[Sequence[str]], wording: Wording) -> Iterator[str]:
    if rows and table.note:
        yield table.note.format(**vars(wording.words))
    if any(cell.endswith(" *") for row in rows for cell in row):
        yield f"{BELOW_INTERVAL}."


def _titled(table: Table, wording: Wording) -> str:
    title = table.title.format(**vars(wording.words))
    return title[:1].upper() + title[1:]


def _reason(path: str, config: ModelCardConfig) -> str:
    """Say why something is not in the document, by the longest beginning of its path that has a reason."""
    beginnings = ["/".join(path.split("/")[:length]) for length in range(path.count("/") + 1, 0, -1)]
    return next((config.unrecorded[each] for each in [*beginnings, ""] if each in config.unrecorded), "not recorded")


def _answer(answer: str, document: Document, wording: Wording, config: ModelCardConfig) -> dict[str, Any]:
    """Return where an answer stands, what it says in short, and why there is none where there is none."""
    path = answer.split("/", 1)[-1]
    if answer.startswith(TEXT):
        text = config.texts.get(path)
        said = _text(path, text, document) if text else {"title": path, "not_available": "there is none"}
        return {"words": said["title"], "target": f"text-{path}", "not_available": said["not_available"]}
    value = _found(path, document)
    if value is _ABSENT:
        return {"words": path, "target": None, "not_available": "there is no such figure"}
    table = _table_for(path)
    empty = value is None or value == {} or value == [] or (_is_estimate(value) and value["value"] is None)
    return {
        "words": _short(path, value, table, wording),
        "target": f"table-{table.name}" if table else None,
        "not_available": _reason(path, config) if empty else None,
    }


def _short(path: str, value: Any, table: Table | None, wording: Wording) -> str:
    """Write a figure with its interval, a number or a word; of everything larger, the table that shows it."""
    name = path.rpartition("/")[2]
    if _is_estimate(value):
        return f"{wording.label(name)}: {interval(value)}"
    if isinstance(value, bool) or value is None or isinstance(value, Mapping | list):
        return f"table “{_titled(table, wording)}”" if table else name.replace("_", " ")
    return f"{name.replace('_', ' ')}: {value if isinstance(value, str) else figure(value) if value else NOTHING}"


def _is_estimate(value: Any) -> bool:
    return isinstance(value, Mapping) and {"value", "low", "high"} <= set(value)


def _table_for(path: str) -> Table | None:
    """Return the table that shows a part of the document: the one made from the longest beginning of its path."""
    shown = _SHOWN_BY | {table.path: table.name for table in TABLES.values()}
    parts = path.split("/")
    for length in range(len(parts), 0, -1):
        name = shown.get("/".join(parts[:length]))
        if name:
            return TABLES[name]
    return None


# What a table shows besides the part it is made from.
_SHOWN_BY = {
    **dict.fromkeys(("positives", "entities", "prevalence"), "counts"),
    **dict.fromkeys(("provenance/trained_at", "source", "verdict", "model"), "release"),
    **dict.fromkeys(("provenance/recipe/inputs", "provenance/recipe/features", "policy_digest"), "provenance"),
    **{"cohort": "cohort", "explanations": "importance", "robustness": "seeds"},
}


def _cell(text: str) -> str:
    """Write a text so that it stays in one cell of a Markdown table."""
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def _commands(text: str) -> Markup:
    """Write what stands between backquotes as code, and escape everything."""
    parts = text.split("`")
    paired = parts if len(parts) % 2 else [text]
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part) for place, part in enumerate(paired)
    )


def _breakable(text: str) -> Markup:
    """Let a long name be broken after its slashes and underscores, and escape everything."""
    return Markup("<wbr>").join(escape(part) for part in re.split(r"(?<=[/_])(?=\w)", text))


@cache
def _template(name: str) -> Template:
    environment = Environment(
        autoescape=name == _HTML,  # noqa: S701 - the other one makes plain text
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"cell": _cell, "commands": _commands, "breakable": _breakable}
    return environment.from_string(files(__package__).joinpath(name).read_text(encoding="utf-8"))
