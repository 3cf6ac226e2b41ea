"""Starting the web servers that show the platform: Dagster's UI with its daemon, and MLflow's.

What belongs here: a free port, the environment, and handing the terminal over. What does not: anything they show.
"""

import os
import socket
import sys
from pathlib import Path

from readmission_platform.config.environment import PROJECT_ROOT, Settings
from readmission_platform.foundation.errors import Unavailable

DAGSTER_PORTS = range(3000, 3050)
MLFLOW_PORTS = range(5000, 5050)
# Only this machine: neither server asks who is there.
HOST = "127.0.0.1"


def serve_dagster(settings: Settings, *, port: int | None) -> None:
    """Replace this process by ``dagster dev`` on the workspace of the checkout."""
    chosen = port or free_port(DAGSTER_PORTS)
    environment = {"DAGSTER_HOME": str(settings.dagster_home), "READMISSION_HOME": str(settings.home)}
    workspace = str(PROJECT_ROOT / "workspace.yaml")
    _hand_over("Dagster", chosen, ["dagster", "dev", "-w", workspace, "-h", HOST, "-p", str(chosen)], environment)


def serve_mlflow(settings: Settings, *, port: int | None) -> None:
    """Replace this process by MLflow's UI on the home's experiments."""
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
    _hand_over("MLflow", chosen, command, {"MLFLOW_DISABLE_TELEMETRY": "true"})


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


def _hand_over(name: str, port: int, command: list[str], environment: dict[str, str]) -> None:
    print(f"{name}: http://{HOST}:{port} (stop with Ctrl-C)", flush=True)
    program = Path(sys.executable).with_name(command[0])
    os.execve(program, [str(program), *command[1:]], {**os.environ, **environment})  # noqa: S606 - no shell is wanted
