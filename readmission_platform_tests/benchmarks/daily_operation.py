"""What a day costs: from landing file to work list, its drift run, and a year filled at once.

Each figure is one process, as a scheduler would start it: wall time and the peak memory of the process.

    python -m readmission_platform_tests.benchmarks.daily_operation [--archive ZIP] [--repeats N]
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd

from readmission_platform.encounters.contract import LANDING
from readmission_platform.storage.lake import Lake
from readmission_platform.storage.landing import Landing

READMISSION = Path(sys.executable).parent / "readmission"
DAGSTER = Path(sys.executable).parent / "dagster"
MONITORING = ("job", "execute", "-m", "readmission_platform.definitions", "-j", "monitoring_job")
DAILY = 27
YEAR = 367  # 9,934 encounters at 27 a day; the last day is not full and stays out
SHADOW_DAYS = 8
DAY_OF = 30


@dataclass(frozen=True)
class Spent:
    """Seconds on the wall, and the largest resident set of the process and its children in MB."""

    seconds: float
    megabytes: float


def spent(home: Path, *command: str | Path) -> Spent:
    """Run a command in a home and measure it; its output is shown only when it fails."""
    environment = os.environ | {"READMISSION_HOME": str(home), "DAGSTER_HOME": str(home / "dagster")}
    measured = (
        "import resource, subprocess, sys, time\n"
        "began = time.monotonic(); done = subprocess.run(sys.argv[1:], capture_output=True, text=True)\n"
        "peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss\n"
        "sys.stderr.write(done.stderr if done.returncode else '')\n"
        "print(time.monotonic() - began, peak); sys.exit(done.returncode)"
    )
    done = subprocess.run(
        [sys.executable, "-c", measured, *map(str, command)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    seconds, peak = map(float, done.stdout.split())
    return Spent(seconds, peak / (1024**2 if sys.platform == "darwin" else 1024))


def accept_drift(home: Path) -> None:
    """Let the demo approver accept whatever has drifted, without which the version would not go live."""
    environment = os.environ | {"READMISSION_HOME": str(home), "DAGSTER_HOME": str(home / "dagster")}
    told = subprocess.run(
        [READMISSION, "drift", "list", "--json"], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    columns = {one["column"] for each in json.loads(told.stdout)["versions"] for one in each["drifted"]}
    if columns:
        until = (datetime.now(UTC).date() + timedelta(days=30)).isoformat()
        spent(home, READMISSION, "drift", "accept", *sorted(columns), "--until", until, "--reason", "measured")


def lived_in(folder: Path, source: list[str]) -> Path:
    """Bring a version into production and land a year of days, of which the first are scored; returns the home."""
    home = folder / "year"
    first = (datetime.now(UTC).date() - timedelta(days=YEAR + 1)).isoformat()
    spent(home, READMISSION, "train", *source)
    spent(home, READMISSION, "promote", "--version", "1", "--to-stage", "staging")
    spent(home, READMISSION, "replay", "--days", str(days_to_replay(home)), "--start", first)
    days = Landing(home / "landing", LANDING).days()
    spent(home, READMISSION, "score", "--from", days[0], "--to", days[SHADOW_DAYS - 1])
    spent(home, READMISSION, "approve", "--version", "1", "--reason", "measured")
    spent(home, READMISSION, "drift", "judge")
    accept_drift(home)
    spent(home, READMISSION, "promote", "--version", "1", "--to-stage", "production")
    return home


def days_to_replay(home: Path) -> int:
    """Return how many whole days the replay stream holds, at most a year."""
    encounters = Lake(home / "lake" / "readmission_30d").read(
        "eligible_encounters", columns=["part"], where={"part": ["replay"]}
    )
    return min(YEAR, len(encounters) // DAILY)


def land_a_day(home: Path) -> str:
    """Land a day of thirty discharges after the last one: new encounters of patients who were there before."""
    landing = Landing(home / "landing", LANDING)
    days = landing.days()
    cells = pd.concat(
        [pd.DataFrame(landing.read_day(day)[0].cells) for day in days[-2:]], ignore_index=True
    ).head(DAY_OF)  # fmt: skip
    numbers = pd.to_numeric(cells["encounter_id"]) + 900_000_000
    day = (datetime.fromisoformat(days[-1]) + timedelta(days=1)).date().isoformat()
    landing.write_rows(day, cells.assign(encounter_id=numbers.astype(str)))
    return day


def report(what: str, runs: list[Spent]) -> None:
    """Print the medians of some runs."""
    seconds = statistics.median(run.seconds for run in runs)
    peak = statistics.median(run.megabytes for run in runs)
    print(f"{seconds:6.1f} s  {peak:6.0f} MB  {what}, median of {len(runs)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--archive", type=Path, help="local copy of the real data; without it the synthetic cohort")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    source = ["--source", "uci", "--archive", str(given.archive.absolute())] if given.archive else []
    with tempfile.TemporaryDirectory() as folder:
        home = lived_in(Path(folder), source)
        left = Landing(home / "landing", LANDING).days()[SHADOW_DAYS:]
        filled = spent(home, READMISSION, "score", "--from", left[0], "--to", left[-1])
        report(f"{len(left)} days filled in one run, files to work lists", [filled])
        report("their drift report, every window", [spent(home, DAGSTER, *MONITORING)])
        ordinary, drift = [], []
        for number in range(given.repeats):
            copy = Path(folder) / f"day{number}"
            shutil.copytree(home, copy)
            ordinary.append(spent(copy, READMISSION, "score", "--date", land_a_day(copy)))
            drift.append(spent(copy, DAGSTER, *MONITORING))
        report(f"one day of {DAY_OF}, file to work list", ordinary)
        report("its monitoring run", drift)


if __name__ == "__main__":
    main()
