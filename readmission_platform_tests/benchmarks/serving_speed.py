"""The service beside other servers of the same model: requests a second, percentiles, start, memory.

Every server has one worker and is asked by the same closed loop of clients, one after the other, round after round; the
machine should be idle. The service looks up history, checks the row, logs the prediction and asks for a token; the
others are given the model's inputs and do none of that.

    python -m readmission_platform_tests.benchmarks.serving_speed [--seconds 60] [--rounds 1] [--bento] [--json]

READMISSION_HOME names a home with a version in production; without it one is made.
"""

import argparse
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from readmission_platform.config.environment import Settings
from readmission_platform.governance.ledger.versions import version_records
from readmission_platform.lifecycle.days.scoring import InputVersions, known_rows
from readmission_platform.lifecycle.workspace import Platform, Workspace
from readmission_platform.models.single_rows import plain
from readmission_platform.serving.tokens import create_token, revoke_token, tokens_file
from readmission_platform_tests.benchmarks.closed_loop import closed_loop
from readmission_platform_tests.benchmarks.serving_peers import Peer, bento_environment, peers

READMISSION = Path(sys.executable).parent / "readmission"
MODEL, TOKEN = "readmission_30d", "benchmark"
PORT, CLIENTS, WARM_SECONDS, ROWS = 18_080, (1, 8, 64), 3.0, 200
OURS, WITH_REASONS = "readmission serve", "readmission serve, with reasons"


@dataclass
class Measured:
    """What was measured of a server, round by round."""

    name: str
    ready_seconds: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)
    loops: dict[int, list[dict[str, Any]]] = field(default_factory=dict)

    def median(self, clients: int, figure: str) -> float | None:
        """Return the median of a figure over the rounds."""
        found = [loop[figure] for loop in self.loops.get(clients, []) if loop[figure] is not None]
        return statistics.median(found) if found else None

    def to_json(self, base: "Measured | None") -> dict[str, Any]:
        """Return the figures, and requests a second as a ratio to those of another server."""
        ratios = {}
        for clients in self.loops:
            own, other = (each.median(clients, "requests_per_second") if each else None for each in (self, base))
            ratios[str(clients)] = round(own / other, 2) if own and other else None
        return {"server": self.name, "ready_seconds": self.ready_seconds, "megabytes": self.megabytes,
                "loops": {str(clients): rounds for clients, rounds in self.loops.items()},
                "requests_ratio_to_mlflow": ratios}  # fmt: skip


def main() -> None:
    """Measure and print."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--seconds", type=float, default=60, help="of each loop")
    asked.add_argument("--rounds", type=int, default=1)
    asked.add_argument("--bento", nargs="?", const="new", metavar="PYTHON",
                       help="measure BentoML too: of an environment, or installed for this")  # fmt: skip
    asked.add_argument("--json", action="store_true")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="serving-") as folder:
        home = Path(os.environ.get("READMISSION_HOME") or _lived(Path(folder) / "home"))
        bento = Path(given.bento) if given.bento else None
        if given.bento == "new":
            bento = bento_environment(Path(folder) / "bento")
        found = measured(home, seconds=given.seconds, rounds=given.rounds, bento=bento)
    mlflow = next((each for each in found if each.name == "MLflow"), None)
    if given.json:
        print(json.dumps([each.to_json(mlflow) for each in found]))
    else:
        Console(width=140).print(_table(found, mlflow))


def measured(home: Path, *, seconds: float, rounds: int, bento: Path | None) -> list[Measured]:
    """Measure every server on the version in production of a home."""
    workspace = Platform(Settings(home=home)).model(MODEL)
    with workspace.ledger() as ledger:
        events, pointers = ledger.snapshot()
    record = version_records(events, pointers)[str(pointers["production"].version)]
    artifact = workspace.registry.root / str(record.artifact_path)
    rows, inputs = _rows(workspace, record.cohort_version)
    others = peers(artifact, port=PORT, bento=bento, package=MODEL, estimator="ReadmissionEstimator")
    path = tokens_file(workspace.settings)
    token = create_token(path, TOKEN, ["score", "read"], None)
    bodies = {
        OURS: [{"rows": [row], "explain": False} for row in rows],
        WITH_REASONS: [{"rows": [row]} for row in rows],
    }
    found = {name: Measured(name) for name in (*bodies, *(peer.name for peer in others))}
    try:
        with Progress(console=Console(stderr=True)) as progress:
            task = progress.add_task("loops", total=rounds * len(found) * len(CLIENTS))
            for _ in range(rounds):
                for name, bodies_of in bodies.items():
                    with _ours(home, found[name]) as pid:
                        _loops(found[name], f"/v1/models/{MODEL}/score", bodies_of, seconds, token, pid,
                               lambda: progress.advance(task))  # fmt: skip
                for peer in others:
                    with _peer(peer, found[peer.name], peer.bodies(inputs[:1])[0]) as pid:
                        _loops(found[peer.name], peer.path, peer.bodies(inputs), seconds, "", pid,
                               lambda: progress.advance(task))  # fmt: skip
    finally:
        revoke_token(path, TOKEN)
    return list(found.values())


def _loops(
    into: Measured, path: str, bodies: list[dict[str, Any]], seconds: float, token: str, pid: int, told: Any
) -> None:
    closed_loop("127.0.0.1", PORT, path, bodies, clients=4, seconds=WARM_SECONDS, token=token)
    for clients in CLIENTS:
        loop = closed_loop("127.0.0.1", PORT, path, bodies, clients=clients, seconds=seconds, token=token)
        into.loops.setdefault(clients, []).append(loop.to_json())
        told()
    into.megabytes.append(_megabytes(pid))


def _rows(workspace: Workspace, cohort: int) -> tuple[list[dict[str, Any]], Any]:
    """Return delivered rows as a client sends them, and their inputs as the other servers get them."""
    contract, lake = workspace.contract, workspace.lake
    delivered = lake.read(lake.names.delivered).head(ROWS)
    inputs = contract.data.inputs_of(delivered, known_rows(lake, delivered, InputVersions.newest(lake, cohort)))
    landed = {}
    for day in sorted(set(delivered[contract.day])):
        for file in workspace.landing.read_day(day):
            rows = plain(file.cells) if file.cells is not None else []
            landed |= {row[contract.row]: {**row, contract.day: day} for row in rows}
    return [landed[str(number)] for number in delivered[contract.row]], inputs


@contextmanager
def _ours(home: Path, into: Measured) -> Iterator[int]:
    command = [str(READMISSION), "serve", "--model", MODEL, "--port", str(PORT), "--no-request-log"]
    environment = {**os.environ, "READMISSION_HOME": str(home)}
    with _running(command, environment, into, lambda: _asks("/readyz", None)) as pid:
        yield pid


@contextmanager
def _peer(peer: Peer, into: Measured, body: dict[str, Any]) -> Iterator[int]:
    with _running(list(peer.command), peer.environment, into, lambda: _asks(peer.path, body)) as pid:
        yield pid


@contextmanager
def _running(command: list[str], environment: dict[str, str], into: Measured, ready: Any) -> Iterator[int]:
    """Start a server in a group of its own, wait until it answers, and end it with all that it started."""
    began = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        server = subprocess.Popen(command, env=environment, stdout=said, stderr=said, start_new_session=True)
        try:
            while not ready():
                if server.poll() is not None or time.perf_counter() - began > 120:
                    said.seek(0)
                    raise RuntimeError(f"{into.name} did not start: {said.read()[-2000:].decode(errors='replace')}")
                time.sleep(0.02)
            into.ready_seconds.append(round(time.perf_counter() - began, 2))
            yield server.pid
        finally:
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)
                try:
                    server.wait(20)
                except subprocess.TimeoutExpired:
                    os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _asks(path: str, body: dict[str, Any] | None) -> bool:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{PORT}{path}", data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _megabytes(pid: int) -> float:
    """Return the resident memory of the largest process that a server consists of."""
    sizes = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
            if os.getpgid(int(status.parent.name)) == pid and "VmRSS" in fields:
                sizes.append(int(fields["VmRSS"].split()[0]) / 1024)
        except (OSError, ProcessLookupError):
            continue
    return round(max(sizes, default=resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024), 1)


def _lived(home: Path) -> Path:
    command = [READMISSION, "run", "--model", MODEL, "--encounters", "14000", "--seed", "21", "--json"]
    environment = {**os.environ, "READMISSION_HOME": str(home)}
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return home


_SHOWN = ("p50_ms", "p95_ms", "p99_ms", "inside_p50_ms", "inside_p99_ms")


def _table(found: list[Measured], mlflow: Measured | None) -> Table:
    table = Table("server", "clients", "requests/s", "to MLflow", "p50 ms", "p95 ms", "p99 ms", "inside p50",
                  "inside p99", "failed", "ready s", "MB")  # fmt: skip
    for each in found:
        for clients in each.loops:
            rate, base = (one.median(clients, "requests_per_second") if one else None for one in (each, mlflow))
            figures = [each.median(clients, name) for name in _SHOWN]
            failed = sum(loop["failed"] for loop in each.loops[clients])
            table.add_row(
                each.name,
                str(clients),
                f"{rate:.0f}",
                f"{rate / base:.1f}" if rate and base else "",
                *(f"{figure:.2f}" if figure is not None else "" for figure in figures),
                str(failed),
                f"{statistics.median(each.ready_seconds):.1f}",
                f"{statistics.median(each.megabytes):.0f}",
            )
    return table


if __name__ == "__main__":
    main()
