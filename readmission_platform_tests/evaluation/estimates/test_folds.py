"""Folds: all rows of an entity are in one, and stay there."""

import pandas as pd

from readmission_platform.evaluation.estimates.folds import entity_folds
from readmission_platform.foundation.pseudonyms import pseudonyms

KEYS = pd.Series(pseudonyms(range(2_000), b"one key", purpose="patient") * 2)


def test_all_rows_of_an_entity_are_in_one_fold_and_all_folds_are_used() -> None:
    folds = entity_folds(KEYS, folds=5)
    assert (str(folds.dtype), folds.name) == ("int8", "fold")
    assert folds.groupby(KEYS).nunique().max() == 1
    shares = folds.value_counts(normalize=True)
    assert sorted(shares.index) == [0, 1, 2, 3, 4]
    assert shares.between(0.16, 0.24).all()


def test_an_entity_keeps_its_fold_when_data_are_added() -> None:
    earlier = KEYS.head(300)
    pd.testing.assert_series_equal(entity_folds(KEYS, folds=5).head(300), entity_folds(earlier, folds=5))
