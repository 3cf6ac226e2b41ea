"""Speed of observing, beside the smallest run there is: one asset without any work, in the same process.

Measured beside each other, because a busy machine slows both down.
"""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from readmission_platform.automation.observation import observe_launched
from readmission_platform.config.environment import settings
from readmission_platform.lifecycle.workspace import Platform
from readmission_platform_tests.support.homes import Home
from readmission_platform_tests.support.watched import Watched, watched_home

ROUNDS = 9


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Watched]:
    """A home with Dagster's storage in it, whose databases are made."""
    home = Home.new(tmp_path / "home")
    home.aliases()
    with watched_home(home) as opened:
        opened.materialize()
        opened.observe(now=datetime.now(UTC))
        yield opened


def seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = call()
    return time.perf_counter() - began, result


def test_a_command_waits_for_the_observation_of_its_run_at_most_half_as_long_as_for_the_smallest_run(
    installed: Watched,
):
    platform = Platform(settings())
    runs, observations = [], []
    for _ in range(ROUNDS):
        ran, run_id = seconds(installed.materialize)
        took, observed = seconds(
            lambda run_id=run_id: observe_launched(installed.instance, [run_id], platform=platform)
        )
        assert observed.runs == 1
        runs.append(ran)
        observations.append(took)
    assert median(observations) < median(runs) / 2


def test_a_tick_without_news_takes_at_most_a_quarter_of_the_smallest_run(installed: Watched):
    began = datetime.now(UTC)
    runs = [seconds(installed.materialize)[0] for _ in range(ROUNDS)]
    installed.observe(now=began)
    ticks = []
    for second in range(ROUNDS):
        took, observed = seconds(lambda second=second: installed.observe(now=began + timedelta(seconds=second + 1)))
        assert observed.runs == 0
        ticks.append(took)
    assert median(ticks) < median(runs) / 4
