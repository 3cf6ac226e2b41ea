"""Typed, frozen settings: the only reader of ``configs/`` and of environment variables.

What belongs here: the shape of every configuration file, and where state lives.
What does not: deciding anything with these values; that is the business of the modules that receive them.
"""

from readmission_platform.config.alerts import (
    MATCHED,
    AlertRule,
    AlertsConfig,
    AlertSeverity,
    AppriseChannel,
    Channel,
    FileChannel,
    Recovery,
    RuleKind,
)
from readmission_platform.config.change_plan import (
    ChangePlan,
    PlanLimit,
    Span,
    Unchanged,
)
from readmission_platform.config.environment import (
    PROJECT_ROOT,
    Environment,
    Settings,
    settings,
)
from readmission_platform.config.files import (
    alerts_config,
    change_plan_config,
    channel_url,
    environment_config,
    gate_policy,
    model_card_config,
    model_config,
    monitoring_config,
    read_yaml,
    roles_config,
)
from readmission_platform.config.governance import (
    AdditionalGates,
    EnvironmentConfig,
    GatePolicy,
    GateRule,
    GateStage,
    LimitSet,
    Person,
    RolesConfig,
)
from readmission_platform.config.model import (
    AgreementLimits,
    BoostingConfig,
    ModelConfig,
    SingleInputLimits,
)
from readmission_platform.config.model_card import (
    REQUIRED_ITEMS,
    REQUIRED_TEXTS,
    CardText,
    ModelCardConfig,
)
from readmission_platform.config.monitoring import (
    DriftConfig,
    GapConfig,
    MonitoringConfig,
    PerformanceConfig,
    RetrainingConfig,
)
from readmission_platform.config.values import (
    ConfigurationError,
    Frozen,
    Limits,
    canonical_json,
    digest_of,
)

__all__ = [
    "MATCHED",
    "PROJECT_ROOT",
    "REQUIRED_ITEMS",
    "REQUIRED_TEXTS",
    "AdditionalGates",
    "AgreementLimits",
    "AlertRule",
    "AlertSeverity",
    "AlertsConfig",
    "AppriseChannel",
    "BoostingConfig",
    "CardText",
    "ChangePlan",
    "Channel",
    "ConfigurationError",
    "DriftConfig",
    "Environment",
    "EnvironmentConfig",
    "FileChannel",
    "Frozen",
    "GapConfig",
    "GatePolicy",
    "GateRule",
    "GateStage",
    "LimitSet",
    "Limits",
    "ModelCardConfig",
    "ModelConfig",
    "MonitoringConfig",
    "PerformanceConfig",
    "Person",
    "PlanLimit",
    "Recovery",
    "RetrainingConfig",
    "RolesConfig",
    "RuleKind",
    "Settings",
    "SingleInputLimits",
    "Span",
    "Unchanged",
    "alerts_config",
    "canonical_json",
    "change_plan_config",
    "channel_url",
    "digest_of",
    "environment_config",
    "gate_policy",
    "model_card_config",
    "model_config",
    "monitoring_config",
    "read_yaml",
    "roles_config",
    "settings",
]
