"""Promises of the parts that explain and watch, where a model has them: reasons, importance, columns to watch.

What belongs here: that they are there, add up, and repeat nothing foreign. What does not: whether reasons are good.
"""

import json
from collections.abc import Iterator

import numpy as np
import pandas as pd

from readmission_platform.intake.translation import translators
from readmission_platform.models.conformance.subject import FOLDS, KEY, REPLAY_SHARE, Subject, differing
from readmission_platform.models.contract import ExplainPart, RobustnessPart

Promise = tuple[str, str | None]
_ROWS = 60
_TEXT = "qzxv"


def promises(subject: Subject) -> Iterator[Promise]:
    """Yield each promise with what is wrong, or None."""
    explain = subject.contract.explain
    importance: object = None
    if explain is not None:
        yield "every row gets reasons and contributions that add up to its risk", _reasons(subject, explain)
        yield "no text of a file that the model does not know gets into a reason", _foreign_text(subject, explain)
        test = subject.test
        found = explain.explained(
            subject.fitted.model, subject.inputs[test], subject.labels[test], subject.development["entity_key"][test],
            seed=subject.seed,
        )  # fmt: skip
        importance = found.importance
        yield "what a version relies on can be written down", _document(found.document)
        yield "what a model relies on can be compared between fits", _reliance(subject, explain)
    yield "watched columns are inputs, one comparable column each", _watched(subject, importance)
    robustness = subject.contract.robustness
    if robustness is not None:
        yield "other rules for who is studied can be tried", _rules(subject, robustness)


def _reasons(subject: Subject, explain: ExplainPart) -> str | None:
    few, risk = subject.inputs.head(_ROWS), subject.risk[:_ROWS]
    explained = explain.explainer(subject.fitted.model)
    reasons, contributions = explained(few, risk)
    if len(reasons) != _ROWS or len(contributions) != _ROWS:
        return "there are not as many as rows"
    if any(len(text.split("; ")) > explain.named_at_most for text in reasons):
        return "more reasons are named than the part says"
    if sum(text != "" for text in reasons) < _ROWS / 2:
        return "most rows get no reason"
    if explained(few.head(0), risk[:0]) != ([], []):
        return "no rows give something else than no reasons"
    return _adds_up(contributions, risk)


def _adds_up(contributions: list[str], risk: np.ndarray) -> str | None:
    log_odds = np.log(risk / (1 - risk))
    for text, expected in zip(contributions, log_odds, strict=True):
        account = json.loads(text)
        whole = account["baseline"] + account["other"] + sum(part["log_odds"] for part in account["parts"])
        # Risks are clipped where their log odds would be infinite; the account is rounded to four digits.
        if abs(expected) < 13 and abs(whole - expected) > 1e-3:
            return "contributions do not add up to the log odds of the risk"
    return None


def _foreign_text(subject: Subject, explain: ExplainPart) -> str | None:
    few = subject.inputs.head(_ROWS)
    ruled = {*subject.contract.feed.vocabularies, *subject.contract.feed.patterns}
    texts = [name for name in subject.contract.inputs if not pd.api.types.is_numeric_dtype(few[name])]
    spoilt = few.assign(**dict.fromkeys(set(texts) - ruled, _TEXT))
    risk = subject.contract.estimator.score(subject.fitted.model, spoilt)
    said = explain.explainer(subject.fitted.model)(spoilt, risk)
    return "it does" if any(_TEXT in text for texts in said for text in texts) else None


def _document(document: dict[str, object]) -> str | None:
    try:
        json.dumps(document, allow_nan=False)
    except (TypeError, ValueError):
        return "the document is no JSON"
    return None


def _reliance(subject: Subject, explain: ExplainPart) -> str | None:
    test = np.flatnonzero(subject.test)
    entities = pd.factorize(subject.development["entity_key"].iloc[test])[0]
    one, other = (
        explain.reliance(subject.fitted.model, subject.inputs.iloc[test], subject.labels[test], entities, seed=7)
        for _ in range(2)
    )
    if not (np.array_equal(one.losses, other.losses) and np.array_equal(one.contributions, other.contributions)):
        return "the same model and seed give something else the second time"
    if one.contributions.ndim != 2 or len(one.losses) > one.contributions.shape[1]:
        return "losses and contributions are not by the same concepts"
    return None if one.adds_up <= 1e-6 else "contributions do not add up to the risk"


def _watched(subject: Subject, importance: object) -> str | None:
    watch, inputs = subject.contract.watch, subject.inputs
    every = watch.watched_columns(None, 5)
    ranked = watch.watched_columns(importance, 3) if importance is not None else every[:3]
    if not every or set(every) - set(inputs.columns) or set(ranked) - set(inputs.columns):
        return "a watched column is no input"
    if len(ranked) > 3:
        return "more columns are watched than asked for"
    compared = watch.comparable(inputs, every)
    if list(compared.columns) != every or not compared.index.equals(inputs.index):
        return "it is not one comparable column each, with the rows as they were"
    for name in every:
        values = compared[name]
        if values.dtype != "float64" and not values.dropna().map(lambda value: isinstance(value, str)).all():
            return f"{name} is neither numbers nor texts"
    translated = watch.translated(inputs, np.arange(len(inputs)))
    if not translated.index.equals(inputs.index) or list(translated.columns) != list(inputs.columns):
        return "translated inputs are not one row each, in their columns"
    others = set(inputs.columns) - set(translators(subject.contract.feed))
    changed = differing(inputs[sorted(others)], translated[sorted(others)])
    return f"translation changes columns without codes: {', '.join(changed)}" if changed else None


def _rules(subject: Subject, robustness: RobustnessPart) -> str | None:
    contract = subject.contract
    features = pd.concat([subject.development[[contract.row, "entity_key"]], subject.inputs], axis=1)
    for rule, kept in robustness.narrower(features).items():
        if kept.dtype != bool or kept.shape != (len(features),) or not 0 < kept.sum() < len(kept):
            return f"the rule '{rule}' keeps everybody or nobody"
    others = robustness.refitted(
        features, subject.labels, subject.folds, subject.raw, key=KEY, replay_share=REPLAY_SHARE, fold_count=FOLDS
    )
    for other in others:
        table, needed = other.table, {"entity_key", *contract.inputs}
        lengths = {len(table.frame), len(table.labels), len(table.folds), len(table.shipped)}
        if needed - set(table.frame.columns) or len(lengths) > 1 or not other.judged:
            return f"the study '{other.name}' cannot be fitted or judged"
        if any(kept.dtype != bool or len(kept) not in lengths for kept in other.judged.values()):
            return f"the study '{other.name}' does not say on which rows it is judged"
    return None
