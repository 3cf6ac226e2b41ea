"""Scoring: the daily path gives what training gave, also to patients with a past, and many days what each gives."""

from random import Random

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readmission_platform.encounters.history import KNOWN_COLUMNS, history_as_of, history_by_day
from readmission_platform.models import scoring
from readmission_platform.models.boosting.recalibrated import score
from readmission_platform.models.readmission_30d import CONTRACT
from readmission_platform.models.readmission_30d.inputs import MODEL_INPUTS
from readmission_platform.models.scoring import SCORE_COLUMNS, Scorer, score_rows, serving_parity
from readmission_platform_tests.support.small_study import SmallStudy


def shipped_scores(study: SmallStudy) -> np.ndarray:
    """Scores of the test patients; of all others the model was trained on, nothing may be compared."""
    scores = np.full(len(study.development), np.nan)
    scores[study.folds == 0] = score(study.fitted.model, study.inputs[study.folds == 0])
    return scores


def discharged(encounters: pd.DataFrame) -> pd.DataFrame:
    return encounters.drop(columns=["readmitted", "readmitted_30d"])


def test_patients_with_a_past_get_the_same_score_in_training_and_in_the_daily_path(small_study: SmallStudy) -> None:
    tested = small_study.development[small_study.folds == 0]
    assert (tested["entity_key"].value_counts() > 1).sum() > 50
    difference = serving_parity(
        CONTRACT, small_study.fitted.model, small_study.development, shipped_scores(small_study), entities=300
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
    difference = serving_parity(CONTRACT, small_study.fitted.model, small_study.development, scores, entities=300)
    assert difference > 0.001


def test_parity_presents_no_outcome_and_leaves_the_encounters_as_they_are(small_study: SmallStudy) -> None:
    before = small_study.development.copy()
    unknown = small_study.development.copy()
    last = ~unknown["entity_key"].duplicated(keep="last")
    # What the last encounter led to is not known when it is scored, so it may say anything.
    unknown.loc[last, "readmitted"] = "<30"
    scores = shipped_scores(small_study)
    assert serving_parity(CONTRACT, small_study.fitted.model, unknown, scores, entities=100) <= 1e-12
    pd.testing.assert_frame_equal(small_study.development, before)


def test_a_replayed_discharge_gets_the_history_it_has_in_the_whole_table(small_study: SmallStudy) -> None:
    replayed = small_study.replayed
    first = replayed[~replayed["entity_key"].duplicated()]
    returning = first[first["entity_key"].isin(small_study.development["entity_key"])].reset_index(drop=True)
    assert len(returning) > 30
    whole = history_as_of(returning, small_study.eligible)
    assert (whole["prior_encounters"] > 0).all()
    expected = score(small_study.fitted.model, returning.join(whole)[MODEL_INPUTS])
    served = score_rows(CONTRACT, small_study.fitted.model, discharged(returning), small_study.development)
    np.testing.assert_array_equal(served, expected)


def test_scoring_a_day_at_once_or_one_by_one_gives_the_same(small_study: SmallStudy) -> None:
    day = discharged(small_study.replayed.head(27))
    together = score_rows(CONTRACT, small_study.fitted.model, day, small_study.development)
    single = [
        score_rows(
            CONTRACT,
            small_study.fitted.model,
            day.iloc[[row]],
            pd.concat([small_study.development, day.iloc[:row].assign(readmitted=None)], ignore_index=True),
        )[0]
        for row in range(len(day))
    ]
    np.testing.assert_array_equal(together, single)


def test_the_order_of_the_day_and_of_what_is_known_does_not_matter(small_study: SmallStudy) -> None:
    day = discharged(small_study.replayed.head(60))
    straight = score_rows(CONTRACT, small_study.fitted.model, day, small_study.development)
    backwards = score_rows(
        CONTRACT, small_study.fitted.model, day.iloc[::-1], small_study.development.sample(frac=1, random_state=3)
    )
    np.testing.assert_array_equal(backwards[::-1], straight)


@pytest.mark.parametrize("column", ["readmitted", "readmitted_30d"])
def test_an_outcome_that_came_along_is_not_among_the_inputs(small_study: SmallStudy, column: str) -> None:
    inputs = CONTRACT.data.inputs_of(small_study.replayed.head(10), small_study.development)
    assert list(inputs.columns) == MODEL_INPUTS
    assert column not in inputs


def in_days(encounters: pd.DataFrame, days: int, *, seed: int) -> pd.DataFrame:
    """Discharges on dates that have nothing to do with their numbers: what came first may arrive last."""
    generator = np.random.default_rng(seed)
    dates = [f"2024-01-{day:02d}" for day in range(1, days + 1)]
    return discharged(encounters).assign(
        discharge_date=generator.choice(dates, size=len(encounters)),
        previous_return=generator.choice(["<30", ">30", "NO"], size=len(encounters)),
    )


def known_with(study: SmallStudy, discharges: pd.DataFrame) -> pd.DataFrame:
    arrived = discharges[[*KNOWN_COLUMNS, "discharge_date"]].assign(readmitted=None)
    return pd.concat([study.development.assign(discharge_date=None), arrived], ignore_index=True)


def day_by_day(discharges: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """The history of each day on its own, from what had arrived by then, numbered in the order in which it did.

    How what arrived ended is what the patient's next discharge says of it.
    """
    described = []
    for day, rows in discharges.groupby("discharge_date"):
        earlier = known[[arrived is None or arrived <= day for arrived in known["discharge_date"]]]
        earlier = earlier[earlier["entity_key"].isin(rows["entity_key"])].drop_duplicates("encounter_id")
        earlier = earlier[~earlier["encounter_id"].isin(rows["encounter_id"])]
        arrived = [("" if day_of is None else day_of, number) for each in (earlier, rows)
                   for day_of, number in zip(each["discharge_date"], each["encounter_id"], strict=True)]  # fmt: skip
        place = {key: number for number, key in enumerate(sorted(arrived), start=1)}
        named = [each.assign(encounter_id=[place[key] for key in keys]) for each, keys in
                 ((earlier, arrived[: len(earlier)]), (rows, arrived[len(earlier) :]))]  # fmt: skip
        both = pd.concat(named).sort_values("encounter_id")
        said = both.groupby("entity_key")["previous_return"].shift(-1).set_axis(both["encounter_id"])
        ended = [each.assign(readmitted=each["encounter_id"].map(said).where(
            each["discharge_date"].notna(), each.get("readmitted"))) for each in named]  # fmt: skip
        described.append(history_as_of(ended[1], ended[0]))
    return pd.concat(described).loc[discharges.index]


def test_many_days_at_once_get_the_history_that_each_has_on_its_own(small_study: SmallStudy) -> None:
    discharges = in_days(small_study.eligible.tail(2000).reset_index(drop=True), 25, seed=4)
    # Of the development encounters some are delivered again, as late as may be.
    known = known_with(small_study, discharges)
    together = history_by_day(discharges, known)
    alone = day_by_day(discharges, known)
    pd.testing.assert_frame_equal(together, alone, check_exact=True)
    by_number = history_as_of(discharges.drop(columns="discharge_date"), known)
    assert (together["prior_encounters"] < by_number["prior_encounters"]).any()  # some arrived too late to be known
    assert (together["prior_encounters"] > by_number["prior_encounters"]).any()  # others sooner than numbered


ARRIVALS = st.lists(
    st.tuples(st.integers(1, 12), st.sampled_from("abc"), st.integers(1, 5), st.integers(1, 3)),
    min_size=1, max_size=14, unique_by=lambda arrival: arrival[0],
)  # fmt: skip
EARLIER = st.lists(
    st.tuples(st.integers(1, 12), st.sampled_from("abc"), st.integers(1, 5), st.sampled_from(["<30", ">30", "NO"])),
    max_size=8,
)


@settings(max_examples=40)
@given(arrivals=ARRIVALS, earlier=EARLIER, order=st.randoms(use_true_random=False))
def test_whatever_arrives_on_whichever_day_many_days_at_once_are_each_day_on_its_own(
    arrivals: list[tuple[int, str, int, int]], earlier: list[tuple[int, str, int, str]], order: Random
) -> None:
    discharges = pd.DataFrame([
        {"encounter_id": number, "entity_key": patient, "time_in_hospital": days, "number_inpatient": number % 4,
         "discharge_disposition_id": days, "discharge_date": f"2024-01-0{day}",
         "previous_return": ["<30", ">30", "NO"][number % 3]}
        for number, patient, days, day in arrivals
    ])  # fmt: skip
    development = [
        {"encounter_id": number, "entity_key": patient, "time_in_hospital": days, "number_inpatient": number % 3,
         "discharge_disposition_id": days, "discharge_date": None, "readmitted": outcome, "previous_return": None}
        for number, patient, days, outcome in earlier
    ]  # fmt: skip
    rows = [*development, *discharges.assign(readmitted=None).to_dict("records")]
    order.shuffle(rows)
    known = pd.DataFrame(rows)
    pd.testing.assert_frame_equal(
        history_by_day(discharges, known), day_by_day(discharges, known), check_exact=True, check_dtype=False
    )


def test_many_days_at_once_get_bit_by_bit_the_scores_and_reasons_of_each_day_on_its_own(
    small_study: SmallStudy,
) -> None:
    scorer = Scorer(CONTRACT, small_study.fitted.model)
    discharges = in_days(small_study.replayed, 12, seed=5)
    known = known_with(small_study, discharges)
    together = scorer.score(discharges, known)
    for _, rows in discharges.groupby("discharge_date"):
        alone = scorer.score(rows, known)
        pd.testing.assert_frame_equal(alone, together.loc[rows.index].reset_index(drop=True), check_exact=True)


def test_batches_change_nothing(small_study: SmallStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = Scorer(CONTRACT, small_study.fitted.model)
    discharges = in_days(small_study.replayed.head(90), 3, seed=6)
    known = known_with(small_study, discharges)
    whole = scorer.score(discharges, known)
    monkeypatch.setattr(scoring, "BATCH", 7)
    pd.testing.assert_frame_equal(scorer.score(discharges, known), whole, check_exact=True)


def test_who_is_withheld_has_a_reason_and_nothing_else_and_the_others_their_usual_risk(
    small_study: SmallStudy,
) -> None:
    scorer = Scorer(CONTRACT, small_study.fitted.model)
    discharges = in_days(small_study.replayed.head(20), 1, seed=7)
    known = known_with(small_study, discharges)
    usual = scorer.score(discharges, known)
    odd = discharges.copy()
    odd.loc[4, "discharge_disposition_id"] = 29
    found = scorer.score(odd, known)
    assert found.loc[4, "status"] == "withheld"
    assert "discharge disposition" in found.loc[4, "withheld_because"]
    assert found.loc[4, ["risk", "reasons", "contributions"]].isna().all()
    pd.testing.assert_frame_equal(found.drop(index=4), usual.drop(index=4), check_exact=True)
    assert set(usual["status"]) == {"scored"}
    assert usual["withheld_because"].isna().all()


def test_a_day_of_nobody_but_withheld_and_a_day_of_nobody_at_all(small_study: SmallStudy) -> None:
    scorer = Scorer(CONTRACT, small_study.fitted.model)
    discharges = in_days(small_study.replayed.head(3), 1, seed=7).assign(discharge_disposition_id=29)
    known = known_with(small_study, discharges)
    assert set(scorer.score(discharges, known)["status"]) == {"withheld"}
    nobody = scorer.score(discharges.head(0), known.head(0))
    assert nobody.empty
    assert list(nobody.columns) == SCORE_COLUMNS


def test_the_risk_is_the_one_without_reasons(small_study: SmallStudy) -> None:
    day = in_days(small_study.replayed.head(40), 1, seed=8)
    plain = score_rows(CONTRACT, small_study.fitted.model, day, small_study.development)
    found = Scorer(CONTRACT, small_study.fitted.model).score(day, known_with(small_study, day))
    np.testing.assert_array_equal(found["risk"], plain)
