"""Commands that are killed at a named step: what a power cut or an out-of-memory killer does, but repeatable.

The steps are those that ``foundation.steps`` tells; the child process listens and kills itself with SIGKILL.
"""

import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from readmission_platform_tests.support.forking import FORKING
from readmission_platform_tests.support.homes import Home


@dataclass(frozen=True)
class Ended:
    """How a command ended (negative: the signal that killed it), the steps it reached, and the seconds it took."""

    code: int
    steps: list[str]
    seconds: float


class _Listener(logging.Handler):
    def __init__(self, last: str | None, trace: Path | None) -> None:
        super().__init__(logging.DEBUG)
        self._last, self._trace = last, trace

    def emit(self, record: logging.LogRecord) -> None:
        step = record.getMessage()
        if self._trace is not None:
            with self._trace.open("a", encoding="utf-8") as file:
                file.write(step + "\n")
        if step == self._last:
            os.kill(os.getpid(), signal.SIGKILL)


def listen(last: str | None, trace: Path | None = None) -> None:
    """From now on write the steps of this process into a file and kill it at one of them."""
    steps = logging.getLogger("readmission.steps")
    steps.setLevel(logging.DEBUG)
    steps.addHandler(_Listener(last, trace))


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
    return _run(home, step, None, arguments)


def run_for(home: Home, seconds: float, *arguments: str) -> Ended:
    """Run a ``readmission`` command in a process of its own and kill it after some time, wherever it is then."""
    return _run(home, None, seconds, arguments)


def _run(home: Home, step: str | None, seconds: float | None, arguments: tuple[str, ...]) -> Ended:
    trace = home.path.with_suffix(".steps")
    trace.unlink(missing_ok=True)
    process = FORKING.Process(target=_live, args=(home.environment, trace, step, arguments))
    began = time.monotonic()
    process.start()
    process.join(timeout=90 if seconds is None else seconds)
    if process.is_alive():
        process.kill()
        process.join()
        if seconds is None:
            raise TimeoutError(f"readmission {' '.join(arguments)} did not end")
    steps = trace.read_text(encoding="utf-8").splitlines() if trace.exists() else []
    return Ended(int(process.exitcode or 0), steps, time.monotonic() - began)


def _live(environment: dict[str, str], trace: Path, step: str | None, arguments: tuple[str, ...]) -> None:
    from readmission_platform import cli
    from readmission_platform.config.environment import settings

    os.environ.clear()
    os.environ.update(environment)
    settings.cache_clear()
    listen(step, trace)
    sys.argv = ["readmission", *arguments]
    with Path(os.devnull).open("w", encoding="utf-8") as silence, contextlib.redirect_stdout(silence):
        try:
            cli.main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
    # Not through the interpreter's own end, which waits for whatever threads the server's imports left behind.
    os._exit(code)
