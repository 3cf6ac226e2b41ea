"""The platform of one environment, and the workspace of each of its models.

What belongs here: putting settings, configuration, contract, ledger, lake, landing zone and registry of a model within
reach of whoever works on it. What does not: reading environment variables or files (``config`` does), and anything that
is done with a model.

Neither can be configured from a run: who acts and which rules hold is a matter of the process and its environment.
"""

import hashlib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path

from readmission_platform import __version__
from readmission_platform.config.alerts import AlertsConfig
from readmission_platform.config.environment import PROJECT_ROOT, Settings
from readmission_platform.config.files import (
    alerts_config,
    environment_config,
    model_config,
    monitoring_config,
    promotion_rules,
)
from readmission_platform.config.governance import EnvironmentConfig, LimitSet, PromotionRules
from readmission_platform.config.model import ModelConfig
from readmission_platform.config.models import ModelEntry, models_in_use
from readmission_platform.config.monitoring import MonitoringConfig
from readmission_platform.evaluation.words import Wording
from readmission_platform.foundation.values import ConfigurationError
from readmission_platform.governance.ledger.binding import LOCAL
from readmission_platform.governance.ledger.chain import ENVIRONMENT
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.policy.adoption import PolicyInForce, ensure_adopted, in_force_by
from readmission_platform.governance.policy.required import RequiredGates, required_gates
from readmission_platform.lifecycle.installation import open_ledger
from readmission_platform.lifecycle.proposals import proposed
from readmission_platform.lifecycle.records import ModelRecords
from readmission_platform.models.contract import LandingFolders, ModelContract
from readmission_platform.operations.database import Operations
from readmission_platform.operations.names import ModelNames
from readmission_platform.storage.home import installation_of, pseudonym_key
from readmission_platform.storage.landing import Landing
from readmission_platform.storage.registry import OPERATIONS, Registry
from readmission_platform.storage.tables import ModelLake


class Platform:
    """One environment: its settings, its rules and its models.

    Attributes
    ----------
    broken
        Models in use without a workspace, because their ``defs.yaml`` or contract is wrong, and what is wrong.

    Raises
    ------
    ConfigurationError
        When no model in use has a workspace, or two of them would read the same landing folder unasked.
    Refused
        When the home belongs to another environment.
    """

    def __init__(self, settings: Settings) -> None:
        installation_of(settings)
        self.settings = settings
        in_use = models_in_use(settings)
        self._entries, self.broken = in_use.entries, in_use.broken
        self._workspaces: dict[str, Workspace] = {}
        for name, entry in self._entries.items():
            try:
                self._workspaces[name] = Workspace(self, entry)
            except ConfigurationError as error:
                self.broken[name] = str(error)
        if not self._workspaces:
            raise ConfigurationError("; ".join(self.broken.values()))
        check_landing({name: workspace.contract.landing for name, workspace in self._workspaces.items()})

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models in use, those that are broken too."""
        return (*self._workspaces, *self.broken)

    @property
    def workspaces(self) -> tuple["Workspace", ...]:
        """The workspace of every model in use that has one."""
        return tuple(self._workspaces.values())

    def model(self, name: str) -> "Workspace":
        """Return the workspace of a model.

        Raises
        ------
        ConfigurationError
            When the model is not in use, and which are; or what is wrong with it.
        """
        if name in self.broken:
            raise ConfigurationError(self.broken[name])
        if name not in self._workspaces:
            raise ConfigurationError(f"there is no model {name} here; there are {', '.join(self.models)}")
        return self._workspaces[name]

    @property
    def names(self) -> ModelNames:
        """Which model an asset, a job, a sensor or a schedule belongs to."""
        return ModelNames({name: entry.prefix for name, entry in self._entries.items()})

    @property
    def environment(self) -> str:
        """Name of the environment."""
        return self.settings.environment

    @property
    def actor(self) -> str:
        """Who acts, as recorded in the ledger."""
        return self.settings.actor

    @property
    def rules(self) -> EnvironmentConfig:
        """``configs/environments/<name>.yaml``."""
        return environment_config(self.settings)

    @property
    def has_demo_approver(self) -> bool:
        """Whether there is a demo approver to ask: where the rules have one, and in ``local`` only."""
        return self.rules.demo_approver and self.environment == LOCAL

    @property
    def alerts(self) -> AlertsConfig:
        """``configs/alerts.yaml``."""
        return alerts_config(self.settings)

    @property
    def pseudonym_key(self) -> bytes:
        """The secret that pseudonyms are keyed with."""
        return pseudonym_key(self.settings)

    @property
    def code_version(self) -> str:
        """The commit of the checkout, or the digest of the installed sources."""
        return self.settings.code_version or _code_version()

    @contextmanager
    def ledger(self, model: str | None = None) -> Iterator[Ledger]:
        """Open the ledger at the events of a model, or at what belongs to the environment, whichever models it has."""
        with open_ledger(self.settings, model or ENVIRONMENT) as ledger:
            yield ledger

    @contextmanager
    def operations(self) -> Iterator[Operations]:
        """Open the database of what the platform observed of itself."""
        with Operations(self.settings.operations_database) as operations:
            yield operations

    def registry(self, name: str) -> Registry:
        """Return the experiment and registered model of this name: a model's, or that of its operations."""
        entry = self._entries.get(name.removesuffix(OPERATIONS))
        tags = {"owner": entry.owner, "cost_center": entry.cost_center} if entry else {}
        return Registry(self.settings.mlflow_database, self.settings.mlflow_artifacts, name, tags)


class Workspace(ModelRecords):
    """All that belongs to one model in one environment.

    Raises
    ------
    ConfigurationError
        When the package that ``defs.yaml`` names has no contract.
    """

    def __init__(self, platform: Platform, entry: ModelEntry) -> None:
        super().__init__(platform.settings, entry)
        self.platform = platform
        self.contract = contract_of(entry.contract)

    @property
    def actor(self) -> str:
        """Who acts, as recorded in the ledger."""
        return self.platform.actor

    @property
    def pseudonym_key(self) -> bytes:
        """The secret that pseudonyms are keyed with."""
        return self.platform.pseudonym_key

    @property
    def code_version(self) -> str:
        """The commit of the checkout, or the digest of the installed sources."""
        return self.platform.code_version

    @property
    def config(self) -> ModelConfig:
        """How the model is evaluated, by what is in force (before anything is, by ``model.yaml``), and its settings."""
        written = model_config(self.settings, self.name)
        with self.ledger() as ledger:
            adopted = in_force_by(ledger, "evaluation_adopted").evaluation
        return written.model_copy(update=dict(adopted.content)) if adopted else written

    @property
    def monitoring(self) -> MonitoringConfig:
        """What counts as drift, as worse and as missing: the limits in force; before any are, ``monitoring.yaml``."""
        with self.ledger() as ledger:
            adopted = in_force_by(ledger, "monitoring_adopted").monitoring
        return adopted.content if adopted else monitoring_config(self.settings, self.name)

    @property
    def promotion_rules(self) -> PromotionRules:
        """What the environment asks of promotions: the rules in force; before any are, those of ``configs/``."""
        with self.ledger() as ledger:
            adopted = in_force_by(ledger, "promotion_rules_adopted").promotion_rules
        return adopted.content if adopted else promotion_rules(self.settings)

    @property
    def required(self) -> RequiredGates:
        """The gates that every policy of the model must have."""
        return required_gates(self.contract.evidence)

    def limits_of(self, source: str | None) -> LimitSet | None:
        """Return which limits go with a source of the model; None for one that the model does not have."""
        found = self.contract.sources.get(source or "")
        return found.limits if found else None

    @property
    def wording(self) -> Wording:
        """How the model's metrics, subgroups and rows are called."""
        return Wording(self.contract.words, self.contract.evidence, self.config.flag_share, self.config.wide_flag_share)

    @property
    def lake(self) -> ModelLake:
        """The tables of the model."""
        return ModelLake(self.settings.lake / self.name, self.contract)

    @property
    def landing(self) -> Landing:
        """The landing zone, at the folders of the model."""
        return Landing(self.settings.landing, self.contract.landing)

    @property
    def reports(self) -> Path:
        """Folder of the model's reports."""
        return self.settings.reports / self.name

    @property
    def registry(self) -> Registry:
        """The model's experiment and registered versions."""
        return self.platform.registry(self.name)

    def policy_in_force(self, ledger: Ledger) -> PolicyInForce:
        """Return the gate policy in force; ``local`` adopts what ``configs/`` holds on first use."""
        settings = self.settings
        return ensure_adopted(
            ledger,
            contents=proposed(settings, self.name),
            required=self.required,
            environment=self.rules,
            keys=settings.keys,
        )


def contract_of(package: str) -> ModelContract:
    """Return the contract of a package.

    Raises
    ------
    ConfigurationError
        When it cannot be imported, or has none.
    """
    try:
        contract = getattr(import_module(package), "CONTRACT", None)
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"{package}: cannot be imported ({error.name} is not there)") from error
    except Exception as error:  # whatever the package of a model raises must not stop the other models
        raise ConfigurationError(f"{package}: cannot be imported ({type(error).__name__}: {error})") from error
    if not isinstance(contract, ModelContract):
        raise ConfigurationError(f"{package}: has no CONTRACT (see models/contract.py)")
    return contract


def check_landing(folders: dict[str, LandingFolders]) -> None:
    """Check that no two models read the same landing folder, unless both say that they share it.

    Raises
    ------
    ConfigurationError
        Naming both models and the folder.
    """
    readers: dict[str, str] = {}
    for model, own in folders.items():
        for folder in (own.rows, own.outcomes):
            other = readers.setdefault(folder, model)
            if other != model and not (own.shared and folders[other].shared):
                raise ConfigurationError(f"the models {other} and {model} both read landing/{folder}: give one of them "
                                         "another folder, or let both say that it is shared")  # fmt: skip


@cache
def _code_version() -> str:
    if (PROJECT_ROOT / ".git").exists():
        command = ["git", "-C", str(PROJECT_ROOT), "describe", "--always", "--abbrev=40", "--dirty", "--match=-"]
        described = subprocess.run(command, capture_output=True, text=True, check=False)
        if described.returncode == 0:
            return described.stdout.strip()
    running = hashlib.sha256()
    for source in sorted((PROJECT_ROOT / "readmission_platform").rglob("*.py")):
        running.update(source.read_bytes())
    return f"{__version__}+{running.hexdigest()[:12]}"
