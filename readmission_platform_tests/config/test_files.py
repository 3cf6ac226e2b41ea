"""The files of ``configs/``: each says one thing, and what is wrong with one is said in a line."""

import shutil
from pathlib import Path

import pytest

from readmission_platform.config.environment import PROJECT_ROOT, Settings
from readmission_platform.config.files import (
    alerts_config,
    change_plan_config,
    environment_config,
    evaluation_config,
    gate_policy,
    model_card_config,
    model_config,
    monitoring_config,
    read_yaml,
    roles_config,
)
from readmission_platform.config.governance import AdditionalGates
from readmission_platform.config.models import all_models
from readmission_platform.foundation.values import ConfigurationError
from readmission_platform_tests.support.homes import MODEL

OF_A_MODEL = {
    "gates": gate_policy,
    "change_plan": change_plan_config,
    "model": model_config,
    "model_card": model_card_config,
    "monitoring": monitoring_config,
}
OF_ALL = {
    "alerts.yaml": alerts_config,
    "roles.yaml": roles_config,
    "environments/local.yaml": environment_config,
}


@pytest.fixture
def current(tmp_path: Path) -> Settings:
    shutil.copytree(PROJECT_ROOT / "configs", tmp_path / "configs")
    return Settings(home=tmp_path / "home", configs=tmp_path / "configs")


def say_twice(file: Path) -> str:
    """Repeat the first block of a file at its end, and return the name that stands twice now."""
    text = file.read_text(encoding="utf-8")
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line[:1].isalpha())
    end = next((number for number in range(start + 1, len(lines)) if lines[number][:1].isalpha()), len(lines))
    file.write_text("\n".join([*lines, *lines[start:end], ""]), encoding="utf-8")
    return lines[start].split(":")[0]


@pytest.mark.parametrize("file", OF_A_MODEL)
def test_a_file_of_a_model_in_which_something_stands_twice_is_refused(current: Settings, file: str):
    twice = say_twice(current.configs / "models" / MODEL / f"{file}.yaml")
    with pytest.raises(ConfigurationError, match=rf"{file}\.yaml: line \d+: {twice} appears twice"):
        OF_A_MODEL[file](current, MODEL)


@pytest.mark.parametrize("file", OF_ALL)
def test_a_file_of_the_environment_in_which_something_stands_twice_is_refused(current: Settings, file: str):
    twice = say_twice(current.configs / file)
    with pytest.raises(ConfigurationError, match=rf"line \d+: {twice} appears twice"):
        OF_ALL[file](current)


def test_a_models_own_file_in_which_something_stands_twice_is_refused(current: Settings):
    say_twice(current.configs / "models" / MODEL / "defs.yaml")
    assert "appears twice" in all_models(current).broken[MODEL]


def test_a_gate_that_stands_twice_is_refused_wherever_it_stands(current: Settings, tmp_path: Path):
    policy = current.configs / "models" / MODEL / "gates.yaml"
    looser = "  discrimination_auroc:\n    limits: {real: {at_least: 0.55}}\n"
    policy.write_text(policy.read_text(encoding="utf-8") + looser, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="discrimination_auroc appears twice"):
        gate_policy(current, MODEL)
    asked = tmp_path / "asked.yaml"
    asked.write_text("gates: {discrimination_auroc: {at_least: 0.6}, discrimination_auroc: {at_least: 0.5}}")
    with pytest.raises(ConfigurationError, match="discrimination_auroc appears twice"):
        read_yaml(asked, AdditionalGates)


def test_risk_bands_are_in_the_order_of_their_risks_however_they_are_written(current: Settings):
    shipped = evaluation_config(current, MODEL)
    shuffled = type(shipped).model_validate(shipped.model_dump() | {"risk_bands": {"high": 0.2, "low": 0.0}})
    assert list(shipped.risk_bands) == ["low", "medium", "high", "very_high"]
    assert list(shuffled.risk_bands) == ["low", "high"]
