"""A program that is called as ``kubectl`` is, and runs the pods of a Job as processes of this machine.

It knows what ``resources.cluster_training`` asks: apply, get a job's conditions, delete. What was applied and
deleted is kept in the folder that ``KUBECTL_FOLDER`` names.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(os.environ["KUBECTL_FOLDER"])


def install(folder: Path) -> Path:
    """Write a ``kubectl`` into a folder, for a PATH."""
    program = folder / "kubectl"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m {__spec__.name} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return folder


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def start(pod: dict[str, Any], number: int, port: int) -> int:
    """Start what a pod runs, as that cluster would: with its variables, and the first pod's name resolved."""
    container = pod["containers"][0]
    given = {each["name"]: each.get("value", str(number)) for each in container["env"]}
    command = [each.replace("$(NODE_RANK)", given["NODE_RANK"]) for each in container["command"]]
    command[0] = sys.executable
    command[command.index("--master-addr") + 1] = "127.0.0.1"
    command[command.index("--master-port") + 1] = str(port)
    with (FOLDER / f"log-{number}").open("wb") as log:
        return subprocess.Popen(
            command, env={**os.environ, **given}, stdout=log, stderr=log, start_new_session=True
        ).pid


def apply() -> None:
    manifests = list(yaml.safe_load_all(sys.stdin))
    (FOLDER / "applied.json").write_text(json.dumps(manifests), encoding="utf-8")
    job = next(each for each in manifests if each["kind"] == "Job")
    port, pods = free_port(), range(job["spec"]["completions"])
    pids = [start(job["spec"]["template"]["spec"], number, port) for number in pods]
    (FOLDER / "pids").write_text(" ".join(map(str, pids)), encoding="utf-8")


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def conditions() -> str:
    """All that is asked of a Job: how it ended, when it has."""
    if any(is_running(int(pid)) for pid in (FOLDER / "pids").read_text(encoding="utf-8").split()):
        return ""
    failed = any(b"Error" in log.read_bytes() for log in FOLDER.glob("log-*"))
    return "FailureTarget Failed " if failed else "SuccessCriteriaMet Complete "


if __name__ == "__main__":
    match sys.argv[3]:
        case "apply":
            apply()
        case "get":
            sys.stdout.write(conditions())
        case "delete":
            (FOLDER / "deleted").write_text(" ".join(sys.argv[4:]), encoding="utf-8")
