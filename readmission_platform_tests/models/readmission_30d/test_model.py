"""The model: honest out-of-fold scores, calibration, and what a stored artifact may contain."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from skops.io import dumps, get_untrusted_types, loads
from skops.io.exceptions import UntrustedTypesFoundException

from readmission_platform.evaluation.estimates.calibration import logit
from readmission_platform.models.boosting.recalibrated import RecalibratedClassifier, score
from readmission_platform.models.readmission_30d import CONTRACT
from readmission_platform.models.readmission_30d.model import build_pipeline
from readmission_platform_tests.support.small_study import OVERCONFIDENT, SETTINGS, SmallStudy

QUICK = {**SETTINGS, "boosting": {**OVERCONFIDENT, "max_iter": 10}}
TRUSTED_TYPES = CONTRACT.estimator.artifact.trusted_types
cross_validate = CONTRACT.estimator.cross_validate


@pytest.fixture(scope="module")
def stored(small_study: SmallStudy) -> bytes:
    return dumps(small_study.fitted.model)


def slope_of(scores: np.ndarray, labels: np.ndarray) -> float:
    return float(LogisticRegression(C=np.inf).fit(logit(scores)[:, None], labels).coef_[0, 0])


def test_out_of_fold_scores_are_calibrated_although_the_boosting_is_overconfident(small_study: SmallStudy) -> None:
    fitted, labels = small_study.fitted, small_study.labels
    held_out = small_study.folds == 0
    raw = fitted.model.classifier.predict_proba(small_study.inputs[held_out])[:, 1]
    assert slope_of(raw, labels[held_out]) < 0.75
    assert slope_of(fitted.scores, labels) == pytest.approx(1, abs=0.15)
    assert labels.mean() / fitted.scores.mean() == pytest.approx(1, abs=0.03)


def test_the_model_sees_signal(small_study: SmallStudy) -> None:
    assert roc_auc_score(small_study.labels, small_study.fitted.scores) > 0.58


def test_with_permuted_outcomes_there_is_nothing_to_see(small_study: SmallStudy) -> None:
    permuted = np.random.default_rng(0).permutation(small_study.labels)
    fitted = cross_validate(
        small_study.inputs, permuted, small_study.folds, QUICK, entities=small_study.entities, seed=1
    )
    assert roc_auc_score(permuted, fitted.scores) == pytest.approx(0.5, abs=0.04)


def test_the_shipped_model_never_saw_the_patients_of_fold_0(small_study: SmallStudy) -> None:
    held_out = small_study.folds == 0
    again = build_pipeline(OVERCONFIDENT, target_smoothing=50.0, seed=11).fit(
        small_study.inputs[~held_out],
        small_study.labels[~held_out],
        encode__entities=small_study.entities[~held_out],
    )
    shipped = small_study.fitted.model.classifier
    some = small_study.inputs[held_out].head(200)
    np.testing.assert_array_equal(again.predict_proba(some), shipped.predict_proba(some))


def test_the_evidence_of_fold_0_is_what_the_shipped_model_says(small_study: SmallStudy) -> None:
    held_out = small_study.folds == 0
    again = score(small_study.fitted.model, small_study.inputs[held_out])
    np.testing.assert_allclose(again, small_study.fitted.scores[held_out], rtol=0, atol=1e-12)


def test_the_outcomes_of_fold_0_have_no_part_in_the_shipped_boosting(small_study: SmallStudy) -> None:
    held_out = small_study.folds == 0
    flipped = np.where(held_out, 1 - small_study.labels, small_study.labels)
    one, other = (
        cross_validate(
            small_study.inputs, labels, small_study.folds, QUICK, entities=small_study.entities, seed=1
        ).model
        for labels in (small_study.labels, flipped)
    )
    some = small_study.inputs.head(200)
    np.testing.assert_array_equal(one.classifier.predict_proba(some), other.classifier.predict_proba(some))


def test_training_again_with_the_same_seed_gives_the_same_scores_and_tells_its_progress(
    small_study: SmallStudy,
) -> None:
    told: list[tuple[int, int]] = []
    again = cross_validate(
        small_study.inputs,
        small_study.labels,
        small_study.folds,
        SETTINGS,
        entities=small_study.entities,
        seed=11,
        progress=lambda done, total: told.append((done, total)),
    )
    np.testing.assert_array_equal(again.scores, small_study.fitted.scores)
    assert told == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]


def test_scores_are_probabilities_of_both_classes(small_study: SmallStudy) -> None:
    model = small_study.fitted.model
    both = model.predict_proba(small_study.inputs.head(50))
    assert both.shape == (50, 2)
    np.testing.assert_allclose(both.sum(axis=1), 1)
    assert ((both > 0) & (both < 1)).all()
    np.testing.assert_array_equal(model.predict(small_study.inputs.head(50)), both[:, 1] >= 0.5)


def test_recalibration_leaves_the_ranking_as_it_is(small_study: SmallStudy) -> None:
    model = small_study.fitted.model
    plain = RecalibratedClassifier(model.classifier)
    some = small_study.inputs.head(500)
    assert model.slope > 0
    np.testing.assert_array_equal(np.argsort(score(plain, some)), np.argsort(score(model, some)))
    np.testing.assert_allclose(score(plain, some), model.classifier.predict_proba(some)[:, 1], atol=1e-6)


def test_a_day_without_encounters_gives_no_scores(small_study: SmallStudy) -> None:
    assert score(small_study.fitted.model, small_study.inputs.iloc[:0]).shape == (0,)


def test_codes_read_as_integers_and_as_floats_get_the_same_score(small_study: SmallStudy) -> None:
    some = small_study.inputs.head(300)
    floats = some.astype(dict.fromkeys(some.select_dtypes("integer").columns, "float64"))
    np.testing.assert_array_equal(score(small_study.fitted.model, floats), score(small_study.fitted.model, some))


def test_unknown_and_missing_categories_are_scored_without_failing(small_study: SmallStudy) -> None:
    odd = small_study.inputs.head(5).assign(
        payer_code="never seen",
        medical_specialty=None,
        race=None,
        gender="Unknown/Invalid",
        discharge_disposition_id=29,
    )
    assert np.isfinite(score(small_study.fitted.model, odd)).all()


def test_log_odds_stay_finite_at_certainty() -> None:
    assert np.isfinite(logit(np.array([0.0, 0.5, 1.0]))).all()
    assert logit(np.array([0.5])).tolist() == [0.0]


def test_a_stored_model_loaded_with_our_allow_list_scores_exactly_the_same(
    small_study: SmallStudy, stored: bytes
) -> None:
    loaded = loads(stored, trusted=list(TRUSTED_TYPES))
    np.testing.assert_array_equal(
        score(loaded, small_study.inputs), score(small_study.fitted.model, small_study.inputs)
    )


def test_the_allow_list_names_what_a_model_contains_and_no_more(stored: bytes) -> None:
    assert sorted(get_untrusted_types(data=stored)) == sorted(TRUSTED_TYPES)


@pytest.mark.parametrize("left_out", TRUSTED_TYPES)
def test_every_entry_of_the_allow_list_is_needed(stored: bytes, left_out: str) -> None:
    with pytest.raises(UntrustedTypesFoundException):
        loads(stored, trusted=[each for each in TRUSTED_TYPES if each != left_out])


def test_more_utilisation_never_lowers_the_risk(small_study: SmallStudy) -> None:
    some = small_study.inputs.head(300)
    before = score(small_study.fitted.model, some)
    for name in ("number_inpatient", "number_emergency", "number_outpatient", "prior_readmissions_30d"):
        for more in (1, 3):
            after = score(small_study.fitted.model, some.assign(**{name: some[name] + more}))
            assert (after >= before - 1e-12).all(), name
