"""How long the definitions take to load, with one, two and ten models, as a ratio to importing Dagster alone.

Each round loads everything once in a process of its own, one after the other, so that a busy machine slows all alike;
the medians are compared. Run it as ``python -m readmission_platform_tests.benchmarks.definitions_load``.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import yaml

from readmission_platform.config.environment import PROJECT_ROOT

OURS, OTHER = "readmission_30d", "frequent_visits"
ALONE, DAGSTER = "dagster alone", "import dagster"
DEFINITIONS = "import readmission_platform.definitions as loaded; loaded.defs.get_repository_def()"
_PROGRAM = "import time; began = time.perf_counter(); {what}; print(time.perf_counter() - began)"


def configs_of(models: int, folder: Path) -> Path:
    """Write a configuration of so many models: the two that ship, and copies of the first, which shares its feed."""
    configs = folder / "configs"
    shutil.copytree(PROJECT_ROOT / "configs", configs)
    for number in range(3, models + 1):
        copied = configs / "models" / f"copy_{number}"
        shutil.copytree(configs / "models" / OURS, copied)
        file = copied / "defs.yaml"
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        content["attributes"] |= {"prefix": copied.name}
        file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return configs


def seconds(what: str, variables: dict[str, str]) -> float:
    """Return how long a statement takes in a new process."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(what=what)], cwd=PROJECT_ROOT, env=os.environ | variables,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return float(done.stdout)


def measure(rounds: int, folder: Path) -> dict[str, float]:
    """Return the median seconds of each: Dagster alone, then the definitions by number of models."""
    home = {"READMISSION_HOME": str(folder / "home"), "READMISSION_CONFIGS": str(configs_of(10, folder))}
    ten = [OURS, OTHER, *(f"copy_{number}" for number in range(3, 11))]
    variables = {f"{models} models": {**home, "READMISSION_MODELS": ",".join(ten[:models])} for models in (1, 2, 10)}
    variables = {ALONE: home, **variables}
    taken: dict[str, list[float]] = {name: [] for name in variables}
    for _ in range(rounds):
        for name, given in variables.items():
            taken[name].append(seconds(DAGSTER if name == ALONE else DEFINITIONS, given))
    return {name: median(each) for name, each in taken.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the medians and what they come to; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print JSON instead of lines")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        found = measure(asked.rounds, Path(scratch))
    dagster = found[ALONE]
    if asked.json:
        print(json.dumps(found))
        return 0
    for name, each in found.items():
        print(f"{name}: {each:.2f} s, {each / dagster:.2f} times importing Dagster")
    return 0


if __name__ == "__main__":
    sys.exit(main())
