"""Drift monitoring on a small synthetic cohort: quiet where nothing happened, loud where something did.

The whole measurement, on real data, is `python -m readmission_platform_tests.benchmarks.drift_power`.
"""

import numpy as np
import pytest

from readmission_platform.config.environment import settings
from readmission_platform.config.files import model_config, monitoring_config
from readmission_platform_tests.benchmarks.drift_power import (
    ALARMS_ALLOWED,
    DAMAGES,
    SHIFTS,
    Bench,
    alarms,
    disturbed,
    make_bench,
    undisturbed,
)
from readmission_platform_tests.support.homes import MODEL
from readmission_platform_tests.support.small_study import make_small_study

ALWAYS_WATCHED = "number_inpatient"
EVERY = {**DAMAGES, **SHIFTS}
TRIED = 5


@pytest.fixture(scope="module")
def bench() -> Bench:
    study = make_small_study(encounters=9000, seed=4)
    return make_bench(
        study.raw, "synthetic", model_config(settings(), MODEL), monitoring_config(settings(), MODEL).drift, seed=4
    )


def test_windows_to_which_nothing_happened_raise_no_alarm(bench: Bench):
    rows = undisturbed(bench, np.random.default_rng(5), windows=10)
    assert len(alarms(rows, bench.limits)) <= ALARMS_ALLOWED


def test_a_shift_of_a_watched_column_raises_the_alarm_within_three_windows(bench: Bench):
    draw = np.random.default_rng(6)
    # What a version relies on differs from training to training.
    watched = [name for name in EVERY if name.partition(":")[0] in bench.columns][:TRIED]
    sequences = {name: disturbed(bench, EVERY[name], draw, repetitions=1)[0] for name in watched}
    assert len(sequences) == TRIED
    assert not [name for name, rows in sequences.items() if not alarms(rows, bench.limits)]


def test_what_a_model_for_readmissions_relies_on_is_watched(bench: Bench):
    assert ALWAYS_WATCHED in bench.columns
