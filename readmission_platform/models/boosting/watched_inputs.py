"""Which inputs of a model are watched, and values of two times in a form in which they can be compared.

What belongs here: from what the model relies on to input columns, and plain comparable forms. What does not: the
columns of a model, and the comparison itself (``evaluation.drift``).
"""

import math
from collections.abc import Collection, Mapping, Sequence

import pandas as pd


def column_importance(losses: Mapping[str, float], made_of: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Attribute what is lost without each feature to the input columns it is made of, largest first.

    A feature made of several columns counts for each with an equal share: which of them carries it is not known.

    Parameters
    ----------
    losses
        AUROC lost by feature of the encoder; gains (below 0, chance) count as nothing.
    made_of
        The input columns of each feature that is not an input column itself.
    """
    found: dict[str, float] = {}
    for feature, loss in losses.items():
        columns = made_of.get(feature, [feature])
        for column in columns:
            found[column] = found.get(column, 0.0) + max(loss, 0.0) / len(columns)
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def watched_columns(
    losses: object,
    count: int,
    *,
    watchable: Sequence[str],
    inputs: Collection[str],
    made_of: Mapping[str, Sequence[str]],
) -> list[str]:
    """Return the input columns to watch: the most important ones, or all when it was not recorded which they are.

    Parameters
    ----------
    losses
        What the ledger recorded at training: AUROC lost by feature. Whatever else it holds counts as not recorded.
    watchable
        All columns, in the order in which they are shown then.
    inputs
        The columns there are: a feature of another time is left out.
    """
    if not isinstance(losses, Mapping) or not losses or not all(_is_number(loss) for loss in losses.values()):
        return list(watchable)
    return [column for column in column_importance(losses, made_of) if column in inputs][:count]


def as_numbers(values: pd.Series) -> pd.Series:
    """Return ordered numbers (float64), NaN where there is none."""
    return pd.to_numeric(values, errors="coerce").astype("float64")


def as_categories(values: pd.Series) -> pd.Series:
    """Return texts, None where there is none."""
    texts = [None if gone else str(value) for value, gone in zip(values, values.isna(), strict=True)]
    return pd.Series(texts, values.index, dtype=object)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
