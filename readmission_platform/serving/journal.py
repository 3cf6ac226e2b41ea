"""The prediction log: what was answered, on disk before the answer leaves, and in the lake soon after.

What belongs here: writing lines, shipping them into the lake exactly once, and counting what was dropped. What does
not: what a line says (``answering``).

A worker appends its lines to a file of its own, which outlives the worker: a killed one loses nothing that it answered.
One worker at a time ships the lines of all, living and dead, into the table ``served_predictions``. Commits are counted
in the table itself, so a line is there once whoever ships it and wherever they are interrupted. Writing never waits
for the lake and never fails a request: when the files have grown to their limit or the disk takes nothing more, lines
are dropped and counted.
"""

import fcntl
import json
import os
import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from readmission_platform.foundation.memory import give_back
from readmission_platform.foundation.steps import reached
from readmission_platform.models.contract import ModelContract
from readmission_platform.serving.logs import log_error
from readmission_platform.storage.home import replace_file
from readmission_platform.storage.tables import SERVED, SERVED_ON, ModelLake

_SUFFIX = ".jsonl"
_DONE, _INTENDED = "shipped.json", "intended.json"
# Lines of one commit at most: what came together while the lake was out of reach is shipped in parts.
_MOST_BYTES = 2_000_000
TEXTS = ("request_id", "entity_key", "at", "model_version", "artifact_digest", "arm", "status", "band",
         "withheld_because", "reasons", "contributions", "error", "client", "cells")  # fmt: skip
NUMBERS = ("risk", "latency_ms")
COUNTS = ("rollout", "delivered_version", "cohort_version", "outcomes_version", "identities_event")


class Journal:
    """The lines of one worker about one model.

    Parameters
    ----------
    folder
        Of the files of all workers; they share ``most_bytes``.
    """

    def __init__(self, folder: Path, *, most_bytes: int) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder, self._most = folder, most_bytes
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._held = 0
        self.written = self.dropped = 0
        self.measure()

    def write(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Append lines; those that cannot be written are counted as dropped."""
        content = b"".join(json.dumps(line, allow_nan=False).encode() + b"\n" for line in lines)
        with self._lock:
            if self._held + len(content) > self._most or not self._append(content):
                self.dropped += len(lines)
                return
            self._held += len(content)
            self.written += len(lines)

    def measure(self) -> None:
        """Look again how much all files hold together."""
        held = sum(file.stat().st_size for file in _files(self._folder))
        with self._lock:
            self._held = held

    def turn(self) -> None:
        """Begin a new file once the present one has lines, so that it can be shipped and deleted whole."""
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
            self._descriptor = None

    def _append(self, content: bytes) -> bool:
        try:
            while self._descriptor is None:
                self._descriptor = _opened(self._folder / f"{os.getpid()}-{secrets.token_hex(6)}{_SUFFIX}")
            before = os.fstat(self._descriptor).st_size
            if os.write(self._descriptor, content) == len(content):
                return True
            os.ftruncate(self._descriptor, before)  # the disk took a part: a line is there whole or not at all
        except OSError:
            return False
        return False


def _opened(file: Path) -> int | None:
    """Make a file to append to; None where a shipper took it for a finished one before it was locked."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    # Held until the worker ends, however it ends: who gets the lock knows that nobody writes any more.
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    if os.fstat(descriptor).st_nlink:
        return descriptor
    os.close(descriptor)
    return None


def ship(folder: Path, lake: ModelLake) -> int:
    """Ship the lines of all files into the lake, delete the files that are finished; returns how many were shipped.

    Does nothing when another process is shipping.

    Raises
    ------
    GovernanceError, deltalake.exceptions.DeltaError, OSError
        When the lake cannot be written; the lines stay where they are.
    """
    with _shipping(folder) as ours:
        if not ours:
            return 0
        shipped, full = 0, True
        while full:
            lines, full = _ship_some(folder, lake)
            shipped += lines
        # What was finished when it was shipped is deleted; of what has come meanwhile, as much as is there by now.
        return shipped + _ship_some(folder, lake)[0]


@dataclass(frozen=True)
class _Shipped:
    """How far shipping has come: by whom, after how many commits, and up to which byte of each file."""

    writer: str
    commits: int
    until: Mapping[str, int]


def _ship_some(folder: Path, lake: ModelLake) -> tuple[int, bool]:
    """Make one commit of lines that are not yet in the lake; returns how many they are, and whether there are more.

    What a commit is going to hold is noted before it is made. Whoever comes after an interruption asks the table
    whether it was made.
    """
    done, intended = _read(folder / _DONE), _read(folder / _INTENDED)
    if done is None:
        done = _Shipped(secrets.token_hex(8), 0, {})
        _note(folder / _DONE, done)
    if intended is not None and lake.written_until(SERVED, done.writer) >= intended.commits > done.commits:
        done = intended
        _note(folder / _DONE, done)
    lines, until, room, full = [], {}, _MOST_BYTES, False
    for file in _files(folder):
        start = done.until.get(file.name, 0)
        part = _part_of(file, start, room)
        if part is None:
            continue
        lines += [json.loads(line) for line in part.lines.splitlines()]
        until[file.name] = start + len(part.lines)
        room -= len(part.lines)
        full = full or part.more
    if not lines:
        return 0, False
    intended = _Shipped(done.writer, done.commits + 1, until)
    _note(folder / _INTENDED, intended)
    reached("journal: intention noted")
    lake.append(
        SERVED, frame_of(lines, lake.contract), partition=SERVED_ON, writer=done.writer, position=intended.commits
    )
    reached("journal: shipped")
    _note(folder / _DONE, intended)
    return len(lines), full


class _Part(NamedTuple):
    """Whole lines of a file, and whether it holds more than was read."""

    lines: bytes
    more: bool


def _part_of(file: Path, start: int, most: int) -> _Part | None:
    """Read the lines of a file from a place on; None where it was shipped to its end and finished, and is deleted.

    It is deleted while it is locked: whoever has made it, and waits for the lock to write, sees then that it is gone.
    """
    with file.open("rb") as opened:
        try:
            fcntl.flock(opened.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            finished = True
        except BlockingIOError:
            finished = False
        opened.seek(start)
        content = opened.read(most)
        more = bool(opened.read(1))
        whole = content.rfind(b"\n") + 1
        if finished and not whole and not more:  # a part of a line that is left was never answered
            reached("journal: finished file found")
            file.unlink()
            return None
        return _Part(content[:whole], more)


def _read(path: Path) -> _Shipped | None:
    try:
        return _Shipped(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def _note(path: Path, shipped: _Shipped) -> None:
    replace_file(path, json.dumps(asdict(shipped)).encode())


def frame_of(lines: Sequence[Mapping[str, Any]], contract: ModelContract) -> pd.DataFrame:
    """Return lines as rows of ``served_predictions``, every column there and of its type."""
    frame = pd.DataFrame(lines, columns=[contract.row, contract.day, *TEXTS, *NUMBERS, *COUNTS])
    types = {contract.row: "Int64", **dict.fromkeys(NUMBERS, "float64"), **dict.fromkeys(COUNTS, "Int64")}
    frame = frame.astype({**dict.fromkeys((contract.day, *TEXTS), object), **types})
    frame[SERVED_ON] = frame["at"].str.slice(0, 10)
    return frame


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{_SUFFIX}"))


@contextmanager
def _shipping(folder: Path) -> Iterator[bool]:
    with (folder / ".shipping").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


class Shipper(threading.Thread):
    """Ships the lines of some models every few seconds, until told to stop, and then once more."""

    def __init__(self, journals: Mapping[Path, tuple[Journal, ModelLake]], *, every_seconds: float) -> None:
        super().__init__(name="shipping", daemon=True)
        self._journals, self._every = journals, every_seconds
        self._end = threading.Event()
        self.problem: str | None = None

    def run(self) -> None:
        """Ship until told to stop."""
        while not self._end.wait(self._every):
            self._ship()
        self._ship()

    def stop(self) -> None:
        """Ship what is there and end."""
        self._end.set()
        self.join()

    def _ship(self) -> None:
        for folder, (journal, lake) in self._journals.items():
            journal.turn()
            try:
                ship(folder, lake)
                journal.measure()
                give_back()
                self.problem = None
            except Exception as error:  # noqa: BLE001 - lines stay where they are; it is logged, and told of by /readyz
                self.problem = f"answers wait to be written to the lake ({type(error).__name__}); see the log"
                log_error("shipping failed", error, table=SERVED)
