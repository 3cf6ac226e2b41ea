"""The logistic regression that every model has to beat: honest, out of fold, and taken as it comes."""

import numpy as np
import pytest

from readmission_platform.evaluation.estimates import metrics
from readmission_platform.evaluation.estimates.calibration import observed_expected
from readmission_platform.models.readmission_30d.baseline import logistic_scores
from readmission_platform_tests.support.small_study import SmallStudy


@pytest.fixture(scope="module")
def scores(small_study: SmallStudy) -> np.ndarray:
    return logistic_scores(small_study.inputs, small_study.labels, small_study.folds)


def test_it_ranks_better_than_inpatient_stays_alone(small_study: SmallStudy, scores: np.ndarray) -> None:
    alone = small_study.inputs["number_inpatient"].to_numpy(dtype=float)
    labels = small_study.labels.astype(np.int64)
    assert metrics.auroc(labels=labels, scores=scores) > metrics.auroc(labels=labels, scores=alone) + 0.02


def test_its_risks_are_probabilities_that_mean_what_they_say(small_study: SmallStudy, scores: np.ndarray) -> None:
    assert ((scores > 0) & (scores < 1)).all()
    assert observed_expected(labels=small_study.labels.astype(np.int64), scores=scores) == pytest.approx(1, abs=0.05)


def test_no_label_of_a_fold_has_a_part_in_its_risks(small_study: SmallStudy, scores: np.ndarray) -> None:
    changed = small_study.labels.copy()
    changed[small_study.folds == 2] = 1 - changed[small_study.folds == 2]
    again = logistic_scores(small_study.inputs, changed, small_study.folds)
    held_out = small_study.folds == 2
    assert (again[held_out] == scores[held_out]).all()
    assert not np.allclose(again[~held_out], scores[~held_out])


def test_inputs_that_are_missing_everywhere_or_never_seen_in_training_do_no_harm(small_study: SmallStudy) -> None:
    spoilt = small_study.inputs.assign(previous_time_in_hospital=np.nan, medical_specialty=None)
    spoilt.loc[small_study.folds == 0, "payer_code"] = "a payer of fold 0 only"
    scores = logistic_scores(spoilt, small_study.labels, small_study.folds)
    assert np.isfinite(scores).all()
