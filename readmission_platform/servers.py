"""Starting the web servers that show the platform: Dagster's UI with its daemon, and MLflow's.

What belongs here: a free port, the environment, and handing the terminal over. What does not: anything they show.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from readmission_platform.config.environment import PROJECT_ROOT, Settings
from readmission_platform.foundation.errors import Unavailable

DAGSTER_PORTS = range(3000, 3050)
MLFLOW_PORTS = range(5000, 5050)
# Only this machine: neither server asks who is there (see ``webserver``).
HOST = "127.0.0.1"
_LOOK_SECONDS, _END_SECONDS = 0.2, 20


def serve_dagster(settings: Settings, *, port: int | None) -> None:
    """Run Dagster's web server, behind its guard, and its daemon on the workspace of the checkout, until stopped."""
    chosen = port or free_port(DAGSTER_PORTS)
    environment = {"DAGSTER_HOME": str(settings.dagster_home), "READMISSION_HOME": str(settings.home)}
    workspace = ["-w", str(PROJECT_ROOT / "workspace.yaml")]
    _announce("Dagster", chosen)
    _run_together(
        [sys.executable, "-m", "readmission_platform.webserver", *workspace, "-h", HOST, "-p", str(chosen)],
        [sys.executable, "-m", "readmission_platform.daemon", "run", *workspace],
        environment=environment,
    )


def serve_mlflow(settings: Settings, experiments: Mapping[str, str], *, port: int | None) -> None:
    """Replace this process by MLflow's UI on the home's experiments.

    Parameters
    ----------
    experiments
        Of each model, by its name, the id of its experiment.
    """
    chosen = port or free_port(MLFLOW_PORTS)
    command = [
        "mlflow",
        "ui",
        "--backend-store-uri",
        settings.mlflow_database,
        "--host",
        HOST,
        "--port",
        str(chosen),
    ]
    _announce("MLflow", chosen)
    for model, experiment in experiments.items():
        # Without the type of work, MLflow shows what a browser looked at last, and at first that is generative AI.
        page = f"http://{HOST}:{chosen}/#/experiments/{experiment}/runs?workflowType=machine_learning"
        print(f"  runs of {model}: {page}", flush=True)
        print(f"  registered versions of {model}: http://{HOST}:{chosen}/#/models/{model}", flush=True)
    _hand_over(command, {"MLFLOW_DISABLE_TELEMETRY": "true"})


def free_port(candidates: range) -> int:
    """Return the first port of the candidates that nobody listens on.

    Raises
    ------
    Unavailable
        When all are taken.
    """
    for port in candidates:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise Unavailable(f"ports {candidates.start} to {candidates.stop - 1} are all taken; give one with --port")


def _hand_over(command: list[str], environment: dict[str, str]) -> None:
    program = _program(command[0])
    os.execve(program, [str(program), *command[1:]], {**os.environ, **environment})  # noqa: S606 - no shell is wanted


def _run_together(*commands: list[str], environment: dict[str, str]) -> None:
    """Run programs until one of them ends or this process is asked to stop, then end all of them."""
    started = [subprocess.Popen(command, env={**os.environ, **environment}) for command in commands]

    def stop(*_: object) -> None:
        for each in started:
            each.terminate()

    for wanted in (signal.SIGINT, signal.SIGTERM):
        signal.signal(wanted, stop)
    while all(each.poll() is None for each in started):
        time.sleep(_LOOK_SECONDS)
    stop()
    for each in started:
        try:
            each.wait(timeout=_END_SECONDS)
        except subprocess.TimeoutExpired:
            each.kill()


def _program(name: str) -> Path:
    return Path(sys.executable).with_name(name)


def _announce(name: str, port: int) -> None:
    print(f"{name}: http://{HOST}:{port} (stop with Ctrl-C)", flush=True)
