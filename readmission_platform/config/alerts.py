"""Which observations raise an alert, and who is notified through which channel: shape of ``alerts.yaml``."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from readmission_platform.foundation.values import Frozen


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

# What a rule can match of each kind of observation; a rule on the ledger may match any entry of an event.
# Assets, jobs, sensors and schedules are matched by their name without the prefix of a model.
MATCHED = {
    "check": {"model", "asset", "check", "severity", "job"},
    "run": {"model", "job", "cause", "trigger"},
    "tick": {"model", "name", "type"},
    "service": {"service"},
    "figure": {"model"},
}


class Recovery(Frozen):
    """What ends an alert about an event: a later event of the ledger or a successful job, of the same model."""

    ledger: str | tuple[str, ...] = Field(default=(), description="Kinds of event; any of them ends it.")
    job: str | None = None


class AlertRule(Frozen):
    """One rule: what it is about, how severe that is, who is notified, and what to do."""

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
    """``configs/alerts.yaml``: channels by name, and rules by name; if several rules fit, the first one applies."""

    old_hours: float = Field(ge=0, description="Runs that ended this long before the first start raise no alert.")
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
