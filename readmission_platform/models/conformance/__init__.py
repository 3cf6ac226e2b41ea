"""The promises that every model has to keep behind its contract, as functions that say what is wrong.

What belongs here: the suite, put together. What does not: the promises themselves (the modules beside), and limits on
how good a model is: these are its gates. Used by the tests of the models, and by whoever writes a new one.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from readmission_platform.models.conformance import contracts, data, estimators, explanations, history, single_rows
from readmission_platform.models.conformance.imports import import_is_light
from readmission_platform.models.conformance.subject import make_subject
from readmission_platform.models.contract import ModelContract

__all__ = ["conformance_checks", "import_is_light"]


def conformance_checks(
    contract: ModelContract, settings: Mapping[str, Any], *, rows: int, seed: int = 1
) -> Iterator[tuple[str, str | None]]:
    """Try each promise on rows of the model's generated source.

    Parameters
    ----------
    settings
        The block ``settings`` of a ``model.yaml``: quick to fit is good enough.
    rows
        How many rows to generate; with a few thousand there are entities with a past in every part.

    Yields
    ------
    The name of each promise, and what is wrong with it, without any value of a row; None when it is kept.
    """
    yield from contracts.promises(contract, rows=rows, seed=seed)
    subject = make_subject(contract, settings, rows=rows, seed=seed)
    for part in (data, history, estimators, explanations, single_rows):
        yield from part.promises(subject)
