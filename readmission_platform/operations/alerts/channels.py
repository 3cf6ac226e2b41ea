"""The channels that notifications are sent through: a file in the home, and whatever Apprise reaches.

What belongs here: sending notifications in one message, with a time limit, two attempts, and never an exception.
What does not: what is sent when (``outbox``) and what it says (``states``).

The address of a channel is a secret: it comes from the environment, and is in no log, error or table.
"""

import json
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from readmission_platform.config.alerts import AlertsConfig, AppriseChannel
from readmission_platform.config.environment import Settings
from readmission_platform.config.files import channel_url
from readmission_platform.operations.alerts.states import message

ATTEMPTS = 2
SECONDS = 5.0
_TALKATIVE = ("apprise", "urllib3")  # their log messages contain addresses
_CODE = re.compile(r"error=(\d{3})\b")


class Attempt(NamedTuple):
    """One attempt to deliver; ``error`` is the class of what went wrong, None when it was delivered."""

    error: str | None


class Sender(Protocol):
    """A channel that is set up."""

    def send(self, contents: Sequence[Mapping[str, Any]]) -> list[Attempt]:
        """Send notifications in one message; returns the attempts, the last of which may have succeeded."""


class FileSender:
    """Appends notifications to a file as JSON lines, one write for each message."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def send(self, contents: Sequence[Mapping[str, Any]]) -> list[Attempt]:
        """Append; a file that cannot be written is a failed attempt."""
        lines = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in contents)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
            with os.fdopen(descriptor, "ab", buffering=0) as file:
                file.write(lines.encode())
        except OSError as error:
            return [Attempt(type(error).__name__)]
        return [Attempt(None)]


class AppriseSender:
    """Sends one message to an Apprise URL."""

    def __init__(self, url: str, *, attempts: int = ATTEMPTS, seconds: float = SECONDS) -> None:
        self._url, self._attempts, self._seconds = url, attempts, seconds

    def send(self, contents: Sequence[Mapping[str, Any]]) -> list[Attempt]:
        """Send; each attempt waits at most ``seconds`` for the connection and again for the answer."""
        from apprise import Apprise, AppriseAsset, NotifyFormat, NotifyType

        title, text = message(contents)
        worst = next((each["severity"] for severity in ("critical", "warning") for each in contents
                      if each["severity"] == severity and each["notice"] in {"raised", "reminder"}), None)  # fmt: skip
        urgency = {"critical": NotifyType.FAILURE, "warning": NotifyType.WARNING, None: NotifyType.INFO}[worst]
        with _overheard() as codes:
            apprise = Apprise(asset=AppriseAsset(app_id="Readmission platform", async_mode=False))
            if not apprise.add(self._url):
                return [Attempt("AddressNotUnderstood")]
            for server in apprise:
                server.socket_connect_timeout = server.socket_read_timeout = self._seconds
            made: list[Attempt] = []
            while len(made) < self._attempts and not (made and made[-1].error is None):
                codes.clear()
                sent = apprise.notify(body=text, title=title, notify_type=urgency, body_format=NotifyFormat.TEXT)
                made.append(Attempt(None if sent else (f"HTTP {codes[-1]}" if codes else "NotDelivered")))
        return made


def senders(config: AlertsConfig, settings: Settings, *, attempts: int = ATTEMPTS) -> dict[str, Sender]:
    """Return the channels that this process can reach; those whose variable is not set are left out."""
    found: dict[str, Sender] = {}
    for name, channel in config.channels.items():
        if isinstance(channel, AppriseChannel):
            url = channel_url(channel)
            if url is not None:
                found[name] = AppriseSender(url, attempts=attempts)
        else:
            found[name] = FileSender(settings.home / channel.path)
    return found


@contextmanager
def _overheard() -> Iterator[list[str]]:
    """Suppress what the libraries log, and yield the HTTP codes in it."""
    codes: list[str] = []
    handler = _Codes(codes)
    before = [(logging.getLogger(name), logging.getLogger(name).propagate) for name in _TALKATIVE]
    for logger, _ in before:
        logger.propagate = False
        logger.addHandler(handler)
    try:
        yield codes
    finally:
        for logger, propagate in before:
            logger.removeHandler(handler)
            logger.propagate = propagate


class _Codes(logging.Handler):
    def __init__(self, codes: list[str]) -> None:
        super().__init__()
        self._codes = codes

    def emit(self, record: logging.LogRecord) -> None:
        self._codes += _CODE.findall(record.getMessage())
