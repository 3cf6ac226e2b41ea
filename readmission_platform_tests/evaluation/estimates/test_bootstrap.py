"""The bootstrap against row-by-row resampling, and the honesty of its intervals."""

from functools import partial

import numpy as np
import pytest

from readmission_platform.evaluation.estimates import bootstrap, metrics
from readmission_platform.evaluation.estimates.evidence import read_evidence
from readmission_platform.evaluation.estimates.pooled import prepare, statistics
from readmission_platform.evaluation.estimates.ranking import accumulate, auroc_of, rank_rows
from readmission_platform.models.readmission_30d.evidence import SCHEMA


def test_counts_draw_as_many_clusters_as_there_are_and_do_not_depend_on_the_chunk():
    drawn = [
        np.concatenate(list(bootstrap.replicate_counts(clusters=50, replicates=13, seed=4, chunk=chunk)))
        for chunk in (1, 5, 100)
    ]
    assert drawn[0].shape == (13, 50)
    assert (drawn[0].sum(axis=1) == 50).all()
    np.testing.assert_array_equal(drawn[0], drawn[1])
    np.testing.assert_array_equal(drawn[0], drawn[2])


def test_every_replicate_equals_the_metrics_of_the_resampled_rows(rows):
    """All statistics of a replicate are those of a frame in which whole patients are repeated."""
    arrays = read_evidence(rows.head(1500), SCHEMA)
    prepared = prepare(arrays, flag_share=0.1, wide_flag_share=0.2, thresholds=(0.1,))
    counts = next(bootstrap.replicate_counts(clusters=arrays.entities, replicates=3, seed=2, chunk=3))
    found = statistics(prepared, counts)
    for r in range(3):
        times = counts[r][arrays.codes]
        resampled = {
            "labels": np.repeat(arrays.labels, times),
            "scores": np.repeat(arrays.scores, times),
        }
        capacity = metrics.capacity_at_share(**resampled, share=0.1)
        female = np.repeat(arrays.members[SCHEMA.attributes[0]]["Female"], times)
        lace = np.repeat(arrays.baselines["lace"], times)
        expected = {
            ("auroc",): metrics.auroc(**resampled),
            ("average_precision",): metrics.average_precision(**resampled),
            ("brier",): metrics.brier(**resampled),
            ("brier_skill",): metrics.brier_skill(**resampled),
            ("recall_at_flag",): capacity["recall"],
            ("precision",): capacity["ppv"],
            ("accuracy",): capacity["accuracy"],
            ("f1",): capacity["f1"],
            ("baseline_auroc", "lace"): metrics.auroc(labels=resampled["labels"], scores=lace),
            ("groups", "gender", "Female", "auroc"): metrics.auroc(
                labels=resampled["labels"][female], scores=resampled["scores"][female]
            ),
        }
        assert {key: found[key][r] for key in expected} == pytest.approx(expected)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    """Outcomes repeat within patients, so an interval that ignored the patient would be too narrow."""
    generator = np.random.default_rng(12)
    # With normal scores one standard deviation apart the true AUROC is Phi(1 / sqrt 2).
    truth, covered, repetitions = 0.7602499, 0, 120
    for repetition in range(repetitions):
        labels_of_patient = (generator.random(150) < 0.3).astype(int)
        score_of_patient = generator.normal(labels_of_patient.astype(float), 1)
        codes = np.repeat(np.arange(150), 3)
        ranking = rank_rows(labels=labels_of_patient[codes], scores=score_of_patient[codes], columns=codes)

        def area(counts, ranking=ranking):
            return {("auroc",): auroc_of(accumulate(ranking=ranking, weights=counts))}

        found = bootstrap.bootstrap(area, clusters=150, rows=450, replicates=200, seed=repetition)[("auroc",)]
        covered += found.low <= truth <= found.high
    assert 0.87 <= covered / repetitions <= 0.995


def test_a_statistic_that_is_mostly_undefined_has_no_interval():
    values = np.array([0.5] * 80 + [np.nan] * 20)
    assert np.isnan(bootstrap.percentile_interval(values)).all()
    assert np.isnan(bootstrap.percentile_interval(np.zeros(0))).all()
    low, high = bootstrap.percentile_interval(np.append(np.linspace(0, 1, 95), [np.nan] * 5))
    assert (low, high) == pytest.approx((0.025, 0.975))


def test_a_single_patient_has_a_value_but_no_interval():
    def constant(counts):
        return {("figure",): np.ones(len(counts))}

    found = bootstrap.bootstrap(partial(constant), clusters=1, rows=5, replicates=10, seed=0)[("figure",)]
    assert found.value == 1
    assert np.isnan([found.low, found.high]).all()
