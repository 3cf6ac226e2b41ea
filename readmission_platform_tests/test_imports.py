"""What importing a room costs: the rooms below Dagster open without it, and evaluation without any heavy library."""

import subprocess
import sys

import pytest

from readmission_platform_tests.support.homes import Home

ROOMS_BELOW_DAGSTER = ["foundation", "config", "governance", "operations", "storage", "lifecycle", "reports", "models",
                       "serving"]  # fmt: skip


def loaded_by(package: str, names: list[str]) -> list[str]:
    """Return which of the libraries are loaded once every module of a package has been imported."""
    script = f"""
import importlib, pkgutil, sys
package = importlib.import_module("readmission_platform.{package}")
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    if not module.name.endswith(".on_ray"):  # Ray imports it, where it is installed
        importlib.import_module(module.name)
print(" ".join(name for name in {names!r} if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize("room", ROOMS_BELOW_DAGSTER)
def test_a_room_below_dagster_opens_without_dagster_and_mlflow(room):
    assert loaded_by(room, ["dagster", "dagster_mlflow", "mlflow"]) == []


def test_a_worker_of_the_service_answers_without_what_only_training_needs(lived_home: Home):
    script = """
import sys
from readmission_platform.config.environment import settings
from readmission_platform.models.probes import example_row
from readmission_platform.serving.answering import Request
from readmission_platform.serving.service import Service
service = Service(settings(), ["readmission_30d"])
for follower in service.following.followers.values():
    follower.look()
served = service.model("readmission_30d")
row = example_row(served.follower.workspace.contract)
asked = served.answering.read([row])
(answered,) = served.answering.answers(asked, served.snapshot(), Request("1", "test"))
assert answered.answer.status == "scored", answered
heavy = ("sklearn", "skops", "matplotlib", "evidently", "pandera", "mlflow", "dagster", "statsmodels", "scipy.stats")
print("heavy:", [name for name in heavy if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], env=lived_home.environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "heavy: []"


def test_evaluation_loads_no_heavy_library():
    assert loaded_by("evaluation", ["sklearn", "scipy", "matplotlib", "mlflow", "dagster", "deltalake"]) == []


def loaded_while(home: Home, command: tuple[str, ...], names: tuple[str, ...]) -> list[str]:
    """Return which of the libraries are loaded when a command in a process of its own ends."""
    script = f"""
import sys
from readmission_platform import cli
sys.argv = ["readmission", *{command!r}]
try:
    cli.main()
except SystemExit:
    pass
print("\\n" + " ".join(name for name in {names!r} if name in sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], env=home.environment, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()[-1].split()


@pytest.mark.parametrize("command", [("status",), ("gates", "1"), ("status", "--model", "nobody")], ids=" ".join)
def test_what_is_live_and_how_it_did_at_the_gates_is_said_without_any_heavy_library(
    trained_home: Home, command: tuple[str, ...]
):
    assert loaded_while(trained_home, command, ("pandas", "numpy", "deltalake", "mlflow", "dagster")) == []


def test_a_dry_run_decides_without_dagster(trained_home: Home):
    dry_run = ("promote", "--version", "1", "--to-stage", "staging", "--dry-run")
    assert loaded_while(trained_home, dry_run, ("mlflow", "dagster", "deltalake")) == ["deltalake"]
