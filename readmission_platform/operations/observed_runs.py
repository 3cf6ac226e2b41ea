"""What was observed of a finished run, as plain values: tracking, audit, metrics and alerts all follow from it.

What belongs here: the shape of an observation. What does not: reading it from Dagster (``automation.run_facts``) and
what follows from it (``operations.alerts.rules``). There is no field for an error's message, which may quote a
patient's data.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from readmission_platform.operations.names import Named

Status = Literal["success", "failure", "canceled"]
Trigger = Literal["person", "schedule", "sensor"]
Cause = Literal["check", "declined", "killed", "error"]
Outcome = Literal["made", "blocked", "failed", "skipped"]

# Errors that answer a person's request: it was wrong or not allowed, and nothing is broken.
ANSWERS = {"BadInput", "Conflict", "Refused"}
NO_JOB = "__ASSET_JOB"  # Dagster's job for assets that somebody materializes by hand


class Subject(NamedTuple):
    """What an alert about a run is about: a job, or an asset; of a model, or of none."""

    model: str | None
    text: str


@dataclass(frozen=True)
class AssetSeen:
    """What a run did to one asset: seconds of its step, rows written, versions, and how it ended."""

    asset: Named
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

    asset: Named
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
    assets: tuple[Named, ...]
    error: str


@dataclass(frozen=True)
class RunSeen:
    """A finished run.

    Attributes
    ----------
    job
        The job, with the model of the run: None for a run of several models or of none.
    planned
        The assets that the run was to make.
    retried
        True when Dagster has started the run again.
    """

    run_id: str
    job: Named
    status: Status
    started_at: datetime | None
    ended_at: datetime
    actor: str
    trigger: Trigger
    assets: tuple[AssetSeen, ...] = ()
    checks: tuple[CheckSeen, ...] = ()
    failures: tuple[StepFailed, ...] = ()
    planned: tuple[Named, ...] = ()
    error: str | None = None
    first_partition: str | None = None
    last_partition: str | None = None
    retried: bool = False

    @property
    def model(self) -> str | None:
        """The model whose run it is; None for a run of several models or of none."""
        return self.job.model

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

        ``check``: only blocking checks stopped it. ``declined``: a person asked for something that is wrong or not
        allowed; of an automation, only a refusal by policy counts as that, and whoever refuses records it.
        ``killed``: the run ended without an error of its own. ``error``: everything else.
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
    def unmade(self) -> tuple[Named, ...]:
        """The assets that this run was to make and did not, by key."""
        made = {asset.asset for asset in self.assets if asset.outcome in {"made", "skipped"}}
        failed = {asset for failure in self.failures for asset in failure.assets}
        return tuple(sorted((set(self.planned) - made) | failed, key=lambda asset: asset.key))

    @property
    def failed_subjects(self) -> tuple[Subject, ...]:
        """What an alert about the failure is about: the job, or the assets where somebody started these by hand."""
        job = Subject(self.model, self.job.name)
        if not self.job.key.startswith(NO_JOB):
            return (job,)
        return tuple(_subject(asset) for asset in self.unmade) or (job,)

    @property
    def sound_subjects(self) -> tuple[Subject, ...]:
        """What this run showed to work again: the assets it made, and the job if all of it succeeded."""
        made = tuple(_subject(asset.asset) for asset in self.assets if asset.outcome == "made")
        return (Subject(self.model, self.job.name), *made) if self.status == "success" else made


def _subject(asset: Named) -> Subject:
    return Subject(asset.model, f"asset {asset.name}")


@dataclass(frozen=True)
class TickSeen:
    """The last finished tick of a sensor or a schedule (``instigator``); ``error`` is the class of what it raised."""

    instigator: Named
    type: Literal["sensor", "schedule"]
    at: datetime
    failed: bool
    error: str | None = None
