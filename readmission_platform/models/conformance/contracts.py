"""Promises of a contract by itself, and of the rows its sources generate.

What belongs here: whether the parts of a contract agree. What does not: what its data part makes of rows (``data``).
"""

from collections.abc import Iterator
from dataclasses import asdict

import pandas as pd

from readmission_platform.models.conformance.subject import generated_sources
from readmission_platform.models.contract import Loaded, ModelContract, SourceRequest

Promise = tuple[str, str | None]


def promises(contract: ModelContract, *, rows: int, seed: int) -> Iterator[Promise]:
    """Yield each promise with what is wrong, or None."""
    yield "the names of the contract agree", _disagreement(contract)
    yield "no identifier and no outcome is an input", _forbidden_inputs(contract)
    yield "the model says which sources of information it draws on", _undeclared(contract)
    yield "people can be told what is predicted", _silence(contract)
    generated = generated_sources(contract)
    yield "there is a source that generates rows", None if generated else "no source takes rows and seed"
    for source in generated:
        first, again, other = (source.load(SourceRequest(rows=rows, seed=number)) for number in (seed, seed, seed + 1))
        name = f"source {source.name}"
        yield f"{name} gives rows that keep the raw contract", malformed(contract, first.frame, rows=rows)
        yield f"{name} gives what was asked for", _loaded_wrong(first, again, other)
        wrong = None if source.limits == "synthetic" else "rows that nobody is behind are judged as real"
        yield f"{name} is judged by the limits for synthetic data", wrong


def _disagreement(contract: ModelContract) -> str | None:
    feed, raw = contract.feed, contract.raw
    if {feed.row, feed.entity} - set(feed.columns):
        return "the feed does not bring the row and the entity"
    if {feed.day, feed.outcome} & set(feed.columns):
        return "the feed's columns hold the day or the outcome, which arrive otherwise"
    if set(feed.required) - set(raw.columns):
        return "raw rows lack columns of the feed"
    if (raw.row, raw.entity) != (feed.row, feed.entity):
        return "raw rows and delivered rows name their row and entity differently"
    if set(contract.data.history_columns) - set(feed.columns):
        return "history needs columns that the feed does not bring"
    if contract.maturity_days < 1:
        return "an outcome that is known on the day itself is no prediction"
    odd = [name for name, source in contract.sources.items() if source.name != name]
    return f"sources are filed under other names than their own: {', '.join(odd)}" if odd else None


def _forbidden_inputs(contract: ModelContract) -> str | None:
    platform = {"entity_key", "row_key", "clock", "part", "fold"}
    keys = {contract.feed.row, contract.feed.entity, contract.feed.day}
    told = {contract.outcome, *contract.data.source_columns}
    found = sorted(set(contract.inputs) & (platform | keys | told | contract.identifiers))
    if found:
        return f"among the inputs: {', '.join(found)}"
    if not keys <= contract.identifiers:
        return f"not among the identifiers: {', '.join(sorted(keys - contract.identifiers))}"
    return None if len(set(contract.inputs)) == len(contract.inputs) else "an input is named twice"


def _undeclared(contract: ModelContract) -> str | None:
    if not contract.evidence.information:
        return "no source of information is declared: nobody would notice when one is lost"
    unknown = sorted({name for each in contract.evidence.information for name in each.inputs} - set(contract.inputs))
    return f"no inputs of the model: {', '.join(unknown)}" if unknown else None


def _silence(contract: ModelContract) -> str | None:
    empty = [name for name, text in asdict(contract.words).items() if not text.strip()]
    return f"no words for {', '.join(empty)}" if empty else None if contract.purpose.strip() else "no purpose"


def malformed(contract: ModelContract, frame: pd.DataFrame, *, rows: int) -> str | None:
    """Say by column and code how rows of a source break the raw contract."""
    missing = [name for name in contract.raw.columns if name not in frame.columns]
    if missing:
        return f"column(s) missing: {', '.join(missing)}"
    if len(frame) != rows:
        return f"{len(frame)} rows where {rows} were asked for"
    if frame[contract.row].duplicated().any():
        return "rows of the same number"
    broken = contract.raw.broken_rules(frame)
    named = sorted({f"{column} ({code})" for column, code in zip(broken["column"], broken["code"], strict=True)})
    return f"broken rules: {', '.join(named)}" if named else None


def _loaded_wrong(first: Loaded, again: Loaded, other: Loaded) -> str | None:
    if first.digest != again.digest:
        return "the same seed gives other rows"
    if first.digest == other.digest:
        return "another seed gives the same rows"
    return None if first.digest == first.expected_digest else "the digest is not the one expected"
