"""Speed of the patient-cluster bootstrap: 500 replicates on 20,000 rows in about a second."""

from functools import partial

import numpy as np
import pytest

from readmission_platform.evaluation.estimates.bootstrap import Counts, Key, bootstrap
from readmission_platform.evaluation.estimates.calibration import (
    observed_expected_of,
    recalibrate,
    recalibration_groups,
)
from readmission_platform.evaluation.estimates.metrics import capacity_of
from readmission_platform.evaluation.estimates.ranking import (
    FloatArray,
    Ranking,
    accumulate,
    auroc_of,
    average_precision_of,
    flag_at_share,
    grouped_by_place,
    rank_rows,
    ratio,
    squared_errors,
    weighted_sum,
)

ROWS, PATIENTS, REPLICATES = 20_000, 14_000, 500


def core_metrics(ranking: Ranking, counts: Counts) -> dict[Key, FloatArray]:
    """AUROC, average precision, Brier, observed/expected, slope, and recall at the flag."""
    running = accumulate(ranking=ranking, weights=counts)
    edges, logits = recalibration_groups(ranking)
    total, positive = grouped_by_place(running, edges=edges)
    return {
        ("auroc",): auroc_of(running),
        ("average_precision",): average_precision_of(running),
        ("brier",): ratio(weighted_sum(running, values=squared_errors(ranking)), running.total),
        ("observed_expected",): observed_expected_of(running),
        ("calibration_slope",): recalibrate(x=logits, total=total, positive=positive).slope,
        ("recall",): capacity_of(running, flag=flag_at_share(running, share=0.1)).recall,
    }


@pytest.mark.benchmark(group="bootstrap")
def test_500_replicates_of_the_core_metrics_on_20000_rows(benchmark):
    generator = np.random.default_rng(0)
    codes = generator.integers(0, PATIENTS, size=ROWS)
    scores = 1 / (1 + np.exp(-generator.normal(-2.25, 0.6, size=ROWS)))
    labels = (generator.random(ROWS) < scores).astype(np.int64)
    ranking = rank_rows(labels=labels, scores=scores, columns=codes)
    run = partial(
        bootstrap, partial(core_metrics, ranking), clusters=PATIENTS, rows=ROWS, replicates=REPLICATES, seed=1
    )
    found = benchmark.pedantic(run, rounds=3, warmup_rounds=1)
    assert found[("auroc",)].low < found[("auroc",)].value < found[("auroc",)].high
