"""Evidence rows by the contract: of readmission what they always were, and of any model what its schema says."""

import pandas as pd
import pytest

from readmission_platform.assets.model.training import evidence_of
from readmission_platform.evaluation.estimates.rows import evidence_columns
from readmission_platform.models.evidence import evidence_rows
from readmission_platform.models.readmission_30d import CONTRACT
from readmission_platform.models.readmission_30d.baseline import logistic_scores
from readmission_platform_tests.support.small_study import KEY, SmallStudy


@pytest.mark.parametrize("fitted", [True, False])
def test_the_rows_of_readmission_are_those_that_training_keeps(small_study: SmallStudy, fitted: bool) -> None:
    rows, inputs, folds = small_study.development, small_study.inputs, small_study.folds
    made = evidence_rows(CONTRACT, rows, inputs, folds, small_study.fitted.scores, key=KEY, fitted=fitted)
    features = pd.concat([rows[["encounter_id", "entity_key", "clock"]], inputs], axis=1)
    logistic = logistic_scores(inputs, small_study.labels, folds) if fitted else None
    kept = evidence_of(features, small_study.labels, folds, small_study.fitted.scores, KEY, logistic=logistic)
    pd.testing.assert_frame_equal(made, kept, check_exact=True)
    assert set(evidence_columns(made, CONTRACT.evidence)) == set(made.columns)
