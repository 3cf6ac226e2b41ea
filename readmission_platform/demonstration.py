"""A year of a model, lived through at once: days, outcomes, drift, retraining, a second version.

What belongs here: the order of the steps, month by simulated month, and where an interrupted year goes on. What does
not: what a step does. Every one is a job or a decision function of ordinary operation; nothing is decided here that
these do not decide.

The dates are simulated and end yesterday. A month's outcomes arrive when they would have: a month later. So a version
is trained on no more than was known at that simulated moment. The ledger's own dates are real: all of it happens today.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from readmission_platform import launcher as lifecycle
from readmission_platform.assets.feed.ingestion import SourceConfig, source_of
from readmission_platform.assets.feed.replay import ReplayConfig
from readmission_platform.assets.model.promotion import PromotionConfig
from readmission_platform.automation.retraining import (
    busy,
    calls_for_recalibration,
    collecting,
    confirmed,
    cooling_down,
)
from readmission_platform.foundation.errors import BadInput, Refused
from readmission_platform.foundation.steps import reached
from readmission_platform.governance.ledger.versions import VersionRecord
from readmission_platform.governance.promotion.drift_acceptances import counting
from readmission_platform.intake.outcomes import has_matured
from readmission_platform.launcher import Launcher
from readmission_platform.lifecycle.days.progress import hospital_day, stretches
from readmission_platform.lifecycle.versions.stages import Stage, live_version
from readmission_platform.lifecycle.workspace import Workspace
from readmission_platform.storage.home import replace_file

PLAN_FILE = "demonstration_year.json"
LONGEST = 366
# A stretch: the days that are delivered, scored and looked at together.
STRETCH_DAYS = 30
SHARE_REPLAYED = 0.1
# Some encounters of a generated source are not eligible, so that it takes a few more for as many days.
MORE_THAN_NEEDED = 1.06

Tell = Callable[[str], None]


@dataclass
class Plan:
    """A year as it was begun, kept in the home: what is trained on, which days, and which steps are done.

    ``trained`` holds the simulated day of each training, by version; ``outcomes_until`` is the last day whose outcomes
    were taken in.
    """

    source: dict[str, Any]
    start: str
    days: int
    retrain_every: int
    done: list[str] = field(default_factory=list)
    trained: dict[str, str] = field(default_factory=dict)
    outcomes_until: str = ""

    @property
    def dates(self) -> list[str]:
        """All days, in order."""
        first = date.fromisoformat(self.start)
        return [(first + timedelta(days=offset)).isoformat() for offset in range(self.days)]


def encounters_for(days: int, per_day: int) -> int:
    """Return how many rows a generated source needs, so that its last tenth lasts for so many days."""
    return math.ceil(days * per_day / SHARE_REPLAYED * MORE_THAN_NEEDED)


def begun(workspace: Workspace) -> Plan | None:
    """Return the plan of the year that this home demonstrates, or None."""
    path = _path(workspace)
    return Plan(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def begin(workspace: Workspace, source: SourceConfig, *, days: int, retrain_every: int) -> Plan:
    """Plan a year that ends yesterday, in a home that has not lived yet.

    Raises
    ------
    BadInput
        When there are too few days to come to a second month, or too many.
    Refused
        When days were delivered here already: a replay goes on after its last day, and cannot begin in the past.
    """
    if not STRETCH_DAYS <= days <= LONGEST:
        raise BadInput(f"--days: from {STRETCH_DAYS} to {LONGEST}")
    landed = workspace.landing.days()
    with workspace.ledger() as ledger:
        live = [version for version in (pointer.version for pointer in ledger.pointers().values()) if version]
    if landed or live:
        what = f"days up to {landed[-1]} were delivered" if landed else f"version {live[0]} is in a stage"
        raise Refused([
            f"in this home {what}, and days go on after the last one: a year that ends yesterday cannot be put before "
            "them. Demonstrate it in a home of its own (`make demo-year`, or READMISSION_HOME=another-folder), or "
            "start over (`make reset`)"
        ])  # fmt: skip
    start = hospital_day(workspace.rules) - timedelta(days=days)
    plan = Plan({**source.model_dump()}, start.isoformat(), days, retrain_every)
    _keep(workspace, plan)
    return plan


def live_through(launcher: Launcher, plan: Plan, tell: Tell) -> None:
    """Live through the rest of a planned year; interrupted, it goes on with the step that was not finished.

    Raises
    ------
    GateFailed
        When the first version was rejected: there is no year without one.
    BadInput
        When the source holds fewer days than planned.
    """
    year = _Year(launcher, plan, tell)
    year.first_version()
    dates = plan.dates
    for begin_at in range(0, len(dates), STRETCH_DAYS):
        year.stretch(dates[begin_at : begin_at + STRETCH_DAYS])
    year.end()


class _Year:
    def __init__(self, launcher: Launcher, plan: Plan, tell: Tell) -> None:
        self.launcher, self.plan, self.tell = launcher, plan, tell
        self.workspace = launcher.workspace

    def first_version(self) -> None:
        """Train the first version and bring it to production after its days in the shadow, as `run` does."""
        first = self.plan.dates[: lifecycle.days_until_judged(self.workspace)]
        self._step("train the first version", lambda: self._train(SourceConfig(**self.plan.source), first[0]))
        if self._in(Stage.staging) is None and self._in(Stage.production) is None:
            raise lifecycle.GateFailed(
                "the first version was rejected: start again in another home, which will have different folds"
            )
        self._step(f"deliver {first[0]} to {first[-1]}", lambda: self._deliver(first))
        self._step(f"score {first[0]} to {first[-1]} in shadow mode", lambda: lifecycle.score(self.launcher, first))
        self._step("judge the first version", lambda: lifecycle.monitor(self.launcher))
        self._step("bring the first version to production", self._bring_to_production)

    def stretch(self, days: Sequence[str]) -> None:
        """Deliver and score days, take in what matured meanwhile, look at it, and let the rules act on it."""
        named, last = f"{days[0]} to {days[-1]}", days[-1]
        new = [day for day in days if day not in self.plan.dates[: lifecycle.days_until_judged(self.workspace)]]
        if new:
            self._step(f"deliver {new[0]} to {new[-1]}", lambda: self._deliver(new))
            self._step(f"score {new[0]} to {new[-1]}", lambda: lifecycle.score(self.launcher, new))
        matured = self._matured(last)
        if matured:
            self._step(f"outcomes of {matured[0]} to {matured[-1]}", lambda: self._take_in_outcomes(matured))
        self._step(f"monitor {named}", lambda: lifecycle.monitor(self.launcher))
        if self._in(Stage.staging) is not None:
            self._step(f"decide about production on {last}", self._bring_to_production)
        left = (date.fromisoformat(self.plan.dates[-1]) - date.fromisoformat(last)).days
        if left >= self._days_to_show():
            self._step(f"decide about training on {last}", lambda: self._train_if_called_for(last))

    def end(self) -> None:
        """Look at everything once more: alerts end, and what was decided last shows."""
        self._step("monitor the end of the year", lambda: lifecycle.monitor(self.launcher))

    def _step(self, name: str, work: Callable[[], object]) -> None:
        if name in self.plan.done:
            return
        self.tell(name)
        work()
        reached(f"demonstration: {name}")
        self.plan.done.append(name)
        _keep(self.workspace, self.plan)

    def _deliver(self, days: Sequence[str]) -> None:
        lifecycle.replay(self.launcher, ReplayConfig(days=len(days), start=days[0]))

    def _matured(self, last: str) -> list[str]:
        """Return the days whose outcomes became known in the stretch that ends with this day, in simulated time."""
        morning_after, maturity = date.fromisoformat(last) + timedelta(days=1), self.workspace.contract.maturity_days
        waiting = [day for day in self.plan.dates if day > self.plan.outcomes_until]
        return [day for day in waiting if has_matured(day, morning_after, maturity)]

    def _days_to_show(self) -> int:
        """Return how many days a version needs to be worth training: in the shadow, in production, until these mature.

        What is trained later would have nothing to show when the year ends.
        """
        return 2 * STRETCH_DAYS + self.workspace.contract.maturity_days

    def _take_in_outcomes(self, days: Sequence[str]) -> None:
        lifecycle.replay(self.launcher, ReplayConfig(days=len(days), start=days[0], outcomes=True))
        for stretch in stretches(list(days), longest=STRETCH_DAYS):
            self.launcher.launch("outcomes_job", days=stretch)
        self.plan.outcomes_until = days[-1]

    def _train(self, source: SourceConfig, day: str) -> None:
        """Train a version; an accepted one goes to staging, as by the sensor, and a rejected one stays what it is."""
        self._made(lifecycle.train(self.launcher, source), day)

    def _made(self, record: VersionRecord, day: str) -> None:
        self.plan.trained[record.version] = day
        if not record.accepted:
            self.tell(f"  version {record.version} was rejected; `readmission gates {record.version}` says why")
            return
        why = "every candidate gate passed"
        lifecycle.promote(self.launcher, PromotionConfig(version=record.version, to_stage=Stage.staging, reason=why))
        self.tell(f"  version {record.version} is in staging")

    def _bring_to_production(self) -> None:
        """Let the demo approver accept what drifted and approve, and ask for the promotion; a refusal is an answer."""
        waiting = self._in(Stage.staging)
        if waiting is None:
            return
        try:
            accepted = lifecycle.accept_drift_as_demo(self.workspace, waiting.version)
            if accepted is not None:
                columns = sorted({each["column"] for each in accepted.payload["statement"]["columns"]})
                self.tell(f"  the demo approver accepts drift of version {waiting.version}: {', '.join(columns)}")
            to_production = PromotionConfig(
                version=waiting.version, to_stage=Stage.production, replace=True, demo_approval=True,
                reason="demonstration of a year",
            )  # fmt: skip
            lifecycle.promote(self.launcher, to_production)
        except Refused as error:
            self.tell(f"  version {waiting.version} stays in staging: {'; '.join(error.reasons)}")
        else:
            self.tell(f"  version {waiting.version} is in production")

    def _train_if_called_for(self, day: str) -> None:
        """Ask what the sensor and the schedule of retraining ask, in simulated time, and train if they would."""
        live = self._in(Stage.production)
        if live is None:
            return
        workspace, last = self.workspace, max(self.plan.trained.values())
        since = (date.fromisoformat(day) - date.fromisoformat(last)).days
        with workspace.ledger() as ledger:
            trained = ledger.events(kind="version_trained")
            accepted = counting(ledger.events(), live.version, now=ledger.now())
        because, measures = confirmed(workspace.lake, live, workspace.monitoring, accepted)
        # The ledger says at which moment of today the last one was trained; what counts is the simulated time since.
        now = datetime.fromisoformat(trained[-1].at) + timedelta(days=since)
        regular, needed = since >= self.plan.retrain_every, workspace.promotion_rules.shadow_days_required
        held_back = (
            (None if regular else cooling_down(trained, workspace.monitoring.retraining, now=now))
            or busy(self.launcher.instance, self.launcher.model.named("training_job"))
            or collecting(workspace.lake, self._in(Stage.staging), needed=needed)
        )
        if not (because or regular) or held_back:
            self.tell(f"  no training: {held_back or 'nothing calls for one'}")
            return
        if because == "performance" and calls_for_recalibration(
            workspace.lake, live, measures, trained, workspace.monitoring
        ):
            self.tell(f"  recalibration, because of {', '.join(measures)}")
            self._made(lifecycle.recalibrate(self.launcher, live.version), day)
            return
        self.tell(f"  training, because of {because.replace('_', ' ') or 'the schedule'}")
        op = self.launcher.model.op(self.launcher.model.names.raw)
        source = source_of(self.launcher.instance, live, op)
        if source is None:
            raise BadInput(f"the run that trained version {live.version} does not say its source")
        self._train(SourceConfig(**source), day)

    def _in(self, stage: Stage) -> VersionRecord | None:
        with self.workspace.ledger() as ledger:
            return live_version(ledger, stage.value)


def _path(workspace: Workspace) -> Path:
    return workspace.reports / PLAN_FILE


def _keep(workspace: Workspace, plan: Plan) -> None:
    path = _path(workspace)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, json.dumps(asdict(plan), indent=1).encode())
