"""Which encounters are withheld."""

import numpy as np
import pandas as pd
import pytest
from skops.io import dumps, loads

from readmission_platform.models.boosting.soundness import NO_RISK
from readmission_platform.models.readmission_30d import CONTRACT
from readmission_platform.models.readmission_30d.features import EncounterEncoder
from readmission_platform.models.readmission_30d.inputs import COUNTS
from readmission_platform.models.readmission_30d.soundness import CODES, NO_DIAGNOSIS, withheld_because
from readmission_platform_tests.support.small_study import SmallStudy


@pytest.fixture(scope="module")
def encoder(small_study: SmallStudy) -> EncounterEncoder:
    fitted: EncounterEncoder = small_study.fitted.model.classifier[0]
    return fitted


@pytest.fixture
def usual(small_study: SmallStudy) -> pd.DataFrame:
    """Encounters that the model was fitted on."""
    return small_study.inputs[small_study.folds != 0].head(30).reset_index(drop=True)


def judged(encoder: EncounterEncoder, frame: pd.DataFrame) -> list[str | None]:
    return withheld_because(encoder, frame, np.full(len(frame), 0.1))


def highest(encoder: EncounterEncoder, name: str) -> float:
    return encoder.ranges_[name][1]


def test_what_the_model_was_fitted_on_is_scored(encoder: EncounterEncoder, small_study: SmallStudy) -> None:
    fitted_on = small_study.inputs[small_study.folds != 0]
    assert judged(encoder, fitted_on) == [None] * len(fitted_on)


@pytest.mark.parametrize(("name", "words"), CODES.items())
def test_a_code_that_training_never_saw_is_withheld(
    encoder: EncounterEncoder, usual: pd.DataFrame, name: str, words: str
) -> None:
    unseen = next(code for code in range(30, 0, -1) if code not in encoder.seen_[name])
    usual.loc[3, name] = unseen
    found = judged(encoder, usual)
    assert [position for position, because in enumerate(found) if because] == [3]
    assert words in str(found[3])
    assert str(unseen) not in str(found[3])


@pytest.mark.parametrize("name", COUNTS)
def test_a_count_may_be_somewhat_higher_than_any_seen_and_not_far_beyond(
    encoder: EncounterEncoder, usual: pd.DataFrame, name: str
) -> None:
    margin = max(5, highest(encoder, name) / 2)
    odd = usual.head(2).astype({name: "float64"})
    odd.loc[0, name] = highest(encoder, name) + margin
    odd.loc[1, name] = highest(encoder, name) + margin + 1
    scored, withheld = judged(encoder, odd)
    assert scored is None
    assert "far beyond any in the training data" in str(withheld)
    assert "_" not in str(withheld)


@pytest.mark.parametrize(("missing", "withheld"), [(["diag_1"], False), (["diag_1", "diag_2"], False),
                                                   (["diag_1", "diag_2", "diag_3"], True)])  # fmt: skip
def test_without_any_diagnosis_an_encounter_is_withheld(
    encoder: EncounterEncoder, usual: pd.DataFrame, missing: list[str], withheld: bool
) -> None:
    usual.loc[:, ["diag_1", "diag_2", "diag_3"]] = "428"
    usual.loc[0, missing] = None
    assert judged(encoder, usual)[0] == (NO_DIAGNOSIS if withheld else None)


@pytest.mark.parametrize("risk", [np.nan, np.inf, -np.inf])
def test_a_risk_that_is_no_number_is_withheld(encoder: EncounterEncoder, usual: pd.DataFrame, risk: float) -> None:
    assert withheld_because(encoder, usual.head(2), np.array([0.2, risk])) == [None, NO_RISK]


def test_every_reason_is_named(encoder: EncounterEncoder, usual: pd.DataFrame) -> None:
    odd = usual.head(1).assign(time_in_hospital=60, diag_1=None, diag_2=None, diag_3=None)
    assert str(judged(encoder, odd)[0]).count("; ") == 1


def test_an_unseen_payer_specialty_race_or_gender_and_a_short_history_are_no_reason(
    encoder: EncounterEncoder, usual: pd.DataFrame
) -> None:
    odd = usual.assign(payer_code="new", medical_specialty="new", race=None, gender="Unknown/Invalid",
                       previous_disposition=np.nan, previous_time_in_hospital=np.nan)  # fmt: skip
    assert judged(encoder, odd) == [None] * len(odd)


def test_nobody_gives_nothing_to_judge(encoder: EncounterEncoder, usual: pd.DataFrame) -> None:
    assert judged(encoder, usual.head(0)) == []


def test_what_was_seen_is_stored_with_the_model_as_plain_values(encoder: EncounterEncoder) -> None:
    loaded = loads(dumps(encoder), trusted=list(CONTRACT.estimator.artifact.trusted_types))
    assert (loaded.ranges_, loaded.seen_) == (encoder.ranges_, encoder.seen_)
    assert all(type(code) in (int, float, str) for codes in encoder.seen_.values() for code in codes)
