"""The time of a whole life and of what is asked of it afterwards, as ratios to a bare script measured beside it.

    python -m readmission_platform_tests.benchmarks.whole_life --archive PATH [--rounds N] [--json]

Each round runs the bare script (``bare_script``), the whole life in a new home (``readmission run``), and the script
again, so that what the machine does meanwhile slows both down. Then the commands that people wait for are run in the
last home. Every figure is that of one process with all it starts: wall time, time on the processors, peak memory.

What belongs here: running and comparing. What does not: a day's operation (``daily_operation``).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from readmission_platform.commands.terminal import console
from readmission_platform.storage.lake import Lake

READMISSION = Path(sys.executable).parent / "readmission"
BARE = ("-m", "readmission_platform_tests.benchmarks.bare_script")
# A key decides the folds: with this one every round fits the same models.
KEY = "5a" * 32
MODEL = "readmission_30d"


@dataclass(frozen=True)
class Spent:
    """Seconds on the wall and on the processors, and the largest resident set of one of the processes in MB."""

    seconds: float
    processor_seconds: float
    megabytes: float


MEASURED = """
import resource, subprocess, sys, time
began = time.monotonic(); done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
wrong = done.returncode not in (0, 3)  # 3: a dry run of what is refused, which is what it is asked for
sys.stderr.write(done.stderr if wrong else "")
print(time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss); sys.exit(wrong and done.returncode)
"""


def spent(home: Path, *command: str | Path) -> Spent:
    """Run a command in a home and measure it; its errors are shown when it fails."""
    environment = os.environ | {"READMISSION_HOME": str(home), "DAGSTER_HOME": str(home / "dagster")}
    called = [sys.executable, "-c", MEASURED, *map(str, command)]
    done = subprocess.run(called, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    seconds, processor, peak = map(float, done.stdout.split())
    return Spent(seconds, processor, peak / (1024**2 if sys.platform == "darwin" else 1024))


def new_home(folder: Path) -> Path:
    """Return a home that has its key and nothing else."""
    keys = folder / "keys"
    keys.mkdir(parents=True, mode=0o700)
    (keys / "pseudonyms.key").write_text(KEY)
    return folder


def asked_afterwards(home: Path) -> dict[str, tuple[str, ...]]:
    """Return the commands that people wait for, by what they are called."""
    scored = Lake(home / "lake" / MODEL).read("daily_predictions", columns=["encounter_id"])
    commands = ("status", "gates 1", "promote --version 1 --to-stage production --dry-run", "verify 1", "worklist",
                f"trace {scored['encounter_id'].iloc[-1]}", "review 1", "card 1", "report 1")  # fmt: skip
    return {" ".join(command.split()[:1]): tuple(command.split()) for command in commands}


def report_of(archive: Path, *, rounds: int) -> dict[str, Any]:
    """Measure, and return everything by name; ratios are to the mean of the bare scripts beside it."""
    bare, lives = [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            home = new_home(Path(folder) / f"life{number}")
            before = spent(home, sys.executable, *BARE, archive)
            lives.append(spent(home, READMISSION, "run", "--source", "uci", "--archive", archive))
            after = spent(home, sys.executable, *BARE, archive)
            bare.append((before.seconds + after.seconds) / 2)
        ratios = [life.seconds / script for life, script in zip(lives, bare, strict=True)]
        asked = {name: spent(home, READMISSION, *command) for name, command in asked_afterwards(home).items()}
        last_bare = spent(home, sys.executable, *BARE, archive)
    return {
        "bare_script_seconds": bare,
        "whole_life": [asdict(life) for life in lives],
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "asked": {name: asdict(one) | {"ratio": one.seconds / last_bare.seconds} for name, one in asked.items()},
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archive", type=Path, required=True, help="local copy of the real data")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    found = report_of(given.archive.absolute(), rounds=given.rounds)
    if given.json:
        json.dump(found, sys.stdout, indent=1)
        return
    table = Table("what", "seconds", "on the processors", "peak MB", "ratio to the bare script", box=box.SIMPLE)
    table.add_row("bare script", f"{statistics.median(found['bare_script_seconds']):.1f}", "", "", "1.00")
    for life, ratio in zip(found["whole_life"], found["ratios"], strict=True):
        table.add_row("whole life", *_cells(life), f"{ratio:.2f}")
    for name, one in found["asked"].items():
        table.add_row(name, *_cells(one), f"{one['ratio']:.2f}")
    console(wide=120).print(table)


def _cells(spent: dict[str, float]) -> list[str]:
    return [f"{spent['seconds']:.1f}", f"{spent['processor_seconds']:.1f}", f"{spent['megabytes']:,.0f}"]


if __name__ == "__main__":
    main()
