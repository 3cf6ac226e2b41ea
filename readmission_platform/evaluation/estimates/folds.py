"""Folds, which keep the rows of an entity together: no model is judged on an entity that it was fitted on."""

import pandas as pd


def entity_folds(entity_keys: "pd.Series[str]", *, folds: int) -> pd.Series:
    """Assign each row the fold of its entity: 0 to ``folds - 1``.

    The fold is a function of the keyed pseudonym alone, so an entity never changes fold when data are added,
    and no later model is judged on entities that an earlier one was trained on.
    """
    fold = entity_keys.map(lambda key: int(key[:12], 16) % folds)
    return fold.astype("int8").rename("fold")
