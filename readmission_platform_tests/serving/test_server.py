"""The service as it runs: under load, while versions change, workers die, disks fill, and clients misbehave.

Accepted means answered with 200: each such answer has to be in the prediction log, by the version that it names.
"""

import http.client
import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from readmission_platform.serving.journal import ship
from readmission_platform.storage.tables import SERVED
from readmission_platform_tests.serving.conftest import altered, delivered_rows
from readmission_platform_tests.support.homes import MODEL, Home
from readmission_platform_tests.support.running_service import SCORE, Load, Server, load, running, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def home(lived_home: Home, tmp_path: Path) -> Home:
    return lived_home.copy(tmp_path / "home")


@pytest.fixture
def rows(home: Home) -> list[dict[str, Any]]:
    return delivered_rows(home)


def kept(home: Home) -> pd.DataFrame:
    """Return the prediction log, whatever still lies in files shipped."""
    ship(home.path / "serving" / MODEL, home.lake)
    return home.lake.read(SERVED)


def check_accepted(home: Home, asking: Load) -> None:
    """Every answer is in the log once, by the version it names; nothing is there that nobody asked."""
    lines = kept(home)
    assert not lines.duplicated(["request_id", "encounter_id", "arm"]).any()
    versions = lines.groupby("request_id")["model_version"].agg(list).to_dict()
    assert {number: versions.get(number) for number in asking.answered} == asking.answered
    assert set(versions) <= asking.asked


def test_versions_change_under_load_without_a_failed_request(
    succeeded_home: Home, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    home = succeeded_home.copy(tmp_path / "succeeded")
    with running(home, tmp_path / "log", workers=2) as server:
        with load(server, rows) as asking:
            for version in ("1", "2", "1"):
                taken_back = home.command("rollback", "--to-version", version, "--reason", "tried under load")
                assert taken_back.code == 0, taken_back.err
                wait_until(lambda version=version: newest(asking) == {version}, f"{version} does not answer")  # type: ignore[misc]
        assert set(asking.statuses) == {"200"}
        server.stop()
    check_accepted(home, asking)
    with home.ledger() as ledger:
        ledger.verify()


def newest(asking: Load) -> set[str]:
    """Return the versions of the newest answers of all clients."""
    with asking._lock:
        return {version for versions in list(asking.answered.values())[-40:] for version in versions}


def test_a_worker_that_is_killed_loses_no_accepted_request_and_is_replaced(
    home: Home, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    with running(home, tmp_path / "log", workers=2) as server:
        before = set(server.workers())
        with load(server, rows) as asking:
            killed = random.choice(sorted(before))
            os.kill(killed, signal.SIGKILL)
            answered = len(asking.answered)
            wait_until(lambda: len(asking.answered) > answered + 100, "nobody answers any more")
            wait_until(lambda: len(set(server.workers()) - before) == 1, "it is not replaced")
        assert set(asking.statuses) <= {"200", "connection"}
        assert asking.statuses["connection"] <= 4  # what the killed worker had in hand
        server.stop()
    check_accepted(home, asking)


def test_told_to_stop_it_answers_what_it_has_in_hand_and_ships_it(
    home: Home, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    with running(home, tmp_path / "log", workers=1) as server, load(server, rows) as asking:
        assert server.stop() == 0
    assert set(asking.statuses) <= {"200", "connection"}
    assert not list((home.path / "serving" / MODEL).glob("*.jsonl"))
    check_accepted(home, asking)


def test_with_the_ledger_out_of_reach_it_goes_on_and_says_so(
    home: Home, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    ledger = home.path / "ledger.db"
    with running(home, tmp_path / "log") as server:
        with load(server, rows) as asking:
            for part in ledger.parent.glob("ledger.db*"):
                part.rename(part.with_name(f"away-{part.name}"))
            wait_until(lambda: server.state()["behind"], "it does not notice")
            assert server.ask("/readyz")[0] == 200
            assert server.state()["version"] == "1"
            for part in ledger.parent.glob("away-*"):
                part.rename(part.with_name(part.name.removeprefix("away-")))
            wait_until(lambda: not server.state()["behind"], "it does not come back")
        assert set(asking.statuses) == {"200"}
        server.stop()
    check_accepted(home, asking)


def test_a_locked_ledger_does_no_harm(home: Home, rows: list[dict[str, Any]], tmp_path: Path) -> None:
    with running(home, tmp_path / "log") as server, load(server, rows) as asking:
        with sqlite3.connect(home.path / "ledger.db", isolation_level=None) as locked:
            locked.execute("BEGIN EXCLUSIVE")
            time.sleep(4)
            locked.execute("ROLLBACK")
        assert server.state()["version"] == "1"
    assert set(asking.statuses) == {"200"}


@pytest.mark.parametrize("name", ["artifact", "rows"])
def test_a_file_that_is_not_the_ledgers_keeps_the_service_from_becoming_ready(
    home: Home, tmp_path: Path, name: str
) -> None:
    altered(home, "1", name)
    with running(home, tmp_path / "log", ready=False) as server:
        status, said = server.ask("/readyz")
        assert status == 503
        assert "not the one recorded in the ledger" in said["models"][MODEL]["problem"]
        assert server.ask(SCORE, {"rows": [{}]})[0] == 503
        assert server.ask("/healthz")[0] == 200


def test_a_full_disk_fails_no_request_and_what_is_dropped_is_counted(
    home: Home, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    folder = home.path / "serving"
    folder.mkdir(exist_ok=True)
    limits = tmp_path / "configs"
    shutil.copytree(Path(home.environment.get("READMISSION_CONFIGS", "configs")), limits)
    config = (limits / "serving.yaml").read_text(encoding="utf-8")
    (limits / "serving.yaml").write_text(config.replace("268435456", "1000000"), encoding="utf-8")
    with running(home, tmp_path / "log", READMISSION_CONFIGS=str(limits)) as server, load(server, rows) as asking:
        wait_until(lambda: dropped(server) > 0, "nothing is dropped")
    assert set(asking.statuses) == {"200"}
    lines = kept(home)
    assert len(lines) < len(asking.answered)
    assert not lines["request_id"].duplicated().any()


def dropped(server: Server) -> float:
    for line in str(server.ask("/metrics")[1]).splitlines():
        if line.startswith("readmission_serving_journal_lines{") and 'fate="dropped"' in line:
            return float(line.rpartition(" ")[2])
    return 0


def test_more_requests_at_once_than_allowed_are_told_when_to_come_again(
    home: Home, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    limits = tmp_path / "configs"
    shutil.copytree(Path(home.environment.get("READMISSION_CONFIGS", "configs")), limits)
    config = (limits / "serving.yaml").read_text(encoding="utf-8")
    (limits / "serving.yaml").write_text(
        config.replace("requests_at_once: 128", "requests_at_once: 2"), encoding="utf-8"
    )
    with running(home, tmp_path / "log", READMISSION_CONFIGS=str(limits)) as server:
        many = {"rows": rows[:200]}
        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(lambda _: server.ask(SCORE, many), range(60)))
        statuses = {status for status, _ in answers}
        assert statuses == {200, 429}
        assert all(said["error"]["code"] == "too_many_requests" for status, said in answers if status == 429)
        accepted = {said["request_id"] for status, said in answers if status == 200}
        assert server.ask(SCORE, {"rows": rows[:1]})[0] == 200
        server.stop()
    assert accepted <= set(kept(home)["request_id"])


def test_clients_that_send_slowly_are_let_go_and_keep_nobody_waiting(
    home: Home, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    with running(home, tmp_path / "log") as server:
        head = f"POST {SCORE} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
        with load(server, rows) as asking:
            slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(300)]
            for place, each in enumerate(slow):
                if place % 3 == 0:  # never finishes its headers
                    each.sendall(b"POST /v1/models HTTP/1.1\r\nX-a: ")
                elif place % 3 == 1:  # never finishes its body
                    each.sendall(f"{head}Authorization: Bearer {server.token}\r\n\r\n{{".encode())
                else:  # may not ask at all
                    each.sendall(f"{head}\r\n{{".encode())
            began, said = time.monotonic(), []
            for each in slow:
                each.settimeout(30)
                said.append(_all_of(each))
            assert time.monotonic() - began < 25
        assert set(asking.statuses) == {"200"}
        assert all(not answer for answer in said[0::3])
        assert all(b" 408 " in answer for answer in said[1::3])
        assert all(b" 401 " in answer for answer in said[2::3])


def _all_of(connection: socket.socket) -> bytes:
    """Return everything that is sent until the other side closes."""
    parts = []
    while part := connection.recv(4096):
        parts.append(part)
    return b"".join(parts)


def bad_bodies(row: dict[str, Any]) -> Iterator[bytes]:
    draw = random.Random(1)
    good = json.dumps({"rows": [row]}).encode()
    while True:
        kind = draw.randrange(6)
        if kind == 0:
            yield draw.randbytes(draw.randrange(300))
        elif kind == 1:
            yield good[: draw.randrange(1, len(good))]
        elif kind == 2:
            content = bytearray(good)
            content[draw.randrange(len(content))] = draw.randrange(256)
            yield bytes(content)
        elif kind == 3:
            yield b"[" * draw.randrange(1, 5000)
        elif kind == 4:
            wrong = draw.choice([None, [], {}, -1, 1e308, "x" * 10_000, True])
            yield json.dumps({"rows": [{**row, draw.choice(list(row)): wrong}]}).encode()
        else:
            yield json.dumps({"rows": [{name: value for name, value in row.items() if draw.random() < 0.9}]}).encode()


def test_ten_thousand_bad_bodies_end_in_no_error_of_the_server(
    home: Home, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    bodies = bad_bodies(rows[0])
    with running(home, tmp_path / "log") as server, load(server, rows, clients=1) as asking:
        for _ in range(100):
            _burst(server, [next(bodies) for _ in range(100)])
    assert set(asking.statuses) == {"200"}
    log = (tmp_path / "log").read_text(encoding="utf-8")
    statuses = {json.loads(line)["status"] for line in log.splitlines() if '"event": "request"' in line}
    assert statuses <= {200, 400, 422}
    assert '"level": "error"' not in log
    assert not any(str(row["patient_nbr"]) in log for row in rows)


def _burst(server: Server, bodies: list[bytes]) -> None:
    """Send bodies over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    for body in bodies:
        connection.request("POST", SCORE, body, {"Authorization": f"Bearer {server.token}"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status in {200, 400, 422}, (answer.status, body)


def test_what_the_documentation_allows_is_answered_and_the_rest_is_refused_as_it_says(
    home: Home, tmp_path: Path
) -> None:
    """Schemathesis makes requests out of the OpenAPI document, good ones and bad ones, and holds answers against it."""
    config = tmp_path / "schemathesis.toml"
    # A document says which columns there are, not everything that makes a row one: 422 is a right answer. And other
    # spellings than the documented ones are read, as in files: "true" for "Yes".
    config.write_text(
        '[checks]\npositive_data_acceptance.expected-statuses = ["2xx", 401, 403, 404, 409, 422, 429, "5xx"]\n',
        encoding="utf-8",
    )
    chosen = ("--checks", "all", "--exclude-checks", "negative_data_rejection", "--seed", "1", "--max-examples", "30")
    with running(home, tmp_path / "log") as server:
        address, token = f"http://127.0.0.1:{server.port}/openapi.json", f"Authorization: Bearer {server.token}"
        done = home.shell("schemathesis", "--config-file", str(config), "run", address, "-H", token, *chosen,
                          "--no-color")  # fmt: skip
        assert done.code == 0, done.out[-5000:]
        assert server.ask("/readyz")[0] == 200
    assert '"level": "error"' not in (tmp_path / "log").read_text(encoding="utf-8")


def test_what_is_no_http_at_all_harms_nobody(home: Home, rows: list[dict[str, Any]], tmp_path: Path) -> None:
    draw = random.Random(2)
    with running(home, tmp_path / "log") as server, load(server, rows, clients=2) as asking:
        for _ in range(300):
            with socket.create_connection(("127.0.0.1", server.port)) as connection:
                connection.sendall(draw.randbytes(draw.randrange(1, 2000)))
    assert set(asking.statuses) == {"200"}


def test_workers_killed_at_random_lose_nothing(home: Home, rows: list[dict[str, Any]], tmp_path: Path) -> None:
    end = threading.Event()
    with running(home, tmp_path / "log", workers=2) as server:
        with load(server, rows) as asking:
            for _ in range(4):
                end.wait(random.random() * 2)
                workers = server.workers()
                if len(workers) == 2:
                    os.kill(random.choice(workers), signal.SIGKILL)
                answered = len(asking.answered)
                wait_until(lambda answered=answered: len(asking.answered) > answered + 50, "nobody answers")  # type: ignore[misc]
        server.stop()
    check_accepted(home, asking)
