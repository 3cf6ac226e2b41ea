"""The automatic rollback: a version whose days fail goes back to an approved one, where the environment allows it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from readmission_platform.config.environment import settings
from readmission_platform.storage.tables import ACCOUNTING, PREDICTIONS
from readmission_platform_tests.automation.test_sensors import sensor_of
from readmission_platform_tests.support.homes import Home
from readmission_platform_tests.support.rollouts import rolled_out_by

SENSOR = "automatic_rollback_sensor"
DAYS = [f"2026-03-{day:02d}" for day in range(1, 9)]
ROWS = 27


def _said(home: Home) -> Any:
    with sensor_of(home, SENSOR) as tick:
        return tick()


def _scored(home: Home, *, withheld: float = 0.0, shift: float = 0.0, lost: int = 0, days: int = len(DAYS)) -> None:
    """Have version 2 score days as it did in the shadow, but for what is said here."""
    lake = home.lake
    random, count = np.random.default_rng(3), ROWS * days
    shadow = lake.read("shadow_predictions")["risk"].dropna()
    like = lake.read(PREDICTIONS)
    rows = like.sample(count, replace=True, random_state=1).reset_index(drop=True).assign(
        risk=np.clip(random.permutation(np.resize(shadow, count)) + shift * shadow.std(), 0, 1),
        status="scored", model_version="2", scored_at="2099-01-01T00:00:00+00:00",
    )  # fmt: skip
    held = random.random(count) < withheld
    rows.loc[held, "risk"] = np.nan
    rows.loc[held, "status"] = "withheld"
    rows[lake.day] = np.repeat(DAYS[:days], ROWS)
    rows[lake.row] = np.arange(count) + 90_000_000
    accounted = lake.read(ACCOUNTING).head(1)
    accounting = pd.concat([accounted] * days, ignore_index=True).assign(accepted=ROWS + lost)
    accounting[lake.day] = DAYS[:days]
    lake.write(PREDICTIONS, rows, partition=(lake.day, DAYS[:days]))
    lake.write(ACCOUNTING, accounting, partition=(lake.day, DAYS[:days]))


@pytest.fixture
def replaced(succeeded_home: Home, changing: Callable[[Home], Home]) -> Home:
    return changing(succeeded_home)


def test_days_that_are_as_in_the_shadow_keep_the_version(replaced: Home):
    _scored(replaced)
    said = _said(replaced)
    assert isinstance(said, dg.SkipReason)
    assert "are fine" in said.skip_message


@pytest.mark.parametrize(
    ("figures", "why"),
    [({"withheld": 0.6}, "withheld"), ({"shift": 1.0}, "risks shifted"), ({"lost": 10}, "not answered")],
)
def test_days_that_fail_have_the_version_taken_back(replaced: Home, figures: dict[str, Any], why: str):
    _scored(replaced, **figures)
    first, second = _said(replaced), _said(replaced)
    assert isinstance(first, dg.RunRequest)
    assert first.run_key == second.run_key
    asked = first.run_config["ops"]["roll_back_production"]["config"]
    assert asked["to_version"] == "1"
    assert asked["reason"].startswith("by policy")
    assert why in asked["reason"]


def test_the_run_it_asks_for_brings_the_former_version_back_and_nothing_goes_further_back(replaced: Home):
    from readmission_platform.definitions import build_definitions

    _scored(replaced, withheld=0.6)
    asked = _said(replaced)
    with replaced.instance() as instance:
        job = build_definitions(settings()).resolve_job_def("rollback_job")
        assert job.execute_in_process(run_config=asked.run_config, instance=instance).success
    assert replaced.stages["production"] == "1"
    assert isinstance(_said(replaced), dg.SkipReason)


def test_a_few_rows_are_not_judged(replaced: Home):
    _scored(replaced, withheld=1.0, days=2)
    said = _said(replaced)
    assert isinstance(said, dg.SkipReason)
    assert "not scored enough" in said.skip_message


def test_a_first_version_has_nothing_to_go_back_to(lived_home: Home):
    said = _said(lived_home)
    assert isinstance(said, dg.SkipReason)
    assert "approved one before" in said.skip_message


def test_where_the_environment_does_not_allow_it_nothing_is_asked_for(replaced: Home, tmp_path: Path):
    def forbid(rollouts: dict[str, Any]) -> None:
        rollouts["automatic_rollback"]["allowed"] = False

    _scored(replaced, withheld=0.6)
    said = _said(replaced.having(READMISSION_CONFIGS=rolled_out_by(tmp_path, forbid)))
    assert isinstance(said, dg.SkipReason)
    assert "does not allow" in said.skip_message
