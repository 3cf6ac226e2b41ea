"""What the guard of Dagster's web server lets through, and what it refuses."""

import asyncio
import json
from typing import Any

import pytest

from readmission_platform.webserver import LARGEST_QUERY, Guard

HOST = "127.0.0.1:3000"
QUERY = json.dumps({"query": "{ version }", "variables": {"environment": "x"}}).encode()
LAUNCH = "mutation{launchRun{__typename}}"


def asked(
    method: str = "POST",
    path: str = "/graphql",
    *,
    body: bytes = QUERY,
    kind: str = "http",
    address: str | None = None,
    **headers: str | None,
) -> tuple[int, bytes]:
    """Send a request through the guard; returns status and body, 200 and what arrived when it was let through."""
    given: dict[str, str | None] = {"host": HOST, "content-type": "application/json", **headers}
    encoded = [(name.replace("_", "-").encode(), value.encode()) for name, value in given.items() if value is not None]
    sent: list[dict[str, Any]] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        arrived = (await receive())["body"] if kind == "http" and method == "POST" else b""
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": arrived})

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": kind, "method": method, "path": path, "headers": encoded, "query_string": b""}
    asyncio.run(Guard(application, address)(scope, receive, send))
    if sent[0]["type"] == "websocket.close":
        return sent[0]["code"], b""
    return sent[0]["status"], sent[1]["body"]


def test_what_the_servers_own_page_sends_arrives_unchanged() -> None:
    assert asked(origin=f"http://{HOST}") == (200, QUERY)
    assert asked("GET", "/asset-groups")[0] == 200
    assert asked("GET", accept="text/html")[0] == 200  # the page on which queries are written
    assert asked(kind="websocket", origin=f"http://{HOST}")[0] == 200


@pytest.mark.parametrize(
    ("request_of", "status"),
    [
        ({"method": "GET"}, 405),
        ({"method": "HEAD"}, 405),
        ({"host": "evil.example"}, 403),
        ({"host": "127.0.0.1.evil.example:3000"}, 403),
        ({"host": None}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"kind": "websocket", "origin": "https://evil.example"}, 1008),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"body": b"x" * (LARGEST_QUERY + 1)}, 413),
        ({"body": b'{"variables": {"runConfigData": {"ops": {"a": {"config": {"seed": {"env": "SECRET"}}}}}}}'}, 400),
        ({"body": b'{"variables": {"runConfigData": "ops: {a: {config: {seed: {env: SECRET}}}}"}}'}, 400),
        ({"body": b'{"variables": {"runConfigData": "{\\"seed\\": {\\"env\\": \\"SECRET\\"}}"}}'}, 400),
        ({"body": b'{"query": "mutation { launchRun(runConfigData: {seed: {env: \\"SECRET\\"}}) }"}'}, 400),
    ],
)
def test_what_no_page_of_the_server_sends_is_refused(request_of: dict[str, Any], status: int) -> None:
    assert asked(**request_of)[0] == status


def test_the_server_answers_to_the_name_that_it_was_given() -> None:
    away = {"host": "ml.hospital.example", "origin": "https://ml.hospital.example"}
    assert asked(**away)[0] == 403
    assert asked(address="https://ml.hospital.example/dagster", **away)[0] == 200
