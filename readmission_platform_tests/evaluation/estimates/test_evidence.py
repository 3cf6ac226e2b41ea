"""The evidence document: complete, JSON, independent of storage, and undefined rather than wrong."""

import json

import numpy as np
import pytest

from readmission_platform.evaluation.estimates import metrics
from readmission_platform.evaluation.estimates.evidence import InvalidEvidence, evaluate

NAMES = [
    "auroc",
    "auroc_test",
    "auroc_gain_over_lace",
    "auroc_gain_over_hospital",
    "auroc_gain_over_number_inpatient",
    "average_precision",
    "average_precision_ratio",
    "brier",
    "brier_skill",
    "calibration_slope",
    "calibration_intercept",
    "observed_expected",
    "ece",
    "recall_at_flag",
    "ppv_at_flag",
    "recall_at_wide_flag",
    "net_benefit_at_0.1",
    "net_benefit_at_0.15",
    "net_benefit_at_0.2",
    "net_benefit_at_0.3",
    "latest_auroc",
    "latest_observed_expected",
    "equalised_odds_gender",
    "equalised_odds_race",
    "equalised_odds_age_band",
    "observed_expected.gender.Female",
    "observed_expected.gender.Male",
    "observed_expected.race.Asian",
    "observed_expected.age_band.<50",
    "auroc_gap.gender",
    "auroc_gap.race",
    "auroc_gap.age_band",
    "accuracy",
    "precision",
    "recall",
    "f1",
    "rows",
]


@pytest.fixture(scope="module")
def quick(settings):
    return settings | {"replicates": 40}


@pytest.fixture(scope="module")
def evidence(rows, quick):
    return evaluate(rows, **quick)


def test_every_metric_of_the_contract_is_there_with_an_interval_around_it(evidence):
    estimates = evidence["estimates"]
    assert set(NAMES) <= set(estimates)
    for name in NAMES:
        entry = estimates[name]
        assert set(entry) - {"digits", "entities"} == {"value", "low", "high", "n", "positives"}
        if name != "ece" and not name.startswith(("equalised", "auroc_gap")):
            assert entry["low"] <= entry["value"] <= entry["high"], name


def test_the_document_is_plain_json_and_has_its_sections(evidence):
    assert json.loads(json.dumps(evidence, allow_nan=False)) == evidence
    assert set(evidence) == {
        "schema", "n", "positives", "entities", "prevalence", "settings", "estimates", "curves", "groups", "baselines",
        "comparisons",
    }  # fmt: skip
    assert set(evidence["curves"]) == {"roc", "precision_recall", "calibration", "decision"}
    group = evidence["groups"]["gender"]["Female"]
    assert set(group) == {"n", "positives", "entities", "auroc", "observed_expected", "tpr", "fpr"}


def test_curves_stay_thin(make_rows, quick):
    curves = evaluate(make_rows(3000, seed=5), **quick | {"replicates": 1})["curves"]
    assert 20 < len(curves["roc"]["fpr"]) <= 200
    assert 20 < len(curves["precision_recall"]["recall"]) <= 200
    assert (curves["roc"]["fpr"][0], curves["roc"]["tpr"][-1]) == (0.0, 1.0)


def test_the_same_rows_in_another_order_give_the_same_document(rows, evidence, quick):
    assert evaluate(rows.sample(frac=1, random_state=1), **quick) == evidence


def test_estimates_agree_with_metrics_computed_apart(rows, evidence):
    labels, scores = rows["label"].to_numpy(), rows["score"].to_numpy()
    estimates = evidence["estimates"]
    assert estimates["auroc"]["value"] == pytest.approx(metrics.auroc(labels=labels, scores=scores))
    test = (rows["fold"] == 0).to_numpy()
    assert estimates["auroc_test"]["value"] == pytest.approx(metrics.auroc(labels=labels[test], scores=scores[test]))
    assert estimates["auroc_test"]["n"] == test.sum()
    gain = metrics.auroc(labels=labels, scores=scores) - metrics.auroc(labels=labels, scores=rows["lace"].to_numpy())
    assert estimates["auroc_gain_over_lace"]["value"] == pytest.approx(gain)
    tenths = np.array_split(np.argsort(scores), 10)
    error = np.mean([abs(labels[tenth].mean() - scores[tenth].mean()) for tenth in tenths])
    assert estimates["ece"]["value"] == pytest.approx(error)
    asian = (rows["race"] == "Asian").to_numpy()
    ratio = labels[asian].sum() / scores[asian].sum()
    assert estimates["observed_expected.race.Asian"]["value"] == pytest.approx(ratio)
    assert evidence["prevalence"] == pytest.approx(labels.mean())


def test_the_latest_fifth_is_of_patients_by_their_first_encounter(rows, evidence):
    first = rows.groupby("entity_key")["clock"].transform("min")
    patients = rows.assign(first=first).drop_duplicates("entity_key").sort_values("first")["entity_key"]
    late = rows[rows["entity_key"].isin(patients.tail(round(0.2 * len(patients))))]
    assert evidence["estimates"]["latest_auroc"]["n"] == len(late)
    value = late["label"].sum() / late["score"].sum()
    assert evidence["estimates"]["latest_observed_expected"]["value"] == pytest.approx(value)


def test_a_slice_with_one_class_is_undefined_and_nothing_else_suffers(rows, quick):
    changed = rows.assign(label=rows["label"].where(rows["fold"] != 0, 0))
    estimates = evaluate(changed, **quick)["estimates"]
    assert [estimates["auroc_test"][k] for k in ("value", "low", "high")] == [None] * 3
    assert estimates["auroc"]["value"] is not None


def test_an_absent_attribute_leaves_its_comparisons_undefined(rows, quick):
    evidence = evaluate(rows.assign(race=None), **quick)
    assert evidence["groups"]["race"] == {}
    assert evidence["estimates"]["equalised_odds_race"] == {
        "value": None, "low": None, "high": None, "n": 0, "positives": 0,
    }  # fmt: skip


@pytest.mark.parametrize("count", [0, 1, 2, 30])
def test_tiny_evidence_gives_undefined_figures_and_no_crash(rows, count, quick):
    evidence = evaluate(rows.head(count), **quick)
    json.dumps(evidence, allow_nan=False)
    assert evidence["estimates"]["rows"]["value"] == count


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_only_gives_undefined_discrimination(rows, label, quick):
    estimates = evaluate(rows.head(300).assign(label=label), **quick)["estimates"]
    for name in ("auroc", "calibration_slope", "brier_skill", "auroc_gain_over_lace"):
        assert estimates[name]["value"] is None
    assert estimates["observed_expected"]["value"] is not None


WRONG_INPUTS = {
    "missing column": lambda rows: rows.drop(columns="lace"),
    "label of 2": lambda rows: rows.assign(label=2),
    "label missing": lambda rows: rows.assign(label=rows["label"].astype(float).where(rows["fold"] != 1)),
    "score above 1": lambda rows: rows.assign(score=rows["score"] + 1),
    "score missing": lambda rows: rows.assign(score=rows["score"].where(rows["fold"] != 1)),
    "score as text": lambda rows: rows.assign(score=rows["score"].astype(str)),
    "clock outside": lambda rows: rows.assign(clock=rows["clock"] - 1),
    "baseline infinite": lambda rows: rows.assign(hospital=np.inf),
    "repeated row": lambda rows: rows.assign(row_key="e1"),
    "no entity": lambda rows: rows.assign(entity_key=None),
    "numbers as gender": lambda rows: rows.assign(gender=1.0),
    "column twice": lambda rows: rows.assign(x=0.5).rename(columns={"x": "score"}),
}


@pytest.mark.parametrize("spoil", WRONG_INPUTS.values(), ids=WRONG_INPUTS)
def test_wrong_input_is_refused_in_one_line_without_patient_values(rows, spoil, quick):
    with pytest.raises(InvalidEvidence) as refused:
        evaluate(spoil(rows), **quick)
    message = str(refused.value)
    assert "\n" not in message
    assert "e0000" not in message
    assert "p0000" not in message


@pytest.mark.parametrize("wrong", [{"flag_share": 0.0}, {"thresholds": (1.0,)}, {"replicates": 0}])
def test_impossible_settings_are_refused(rows, wrong, quick):
    with pytest.raises(InvalidEvidence):
        evaluate(rows, **quick | wrong)


def with_logistic(rows):
    noise = np.random.default_rng(3).normal(scale=0.3, size=len(rows))
    return rows.assign(logistic=1 / (1 + np.exp(-(np.log(rows["score"] / (1 - rows["score"])) + noise))))


def test_every_pair_of_scores_is_compared_once_and_consistently(rows, quick):
    evidence = evaluate(with_logistic(rows), **quick)
    names = [entry["name"] for entry in evidence["baselines"]]
    assert names == ["lace", "hospital", "number_inpatient", "logistic"]
    pairs = {(pair["first"], pair["second"]): pair["difference"] for pair in evidence["comparisons"]}
    assert len(pairs) == len(evidence["comparisons"]) == 10
    areas = {entry["name"]: entry["auroc"]["value"] for entry in evidence["baselines"]}
    areas["model"] = evidence["estimates"]["auroc"]["value"]
    for (first, second), difference in pairs.items():
        assert difference["value"] == pytest.approx(areas[first] - areas[second])
        assert difference["low"] <= difference["value"] <= difference["high"]
    gain = evidence["estimates"]["auroc_gain_over_logistic"]
    assert pairs["model", "logistic"] == {name: gain[name] for name in ("value", "low", "high")}


def test_a_fitted_baseline_may_be_left_out_as_a_whole_and_changes_no_other_figure(rows, quick, evidence):
    column_of_nothing = evaluate(rows.assign(logistic=np.nan), **quick)
    assert column_of_nothing == evidence
    assert len(evidence["comparisons"]) == 6
    with_it = evaluate(with_logistic(rows), **quick)
    shared = {name: with_it["estimates"][name] for name in evidence["estimates"]}
    assert shared == evidence["estimates"]


@pytest.mark.parametrize("value", [1.5, -0.1, np.inf])
def test_a_baseline_of_probabilities_has_to_hold_probabilities(rows, quick, value):
    spoilt = with_logistic(rows)
    spoilt.loc[spoilt.index[0], "logistic"] = value
    with pytest.raises(InvalidEvidence, match="logistic"):
        evaluate(spoilt, **quick)
