"""What every asset may know of the project: settings, configuration, secret key, code version, the ledger.

What belongs here: handing these to assets as Dagster resources, so that a test can replace them.
What does not: reading environment variables or files of ``configs/``; ``config`` alone does that.
"""

import hashlib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg

from readmission_platform import __version__
from readmission_platform.config.alerts import AlertsConfig
from readmission_platform.config.environment import PROJECT_ROOT, Settings
from readmission_platform.config.files import (
    alerts_config,
    change_plan_config,
    environment_config,
    gate_policy,
    model_config,
    monitoring_config,
    roles_config,
)
from readmission_platform.config.governance import EnvironmentConfig
from readmission_platform.config.model import ModelConfig
from readmission_platform.config.monitoring import MonitoringConfig
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.policy.adoption import PolicyInForce, ensure_adopted
from readmission_platform.governance.policy.required import required_gates
from readmission_platform.models.readmission_30d.evidence import SCHEMA
from readmission_platform.operations.database import Operations
from readmission_platform.storage.home import pseudonym_key


class ProjectResource(dg.ConfigurableResource[Any]):
    """Settings and configuration of this environment, and its ledger."""

    environment: str
    home: str
    configs: str
    actor: str
    ledger_url: str
    operations_url: str | None = None

    @classmethod
    def of(cls, settings: Settings) -> "ProjectResource":
        """Build the resource from settings."""
        return cls(
            environment=settings.environment,
            home=str(settings.home),
            configs=str(settings.configs),
            actor=settings.actor,
            ledger_url=settings.ledger_database,
            operations_url=settings.operations_url,
        )

    @property
    def settings(self) -> Settings:
        """The settings the resource was built from."""
        return Settings(
            environment=self.environment,  # type: ignore[arg-type]  # validated by the model itself
            home=Path(self.home),
            configs=Path(self.configs),
            actor=self.actor,
            ledger_url=self.ledger_url,
            operations_url=self.operations_url,
        )

    @property
    def model(self) -> ModelConfig:
        """``configs/model.yaml``."""
        return model_config(self.settings)

    @property
    def monitoring(self) -> MonitoringConfig:
        """``configs/monitoring.yaml``."""
        return monitoring_config(self.settings)

    @property
    def alerts(self) -> AlertsConfig:
        """``configs/alerts.yaml``."""
        return alerts_config(self.settings)

    @property
    def environment_rules(self) -> EnvironmentConfig:
        """``configs/environments/<name>.yaml``."""
        return environment_config(self.settings)

    @property
    def pseudonym_key(self) -> bytes:
        """The secret that pseudonyms are keyed with."""
        return pseudonym_key(self.settings)

    @property
    def code_version(self) -> str:
        """The commit of the checkout, or the digest of the installed sources."""
        return self.settings.code_version or _code_version()

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """Open the ledger of the model."""
        with Ledger(self.ledger_url, model=self.model.name) as ledger:
            yield ledger

    @contextmanager
    def operations(self) -> Iterator[Operations]:
        """Open the database of what the platform observed of itself."""
        with Operations(self.settings.operations_database) as operations:
            yield operations

    def policy_in_force(self, ledger: Ledger) -> PolicyInForce:
        """Return the gate policy in force; ``local`` adopts policy, plan and roles of ``configs/`` on first use."""
        settings = self.settings
        return ensure_adopted(
            ledger,
            policy=gate_policy(settings),
            plan=change_plan_config(settings),
            roles=roles_config(settings),
            required=required_gates(SCHEMA),
            environment=self.environment_rules,
            keys=settings.keys,
        )


@cache
def _code_version() -> str:
    if (PROJECT_ROOT / ".git").exists():
        command = [
            "git",
            "-C",
            str(PROJECT_ROOT),
            "describe",
            "--always",
            "--abbrev=40",
            "--dirty",
            "--match=-",
        ]
        described = subprocess.run(command, capture_output=True, text=True, check=False)
        if described.returncode == 0:
            return described.stdout.strip()
    running = hashlib.sha256()
    for source in sorted((PROJECT_ROOT / "readmission_platform").rglob("*.py")):
        running.update(source.read_bytes())
    return f"{__version__}+{running.hexdigest()[:12]}"
