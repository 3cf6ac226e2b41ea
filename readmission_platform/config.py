"""Typed, frozen settings: the only reader of ``configs/`` and of environment variables.

What belongs here: the shape of every configuration file, and where state lives.
What does not: deciding anything with these values; that is the business of the modules that receive them.
"""

import getpass
import hashlib
import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT_ROOT = Path(__file__).resolve().parents[1]

Environment = Literal["local", "staging", "production"]
GateStage = Literal["candidate", "staging", "production"]
LimitSet = Literal["real", "synthetic"]


class ConfigurationError(Exception):
    """A configuration file or environment variable is wrong; the message says which and how."""


class Frozen(BaseModel):
    """Base of every configuration model: immutable, and a misspelt key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Settings(BaseSettings):
    """Where state lives and which environment this is (environment variables ``READMISSION_*``)."""

    model_config = SettingsConfigDict(env_prefix="READMISSION_", frozen=True, extra="ignore")

    environment: Environment = "local"
    home: Path = PROJECT_ROOT / "var"
    configs: Path = PROJECT_ROOT / "configs"
    actor: str = Field(default_factory=getpass.getuser, description="Who acts, as recorded in the ledger.")
    ledger_url: str | None = None
    mlflow_url: str | None = None
    operations_url: str | None = None
    ui_url: str | None = Field(default=None, description="Address of the Dagster UI, for links in alerts.")
    code_version: str | None = Field(default=None, description="Set where the checkout's git is not at hand.")

    @model_validator(mode="after")
    def _home_is_absolute(self) -> "Settings":
        object.__setattr__(self, "home", self.home.expanduser().absolute())
        return self

    @property
    def lake(self) -> Path:
        """Folder of the Delta tables."""
        return self.home / "lake"

    @property
    def dagster_home(self) -> Path:
        """Folder of Dagster's own storage."""
        return self.home / "dagster"

    @property
    def landing(self) -> Path:
        """Folder where daily files arrive."""
        return self.home / "landing"

    @property
    def keys(self) -> Path:
        """Folder of secret keys (pseudonyms, demo signatures); readable by its owner only."""
        return self.home / "keys"

    @property
    def reports(self) -> Path:
        """Folder of generated reports."""
        return self.home / "reports"

    @property
    def ledger_database(self) -> str:
        """SQLAlchemy URL of the promotion ledger."""
        return self.ledger_url or f"sqlite:///{self.home / 'ledger.db'}"

    @property
    def mlflow_database(self) -> str:
        """MLflow tracking and registry URI."""
        return self.mlflow_url or f"sqlite:///{self.home / 'mlflow.db'}"

    @property
    def operations_database(self) -> str:
        """SQLAlchemy URL of what the platform observed of itself: runs, alerts, deliveries."""
        return self.operations_url or f"sqlite:///{self.home / 'operations.db'}"

    @property
    def mlflow_artifacts(self) -> Path:
        """Folder of MLflow's artifacts."""
        return self.home / "mlartifacts"


class EnvironmentConfig(Frozen):
    """``configs/environments/<name>.yaml``: what differs between environments."""

    allow_synthetic_in_production: bool
    demo_approver: bool
    adopt_policy_on_first_use: bool
    shadow_days_required: int = Field(ge=0)
    approvals_required: int = Field(ge=1)
    sensors_running: bool
    scoring_schedule_running: bool
    monitoring_schedule_running: bool
    retraining_running: bool
    timezone: str
    complete_by_hour: int = Field(ge=0, le=23, description="Local hour by which yesterday must be scored completely.")


class Limits(Frozen):
    """Limits on one estimate. ``between`` fails only when the whole 95 % interval lies outside."""

    at_least: float | None = None
    at_most: float | None = None
    lower_bound_at_least: float | None = None
    lower_bound_above: float | None = None
    upper_bound_at_most: float | None = None
    between: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "Limits":
        if not self.model_fields_set or all(getattr(self, name) is None for name in self.model_fields_set):
            raise ValueError("a gate needs at least one limit")
        return self


class GateRule(Frozen):
    """One gate: the metric it looks at, when it must hold, and its limits per kind of data."""

    stage: GateStage
    metric: str
    rule: str
    action: str
    why: str
    insufficient: Literal["blocks", "warns"] = "blocks"
    min_positives: int = Field(default=0, ge=0)
    max_interval_width: float | None = None
    limits: dict[LimitSet, Limits]
    enabled: bool = True


class GatePolicy(Frozen):
    """``configs/gates.yaml``: every gate by name, topic first."""

    gates: dict[str, GateRule]


class AdditionalGates(Frozen):
    """A file for ``train --gates``: limits asked for in addition to the policy, by gate name."""

    gates: dict[str, Limits]


class Person(Frozen):
    """Somebody who acts on models, with the public half of the signing key."""

    name: str
    roles: tuple[str, ...]
    public_key: str | None = None


class RolesConfig(Frozen):
    """``configs/roles.yaml``: what each role may do, and who holds it."""

    roles: dict[str, tuple[str, ...]]
    people: dict[str, Person] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _roles_exist(self) -> "RolesConfig":
        for identity, person in self.people.items():
            unknown = sorted(set(person.roles) - set(self.roles))
            if unknown:
                raise ValueError(f"{identity} has unknown role(s) {', '.join(unknown)}")
        return self


class BoostingConfig(Frozen):
    """Hyperparameters of the histogram gradient boosting."""

    learning_rate: float
    max_iter: int
    max_leaf_nodes: int
    min_samples_leaf: int
    l2_regularization: float
    max_features: float


class AgreementLimits(Frozen):
    """When the version in the shadow and the one in production differ enough to be looked at."""

    min_encounters: int = Field(ge=1, description="Fewer are shown and not judged.")
    max_mean_difference: float = Field(gt=0, description="Mean of shadow minus production risk, either way.")
    min_rank_correlation: float = Field(ge=-1, le=1)
    min_flagged_overlap: float = Field(ge=0, le=1)
    max_psi: float = Field(gt=0)
    psi_encounters: int = Field(ge=1, description="The stability index of fewer says nothing.")


class DriftConfig(Frozen):
    """How the encounters of today are compared with the training data of a version."""

    columns: int = Field(ge=1, description="How many of the model's most important input columns are compared.")
    reference_encounters: int = Field(ge=1000, description="Training encounters drawn for the comparison.")
    window_encounters: int = Field(ge=200, description="A window closes with the day on which it holds so many.")
    rare_category_share: float = Field(ge=0, lt=1, description="Rarer categories are compared as one.")
    column_score: float = Field(gt=0, description="Evidently's stability index from which a column has drifted.")
    risk_score: float = Field(gt=0, description="The same for the distribution of the predicted risks.")
    missing_difference: float = Field(gt=0, description="Difference of the share of missing values, either way.")
    unseen_share: float = Field(gt=0, description="Share of values that training never saw.")
    drifted_columns: int = Field(ge=1, description="A window has drifted when so many columns have.")
    alarm_windows: int = Field(ge=1, description="Alarm when so many ...")
    of_windows: int = Field(ge=1, description="... of the latest windows have drifted.")

    @model_validator(mode="after")
    def _an_alarm_is_possible(self) -> "DriftConfig":
        if self.alarm_windows > self.of_windows:
            raise ValueError("alarm_windows cannot be more than of_windows: there would never be an alarm")
        return self


class PerformanceConfig(Frozen):
    """When matured outcomes say that the model no longer does what validation promised."""

    days: int = Field(ge=30, description="Matured days that are judged together.")
    outcome_coverage: float = Field(gt=0, le=1, description="A day with fewer of its outcomes has not matured.")
    min_positives: int = Field(ge=10, description="Fewer readmissions are shown and not judged.")
    limits: dict[str, Limits] = Field(description="By measure, of everybody in the judged period.")


class RetrainingConfig(Frozen):
    """When training starts by itself; what comes of it is a candidate like any other."""

    cool_down_days: int = Field(ge=0, description="Days after the last training before an alarm may start another one.")
    weekly: str = Field(description="Cron expression of the regular training, in the environment's time zone.")


class GapConfig(Frozen):
    """How far back missing days are looked for."""

    lookback_days: int = Field(ge=7)
    days_per_run: int = Field(ge=1, description="A longer gap is filled in several runs.")


class MonitoringConfig(Frozen):
    """``configs/monitoring.yaml``: gaps, drift, live performance, retraining."""

    gaps: GapConfig
    drift: DriftConfig
    performance: PerformanceConfig
    retraining: RetrainingConfig


class ModelConfig(Frozen):
    """``configs/model.yaml``: the model, its evaluation, and how its scores are used."""

    name: str
    seed: int
    replay_share: float = Field(gt=0, lt=1)
    folds: int = Field(ge=2)
    flag_share: float = Field(gt=0, lt=1, description="Share of encounters the care team can follow up.")
    wide_flag_share: float = Field(gt=0, lt=1)
    decision_thresholds: tuple[float, ...]
    bootstrap_replicates: int = Field(ge=50)
    risk_bands: dict[str, float] = Field(description="Band name to its lowest risk, ascending.")
    min_encounters: int = Field(ge=1)
    plausible_prevalence: tuple[float, float]
    max_fold_prevalence_difference: float
    max_missing_fraction: dict[str, float] = Field(description="By column; a column not named may miss nothing.")
    daily_encounters: int = Field(ge=1, description="Encounters a simulated day in the replay holds.")
    shadow_agreement: AgreementLimits
    boosting: BoostingConfig


class FileChannel(Frozen):
    """Alerts as JSON lines in a file of the home."""

    kind: Literal["file"]
    path: str = Field(pattern=r"^[\w][\w.-]*(/[\w][\w.-]*)*$", description="Below the home.")


class AppriseChannel(Frozen):
    """Alerts to whatever Apprise reaches: Slack, mail, PagerDuty, Teams, a webhook."""

    kind: Literal["apprise"]
    url_variable: str = Field(
        pattern=r"^[A-Z][A-Z0-9_]*$", description="Environment variable that holds the URL, which is a secret."
    )


Channel = Annotated[FileChannel | AppriseChannel, Field(discriminator="kind")]
RuleKind = Literal["check", "run", "tick", "ledger", "service", "figure", "heartbeat"]
AlertSeverity = Literal["info", "warning", "critical"]
# What a rule can ask of each kind of observation; a rule on the ledger may also ask for any entry of an event.
MATCHED = {
    "check": {"asset", "check", "severity", "job"},
    "run": {"job", "cause", "trigger"},
    "tick": {"name", "type"},
    "service": {"service"},
}


class Recovery(Frozen):
    """What ends an alert about an event: a later event of the ledger, or a run of a job that succeeded."""

    ledger: str | None = None
    job: str | None = None


class AlertRule(Frozen):
    """One rule: what it is about, how bad that is, who is told, and what to do."""

    about: RuleKind
    match: dict[str, str | list[str]] = Field(default_factory=dict, description="Patterns (*, ?); all have to fit.")
    figure: str | None = None
    at_least: float | None = None
    at_most: float | None = None
    show_value: bool = Field(default=True, description="False where the figure would count a few people.")
    every_minutes: int | None = Field(default=None, ge=1)
    recovers: Recovery | None = None
    over_after_hours: float = Field(default=24, gt=0, description="An event without a recovery is over after this.")
    severity: AlertSeverity
    channels: tuple[str, ...]
    action: str
    why: str = ""
    repeat_after_hours: float | None = Field(default=None, gt=0)
    enabled: bool = True

    @model_validator(mode="after")
    def _is_complete(self) -> "AlertRule":
        limited = self.at_least is not None or self.at_most is not None
        if (self.about == "figure") != (self.figure is not None and limited):
            raise ValueError("a rule on a figure, and no other, names the figure and at_least or at_most")
        if (self.about == "heartbeat") != (self.every_minutes is not None):
            raise ValueError("a heartbeat, and no other rule, says every_minutes")
        unknown = sorted(set(self.match) - MATCHED.get(self.about, set()))
        if unknown and self.about != "ledger":
            raise ValueError(f"a rule on {self.about} cannot match {', '.join(unknown)}")
        return self


class AlertsConfig(Frozen):
    """``configs/alerts.yaml``: channels by name, and rules by name; of several that fit, the first one speaks."""

    old_hours: float = Field(ge=0, description="What ended this long before the first start is taken in silently.")
    limits_minutes: float = Field(ge=0, description="How often figures are compared with their limits.")
    channels: dict[str, Channel]
    rules: dict[str, AlertRule]

    @model_validator(mode="after")
    def _channels_exist(self) -> "AlertsConfig":
        for name, rule in self.rules.items():
            unknown = sorted(set(rule.channels) - set(self.channels))
            if unknown:
                raise ValueError(f"rule {name} names unknown channel(s) {', '.join(unknown)}")
        return self


ConfigModel = TypeVar("ConfigModel", bound=BaseModel)

# The one in C, where PyYAML was built with it, takes a tenth of the time; sensors read these files at every tick.
_SAFE_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(path: Path, model: type[ConfigModel]) -> ConfigModel:
    """Read and validate one configuration file.

    Raises
    ------
    ConfigurationError
        In one line: the file, the field and what is wrong with it.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_SAFE_LOADER)  # noqa: S506 - it is a safe one
    except FileNotFoundError as error:
        raise ConfigurationError(f"{path}: no such file") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path}: cannot be read as YAML ({type(error).__name__})") from error
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ConfigurationError(f"{path}: {where}: {first['msg']}") from error


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the settings of this process, read from the environment once.

    Raises
    ------
    ConfigurationError
        When a variable has a value that is not allowed.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "READMISSION_" + "_".join(str(part) for part in first["loc"]).upper()
        raise ConfigurationError(f"{name}: {first['msg']}") from error


def environment_config(current: Settings) -> EnvironmentConfig:
    """Read what is particular to the current environment."""
    return read_yaml(current.configs / "environments" / f"{current.environment}.yaml", EnvironmentConfig)


def model_config(current: Settings) -> ModelConfig:
    """Read the model's configuration."""
    return read_yaml(current.configs / "model.yaml", ModelConfig)


def monitoring_config(current: Settings) -> MonitoringConfig:
    """Read what is watched after a model went live."""
    return read_yaml(current.configs / "monitoring.yaml", MonitoringConfig)


def alerts_config(current: Settings) -> AlertsConfig:
    """Read who is told of what."""
    return read_yaml(current.configs / "alerts.yaml", AlertsConfig)


def channel_url(channel: AppriseChannel) -> str | None:
    """Return the secret URL of a channel, or None where its variable is not set."""
    return os.environ.get(channel.url_variable) or None


def gate_policy(current: Settings) -> GatePolicy:
    """Read the gate policy as it stands in the checkout (which need not be the one in force)."""
    return read_yaml(current.configs / "gates.yaml", GatePolicy)


def roles_config(current: Settings) -> RolesConfig:
    """Read roles and people as they stand in the checkout (which need not be those in force)."""
    return read_yaml(current.configs / "roles.yaml", RolesConfig)


def canonical_json(value: Any) -> str:
    """Serialise to the one JSON text that digests and signatures are taken over (sorted, compact, no NaN)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest_of(value: Any) -> str:
    """Return ``sha256:<hex>`` of a JSON value, or of a pydantic model's content."""
    content = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    return "sha256:" + hashlib.sha256(canonical_json(content).encode()).hexdigest()
