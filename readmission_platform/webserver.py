"""Dagster's web server behind a guard, because it asks nobody who they are and takes orders by any method.

What belongs here: which requests are let through. What does not: starting the servers (``servers``), and who is there:
a proxy that authenticates people stands before this server wherever more than one person can reach it.

Run it as ``python -m readmission_platform.webserver`` with the options of ``dagster-webserver``.

Without the guard, a page of any site that is open in a browser on this machine can launch jobs (a mutation by GET, or
by a form, needs no permission of the browser), a name that is pointed at this machine later reads everything (DNS
rebinding), and run configuration such as ``{"env": "SECRET"}`` has the server show variables of its environment in the
error.
"""

import json
import os
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

OWN_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
LARGEST_QUERY = 4 << 20
# A selector of the service's environment, in JSON, YAML or a query's own syntax, escaped or not.
_ENVIRONMENT = re.compile(r"""(?<![\w-])env\\*["']?\s*:""")


class Guard:
    """Let through only what a page of this server itself asks for.

    Parameters
    ----------
    application
        Dagster's web server.
    address
        Where the server is reached besides this machine's own names (READMISSION_UI_URL).
    """

    def __init__(self, application: Application, address: str | None = None) -> None:
        self._application = application
        self._hosts = OWN_HOSTS | ({urlsplit(address).hostname or ""} if address else set())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] not in {"http", "websocket"}:
            await self._application(scope, receive, send)
            return
        problem = self._foreign(scope) or _wrong_method(scope)
        if problem is None and scope["type"] == "http" and scope["method"] == "POST":
            body = await _body(receive)
            problem = _wrong_body(scope, body)
            receive = _again(body, receive)
        if problem is not None:
            await _refuse(scope, send, *problem)
            return
        await self._application(scope, receive, send)

    def _foreign(self, scope: Scope) -> tuple[int, str] | None:
        """Say whether the request is for another host, or comes from a page of another site."""
        host, origin = _header(scope, b"host"), _header(scope, b"origin")
        if urlsplit(f"//{host or ''}").hostname not in self._hosts:
            return 403, "this server does not answer to that host name; set READMISSION_UI_URL to its address"
        if origin is not None and urlsplit(origin).netloc != host and urlsplit(origin).hostname not in self._hosts:
            return 403, "this server accepts nothing from pages of other sites"
        return None


def _wrong_method(scope: Scope) -> tuple[int, str] | None:
    """Refuse a query that is not posted: what is fetched must change nothing, and mutations can be queries."""
    if scope["type"] != "http" or not scope["path"].endswith("/graphql") or scope["method"] == "POST":
        return None
    if scope["method"] == "GET" and b"text/html" in (_header(scope, b"accept") or "").encode():
        return None
    return 405, "queries are posted"


def _wrong_body(scope: Scope, body: bytes | None) -> tuple[int, str] | None:
    """Refuse a query that no page of this server would send."""
    if body is None:
        return 413, "the request is too large"
    if not scope["path"].endswith("/graphql"):
        return None
    if "application/json" not in (_header(scope, b"content-type") or ""):
        return 415, "queries are JSON"
    if _ENVIRONMENT.search(body.decode(errors="replace")):
        return 400, "run configuration cannot refer to variables of the server's environment (env:)"
    return None


async def _body(receive: Receive) -> bytes | None:
    """Read the body of a request; None when it is larger than any query."""
    found, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            break
        found += message.get("body", b"")
        more = message.get("more_body", False)
        if len(found) > LARGEST_QUERY:
            return None
    return bytes(found)


def _again(body: bytes | None, receive: Receive) -> Receive:
    """Return a function that gives the body once more, and then what follows it."""
    given = False

    async def receive_again() -> MutableMapping[str, Any]:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body or b"", "more_body": False}

    return receive_again


def _header(scope: Scope, name: bytes) -> str | None:
    return next((value.decode("latin-1") for each, value in scope["headers"] if each == name), None)


async def _refuse(scope: Scope, send: Send, status: int, why: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": why})
        return
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps({"error": why}).encode()})


def main() -> None:
    """Run Dagster's web server behind the guard, with the options of its own command."""
    from dagster_webserver import cli as plain

    cli: Any = plain
    make_application = cli.create_app_from_workspace_process_context

    def guarded(*arguments: Any, **options: Any) -> Guard:
        return Guard(make_application(*arguments, **options), os.environ.get("READMISSION_UI_URL"))

    # The command makes its application by this function, and offers no other way to put something before it.
    cli.create_app_from_workspace_process_context = guarded
    cli.main()


if __name__ == "__main__":
    main()
