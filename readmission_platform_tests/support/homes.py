"""Homes at moments of a model's life, and what a user does in them: commands, materializations, queries.

Training is what costs time, so each moment is lived once per session; a test that changes something gets a copy.
"""

import atexit
import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from readmission_platform.assets.model_assets import ModelAssets
from readmission_platform.config.environment import PROJECT_ROOT, Settings, settings
from readmission_platform.config.files import environment_config
from readmission_platform.config.models import models_in_use
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.lifecycle.days.seals import record_days
from readmission_platform.lifecycle.installation import make_installation
from readmission_platform.lifecycle.workspace import Platform, Workspace
from readmission_platform.storage.landing import Landing
from readmission_platform.storage.tables import CIRCUMSTANCES, ModelLake

# Fold 0 needs 200 readmissions to be judged. The limits are made for 20,000 encounters: in a smaller cohort chance
# fails a gate more often, and this one passes them all with room to spare.
COHORT = ("--encounters", "14000", "--seed", "21")
SMALL_COHORT = ("--encounters", "2500", "--seed", "5")
# The folds hang on the secret of the home: with this one every session judges the same folds.
SECRET = "5a" * 32
ACTOR = "tester"
MODEL = "readmission_30d"
BIN = Path(sys.executable).parent
# The models that the suite is about. A checkout may have others, which have tests of their own.
SHIPPED = (MODEL, "frequent_visits")


@cache
def shipped_configs() -> dict[str, str]:
    """The variable that leads to the configuration of the shipped models alone; none where there are no others."""
    folder = PROJECT_ROOT / "configs"
    if {each.name for each in (folder / "models").iterdir() if each.is_dir()} == set(SHIPPED):
        return {}
    alone = Path(tempfile.mkdtemp(prefix="configs-"))
    atexit.register(shutil.rmtree, alone, ignore_errors=True)
    for name in [each.name for each in folder.iterdir() if each.name != "models"]:
        (alone / name).symlink_to(folder / name)
    (alone / "models").mkdir()
    for name in SHIPPED:
        (alone / "models" / name).symlink_to(folder / "models" / name)
    return {"READMISSION_CONFIGS": str(alone)}


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Home:
    """A home, and the environment variables of whoever lives in it."""

    path: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def new(cls, path: Path, **variables: str) -> "Home":
        home = cls(path, variables)
        with home.lived_in() as current:
            make_installation(current)
        (path / "keys" / "pseudonyms.key").write_text(SECRET, encoding="ascii")
        return home

    def copy(self, path: Path, **variables: str) -> "Home":
        # A database that another test reads at this moment is copied whole, by SQLite; its side files come and go.
        shutil.copytree(self.path, path, ignore=shutil.ignore_patterns("*.db-*"), copy_function=_copy)
        return Home(path, {**self.variables, **variables})

    def having(self, **variables: str) -> "Home":
        """Return the same home with other environment variables."""
        return Home(self.path, {**self.variables, **variables})

    @property
    def environment(self) -> dict[str, str]:
        ours = {key: value for key, value in os.environ.items() if not key.startswith("READMISSION_")}
        return (
            ours
            | shipped_configs()
            | {
                "READMISSION_HOME": str(self.path),
                "READMISSION_ACTOR": ACTOR,
                "DAGSTER_HOME": str(self.path / "dagster"),
                "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
                **self.variables,
            }
        )

    @contextmanager
    def lived_in(self) -> Iterator[Settings]:
        """Make this process live in the home for a while."""
        with pytest.MonkeyPatch.context() as patch:
            for name in [name for name in os.environ if name.startswith("READMISSION_")]:
                patch.delenv(name)
            for name, value in self.environment.items():
                patch.setenv(name, value)
            settings.cache_clear()
            try:
                yield settings()
            finally:
                settings.cache_clear()

    @contextmanager
    def workspace(self, model: str = MODEL) -> Iterator[Workspace]:
        """Make this process live in the home for a while, and work on one model."""
        with self.lived_in() as current:
            yield Platform(current).model(model)

    def command(self, *arguments: str) -> Outcome:
        """Run ``readmission`` in this process; an unexpected error comes through as itself."""
        from readmission_platform import cli

        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            for name in [name for name in os.environ if name.startswith("READMISSION_")]:
                patch.delenv(name)
            for name, value in self.environment.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["readmission", *arguments])
            settings.cache_clear()
            try:
                cli.main()
                code: Any = 0
            except SystemExit as end:
                code = end.code
            finally:
                settings.cache_clear()
        return Outcome(int(code or 0), out.getvalue(), err.getvalue())

    def shell(self, *command: str, timeout: float = 240) -> Outcome:
        """Run a program of the virtual environment as a user does, from the checkout."""
        done = subprocess.run(
            [str(BIN / command[0]), *command[1:]],
            cwd=PROJECT_ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        url = self.variables.get("READMISSION_LEDGER_URL", f"sqlite:///{self.path / 'ledger.db'}")
        environment = self.variables.get("READMISSION_ENVIRONMENT", "local")
        with Ledger(url, model=MODEL, environment=environment) as opened:
            yield opened

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        with self.lived_in(), dg.DagsterInstance.get() as opened:
            yield opened

    @property
    def lake(self) -> ModelLake:
        with self.workspace() as workspace:
            return workspace.lake

    def record_predictions(self, table: str = "daily_predictions") -> None:
        """Record in the ledger what the lake holds of a table of predictions, as the run that makes them does."""
        lake = self.lake
        rows = lake.read(table)
        with self.ledger() as ledger:
            version = lake.open(table).version()
            record_days(ledger, table, rows, sorted(set(rows[lake.day])), version=version, lake=lake, run_id="run",
                        actor=ACTOR)  # fmt: skip

    @property
    def stages(self) -> dict[str, str | None]:
        with self.ledger() as ledger:
            return {stage: pointer.version for stage, pointer in ledger.pointers().items()}

    def kinds(self) -> list[str]:
        """Return the kinds of all ledger events, in order."""
        with self.ledger() as ledger:
            return [event.kind for event in ledger.events()]

    def aliases(self) -> dict[str, str]:
        """Return what the registry shows."""
        with self.workspace() as workspace:
            return workspace.registry.aliases()

    def registry(self) -> Any:
        """Return an MLflow client, as anybody with access to the registry has one."""
        from mlflow import MlflowClient

        with self.lived_in() as current:
            return MlflowClient(tracking_uri=current.mlflow_database, registry_uri=current.mlflow_database)

    def materialize(
        self, *assets: str, day: str | None = None, ops: Mapping[str, Any] | None = None
    ) -> dg.ExecuteInProcessResult:
        """Materialize assets on their own, as the UI's button does; a failed step is a failed result."""
        from readmission_platform.definitions import build_definitions

        with self.instance() as instance:
            definitions = build_definitions(settings(), asked=[day] if day else [])
            return dg.materialize(
                list(definitions.assets or []),
                selection=list(assets),
                resources=definitions.resources,
                instance=instance,
                partition_key=day,
                run_config={"ops": {name: {"config": config} for name, config in (ops or {}).items()}},
                raise_on_error=False,
            )

    def predictions(self) -> pd.DataFrame:
        """Return every prediction in the lake, without when, in which run and from which table versions it was made."""
        rows = self.lake.read("daily_predictions").drop(columns=CIRCUMSTANCES)
        return rows.sort_values(["discharge_date", "rank"], ignore_index=True)

    def counts(self, day: str) -> dict[str, int]:
        """Return the exact counts of a day as the lake has them; what is shown of a day hides some."""
        lake, where = self.lake, {"discharge_date": [day]}
        names = ["received", "accepted", "quarantined", "duplicate"]
        taken_in = lake.read("intake_accounting", where=where)[names].sum()
        risks = lake.read("daily_predictions", where=where)["risk"]
        return {**{name: int(taken_in[name]) for name in names}, "scored": int(risks.notna().sum()),
                "withheld": int(risks.isna().sum())}  # fmt: skip

    def landed(self) -> list[str]:
        """Return the days with files."""
        return self.landing.days()

    @property
    def landing(self) -> Landing:
        with self.workspace() as workspace:
            return workspace.landing


def readmission(current: Settings) -> ModelAssets:
    """Return the names of the readmission model's assets."""
    return ModelAssets(models_in_use(current).entries[MODEL], environment_config(current).timezone)


def files_below(folder: Path) -> list[Path]:
    """Return every file below a folder."""
    return [path for path in folder.rglob("*") if path.is_file()]


def _copy(source: str, target: str) -> None:
    if source.endswith(".db"):
        with closing(sqlite3.connect(source)) as there, closing(sqlite3.connect(target)) as here:
            there.backup(here)
    else:
        shutil.copy2(source, target)
