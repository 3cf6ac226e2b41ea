"""Reading the files of ``configs/``; with ``environment`` the only place that knows where they and secrets are."""

import os
from collections.abc import Hashable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from readmission_platform.config.alerts import AlertsConfig, AppriseChannel
from readmission_platform.config.change_plan import ChangePlan
from readmission_platform.config.environment import Settings
from readmission_platform.config.governance import EnvironmentConfig, GatePolicy, PromotionRules, RolesConfig
from readmission_platform.config.model import EvaluationConfig, ModelConfig
from readmission_platform.config.model_card import ModelCardConfig
from readmission_platform.config.monitoring import MonitoringConfig
from readmission_platform.config.serving import ServingConfig
from readmission_platform.foundation.values import ConfigurationError

ConfigModel = TypeVar("ConfigModel", bound=BaseModel)


# The loader in C takes a tenth of the time; sensors read these files at every tick.
class _OneMeaning(yaml.CSafeLoader):
    """Reads plain YAML in which no key stands twice: of two, a reader sees the first and YAML takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for name, _ in node.value:
            key = self.construct_object(name, deep=True)
            if isinstance(key, Hashable) and key in seen:
                raise _TwiceError(f"line {name.start_mark.line + 1}: {key} appears twice")
            seen |= {key} if isinstance(key, Hashable) else set()
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


class _TwiceError(yaml.YAMLError):
    """A key that stands twice in one mapping."""


def read_yaml(path: Path, model: type[ConfigModel]) -> ConfigModel:
    """Read and validate one configuration file.

    Raises
    ------
    ConfigurationError
        In one line: the file, the field and what is wrong with it.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_OneMeaning)  # noqa: S506 - it is a safe one
    except FileNotFoundError as error:
        raise ConfigurationError(f"{path}: no such file") from error
    except _TwiceError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path}: cannot be read as YAML ({type(error).__name__})") from error
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ConfigurationError(f"{path}: {where}: {first['msg']}") from error


def environment_config(current: Settings) -> EnvironmentConfig:
    """Read what is particular to the current environment."""
    return read_yaml(current.configs / "environments" / f"{current.environment}.yaml", EnvironmentConfig)


def promotion_rules(current: Settings) -> PromotionRules:
    """Read what the environment asks of promotions as it stands in the checkout (which need not be in force)."""
    return environment_config(current).promotion


def model_config(current: Settings, model: str) -> ModelConfig:
    """Read how a model is evaluated, and how its scores are used, with the settings of its estimator."""
    return read_yaml(_of_model(current, model, "model"), ModelConfig)


def evaluation_config(current: Settings, model: str) -> EvaluationConfig:
    """Read how a model is evaluated as it stands in the checkout (which need not be in force)."""
    return EvaluationConfig(**{name: value for name, value in model_config(current, model) if name != "settings"})


def model_card_config(current: Settings, model: str) -> ModelCardConfig:
    """Read what a model's card says beside its figures, and the standards it answers."""
    return read_yaml(_of_model(current, model, "model_card"), ModelCardConfig)


def monitoring_config(current: Settings, model: str) -> MonitoringConfig:
    """Read what is watched after a model went live."""
    return read_yaml(_of_model(current, model, "monitoring"), MonitoringConfig)


def gate_policy(current: Settings, model: str) -> GatePolicy:
    """Read a model's gate policy as it stands in the checkout (which need not be the one in force)."""
    return read_yaml(_of_model(current, model, "gates"), GatePolicy)


def change_plan_config(current: Settings, model: str) -> ChangePlan:
    """Read a model's change plan as it stands in the checkout (which need not be the one in force)."""
    return read_yaml(_of_model(current, model, "change_plan"), ChangePlan)


def check_files(current: Settings, model: str) -> None:
    """Read every file of a model; raises ``ConfigurationError`` for the first that is wrong."""
    for read in (model_config, gate_policy, change_plan_config, monitoring_config, model_card_config):
        read(current, model)


def _of_model(current: Settings, model: str, file: str) -> Path:
    return current.configs / "models" / model / f"{file}.yaml"


def alerts_config(current: Settings) -> AlertsConfig:
    """Read who is told of what."""
    return read_yaml(current.configs / "alerts.yaml", AlertsConfig)


def serving_config(current: Settings) -> ServingConfig:
    """Read how much the service takes on at once."""
    return read_yaml(current.configs / "serving.yaml", ServingConfig)


def channel_url(channel: AppriseChannel) -> str | None:
    """Return the secret URL of a channel, or None where its variable is not set."""
    return os.environ.get(channel.url_variable) or None


def roles_config(current: Settings) -> RolesConfig:
    """Read roles and people as they stand in the checkout (which need not be those in force)."""
    return read_yaml(current.configs / "roles.yaml", RolesConfig)
