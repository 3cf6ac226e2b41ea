"""Do the invariants hold whatever happens? Kills, races and faults, falsified ledgers and hostile dossiers.

    python -m readmission_platform_tests.benchmarks.invariants [--database sqlite|postgresql|both] [--json]

Training, scoring, promotion, rollback, adoption and approval are killed at every step that they tell and at random
moments, raced against themselves, and kept from writing (a full disk, a connection that the server ends, a registry out
of reach). After every round the same is asked: does the ledger verify, is at most one version in production and
properly so, is what was reported what is recorded, does a reader see the old or the new, is no encounter twice, and can
the next one go on. Beside that, ledgers are falsified in every way that ``support.vandalism`` knows, and dossiers are
damaged or sealed with something hostile in them.

Ends with 0 when everything held, with 1 when something did not, with 2 when it could not be tried. What belongs here:
how many rounds there are, and the report. What does not: a round (``support.ledger_rounds``, ``support.home_rounds``).
"""

import argparse
import json
import logging
import os
import queue
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import Progress, TaskID, TimeElapsedColumn
from rich.table import Column, Table

from readmission_platform.commands.terminal import console
from readmission_platform.governance.demo_approver import DEMO_APPROVER, DEMO_KEY_FILE, Signer
from readmission_platform.governance.dossier import manifest as dossier
from readmission_platform.governance.dossier.folder import read_folder
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.signatures import load_key
from readmission_platform_tests.support import ledger_rounds
from readmission_platform_tests.support.forking import FORKING
from readmission_platform_tests.support.home_rounds import Scoring, Training, put_into_production
from readmission_platform_tests.support.homes import SMALL_COHORT, Home
from readmission_platform_tests.support.hostile_dossiers import (
    problem_with,
    problem_with_content,
    verified_when_damaged,
)
from readmission_platform_tests.support.intruder import Intruder
from readmission_platform_tests.support.ledger_rounds import OPERATIONS, Ledgers
from readmission_platform_tests.support.scenario import MODEL
from readmission_platform_tests.support.throwaway_postgresql import Server, binaries, throwaway_server
from readmission_platform_tests.support.vandalism import WAYS, falsified, fill

KINDS = ("killed at a step", "killed at random", "raced", "faults")
DATABASES = ("sqlite", "postgresql")
MUTATIONS_PER_WAY = 50  # of 12 ways
FOLDERS, CONTENTS = 450, 80
DOSSIERS = "dossiers"
ROOM = 4 * 2**30


@dataclass
class Tally:
    """The rounds of an operation on a database, by kind, and what did not hold."""

    operation: str
    database: str
    rounds: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    violations: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def count(self, kind: str, found: Sequence[str]) -> None:
        """Count a round."""
        self.rounds[kind] += 1
        self.violations += [f"{kind}: {each}" for each in found]


@dataclass
class Attempts:
    """What was tried many times, and how it was not found or did not end well."""

    what: str
    tried: int = 0
    problems: list[str] = field(default_factory=list)

    def count(self, problem: str | None) -> None:
        """Count one attempt."""
        self.tried += 1
        self.problems += [problem] if problem else []


Rounds = Iterator[tuple[str, list[str]]]
Told = Callable[[str, int], None]
Found = tuple[list[Tally], list[Attempts]]


@dataclass(frozen=True)
class Sizes:
    """How many rounds: on small ledgers and in homes, of each operation and database."""

    kills: int
    races: int
    home_kills: int
    home_races: int
    mutations: int
    folders: int
    contents: int


# ------------------------------------------------------------------------------------------------------------- rounds


def on_small_ledgers(ledgers: Ledgers, name: str, sizes: Sizes, random: Random) -> Rounds:
    """Disturb an operation on ledgers of its own: kill it at every step, at random, race it, and let writing fail."""
    steps = OPERATIONS[name].steps
    seconds = ledger_rounds.seconds_of(ledgers, name)
    for number in range(sizes.kills):
        yield KINDS[0], ledger_rounds.killed_at(ledgers, name, steps[number % len(steps)])
        yield KINDS[1], ledger_rounds.killed_after(ledgers, name, random.uniform(0, 1.2 * seconds))
    for number in range(sizes.races):
        yield KINDS[2], ledger_rounds.raced(ledgers, name)
        yield KINDS[3], ledger_rounds.faulty_at(ledgers, name, steps[number % len(steps)])


def in_home(rounds: Training | Scoring, sizes: Sizes, random: Random) -> Rounds:
    """Disturb training or scoring in a home of its own; each begins with what the one before left."""
    steps = rounds.steps
    for number in range(sizes.home_kills):
        yield KINDS[0], rounds.killed_at(steps[number * len(steps) // sizes.home_kills])
        # One moment in each part of the run, so that no part of it is left out by chance.
        yield KINDS[1], rounds.killed_after((number + random.random()) / sizes.home_kills)
    for _ in range(sizes.home_races):
        yield KINDS[3], rounds.full_from(random.choice(steps))
    if isinstance(rounds, Training):
        yield KINDS[3], rounds.without_registry()
        for _ in range(sizes.home_races):
            yield KINDS[2], rounds.raced()
    else:
        for found in rounds.raced(sizes.home_races):
            yield KINDS[2], found
    yield KINDS[3], rounds.undisturbed()


class Bench:
    """A place for homes and ledgers, on one kind of database."""

    def __init__(self, folder: Path, server: Server | None) -> None:
        self._folder, self._server = folder, server
        folder.mkdir()
        self.database = "postgresql" if server else "sqlite"

    def ledgers(self) -> Ledgers:
        """Return where small ledgers are made."""
        return ledger_rounds.PostgresqlLedgers(self._server) if self._server else \
            ledger_rounds.SqliteLedgers(self._folder / "ledgers")  # fmt: skip

    def home(self, name: str) -> Home:
        """Return a new home with one rejected version."""
        urls = {f"READMISSION_{what.upper()}_URL": self._server.emptied(f"{name}_{what}")
                for what in ("ledger", "operations")} if self._server else {}  # fmt: skip
        home = Home.new(self._folder / name / "home", **urls)
        trained = home.command("train", *SMALL_COHORT)
        assert trained.code == 3, trained.err
        return home

    def scoring(self) -> Scoring:
        """Return a home whose day is scored again and again."""
        home = self.home("scoring")
        put_into_production(home)
        replayed = home.command("replay", "--days", "3")
        assert replayed.code == 0, replayed.err
        return Scoring(home)

    def rounds(self, sizes: Sizes, random: Random) -> Iterator[tuple[str, Rounds]]:
        """Yield every operation with its rounds."""
        ledgers = self.ledgers()
        for name in OPERATIONS:
            yield name, on_small_ledgers(ledgers, name, sizes, random)
        if sizes.home_kills:
            yield "train", in_home(Training(self.home("training")), sizes, random)
            yield "score", in_home(self.scoring(), sizes, random)

    def mutations(self, sizes: Sizes) -> Iterator[str | None]:
        """Falsify a ledger in every way; yields how one was not found."""
        url = self._server.emptied("falsified") if self._server else f"sqlite:///{self._folder / 'falsified.db'}"
        with Ledger(url, model=MODEL, environment="local") as ledger:
            fill(ledger, url)
            with closing(Intruder(url)) as intruder:
                intruder.disarm()
                for way in WAYS:
                    yield from falsified(ledger, url, intruder, way, sizes.mutations)


def hostile_dossiers(folder: Path, sizes: Sizes, random: Random) -> Iterator[str | None]:
    """Verify dossiers that were damaged or hold something hostile; yields how one did not end as promised."""
    home = Home.new(folder / "home")
    assert home.command("train", *SMALL_COHORT).code == 3
    put_into_production(home)  # for a ledger with every kind of event
    made = folder / "dossier"
    outcome = home.command("dossier", "1", "--out", str(made))
    assert outcome.code == 0, outcome.err
    for _ in range(sizes.folders):
        damage, outcome = verified_when_damaged(home, made, folder / "damaged", random)
        problem = problem_with(outcome)
        yield f"{damage}: {problem}" if problem else None
    files = read_folder(made)
    manifest = files.pop(dossier.MANIFEST)
    signer = Signer(DEMO_APPROVER, load_key(home.path / "keys" / DEMO_KEY_FILE), demo=True)
    for _ in range(sizes.contents):
        yield problem_with_content(manifest, files, signer, random)


def measure_on(bench: Bench, sizes: Sizes, seed: int, told: Told) -> Found:
    """Try everything on a kind of database; ``told`` hears what is being tried, and how many rounds of it are done."""
    tallies = []
    for name, rounds in bench.rounds(sizes, Random(seed)):
        tally = Tally(name, bench.database)
        began = time.monotonic()
        for number, (kind, found) in enumerate(rounds, start=1):
            tally.count(kind, found)
            told(f"{name}, {bench.database}", number)
        tally.seconds = round(time.monotonic() - began, 1)
        tallies.append(tally)
    return tallies, [_attempted(f"ledger mutations found, {bench.database}", bench.mutations(sizes), told)]


def measure_dossiers(folder: Path, sizes: Sizes, seed: int, told: Told) -> Found:
    """Verify hostile dossiers."""
    tried = hostile_dossiers(folder, sizes, Random(seed))
    return [], [_attempted("hostile dossiers refused without a traceback", tried, told)]


def _attempted(what: str, tried: Iterator[str | None], told: Told) -> Attempts:
    attempts = Attempts(what)
    for problem in tried:
        attempts.count(problem)
        told(what, attempts.tried)
    return attempts


def measure(databases: Sequence[str], sizes: Sizes, seed: int, told: Told) -> Found:
    """Try everything, each kind of database and the dossiers in a process of its own, at the same time.

    Raises
    ------
    RuntimeError
        When one of these processes failed; it has said why.
    """
    parts = [*databases, *([DOSSIERS] if sizes.folders + sizes.contents else [])]
    said = FORKING.Queue()
    with tempfile.TemporaryDirectory(prefix="invariants-", dir=_quick_folder()) as folder:
        running = {part: FORKING.Process(target=_measure_part, args=(part, Path(folder) / part, sizes, seed, said))
                   for part in parts}  # fmt: skip
        for process in running.values():
            process.start()
        try:
            results = _results(running, said, told)
        except BaseException:
            for process in running.values():
                process.kill()
            raise
        finally:
            for process in running.values():
                process.join()
    found = [results[part] for part in parts]
    return [tally for tallies, _ in found for tally in tallies], [each for _, attempts in found for each in attempts]


def _results(running: Mapping[str, Any], said: Any, told: Told) -> dict[str, Found]:
    results: dict[str, Found] = {}
    while len(results) < len(running):
        try:
            part, what, number = said.get(timeout=5)
        except queue.Empty:
            failed = [part for part, process in running.items() if part not in results and not process.is_alive()]
            if failed and said.empty():
                raise RuntimeError(f"{failed[0]}: the process that tried this failed") from None
            continue
        if isinstance(what, str):
            told(what, number)
        else:
            results[part] = what
    return results


def _quick_folder() -> str | None:
    """Return a folder in memory, where there is one with room: a process that is killed loses nothing it had written.

    Waiting for a disk is a third of what a round in a home takes.
    """
    memory = Path("/dev/shm")
    return str(memory) if memory.is_dir() and shutil.disk_usage(memory).free > ROOM else None


def _measure_part(part: str, folder: Path, sizes: Sizes, seed: int, said: Any) -> None:
    warnings.showwarning = lambda *_, **__: None  # libraries set the filters again
    logging.getLogger("dagster").setLevel(logging.ERROR)

    def told(what: str, number: int) -> None:
        said.put((part, what, number))

    programs = binaries()
    with throwaway_server(programs) if part == "postgresql" and programs else nullcontext() as server:
        found = (measure_dossiers(folder, sizes, seed, told) if part == DOSSIERS
                 else measure_on(Bench(folder, server), sizes, seed, told))  # fmt: skip
    said.put((part, found, 0))


# ------------------------------------------------------------------------------------------------------------- report


def print_report(out: Console, tallies: Sequence[Tally], attempts: Sequence[Attempts]) -> None:
    """Print a line per operation and database, one per kind of attempt, and every violation."""
    table = Table("operation", "database", *(Column(name, justify="right") for name in (*KINDS, "rounds", "violations",
                  "seconds")), box=box.SIMPLE_HEAD)  # fmt: skip
    for each in tallies:
        counts = [str(each.rounds[kind]) for kind in KINDS]
        table.add_row(each.operation, each.database, *counts, str(sum(each.rounds.values())),
                      str(len(each.violations)), f"{each.seconds:.0f}")  # fmt: skip
    table.add_section()
    totals = [sum(each.rounds[kind] for each in tallies) for kind in KINDS]
    table.add_row("all", "", *map(str, totals), str(sum(totals)), str(sum(len(each.violations) for each in tallies)),
                  f"{sum(each.seconds for each in tallies):.0f}")  # fmt: skip
    out.print(table)
    for attempt in attempts:
        out.print(f"{attempt.what}: {attempt.tried - len(attempt.problems)} of {attempt.tried}")
    for tally in tallies:
        for violation in tally.violations:
            out.print(f"  {tally.operation}, {tally.database}: {violation}", markup=False, soft_wrap=True)
    for attempt in attempts:
        for problem in attempt.problems:
            out.print(f"  {problem}", markup=False, soft_wrap=True)
    out.print("The invariants hold." if holds(tallies, attempts) else "The invariants do NOT hold.")


def holds(tallies: Sequence[Tally], attempts: Sequence[Attempts]) -> bool:
    """Tell whether nothing was violated."""
    return not any(each.violations for each in tallies) and not any(each.problems for each in attempts)


def to_json(tallies: Sequence[Tally], attempts: Sequence[Attempts]) -> dict[str, Any]:
    """Return everything that was counted, for machines."""
    return {
        "holds": holds(tallies, attempts),
        "rounds": sum(sum(each.rounds.values()) for each in tallies),
        "operations": [asdict(each) for each in tallies],
        "attempts": [asdict(each) for each in attempts],
    }


@contextmanager
def _progress() -> Iterator[Told]:
    """Show what is being tried: a line that lives on a terminal, a line for each thing in a log."""
    out = console(stderr=True)
    if not out.is_terminal:
        yield lambda what, done: out.print(what, markup=False) if done == 1 else None
        return
    with Progress("{task.description}", "{task.completed:.0f}", TimeElapsedColumn(), console=out) as shown:
        tasks: dict[str, TaskID] = {}

        def told(what: str, done: int) -> None:
            if what not in tasks:
                tasks[what] = shown.add_task(what, total=None)
            shown.update(tasks[what], completed=done)

        yield told


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="invariants", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--database", choices=[*DATABASES, "both"], default="both")
    parser.add_argument("--kills", type=int, default=16, help="at steps, and as many at random, of each operation")
    parser.add_argument("--races", type=int, default=10, help="and as many faults, of each operation on the ledger")
    parser.add_argument("--home-kills", type=int, default=8, help="the same, of training and of scoring; 0: neither")
    parser.add_argument("--home-races", type=int, default=2, help="the same, of training and of scoring")
    parser.add_argument("--mutations", type=int, default=MUTATIONS_PER_WAY, help="of each way to falsify a ledger")
    parser.add_argument("--folders", type=int, default=FOLDERS, help="dossiers that are damaged")
    parser.add_argument("--contents", type=int, default=CONTENTS, help="dossiers that hold something hostile")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Try everything; returns the exit code."""
    asked = _asked(arguments)
    os.environ["PYTHONWARNINGS"] = "ignore"  # for the processes that are killed
    sizes = Sizes(asked.kills, asked.races, asked.home_kills, asked.home_races, asked.mutations, asked.folders,
                  asked.contents)  # fmt: skip
    databases = DATABASES if asked.database == "both" else (asked.database,)
    if "postgresql" in databases and binaries() is None:
        print("there is no PostgreSQL here: install it, or give --database sqlite", file=sys.stderr)
        return 2
    with _progress() as told:
        tallies, attempts = measure(databases, sizes, asked.seed, told)
    if asked.json:
        print(json.dumps(to_json(tallies, attempts), indent=1))
    else:
        print_report(console(wide=160), tallies, attempts)
    return 0 if holds(tallies, attempts) else 1


if __name__ == "__main__":
    raise SystemExit(main())
