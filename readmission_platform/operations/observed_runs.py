"""What was seen of a finished run, as plain values: the one source of tracking, audit, metrics and alerts.

What belongs here: the shape of an observation. What does not: reading it from Dagster (``automation.run_facts``) and
what follows from it (``alert_rules``). There is no place for an error's message: it may quote a patient's data.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Status = Literal["success", "failure", "canceled"]
Trigger = Literal["person", "schedule", "sensor"]
Cause = Literal["check", "declined", "killed", "error"]
Outcome = Literal["made", "blocked", "failed", "skipped"]

# What a person who asked for something is answered, as opposed to something that broke.
ANSWERS = {"BadInput", "Conflict", "Refused"}
NO_JOB = "__ASSET_JOB"


@dataclass(frozen=True)
class AssetSeen:
    """What a run did to one asset: seconds of its step, rows written, versions, and how it ended."""

    asset: str
    outcome: Outcome
    first_partition: str | None = None
    last_partition: str | None = None
    started_at: datetime | None = None
    seconds: float | None = None
    rows: int | None = None
    data_version: str | None = None
    code_version: str | None = None


@dataclass(frozen=True)
class CheckSeen:
    """The last evaluation of a check in a run; ``judged`` is False where the asset was skipped."""

    asset: str
    check: str
    partition: str | None
    passed: bool
    severity: Literal["ERROR", "WARN"]
    description: str
    judged: bool = True


@dataclass(frozen=True)
class StepFailed:
    """A step that failed: its name, its assets, and the class of the error."""

    step: str
    assets: tuple[str, ...]
    error: str


@dataclass(frozen=True)
class RunSeen:
    """A finished run. ``planned`` are the assets it was to make; ``retried`` tells that Dagster started it again."""

    run_id: str
    job: str
    status: Status
    started_at: datetime | None
    ended_at: datetime
    actor: str
    trigger: Trigger
    assets: tuple[AssetSeen, ...] = ()
    checks: tuple[CheckSeen, ...] = ()
    failures: tuple[StepFailed, ...] = ()
    planned: tuple[str, ...] = ()
    error: str | None = None
    first_partition: str | None = None
    last_partition: str | None = None
    retried: bool = False

    @property
    def seconds(self) -> float | None:
        """Duration of the run."""
        return (self.ended_at - self.started_at).total_seconds() if self.started_at else None

    @property
    def failed_checks(self) -> tuple[CheckSeen, ...]:
        """The checks of severity ERROR that failed, whether or not they stopped the run."""
        return tuple(check for check in self.checks if not check.passed and check.severity == "ERROR")

    @property
    def errors(self) -> tuple[str, ...]:
        """The classes of the errors that ended the run."""
        found = {failure.error for failure in self.failures} or {self.error or ""}
        return tuple(sorted(found - {""}))

    @property
    def cause(self) -> Cause | None:
        """Why the run failed; None when it did not.

        ``check``: only blocking checks stopped it. ``declined``: a person was refused something, which is no accident;
        an automation that is told the same is broken, unless policy says no, which is recorded by who says so.
        ``killed``: it ended without an error of its own. ``error``: everything else.
        """
        if self.status != "failure":
            return None
        if not self.errors:
            return "killed"
        if set(self.errors) == {"DagsterAssetCheckFailedError"}:
            return "check"
        answers = ANSWERS if self.trigger == "person" else {"Refused"}
        return "declined" if set(self.errors) <= answers else "error"

    @property
    def unmade(self) -> tuple[str, ...]:
        """The assets that this run was to make and did not."""
        made = {asset.asset for asset in self.assets if asset.outcome in {"made", "skipped"}}
        failed = {name for failure in self.failures for name in failure.assets}
        return tuple(sorted((set(self.planned) - made) | failed))

    @property
    def failed_subjects(self) -> tuple[str, ...]:
        """What an alert about the failure is about: the job, or the assets where somebody started these by hand."""
        if not self.job.startswith(NO_JOB):
            return (self.job,)
        return tuple(f"asset {name}" for name in self.unmade) or (self.job,)

    @property
    def sound_subjects(self) -> tuple[str, ...]:
        """What this run showed to work again: the assets it made, and the job if all of it succeeded."""
        made = tuple(f"asset {asset.asset}" for asset in self.assets if asset.outcome == "made")
        return (self.job, *made) if self.status == "success" else made


@dataclass(frozen=True)
class TickSeen:
    """The last finished tick of a sensor or a schedule; ``error`` is the class of what it raised."""

    name: str
    type: Literal["sensor", "schedule"]
    at: datetime
    failed: bool
    error: str | None = None
