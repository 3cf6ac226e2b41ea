"""Configurations of an installation with two models."""

import shutil
from pathlib import Path

import yaml

from readmission_platform.config.environment import PROJECT_ROOT
from readmission_platform_tests.support.homes import MODEL


def configs_of_two(folder: Path, name: str, *, prefix: str) -> Path:
    """Write the shipped configuration with a second model, which predicts the same from the same feed.

    Returns
    -------
    The folder of the configuration; it is written once.
    """
    configs = folder / f"configs_with_{name}"
    if not configs.exists():
        shutil.copytree(PROJECT_ROOT / "configs", configs)
        shutil.copytree(configs / "models" / MODEL, configs / "models" / name)
        file = configs / "models" / name / "defs.yaml"
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        content["attributes"]["prefix"] = prefix
        file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return configs
