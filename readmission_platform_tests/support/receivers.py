"""Receivers of alerts on this machine: a web server, well or badly behaved, and a mail server; both keep it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Behaviour = Literal["well", "fails", "hangs"]


@dataclass
class WebReceiver:
    """A web server: its port, and the paths and bodies that were posted to it."""

    port: int
    behaviour: Behaviour = "well"
    posted: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def web_receiver(behaviour: Behaviour = "well") -> Iterator[WebReceiver]:
    """Run a web server for a while; one that hangs answers when the test is over."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            receiver.posted.append((self.path, body))
            if receiver.behaviour == "hangs":
                over.wait()
            self.send_response(500 if receiver.behaviour == "fails" else 200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # whoever gave up waiting has hung up
    receiver = WebReceiver(server.server_address[1], behaviour)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def mail_receiver() -> Iterator[tuple[int, list[EmailMessage]]]:
    """Run a mail server for a while; yields its port and the messages that were sent to it."""
    from aiosmtpd.controller import Controller

    received: list[EmailMessage] = []

    class Handler:
        async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
            received.append(message_from_bytes(envelope.content, policy=policy.default))  # type: ignore[arg-type]
            return "250 accepted"

    controller = Controller(Handler(), hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        yield controller.port, received
    finally:
        controller.stop()


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
