"""The landing zone: files of rows and of their outcomes as they are delivered, by day.

What belongs here: finding these files, telling whether they changed, and (for the replay) writing them. What does not:
reading their bytes (``landed_file``) and judging their rows (``intake``).
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal

import pandas as pd

from readmission_platform.intake.contract import MISSING_MARK
from readmission_platform.intake.files import JsonFile, LandedFile
from readmission_platform.intake.sources import LandingFolders
from readmission_platform.storage.landed_file import (
    JSON_SUFFIXES,
    SUFFIXES,
    UNREADABLE,
    as_rows,
    file_digest,
    names_another_day,
    read_file,
    shown_name,
)

__all__ = ["Kind", "LandedFile", "Landing", "fingerprint_of"]

# Rows to score, or the outcomes of rows: what a model's two folders hold.
Kind = Literal["rows", "outcomes"]

# Longer than any file takes to be written: whoever wrote it has given up.
ABANDONED_HOURS = 24
UNFINISHED = (".part", ".tmp", ".filepart", ".crdownload")
# What Spark leaves beside the parts of its output, and where it writes them at first.
_OF_SPARK = re.compile(r"_SUCCESS|_temporary|_started_\w+|_committed_\w+")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Landing:
    """Files of one model below ``<root>/<folder of the kind>/<YYYY-MM-DD>/``.

    A day may have several files: delimited text (``.csv``, ``.tsv``), JSON lines (``.ndjson``, ``.jsonl``), these
    packed (``.gz``), and Parquet; a folder that Spark has finished (``_SUCCESS``) is read part by part. Files of the
    feed's own kind of records (``resources``) are read together. Every other entry of a day's folder counts as a file
    that cannot be read: one of another kind, and what has the name of a file and is none (a folder, a socket, a link in
    a circle or out of the landing zone). What has the name of a day and is no folder is a day with such a file. None of
    them keeps anything else from being read. Hidden and unfinished entries (``.part``, ``.tmp``) are still being
    written, and do not exist yet.
    """

    def __init__(self, root: Path, folders: LandingFolders) -> None:
        self.root = root
        self.folders = folders

    def folder(self, kind: Kind = "rows") -> Path:
        """Return the folder that has a folder for each day."""
        return self.root / (self.folders.rows if kind == "rows" else self.folders.outcomes)

    def entries(self, kind: Kind = "rows") -> list[str]:
        """Return the names of everything finished that lies where the folders of days belong."""
        folder = self.folder(kind)
        return sorted(path.name for path in folder.iterdir() if _is_finished(path)) if folder.is_dir() else []

    def beside(self) -> list[Path]:
        """Return everything finished that lies directly in the landing zone."""
        return sorted(filter(_is_finished, self.root.iterdir())) if self.root.is_dir() else []

    def abandoned(self, kind: Kind = "rows", *, now: float) -> int:
        """Count what is still being written by its name, and has not changed for ``ABANDONED_HOURS``.

        Parameters
        ----------
        now
            In seconds since 1970.
        """
        folder, oldest = self.folder(kind), now - ABANDONED_HOURS * 3600
        found = [path for path in (*folder.glob("*"), *folder.glob("*/*")) if path.name.lower().endswith(UNFINISHED)]
        return sum(0 < _changed(path) < oldest for path in found)

    def days(self, kind: Kind = "rows") -> list[str]:
        """Return the days that have at least one file, ascending."""
        folder = self.folder(kind)
        if not folder.is_dir():
            return []
        return sorted(day.name for day in folder.iterdir() if self._files(day.name, kind))

    def read_day(self, day: str, kind: Kind = "rows") -> list[LandedFile]:
        """Read every file of a day, in order of name."""
        # Outcomes are often named by the day they are sent on; which rows they belong to, their content tells.
        named = day if kind == "rows" else None
        paths = self._files(day, kind)
        found = [self._read(path, day, named, kind) for path in paths]
        parts = [file for file in found if isinstance(file, JsonFile) and self._holds(file, kind) is not False]
        if any(self._holds(file, kind) for file in parts) and self.folders.resources is not None:
            read = dict(zip(map(id, parts), self.folders.resources.read(parts, day), strict=True))
        else:
            read = {}
        files = [read.get(id(file)) or as_rows(file) if isinstance(file, JsonFile) else file for file in found]
        return [replace(file, modified_at=_delivered_at(path, day)) for path, file in zip(paths, files, strict=True)]

    def fingerprint(self, day: str, kind: Kind = "rows") -> str:
        """Return a digest over names and contents of a day's files; empty when there are none."""
        files = self._files(day, kind)
        return fingerprint_of((self._shown_name(path, day, kind), self._digest(path)) for path in files)

    def changed_at(self, day: str, kind: Kind = "rows") -> float:
        """Return when a day's files changed last, in seconds since 1970; 0 when there are none.

        The folder counts as well: a file that was moved in keeps its own time, and one taken out has none.
        """
        files = self._files(day, kind)
        folders = {self.folder(kind) / day, *(path.parent for path in files)}
        return max((_changed(path) for path in [*folders, *files]), default=0.0) if files else 0.0

    @property
    def formats(self) -> tuple[str, ...]:
        """The names of the formats in which rows can be written."""
        return "csv", "parquet", *([self.folders.resources.name] if self.folders.resources else [])

    def write_rows(self, day: str, frame: pd.DataFrame, form: str = "csv") -> Path:
        """Write a day of rows in one of the ``formats``; a reader sees all of it or nothing."""
        resources = self.folders.resources
        if form == "parquet":
            return self._write("rows", day, "parquet", lambda path: frame.to_parquet(path, index=False))
        if resources is not None and form == resources.name:
            lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in resources.write(frame, day))
            return self._write("rows", day, "ndjson", lambda path: path.write_text("".join(lines), encoding="utf-8"))
        marked = frame.where(frame.notna(), MISSING_MARK)
        return self._write("rows", day, "csv", lambda path: marked.to_csv(path, index=False))

    def write_outcomes(self, day: str, frame: pd.DataFrame) -> Path:
        """Write the matured outcomes of a day's rows: the contract's row and outcome."""
        return self._write("outcomes", day, "csv", lambda path: frame.to_csv(path, index=False))

    def _write(self, kind: Kind, day: str, suffix: str, write: Callable[[Path], object]) -> Path:
        of_kind = self.folder(kind)
        folder = of_kind / day
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{of_kind.name}.{suffix}"
        staged = path.with_suffix(".part")
        write(staged)
        staged.replace(path)
        return path

    def _files(self, day: str, kind: Kind) -> list[Path]:
        """Return every finished entry of a day, in order of name; of a finished folder of Spark its parts."""
        found = [path for path in self._found(day, kind) if _is_finished(path)]
        return [part for path in found for part in (_parts(path) if self._is_inside(path) else []) or [path]]

    def _shown_name(self, path: Path, day: str, kind: Kind) -> str:
        """Return the name of a file, and before it that of the folder of Spark that it is a part of."""
        return shown_name(path) if path.parent.name == day or path.parent == self.folder(kind) else (
            f"{shown_name(path.parent)}/{shown_name(path)}")  # fmt: skip

    def _holds(self, file: JsonFile, kind: Kind) -> bool | None:
        """Tell whether a file holds the feed's own kind of records, by its first object; None where it has none."""
        if self.folders.resources is None or kind == "outcomes":
            return False
        first = next((line for line in file.lines if not isinstance(line, str)), None)
        return None if first is None else self.folders.resources.is_one(first)

    def _read(self, path: Path, day: str, named: str | None, kind: Kind) -> LandedFile | JsonFile:
        if path.name == day and path.parent == self.folder(kind):
            return LandedFile(day, "", None, "folder_unreadable")
        name = self._shown_name(path, day, kind)
        if not self._is_inside(path):
            return LandedFile(name, "", None, UNREADABLE)
        if not path.name.lower().endswith(SUFFIXES):
            return LandedFile(name, self._digest(path), None, "file_not_understood")
        # The parts of a folder have names that nobody chose.
        entry = name.partition("/")[0]
        if named is not None and names_another_day(entry, named):
            # The others of its kind may lack it: their reader has to know.
            of_json = path.name.lower().endswith(JSON_SUFFIXES)
            digest = self._digest(path)
            return (JsonFile(name, digest, problem="day_mismatch") if of_json
                    else LandedFile(name, digest, None, "day_mismatch"))  # fmt: skip
        return read_file(path, name)

    def _digest(self, path: Path) -> str:
        # As when it is read: a file that cannot be opened has no digest.
        return file_digest(path) if self._is_inside(path) else ""

    def _is_inside(self, path: Path) -> bool:
        # Not Path.resolve(), which raises where links lead in a circle.
        return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self.root))

    def _found(self, day: str, kind: Kind) -> list[Path]:
        """Return whatever lies in the folder of a day, in order of name; where that cannot be read, the folder."""
        folder = self.folder(kind) / day
        if not _is_day(day) or not os.path.lexists(folder):
            return []
        if not self._is_inside(folder):
            return [folder]
        try:
            return sorted(folder.iterdir())
        except OSError:
            return [folder] if os.path.lexists(folder) else []  # which was taken away in this moment


def fingerprint_of(files: Iterable[tuple[str, str]]) -> str:
    """Return a digest over the names and content digests of files, in whatever order; empty when there are none."""
    listed = sorted(files)
    content = "".join(f"{digest} {name}\n" for name, digest in listed)
    return "sha256:" + hashlib.sha256(content.encode()).hexdigest() if listed else ""


def _is_finished(path: Path) -> bool:
    """Tell whether an entry is no longer being written, and says more than that a folder is finished."""
    name = path.name
    return not (name.startswith(".") or name.lower().endswith(UNFINISHED) or _OF_SPARK.fullmatch(name))


def _parts(path: Path) -> list[Path]:
    """Return what lies in a folder that Spark has finished; nothing for any other entry."""
    if not path.is_dir() or not (path / "_SUCCESS").is_file():
        return []
    try:
        return sorted(part for part in path.iterdir() if _is_finished(part))
    except OSError:  # taken away in this moment
        return []


def _is_day(name: str) -> bool:
    try:
        return _DAY.fullmatch(name) is not None and bool(date.fromisoformat(name))
    except ValueError:
        return False


def _delivered_at(path: Path, day: str) -> str:
    """Return when a file was changed last (UTC, ISO 8601); the parts of a folder of Spark are of one moment."""
    of_folder = path.parent / "_SUCCESS"
    changed = _changed(of_folder if path.parent.name != day and of_folder.is_file() else path)
    return datetime.fromtimestamp(changed, UTC).isoformat(timespec="microseconds")


def _changed(path: Path) -> float:
    times = []
    for follow in (True, False):
        try:
            times.append(path.stat(follow_symlinks=follow).st_mtime)
        except OSError:  # taken away in this moment, which the folder's time shows; or a link that leads nowhere
            continue
    return max(times, default=0.0)
