"""Made-up rows that a version has to score as it did when it was trained, wherever it is loaded.

What belongs here: rows made from the contract of a feed alone, the same at every call. What does not: rows of patients,
and comparing the risks (``serving.versions``).

They cover columns and lists evenly, not as patients do. Some of them a model may withhold: that has to stay so too.
"""

import random
import re
from collections.abc import Sequence
from typing import Any

from readmission_platform.intake.contract import Pattern, RowContract
from readmission_platform.models.contract import ModelContract, RowScorer

COUNT = 32
_SEED = 20_260_101
_DAY = "2026-01-15"
# Codes of classifications of which one or another fits most patterns of codes.
_CODES = ("250.83", "428", "414.01", "V45.81", "401", "486", "J18.9", "E11.9", "A1", "1", "2024-01-01")
# Whole numbers are taken from the lower end of their range, where nearly all of them are.
_LOW = 8
# Past rows of a probe, so that history is asked for as well.
_PAST = 3


def probes(contract: ModelContract) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Return rows of the feed, ``entity_key`` in place of the entity, each with what is known of its entity."""
    draw = random.Random(_SEED)  # noqa: S311 - nothing secret hangs on it
    found = []
    for number in range(COUNT):
        key = f"probe{number}"
        rows = [_keyed(_row(contract.feed, draw, COUNT * place + number + 1), contract, key) for place in range(_PAST)]
        past = [{**row, contract.day: f"2025-1{place + 1}-20", contract.outcome: place % 2}
                for place, row in enumerate(rows[: number % _PAST])]  # fmt: skip
        found.append(({**rows[-1], contract.day: _DAY}, past))
    return found


def probe_risks(contract: ModelContract, scorer: RowScorer) -> list[float | None]:
    """Return the risks of the probes, None where one is withheld."""
    return [scorer.score(row, past, explain=False).risk for row, past in probes(contract)]


def example_row(contract: ModelContract) -> dict[str, Any]:
    """Return a row as a client may send it."""
    row = _row(contract.feed, random.Random(_SEED), 1)  # noqa: S311
    return {name: value for name, value in row.items() if value is not None}


def _keyed(row: dict[str, Any], contract: ModelContract, key: str) -> dict[str, Any]:
    carried = {name: value for name, value in row.items() if name != contract.feed.entity}
    sources = dict.fromkeys(contract.data.source_columns)
    return {**carried, **sources, "entity_key": key, contract.outcome: None}


def _row(feed: RowContract, draw: random.Random, number: int) -> dict[str, Any]:
    return {**{name: _value(feed, name, draw) for name in feed.columns}, feed.row: number}


def _value(feed: RowContract, name: str, draw: random.Random) -> Any:
    if name in feed.whole_numbers:
        low, high = feed.whole_numbers[name]
        value = draw.randint(max(low, min(1, high)), min(high, max(low, 1) + _LOW))
        return float(value) if feed.may_miss(name) else value
    if name in feed.numbers:
        lowest, highest = feed.numbers[name]
        return lowest + draw.random() * min(highest - lowest, 100.0)
    if name in feed.vocabularies:
        return draw.choice(feed.vocabularies[name])
    texts = _matching(feed.patterns[name]) if name in feed.patterns else feed.usual_texts.get(name, ())
    return draw.choice(texts) if texts else (None if feed.may_miss(name) else str(draw.randint(1, 10_000)))


def _matching(pattern: Pattern) -> Sequence[str]:
    spelt = [text if pattern.normal is None else pattern.normal(text) for text in _CODES]
    return [text for text in spelt if text is not None and re.fullmatch(pattern.expression, text)]
