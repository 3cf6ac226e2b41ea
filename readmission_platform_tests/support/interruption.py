"""Commands that are killed at a named step: what a power cut or an out-of-memory killer does, but repeatable.

The steps are those that ``foundation.steps`` tells; the child process listens and kills itself with SIGKILL.
"""

import contextlib
import faulthandler
import itertools
import logging
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from readmission_platform_tests.support.forking import FORKING
from readmission_platform_tests.support.homes import Home

PATIENCE = 180
HANGS = 124  # as the code of ``timeout`` is
_NUMBERS = itertools.count()


@dataclass(frozen=True)
class Ended:
    """How a command ended (negative: the signal that killed it), its steps and seconds, and what it said of errors.

    One that hangs has the code ``HANGS``, and its errors say where.
    """

    code: int
    steps: list[str]
    seconds: float
    err: str


class _Listener(logging.Handler):
    def __init__(self, last: str | None, trace: Path | None, then: Callable[[], object]) -> None:
        super().__init__(logging.DEBUG)
        self._last, self._trace, self._then = last, trace, then

    def emit(self, record: logging.LogRecord) -> None:
        step = record.getMessage()
        if self._trace is not None:
            with self._trace.open("a", encoding="utf-8") as file:
                file.write(step + "\n")
        if step == self._last:
            self._then()


def kill_oneself() -> None:
    """End this process as a power cut does."""
    os.kill(os.getpid(), signal.SIGKILL)


def fill_the_disk() -> None:
    """From now on let this process write nothing into any file: what a full disk does, without filling one."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def listen(last: str | None, trace: Path | None = None, then: Callable[[], object] = kill_oneself) -> None:
    """From now on write the steps of this process into a file, and kill it, or whatever else, at one of them."""
    steps = logging.getLogger("readmission.steps")
    steps.setLevel(logging.DEBUG)
    steps.addHandler(_Listener(last, trace, then))


@contextlib.contextmanager
def meanwhile(step: str, act: Callable[[], object]) -> Iterator[None]:
    """Let something happen, once, when this process reaches a step: what another process might do just then."""
    listener = _Meanwhile(step, act)
    steps = logging.getLogger("readmission.steps")
    level = steps.level
    steps.setLevel(logging.DEBUG)
    steps.addHandler(listener)
    try:
        yield
    finally:
        steps.removeHandler(listener)
        steps.setLevel(level)
    assert listener.happened, f"{step!r} was never reached"


class _Meanwhile(logging.Handler):
    def __init__(self, step: str, act: Callable[[], object]) -> None:
        super().__init__(logging.DEBUG)
        self._step, self._act, self.happened = step, act, False

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage() == self._step and not self.happened:
            self.happened = True
            self._act()


def run_until(home: Home, step: str | None, *arguments: str) -> Ended:
    """Run a ``readmission`` command in a process of its own and kill it when it reaches a step (None: let it end)."""
    return ended(start(home, *arguments, step=step))


def run_for(home: Home, seconds: float, *arguments: str) -> Ended:
    """Run a ``readmission`` command in a process of its own and kill it after some time, wherever it is then."""
    return ended(start(home, *arguments), seconds)


def run_full(home: Home, step: str, *arguments: str) -> Ended:
    """Run a ``readmission`` command in a process of its own, for which the disk is full from a step on."""
    return ended(start(home, *arguments, step=step, then=fill_the_disk))


@dataclass(frozen=True)
class Started:
    """A command that runs in a process of its own."""

    process: Any
    trace: Path
    began: float


def start(
    home: Home, *arguments: str, step: str | None = None, then: Callable[[], object] = kill_oneself
) -> Started:  # fmt: skip
    """Start a ``readmission`` command in a process of its own, in which something happens at a step."""
    trace = home.path.with_name(f"{home.path.name}.{next(_NUMBERS)}.steps")
    process = FORKING.Process(target=_live, args=(home.environment, trace, step, then, arguments))
    started = Started(process, trace, time.monotonic())
    process.start()
    return started


def ended(started: Started, seconds: float | None = None) -> Ended:
    """Wait for a command, or kill it after some time; one that should have ended by itself has said where it hangs."""
    process = started.process
    process.join(timeout=PATIENCE if seconds is None else seconds)
    hangs = seconds is None and process.is_alive()
    if hangs:
        os.kill(process.pid, signal.SIGUSR1)  # it says where it is
        process.join(5)
    if process.is_alive():
        process.kill()
        process.join()
    took = time.monotonic() - started.began
    steps, err = (_taken(path) for path in (started.trace, started.trace.with_suffix(".said")))
    return Ended(HANGS if hangs else int(process.exitcode or 0), steps.splitlines(), took, err)


def _taken(path: Path) -> str:
    """Return what a file holds, and remove it."""
    found = path.read_text(encoding="utf-8") if path.exists() else ""
    path.unlink(missing_ok=True)
    return found


def _live(
    environment: dict[str, str], trace: Path, step: str | None, then: Callable[[], object], arguments: tuple[str, ...]
) -> None:
    from readmission_platform import cli
    from readmission_platform.config.environment import settings

    # A full disk is no reason that nothing can be said.
    said = os.open(os.devnull if then is fill_the_disk else trace.with_suffix(".said"), os.O_WRONLY | os.O_CREAT)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(said, 2)
    faulthandler.register(signal.SIGUSR1, file=2)
    os.environ.clear()
    os.environ.update(environment)
    settings.cache_clear()
    listen(step, trace if then is kill_oneself else None, then)  # on a full disk nothing is traced
    sys.argv = ["readmission", *arguments]
    try:
        cli.main()
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    # Not through the interpreter's own end, which waits for whatever threads the server's imports left behind.
    os._exit(code)
