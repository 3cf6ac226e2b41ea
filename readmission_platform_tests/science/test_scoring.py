"""Scoring: the daily path gives what training gave, also to patients with a past."""

import numpy as np
import pandas as pd
import pytest

from readmission_platform.science.features import MODEL_INPUTS
from readmission_platform.science.history import history_as_of
from readmission_platform.science.model import score
from readmission_platform.science.scoring import model_inputs, score_discharges, serving_parity
from readmission_platform_tests.small_study import SmallStudy


def shipped_scores(study: SmallStudy) -> np.ndarray:
    """Scores of the test patients; of all others the model was trained on, nothing may be compared."""
    scores = np.full(len(study.development), np.nan)
    scores[study.folds == 0] = score(study.fitted.model, study.inputs[study.folds == 0])
    return scores


def discharged(encounters: pd.DataFrame) -> pd.DataFrame:
    return encounters.drop(columns=["readmitted", "readmitted_30d"])


def test_patients_with_a_past_get_the_same_score_in_training_and_in_the_daily_path(small_study: SmallStudy) -> None:
    tested = small_study.development[small_study.folds == 0]
    assert (tested["patient_key"].value_counts() > 1).sum() > 50
    difference = serving_parity(
        small_study.fitted.model, small_study.development, shipped_scores(small_study), patients=300
    )
    assert difference <= 1e-12


def test_a_path_that_forgets_the_past_is_noticed(small_study: SmallStudy) -> None:
    scores = shipped_scores(small_study)
    forgetful = small_study.development.assign(
        **history_as_of(small_study.development, small_study.development.iloc[:0])
    )
    forgetful["prior_encounters"] = 0.0
    scores[small_study.folds == 0] = score(
        small_study.fitted.model, forgetful.loc[small_study.folds == 0, MODEL_INPUTS]
    )
    difference = serving_parity(small_study.fitted.model, small_study.development, scores, patients=300)
    assert difference > 0.001


def test_parity_presents_no_outcome_and_leaves_the_encounters_as_they_are(small_study: SmallStudy) -> None:
    before = small_study.development.copy()
    unknown = small_study.development.copy()
    last = ~unknown["patient_key"].duplicated(keep="last")
    # What the last encounter led to is not known when it is scored, so it may say anything.
    unknown.loc[last, "readmitted"] = "<30"
    scores = shipped_scores(small_study)
    assert serving_parity(small_study.fitted.model, unknown, scores, patients=100) <= 1e-12
    pd.testing.assert_frame_equal(small_study.development, before)


def test_a_replayed_discharge_gets_the_history_it_has_in_the_whole_table(small_study: SmallStudy) -> None:
    replayed = small_study.replayed
    first = replayed[~replayed["patient_key"].duplicated()]
    returning = first[first["patient_key"].isin(small_study.development["patient_key"])].reset_index(drop=True)
    assert len(returning) > 30
    whole = history_as_of(returning, small_study.eligible)
    assert (whole["prior_encounters"] > 0).all()
    expected = score(small_study.fitted.model, returning.join(whole)[MODEL_INPUTS])
    served = score_discharges(small_study.fitted.model, discharged(returning), small_study.development)
    np.testing.assert_array_equal(served, expected)


def test_scoring_a_day_at_once_or_one_by_one_gives_the_same(small_study: SmallStudy) -> None:
    day = discharged(small_study.replayed.head(27))
    together = score_discharges(small_study.fitted.model, day, small_study.development)
    single = [
        score_discharges(
            small_study.fitted.model,
            day.iloc[[row]],
            pd.concat([small_study.development, day.iloc[:row].assign(readmitted=None)], ignore_index=True),
        )[0]
        for row in range(len(day))
    ]
    np.testing.assert_array_equal(together, single)


def test_the_order_of_the_day_and_of_what_is_known_does_not_matter(small_study: SmallStudy) -> None:
    day = discharged(small_study.replayed.head(60))
    straight = score_discharges(small_study.fitted.model, day, small_study.development)
    backwards = score_discharges(
        small_study.fitted.model, day.iloc[::-1], small_study.development.sample(frac=1, random_state=3)
    )
    np.testing.assert_array_equal(backwards[::-1], straight)


@pytest.mark.parametrize("column", ["readmitted", "readmitted_30d"])
def test_an_outcome_that_came_along_is_not_among_the_inputs(small_study: SmallStudy, column: str) -> None:
    inputs = model_inputs(small_study.replayed.head(10), small_study.development)
    assert list(inputs.columns) == MODEL_INPUTS
    assert column not in inputs
