"""A PostgreSQL server for one test session, from the machine's own binaries, in a folder that goes with it.

A keeper process starts the server, does what it is told on its standard input (``stop``, ``start``) and, when that
ends, stops the server and removes the folder: also a session that was killed leaves nothing behind.
"""

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OWNER = "ledger"
# Nothing has to survive a crash of this machine.
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "60",
}
START_SECONDS = 60


def binaries() -> Path | None:
    """Return the folder of initdb and postgres, from the PATH, pg_config, or where Debian puts them."""
    found = [Path(path).resolve().parent for path in [shutil.which("initdb")] if path]
    if shutil.which("pg_config"):
        asked = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True, check=False)
        found += [Path(asked.stdout.strip())] if asked.returncode == 0 else []
    packaged = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if path.parent.name.isdigit()]
    found += sorted(packaged, key=lambda path: int(path.parent.name), reverse=True)
    return next((folder for folder in found if all((folder / name).exists() for name in ("initdb", "postgres"))), None)


@dataclass(frozen=True)
class Server:
    """A running server."""

    folder: str
    keeper: subprocess.Popen[str]

    def url(self, database: str) -> str:
        """Return the address of a database, as a person would write it."""
        return f"postgresql://{OWNER}@/{database}?host={self.folder}"

    def emptied(self, database: str = "ledger") -> str:
        """Return the address of a database with nothing in it; whoever was connected to it no longer is."""
        existing = self.execute(f"SELECT 1 FROM pg_database WHERE datname = '{database}'")
        if not existing:
            self.execute(f"CREATE DATABASE {database}")
            return self.url(database)
        self.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")
        self.execute(f"ALTER DATABASE {database} RESET ALL")
        self.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public", database=database)
        return self.url(database)

    def execute(self, statement: str, *, database: str = "postgres") -> list[Any]:
        """Execute as the owner of the server, and return the rows, if there are any."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            done = connection.execute(statement.encode())
            return done.fetchall() if done.description else []

    def stop(self) -> None:
        """Stop the server; its data stay."""
        self._tell("stop")

    def start(self) -> None:
        """Start the stopped server again."""
        self._tell("start")

    def _tell(self, what: str) -> None:
        assert self.keeper.stdin is not None
        assert self.keeper.stdout is not None
        self.keeper.stdin.write(f"{what}\n")
        self.keeper.stdin.flush()
        assert self.keeper.stdout.readline() == f"{what}\n", "the keeper of the PostgreSQL server failed"


@contextmanager
def throwaway_server(folder_of_binaries: Path) -> Iterator[Server]:
    """Run a server for a while.

    Raises
    ------
    RuntimeError
        When it does not start, with what it said.
    """
    keeper = subprocess.Popen(
        [sys.executable, __file__, str(folder_of_binaries)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for the tests; the keeper ends when they do
    )
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    assert keeper.stderr is not None
    try:
        first = keeper.stdout.readline()
        if not first:
            raise RuntimeError(f"the throw-away PostgreSQL server did not start: {keeper.stderr.read()}")
        yield Server(json.loads(first), keeper)
    finally:
        keeper.stdin.close()
        keeper.wait(START_SECONDS)
        keeper.stdout.close()
        keeper.stderr.close()


def _identity() -> dict[str, Any]:
    """Return whom to run as: PostgreSQL refuses to be run by root."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    chosen = names.get("postgres") or names["nobody"]
    return {"user": chosen.pw_uid, "group": chosen.pw_gid, "extra_groups": []}


def _keep(folder_of_binaries: Path) -> None:
    """Be the keeper: run until standard input ends."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    identity = _identity()
    folder = Path(tempfile.mkdtemp(prefix="ledger-pg-"))
    try:
        if identity:
            os.chown(folder, identity["user"], identity["group"])
        _initialise(folder_of_binaries, folder, identity)
        server = _start(folder_of_binaries, folder, identity)
        try:
            _say(json.dumps(str(folder)))
            for line in sys.stdin:
                if line.strip() == "stop":
                    _stop(server)
                else:
                    server = _start(folder_of_binaries, folder, identity)
                _say(line.strip())
        finally:
            _stop(server)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _initialise(folder_of_binaries: Path, folder: Path, identity: dict[str, Any]) -> None:
    options = [f"--username={OWNER}", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
    done = subprocess.run(
        [str(folder_of_binaries / "initdb"), f"--pgdata={folder / 'data'}", *options],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        **identity,
    )
    if done.returncode:
        sys.exit(f"initdb: {done.stderr.strip()}")


def _start(folder_of_binaries: Path, folder: Path, identity: dict[str, Any]) -> subprocess.Popen[bytes]:
    settings = [f"--{name}={value}" for name, value in SETTINGS.items()]
    log = folder / "server.log"
    with log.open("ab") as output:
        server = subprocess.Popen(
            [str(folder_of_binaries / "postgres"), "-D", str(folder / "data"), "-k", str(folder), *settings],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            **identity,
        )
    deadline = time.monotonic() + START_SECONDS
    while not _is_ready(folder / "data" / "postmaster.pid"):
        if server.poll() is not None or time.monotonic() > deadline:
            _stop(server)
            sys.exit(f"postgres: {log.read_text(encoding='utf-8').strip()}")
        time.sleep(0.02)
    return server


def _is_ready(status_file: Path) -> bool:
    # The last line of this file is what pg_ctl waits for, too.
    lines = status_file.read_text(encoding="utf-8").splitlines() if status_file.exists() else []
    return bool(lines) and lines[-1].strip() == "ready"


def _stop(server: subprocess.Popen[bytes]) -> None:
    if server.poll() is None:
        server.send_signal(signal.SIGINT)  # "fast": connections are closed
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.send_signal(signal.SIGQUIT)  # "immediate"; never SIGKILL, which would leave its children
            server.wait(20)


if __name__ == "__main__":
    _keep(Path(sys.argv[1]))
