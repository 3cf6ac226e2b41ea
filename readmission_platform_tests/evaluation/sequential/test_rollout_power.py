"""A small edition of `python -m readmission_platform_tests.benchmarks.rollout_power`, which has the figures."""

import json

import numpy as np
import pytest

from readmission_platform_tests.benchmarks import rollout_power
from readmission_platform_tests.benchmarks.rollout_power import (
    AB_SCENARIOS,
    LIMITS,
    REQUESTS,
    SCENARIOS,
    loud,
    matured,
    quiet,
)


def test_canaries_without_a_difference_are_left_alone_where_a_repeated_z_test_is_not():
    found = quiet(200, np.random.default_rng(1))
    assert found.taken_back <= LIMITS.alpha
    assert found.repeated_z > 2 * LIMITS.alpha


@pytest.mark.parametrize("scenario", [each for each in SCENARIOS if each.found or each.median < np.inf])
def test_canaries_with_a_difference_are_found_in_time(scenario):
    # Fewer rounds than the benchmark: what lies just within the limits there is given three standard errors here.
    found = loud(scenario, 200, np.random.default_rng(2))
    assert found.found >= scenario.found - 0.046
    assert found.median <= min(scenario.median, REQUESTS)


@pytest.mark.parametrize("scenario", AB_SCENARIOS)
def test_planned_ab_roll_outs_hold_the_truth_and_find_it(scenario):
    assert matured(scenario, 100, np.random.default_rng(3)).holds


def test_the_report_says_what_holds(capsys: pytest.CaptureFixture[str]):
    code = rollout_power.main(["--rounds", "3", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["rounds"] == 3
    assert code == (0 if report["holds"] else 1)
    assert rollout_power.main(["--rounds", "3"]) == code
    assert "repeated" in capsys.readouterr().out
