"""Promises about single rows: whoever waits for an answer gets that of the batch, bit for bit.

What belongs here: what has to be so of every ``RowScorer``. What does not: how fast one is.
"""

from collections.abc import Iterator

from readmission_platform.models.conformance.random_rows import random_rows
from readmission_platform.models.conformance.subject import Subject
from readmission_platform.models.contract import RowPart
from readmission_platform.models.single_rows import ArtifactRowScorer, rows_differ

Promise = tuple[str, str | None]
_ROWS = 400
# Through data frames a row takes tens of milliseconds.
_SLOW_ROWS = 12


def promises(subject: Subject) -> Iterator[Promise]:
    """Yield each promise with what is wrong, or None."""
    yield "the artifact answers a single row as it does many", _alone(subject)
    part = subject.contract.rows
    if part is not None:
        yield "a compiled model answers a row bit for bit as the batch does", _differing(subject, part)
        yield "a model is compiled into the same bytes each time", _unstable(subject, part)
        yield "bytes that are no compiled model are refused", _believed(subject, part)


def _alone(subject: Subject) -> str | None:
    rows, known = random_rows(subject.contract, count=_SLOW_ROWS, seed=subject.seed)
    scorer = ArtifactRowScorer(subject.contract, subject.fitted.model)
    return _said(rows_differ(subject.contract, subject.fitted.model, scorer, rows, known), _SLOW_ROWS)


def _differing(subject: Subject, part: RowPart) -> str | None:
    rows, known = random_rows(subject.contract, count=_ROWS, seed=subject.seed)
    model = subject.contract.estimator.recalibrated(subject.fitted.model, 0.9, 0.2)
    for each in (subject.fitted.model, model):
        found = rows_differ(subject.contract, each, part.load(part.compiled(each)), rows, known)
        if found:
            return _said(found, _ROWS)
    return None


def _said(differing: int, of: int) -> str | None:
    return f"{differing} of {of} answers differ" if differing else None


def _unstable(subject: Subject, part: RowPart) -> str | None:
    estimator, model = subject.contract.estimator, subject.fitted.model
    content = part.compiled(model)
    if part.compiled(model) != content:
        return "they are others the second time"
    stored = estimator.load(estimator.dump(model))
    return None if part.compiled(stored) == content else "a stored model is compiled into others"


def _believed(subject: Subject, part: RowPart) -> str | None:
    content = part.compiled(subject.fitted.model)
    others = {
        "nothing": b"",
        "noise": bytes(range(256)) * 40,
        "an artifact": subject.contract.estimator.dump(subject.fitted.model),
        "half of a compiled model": content[: len(content) // 2],
        "a compiled model and more": content + b"\0",
    }
    for name, other in others.items():
        try:
            part.load(other)
        except ValueError:
            continue
        return f"{name} is loaded"
    return None
