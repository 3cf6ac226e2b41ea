"""Running the platform's jobs in this process, as the command line does.

What belongs here: launching a job so that its run shows in the UI like any other, telling progress, and the order of
the steps from data to predictions. What does not: what the jobs do, and how results are shown (``summary``).
"""

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from socket import gethostname
from typing import Any

import dagster as dg
from dagster._core.errors import DagsterAssetCheckFailedError
from dagster._core.storage.tags import MAX_RETRIES_TAG, REPOSITORY_LABEL_TAG
from dagster._core.utils import make_new_run_id
from sqlalchemy.exc import SQLAlchemyError

from readmission_platform.assets.feed.ingestion import SourceConfig
from readmission_platform.assets.feed.replay import REPLAY_OP, ReplayConfig
from readmission_platform.assets.model.promotion import PROMOTION_OP, PromotionConfig
from readmission_platform.assets.model.rollback import ROLLBACK_OP, RollbackConfig
from readmission_platform.assets.model_assets import ModelAssets
from readmission_platform.automation.observation import observe_launched
from readmission_platform.automation.run_facts import ACTOR_TAG
from readmission_platform.definitions import LOCATION, TERMINAL_LOGGER, build_definitions
from readmission_platform.foundation.errors import GovernanceError, Unavailable
from readmission_platform.foundation.memory import give_back
from readmission_platform.foundation.values import ConfigurationError
from readmission_platform.governance.ledger.chain import Event
from readmission_platform.governance.ledger.versions import VersionRecord, version_records
from readmission_platform.lifecycle.days.progress import check_days, hospital_day
from readmission_platform.lifecycle.days.replay import check_continues
from readmission_platform.lifecycle.monitoring.acceptance import accept_everything_as_demo
from readmission_platform.lifecycle.versions.stages import Stage
from readmission_platform.lifecycle.workspace import Workspace
from readmission_platform.resources.own_runs import (
    HOST_TAG,
    PROCESS_TAG,
    REPOSITORY,
    close_runs_of_dead_processes,
    from_location,
)
from readmission_platform.storage.tables import PREDICTIONS

PRODUCTION_DAYS = 14
DEMO_ACCEPTANCE = (
    "demonstration: the replay is later than the training data and differs from it in these columns; nobody has looked "
    "at what that means for patients"
)
Progress = Callable[[str, float], None]

logger = logging.getLogger(__name__)


class GateFailed(Exception):
    """A blocking check failed; the run that was launched, if one was, says which."""

    def __init__(self, message: str, *, run_id: str = "") -> None:
        super().__init__(message)
        self.run_id = run_id


@dataclass
class Timings:
    """Seconds by step, in the order in which they ended."""

    seconds: list[tuple[str, float]] = field(default_factory=list)


class Launcher:
    """Launches jobs of a model in this process, against the Dagster instance of the home."""

    def __init__(self, workspace: Workspace, *, progress: Progress = lambda step, seconds: None) -> None:
        self.workspace = workspace
        self.model = ModelAssets(workspace.entry, workspace.rules.timezone, workspace.contract)
        self._definitions: dg.Definitions | None = None
        self._asked: set[str] = set()
        self.instance = dg.DagsterInstance.get()
        # Nobody has observed those yet, and nobody may ever come by here with a sensor.
        self._unobserved = close_runs_of_dead_processes(self.instance)
        self.timings = Timings()
        self._progress, self._part = progress, ""

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Tell progress as that of a part of what is done, where the same steps come more than once."""
        self._part = f" of {name}"
        try:
            yield
        finally:
            self._part = ""

    def launch(
        self,
        job: str,
        *,
        assets: Mapping[str, Any] | None = None,
        ops: Mapping[str, Any] | None = None,
        days: Sequence[str] = (),
    ) -> dg.ExecuteInProcessResult:
        """Run a job to its end.

        Parameters
        ----------
        job
            Name of the job, as the model without a prefix has it.
        assets, ops
            Configuration by the name of an asset, or of an operation that is no asset, likewise without a prefix.
        days
            The partitions, contiguous, scored in one run.

        Raises
        ------
        BadInput
            When a day has no partition, by the clock of this machine.
        GateFailed
            When a blocking check failed.
        Exception
            Whatever a step raised.
        """
        check_days(days, self.workspace.rules)
        # They may have been delivered since the definitions were loaded: before all others, or for today.
        today = hospital_day(self.workspace.rules).isoformat()
        needed = {min([*days, *self._asked]), *{*days} & {today}} if days else set()
        if self._definitions is None or not needed <= self._asked:
            self._asked |= needed
            self._definitions = build_definitions(self.workspace.settings, asked=sorted(self._asked))
        # The UI lists runs on a job's page by this tag, which runs launched by the daemon get by themselves. What was
        # asked for at a terminal is not repeated behind the back of whoever stopped it.
        tags = {
            REPOSITORY_LABEL_TAG: f"{REPOSITORY}@{LOCATION}",
            MAX_RETRIES_TAG: "0",
            PROCESS_TAG: f"{os.getpid()}",
            HOST_TAG: gethostname(),
            ACTOR_TAG: self.workspace.actor,
        }
        if days:
            tags |= {
                "dagster/asset_partition_range_start": days[0],
                "dagster/asset_partition_range_end": days[-1],
            }
        configured = {self.model.op(name): config for name, config in (assets or {}).items()}
        configured |= {self.model.named(name): config for name, config in (ops or {}).items()}
        run_config: dict[str, Any] = dg.RunConfig(ops=configured).to_config_dict()  # type: ignore[no-untyped-call]
        run_id = make_new_run_id()
        with self._reporting(), from_location(self.instance, self.model.named(job), location=LOCATION):
            try:
                return self._definitions.resolve_job_def(self.model.named(job)).execute_in_process(
                    run_config={**run_config, "loggers": {TERMINAL_LOGGER: {}}},
                    instance=self.instance,
                    tags=tags,
                    run_id=run_id,
                )
            except DagsterAssetCheckFailedError as error:
                raise GateFailed(str(error), run_id=run_id) from error
            finally:
                self._observe(run_id)

    def recorded(self, job: str, kind: str, *, assets: Mapping[str, Any]) -> Event:
        """Run a job that records an event of a kind, and return that event; a failed check is part of what it says.

        It is this run's event, also where others run the same job at the same time.

        Raises
        ------
        GateFailed
            When a check failed before anything was recorded.
        Exception
            Whatever a step raised.
        """
        failed = None
        try:
            run_id = self.launch(job, assets=assets).run_id
        except GateFailed as error:
            failed, run_id = error, error.run_id
        with self.workspace.ledger() as ledger:
            ours = [event for event in ledger.events(kind=kind) if event.payload.get("run_id") == run_id]
        if not ours:
            raise failed or Unavailable(f"the run {run_id} ended and recorded nothing")
        return ours[-1]

    def _observe(self, run_id: str) -> None:
        """Observe the finished run. If that fails, the sensor catches up."""
        try:
            observe_launched(self.instance, [*self._unobserved, run_id], platform=self.workspace.platform)
        except (GovernanceError, ConfigurationError, SQLAlchemyError, OSError) as error:
            logger.warning(f"the run was not observed completely ({type(error).__name__}); the sensor catches up")
        else:
            self._unobserved.clear()

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        handler = _StepTimes(self._step_done)
        logger = logging.getLogger(TERMINAL_LOGGER)
        logger.addHandler(handler)
        try:
            yield
        finally:
            logger.removeHandler(handler)

    def _step_done(self, step: str, seconds: float) -> None:
        give_back()
        self.timings.seconds.append((step, seconds))
        self._progress(f"{step}{self._part}", seconds)


class _StepTimes(logging.Handler):
    """Measures steps from the events that Dagster logs; one that failed or was refused is not told as done."""

    def __init__(self, done: Progress) -> None:
        super().__init__()
        self._done = done
        self._started: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        meta = getattr(record, "dagster_meta", {})
        event, step = meta.get("dagster_event"), meta.get("step_key")
        if event is None or step is None:
            return
        if event.is_step_start:
            self._started[step] = time.monotonic()
        elif event.is_step_success:
            self._done(step, time.monotonic() - self._started.pop(step, time.monotonic()))


def train(
    launcher: Launcher, source: SourceConfig, *, additional_gates: Mapping[str, Any] | None = None
) -> VersionRecord:
    """Train and judge one version; returns its record.

    Raises
    ------
    GateFailed
        Only when no version came of it; a version whose gates failed is returned, rejected.
    """
    from readmission_platform.assets.model.validation import VALIDATION, ValidationConfig

    judged = ValidationConfig(additional_gates=dict(additional_gates or {}))
    trained = launcher.recorded(
        "training_job", "version_trained", assets={launcher.model.names.raw: source, VALIDATION: judged}
    )
    with launcher.workspace.ledger() as ledger:
        return version_records(*ledger.snapshot())[str(trained.version)]


def recalibrate(
    launcher: Launcher, version: str | None, *, additional_gates: Mapping[str, Any] | None = None
) -> VersionRecord:
    """Recalibrate a version, by default the one in production, and judge what comes of it; returns its record.

    Raises
    ------
    GateFailed
        Only when no version came of it; a version whose gates failed is returned, rejected.
    Refused
        When too few outcomes have matured.
    """
    from readmission_platform.assets.model.recalibration import RECALIBRATED_MODEL, RecalibratedConfig
    from readmission_platform.assets.model.validation import VALIDATION, ValidationConfig

    judged = ValidationConfig(additional_gates=dict(additional_gates or {}))
    asked = RecalibratedConfig(version=version or "")
    trained = launcher.recorded(
        "recalibration_job", "version_trained", assets={RECALIBRATED_MODEL: asked, VALIDATION: judged}
    )
    with launcher.workspace.ledger() as ledger:
        return version_records(*ledger.snapshot())[str(trained.version)]


def promote(launcher: Launcher, config: PromotionConfig) -> None:
    """Run ``promotion_job``."""
    launcher.launch("promotion_job", ops={PROMOTION_OP: config})


def roll_back(launcher: Launcher, config: RollbackConfig) -> None:
    """Run ``rollback_job``."""
    launcher.launch("rollback_job", ops={ROLLBACK_OP: config})


def reconcile(launcher: Launcher) -> None:
    """Run ``projection_job``, which aligns the registry with the ledger."""
    launcher.launch("projection_job")


def replay(launcher: Launcher, config: ReplayConfig) -> list[str]:
    """Run ``replay_job``; returns the days that now have files."""
    result = launcher.launch("replay_job", ops={REPLAY_OP: config})
    return list(result.output_for_node(launcher.model.named(REPLAY_OP)))


def score(launcher: Launcher, days: Sequence[str], *, version: str | None = None, reason: str = "") -> None:
    """Run ``scoring_job`` for contiguous days, in one run."""
    from readmission_platform.assets.daily.inference import ScoringConfig

    launcher.launch("scoring_job", assets={PREDICTIONS: ScoringConfig(version=version, reason=reason)}, days=days)


def monitor(launcher: Launcher) -> None:
    """Run ``monitoring_job``: drift of what was scored, and performance on what has matured."""
    launcher.launch("monitoring_job")


def days_until_judged(workspace: Workspace) -> int:
    """Return how many days of the replay a version scores in the shadow: those asked for, and a window of rows.

    A window is full with some rows to spare, since a few of a day may be set aside.
    """
    window = workspace.monitoring.drift.window_rows // workspace.config.daily_rows + 1
    return max(workspace.promotion_rules.shadow_days_required, window)


def accept_drift_as_demo(workspace: Workspace, version: str) -> Event | None:
    """Let the demo approver accept what has drifted of a version, as a clinician would; None when nothing has."""
    with workspace.ledger() as ledger:
        return accept_everything_as_demo(version, DEMO_ACCEPTANCE, ledger=ledger, workspace=workspace)


@dataclass(frozen=True)
class WholeLife:
    """What ``run`` did: the version, and the days it scored in the shadow and in production."""

    record: VersionRecord
    shadow_days: list[str]
    production_days: list[str]


def whole_life(launcher: Launcher, source: SourceConfig) -> WholeLife:
    """Take a model from data to daily predictions: train, gates, staging, shadow days, production, work lists.

    Raises
    ------
    GateFailed
        When the version was rejected.
    BadInput
        When the home holds a replay of other data; the version is a candidate then, and nothing was promoted.
    """
    record = train(launcher, source)
    if not record.accepted:
        raise GateFailed("the version was rejected")
    workspace = launcher.workspace
    check_continues(workspace.lake, workspace.landing, per_day=workspace.config.daily_rows)
    promote(
        launcher,
        PromotionConfig(version=record.version, to_stage=Stage.staging, reason="every candidate gate passed"),
    )
    first = days_until_judged(workspace)
    days = replay(launcher, ReplayConfig(days=first + PRODUCTION_DAYS))
    shadow, live = days[:first], days[first:]
    with launcher.part("shadow days"):
        score(launcher, shadow)
    monitor(launcher)
    accept_drift_as_demo(workspace, record.version)
    promote(
        launcher,
        PromotionConfig(
            version=record.version,
            to_stage=Stage.production,
            replace=True,
            demo_approval=True,
            reason="demonstration run",
        ),
    )
    with launcher.part("production days"):
        score(launcher, live)
    # The first look at the monitor shows what these days are like, and a promotion does not wait for the morning.
    monitor(launcher)
    return WholeLife(record, shadow, live)
