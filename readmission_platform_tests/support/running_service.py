"""The service as a real server in processes of its own, and clients that ask it all the time.

What belongs here: starting, ending and asking. What does not: what is promised (``serving/test_server.py``).
"""

import http.client
import json
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from readmission_platform.serving.tokens import SCOPES, create_token, tokens_file
from readmission_platform_tests.support.homes import BIN, MODEL, Home

SCORE = f"/v1/models/{MODEL}/score"
PATIENCE = 60


@dataclass(frozen=True)
class Server:
    """A server that runs: of which home, where, with which token, and the file with its log."""

    home: Home
    port: int
    token: str
    process: subprocess.Popen[bytes]
    said: Path

    def ask(
        self, path: str, body: object = None, *, data: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Ask once; returns status and JSON (or the text where it is none)."""
        content = data if data is not None else None if body is None else json.dumps(body).encode()
        asked = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", content, asked)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, _read(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, _read(error.read())

    def state(self) -> dict[str, Any]:
        """Return what ``/readyz`` says of the model."""
        found: dict[str, Any] = self.ask("/readyz")[1]["models"][MODEL]
        return found

    def workers(self) -> list[int]:
        """Return the processes that answer: the children of a server with several, else itself."""
        tasks = Path(f"/proc/{self.process.pid}/task")
        children = [int(number) for file in tasks.glob("*/children") for number in file.read_text().split()]
        spawned = [number for number in children if b"spawn_main" in _command(number)]
        return spawned or [self.process.pid]

    def stop(self) -> int:
        """Tell the server to stop, and wait until it has."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


@contextmanager
def running(home: Home, said: Path, *, workers: int = 1, ready: bool = True, **variables: str) -> Iterator[Server]:
    """Run the service of a home."""
    with home.lived_in() as settings:
        token = create_token(tokens_file(settings), f"tests-{time.monotonic_ns()}", SCOPES, None)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(BIN / "readmission"), "serve", "--model", MODEL, "--port", str(port), "--workers", str(workers)]
    with said.open("wb") as log:
        process = subprocess.Popen(command, env={**home.environment, **variables}, stdout=log, stderr=log)
    server = Server(home, port, token, process, said)
    try:
        wait_until(lambda: _answers(server, ready), f"it did not start: {said.read_text()[-2000:]}")
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_until(fulfilled: Any, otherwise: str, *, seconds: float = PATIENCE) -> None:
    """Wait until something is so; fails with a sentence when it does not come about."""
    end = time.monotonic() + seconds
    while not fulfilled():
        assert time.monotonic() < end, otherwise
        time.sleep(0.05)


@dataclass
class Load:
    """Clients that ask all the time, and what became of each request.

    ``answered`` has the request's number and the versions of its answer; ``statuses`` counts answers by status, and
    under ``connection`` those that got none because the connection broke.
    """

    server: Server
    rows: Sequence[dict[str, Any]]
    answered: dict[str, list[str]] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    statuses: Counter[str] = field(default_factory=Counter)
    _end: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def client(self, number: int) -> None:
        connection: http.client.HTTPConnection | None = None
        place = number
        while not self._end.is_set():
            place += 7
            request_id = f"c{number}-{place}"
            row = self.rows[place % len(self.rows)]
            headers = {"Authorization": f"Bearer {self.server.token}", "X-Request-ID": request_id}
            with self._lock:
                self.asked.add(request_id)
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=PATIENCE)
                connection.request("POST", SCORE, json.dumps({"rows": [row]}), headers)
                answer = connection.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException):
                connection = None
                self._count("connection")
                time.sleep(0.02)
                continue
            self._count(str(answer.status))
            if answer.status == 200:
                results = json.loads(content)["results"]
                with self._lock:
                    self.answered[request_id] = [each.get("version", each["status"]) for each in results]
            if answer.headers.get("connection") == "close":
                connection = None

    def _count(self, status: str) -> None:
        with self._lock:
            self.statuses[status] += 1


@contextmanager
def load(server: Server, rows: Sequence[dict[str, Any]], *, clients: int = 4) -> Iterator[Load]:
    """Have clients ask while something happens; ends when every one of them has its last answer."""
    asking = Load(server, rows)
    threads = [threading.Thread(target=asking.client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: len(asking.answered) > 10 * clients, "nobody is answered")
        yield asking
    finally:
        asking._end.set()
        for thread in threads:
            thread.join(PATIENCE)


def _answers(server: Server, ready: bool) -> bool:
    assert server.process.poll() is None, server.said.read_text()[-2000:]
    try:
        return server.ask("/readyz" if ready else "/healthz")[0] == 200
    except OSError:
        return False


def _read(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content.decode()


def _command(number: int) -> bytes:
    try:
        return Path(f"/proc/{number}/cmdline").read_bytes()
    except OSError:
        return b""
