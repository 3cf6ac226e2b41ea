"""What a fitted model relies on and how its risks move with an input: from the outside.

What belongs here: scores with one concept shuffled, and average risks with one input set to a value. What does not:
intervals and judgement (``evaluation``), and why one row has its risk (``contributions``, ``reasons``).

Both say what the model does. Neither says what causes an outcome: inputs go together, and what is changed here alone
may never change alone in anybody.
"""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from readmission_platform.models.boosting.concepts import Concept
from readmission_platform.models.boosting.recalibrated import RecalibratedClassifier, score


def entities_sample(entities: np.ndarray, rows: int, *, seed: int) -> np.ndarray:
    """Return the places of the rows of randomly drawn entities, about so many, in order; all if there are fewer.

    Parameters
    ----------
    entities
        Whose row each is, shape (rows,).
    """
    if len(entities) <= rows:
        return np.arange(len(entities))
    codes, distinct = pd.factorize(entities)
    order = np.random.default_rng(seed).permutation(len(distinct))
    sizes = np.bincount(codes, minlength=len(distinct))[order]
    drawn = np.zeros(len(distinct), dtype=bool)
    drawn[order[np.cumsum(sizes) <= rows]] = True
    return np.flatnonzero(drawn[codes])


def shuffled_scores(
    model: RecalibratedClassifier, inputs: pd.DataFrame, concepts: Sequence[Concept], *, seed: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Score rows as they are, and with the features of one concept after another permuted at random.

    Features that say the same thing (stays, visits, and both together) are shuffled together, by the same order:
    one alone would be vouched for by the others, and the loss would be told too small (Breiman 2001; Gregorutti,
    Michel and Saint-Pierre 2015, doi 10.1016/j.csda.2015.04.002).

    Returns
    -------
    The uncalibrated risks, shape (rows,), and those with each concept shuffled, by its name. Recalibration keeps the
    order, so it has no part in the AUROC.
    """
    encode, boost = model.classifier[0], model.classifier[-1]
    matrix = encode.transform(inputs)
    place = {name: column for column, name in enumerate(encode.feature_names())}
    order = np.random.default_rng(seed).permutation(len(inputs))
    columns = {concept.name: [place[name] for name in concept.features if name in place] for concept in concepts}

    def without(name: str) -> np.ndarray:
        shuffled = matrix.copy()
        shuffled[:, columns[name]] = matrix[order][:, columns[name]]
        with threadpool_limits(1, user_api="openmp"):
            return np.asarray(boost.predict_proba(shuffled)[:, 1])

    named = [name for name, members in columns.items() if members]
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        found = dict(zip(named, pool.map(without, named), strict=True))
    with threadpool_limits(1, user_api="openmp"):
        return boost.predict_proba(matrix)[:, 1], found


def shared_among_features(
    losses: Mapping[str, float], weights: Mapping[str, float], concepts: Sequence[Concept]
) -> dict[str, float]:
    """Divide what is lost without each concept among its features, by the weight each has in the contributions.

    Parameters
    ----------
    losses
        By concept.
    weights
        Mean size of the contribution by feature of the encoder; not negative.
    """
    shared: dict[str, float] = {}
    for concept in concepts:
        members = [name for name in concept.features if name in weights]
        total = sum(weights[name] for name in members)
        for name in members:
            share = weights[name] / total if total else 1 / len(members)
            shared[name] = losses.get(concept.name, 0.0) * share
    return shared


def risks_with(model: RecalibratedClassifier, inputs: pd.DataFrame, column: str, values: list[object]) -> np.ndarray:
    """Return every row's calibrated risk with one input set to each value, shape (values, rows).

    Everything made from the input (sums, chapters, target statistics) follows it. The mean over rows is the partial
    dependence of Friedman 2001 (doi 10.1214/aos/1013203451).
    """
    if not values:
        return np.empty((0, len(inputs)))
    set_to = [inputs.assign(**{column: pd.Series([value] * len(inputs), inputs.index, dtype=inputs[column].dtype)})
              for value in values]  # fmt: skip
    return score(model, pd.concat(set_to, ignore_index=True)).reshape(len(values), len(inputs))
