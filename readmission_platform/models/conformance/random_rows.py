"""Random rows of a model's feed with random pasts: usual ones, the edges of every rule, and what training never saw.

What belongs here: making them. What does not: what has to be so of them (``single_rows``).
"""

import re
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd

from readmission_platform.intake.contract import RowContract
from readmission_platform.models.conformance.subject import KEY, REPLAY_SHARE, generated_sources
from readmission_platform.models.contract import ModelContract, SourceRequest
from readmission_platform.models.single_rows import known_columns

# Of the cells of a column: how many are changed, and how many of those that may be are missing.
_CHANGED, _MISSING = 0.06, 0.05
_FOREIGN = ("qzxv", "a; b", "x" * 60, "Frauenärztin")
_FIRST_DAY = date(2020, 1, 1)
_DAYS = 40
_LEAST_ROWS = 400


def random_rows(
    contract: ModelContract, *, count: int, seed: int, raw: pd.DataFrame | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return rows that a delivery may hold, and what may be known of their entities.

    The known rows of an entity have days before, on and after that of the row, or none; some are there twice, some are
    the row itself; of some the outcome is missing. One row in five is of an entity that nobody knows.

    Parameters
    ----------
    raw
        Rows of a source to begin with; default: generated ones.

    Returns
    -------
    ``rows``: the feed's columns with ``entity_key`` in place of the entity, and the day. ``known``: see
    ``DataPart.inputs_of``.
    """
    rng = np.random.default_rng(seed)
    # Deliveries exclude some rows, and so does this: of half as many again enough are left.
    wanted = max(3 * count, _LEAST_ROWS)
    if raw is None:
        raw = generated_sources(contract)[0].load(SourceRequest(rows=wanted, seed=seed)).frame
    cohort = contract.data.cohort(raw, key=KEY, replay_share=REPLAY_SHARE)
    known, asked = (_some(contract, cohort, size, rng).head(size * 2 // 3) for size in (wanted, wanted // 2))
    asked = asked.head(count)
    entities = np.array([f"{number:032x}" for number in range(count // 2 + 1)], dtype=object)
    known["entity_key"] = rng.choice(entities, len(known))
    asked["entity_key"] = rng.choice(entities, len(asked))
    strangers = np.flatnonzero(rng.random(len(asked)) < 0.2)
    asked.loc[strangers, "entity_key"] = [f"f{number:031x}" for number in strangers]
    known = _delivered_in_part(contract, known, rng)
    asked[contract.day] = _days(contract, len(asked), rng)
    numbers = 1 + rng.permutation(2 * (len(known) + len(asked)))
    known[contract.row], asked[contract.row] = numbers[: len(known)], numbers[len(known) :][: len(asked)]
    # Some rows are among what is known of their own entity.
    own = asked["entity_key"].map(known.drop_duplicates("entity_key").set_index("entity_key")[contract.row])
    own = own.where((rng.random(len(asked)) < 0.3) & ~asked["entity_key"].duplicated())
    asked[contract.row] = own.fillna(asked[contract.row]).astype("int64")
    carried = [name for name in contract.feed.columns if name != contract.feed.entity]
    again = known.sample(frac=0.05, random_state=seed)
    again = _delivered_in_part(contract, again, rng)
    known = pd.concat([known, again], ignore_index=True)[known_columns(contract)]
    return asked[[*carried, "entity_key", contract.day]].reset_index(drop=True), known


def _delivered_in_part(contract: ModelContract, known: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Give most rows a day; these have no outcome yet or one, and nothing that only a source's own rows have."""
    dated = rng.random(len(known)) < 0.6
    outcome = known[contract.outcome].astype("float64").mask(dated & (rng.random(len(known)) < 0.3))
    told = {name: known[name].astype(object).mask(dated, None) for name in contract.data.source_columns}
    drawn = zip(_days(contract, len(known), rng), dated, strict=True)
    days = pd.Series([day if there else None for day, there in drawn], index=known.index, dtype=object)
    return known.assign(**told, **{contract.outcome: outcome, contract.day: days})


def _days(contract: ModelContract, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw days from a time that is twice as long as outcomes need to mature."""
    step = max(contract.maturity_days * 2 // _DAYS, 1)
    days = [(_FIRST_DAY + timedelta(days=step * place)).isoformat() for place in range(_DAYS)]
    return rng.choice(np.array(days, dtype=object), count)


def _some(contract: ModelContract, cohort: pd.DataFrame, count: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw rows and change some of their cells; rows that are excluded when delivered are left out."""
    feed = contract.feed
    rows = cohort.iloc[rng.integers(0, len(cohort), count)].reset_index(drop=True)
    for name in feed.columns:
        if name not in (feed.row, feed.entity):
            values = rows[name].to_numpy(dtype=object).copy()
            changed = np.flatnonzero(rng.random(count) < _CHANGED)
            values[changed] = [_another(feed, name, value, rng) for value in values[changed]]
            if feed.may_miss(name):
                values[rng.random(count) < _MISSING] = None
            rows[name] = values
    rows = feed.typed(rows)
    for excluded in feed.excluded:
        rows = rows[~excluded.rows(rows)]
    return rows.reset_index(drop=True)


def _another(feed: RowContract, name: str, value: Any, rng: np.random.Generator) -> Any:
    """Return another value that the contract allows in a column: at an edge of its rule, or anywhere within it."""
    if name in feed.whole_numbers:
        low, high = feed.whole_numbers[name]
        near = low + (high - low) // 10
        return [low, high, int(rng.integers(low, near + 1)), int(rng.integers(low, high + 1))][rng.integers(4)]
    if name in feed.numbers:
        smallest, largest = feed.numbers[name]
        return [smallest, largest, float(rng.uniform(smallest, largest))][rng.integers(3)]
    if name in feed.vocabularies:
        return feed.vocabularies[name][rng.integers(len(feed.vocabularies[name]))]
    if name in feed.patterns:
        drawn = re.sub("[0-9]", lambda _: str(rng.integers(10)), "" if pd.isna(value) else str(value))
        pattern = feed.patterns[name]
        spelt = drawn if pattern.normal is None else pattern.normal(drawn)
        return spelt if spelt is not None and re.fullmatch(pattern.expression, spelt) else value
    texts = [*feed.usual_texts.get(name, ()), *_FOREIGN]
    return texts[rng.integers(len(texts))]
