"""The words of metrics: each has one name, which follows the model's nouns, schema and shares."""

import json
from dataclasses import replace

import pytest

from readmission_platform.evaluation.estimates.evidence import evaluate
from readmission_platform.evaluation.words import ANY_WORDING, Wording
from readmission_platform_tests.support.evidence_rows import WORDING


@pytest.mark.parametrize(
    ("metric", "label"),
    [
        ("auroc", "AUROC: how well it separates high from low risk"),
        ("brier_skill", "Brier skill: compared with predicting the average risk for everybody"),
        ("observed_expected", "Observed / expected readmissions: 1 is ideal"),
        ("recall_at_flag", "Recall at the flag (10 %): share of the readmissions found"),
        ("ppv_at_flag", "PPV at the flag (10 %): share of the flagged readmitted within 30 days"),
        ("recall_at_wide_flag", "Recall at the wide flag (20 %): share of the readmissions found"),
        ("net_benefit_at_0.15", "Net benefit of following up at a risk of 15 % or more"),
        ("equalised_odds_age_band", "Equalised odds at the flag (10 %), age group: 0 is equal"),
        ("auroc_gap.race", "AUROC gap, race: 0 is equal"),
        ("observed_expected.gender.Female", "Observed / expected readmissions, gender Female"),
        ("auroc_gain_over_lace", "AUROC gain over LACE"),
        ("rows", "Encounters judged"),
        ("a_metric_of_tomorrow", "a metric of tomorrow"),
    ],
)
def test_a_metric_is_called_by_the_models_own_words(metric: str, label: str) -> None:
    assert WORDING.label(metric) == label


def test_every_estimate_of_the_evidence_has_words(rows, settings) -> None:
    estimates = evaluate(rows, **settings, replicates=2)["estimates"]
    assert not [name for name in estimates if WORDING.label(name) == name.replace("_", " ")]
    assert len({WORDING.label(name) for name in estimates}) == len(estimates)


def test_the_share_flagged_comes_from_the_settings_and_never_from_the_name() -> None:
    assert replace(WORDING, flag_share=0.15).short("recall_at_flag") == "Recall at the flag (15 %)"
    assert replace(WORDING, flag_share=0.125).short("ppv_at_flag") == "PPV at the flag (12.5 %)"
    assert ANY_WORDING.label("recall_at_flag") == "Recall at the flag: share of the events found"


def test_within_a_sentence_only_abbreviations_keep_their_capitals() -> None:
    said = [WORDING.inline(name) for name in ("auroc", "brier_skill", "ppv_at_flag", "f1", "observed_expected")]
    assert said == ["AUROC", "Brier skill", "PPV at the flag (10 %)", "F1 at the flag (10 %)",
                    "observed / expected readmissions"]  # fmt: skip


def test_a_groups_name_is_no_pattern() -> None:
    assert WORDING.label("observed_expected.race.{events}: x") == "Observed / expected readmissions, race {events}: x"
    assert WORDING.group("age_band", "[70-80)") == "Age group: [70-80)"
    assert WORDING.score("model") == "the model"
    assert (WORDING.cohort("all"), WORDING.cohort("seen")) == ("everybody", "patients seen")
    assert WORDING.cohort("age: 70+") == "age: 70+"


@pytest.mark.parametrize("wording", [WORDING, ANY_WORDING], ids=["readmission", "any model"])
def test_a_document_carries_its_wording(wording: Wording) -> None:
    assert Wording.of(json.loads(json.dumps(wording.to_json()))) == wording
