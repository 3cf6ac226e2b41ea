"""Two models in one home: the example lives its whole life beside readmission, and what breaks one holds up no other.

What is broken is broken as a disk or a hand breaks it: a file where a table was, a changed byte, a folder that cannot
be written. The sensors ask for runs and the runs are made as the daemon makes them.
"""

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.scheduler.instigation import TickStatus

from readmission_platform.automation.observation import observe
from readmission_platform.config.environment import settings
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.launcher import accept_drift_as_demo
from readmission_platform.lifecycle.days.progress import Progress, day_states
from readmission_platform.lifecycle.workspace import Platform
from readmission_platform.operations.alerts.records import find_alerts
from readmission_platform.storage.lake import TableDamaged
from readmission_platform.storage.tables import DRIFT, OUTCOMES, PREDICTIONS, SHADOW
from readmission_platform_tests.conftest import SHADOW_DAYS, Moments, commanded
from readmission_platform_tests.support.homes import MODEL, Home, Outcome
from readmission_platform_tests.support.ticks import running_sensor, ticked

OTHER = "frequent_visits"
ENROLMENTS = ("--model", OTHER, "--source", "rand")
DAYS = 30
pytestmark = pytest.mark.slow


def of(model: str, *command: str) -> tuple[str, ...]:
    return (*command, "--model", model)


def stage_and_promote(home: Home, model: str, version: str) -> None:
    """Take an accepted version through its days in the shadow into production."""
    days = landed(home, model)[:SHADOW_DAYS]
    commanded(
        home,
        of(model, "promote", "--version", version, "--to-stage", "staging"),
        of(model, "score", "--from", days[0], "--to", days[-1]),
        of(model, "drift", "judge"),
    )
    with home.workspace(model) as workspace:
        accept_drift_as_demo(workspace, version)
    commanded(
        home,
        of(model, "approve", "--version", version, "--reason", "shown"),
        of(model, "promote", "--from-stage", "staging", "--replace", "--reason", "shown"),
    )


def landed(home: Home, model: str) -> list[str]:
    with home.workspace(model) as workspace:
        return workspace.landing.days()


@pytest.fixture(scope="session")
def both_home(trained_home: Home, moments: Moments) -> Home:
    """Version 1 of both models is in production after its days in the shadow; a month more of each has landed."""

    def lived(path: Path) -> Outcome:
        home = trained_home.copy(path).having(READMISSION_MODELS=f"{MODEL},{OTHER}")
        shutil.rmtree(home.landing.root)
        home.landing.root.mkdir()
        commanded(home, ("train", *ENROLMENTS))
        for model in (MODEL, OTHER):
            commanded(home, of(model, "replay", "--days", str(SHADOW_DAYS + DAYS), "--outcomes"))
            stage_and_promote(home, model, "1")
        was = time.time() - 3600  # a file that has just arrived may still be written to
        for path in home.landing.root.rglob("*"):
            os.utime(path, (was, was))
        return home.command("models", "--json")

    return moments.lived("both", lived)[0].having(READMISSION_MODELS=f"{MODEL},{OTHER}")


@pytest.fixture
def both(both_home: Home, tmp_path: Path) -> Home:
    return both_home.copy(tmp_path / "home")


@dataclass(frozen=True)
class Morning:
    """What the daemon does in a morning: sensors ask, runs are made, and the observer looks."""

    home: Home

    def landed(self, model: str) -> list[bool]:
        """Take in and score what has landed; returns which runs succeeded."""
        asked = self._asked(model, "landing_sensor")
        return [False] if asked is None else [self._run(each) for each in asked]

    def job(self, model: str, name: str, **tags: str) -> bool:
        """Run a job of a model; returns whether it succeeded."""
        return self._run(dg.RunRequest(job_name=self._named(model, name), tags=tags))

    def alerts(self) -> list[tuple[str | None, str]]:
        """Observe every run; returns model and rule of the open alerts."""
        with self.home.instance() as instance:
            platform = Platform(settings())
            figures: dict[str, Callable[[], dict[str, float]]] = dict.fromkeys(platform.models, dict)
            observe(instance, platform=platform, figures=figures, now=datetime.now(UTC))
            with platform.operations() as operations:
                return [(alert.model, alert.rule) for alert in find_alerts(operations)]

    def complete(self, model: str) -> int:
        """Return how many of the landed days are taken in and scored."""
        with self.home.workspace(model) as workspace:
            states = day_states(workspace, workspace.landing.days())
        return sum(state.progress is Progress.complete for state in states)

    @staticmethod
    def _named(model: str, name: str) -> str:
        return name if model == MODEL else f"{model}_{name}"

    def _asked(self, model: str, name: str) -> list[dg.RunRequest] | None:
        """Return what a sensor asks for; None when its tick fails, which is recorded as the daemon records it."""
        with self.home.instance() as instance:
            definitions = _definitions()
            sensor = definitions.get_repository_def().get_sensor_def(self._named(model, name))
            resources = {key: (definitions.resources or {})[key] for key in sensor.required_resource_keys}
            with dg.build_sensor_context(instance=instance, resources=resources) as context:
                try:
                    return list(sensor.evaluate_tick(context).run_requests or [])
                except TableDamaged:
                    state = running_sensor(instance, self._named(model, name))
                    ticked(instance, state, TickStatus.FAILURE, datetime.now(UTC))
                    return None

    def _run(self, asked: dg.RunRequest) -> bool:
        with self.home.instance() as instance:
            job = _definitions().resolve_job_def(str(asked.job_name))
            done = job.execute_in_process(
                instance=instance, tags=asked.tags, run_config=asked.run_config, raise_on_error=False
            )
        return done.success


def _definitions() -> dg.Definitions:
    from readmission_platform.definitions import build_definitions

    return build_definitions(settings())


def in_the_way(path: Path) -> None:
    """Put a file where a folder is or would be."""
    shutil.rmtree(path, ignore_errors=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("in the way", encoding="utf-8")


def table(name: str) -> Callable[[Home, str], None]:
    def break_it(home: Home, model: str) -> None:
        in_the_way(home.path / "lake" / model / name)

    return break_it


def intake(home: Home, model: str) -> None:
    with home.workspace(model) as workspace:
        in_the_way(workspace.lake.root / workspace.contract.names.delivered)


def artifact(home: Home, model: str) -> None:
    with home.workspace(model) as workspace, workspace.ledger() as ledger:
        file = workspace.registry.root / ledger.events(kind="version_trained")[0].payload["artifact"]["path"]
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))


def work_lists(home: Home, model: str) -> None:
    in_the_way(home.path / "reports" / model)


# What is broken, of which model, by which job it shows, and whether its days are taken in and scored all the same.
BROKEN: dict[str, tuple[Callable[[Home, str], None], str, str | None, bool]] = {
    "intake": (intake, OTHER, None, False),
    "model file": (artifact, MODEL, None, False),
    "predictions": (table(PREDICTIONS), OTHER, None, False),
    "training": (table("person_split"), OTHER, "training_job", True),
    "work list": (work_lists, MODEL, None, False),
    "outcomes": (table(OUTCOMES), MODEL, "outcomes_job", False),
    "monitoring": (table(DRIFT), MODEL, "monitoring_job", True),
}


@pytest.mark.parametrize("stage", BROKEN)
def test_what_breaks_one_model_leaves_every_day_of_the_other_complete_and_alerts_name_the_right_one(
    both: Home, stage: str
):
    break_it, broken, job, still_scored = BROKEN[stage]
    break_it(both, broken)
    morning, sound = Morning(both), OTHER if broken == MODEL else MODEL
    runs = {model: morning.landed(model) for model in (broken, sound)}
    if job is not None:
        day = landed(both, MODEL)[0]
        days = {FIRST: day, LAST: day} if job == "outcomes_job" else {}
        tried = [broken] if job == "training_job" else [broken, sound]
        for model in tried:
            runs[model].append(morning.job(model, job, **days))
    assert runs[sound]
    assert all(runs[sound])
    assert not all(runs[broken])
    assert morning.complete(sound) == SHADOW_DAYS + DAYS
    if still_scored:
        assert morning.complete(broken) == SHADOW_DAYS + DAYS
    told = [each for each in morning.alerts() if each[1] not in NO_FAILURE]
    assert {model for model, _ in told} == {broken}, told


FIRST, LAST = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
# What the machine or the data say, not a run that failed.
NO_FAILURE = {"disk_full", "drift_alarm", "live_performance_worse", "outcomes_missing"}


def test_the_example_lives_its_whole_life_beside_readmission(both: Home):
    ours_before = both.kinds()
    morning = Morning(both)
    assert all(morning.landed(OTHER))
    assert morning.complete(OTHER) == SHADOW_DAYS + DAYS
    assert morning.job(OTHER, "monitoring_job")
    page = both.command(*of(OTHER, "monitor"), "--json").json
    assert {"rows_received", "mean_risk", "drift_alarm"} <= {each["figure"] for each in page["figures"]}
    # A second version is trained, judged, staged, runs in the shadow of the first, and takes over.
    commanded(both, ("train", *ENROLMENTS))
    stage_and_promote(both, OTHER, "2")
    assert stages(both, OTHER) == {"staging": None, "production": "2"}
    # It goes back, and everything is as it was recorded.
    commanded(both, of(OTHER, "rollback", "--reason", "worse"), of(OTHER, "verify", "1"))
    assert stages(both, OTHER) == {"staging": None, "production": "1"}
    # Of readmission nothing was recorded, scored or moved meanwhile.
    assert both.kinds() == ours_before
    assert both.lake.open(SHADOW).version() == 0
    assert stages(both, MODEL) == {"staging": None, "production": "1"}


def test_what_one_model_records_the_other_does_not_read(both_home: Home):
    with (
        both_home.ledger() as ours,
        Ledger(f"sqlite:///{both_home.path / 'ledger.db'}", model=OTHER, environment="local") as theirs,
    ):
        own = {event.seq for event in ours.events(kind="version_trained")}
        other = {event.seq for event in theirs.events(kind="version_trained")}
    assert len(own) == len(other) == 1
    assert not own & other


def test_the_pages_of_the_example_speak_of_its_own_rows(both_home: Home):
    reports = both_home.path / "reports" / OTHER / "1"
    document = (reports / "evidence.json").read_text(encoding="utf-8")
    card = both_home.command(*of(OTHER, "card", "1"))
    assert card.code == 0
    for text in (document, card.out, both_home.command(*of(OTHER, "gates", "1")).out):
        said = text.replace(str(both_home.path), "").lower()
        for word in ("encounter", "readmission", "readmitted", "discharge"):
            assert word not in said.replace("readmission_", "").replace("readmission policy", ""), word


def stages(home: Home, model: str) -> dict[str, Any]:
    with home.workspace(model) as workspace, workspace.ledger() as ledger:
        return {stage: pointer.version for stage, pointer in ledger.pointers().items()}
