"""Live measures: what outcomes say of a version, what can be said before, and what may be shown of few people."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readmission_platform.evaluation.estimates import metrics
from readmission_platform.evaluation.estimates.calibration import observed_expected, recalibration
from readmission_platform.evaluation.estimates.rows import InvalidEvidence
from readmission_platform.evaluation.operation.cohorts import ALL, SEEN, UNSEEN, group_cohort, validated_as
from readmission_platform.evaluation.operation.live import (
    MEASURES,
    estimated,
    measured,
    reliability,
    suppressed,
)
from readmission_platform.models.readmission_30d.evidence import SCHEMA
from readmission_platform.reports.pictures.evidence import trend_png

SHARE = 0.1


def scored(n: int = 2000, seed: int = 1, *, per_day: int = 40) -> pd.DataFrame:
    """Encounters with calibrated risks; on each day the highest tenth is flagged."""
    rng = np.random.default_rng(seed)
    score = np.clip(rng.beta(1.6, 12, n), 0.01, 0.95)
    day = np.arange(n) // per_day
    return pd.DataFrame(
        {
            "score": score,
            "label": (rng.random(n) < score).astype("int8"),
            "entity_key": [f"p{patient}" for patient in rng.integers(0, n // 2, n)],
            "flagged": pd.Series(score).groupby(day).rank(ascending=False) <= per_day * SHARE,
            "seen": rng.random(n) < 0.3,
            "gender": rng.choice(["Female", "Male"], n),
            "race": rng.choice(["Caucasian", "AfricanAmerican"], n),
            "age_band": rng.choice(["<50", "50-70", "70+"], n),
        }
    )


def figures_of(rows: pd.DataFrame, *, replicates: int = 60, subgroups: bool = False) -> pd.DataFrame:
    schema = SCHEMA if subgroups else None
    return measured(rows, schema=schema, flag_share=SHARE, replicates=replicates, seed=3)


def value(figures: pd.DataFrame, measure: str, cohort: str = ALL, column: str = "value") -> float:
    (found,) = figures[(figures["cohort"] == cohort) & (figures["measure"] == measure)][column]
    return float(found)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return scored()


@pytest.fixture(scope="module")
def figures(rows: pd.DataFrame) -> pd.DataFrame:
    return figures_of(rows, subgroups=True)


@pytest.mark.parametrize("cohort", [ALL, SEEN, UNSEEN, "gender: Female", "race: AfricanAmerican", "age: 70+"])
def test_each_measure_is_that_of_validation_on_the_rows_of_the_cohort(
    rows: pd.DataFrame, figures: pd.DataFrame, cohort: str
) -> None:
    chosen = {
        ALL: rows,
        SEEN: rows[rows["seen"]],
        UNSEEN: rows[~rows["seen"]],
        "gender: Female": rows[rows["gender"] == "Female"],
        "race: AfricanAmerican": rows[rows["race"] == "AfricanAmerican"],
        "age: 70+": rows[rows["age_band"] == "70+"],
    }[cohort]
    labels, scores = chosen["label"].to_numpy(dtype="int64"), chosen["score"].to_numpy()
    assert value(figures, "auroc", cohort) == pytest.approx(metrics.auroc(labels=labels, scores=scores))
    assert value(figures, "brier", cohort) == pytest.approx(metrics.brier(labels=labels, scores=scores))
    assert value(figures, "brier_skill", cohort) == pytest.approx(metrics.brier_skill(labels=labels, scores=scores))
    assert value(figures, "observed_expected", cohort) == pytest.approx(observed_expected(labels=labels, scores=scores))
    _, slope = recalibration(labels=labels, scores=scores)
    assert value(figures, "calibration_slope", cohort) == pytest.approx(slope, abs=1e-4)
    flagged = chosen["flagged"].to_numpy()
    assert value(figures, "recall_at_flag", cohort) == pytest.approx(labels[flagged].sum() / labels.sum())
    assert value(figures, "ppv_at_flag", cohort) == pytest.approx(labels[flagged].mean())
    assert value(figures, "accuracy", cohort) == pytest.approx((flagged == labels.astype(bool)).mean())
    assert value(figures, "auroc", cohort, "n") == len(chosen)
    assert value(figures, "auroc", cohort, "positives") == labels.sum()


def test_a_cohort_finds_the_estimate_that_validation_made_of_it() -> None:
    gender, _, age = SCHEMA.attributes
    assert validated_as(ALL, "auroc", SCHEMA) == "auroc"
    assert validated_as(group_cohort(age, "70+"), "observed_expected", SCHEMA) == "observed_expected.age_band.70+"
    # A group may be called anything.
    odd = group_cohort(gender, "age: not told")
    assert validated_as(odd, "observed_expected", SCHEMA) == "observed_expected.gender.age: not told"
    assert validated_as(SEEN, "auroc", SCHEMA) is None
    assert validated_as("ward: 3", "observed_expected", SCHEMA) is None


def test_every_figure_lies_in_its_interval(figures: pd.DataFrame) -> None:
    assert (figures["low"] <= figures["value"]).all()
    assert (figures["value"] <= figures["high"]).all()
    assert set(figures["measure"]) == set(MEASURES)


def test_a_patient_who_returns_often_makes_intervals_wider() -> None:
    apart = scored().assign(entity_key=lambda rows: rows.index.astype(str))
    together = apart.assign(entity_key=(apart.index // 40).astype(str))
    together["label"] = together.groupby("entity_key")["label"].transform("first")
    apart["label"] = together["label"]
    width = [value(figures_of(each), "observed_expected", column="high") - value(
        figures_of(each), "observed_expected", column="low") for each in (apart, together)]  # fmt: skip
    assert width[1] > 2 * width[0]


def test_without_work_lists_the_top_share_counts_as_flagged(rows: pd.DataFrame) -> None:
    found = figures_of(rows.drop(columns="flagged"))
    expected = metrics.capacity_at_share(
        labels=rows["label"].to_numpy(dtype="int64"), scores=rows["score"].to_numpy(), share=SHARE
    )
    assert value(found, "recall_at_flag") == pytest.approx(expected["recall"])
    assert value(found, "ppv_at_flag") == pytest.approx(expected["ppv"])


def test_without_readmissions_nothing_undefined_is_made_up(rows: pd.DataFrame) -> None:
    found = figures_of(rows.assign(label=0)).set_index(["cohort", "measure"]).loc[ALL]
    undefined = ["auroc", "calibration_slope", "brier_skill", "recall_at_flag"]
    assert found.loc[undefined, "value"].isna().all()
    # Nothing readmitted is no certainty that nobody will be.
    assert found[["low", "high"]].isna().all(axis=None)


def test_no_rows_give_no_figures() -> None:
    found = figures_of(scored().head(0))
    assert found["value"].isna().all()
    assert (found["n"] == 0).all()


@pytest.mark.parametrize(("column", "wrong"), [("label", 2), ("score", 1.2), ("score", np.nan)])
def test_rows_that_are_no_evidence_are_refused(rows: pd.DataFrame, column: str, wrong: float) -> None:
    with pytest.raises(InvalidEvidence, match=column):
        figures_of(rows.assign(**{column: wrong}))


def test_the_same_rows_in_another_order_give_the_same_figures(rows: pd.DataFrame) -> None:
    shuffled = rows.sample(frac=1, random_state=2)
    pd.testing.assert_frame_equal(figures_of(shuffled), figures_of(rows))


@settings(max_examples=25)
@given(seed=st.integers(0, 1000))
def test_on_calibrated_risks_the_estimate_is_close_to_what_comes_of_it(seed: int) -> None:
    rows = scored(4000, seed)
    before, after = estimated(rows, flag_share=SHARE), figures_of(rows, replicates=1)
    for measure, distance in (("auroc", 0.06), ("brier", 0.02), ("recall_at_flag", 0.11), ("ppv_at_flag", 0.13)):
        assert value(before, measure) == pytest.approx(value(after, measure), abs=distance)


def test_the_estimate_takes_each_risk_at_its_word() -> None:
    rows = pd.DataFrame({"score": [0.1, 0.3], "flagged": [False, True]})
    found = estimated(rows, flag_share=SHARE)
    # By hand: of all pairs of one readmitted (weights p) and one not (1 - p), ties counting one half.
    wins = 0.3 * 0.9 + 0.5 * (0.1 * 0.9 + 0.3 * 0.7)
    assert value(found, "auroc") == pytest.approx(wins / (0.4 * 1.6))
    assert value(found, "brier") == pytest.approx((0.1 * 0.9 + 0.3 * 0.7) / 2)
    assert value(found, "recall_at_flag") == pytest.approx(0.3 / 0.4)
    assert value(found, "ppv_at_flag") == pytest.approx(0.3)
    assert value(found, "accuracy") == pytest.approx((0.9 + 0.3) / 2)


def test_what_the_estimate_cannot_see_is_not_estimated(rows: pd.DataFrame) -> None:
    found = estimated(rows, flag_share=SHARE)
    assert not {"observed_expected", "calibration_slope"} & set(found["measure"])
    assert found[["low", "high", "positives"]].isna().all(axis=None)


def test_the_estimate_sees_no_outcome(rows: pd.DataFrame) -> None:
    other = rows.assign(label=1 - rows["label"])
    pd.testing.assert_frame_equal(estimated(rows, flag_share=SHARE), estimated(other, flag_share=SHARE))


def test_a_small_group_and_what_it_could_be_worked_out_from_are_hidden() -> None:
    rows = scored()
    rows.loc[rows.index[:30], "race"] = "Asian"
    rows["label"] = rows["label"].mask(rows.index < 30, (rows.index < 4).astype("int8"))
    shown = suppressed(figures_of(rows, replicates=1, subgroups=True))
    numbers = ["value", "low", "high", "n", "positives"]
    hidden = set(shown.loc[shown[numbers].isna().all(axis=1), "cohort"])
    assert "race: Asian" in hidden
    # One more, or its counts were the total less the others.
    assert len({cohort for cohort in hidden if cohort.startswith("race")}) == 2
    assert not {cohort for cohort in hidden if not cohort.startswith("race")}


def test_few_people_altogether_are_not_shown_at_all() -> None:
    shown = suppressed(figures_of(scored(120).assign(label=[1] * 5 + [0] * 115), subgroups=True))
    assert shown[["value", "low", "high", "n", "positives"]].isna().all(axis=None)
    few = suppressed(estimated(scored().head(6), flag_share=SHARE))
    assert few[["value", "n"]].isna().all(axis=None)


def test_months_are_drawn_with_and_without_outcomes() -> None:
    known = {"month": "2026-01", "value": 0.66, "low": 0.6, "high": 0.7, "estimate": False, "promised": 0.67}
    guessed = {"month": "2026-02", "value": 0.67, "low": None, "high": None, "estimate": True, "promised": None}
    for months, points in ((["2026-01", "2026-02"], [known, guessed]), ([], [])):
        assert trend_png(months, {"AUROC": points, "Observed / expected": []}).startswith(b"\x89PNG")


def test_the_reliability_plot_hides_tenths_of_few_readmissions(rows: pd.DataFrame, figures: pd.DataFrame) -> None:
    bins = reliability(rows, figures, replicates=20, seed=1)["calibration"]["bins"]
    shown = [entry for entry in bins if entry["n"] is not None]
    assert shown
    assert len(shown) < len(bins)
    for entry in shown:
        assert entry["positives"] > 10
        assert entry["low"] <= entry["observed"] <= entry["high"]
