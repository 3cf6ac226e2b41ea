"""Evidently's index: what it is computed of, and what its page shows."""

import json
import math
import re

import numpy as np
import pandas as pd
import pytest

from readmission_platform.evaluation.disclosure import SMALLEST_SHOWN
from readmission_platform.evaluation.drift.stability import Measured, Reference, measure, reference_of

LIMITS = {"payer": 0.2, "stay": 0.2, "risk": 0.2}


def encounters(size: int, *, seed: int, stay: float = 4.0, medicare: float = 0.5) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    left = (1 - medicare) / 3
    payer = draw.choice(["MC", "HM", "SP", "RARE", "nobody"], size, p=[medicare, left, left, left - 0.01, 0.01])
    return pd.DataFrame({
        "payer": pd.Series(payer, dtype=object).where(payer != "nobody", None),
        "stay": np.round(draw.gamma(stay, 1.0, size)),
        "risk": draw.beta(2, 15, size),
    })  # fmt: skip


@pytest.fixture(scope="module")
def reference() -> Reference:
    training = encounters(6000, seed=1)
    return reference_of(training[["payer", "stay"]], training["risk"].to_numpy(), rows=4000, rare_share=0.02, seed=3)


@pytest.fixture(scope="module")
def shifted(reference: Reference) -> Measured:
    return measure(reference, encounters(216, seed=2, stay=7.0, medicare=0.2), limits=LIMITS)


def score(measured: Measured, column: str, kind: str = "drift") -> float:
    rows = measured.rows
    (found,) = rows.loc[(rows["column"] == column) & (rows["measure"] == kind), "score"]
    return float(found)


def test_random_draws_stay_far_below_a_shift(reference: Reference, shifted: Measured):
    calm = measure(reference, encounters(216, seed=4), limits=LIMITS)
    for column in ("payer", "stay"):
        assert score(calm, column) < 0.1
        assert score(shifted, column) > 0.25
    assert score(shifted, "risk") < 0.1


def test_the_index_is_the_one_of_the_textbook(reference: Reference):
    window = encounters(216, seed=5)
    codes = reference.vocabularies["stay"].codes(window["stay"])
    cells = reference.vocabularies["stay"].cells
    ours = np.bincount(reference.cells["stay"], minlength=cells)[1:] / 4000
    theirs = np.bincount(codes, minlength=cells)[1:] / 216
    assert (np.bincount(codes, minlength=cells)[1:] >= SMALLEST_SHOWN).all()  # so nothing is put together
    expected = float(np.sum((ours - theirs) * np.log(ours / theirs)))
    assert score(measure(reference, window, limits=LIMITS), "stay") == pytest.approx(expected)


def test_the_same_training_data_and_seed_give_the_same_reference():
    training = encounters(3000, seed=1)
    one, other = (
        reference_of(training[["payer"]], training["risk"].to_numpy(), rows=1000, rare_share=0.02, seed=3)
        for _ in range(2)
    )
    assert one.vocabularies == other.vocabularies
    assert all((one.cells[name] == other.cells[name]).all() for name in one.cells)


def test_missing_values_are_measured_by_how_far_their_share_is_from_training(reference: Reference):
    window = encounters(200, seed=6)
    window.loc[:49, "payer"] = None
    found = measure(reference, window, limits=LIMITS)
    share = window["payer"].isna().mean()
    row = found.rows[(found.rows["column"] == "payer") & (found.rows["measure"] == "missing")].iloc[0]
    assert row["observed"] == pytest.approx(share)
    assert row["score"] == pytest.approx(abs(share - reference.vocabularies["payer"].missing))


def test_a_column_without_any_value_is_compared_as_missing_altogether(reference: Reference):
    window = encounters(200, seed=6).assign(payer=None, stay=np.nan)
    found = measure(reference, window, limits=LIMITS)
    assert score(found, "payer") > 1
    assert score(found, "stay") > 1


def test_codes_that_training_never_saw_are_counted(reference: Reference):
    window = encounters(200, seed=6)
    window.loc[:39, "payer"] = "NEW"
    assert score(measure(reference, window, limits=LIMITS), "payer", "unseen") == pytest.approx(0.2)


def test_withheld_predictions_are_left_out_of_the_risks(reference: Reference):
    window = encounters(216, seed=7)
    fewer = window.assign(risk=window["risk"].where(np.arange(216) % 3 > 0))
    assert score(measure(reference, fewer, limits=LIMITS), "risk") < 0.15


def test_when_every_prediction_is_withheld_the_risks_cannot_be_judged_and_the_rest_can(reference: Reference):
    found = measure(reference, encounters(216, seed=7).assign(risk=np.nan), limits=LIMITS)
    assert math.isnan(score(found, "risk"))
    assert score(found, "stay") < 0.1


def test_evidentlys_page_shows_the_scores_that_are_judged(shifted: Measured):
    page = shifted.page()
    assert page is not None
    for column in ("payer", "stay", "risk"):
        assert f"Drift in column '{column}'" in page.decode()
        assert f"Drift score: {round(score(shifted, column), 3)}" in page.decode()


def test_evidentlys_page_shows_no_cell_of_one_to_ten_people_and_no_single_value(reference: Reference):
    window = encounters(216, seed=8)
    window.loc[:2, "payer"] = "A PATIENT'S NAME"
    window.loc[3:5, "stay"] = 88
    page = measure(reference, window, limits=LIMITS).page()
    assert page is not None
    text = page.decode()
    assert "A PATIENT" not in text
    counted = [json.loads(found) for found in re.findall(r'"visible": true, "x": \[[^]]*\], "y": (\[[^]]*\])', text)]
    assert len(counted) == 2 * len(LIMITS)  # of the window and of the reference
    assert all(count == 0 or count >= SMALLEST_SHOWN for counts in counted for count in counts)
    assert not re.search(r'"x": \[[^]]*88', text)
