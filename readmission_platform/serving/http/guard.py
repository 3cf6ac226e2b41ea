"""The first and last to see a request: limits on size, number and time, its number, its line in the log.

What belongs here: what holds for every route. What does not: who may ask (``routes``) and what is answered.

Written as plain ASGI: a class of middleware costs a task for every request. Whatever goes wrong further in ends here,
and of an error only its kind and place are logged: its text may quote a patient's value.
"""

import asyncio
import re
import time
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from readmission_platform.config.serving import ServingConfig
from readmission_platform.serving.http.responses import JsonResponse
from readmission_platform.serving.logs import log, log_error
from readmission_platform.serving.metrics import Metrics
from readmission_platform.serving.problems import Problem, no_token
from readmission_platform.serving.tokens import Tokens

REQUEST_ID = "x-request-id"
_PROPER_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
# Asked again and again by machines: neither counted against the limit nor written into the log.
_PROBES = frozenset({"/healthz", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"})
_HEADERS = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]


class Guard:
    """Lets requests through to the app by the limits of the configuration."""

    def __init__(
        self, app: ASGIApp, *, paths: Iterable[str], config: ServingConfig, metrics: Metrics, tokens: Tokens
    ) -> None:
        self._app, self._config, self._metrics, self._tokens = app, config, metrics, tokens
        self._paths = [(path, compile_path(path)[0]) for path in paths]
        # Requests that are answered or wait for their turn, in the order in which they came.
        self._in_hand = 0
        self._turns = asyncio.Semaphore(config.answers_at_once)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; what is no request (the life of the server) goes straight on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        headers = dict(scope["headers"])
        given = headers.get(REQUEST_ID.encode(), b"")
        number = given.decode() if _PROPER_ID.fullmatch(given) else uuid.uuid4().hex
        state = scope.setdefault("state", {})
        state["request_id"] = number
        answer = _Answer(send, number, began)
        probe = scope["path"] in _PROBES
        try:
            if probe:
                await self._app(scope, receive, answer.send)
            else:
                await self._within_limits(scope, headers, receive, answer)
        except Exception as error:  # noqa: BLE001 - the client is told; it is logged without its text
            await self._failed(error, scope, answer)
        if not probe:
            self._note(scope, answer.status, time.perf_counter() - began)

    async def _within_limits(
        self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, answer: "_Answer"
    ) -> None:
        if scope["method"] in {"POST", "PUT", "PATCH"}:
            # Before anything is read: whoever may not ask cannot keep the service busy with bodies.
            client = self._tokens.client(_token(headers))
            if client is None:
                raise no_token()
            scope["state"]["noted"] = {"client": client.name}
            receive = _again(await self._body(headers, receive))
        config = self._config
        come_again = {"retry-after": str(config.retry_after_seconds)}
        if self._in_hand >= config.requests_at_once:
            raise Problem(429, "too_many_requests", "too many requests at once; come again a little later", come_again)
        self._in_hand += 1
        self._metrics.in_hand.set(self._in_hand)
        try:
            async with asyncio.timeout(config.answer_seconds), self._turns:
                await self._app(scope, receive, answer.send)
        except TimeoutError as error:
            seconds = f"{config.answer_seconds:g} seconds"
            raise Problem(503, "took_too_long", f"no answer within {seconds}", come_again) from error
        finally:
            self._in_hand -= 1
            self._metrics.in_hand.set(self._in_hand)

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        """Read the whole body within its limits of size and time."""
        most = self._config.most_body_bytes
        too_large = Problem(413, "body_too_large", f"the body is larger than {most} bytes; send fewer rows at once")
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > most:
            raise too_large
        parts, size = [], 0
        try:
            async with asyncio.timeout(self._config.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Problem(400, "disconnected", "the client went away")
                    part = message.get("body", b"")
                    size += len(part)
                    if size > most:
                        raise too_large
                    parts.append(part)
                    if not message.get("more_body", False):
                        return b"".join(parts)
        except TimeoutError as error:
            raise Problem(408, "body_too_slow", "the body did not arrive in time") from error

    async def _failed(self, error: Exception, scope: Scope, answer: "_Answer") -> None:
        if not isinstance(error, Problem):
            log_error("request failed", error, request_id=answer.number)
            error = Problem(500, "internal_error", "the request could not be answered; its number is in the log")
        if answer.status is None:
            response = JsonResponse(error.body(answer.number), status_code=error.status, headers=error.headers)
            # The rest of a body that was not read would be taken for the next request.
            response.headers["connection"] = "close"
            await response(scope, _again(b""), answer.send)

    def _note(self, scope: Scope, status: int | None, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", None) or self._route_of(scope)
        self._metrics.requests.labels(route, scope["method"] if route != "unmatched" else "", str(status)).inc()
        self._metrics.request_seconds.labels(route).observe(seconds)
        state = scope["state"]
        fields = {"request_id": state["request_id"], "method": scope["method"], "route": route, "status": status,
                  "ms": round(seconds * 1000, 2), **state.get("noted", {})}  # fmt: skip
        log.info("request", extra={"fields": fields})

    def _route_of(self, scope: Scope) -> str:
        """Return the path of the route that a request would have come to, had it not been refused before."""
        return next((path for path, pattern in self._paths if pattern.match(scope["path"])), "unmatched")


class _Answer:
    """What is sent to the client: keeps its status, and adds number and time of the request and common headers."""

    def __init__(self, send: Send, number: str, began: float) -> None:
        self._send, self.number, self._began = send, number, began
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            spent = (time.perf_counter() - self._began) * 1000
            timing = (b"server-timing", f"total;dur={spent:.3f}".encode())
            extra = [*_HEADERS, (REQUEST_ID.encode(), self.number.encode()), timing]
            message = {**message, "headers": [*message.get("headers", []), *extra]}
        await self._send(message)


def _token(headers: dict[bytes, bytes]) -> str:
    kind, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def _again(body: bytes) -> Callable[[], Any]:
    """Return a ``receive`` that gives a body that was read already."""
    given = False

    async def receive() -> Message:
        nonlocal given
        if given:
            await asyncio.Event().wait()  # nothing else comes
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
